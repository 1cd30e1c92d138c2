"""The rule model: one immutable structure behind every written form of a rule."""

import math
from typing import Any, Literal

import msgspec

from engine.rules.tree import (
    And,
    Compare,
    CompareOp,
    Cond,
    Flag,
    InRow,
    InSession,
    MetricRef,
    Number,
    SessionName,
    Window,
    walk,
)

Op = CompareOp
Trigger = Literal["level", "edge", "enter_exit"]
Form = Literal["conditions", "numeric", "where", "tree"]
Severity = Literal["info", "warning", "critical"]

OPS: tuple[Op, ...] = (">", ">=", "<", "<=", "==", "!=")
TRIGGERS: tuple[Trigger, ...] = ("level", "edge", "enter_exit")
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
SESSIONS: tuple[SessionName, ...] = ("pre", "regular", "after")
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

    @property
    def node(self) -> Compare:
        """The comparison as a tree."""
        return Compare(self.op, MetricRef(self.metric), Number(self.value))


class Universe(msgspec.Struct, frozen=True, kw_only=True):
    """For which symbols, and when, a rule is looked at; empty or None: no limit.

    price_*: bounds of `last` in USD; adv_*: of `adv_20` in shares. where: a condition as text, and
    tree, what it says.
    """

    symbols: tuple[str, ...] = ()
    exclude_symbols: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    exclude_lists: tuple[str, ...] = ()
    exchanges: tuple[str, ...] = ()
    sectors: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    adv_min: float | None = None
    adv_max: float | None = None
    where: str = ""
    tree: Cond | None = None
    sessions: tuple[SessionName, ...] = SESSIONS

    @property
    def scope(self) -> Cond | None:
        """What can change from cycle to cycle (price, volume, where, sessions) as one condition;
        None: nothing. A rule is looked at only where it is known true."""
        bounds = [
            ("last", ">=", self.price_min), ("last", "<=", self.price_max),
            ("adv_20", ">=", self.adv_min), ("adv_20", "<=", self.adv_max),
        ]  # fmt: skip
        parts: list[Cond] = [
            Condition(metric, op, bound).node  # type: ignore[arg-type]
            for metric, op, bound in bounds
            if bound is not None
        ]
        if set(self.sessions) != set(SESSIONS):
            parts.append(InSession(self.sessions))
        if self.tree is not None:
            parts.append(self.tree)
        return _all_of(parts) if parts else None


EVERYWHERE = Universe()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A valid rule: true for a symbol when its condition is true (unknown is not true).

    form: how it was written, so that it is given back the same way. The forms conditions and
    numeric fill `conditions`, the form where fills `where` (text as written) and `tree`, the form
    tree fills `tree`. rearm: a pair that has fired may fire again only once the root was known
    false or, if there is a rearm_tree, that was true; rearm_where: the text of rearm_tree.
    max_per_min: 0 for no limit. template: id of the rule this one came from. Times are RFC 3339
    text as given, None when absent.
    """

    id: str
    name: str
    conditions: tuple[Condition, ...] = ()
    form: Form = "conditions"
    where: str = ""
    tree: Cond | None = None
    description: str = ""
    enabled: bool = True
    severity: Severity = "info"
    owner: str = ""
    tags: tuple[str, ...] = ()
    template: str = ""
    universe: Universe = EVERYWHERE
    trigger: Trigger = "level"
    cooldown_sec: float = DEFAULT_COOLDOWN_SEC
    once_per_session: bool = False
    debounce_ms: int = 0
    rearm: bool = False
    rearm_where: str = ""
    rearm_tree: Cond | None = None
    max_per_min: int = 0
    version: int = 1
    created_at: str | None = None
    updated_at: str | None = None

    @property
    def cooldown_ms(self) -> int:
        """Cooldown in whole milliseconds, rounded up: cycles lie on a millisecond grid."""
        return math.ceil(round(self.cooldown_sec * MS_PER_SECOND, 6))

    @property
    def condition(self) -> Cond:
        """What the rule says as a tree, whatever form it was written in."""
        if self.tree is not None:
            return self.tree
        return _all_of([condition.node for condition in self.conditions])

    @property
    def root(self) -> Cond:
        """What must be true for the rule to fire: the condition, debounced."""
        if not self.debounce_ms:
            return self.condition
        return InRow(self.condition, Window(self.debounce_ms, "ms"))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric the condition names, as written, in order of first mention."""
        nodes = walk(self.condition)
        return tuple(
            dict.fromkeys(node.name for node in nodes if isinstance(node, MetricRef | Flag))
        )


def _all_of(parts: list[Cond]) -> Cond:
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def short_number(value: float) -> str:
    """The shortest text that reads back as `value`, without a trailing `.0`."""
    return repr(value).removesuffix(".0")


def _defaults(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.default for field in msgspec.structs.fields(struct)}


_RULE_DEFAULTS, _UNIVERSE_DEFAULTS = _defaults(Rule), _defaults(Universe)


def spelled_out(rule: Rule) -> dict[str, Any]:
    """The fields of a rule that are not what they are by default: the same for equal rules.

    msgspec's own omit_defaults asks whether a value is the very object of the default, so that
    equal rules would be written differently.
    """
    found = _unusual(rule)
    if "universe" in found:
        found["universe"] = _unusual(rule.universe)
    return found


def _unusual(part: Rule | Universe) -> dict[str, Any]:
    defaults = _RULE_DEFAULTS if isinstance(part, Rule) else _UNIVERSE_DEFAULTS
    return {
        name: value
        for name, default in defaults.items()
        if (value := getattr(part, name)) != default
    }


def to_document(rule: Rule) -> dict[str, Any]:
    """The JSON document of a rule in the form it was written. Enabled, trigger, cooldown, version
    are always spelled out, anything else only where it is not the default."""
    given = _plain(spelled_out(rule))

    def some(*names: str) -> dict[str, Any]:
        return {name: given[name] for name in names if name in given}

    document: dict[str, Any] = {"id": rule.id, "name": rule.name}
    document |= some("description", "severity", "owner", "tags", "template")
    document |= _written_form(rule)
    if "universe" in given:
        document["universe"] = given["universe"]
        document["universe"].pop("tree", None)
    document |= {
        "enabled": rule.enabled,
        "trigger": rule.trigger,
        "cooldown_sec": rule.cooldown_sec,
    }
    document |= some("once_per_session", "debounce_ms", "rearm")
    if rule.rearm_where:
        document["rearm"] = rule.rearm_where
    document |= some("max_per_min")
    document["version"] = rule.version
    return document | some("created_at", "updated_at")


def _plain(part: object) -> Any:
    """The dicts and lists of its JSON."""
    return msgspec.json.decode(msgspec.json.encode(part))


def _written_form(rule: Rule) -> dict[str, Any]:
    match rule.form:
        case "numeric":
            (condition,) = rule.conditions
            return {
                "type": "numeric",
                "metric": condition.metric,
                "operator": condition.op,
                "value": condition.value,
            }
        case "where":
            return {"where": rule.where}
        case "tree":
            return {"tree": _plain(rule.tree)}
        case _:
            return {"conditions": _plain(rule.conditions)}
