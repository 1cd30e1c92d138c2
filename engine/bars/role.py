"""The bars role: decides cycles by the watermarks or by the engine clock, executes them, wakes the
others."""

import numpy as np

from engine.bars.stage import GATE, BarsStage
from engine.config.running import Running
from engine.domain import records
from engine.domain.degraded import CLOCK_SKEW, skew_reason
from engine.domain.sizes import RECORDER_SHARE
from engine.domain.tables import CELL_SLOTS, FLOW_UNRECORDED
from ipc.roles import RoleContext
from shm import clock
from shm.fences import read_word
from shm.words import WORD_STRIDE

_IDLE_S = 0.02
_BLOCKED_S = 0.002
_SAY_NS = 5_000_000_000
_RECORDER = "recorder"
_LATENCY = "tick_processing_latency_seconds"
_SAMPLE = 64  # ticks of a cycle and feed whose latency is recorded


class _Bars:
    def __init__(self, ctx: RoleContext) -> None:
        running: Running = ctx.shared
        self.ctx = ctx
        self.tables = running.tables
        self.live = running.stream.live
        self.interval_ns = running.stream.interval_ns
        self.clock = running.clock
        self.wait_ns = running.config.feed.watermark_wait_ms * 1_000_000
        self.max_skew_ms = running.config.clock.max_skew_ms
        self.stage = BarsStage(self.tables)
        self.stage.recover()
        self.awake = ["indicators", "recorder"]  # the scan workers wait for the indicators
        self.waiting: np.void | None = None
        self.blocked_ns = clock.monotonic_ns()
        self.unrecorded = self.skewed = False
        # Who moved it may have died before it decided; a resume finds a new anchor, too.
        moved = self.live and self.stage.reanchored(self.clock.anchor_ns())
        self.moved_ns = self.clock.now_ns() if moved else 0

    def decide(self) -> np.void | None:
        flags = records.DECISION_UNRECORDED if self.is_unrecorded() else 0
        if not self.live:
            return self.stage.decide_replay(flags, self.clock.now_ns())
        slept_ns = self.clock.move()
        now_ns = self.clock.now_ns()
        if slept_ns:
            self.moved_ns = now_ns
            self.ctx.log.warning("reanchored", slept_s=slept_ns / 1e9)
        return self.stage.decide_live(
            now_ns, self.wait_ns, flags, self.clock.anchor_ns(), self.moved_ns
        )

    def is_unrecorded(self) -> bool:
        """True once the recorder gave up or was overtaken; said once."""
        tables = self.tables
        if not self.unrecorded:
            gave_up = read_word(tables.flow, FLOW_UNRECORDED * WORD_STRIDE) != 0
            self.unrecorded = gave_up or tables.decisions.dropped(_RECORDER)
            if self.unrecorded:
                reason = "the recorder no longer keeps up: the tape ends with a gap"
                self.ctx.log.error("unrecorded", reason=reason)
        return self.unrecorded

    def overtake(self) -> None:
        """A live market does not wait: before a stalled recorder costs ticks, its gates go. It
        notices, closes the tape with a gap and holds on to where we are then."""
        tables = self.tables
        ours = [*tables.ticks.rings, tables.decisions]
        behind = tables.bar_ring.free() < tables.sizes.bar_events or any(
            ring.gate(GATE) - ring.gate(_RECORDER) > ring.capacity * RECORDER_SHARE
            for ring in ours
        )
        if behind:
            for ring in (*ours, tables.bar_ring):
                ring.drop_gate(_RECORDER)

    def waits_for(self) -> str:
        """The role that holds the next cycle back; empty: nobody, it is too early or the stream
        has ended."""
        decisions, stage = self.tables.decisions, self.stage
        if self.waiting is not None:
            return _RECORDER
        if stage.ended:
            return ""
        if decisions.free() == 0:
            return decisions.slowest()
        return self.tables.laggard(stage.n) or ("" if self.live else self.slow_feed())

    def slow_feed(self) -> str:
        """The feed whose watermark has not reached the next grid point; empty: all have."""
        t_ns = int(self.stage.head["t_ns"]) + self.interval_ns
        marks = [ring.mark() for ring in self.tables.ticks.rings]
        return f"feed{marks.index(min(marks))}" if min(marks) < t_ns else ""

    def say_blocked(self) -> None:
        """Nobody waits for ever in silence: on the board whoever holds the next cycle back is
        named, in the log a recorder that makes no room."""
        self.ctx.waits(self.waits_for())
        now_ns = clock.monotonic_ns()
        if self.waiting is None:
            self.blocked_ns = now_ns
        elif now_ns - self.blocked_ns > _SAY_NS:
            self.blocked_ns = now_ns
            self.ctx.telemetry.count("errors_total")
            reason = "the recorder takes no bars: cycles wait for room in the bar ring"
            self.ctx.log.error("blocked", reason=reason)

    def finish(self, within_ms: int) -> None:
        """Stay until indicators and scan have done the last cycle: they stop after us, and a cycle
        on the tape must not lack its alerts."""
        deadline_ns = clock.monotonic_ns() + within_ms * 1_000_000
        while not self.stage.gates_ready(self.stage.n) and clock.monotonic_ns() < deadline_ns:
            self.ctx.beat()
            self.ctx.wake.wait(_BLOCKED_S)

    def step(self) -> bool:
        """One cycle, if it is due. A bar ring without room (the recorder is behind) is tried
        again."""
        if self.live:
            self.overtake()
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
        self.measure_ticks(decision)
        if self.live:
            self.measure_skew()
        if int(decision["flags"]) & records.DECISION_END:
            ctx.log.info("stream_ended", n=n)

    def measure_ticks(self, decision: np.void) -> None:
        """How long it took until the ticks of a cycle were in its cell: live since they were
        received, of at most _SAMPLE of them; in a replay, which has no such time, since the
        decision."""
        telemetry, now_ns = self.ctx.telemetry, self.clock.now_ns()
        starts = self.tables.cell.heads[(int(decision["n"]) - 1) % CELL_SLOTS]["tick_end"]
        newest_ns = 0
        for feed, ring in enumerate(self.tables.ticks.rings):
            start, end = int(starts[feed]), int(decision["tick_end"][feed])
            if start == end:
                continue
            newest_ns = max(newest_ns, int(ring.slices(end - 1, end)[0]["event_ns"][0]))
            if self.live:
                step = -(-(end - start) // _SAMPLE)
                for ticks in ring.slices(start, end):
                    telemetry.observe_since(_LATENCY, ticks["recv_ns"][::step], now_ns)
        if newest_ns:
            telemetry.set("last_tick_timestamp", newest_ns)
            if not self.live:
                telemetry.observe(_LATENCY, now_ns - int(decision["decided_ns"]))

    def measure_skew(self) -> None:
        """The wall clock beside engine time: shown, told when it goes too far, never followed."""
        skew_ns = self.clock.skew_ns()
        self.ctx.telemetry.set(CLOCK_SKEW, skew_ns)
        reason = skew_reason(skew_ns, self.max_skew_ms)
        if reason and not self.skewed:
            self.ctx.log.warning("clock_skew", reason=reason)
        self.skewed = bool(reason)

    def sleep_s(self) -> float:
        """Until the next grid point when live, else until somebody wakes us."""
        if self.waiting is not None:
            return _BLOCKED_S
        if not self.live:
            return _IDLE_S
        now_ns = self.clock.now_ns()
        due_ns = (now_ns // self.interval_ns + 1) * self.interval_ns
        return min((due_ns - now_ns) / 1e9, _IDLE_S)


def main(ctx: RoleContext) -> None:
    """Entry of the role."""
    bars = _Bars(ctx)
    ctx.running()
    while not ctx.should_stop():
        ctx.beat()
        if not bars.step():
            bars.say_blocked()
            ctx.wake.wait(bars.sleep_s())
    bars.finish(ctx.shared.config.supervisor.stop_timeout_ms * 3 // 4)
