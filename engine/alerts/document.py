"""The canonical JSON of an alert: the same bytes from a live run, a replay and a backtest."""

import dataclasses
import functools
import hashlib
import math
import uuid
from datetime import UTC, datetime

import msgspec
import numpy as np

from engine.alerts.explain import explain
from engine.domain.session_clock import DayTime
from engine.rules.identity import content_hash
from engine.rules.model import Rule

ALERT_NAMESPACE = uuid.UUID("6f0f5c1e-9a7b-5d43-8c55-7461706573ca")
NS_PER_SECOND = 1_000_000_000
_TRACE_HEX = 32  # 16 bytes


class Explanation(msgspec.Struct, frozen=True):
    """One condition of the rule: what it compares is None where it is unknown, or no number;
    result is None where it is unknown.

    gap: true, or not there: the window of a metric it names reaches into the symbol's newest gap in
    its feed. steps: times of the steps of a sequence, not there for others.
    """

    text: str
    left: float | None
    right: float | None
    result: bool | None
    gap: bool | msgspec.UnsetType = msgspec.UNSET
    steps: list[str] | msgspec.UnsetType = msgspec.UNSET


class Alert(msgspec.Struct, frozen=True):
    """An alert; the order of the fields is the order of the keys. event: enter or exit, not there
    for rules with another trigger."""

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
    event: str | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


@dataclasses.dataclass(frozen=True, eq=False)
class Firing:
    """A rule that fired for a symbol in cycle n at T_k = t_ns.

    event_ns: the exchange's stamp of the symbol's last tick, 0 if there was none. carried, gaps:
    see explain. left: the symbol left a rule that it had entered.
    """

    rule: Rule
    symbol: str
    price: float
    n: int
    t_ns: int
    event_ns: int
    carried: np.ndarray
    gaps: int = 0
    left: bool = False


def alert_document(stream_id: str, fired: Firing, day: DayTime) -> tuple[str, bytes]:
    """Id and canonical JSON of the alert of a firing; day: where its T_k lies.

    Floats are the shortest text that reads back the same; unknown is null. Nothing depends on when
    or where this runs.
    """
    rule, t_ns = fired.rule, fired.t_ns
    alert_id = alert_identity(stream_id, rule, fired.symbol, t_ns)
    values, reasons = explain(rule, fired.carried, fired.gaps, t_ns, day)
    event: str | msgspec.UnsetType = msgspec.UNSET
    if rule.trigger == "enter_exit":
        event = "exit" if fired.left else "enter"
    alert = Alert(
        alert_id=alert_id,
        stream_id=stream_id,
        rule_id=rule.id,
        rule_version=rule.version,
        rule_name=rule.name,
        symbol=fired.symbol,
        price=fired.price if math.isfinite(fired.price) else None,
        n=fired.n,
        event_ts=rfc3339(fired.event_ns) if fired.event_ns > 0 else None,
        scan_ts=rfc3339(t_ns),
        trace_id=hashlib.sha256(alert_id.encode()).hexdigest()[:_TRACE_HEX],
        idempotency_key=f"{rule.id}:{fired.symbol}:{t_ns // NS_PER_SECOND}",
        values=values,
        explain=[
            Explanation(
                reason.text, reason.left, reason.right, reason.result,
                gap=reason.gap or msgspec.UNSET,
                steps=[rfc3339(step_ns) for step_ns in reason.steps_ns] or msgspec.UNSET,
            )
            for reason in reasons
        ],
        event=event,
    )  # fmt: skip
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
