"""Takes 1-minute bars into the store: volume by minute of each symbol and date."""

import datetime
import math

import numpy as np

from engine.domain.levels import BASELINE_MINUTES, BASELINE_OPEN
from engine.domain.market_hours import date_number, from_ns
from engine.reference.errors import ReferenceDataError
from engine.reference.files import Cells, Fault, Table
from engine.reference.outcome import Outcome, Progress
from engine.storage.reference_ports import DayVolume, ReferenceStore

MINUTE_COLUMNS = ("ts", "symbol", "volume")
_FIRST_MINUTE, _CLOSE_MINUTE = 4 * 60, BASELINE_OPEN + 390
_NS = 1_000_000_000
_ENOUGH = 20  # bars after which their spacing says something


class _Clock:
    """Date (yyyymmdd) and minute from 04:00 in New York of a UTC stamp; remembers the hours."""

    def __init__(self) -> None:
        self._hours: dict[int, tuple[int, int]] = {}

    def place(self, cells: Cells) -> tuple[int, int]:
        """Raises Fault for what is no start of a minute of the exchange's day."""
        text = cells.text("ts")
        try:
            moment = datetime.datetime.fromisoformat(text)
            if moment.tzinfo is None:
                raise ValueError
            seconds = int(moment.timestamp())
        except (ValueError, OverflowError):
            raise Fault("ts", text, "is not an instant like 2025-01-02T09:00:00Z") from None
        if seconds % 60 or moment.microsecond:
            raise Fault("ts", text, "is not the start of a minute")
        hour = seconds // 3600
        if hour not in self._hours:
            local = from_ns(hour * 3600 * _NS)
            self._hours[hour] = date_number(local.date()), local.hour * 60 + local.minute
        date, minute = self._hours[hour]
        minute += seconds // 60 % 60 - _FIRST_MINUTE
        if not 0 <= minute < BASELINE_MINUTES:
            raise Fault("ts", text, "is not between 04:00 and 20:00 in New York")
        return date, minute


class _Days:
    """The dates that are being read; older ones go to the store."""

    def __init__(self, store: ReferenceStore, outcome: Outcome, table: Table) -> None:
        self._store, self._outcome, self._table = store, outcome, table
        self._dates: dict[int, dict[str, np.ndarray]] = {}
        self._stored = 0
        self._bars, self._spaced = 0, 0

    def add(self, date: int, ticker: str, minute: int, volume: float, text: str) -> None:
        """One bar. Raises Fault."""
        if date <= self._stored:
            raise Fault("ts", text, "comes after bars of later dates")
        if date not in self._dates:
            for older in sorted(self._dates)[:-1]:
                self._store_date(older)
            if date <= self._stored:
                raise Fault("ts", text, "comes after bars of later dates")
            self._dates[date] = {}
        minutes = self._dates[date].get(ticker)
        if minutes is None:
            minutes = self._dates[date][ticker] = np.full(BASELINE_MINUTES, np.nan, np.float32)
        if not math.isnan(minutes[minute]):
            raise Fault("ts", text, f"is there twice for {ticker}")
        minutes[minute] = volume
        self._bars += 1
        self._spaced = math.gcd(self._spaced, minute)

    def finish(self) -> None:
        """Store what is left."""
        for date in sorted(self._dates):
            self._store_date(date)

    def _store_date(self, date: int) -> None:
        if self._bars >= _ENOUGH and self._spaced != 1:
            raise ReferenceDataError(
                f"{self._table.path} holds bars of {self._spaced} minutes, expected bars of one."
            )
        symbols = self._dates.pop(date)
        known = np.zeros(BASELINE_MINUTES, bool)
        for minutes in symbols.values():
            known |= ~np.isnan(minutes)
        outside = known[:BASELINE_OPEN].any() or known[_CLOSE_MINUTE:].any()
        rows = [
            DayVolume(
                ticker=ticker,
                date=date,
                regular_only=not outside,
                minutes=np.nan_to_num(symbols[ticker]),
            )
            for ticker in sorted(symbols)
        ]
        self._outcome.changed += self._store.put_day_volumes(rows)
        self._stored = max(self._stored, date)


def import_minutes(store: ReferenceStore, table: Table, progress: Progress | None) -> Outcome:
    """Volumes of 1-minute bars in order of time. A date on which no symbol has a bar outside 09:30
    to 16:00 tells of regular hours only. Raises ReferenceDataError for bars of another length."""
    outcome, cells, clock = Outcome("1-minute bars"), Cells(table, MINUTE_COLUMNS), _Clock()
    days = _Days(store, outcome, table)
    for line, row in table.rows():
        cells.take(row)
        outcome.rows += 1
        try:
            ticker, (date, minute) = cells.ticker(), clock.place(cells)
            days.add(date, ticker, minute, cells.needed("volume", 0), cells.text("ts"))
        except Fault as fault:
            outcome.refuse(line, str(fault))
        if progress is not None and outcome.rows % 4096 == 0:
            progress(table.done, table.size)
    days.finish()
    if progress is not None:
        progress(table.size, table.size)
    return outcome
