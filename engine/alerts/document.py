"""The canonical JSON of an alert: the same bytes from a live run, a replay and a backtest."""

import functools
import hashlib
import math
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from engine.rules.identity import content_hash
from engine.rules.model import Condition, Op, Rule

ALERT_NAMESPACE = uuid.UUID("6f0f5c1e-9a7b-5d43-8c55-7461706573ca")
NS_PER_SECOND = 1_000_000_000
_TRACE_HEX = 32  # 16 bytes


class Explanation(msgspec.Struct, frozen=True):
    """One condition of the rule: left is None where the metric was unknown, result then as well.

    gap: true, or not there: the metric's window reaches into the symbol's newest gap in its feed.
    """

    text: str
    left: float | None
    right: float
    result: bool | None
    gap: bool | msgspec.UnsetType = msgspec.UNSET


class Alert(msgspec.Struct, frozen=True):
    """An alert; the order of the fields is the order of the keys."""

    alert_id: str
    stream_id: str
    rule_id: str
    rule_version: int
    rule_name: str
    symbol: str
    price: float | None
    n: int
    event_ts: str | None
    scan_ts: str
    trace_id: str
    idempotency_key: str
    values: dict[str, float | None]
    explain: list[Explanation]


_encode = msgspec.json.Encoder().encode


def alert_document(
    stream_id: str,
    rule: Rule,
    symbol: str,
    price: float,
    n: int,
    t_ns: int,
    event_ns: int,
    leaf_values: Sequence[float],
    gaps: int = 0,
) -> tuple[str, bytes]:
    """Id and canonical JSON of the alert that `rule` fired for `symbol` in cycle n at T_k = t_ns.

    leaf_values: left-hand values of the rule's conditions in their order, NaN unknown. event_ns:
    the exchange's stamp of the symbol's last tick, 0 if there was none. Bit i of gaps: the window
    of condition i reaches into the symbol's newest gap. Floats are the shortest
    text that reads back the same; unknown is null. Nothing depends on when or where this runs.
    """
    alert_id = alert_identity(stream_id, rule, symbol, t_ns)
    lefts = [_known(value) for value in leaf_values]
    alert = Alert(
        alert_id=alert_id,
        stream_id=stream_id,
        rule_id=rule.id,
        rule_version=rule.version,
        rule_name=rule.name,
        symbol=symbol,
        price=_known(price),
        n=n,
        event_ts=rfc3339(event_ns) if event_ns > 0 else None,
        scan_ts=rfc3339(t_ns),
        trace_id=hashlib.sha256(alert_id.encode()).hexdigest()[:_TRACE_HEX],
        idempotency_key=f"{rule.id}:{symbol}:{t_ns // NS_PER_SECOND}",
        values={
            condition.metric: left for condition, left in zip(rule.conditions, lefts, strict=True)
        },
        explain=[
            Explanation(
                condition.text, left, condition.value, _result(condition, left),
                gap=bool(gaps >> place & 1) or msgspec.UNSET,
            )
            for place, (condition, left) in enumerate(zip(rule.conditions, lefts, strict=True))
        ],
    )
    return alert_id, _encode(alert)


def alert_identity(stream_id: str, rule: Rule, symbol: str, t_ns: int) -> str:
    """UUIDv5 of the canonical JSON array [stream id, rule id, content hash, symbol, T_k]."""
    name = _encode([stream_id, rule.id, _content_hex(rule), symbol, t_ns])
    return str(uuid.uuid5(ALERT_NAMESPACE, name.decode()))


@functools.lru_cache(maxsize=4096)
def _content_hex(rule: Rule) -> str:
    return content_hash(rule).hex()


def rfc3339(ts_ns: int) -> str:
    """A time in ns UTC as RFC 3339 text with nine digits."""
    seconds, fraction = divmod(ts_ns, NS_PER_SECOND)
    return f"{_whole_second(seconds)}.{fraction:09d}Z"


@functools.lru_cache(maxsize=1024)
def _whole_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _known(value: float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _result(condition: Condition, left: float | None) -> bool | None:
    return None if left is None else compare(left, condition.op, condition.value)


def compare(left: float, op: Op, right: float) -> bool:
    """What a comparison of known numbers gives."""
    match op:
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case "==":
            return left == right
        case "!=":
            return left != right
