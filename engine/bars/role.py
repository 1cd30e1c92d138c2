"""The bars role: decides cycles by the watermarks or by the engine clock, executes them, wakes the
others."""

import numpy as np

from engine.bars.stage import BarsStage
from engine.config.running import Running
from engine.domain import records
from engine.domain.tables import FLOW_UNRECORDED
from ipc.roles import RoleContext
from shm import clock
from shm.fences import read_word
from shm.words import WORD_STRIDE

_IDLE_S = 0.02
_BLOCKED_S = 0.002


class _Bars:
    def __init__(self, ctx: RoleContext) -> None:
        running: Running = ctx.shared
        self.ctx = ctx
        self.tables = running.tables
        self.live = running.stream.live
        self.interval_ns = running.stream.interval_ns
        self.anchor = clock.Anchor(running.stream.anchor_ns)
        self.wait_ns = running.config.feed.watermark_wait_ms * 1_000_000
        self.stage = BarsStage(self.tables)
        self.stage.recover()
        self.awake = ["indicators", "recorder"]
        self.awake += [f"scan{worker}" for worker in range(self.tables.sizes.workers)]
        self.waiting: np.void | None = None

    def decide(self) -> np.void | None:
        now_ns = clock.engine_now_ns(self.anchor)
        if not self.live:
            return self.stage.decide_replay(decided_ns=now_ns)
        return self.stage.decide_live(now_ns, self.wait_ns, decided_ns=now_ns)

    def step(self) -> bool:
        """One cycle, if it is due. A bar ring without room (the recorder is behind) is tried
        again."""
        decision = self.waiting if self.waiting is not None else self.decide()
        if decision is None:
            return False
        if not self.stage.execute(decision):
            self.waiting = decision
            return False
        self.waiting = None
        self.report(decision)
        return True

    def report(self, decision: np.void) -> None:
        ctx, n = self.ctx, int(decision["n"])
        ctx.progress(n)
        for key in self.awake:
            ctx.wake.notify(key)
        telemetry = ctx.telemetry
        telemetry.count("cycles_total")
        telemetry.count("absent_cycles_total", int(decision["absent"]))
        head = self.tables.cell.heads[n % 4]
        telemetry.set("tick_processed_total", int(head["ticks"]))
        refused = head["refused_future"] + head["refused_capacity"] + head["refused_tick"]
        telemetry.set("ticks_refused_total", int(refused))
        telemetry.set("rules_version", int(decision["rules_version"]))
        ring = self.tables.ticks.rings[0]
        telemetry.set("ring_depth", ring.tail() - ring.gate("bars"))
        if int(decision["flags"]) & records.DECISION_END:
            ctx.log.info("stream_ended", n=n)

    def sleep_s(self) -> float:
        """Until the next grid point when live, else until somebody wakes us."""
        if self.waiting is not None:
            return _BLOCKED_S
        if not self.live:
            return _IDLE_S
        now_ns = clock.engine_now_ns(self.anchor)
        due_ns = (now_ns // self.interval_ns + 1) * self.interval_ns
        return min((due_ns - now_ns) / 1e9, _IDLE_S)


def main(ctx: RoleContext) -> None:
    """Entry of the role."""
    bars = _Bars(ctx)
    ctx.running()
    unrecorded = False
    while not ctx.should_stop():
        ctx.beat()
        if not bars.step():
            ctx.wake.wait(bars.sleep_s())
        if not unrecorded and read_word(bars.tables.flow, FLOW_UNRECORDED * WORD_STRIDE):
            unrecorded = True
            ctx.log.error(
                "unrecorded", reason="the recorder gave up; the tape has a gap from here on"
            )
