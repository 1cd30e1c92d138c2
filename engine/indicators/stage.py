"""The indicator stage: one step per cycle, built in the copy that nobody reads, then flipped."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.domain import records
from engine.domain.rules_mark import kept_for
from engine.domain.tables import CELL_SLOTS, EngineTables, Histories, IndicatorTable
from engine.errors import EngineError
from engine.indicators import registry, step_nb
from engine.indicators.daily import DailyBars
from engine.indicators.runs_nb import run_values
from engine.indicators.timeframes import Timeframes
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE

_NO_LIMIT = 1 << 62
_LONGEST_CLOSES, _LONGEST_MINUTES = 200, step_nb.MINUTES_2


class IndicatorsStage:
    """Keeps the indicator table level with the published cells; the only writer of the table.

    Call recover() before the first step. Raises EngineError if the tables are too small for the
    windows of the registry.
    """

    def __init__(self, tables: EngineTables) -> None:
        self._table = tables.indicators
        self._heads = tables.cell.heads
        events = tables.cell.events
        words = events.dtype.itemsize // 8
        self._events_f = events.view(np.float64).reshape(*events.shape, words)
        self._events_i = events.view(np.int64).reshape(*events.shape, words)
        self._history = tables.history
        self._bars_f, self._bars_i = bar_words(tables.history)
        self._frames = Timeframes(tables, self._bars_f, self._bars_i)
        self._kept = tables.frames.kept
        self._rules = tables.rules
        self._version = self._wants = 0
        self._daily = DailyBars(tables)
        self._session = tables.session
        rows = self._table.closes.shape[1]
        self._seen = np.zeros(rows, np.uint8)
        self._dirty = np.zeros(rows, np.uint8)
        ring = self._table.closes.shape[0]
        self._bars_max = ring - _LONGEST_CLOSES
        if ring <= _LONGEST_CLOSES or ring & (ring - 1):
            raise EngineError(
                f"the close ring holds {ring} bars, not a power of two above {_LONGEST_CLOSES}"
            )
        if self._bars_f.shape[0] <= _LONGEST_MINUTES:
            raise EngineError(
                f"bars.history_bars is {self._bars_f.shape[0]}, "
                f"at least {_LONGEST_MINUTES + 1} are needed"
            )

    def recover(self) -> None:
        """Bring the other copy level with the current one after a start: it may be half built."""
        level_copies(self._table)

    @property
    def state_n(self) -> int:
        """The cycle that the current copy holds."""
        return int(read_word(self._table.words, IndicatorTable.STATE)) >> 1

    def step(self, n: int) -> None:
        """Consume the published cell n and flip to it; a repetition gives the same bits.

        Does nothing if the table is at n already. Raises EngineError if the cell is another's.
        """
        table, head = self._table, self._heads[n % CELL_SLOTS]
        done, old = divmod(int(read_word(table.words, IndicatorTable.STATE)), 2)
        if done == n:
            return
        if done != n - 1 or int(head["n"]) != n:
            raise EngineError(
                f"indicators are at cycle {done} and cannot step to {n} with cell {head['n']}"
            )
        count, closed = int(head["event_count"]), int(head["closed_minute"])
        advanced = self._windows_end(old) != closed
        wanted = self._wanted(int(head["rules_version"]))
        admitted = self._daily.admitted(n)
        begun = wanted & ~int(self._kept[old])
        if count or advanced or begun or len(admitted):
            before = int(self._heads[(n - 1) % CELL_SLOTS]["closed_minute"])
            self._build(n, old, count, closed, advanced)
            events = self._events_i[n % CELL_SLOTS]
            self._frames.step(n, old, events, count, before, closed, wanted)
            if len(admitted):
                self._daily.enter(admitted, 1 - old)
            old = 1 - old
        write_word(table.words, IndicatorTable.STATE, n * 2 + old)

    def _wanted(self, version: int) -> int:
        """Bits of what the rules of a version need to have kept, 0: there are none. Raises
        EngineError when they are no longer there."""
        if version != self._version:
            content = self._rules.read(version)
            if content is None and version > 0:
                raise EngineError(f"the rules of version {version} are not in memory any more")
            self._version, self._wants = version, kept_for(content or b"")
        return self._wants

    def _windows_end(self, copy: int) -> int:
        """The closed minute that the windows in time of a copy end with, -1 before the first."""
        minute = float(self._table.values[copy, step_nb.W_MINUTE, 0])
        return -1 if math.isnan(minute) else int(minute)

    def _build(self, n: int, old: int, count: int, closed: int, advanced: bool) -> None:
        """Make the other copy the state of n."""
        table, new, slot = self._table, 1 - old, n % CELL_SLOTS
        listed, whole = divmod(int(table.words[(1 + old) * WORD_STRIDE]), 2)
        step_nb.copy_changed(
            table.state, table.values, old, new, table.changed, listed, bool(whole)
        )
        self._seen[:] = 0
        self._dirty[:] = 0
        touched = step_nb.step_events(
            self._events_f[slot], self._events_i[slot], count, table.state, table.closes, old, new,
            table.changed, self._seen, self._dirty, self._windows_end(old), self._bars_max,
        )  # fmt: skip
        step_nb.outputs(
            table.state[new], table.closes, table.values[new], table.changed[new], touched
        )
        run_values(
            table.state[new], step_nb.AFTER, step_nb.S_RUNS, step_nb.S_CLOSE, closed,
            table.values[new], step_nb.V_RUNS,
        )  # fmt: skip
        if advanced or self._dirty.any():
            step_nb.roll_windows(
                self._bars_f, self._bars_i, closed, table.values[new], self._dirty
            )
        if advanced:
            self._ratios(closed, table.values[new])
        table.words[(1 + new) * WORD_STRIDE] = touched * 2 + advanced

    def _ratios(self, closed: int, values: npt.NDArray[np.float64]) -> None:
        start = int(self._session["start_ns"][0]) // records.NS_PER_MINUTE
        history = self._history
        step_nb.volume_ratios(history.session_volume, history.session_stamp, closed, start, values)


def bar_words(history: Histories) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The bar history as float64 and int64 words [history_bars, rows, 8] of the same memory."""
    bars = history.bars
    words = bars.dtype.itemsize // 8
    return (
        bars.view(np.float64).reshape(*bars.shape, words),
        bars.view(np.int64).reshape(*bars.shape, words),
    )


def level_copies(table: IndicatorTable) -> None:
    """Copy the current copy of an indicator table whole over the other one."""
    current = int(read_word(table.words, IndicatorTable.STATE)) & 1
    table.state[1 - current] = table.state[current]
    table.values[1 - current] = table.values[current]
    table.words[WORD_STRIDE] = table.words[2 * WORD_STRIDE] = 0


def fill(table: IndicatorTable, symbols: Sequence[int], bars: Sequence[npt.NDArray]) -> None:
    """Feed final bars before the first cycle: a genesis builds indicator state with it.

    bars[i]: BAR records of symbols[i], oldest first; bars without a close are passed over. Bars
    are numbered on from what the table has seen of the symbol (0 for a new one), as bars.stage
    numbers them. Changes the current copy in place and then the other: not safe against a kill,
    for a table that no cycle uses yet. Windows in time are not touched.
    """
    current = int(read_word(table.words, IndicatorTable.STATE)) & 1
    after = table.state[current, :, step_nb.AFTER]
    changed, rows = np.zeros_like(table.changed), table.closes.shape[1]
    for sym, history in zip(symbols, bars, strict=True):
        priced = history[~np.isnan(history["close"])]
        newest = after[sym, step_nb.S_NEWEST] if after[sym, step_nb.S_COUNT] else -1
        events = np.zeros(len(priced), records.BAR_EVENT)
        events["sym"], events["kind"], events["bar"] = sym, records.BAR_FINAL, priced
        events["bar_index"] = int(newest) + 1 + np.arange(len(priced))
        words = events.dtype.itemsize // 8
        step_nb.step_events(
            events.view(np.float64).reshape(-1, words), events.view(np.int64).reshape(-1, words),
            len(events), table.state, table.closes, current, current, changed,
            np.zeros(rows, np.uint8), np.zeros(rows, np.uint8), -1, _NO_LIMIT,
        )  # fmt: skip
    listed = np.asarray(symbols, np.int64)
    step_nb.outputs(
        table.state[current], table.closes, table.values[current], listed, len(listed)
    )
    level_copies(table)


def columns() -> tuple[int, int, int]:
    """(indicator_slots, indicator_values, indicator_ring) for engine.domain.tables.Columns."""
    return registry.SLOTS, registry.VALUES, registry.RING
