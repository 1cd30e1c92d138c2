"""The stages of the engine in one process: for a backtest, for history before a stream, and to
resume one."""

from collections.abc import Callable, Iterable

import numpy as np

from engine.alerts.merge import MergedCycle, MergeStage
from engine.bars.stage import BarsStage
from engine.domain import records
from engine.domain.tables import EngineTables
from engine.errors import EngineError
from engine.feeds.admit import learn_admits
from engine.indicators.stage import IndicatorsStage
from engine.replay.tape import CYCLES, GAP, RULES, Block
from engine.rules.publish import publish
from engine.scan.stage import ScanStage
from shm.fences import write_word
from shm.ring import Ring
from shm.words import WORD_STRIDE

TO_THE_END = np.iinfo(np.int64).max


class Harness:
    """Runs every role's stage in turn. on_cycle is called with each merged cycle, in order of n.

    scan=False leaves out metrics and rules: history needs bars and indicators only.
    The recorder's gates are moved along, so that the rings end as a recording engine would leave
    them.
    """

    def __init__(
        self,
        tables: EngineTables,
        stream_id: str,
        on_cycle: Callable[[MergedCycle], None] | None = None,
        *,
        scan: bool = True,
    ) -> None:
        self.tables = tables
        self.bars = BarsStage(tables)
        self.bars.recover()
        self.indicators = IndicatorsStage(tables)
        self.indicators.recover()
        self.scans = [
            ScanStage(tables, worker) for worker in range(tables.sizes.workers if scan else 0)
        ]
        for stage in self.scans:
            stage.recover()
        self.merge = MergeStage(tables, stream_id)
        self._on_cycle = on_cycle
        self.n = tables.cell.cells.published()
        self.on_bars: Callable[[np.ndarray], None] | None = None

    def cycle(self, decision: np.void) -> None:
        """One whole cycle of a decision that is in the decision ring."""
        self.bars.execute(decision)
        self.follow(decision)

    def follow(self, decision: np.void) -> None:
        """What everybody else does with a cycle that bars has executed."""
        tables = self.tables
        n = int(decision["n"])
        self.indicators.step(n)
        if self.scans:
            for stage in self.scans:
                if not stage.run(n):
                    raise EngineError(
                        f"a scan worker could not commit cycle {n}: its lane is full."
                    )
            self._merge(n)
        else:
            for worker in range(tables.sizes.workers):
                write_word(tables.scan.words, worker * WORD_STRIDE, n)
        self._drain(decision)
        self.n = n

    def _merge(self, n: int) -> None:
        merged = self.merge.peek()
        if merged is None or merged.n != n:
            raise EngineError(f"cycle {n} was committed but the lanes do not hold it.")
        self.merge.release(merged)
        if self._on_cycle is not None:
            self._on_cycle(merged)

    def _drain(self, decision: np.void) -> None:
        """Do what a recorder does to the gates."""
        tables = self.tables
        for feed, ring in enumerate(tables.ticks.rings):
            ring.set_gate("recorder", int(decision["tick_end"][feed]))
        tables.decisions.set_gate("recorder", int(decision["n"]))
        ring = tables.bar_ring
        start, end = ring.gate("recorder"), ring.tail()
        if end > start:
            if self.on_bars is not None:
                self.on_bars(np.concatenate(ring.slices(start, end)))
            ring.set_gate("recorder", end)

    def decide_all(self) -> bool:
        """Run every cycle the watermarks allow. True when the stream ended (DECISION_END)."""
        while (decision := self.bars.decide_replay()) is not None:
            self.cycle(decision)
            if int(decision["flags"]) & records.DECISION_END:
                return True
        return False

    def push(self, ring: Ring, ticks: np.ndarray) -> None:
        """Publish ticks in order, running cycles whenever the ring is full."""
        offset = 0
        while offset < len(ticks):
            written = ring.publish(ticks[offset:])
            learn_admits(self.tables.feed_names[0], ticks[offset : offset + written])
            offset += written
            if offset:
                # what follows was received after the last one published, or together with it
                ring.set_mark(max(ring.mark(), int(ticks["recv_ns"][:offset].max()) - 1))
            if written == 0 and not self._make_room():
                raise EngineError("one cycle holds more ticks than engine.ring_ticks allows.")

    def _make_room(self) -> bool:
        before = self.n
        self.decide_all()
        return self.n > before

    def run_ticks(self, batches: Iterable[np.ndarray], until_ns: int) -> None:
        """Feed ring 0 from batches of TICK, then cycle up to until_ns (TO_THE_END: until the
        stream ends)."""
        ring = self.tables.ticks.rings[0]
        for batch in batches:
            self.push(ring, batch)
            self.decide_all()
        ring.set_mark(until_ns)
        self.decide_all()

    def run_tape(
        self, blocks: Iterable[Block], progress: Callable[[int], None] | None = None
    ) -> bool:
        """Repeat recorded cycles exactly. True when the tape holds the end of its stream.

        Raises EngineError where the tape does not continue with the next cycle. A tape with a gap
        ends there.
        """
        ended = False
        for block in blocks:
            if block.kind == GAP:
                return False
            if block.kind == RULES:
                self._take_rules(block)
            elif block.kind == CYCLES:
                self._block(block)
                if progress is not None:
                    progress(self.n)
            else:
                ended = True
        return ended

    def _take_rules(self, block: Block) -> None:
        rules = self.tables.rules
        if rules.latest() < block.first_n:
            rules.set_floor(rules.latest())
            publish(self.tables, block.first_n, block.content)

    def _block(self, block: Block) -> None:
        """Cycles one by one: a block may hold more ticks than a ring has room for."""
        tables = self.tables
        starts = [ring.tail() for ring in tables.ticks.rings]
        for at in range(len(block.decisions)):
            decision = block.decisions[at]
            if int(decision["n"]) != self.n + 1:
                raise EngineError(f"the tape goes from cycle {self.n} to {int(decision['n'])}.")
            for feed, ring in enumerate(tables.ticks.rings):
                part = block.ticks[feed][
                    ring.tail() - starts[feed] : int(decision["tick_end"][feed]) - starts[feed]
                ]
                if ring.publish(part) != len(part):
                    raise EngineError("a cycle of the tape is larger than the ring of this run.")
                learn_admits(tables.feed_names[feed], part)
            tables.decisions.publish(block.decisions[at : at + 1])
            self.cycle(decision)
