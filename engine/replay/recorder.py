"""The recorder: cycles to the tape, final bars to the bar store; the cycle never waits for it in
the scan."""

import numpy as np

from engine.domain import records
from engine.domain.tables import (
    FLOW_ALERTED_N,
    FLOW_DURABLE_N,
    FLOW_ENDED,
    FLOW_UNRECORDED,
    EngineTables,
)
from engine.replay.tape import TapeError, TapeWriter
from engine.storage.ports import BarRow, BarStore
from shm.fences import read_word, write_word
from shm.ring import Ring
from shm.words import WORD_STRIDE

GATE = "recorder"
_MAX_CYCLES = 512
_MAX_BARS = 20_000


def _records(ring: Ring, start: int, end: int) -> np.ndarray:
    """A private copy: the writer may reuse the room as soon as the gate moves."""
    return np.concatenate(ring.slices(start, end))


def bar_row(tables: EngineTables, stream_id: str, event: np.void) -> BarRow:
    """A bar event as the bar store keeps it."""
    bar = event["bar"]
    return BarRow(
        symbol=tables.names.get(int(event["sym"])),
        minute_ns=int(bar["minute"]) * records.NS_PER_MINUTE,
        open=float(bar["open"]),
        high=float(bar["high"]),
        low=float(bar["low"]),
        close=float(bar["close"]),
        volume=float(bar["volume"]),
        pv=float(bar["pv"]),
        trades=int(bar["trades"]),
        flags=int(bar["flags"]),
        n=int(event["n"]),
        stream_id=stream_id,
    )


class RecorderStage:
    """Takes whole cycles from the decision ring, makes them durable, then moves its gates.

    writer None: nothing is recorded (tape.record = false) and the gates just move.
    """

    def __init__(
        self, tables: EngineTables, writer: TapeWriter | None, store: BarStore, stream_id: str
    ) -> None:
        self._tables = tables
        self._writer = writer
        self._store = store
        self._stream_id = stream_id
        self.failure: str | None = None
        self.unrecorded = False
        self.bars_stored = 0

    def recover(self) -> None:
        """Go on after what the tape holds: a killed recorder may have written more than its gates
        say."""
        if self._writer is None or self._writer.last_n <= self.durable_n:
            return
        self._move_gates(
            self._writer.last_n, self._writer.tick_positions, self._writer.control_position
        )

    def step(self) -> bool:
        """Record what is there. True when something moved."""
        moved = self._cycles()
        moved = self._bars() or moved
        return self._finish() or moved

    @property
    def durable_n(self) -> int:
        """Newest cycle on disk."""
        return int(read_word(self._tables.flow, FLOW_DURABLE_N * WORD_STRIDE))

    def _cycles(self) -> bool:
        ring = self._tables.decisions
        start = ring.gate(GATE)
        end = min(ring.tail(), start + _MAX_CYCLES)
        if end == start:
            return False
        decisions = _records(ring, start, end)
        last = decisions[-1]
        if self._writer is not None:
            try:
                self._write(self._writer, decisions)
            except TapeError as error:
                self._give_up(error)
        self._move_gates(
            int(last["n"]), [int(p) for p in last["tick_end"]], int(last["control_end"])
        )
        return True

    def _write(self, writer: TapeWriter, decisions: np.ndarray) -> None:
        tables = self._tables
        last = decisions[-1]
        for version in sorted({int(v) for v in decisions["rules_version"]}):
            content = tables.rules.read(version) if version else None
            if content is not None:
                writer.rules(version, content)
        ticks = [
            ring.slices(ring.gate(GATE), int(last["tick_end"][feed]))
            for feed, ring in enumerate(tables.ticks.rings)
        ]
        controls = tables.control.slices(writer.control_position, int(last["control_end"]))
        writer.cycles(decisions, ticks, controls)

    def _give_up(self, error: TapeError) -> None:
        """Stop gating: alerts matter more than the tape, and the user is told."""
        self.failure = str(error)
        self.unrecorded = True
        self._writer = None
        write_word(self._tables.flow, FLOW_UNRECORDED * WORD_STRIDE, 1)

    def _move_gates(self, n: int, tick_positions: list[int], control_position: int) -> None:
        tables = self._tables
        for feed, ring in enumerate(tables.ticks.rings):
            ring.set_gate(GATE, tick_positions[feed])
        tables.control.set_gate(GATE, control_position)
        tables.decisions.set_gate(GATE, n)  # the decision of cycle n lies at position n - 1
        write_word(tables.flow, FLOW_DURABLE_N * WORD_STRIDE, n)

    def _bars(self) -> bool:
        ring = self._tables.bar_ring
        start = ring.gate(GATE)
        end = min(ring.tail(), start + _MAX_BARS)
        if end == start:
            return False
        events = _records(ring, start, end)
        # A bar of a cycle that is not on disk could be decided differently after a crash.
        durable = int(np.searchsorted(events["n"], self.durable_n, side="right"))
        if durable == 0:
            return False
        self._store.upsert(
            [bar_row(self._tables, self._stream_id, event) for event in events[:durable]]
        )
        ring.set_gate(GATE, start + durable)
        self.bars_stored += durable
        return True

    def _finish(self) -> bool:
        """Write the end record once the last cycle's alerts are safe; then nothing resumes this
        stream."""
        tables = self._tables
        n = self.durable_n
        if n == 0 or read_word(tables.flow, FLOW_ENDED * WORD_STRIDE):
            return False
        last = tables.decisions.copy(n - 1, n)
        ended = last is not None and int(last[0]["flags"]) & records.DECISION_END
        alerted = int(read_word(tables.flow, FLOW_ALERTED_N * WORD_STRIDE))
        if not ended or alerted < n or tables.bar_ring.gate(GATE) < tables.bar_ring.tail():
            return False
        if self._writer is not None:
            self._writer.end()
        write_word(tables.flow, FLOW_ENDED * WORD_STRIDE, 1)
        return True
