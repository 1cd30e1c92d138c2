"""Windows in time of one scan worker, and the bars that are forming for it."""

import numpy as np
import numpy.typing as npt

from engine.domain import records
from engine.domain.family import CODES, F_FIELD, F_KIND, F_WINDOW_S, HIGH, SHORT_MINUTES
from engine.domain.tables import CELL_SLOTS, EngineTables
from engine.families.tile_nb import TILE
from engine.families.time_nb import (
    change_nb,
    closed_part_nb,
    closed_volume_nb,
    extreme_nb,
    forming_nb,
    row_of_nb,
    volatility_nb,
    volume_nb,
)

_FINE_S = 900  # up to here a window is in seconds
_CHG, _VOL, _RANGE = CODES["chg_time"], CODES["vol_time"], CODES["range_time"]
_HIGHEST, _LOWEST = CODES["highest_time"], CODES["lowest_time"]
_SUM, _AVG, _RV = CODES["sum_time"], CODES["avg_time"], CODES["rv"]
_AT_CLOSES = (_SUM, _AVG, _RV)  # change when a minute closes, and only then


class Windows:
    """For symbols [first, end). Everything is computed from the tables: nothing is remembered but
    what would be computed again."""

    def __init__(self, tables: EngineTables, first: int, end: int) -> None:
        self._tables = tables
        self._first, self._end = first, end
        cells = tables.cell.rows
        words = cells.dtype.itemsize // 8
        self._rows_f = cells.view(np.float64).reshape(*cells.shape, words)
        self._rows_i = cells.view(np.int64).reshape(*cells.shape, words)
        bars = tables.history.bars
        self._bars_f = bars.view(np.float64).reshape(*bars.shape, -1)
        self._bars_i = bars.view(np.int64).reshape(*bars.shape, -1)
        self._tiles = np.zeros(-(-(end - first) // TILE), np.uint8)
        self._spare = np.zeros(tables.sizes.rows)
        self._all = np.ones(tables.sizes.rows, np.uint8)
        self._touched = np.zeros(tables.sizes.rows, np.uint8)
        self._forming = np.zeros((4, tables.sizes.rows))
        self.forget()

    def forget(self) -> None:
        """Rely on nothing but the tables from now on."""
        self._anew = True
        self._closed_parts: dict[tuple[int, bool], npt.NDArray[np.float64]] = {}
        self._minute_n = -1
        self.take(np.zeros((0, F_WINDOW_S + 1), np.int64), np.zeros(0, np.int64))

    def take(self, words: np.ndarray, columns: np.ndarray) -> None:
        """Compute these windows from now on: words of families, and columns of their values."""
        self._wanted = [
            (int(row[F_KIND]), int(row[F_FIELD]), int(row[F_WINDOW_S]), column)
            for row, column in zip(words, columns.tolist(), strict=True)
        ]
        self._anew = True

    # -- windows ---------------------------------------------------------------------------------
    def step(self, n: int, columns: npt.NDArray[np.float64]) -> None:
        """Write the windows of cycle n. What did not change stands there as it was carried over,
        two cycles after it did, one cycle after it is written a second time."""
        head, before = (self._tables.cell.heads[m % CELL_SLOTS] for m in (n, n - 1))
        self._closed = int(head["closed_minute"])
        advanced = self._anew or self._closed != int(before["closed_minute"])
        self._advanced_twice = advanced or self._minute_n == n - 1
        if advanced:
            self._minute_n = n
        self._anew = False
        self._see_events(n, self._advanced_twice)
        t_ns = int(head["t_ns"])
        for kind, field, window_s, column in self._wanted:
            self._one(n, kind, field, window_s, t_ns, columns[column])

    def _see_events(self, n: int, whole: bool) -> None:
        """Which symbols' final bars may have changed in this cycle or in the one before."""
        self._tiles[:] = whole
        self._touched[self._first : self._end] = 0
        for m in (n - 1, n):
            head = self._tables.cell.heads[m % CELL_SLOTS]
            count = int(head["event_count"]) if m > 0 and int(head["n"]) == m else 0
            symbols = self._tables.cell.events[m % CELL_SLOTS, :count]["sym"]
            mine = symbols[(symbols >= self._first) & (symbols < self._end)]
            self._touched[mine] = 1
            self._tiles[(mine - self._first) // TILE] = 1

    def _one(
        self, n: int, kind: int, field: int, window_s: int, t_ns: int,
        out: npt.NDArray[np.float64],
    ) -> None:
        if kind in (_CHG, _VOL):
            self._of_last(n, kind, window_s, t_ns, out)
        elif kind not in _AT_CLOSES:
            self._extreme(kind, field, window_s // 60, out)
        elif self._advanced_twice:
            self._at_close(kind, window_s // 60, out)

    def _of_last(
        self, n: int, kind: int, window_s: int, t_ns: int, out: npt.NDArray[np.float64]
    ) -> None:
        """chg and vol: against an instant, by whole seconds up to 15 min, else by whole minutes."""
        history, rows = self._tables.history, self._rows_f[n % CELL_SLOTS]
        session = self._tables.session[0]
        start_ns, interval_ns = int(session["start_ns"]), int(session["interval_ns"])
        fine = window_s <= _FINE_S
        unit_ns = records.NS_PER_SECOND if fine else records.NS_PER_MINUTE
        instant = t_ns // unit_ns - window_s * records.NS_PER_SECOND // unit_ns
        earliest = -(-start_ns // unit_ns)
        if kind == _VOL:
            volumes = history.second_volume if fine else history.session_volume
            stamps = history.second_stamp if fine else history.session_stamp
            row = row_of_nb(stamps, instant, earliest)
            volume_nb(rows, volumes, row, self._first, self._end, out)
            return
        prices, stamps = history.second_price, history.second_stamp
        if not fine:
            prices, stamps = self._minute_prices(window_s // 60)
        row = row_of_nb(stamps, instant, earliest)
        if window_s * records.NS_PER_SECOND < interval_ns:
            row = -1  # nobody looked within one cycle
        change_nb(rows, prices, row, self._first, self._end, out)

    def _earliest(self) -> int:
        """The first whole minute of the session date."""
        return -(-int(self._tables.session[0]["start_ns"]) // records.NS_PER_MINUTE)

    def _extreme(
        self, kind: int, field: int, minutes: int, out: npt.NDArray[np.float64]
    ) -> None:
        frames, earliest = self._tables.frames, self._earliest()

        def extreme(
            values: npt.NDArray[np.float64], sign: float, to: npt.NDArray[np.float64]
        ) -> None:
            extreme_nb(
                values, frames.minute_stamp, self._closed, minutes, earliest, sign, self._first,
                self._end, self._tiles, to,
            )  # fmt: skip

        if kind == _RANGE:
            extreme(frames.minute_high, 1.0, out)
            extreme(frames.minute_low, -1.0, self._spare)
            mine = np.repeat(self._tiles, TILE)[: self._end - self._first] != 0
            part = slice(self._first, self._end)
            np.subtract(out[part], self._spare[part], out=out[part], where=mine)
            return
        values = frames.minute_high if field == HIGH else frames.minute_low
        extreme(values, 1.0 if kind == _HIGHEST else -1.0, out)

    def _at_close(self, kind: int, minutes: int, out: npt.NDArray[np.float64]) -> None:
        history, end = self._tables.history, self._closed + 1
        earliest = self._earliest()
        if kind == _RV:
            prices, stamps = self._minute_prices(minutes)
            volatility_nb(prices, stamps, end, minutes, earliest, self._first, self._end, out)
            return
        newest = row_of_nb(history.session_stamp, end, earliest)
        row = row_of_nb(history.session_stamp, end - minutes, earliest)
        divisor = float(minutes) if kind == _AVG else 1.0
        closed_volume_nb(
            history.session_volume, row, newest, divisor, self._first, self._end, out
        )

    def _minute_prices(
        self, minutes: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """(prices, stamps) of whole minutes that reach so far back."""
        history, frames = self._tables.history, self._tables.frames
        if minutes <= SHORT_MINUTES:
            return history.minute_price, history.minute_stamp
        return frames.long_price, frames.long_stamp

    # -- forming bars ----------------------------------------------------------------------------
    def forming(self, n: int, frame: tuple[int, bool]) -> npt.NDArray[np.float64]:
        """float64[4, rows], see step_nb.live_nb: the bar of a timeframe that forms in cycle n.

        It is that of the first minute that is not closed. Call step(n) before.
        """
        minutes, regular = frame
        session, minute_ns = self._tables.session[0], records.NS_PER_MINUTE
        start = (self._closed + 1) // minutes * minutes
        end, closed_end = start + minutes, self._closed + 1
        if regular:
            opened, close = (int(session[name]) // minute_ns for name in ("open_ns", "close_ns"))
            start, end = max(start, opened), min(end, close)
            closed_end = min(closed_end, close)
        known = self._closed_parts.get(frame)
        dirty = self._touched
        if known is None or self._minute_n == n:
            known, dirty = np.empty((4, self._tables.sizes.rows)), self._all
            self._closed_parts[frame] = known
        closed_part_nb(
            self._bars_f, self._bars_i, start, closed_end, self._first, self._end, dirty, known
        )
        slot = n % CELL_SLOTS
        forming_nb(
            self._rows_f[slot], self._rows_i[slot], known, start, end, self._first, self._end,
            self._forming,
        )  # fmt: skip
        return self._forming
