"""Sessions of a trading day in New York time: from a calendar entry and outer times to a SESSION
record."""

import dataclasses
import datetime
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np

from engine.domain.records import AH, NS_PER_SECOND, OUTSIDE, PM, RTH, SESSION
from engine.errors import EngineError

NEW_YORK = ZoneInfo("America/New_York")
UTC = datetime.UTC
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
_DAY = datetime.timedelta(days=1)


class CalendarError(EngineError):
    """Raised when the calendar does not know a day that is asked for, or a time of day is
    unusable."""


@dataclasses.dataclass(frozen=True)
class TradingDay:
    """One session of the exchange calendar: regular open and close in ns UTC; early: it closes
    early."""

    date: datetime.date
    open_ns: int
    close_ns: int
    early: bool


@dataclasses.dataclass(frozen=True)
class OuterTimes:
    """Times of day in New York that no calendar knows: where pre-market starts, after-hours end,
    days roll."""

    pre_open: datetime.time = datetime.time(4, 0)
    after_close: datetime.time = datetime.time(20, 0)
    after_close_early: datetime.time = datetime.time(17, 0)
    roll: datetime.time = datetime.time(3, 50)


def parse_time(text: str) -> datetime.time:
    """Time of day written HH:MM or HH:MM:SS. Raises CalendarError naming the text."""
    try:
        return datetime.time.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise CalendarError(f"{text!r} is not a time of day like 09:30.") from None


def to_ns(moment: datetime.datetime) -> int:
    """Nanoseconds since 1970 UTC of an aware moment, exact to the microsecond."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * NS_PER_SECOND + delta.microseconds * 1_000


def from_ns(moment_ns: int) -> datetime.datetime:
    """New York time of an instant, cut to whole microseconds."""
    micros = moment_ns // 1_000
    return (_EPOCH + datetime.timedelta(microseconds=micros)).astimezone(NEW_YORK)


def local_ns(date: datetime.date, time: datetime.time) -> int:
    """Nanoseconds UTC of a New York wall time; of a time that occurs twice the first one."""
    return to_ns(datetime.datetime.combine(date, time, tzinfo=NEW_YORK))


def exchange_date(moment_ns: int, roll: datetime.time = OuterTimes.roll) -> datetime.date:
    """The exchange's date at an instant: before the roll (03:50) it is still the day before.
    It may be a day without trading."""
    local = from_ns(moment_ns)
    return local.date() - _DAY if local.time() < roll else local.date()


def day_of(calendar: Sequence[TradingDay], date: datetime.date) -> TradingDay:
    """The calendar's entry of a date. Raises CalendarError when the exchange does not trade
    then."""
    for day in calendar:
        if day.date == date:
            return day
    raise CalendarError(f"{date} is not a trading day of the calendar.")


def date_number(date: datetime.date) -> int:
    """A date as yyyymmdd."""
    return date.year * 10_000 + date.month * 100 + date.day


def date_of(number: int) -> datetime.date:
    """The date that a yyyymmdd stands for."""
    return datetime.date(number // 10_000, number // 100 % 100, number % 100)


def session_record(
    day: TradingDay, outer: OuterTimes, interval_ns: int, grace_ns: int
) -> np.ndarray:
    """SESSION[1] of a trading day: pre-market start, open, close, end and the roll, all ns UTC.

    The outer times never cut into regular hours: pre-market starts at the open at the latest,
    after-hours end at the close at the earliest.
    """
    session = np.zeros(1, SESSION)
    end = outer.after_close_early if day.early else outer.after_close
    session["date"] = date_number(day.date)
    session["start_ns"] = min(local_ns(day.date, outer.pre_open), day.open_ns)
    session["open_ns"] = day.open_ns
    session["close_ns"] = day.close_ns
    session["end_ns"] = max(local_ns(day.date, end), day.close_ns)
    session["roll_ns"] = local_ns(day.date + _DAY, outer.roll)
    session["interval_ns"] = interval_ns
    session["grace_ns"] = grace_ns
    return session


def session_of(session: np.ndarray, event_ns: int) -> int:
    """PM, RTH, AH or OUTSIDE of an event in the SESSION[1] given.

    Each session holds its first instant and not its last: a print stamped at the close is after
    hours. What lies before the start or at and after the end is OUTSIDE, other days included.
    """
    if event_ns < session["start_ns"][0] or event_ns >= session["end_ns"][0]:
        return OUTSIDE
    if event_ns < session["open_ns"][0]:
        return PM
    return RTH if event_ns < session["close_ns"][0] else AH
