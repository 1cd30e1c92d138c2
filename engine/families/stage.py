"""The families of one scan worker: stepped, filled and shown in every cycle.

A slot is filled from the bars in memory by a schedule that depends on nothing but the cycle: from
the one on that first has the family, so many symbols a cycle, in order of their admission. What is
read in a cycle is never what the same cycle writes, so doing it again gives the same bits.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.domain.family import (
    F_CLOSES,
    F_LIVE,
    F_RANGES,
    F_TIMEFRAME,
    F_WINDOW_S,
    TIMEFRAMES,
)
from engine.domain.frame_table import OP_BOTH, OP_MANY, OP_NONE
from engine.domain.tables import EngineTables, IndicatorTable
from engine.families.plan import NOTHING, Chosen, admission_order, filled_a_cycle
from engine.families.step_nb import (
    Frame,
    Plan,
    Room,
    carry_nb,
    fill_nb,
    live_nb,
    new_tile,
    step_bars_nb,
)
from engine.families.tile_nb import TILE
from engine.families.windows import Windows
from shm.fences import read_word


class _Group(NamedTuple):
    """Families of one timeframe that step together: numbers, rows of their largest windows."""

    timeframe: int
    chosen: npt.NDArray[np.int64]
    closes: int
    ranges: int


class Families:
    """Families of the symbols [first, end) of worker `worker`; the only writer of their state, and
    of their columns from number `first_column` on."""

    def __init__(self, tables: EngineTables, worker: int, first_column: int) -> None:
        sizes = tables.sizes
        self._tables, self._worker = tables, worker
        self._first, self._end = worker * sizes.slice_rows, (worker + 1) * sizes.slice_rows
        self._first_column = first_column
        self._order = admission_order(sizes.rows, sizes.workers)
        self._interval_ns = tables.session["interval_ns"]
        sym, bar, was, now = np.zeros((4, TILE), np.int64)
        self._room = Room(
            new_tile(), sym, bar, was, now, tables.scan.family_state, tables.scan.columns[0],
            self._order,
        )  # fmt: skip
        self._dirty = np.zeros(sizes.rows, np.uint8)
        self._windows = Windows(tables, self._first, self._end)
        self.forget()

    def forget(self) -> None:
        """Rely on nothing but the tables from now on."""
        self._chosen = NOTHING
        self._whole = True
        self._windows.forget()
        self._prepare()

    def take(self, n: int, chosen: Chosen, before: Chosen | None) -> None:
        """Run these families from cycle n on. before: those of the cycle before, None: there was no
        cycle before. A family that is not among them in the same slot begins anew."""
        known = set()
        if before is not None:
            known = set(zip(map(bytes, before.key), before.slot.tolist(), strict=True))
        since = self._tables.scan.family_since[self._worker]
        for key, slot in zip(map(bytes, chosen.key), chosen.slot.tolist(), strict=True):
            if (key, slot) not in known:
                since[slot] = n
        self._chosen = chosen
        self._whole = True
        self._prepare()

    def _prepare(self) -> None:
        chosen = self._chosen
        columns = self._first_column + chosen.slot.astype(np.int64)
        self._plan = Plan(
            chosen.words, chosen.params, chosen.rows, columns, np.zeros(len(columns), np.int64)
        )
        frame, live = chosen.words[:, F_TIMEFRAME], chosen.words[:, F_LIVE] != 0
        self._live = [self._group(t, (frame == t) & live) for t in np.unique(frame[live])]
        self._stepped = [self._group(t, frame == t) for t in np.unique(frame) if t >= 0]
        timed = np.flatnonzero(chosen.words[:, F_WINDOW_S] > 0)
        self._windows.take(chosen.words[timed], columns[timed])

    def _group(self, timeframe: int, which: np.ndarray) -> _Group:
        words = self._chosen.words[which]
        return _Group(
            int(timeframe),
            np.flatnonzero(which),
            int(words[:, F_CLOSES].max(initial=2)),
            int(words[:, F_RANGES].max(initial=0)),
        )

    # -- a cycle ---------------------------------------------------------------------------------
    def step(self, n: int) -> None:
        """Bring every column of a family to cycle n, whose cell and indicators are there."""
        if not len(self._chosen.slot):
            return
        tables = self._tables
        copy = int(read_word(tables.indicators.words, IndicatorTable.STATE)) & 1
        self._room = self._room._replace(columns=tables.scan.columns[n & 1])
        carry_nb(
            tables.scan.columns, self._plan.column, n & 1, 1 - (n & 1), self._first, self._end,
            self._dirty, self._whole,
        )  # fmt: skip
        self._dirty[self._first : self._end] = 0
        self._whole = False
        cycles = n - tables.scan.family_since[self._worker, self._chosen.slot]
        for column in self._plan.column[cycles == 0].tolist():
            self._room.columns[column, self._first : self._end] = np.nan
            self._whole = True
        a_cycle = filled_a_cycle(tables.sizes.capacity, int(self._interval_ns[0]))
        filled = cycles * a_cycle
        self._plan.bound[:] = filled
        if int(tables.frames.op_words[copy, 0]) == n:
            for group in self._stepped:
                self._step(group, copy)
        self._plan.bound[:] = filled + a_cycle
        for since in np.unique(cycles[filled < tables.sizes.rows]).tolist():
            self._fill(cycles == since, since * a_cycle, a_cycle, copy)
        self._windows.step(n, self._room.columns)
        for group in self._live:
            forming = self._windows.forming(n, TIMEFRAMES[group.timeframe])
            live_nb(
                group.chosen, self._plan, self._frame(group, copy), self._room, forming,
                self._first, self._end, group.closes, group.ranges,
            )  # fmt: skip

    def _frame(self, group: _Group, copy: int) -> Frame:
        frames, t = self._tables.frames, group.timeframe
        high, low, volume = frames.ranges[t].reshape(3, -1)
        return Frame(frames.closes[t].reshape(-1), high, low, volume, frames.marks[copy, t])

    def _step(self, group: _Group, copy: int) -> None:
        """What the bars of this cycle do to the families of one timeframe."""
        frames = self._tables.frames
        if not frames.op_words[copy, 1 + group.timeframe]:
            return
        ops = frames.ops[copy, group.timeframe, self._first : self._end]
        frame = self._frame(group, copy)
        revised = self._first + np.flatnonzero(ops == OP_BOTH)
        moved = self._first + np.flatnonzero((ops != OP_NONE) & (ops != OP_MANY))
        for symbols, back in ((revised, 1), (moved, 0)):
            if len(symbols):
                step_bars_nb(
                    group.chosen, self._plan, frame, self._room, symbols, len(symbols), back,
                    group.closes, group.ranges,
                )  # fmt: skip
        many = self._first + np.flatnonzero(ops == OP_MANY)
        if len(many):
            fill_nb(group.chosen, self._plan, frame, self._room, many, len(many))
        self._touch(moved)
        self._touch(many)

    def _fill(self, which: np.ndarray, start: int, count: int, copy: int) -> None:
        """Fill the families that `which` names for the symbols of places [start, start + count)."""
        order = self._order[self._first : self._end]
        symbols = self._first + np.flatnonzero((order >= start) & (order < start + count))
        if not len(symbols):
            return
        for group in self._stepped:
            chosen = group.chosen[which[group.chosen]]
            if len(chosen):
                fill_nb(
                    chosen, self._plan, self._frame(group, copy), self._room, symbols, len(symbols)
                )
        self._touch(symbols)

    def _touch(self, symbols: np.ndarray) -> None:
        """Values of these symbols have changed: the next cycle has to carry them over."""
        if len(symbols) * 4 > self._end - self._first:
            self._whole = True
        else:
            self._dirty[symbols] = 1
