"""The rule model: one immutable structure behind both written forms of a rule."""

import hashlib
import math
from typing import Any, Literal

import msgspec

Op = Literal[">", ">=", "<", "<=", "==", "!="]
Trigger = Literal["level", "edge"]
Form = Literal["conditions", "numeric"]

OPS: tuple[Op, ...] = (">", ">=", "<", "<=", "==", "!=")
TRIGGERS: tuple[Trigger, ...] = ("level", "edge")
DEFAULT_COOLDOWN_SEC = 60.0
MAX_COOLDOWN_SEC = 7 * 86_400.0
MS_PER_SECOND = 1_000


class Condition(msgspec.Struct, frozen=True):
    """One comparison of a metric with a constant. `metric` is the name as the user wrote it."""

    metric: str
    op: Op
    value: float

    @property
    def text(self) -> str:
        """The comparison as a person writes it: `rsi(14) > 70`."""
        return f"{self.metric} {self.op} {short_number(self.value)}"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A valid rule: true for a symbol when every condition is true (unknown is not true).

    `form` remembers how it was written, so that it is given back the same way. Times are RFC 3339
    text as given, None when absent.
    """

    id: str
    name: str
    conditions: tuple[Condition, ...]
    form: Form = "conditions"
    description: str = ""
    enabled: bool = True
    trigger: Trigger = "level"
    cooldown_sec: float = DEFAULT_COOLDOWN_SEC
    version: int = 1
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def cooldown_ms(self) -> int:
        """Cooldown in whole milliseconds, rounded up: cycles lie on a millisecond grid."""
        return math.ceil(round(self.cooldown_sec * MS_PER_SECOND, 6))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric the rule names, as written, in order of first mention."""
        return tuple(dict.fromkeys(condition.metric for condition in self.conditions))


def short_number(value: float) -> str:
    """The shortest text that reads back as `value`, without a trailing `.0`."""
    return repr(value).removesuffix(".0")


def to_document(rule: Rule) -> dict[str, Any]:
    """The JSON document of a rule in the form it was written, defaults spelled out."""
    document: dict[str, Any] = {"id": rule.id, "name": rule.name}
    if rule.description:
        document["description"] = rule.description
    if rule.form == "numeric":
        (condition,) = rule.conditions
        document |= {
            "type": "numeric",
            "metric": condition.metric,
            "operator": condition.op,
            "value": condition.value,
        }
    else:
        document["conditions"] = [
            {"metric": condition.metric, "op": condition.op, "value": condition.value}
            for condition in rule.conditions
        ]
    document |= {
        "enabled": rule.enabled,
        "trigger": rule.trigger,
        "cooldown_sec": rule.cooldown_sec,
        "version": rule.version,
    }
    if rule.created_at is not None:
        document["created_at"] = rule.created_at
    if rule.updated_at is not None:
        document["updated_at"] = rule.updated_at
    return document


def content_hash(rule: Rule, canonical: tuple[str, ...]) -> bytes:
    """SHA-256 of what makes a rule fire, 32 bytes.

    It covers the conditions in their order with canonical metric names (`canonical[i]` belongs to
    condition i), the trigger and the cooldown. It does not cover id, name, description, enabled,
    version, times, the written form or the choice of an alias: changing those changes no alert's
    meaning, so it must change no alert's identity.
    """
    meaning = [
        "tapescan.rule.1",
        rule.trigger,
        rule.cooldown_ms,
        [
            [name, condition.op, condition.value + 0.0]
            for name, condition in zip(canonical, rule.conditions, strict=True)
        ],
    ]
    return hashlib.sha256(msgspec.json.encode(meaning)).digest()
