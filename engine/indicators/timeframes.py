"""Keeps the final bars of timeframes that rules name: part of the indicators' step, one copy after
the other.

A bar of a timeframe is made from the 1-minute bars in its time, aligned to the clock, when its last
minute is over for everybody. A timeframe that is named for the first time begins with what the
1-minute bars in memory tell. Bars are entered by number in place, marks and what was done in the
copy that is built, so that doing a step again gives the same bits.
"""

import numpy as np
import numpy.typing as npt

from engine.domain import records
from engine.domain.family import (
    DAILY_PLACE,
    KEEP_EXTREMES,
    KEEP_PRICES,
    KEPT_CLOSES,
    KEPT_RANGES,
    TIMEFRAME_MINUTES,
    TIMEFRAMES,
)
from engine.domain.frame_table import MARK_SHIFT
from engine.domain.tables import EngineTables
from engine.indicators.timeframes_nb import close_minute_nb, minute_extremes_nb, take_events_nb

_LONGEST = max(TIMEFRAME_MINUTES)
_ALL = np.array(TIMEFRAMES, np.int64)


def _only(kept: int) -> npt.NDArray[np.int64]:
    """What the kernels are told of timeframes, int64[timeframes, 2]: those that are not kept stand
    still, as daily bars do."""
    frames = _ALL.copy()
    frames[[place for place in range(len(_ALL)) if not kept >> place & 1], 0] = 0
    return frames


class Timeframes:
    """The bars of one set of tables; only the indicator stage writes them."""

    def __init__(
        self,
        tables: EngineTables,
        bars_f: npt.NDArray[np.float64],
        bars_i: npt.NDArray[np.int64],
    ) -> None:
        self._table = tables.frames
        self._session = tables.session
        self._bars_f, self._bars_i = bars_f, bars_i
        self._history = tables.history
        self._kept, self._frames = 0, _only(0)

    def step(
        self, n: int, old: int, events_i: npt.NDArray[np.int64], count: int, before: int,
        closed: int, wanted: int,
    ) -> None:
        """Build the other copy than `old` for cycle n from its `count` events.

        before, closed: newest closed minute of the cycle before and of this one. wanted: bits of
        what is kept from this cycle on, besides what was.
        """
        table, new = self._table, 1 - old
        kept = int(table.kept[old]) | wanted
        begun = kept & ~int(table.kept[old])
        if kept != self._kept:
            self._kept, self._frames = kept, _only(kept)
        table.kept[new] = kept
        if table.op_words[new, 1:].any():
            table.ops[new] = 0
        table.op_words[new] = 0
        table.marks[new] = table.marks[old]
        held = max(before, closed - self._bars_i.shape[0] + _LONGEST)
        regular = self._regular()
        self._begin(begun, new, before, closed, regular)
        if kept & KEEP_EXTREMES and (n == 1 or begun & KEEP_EXTREMES):
            self._fill_extremes(before)
        if kept & KEEP_PRICES:
            self._take_prices()
        if count:
            take_events_nb(
                events_i, count, self._bars_f, self._bars_i, before, self._frames, *regular,
                table.closes, table.ranges, table.marks[new], table.ops[new],
                table.op_words[new, 1:], table.minute_high, table.minute_low, table.minute_stamp,
            )  # fmt: skip
        for minute in range(held + 1, closed + 1):
            if kept & KEEP_EXTREMES:
                self._put_extremes(minute)
            close_minute_nb(
                self._bars_f, self._bars_i, minute, self._frames, *regular, table.closes,
                table.ranges, table.marks[new], table.ops[new], table.op_words[new, 1:],
            )  # fmt: skip
        table.op_words[new, 0] = n

    def _begin(
        self, begun: int, new: int, before: int, closed: int, regular: tuple[int, int]
    ) -> None:
        """Make the bars of timeframes that were not kept, from all minutes in memory up to
        `before`."""
        table = self._table
        for place, (minutes, _) in enumerate(TIMEFRAMES):
            if not begun >> place & 1 or minutes == 0:
                continue
            table.marks[new, place] = 0
            only = _only(1 << place)
            for minute in range(closed - self._bars_i.shape[0] + minutes, before + 1):
                if (minute + 1) % minutes == 0:
                    close_minute_nb(
                        self._bars_f, self._bars_i, minute, only, *regular, table.closes,
                        table.ranges, table.marks[new], table.ops[new], table.op_words[new, 1:],
                    )  # fmt: skip
            table.ops[new, place] = table.op_words[new, 1 + place] = 0  # nobody looked at them yet

    def _take_prices(self) -> None:
        """Copy the prices of whole minutes that are new, or all in memory."""
        table, history = self._table, self._history
        slots = history.minute_stamp % len(table.long_stamp)
        fresh = (history.minute_stamp >= 0) & (table.long_stamp[slots] != history.minute_stamp)
        for row in np.flatnonzero(fresh).tolist():
            table.long_price[slots[row]] = history.minute_price[row]
            table.long_stamp[slots[row]] = history.minute_stamp[row]

    def _regular(self) -> tuple[int, int]:
        """Minutes of regular hours, the last exclusive."""
        session = self._session[0]
        minute = records.NS_PER_MINUTE
        return int(session["open_ns"]) // minute, int(session["close_ns"]) // minute

    def _fill_extremes(self, closed: int) -> None:
        """In a stream's first cycle, or in the first that keeps them: what the bars of the time
        before it say."""
        kept = min(self._bars_i.shape[0], len(self._table.minute_stamp))
        for minute in range(max(0, closed - kept + 1), closed + 1):
            self._put_extremes(minute)

    def _put_extremes(self, minute: int) -> None:
        table, row = self._table, minute % len(self._table.minute_stamp)
        minute_extremes_nb(
            self._bars_f, self._bars_i, minute, table.minute_high[row], table.minute_low[row]
        )
        table.minute_stamp[row] = minute


def enter_daily(
    arrays: dict[str, npt.NDArray], places: npt.NDArray[np.int64], bars: list[npt.NDArray]
) -> None:
    """Put official daily bars into the arrays of a genesis, in place of those that are there.

    arrays: with frame_closes, frame_ranges, frame_marks, one entry per symbol on their last axis;
    bars[i]: structured arrays with high, low, close, volume of the symbol at places[i], adjusted,
    oldest first, up to yesterday; only the newest KEPT_CLOSES of them are kept. From the first
    cycle on, families of the timeframe D are filled from them.
    """
    closes, marks = arrays["frame_closes"][DAILY_PLACE], arrays["frame_marks"][DAILY_PLACE]
    ranges = arrays["frame_ranges"][DAILY_PLACE]
    for place, days in zip(places.tolist(), bars, strict=True):
        newest = days[-KEPT_CLOSES:]
        number = np.arange(len(newest))
        closes[number, place] = newest["close"]
        late = max(0, len(newest) - KEPT_RANGES)
        for row, name in enumerate(("high", "low", "volume")):
            ranges[row, number[late:] % KEPT_RANGES, place] = newest[name][late:]
        marks[place] = len(newest) << MARK_SHIFT
