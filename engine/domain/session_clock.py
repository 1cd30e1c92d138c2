"""Where an instant lies in the exchange's day: what conditions on the time ask."""

import dataclasses
import datetime
import functools

import numpy as np

from engine.domain.market_hours import from_ns
from engine.domain.records import NS_PER_MINUTE

OUTSIDE = 3  # session: 0 pre-market, 1 regular, 2 after hours, 3 none of them


@dataclasses.dataclass(frozen=True)
class DayTime:
    """session: 0 to 3; weekday of the session date: 0 Monday; minute: of the day in New York."""

    session: int
    weekday: int
    minute: int


def day_time(t_ns: int, session: np.void) -> DayTime:
    """Where t_ns lies, in the session of a SESSION record. A session begins at its first instant;
    after hours end with their last."""
    starts = (int(session[name]) for name in ("start_ns", "open_ns", "close_ns"))
    part = sum(t_ns >= start for start in starts) - 1
    outside = part < 0 or t_ns > int(session["end_ns"])
    return DayTime(
        OUTSIDE if outside else part, _weekday(int(session["date"])), _minute(t_ns // NS_PER_MINUTE)
    )


@functools.lru_cache(maxsize=64)
def _minute(minute: int) -> int:
    """Minute of the day in New York of an absolute minute."""
    local = from_ns(minute * NS_PER_MINUTE)
    return local.hour * 60 + local.minute


@functools.lru_cache(maxsize=64)
def _weekday(date: int) -> int:
    """Weekday of a date written yyyymmdd, 7 of none."""
    try:
        return datetime.date(date // 10_000, date // 100 % 100, date % 100).weekday()
    except ValueError:
        return 7
