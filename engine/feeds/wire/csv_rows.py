"""Reads one recording of trades or quotes (CSV or CSV.gz) into TICK records, block by block."""

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from engine.domain.records import TICK
from engine.feeds.conditions import Conditions
from engine.feeds.errors import FeedError
from engine.feeds.wire import csv_nb as nb
from engine.feeds.wire.stream import MAX_LINE_BYTES, CutShort, line_blocks
from engine.feeds.wire.texts import Meanings, Tickers

Report = Callable[[str], None]

TRADE_COLUMNS = ("ts_ns", "recv_ns", "symbol", "price", "size", "", "", "conditions", "exchange")
QUOTE_COLUMNS = ("ts_ns", "recv_ns", "symbol", "bid", "bid_size", "ask", "ask_size", "", "exchange")
_OPTIONAL = {"recv_ns", "conditions", "exchange", ""}
_OUT_ROWS = 1 << 15
_NOTES = 1 << 10
MAX_REPORTS = 200

WHY = {
    nb.BAD_COLUMNS: "it has not as many columns as the header",
    nb.BAD_QUOTES: "its quotation marks are broken",
    nb.BAD_TIME: "its time is not a number of nanoseconds",
    nb.BAD_NUMBER: "a price or size is not a number",
    nb.BAD_PRICE: "a price is not above 0",
    nb.BAD_SIZE: "a size is below 0 or not usable",
    nb.BAD_SYMBOL: f"its symbol is not 1 to {nb.SYMBOL_BYTES} printable characters",
    nb.BAD_TEXT: "its conditions or exchange are too long",
    nb.BAD_LENGTH: f"it is longer than {MAX_LINE_BYTES} bytes",
}

# What float() is trusted with; it would also read 1_000, nan, inf and blanks around.
_DECIMAL = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_VENUES = {"NASDAQ": "Q", "NYSE": "N", "ARCA": "P", "BATS": "Z", "IEX": "V"}


def _venue(text: str) -> tuple[int, int]:
    code = text if len(text) == 1 else _VENUES.get(text.upper(), "\0")
    return min(ord(code), 255), 0


class CsvRows:
    """One recording. `read` gives the next block of good rows, None at the end.

    A row is bad, reported by line and reason, counted and left out when: its column count is not
    the header's, its time is not a number, a price or size is not a decimal number, a trade's
    price is not above 0, a quote's price or any size is below 0, a quote's size is not whole, its
    symbol is not 1..24 printable ASCII characters. Empty lines are nothing. A quote's price of 0
    says that there is no quote on that side. Time that goes back is no fault: the row is late,
    keeps its event_ns and gets the recv_ns of the row before it (`rows_late`); the first one is
    reported, because a single row too far ahead makes all that follow late. sym is the number in
    `tickers`; src_pos is not set.
    """

    def __init__(
        self, path: Path, kind: int, tickers: Tickers, conditions: Conditions, report: Report
    ) -> None:
        """kind: nb.TRADES or nb.QUOTES. Raises FeedError when the file or its header is
        unusable."""
        self.path = path
        self.rows_bad = self.rows_late = self.unknown_conditions = 0
        self.quiet = False  # only count: an earlier process has told of these rows
        self._kind = kind
        self._tickers = tickers
        self._report = report
        self._reported = 0
        self._conditions = Meanings(lambda text: _known(conditions.of_text(text)))
        self._venues = Meanings(_venue)
        self._time_ns = 0
        self._state = np.zeros(nb.STATE_WORDS, np.int64)
        self._out = np.zeros(_OUT_ROWS, TICK)
        self._hard = np.zeros((4 * _NOTES, 5), np.int64)
        self._bad_lines, self._bad_why = np.zeros((2, _NOTES), np.int64)
        self._blocks = self._open()
        self._data = b""
        self._array = np.empty(0, np.uint8)
        self._ended = False
        self._too_long = 0
        self._columns, self._fields = self._header()

    def _open(self) -> Iterator[tuple[bytes, int]]:
        return line_blocks(self.path)

    def _header(self) -> tuple[np.ndarray, np.ndarray]:
        self._next_block()
        first, _, rest = self._data.partition(b"\n")
        try:
            cells = next(csv.reader([first.decode("utf-8-sig").rstrip("\r")], strict=True), [])
        except (UnicodeDecodeError, csv.Error):
            raise FeedError(f"{self.path} line 1: the header is not readable.") from None
        names = [cell.strip().lower() for cell in cells]
        wanted = TRADE_COLUMNS if self._kind == nb.TRADES else QUOTE_COLUMNS
        missing = [name for name in wanted if name not in names and name not in _OPTIONAL]
        if missing:
            raise FeedError(f"{self.path} line 1: the column {missing[0]} is missing.")
        for name in wanted:
            if names.count(name) > 1:
                raise FeedError(f"{self.path} line 1: the column {name} stands there twice.")
        places = [names.index(name) if name and name in names else -1 for name in wanted]
        self._state[nb.LINE] = 1
        self._take(rest)
        return np.array(places, np.int64), np.zeros((2, len(names)), np.uint64)

    def _take(self, data: bytes) -> None:
        self._data = data
        self._array = np.frombuffer(data, np.uint8)
        self._state[nb.AT] = 0

    def _next_block(self) -> bool:
        """Fetch the next block of lines; False at the end of the file."""
        if self._too_long:
            self._too_long = 0
            self._state[nb.LINE] += 1
            self._bad(int(self._state[nb.LINE]), nb.BAD_LENGTH)
        try:
            data, self._too_long = next(self._blocks)
        except StopIteration:
            self._ended = True
            return False
        except CutShort as error:
            self._ended = True
            self._say(f"{self.path} after line {self._state[nb.LINE]}: {error}; the rest is lost.")
            return False
        self._take(data)
        return True

    def read(self) -> np.ndarray | None:
        """The next block of rows, TICK[n >= 1]; it is valid until the next call. None at the
        end."""
        while not self._ended:
            if self._state[nb.AT] >= len(self._data) and not self._next_block():
                break
            ticks = self._parse()
            if len(ticks):
                before_ns, recv_ns = self._time_ns, ticks["recv_ns"].copy()
                self._time_ns, late = nb.clamp_nb(ticks, before_ns)
                if late:
                    if not self.rows_late:
                        self._say_late(ticks, recv_ns)
                    self.rows_late += int(late)
                return ticks
        return None

    def _parse(self) -> np.ndarray:
        """Rows of the present block, up to the room in `_out`."""
        state = self._state
        state[nb.ROWS] = state[nb.BAD] = state[nb.HARD] = state[nb.UNKNOWN] = 0
        status = nb.NEW_TEXT
        while status in {nb.NEW_TEXT, nb.SYMBOLS_FULL, nb.TEXTS_FULL}:
            status = nb.read_rows_nb(
                self._kind,
                self._array,
                self._columns,
                self._tickers.texts,
                self._conditions.texts,
                self._venues.texts,
                self._out,
                self._hard,
                self._bad_lines,
                self._bad_why,
                state,
                self._fields,
            )
            self._answer(status)
        bad = list(zip(self._bad_lines, self._bad_why, strict=True))[: int(state[nb.BAD])]
        ticks = self._out[: int(state[nb.ROWS])]
        if state[nb.HARD]:
            ticks, refused = self._hard_numbers(ticks)
            bad = sorted(bad + refused)
        for line, why in bad:
            self._bad(int(line), int(why))
        self.unknown_conditions += int(state[nb.UNKNOWN])
        return ticks

    def _answer(self, status: int) -> None:
        """Do what the kernel stopped for."""
        if status == nb.SYMBOLS_FULL:
            self._tickers.grow()
        elif status == nb.TEXTS_FULL:
            self._conditions.make_room()
            self._venues.make_room()
        elif status == nb.NEW_TEXT:
            self._venues.resolve_new()
            for text in self._conditions.resolve_new():
                self._say(f"{self.path}: condition {text!r} is unknown: volume only.")

    def _hard_numbers(self, ticks: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """Let float() read the numbers the kernel left; the good rows and (line, why) of the
        others."""
        refused: dict[int, tuple[int, int]] = {}
        for row, place, start, end, line in self._hard[: int(self._state[nb.HARD])].tolist():
            why = self._hard_number(ticks, row, place, self._data[start:end])
            if why:
                refused.setdefault(row, (line, why))
        if refused:
            keep = np.ones(len(ticks), bool)
            keep[list(refused)] = False
            ticks = ticks[keep]
        return ticks, list(refused.values())

    def _hard_number(self, ticks: np.ndarray, row: int, place: int, text: bytes) -> int:
        """Store the value of `text` in its place (0 price, 1 size, 2 ask, 3 ask size); why bad, or
        0."""
        value = float(text) if _DECIMAL.fullmatch(text) else np.nan
        trade = self._kind == nb.TRADES
        if not np.isfinite(value):
            return nb.BAD_NUMBER
        if value < 0 or (trade and place == 0 and value == 0):
            return nb.BAD_SIZE if place % 2 else nb.BAD_PRICE
        if place % 2 and not trade:
            if value >= nb.SIZE_BLANK or value != int(value):
                return nb.BAD_SIZE
            ticks["n1" if place == 1 else "n2"][row] = int(value)
        else:
            ticks["a" if place == 0 else "b"][row] = value
        return 0

    def _bad(self, line: int, why: int) -> None:
        self.rows_bad += 1
        self._say(f"{self.path} line {line}: {WHY[why]}; the row is left out.")

    def _say_late(self, ticks: np.ndarray, recv_ns: np.ndarray) -> None:
        """Name the first late row; recv_ns: int64[n], times as they stand in the file."""
        at = int(np.argmax(recv_ns < ticks["recv_ns"]))
        ticker, reached_ns = self._tickers.name(int(ticks["sym"][at])), int(ticks["recv_ns"][at])
        self._say(
            f"{self.path}: the row of {ticker} at {recv_ns[at]} comes after one at {reached_ns}; "
            "it is taken in at that time, as are others that are late."
        )

    def _say(self, sentence: str) -> None:
        """Report at most MAX_REPORTS sentences of one file; beyond that rows are counted only."""
        if self.quiet or self._reported > MAX_REPORTS:
            return
        self._reported += 1
        if self._reported > MAX_REPORTS:
            sentence = f"{self.path}: further faults are counted, not reported."
        self._report(sentence)


def _known(answer: tuple[int, bool]) -> tuple[int, int]:
    bits, known = answer
    return bits, 0 if known else 1
