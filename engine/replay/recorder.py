"""The recorder: cycles to the tape, final bars to the bar store; the cycle never waits for it in
the scan."""

from collections.abc import Callable

import numpy as np

from engine.domain import records
from engine.domain.tables import (
    FLOW_ALERTED_N,
    FLOW_DURABLE_N,
    FLOW_ENDED,
    FLOW_UNRECORDED,
    EngineTables,
)
from engine.errors import EngineError
from engine.replay.tape import TapeError, TapeWriter
from engine.storage.errors import StoreError
from engine.storage.ports import BarRow, BarStore
from engine.storage.pruning import Pruner
from shm import clock
from shm.fences import read_word, write_word
from shm.ring import Ring
from shm.ring_nb import DROPPED
from shm.words import WORD_STRIDE

GATE = "recorder"
_MAX_CYCLES = 512
_MAX_BARS = 20_000
_STORE_AGAIN_NS = 1_000_000_000


def _records(ring: Ring, start: int, end: int) -> np.ndarray:
    """A private copy: the writer may reuse the room as soon as the gate moves."""
    return np.concatenate(ring.slices(start, end))


def bar_rows(tables: EngineTables, stream_id: str, events: np.ndarray) -> list[BarRow]:
    """Bar events of a stream as the bar store keeps them."""
    return [
        BarRow.of(tables.names.get(int(event["sym"])), event["bar"], int(event["n"]), stream_id)
        for event in events
    ]


class RecorderStage:
    """Takes whole cycles from the decision ring, makes them durable, then moves its gates.

    One block with one sync for as many cycles as wait: what comes in while the disk is slow lies in
    the rings and is the next block, so that a slow disk makes blocks larger, not the recorder late.
    writer None: nothing is recorded (tape.record = false) and the gates just move.
    unrecorded: the tape was given up; the stream goes on without it. failures: sentences that
    nobody has told yet. store_failed: the bar store has to be opened again (`use_store`).
    bars_lost: final bars that never reached the store because it refused them for too long.
    keep: what to do with the state after the last cycle, before the tape is told that it ends.
    """

    def __init__(
        self,
        tables: EngineTables,
        writer: TapeWriter | None,
        store: BarStore,
        stream_id: str,
        keep: Callable[[], object] | None = None,
    ) -> None:
        self._tables = tables
        self._writer = writer
        self._store = store
        self._stream_id = stream_id
        self._keep = keep
        self._store_again_ns = 0
        self.failures: list[str] = []
        self.unrecorded = bool(self._word(FLOW_UNRECORDED))
        self.store_failed = False
        self.bars_stored = self.bars_lost = 0

    # -- start -----------------------------------------------------------------------------------
    def recover(self) -> None:
        """Go on after what the tape holds: a killed recorder may have written more than its gates
        say. A tape that holds less, or that was given up before, is not gone on with."""
        writer = self._writer
        if writer is None:
            return
        if self.unrecorded or writer.gapped:
            self.give_up("the tape was closed before")
        elif writer.last_n < self.durable_n:
            self.give_up(
                f"the tape {writer.path} ends with cycle {writer.last_n}, but {self.durable_n} "
                "were recorded"
            )
        elif writer.last_n > self.durable_n:
            self._move_gates(writer.last_n, writer.tick_positions)

    def use_store(self, store: BarStore) -> None:
        """Go on with a bar store that was opened again."""
        self._store = store
        self.store_failed = False

    # -- one step --------------------------------------------------------------------------------
    def step(self) -> bool:
        """Record what is there. True when something moved."""
        if self._overtaken():
            self._rejoin()
        moved = self._cycles()
        moved = self._bars() or moved
        return self._finish() or moved

    @property
    def durable_n(self) -> int:
        """Newest cycle on disk."""
        return self._word(FLOW_DURABLE_N)

    @property
    def complete(self) -> bool:
        """True when every cycle that was decided is on the tape and its alerts are stored."""
        n = self.durable_n
        return n == self._tables.decisions.tail() and self._word(FLOW_ALERTED_N) >= n

    def _word(self, word: int) -> int:
        return int(read_word(self._tables.flow, word * WORD_STRIDE))

    def _cycles(self) -> bool:
        ring = self._tables.decisions
        start = ring.gate(GATE)
        end = min(ring.tail(), start + _MAX_CYCLES)
        if end <= start:
            return False
        decisions = _records(ring, start, end)
        last = decisions[-1]
        if self._writer is not None:
            try:
                self._write(self._writer, decisions)
            except TapeError as error:
                self.give_up(str(error))
        self._move_gates(int(last["n"]), [int(p) for p in last["tick_end"]])
        return True

    def _write(self, writer: TapeWriter, decisions: np.ndarray) -> None:
        tables = self._tables
        last = decisions[-1]
        starts = [ring.gate(GATE) for ring in tables.ticks.rings]
        if DROPPED in starts:
            raise TapeError("the recorder was overtaken.")
        ticks = [
            [_records(ring, starts[feed], int(last["tick_end"][feed]))]
            for feed, ring in enumerate(tables.ticks.rings)
        ]
        if self._overtaken():  # while they were copied: they may be somebody else's bytes
            raise TapeError("the recorder was overtaken.")
        for version in sorted({int(v) for v in decisions["rules_version"]} - {0}):
            if version in writer.rules_versions:
                continue
            content = tables.rules.read(version)
            if content is None:
                raise TapeError(f"rules version {version} is gone before it was recorded.")
            writer.rules(version, content)
        writer.cycles(decisions, ticks)

    def _move_gates(self, n: int, tick_positions: list[int]) -> None:
        tables = self._tables
        for feed, ring in enumerate(tables.ticks.rings):
            ring.set_gate(GATE, tick_positions[feed])
        tables.decisions.set_gate(GATE, n)  # the decision of cycle n lies at position n - 1
        write_word(tables.flow, FLOW_DURABLE_N * WORD_STRIDE, n)

    # -- giving up -------------------------------------------------------------------------------
    def give_up(self, why: str) -> None:
        """Go on without the tape: alerts matter more than it, and the user is told. The tape is
        closed with a gap if it can still be written."""
        self.failures.append(f"The stream goes on unrecorded: {why.rstrip('.')}.")
        self.unrecorded = True
        if self._writer is not None:
            try:
                self._writer.gap()
            except TapeError as error:
                self.failures.append(str(error))
            self._writer.close()
            self._writer = None
        write_word(self._tables.flow, FLOW_UNRECORDED * WORD_STRIDE, 1)

    def _gated(self) -> list[Ring]:
        tables = self._tables
        return [*tables.ticks.rings, tables.decisions, tables.bar_ring]

    def _overtaken(self) -> bool:
        return any(ring.dropped(GATE) for ring in self._gated())

    def _rejoin(self) -> None:
        """bars dropped our gates, because a live market does not wait: hold on to where it is."""
        if not self.unrecorded:
            self.give_up("the recorder was too slow and was overtaken")
        for ring in self._gated():
            if ring.dropped(GATE):
                ring.rejoin(GATE)
        write_word(
            self._tables.flow, FLOW_DURABLE_N * WORD_STRIDE, self._tables.decisions.gate(GATE)
        )

    # -- bars ------------------------------------------------------------------------------------
    def _bars(self) -> bool:
        ring = self._tables.bar_ring
        start = ring.gate(GATE)
        end = min(ring.tail(), start + _MAX_BARS)
        if end <= start or (clock.monotonic_ns() < self._store_again_ns and not self._holds_up()):
            return False
        events = _records(ring, start, end)
        # A bar of a cycle that is not on disk could be decided differently after a crash.
        durable = int(np.searchsorted(events["n"], self.durable_n, side="right"))
        if durable == 0:
            return False
        try:
            self._store.upsert(bar_rows(self._tables, self._stream_id, events[:durable]))
            self.bars_stored += durable
        except StoreError as error:
            if not self._refused(error):
                return False
            self.bars_lost += durable
            self.failures.append(
                f"{durable} final bars are not in the bar store: the next cycle needed their room."
            )
        ring.set_gate(GATE, start + durable)
        return True

    def prune(self, pruner: Pruner) -> int:
        """Remove a few old bars from the store if it is time; how many. For a step that moved
        nothing."""
        if self.store_failed or clock.monotonic_ns() < self._store_again_ns:
            return 0
        try:
            return pruner.step(self._store)
        except StoreError as error:
            self._refused(error)
            return 0

    def _holds_up(self) -> bool:
        """True when bars cannot go on before the bar ring has room."""
        return self._tables.bar_ring.free() < self._tables.sizes.bar_events

    def _refused(self, error: StoreError) -> bool:
        """Note a failure of the store and try again later. True when that would stop the scan."""
        self.failures.append(str(error))
        self.store_failed = error.final
        self._store_again_ns = clock.monotonic_ns() + _STORE_AGAIN_NS
        return self._holds_up()

    # -- the end ---------------------------------------------------------------------------------
    def _finish(self) -> bool:
        """Keep the end state and write the end record once the last cycle is applied everywhere and
        its alerts are safe; then nothing resumes this stream."""
        tables = self._tables
        n = self.durable_n
        if n == 0 or self._word(FLOW_ENDED):
            return False
        last = tables.decisions.copy(n - 1, n)
        ended = last is not None and int(last[0]["flags"]) & records.DECISION_END
        if not ended or self._word(FLOW_ALERTED_N) < n:
            return False
        if tables.bar_ring.gate(GATE) < tables.bar_ring.tail() or not tables.applied(n):
            return False
        self._keep_state()
        self.end()
        write_word(tables.flow, FLOW_ENDED * WORD_STRIDE, 1)
        return True

    def _keep_state(self) -> None:
        """Without it the next start makes the state again from the tape, which takes longer."""
        if self._keep is None:
            return
        try:
            self._keep()
        except (OSError, EngineError) as error:
            self.failures.append(f"The end state could not be kept: {str(error).rstrip('.')}.")

    def end(self) -> None:
        """Write the end record."""
        if self._writer is None:
            return
        try:
            self._writer.end()
        except TapeError as error:
            self.give_up(str(error))

    def close(self) -> None:
        """Close the tape."""
        if self._writer is not None:
            self._writer.close()
