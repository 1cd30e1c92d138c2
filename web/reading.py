"""Consistent copies out of shared memory: a copy counts only if its guard still holds afterwards.

Nothing here waits or writes. Every function makes a bounded number of attempts and then raises
TornError, which the front answers with 503 and the next tick of a push loop simply tries again.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from engine.domain.tables import CELL_SLOTS, WORD_STRIDE, EngineTables
from engine.metrics.registry import COLUMNS
from shm.fences import read_word

ATTEMPTS = 16
_Copy = TypeVar("_Copy")


class NoCycleError(Exception):
    """Raised when no cycle has been published yet, so there is nothing to show."""


class TornError(Exception):
    """Raised when the engine overtook every attempt to copy; carries what was being copied."""


@dataclasses.dataclass(frozen=True)
class MetricIndex:
    """Where metrics lie in ScanTable.columns: names[i] is column i."""

    names: tuple[str, ...]
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def column(self, name: str) -> int:
        """Column of a metric; -1 when there is none."""
        return self.names.index(name) if name in self.names else -1


def copy_cell(tables: EngineTables, copy: Callable[[int], _Copy], what: str) -> _Copy:
    """Run copy(slot) on the newest published cell until the cell was still whole afterwards."""
    cells = tables.cell.cells
    for _ in range(ATTEMPTS):
        n = cells.published()
        if n < 0:
            raise NoCycleError("No cycle has been published yet.")
        copied = copy(n % CELL_SLOTS)
        if cells.valid(n):
            return copied
    raise TornError(what)


def read_head(tables: EngineTables) -> np.void:
    """Copy of the head of the newest cell (one CELL_HEAD record)."""
    head: np.void = copy_cell(tables, lambda slot: tables.cell.heads[slot].copy(), "the cell head")
    return head


def read_rows(tables: EngineTables, ids: Sequence[int]) -> tuple[np.void, np.ndarray]:
    """Head and rows (ROW[len(ids)]) of one and the same cycle."""
    index = np.asarray(ids, np.int64)

    def copy(slot: int) -> tuple[np.void, np.ndarray]:
        return tables.cell.heads[slot].copy(), tables.cell.rows[slot][index]

    return copy_cell(tables, copy, "symbol rows")


def read_columns(tables: EngineTables, columns: Sequence[int]) -> np.ndarray:
    """float64[len(columns), rows]: metric columns as of each worker's newest applied cycle.

    A column number of -1 gives unknown. While worker w's word says n it writes only the copy of
    the other parity, so a slice counts if its word is unchanged after an acquire fence.
    """
    out = np.full((len(columns), tables.sizes.rows), np.nan)
    for worker in range(tables.sizes.workers):
        start = worker * tables.sizes.slice_rows
        part = slice(start, start + tables.sizes.slice_rows)
        _read_slice(tables, worker, part, columns, out)
    return out


def _read_slice(
    tables: EngineTables, worker: int, part: slice, columns: Sequence[int], out: np.ndarray
) -> None:
    cells, word = tables.cell.cells, worker * WORD_STRIDE
    for _ in range(ATTEMPTS):
        n = read_word(tables.scan.words, word)
        source = tables.scan.columns[n & 1]
        for row, column in enumerate(columns):
            if column >= 0:
                out[row, part] = source[column, part]
        cells.valid(n)  # its acquire fence keeps the copies above before the second look
        if read_word(tables.scan.words, word) == n:
            return
    raise TornError("metric columns")


def read_symbol_metrics(tables: EngineTables, symbol: int) -> np.ndarray:
    """float64[metrics]: every metric of one symbol, NaN unknown, from one cycle of its worker."""
    worker = symbol // tables.sizes.slice_rows
    for _ in range(ATTEMPTS):
        n = read_word(tables.scan.words, worker * WORD_STRIDE)
        values: np.ndarray = tables.scan.columns[n & 1, :COLUMNS, symbol].copy()
        tables.cell.cells.valid(n)
        if read_word(tables.scan.words, worker * WORD_STRIDE) == n:
            return values
    raise TornError("the symbol's metrics")


def _copy_history(tables: EngineTables, copy: Callable[[], _Copy], what: str) -> _Copy:
    """Run copy() while no cycle is between seal and publish: only then histories are written."""
    cells = tables.cell.cells
    for _ in range(ATTEMPTS):
        n = cells.published()
        if n < 0:
            raise NoCycleError("No cycle has been published yet.")
        copied = copy()
        cells.valid(n)
        if cells.sealed() == n:
            return copied
    raise TornError(what)


def read_bars(tables: EngineTables, symbol: int, count: int) -> np.ndarray:
    """BAR[<= count]: newest final bars of one symbol, oldest first; empty minutes are absent."""
    newest = int(read_head(tables)["closed_minute"])
    span = min(count, tables.sizes.history_bars)
    minutes = np.arange(newest - span + 1, newest + 1)
    slots = minutes % tables.sizes.history_bars
    bars = _copy_history(tables, lambda: tables.history.bars[slots, symbol], "final bars")
    found: np.ndarray = bars[bars["minute"] == minutes]
    return found


def read_closes(tables: EngineTables, symbols: np.ndarray, count: int) -> np.ndarray:
    """float64[len(symbols), count]: closes of the last `count` minutes, NaN where no bar is."""
    newest = int(read_head(tables)["closed_minute"])
    minutes = np.arange(newest - count + 1, newest + 1)
    slots = minutes % tables.sizes.history_bars
    grid = np.ix_(slots, symbols)
    bars = _copy_history(tables, lambda: tables.history.bars[grid], "closes")
    closes = np.where(bars["minute"] == minutes[:, None], bars["close"], np.nan)
    return np.ascontiguousarray(closes.T)


class SymbolDirectory:
    """Ticker to symbol id and back, read again only when the names changed."""

    def __init__(self, tables: EngineTables) -> None:
        self._names = tables.names
        self._version = -1
        self._by_ticker: dict[str, int] = {}
        self._by_capitals: dict[str, list[str]] = {}
        self._tickers = np.empty(0, dtype=object)
        self._ids = np.empty(0, np.int64)

    def _refresh(self) -> None:
        version = self._names.version()
        if version == self._version:
            return
        found = sorted((ticker, symbol) for symbol, ticker in self._names.all())
        self._by_ticker = dict(found)
        self._by_capitals = {}
        for ticker, _ in found:
            self._by_capitals.setdefault(ticker.upper(), []).append(ticker)
        self._tickers = np.array([ticker for ticker, _ in found], dtype=object)
        self._ids = np.array([symbol for _, symbol in found], np.int64)
        if self._names.version() == version:
            self._version = version

    def id(self, ticker: str) -> int | None:
        """Symbol id of a ticker, None when it was never admitted."""
        self._refresh()
        return self._by_ticker.get(ticker)

    def spelling(self, text: str) -> str | None:
        """The ticker that a text means: that ticker, else the only one that differs in small and
        capital letters alone; None when there is none, or more than one."""
        self._refresh()
        if text in self._by_ticker:
            return text
        alike = self._by_capitals.get(text.upper(), []) if text.isascii() else []
        return alike[0] if len(alike) == 1 else None

    def ids(self) -> np.ndarray:
        """int64: ids of every admitted symbol, in the order of `tickers`."""
        self._refresh()
        return self._ids

    def tickers(self) -> np.ndarray:
        """object: every admitted ticker in alphabetical order."""
        self._refresh()
        return self._tickers


def session_name(session: np.void, t_ns: int) -> str:
    """Session of the stream's date that an instant falls in: pre, regular, after or closed."""
    if session["start_ns"] <= t_ns < session["open_ns"]:
        return "pre"
    if session["open_ns"] <= t_ns < session["close_ns"]:
        return "regular"
    if session["close_ns"] <= t_ns < session["end_ns"]:
        return "after"
    return "closed"


def session_date(session: np.void) -> str:
    """The stream's session date as YYYY-MM-DD, '' before genesis."""
    date = int(session["date"])
    return f"{date // 10000:04d}-{date // 100 % 100:02d}-{date % 100:02d}" if date else ""


def instant(ns: int | None) -> str | None:
    """RFC 3339 text of ns UTC, milliseconds kept; None for 0 (never) and for None."""
    if ns is None or ns <= 0:
        return None
    ms = np.datetime64(ns // 1_000_000, "ms")
    return f"{ms}Z"


def number(value: float) -> float | None:
    """A float for JSON: unknown (NaN) and infinite are null."""
    value = float(value)
    return value if np.isfinite(value) else None


__all__ = [
    "MetricIndex", "NoCycleError", "SymbolDirectory", "TornError", "copy_cell", "instant", "number",
    "read_bars", "read_closes", "read_columns", "read_head", "read_rows", "read_symbol_metrics",
    "session_date", "session_name",
]
