"""The bars provider: 1-minute bars as ticks, each bar applied whole at the end of its minute.

A bar becomes five trades with recv_ns at the minute's end: open and close set last, high and low
only extremes; the fifth carries the volume at the typical price (h + l + c) / 3, because the file
has no VWAP. All of them are marked COND_BAR: how many trades there were and of what size is not
known. Their stamps say no more than that an extreme lies in the minute and the close at its end.
"""

import csv
import datetime
import gzip
import io
import re
import zlib
from pathlib import Path

import numpy as np

from engine.domain.records import (
    COND_BAR,
    COND_HILO,
    COND_LAST,
    COND_VOLUME,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    TICK,
    TICK_TRADE,
)
from engine.feeds.errors import FeedError
from engine.feeds.port import BEFORE_ALL, Report
from engine.feeds.wire.csv_nb import SYMBOL_BYTES

COLUMNS = ("ts", "symbol", "open", "high", "low", "close", "volume")
_PARTS = 5
_CONDITIONS = (COND_LAST | COND_HILO, COND_HILO, COND_HILO, COND_LAST | COND_HILO, COND_VOLUME)
_MAX_TOLD = 200
_SYMBOL = re.compile(rf"[!#-+\--~]{{1,{SYMBOL_BYTES}}}")  # printable, no quotation mark, no comma
# What float() is trusted with; it would also read 1_000 and blanks around.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LAST_NS = np.iinfo(np.int64).max - NS_PER_MINUTE


class BarsFile:
    """A CSV or CSV.gz of bars, read whole: start int64[n] (ns), symbol int64[n], values
    float64[n, 5] (open, high, low, close, volume), in order of time.

    rows_bad: rows that were told, counted and left out. Raises FeedError for a file that is none.
    """

    def __init__(self, path: Path, report: Report) -> None:
        self.path = path
        self.tickers: list[str] = []
        self.rows_bad = 0
        self._report = report
        self._numbers: dict[str, int] = {}
        starts: list[int] = []
        symbols: list[int] = []
        values: list[tuple[float, ...]] = []
        for line, row in self._rows():
            found = self._row(line, row, starts[-1] if starts else 0)
            if found is not None:
                starts.append(found[0])
                symbols.append(found[1])
                values.append(found[2])
        self.start = np.array(starts, np.int64)
        self.symbol = np.array(symbols, np.int64)
        self.values = np.array(values, np.float64).reshape(-1, 5)

    def _rows(self) -> list[tuple[int, list[str]]]:
        try:
            content = self.path.read_bytes()
            if content.startswith(b"\x1f\x8b"):
                content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise FeedError(f"{self.path} cannot be read: {error}.") from error
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig", "replace"), newline=""))
        try:
            header = next(reader, [])
            if tuple(header[: len(COLUMNS)]) != COLUMNS:
                wanted = ",".join(COLUMNS)
                raise FeedError(f"{self.path} does not begin with the columns {wanted}.")
            return [(reader.line_num, row) for row in reader if row]
        except csv.Error as error:
            raise FeedError(f"{self.path} line {reader.line_num}: {error}.") from error

    def _row(
        self, line: int, row: list[str], newest_ns: int
    ) -> tuple[int, int, tuple[float, ...]] | None:
        """Start, symbol number and values of a good row; a bad one is told and counted."""
        try:
            start_ns = _minute_ns(row[0])
            opened, high, low, close, volume = map(_number, row[2:7])
        except (ValueError, IndexError):
            self._bad(line, "is not a time, a symbol and five numbers")
            return None
        ticker = row[1]
        why = ""
        if not _SYMBOL.fullmatch(ticker):
            why = f"has no usable symbol ({ticker[:30]!r})"
        elif not (0 < low <= min(opened, close) and max(opened, close) <= high < np.inf):
            why = "has prices that are no bar"
        elif not 0 <= volume < np.inf:
            why = "has no volume"
        elif start_ns < newest_ns:
            why = "goes back in time"
        if why:
            self._bad(line, why)
            return None
        number = self._numbers.setdefault(ticker, len(self.tickers))
        if number == len(self.tickers):
            self.tickers.append(ticker)
        return start_ns, number, (opened, high, low, close, volume)

    def _bad(self, line: int, why: str) -> None:
        self.rows_bad += 1
        if self.rows_bad <= _MAX_TOLD:
            self._report(f"{self.path} line {line} {why}; it is left out.")


def _number(text: str) -> float:
    """A decimal number; one too large is infinite. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a decimal number")
    return float(text)


def _minute_ns(text: str) -> int:
    """Start of a minute written like 2025-01-02T09:00:00Z. Raises ValueError."""
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    seconds = int(moment.timestamp())
    if seconds % 60 or moment.microsecond:
        raise ValueError("not the start of a minute")
    if not 0 <= seconds * NS_PER_SECOND <= _LAST_NS:
        raise ValueError("not in the range of nanoseconds")
    return seconds * NS_PER_SECOND


class BarsProvider:
    """Bars whose minutes begin in [start_ns, end_ns), as ticks. src_pos = row * 8 + part."""

    live = False
    rows_late = 0
    unknown_conditions = 0

    def __init__(self, bars: BarsFile, start_ns: int, end_ns: int) -> None:
        self._bars = bars
        self.start_ns = start_ns
        self.rows_bad = bars.rows_bad
        self._first, self._end = np.searchsorted(bars.start, (start_ns, end_ns))
        self._at = int(self._first)
        names = np.zeros((len(bars.tickers), SYMBOL_BYTES), np.uint8)
        for number, ticker in enumerate(bars.tickers):
            names[number, : len(ticker)] = np.frombuffer(ticker.encode(), np.uint8)
        self._names = names.view(np.int64)

    @property
    def names(self) -> np.ndarray:
        """Tickers by number, int64[n, 3]."""
        return self._names

    def name(self, number: int) -> str:
        """Ticker of a number."""
        return self._bars.tickers[number]

    def read(self, limit: int) -> np.ndarray:
        """The ticks of the next bars, whole bars only; empty at the end."""
        count = min(max(1, limit // _PARTS), int(self._end) - self._at)
        rows = slice(self._at, self._at + count)
        self._at += count
        return self._ticks(rows, count)

    def _ticks(self, rows: slice, count: int) -> np.ndarray:
        bars = self._bars
        ticks = np.zeros((count, _PARTS), TICK)
        start = bars.start[rows][:, None]
        opened, high, low, close, volume = bars.values[rows].T
        ticks["kind"] = TICK_TRADE
        ticks["cond"] = np.array(_CONDITIONS, np.uint8) | COND_BAR
        ticks["sym"] = bars.symbol[rows][:, None]
        ticks["recv_ns"] = start + NS_PER_MINUTE
        ticks["event_ns"] = start + np.array([0, 1, 2, NS_PER_MINUTE - 1, NS_PER_MINUTE - 1])
        position = np.arange(rows.start, rows.start + count)[:, None] * 8
        ticks["src_pos"] = ticks["id"] = position + np.arange(_PARTS)
        ticks["a"] = np.stack([opened, high, low, close, (high + low + close) / 3], 1)
        ticks["b"][:, _PARTS - 1] = volume
        return ticks.reshape(-1)

    def seek(self, src_pos: int) -> None:
        """Go on with the bar behind the one that src_pos belongs to."""
        self._at = max(int(self._first), src_pos // 8 + 1 if src_pos >= 0 else 0)

    def reset(self) -> None:
        """Begin again."""
        self.seek(BEFORE_ALL)
