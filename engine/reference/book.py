"""The book of a session date: what a stream knows of symbols before their first trade."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from engine.domain import records
from engine.domain.levels import (
    BASELINE_MINUTES,
    BASELINE_SESSIONS,
    BENCHMARK,
    LEVEL,
    LEVELS,
    MAX_LISTS,
    group_code,
)
from engine.domain.market_hours import TradingDay, date_number
from engine.reference.baselines import baseline
from engine.reference.levels import (
    YEAR_SESSIONS,
    Days,
    Jump,
    adjusted,
    beta,
    daily_atr,
    indicator_days,
    jumps,
    levels_of,
    previous_close,
    short_sales_restricted,
)
from engine.storage.reference_ports import Company, ReferenceReader, Split

CALENDAR_DAYS = 600  # so many before the date hold every session that a level looks back to
_LATELY = 20


@dataclasses.dataclass
class Book:
    """tickers: in order. reference: REFERENCE[n], place unset. levels: float64[LEVELS, n];
    baseline: float32[BASELINE_MINUTES, n], or [0, n] when nothing is known of volumes. lists: codes
    of the named lists by their bit. jumps: what looks like splits nobody told of. daily: adjusted
    DAILY bars of each symbol that daily indicators rest on, oldest first, see `indicator_days`."""

    tickers: list[str]
    reference: np.ndarray
    levels: np.ndarray
    baseline: np.ndarray
    lists: list[int]
    jumps: list[Jump]
    daily: list[np.ndarray]


def empty_book() -> Book:
    """A book that knows nobody."""
    return Book(
        [], records.unknown_reference(0), np.zeros((len(LEVELS), 0)),
        np.zeros((0, 0), np.float32), [], [], [],
    )  # fmt: skip


def _silent() -> None:
    """Nobody waits for a sign of life."""


def build_book(
    reader: ReferenceReader,
    day: TradingDay,
    calendar: Sequence[TradingDay],
    room: int,
    beat: Callable[[], None] = _silent,
) -> Book:
    """The book of a trading day, of at most `room` symbols: those that traded most in the last 20
    sessions, then those with volumes by minute, then those of the directory.

    calendar: trading days that reach back CALENDAR_DAYS. What lies before a jump that looks like a
    split nobody told of is not used: whatever needs it is unknown.
    """
    days = Days(
        date_number(day.date),
        np.array([date_number(one.date) for one in calendar if one.date < day.date], np.int64),
    )
    full = [date_number(one.date) for one in calendar if one.date < day.date and not one.early]
    companies = {one.ticker: one for one in reader.companies()}
    traded = reader.traded(days.back(_LATELY), days.back(1))
    sessions = full[-BASELINE_SESSIONS:]
    counted = reader.counted(sessions[0], sessions[-1]) if sessions else []
    rank = {**dict.fromkeys(companies, -1.0), **dict.fromkeys(counted, 0.0), **traded}
    tickers = sorted(sorted(rank, key=lambda name: (-rank[name], name))[:room])
    writer = _Writer(reader, days, sessions, tickers)
    for place, ticker in enumerate(tickers):
        writer.enter(place, ticker, companies.get(ticker))
        if place % 256 == 0:
            beat()
    return writer.book


class _Writer:
    """Fills a book symbol by symbol."""

    def __init__(
        self, reader: ReferenceReader, days: Days, sessions: list[int], tickers: list[str]
    ) -> None:
        self._reader, self._days, self._sessions = reader, days, sessions
        self._splits: dict[str, list[Split]] = {}
        for split in reader.splits():
            self._splits.setdefault(split.ticker, []).append(split)
        self._members: dict[str, int] = {}
        lists = dict(list(reader.lists().items())[:MAX_LISTS])
        for bit, members in enumerate(lists.values()):
            for ticker in members:
                self._members[ticker] = self._members.get(ticker, 0) | 1 << bit
        count = len(tickers)
        self.book = Book(
            tickers, records.unknown_reference(count), np.full((len(LEVELS), count), np.nan),
            np.full((BASELINE_MINUTES, count), np.nan, np.float32),
            [group_code(name) for name in lists], [], [],
        )  # fmt: skip
        self._benchmark, _ = self._bars(BENCHMARK)

    def _bars(self, ticker: str) -> tuple[np.ndarray, list[Jump]]:
        """Adjusted bars since the last jump that looks like a split, and those jumps."""
        splits = self._splits.get(ticker, [])
        bars = adjusted(self._reader.daily(ticker, self._days.date), splits, self._days.date)
        found = jumps(ticker, bars, splits)
        return (bars[bars["date"] >= found[-1].date] if found else bars), found

    def enter(self, place: int, ticker: str, told: Company | None) -> None:
        """Enter one symbol, the next in order."""
        bars, found = self._bars(ticker)
        self.book.jumps += [jump for jump in found if jump.date >= self._days.back(YEAR_SESSIONS)]
        self.book.daily.append(indicator_days(bars, self._days))
        levels = levels_of(bars, self._days)
        levels[LEVEL["beta60"]] = beta(bars, self._benchmark, self._days)
        row = self.book.reference[place : place + 1]
        row["prev_close"] = previous_close(bars, self._days)
        row["atr14_day"] = daily_atr(bars, self._days)
        restricted = short_sales_restricted(bars, self._days)
        flags = 0 if restricted is None else records.REF_SSR_KNOWN | records.REF_SSR * restricted
        splits = self._splits.get(ticker, [])
        if any(split.date == self._days.date and split.ratio == 1.0 for split in splits):
            flags |= records.REF_GAP_REAL
        if told is not None:
            flags |= records.REF_TEST_ISSUE * told.test_issue
            row["exchange"], row["sector"] = group_code(told.exchange), group_code(told.sector)
            row["industry"] = group_code(told.industry)
            levels[LEVEL["shares"]] = told.shares * self._since(splits, told.shares_as_of)
            levels[LEVEL["float"]] = told.float_shares * self._since(splits, told.float_as_of)
        row["flags"], row["lists"] = flags, self._members.get(ticker, 0)
        self._enter_baseline(place, ticker, levels, splits)
        self.book.levels[:, place] = levels

    def _since(self, splits: list[Split], as_of: int) -> float:
        """New shares for one of `as_of`."""
        return math.prod(s.ratio for s in splits if as_of < s.date <= self._days.date)

    def _enter_baseline(
        self, place: int, ticker: str, levels: np.ndarray, splits: list[Split]
    ) -> None:
        if not self._sessions:
            return
        first, last = self._sessions[0], self._sessions[-1]
        volumes = self._reader.day_volumes(ticker, first, last)
        mean, every, regular = baseline(volumes, self._sessions, splits, self._days.date)
        self.book.baseline[:, place] = mean
        levels[LEVEL["sessions_all"]], levels[LEVEL["sessions_rth"]] = every, regular
