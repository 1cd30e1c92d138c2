"""Alerts and bars for the tests of storage."""

import math

from engine.domain.records import NS_PER_MINUTE
from engine.storage.ports import BarRow, StoredAlert

MINUTE_0 = 1_381_238_880 * 1_000_000_000


def alert(number: int, **changes: object) -> StoredAlert:
    """Alert number i: cycle i // 3 of stream s1, three rules, five symbols."""
    fields: dict = {
        "alert_id": f"id-{number}",
        "stream_id": "s1",
        "n": number // 3,
        "t_ns": number // 3 * 100_000_000,
        "rule_id": f"r{number % 3}",
        "symbol": f"SYM{number % 5}",
        "json": b'{"alert":%d}' % number,
        "recv_ns": number,
        "stored_ns": number + 7,
    }
    return StoredAlert(**{**fields, **changes})


def bar(minute: int, symbol: str = "AAPL", **changes: object) -> BarRow:
    """A bar of minute 0, 1, 2, ... whose values tell its minute."""
    fields: dict = {
        "symbol": symbol,
        "minute_ns": MINUTE_0 + minute * NS_PER_MINUTE,
        "open": 10.0 + minute,
        "high": 11.0 + minute,
        "low": 9.0 + minute,
        "close": 10.5 + minute,
        "volume": 100.0 * (minute + 1),
        "pv": 1000.25 * (minute + 1),
        "trades": minute + 1,
        "flags": 0,
        "n": 10 * minute + 1,
        "stream_id": "s1",
    }
    return BarRow(**{**fields, **changes})


def span(first: int, last: int) -> tuple[int, int]:
    """from_ns, to_ns of the minutes first..last - 1."""
    return MINUTE_0 + first * NS_PER_MINUTE, MINUTE_0 + last * NS_PER_MINUTE


def same_bar(left: BarRow, right: BarRow) -> bool:
    """Equal field by field, NaN equal to NaN."""
    pairs = [(getattr(left, f), getattr(right, f)) for f in BarRow.__struct_fields__]
    return all(a == b or (_is_nan(a) and _is_nan(b)) for a, b in pairs)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
