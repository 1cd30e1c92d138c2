"""The meaning of a condition, in plain Python and three-valued: what the kernels are held against.

`number` and `truth` are pure: they take the values of metrics and the results of nodes that look at
the past or at other symbols. `RuleInterpreter` keeps the past of one symbol and is fed cycle by
cycle; `memory` says what each node makes of it.

Unknown is None. Logic is Kleene's: AND is false when a part is false, else unknown when a part is;
NOT leaves unknown as it is. Arithmetic with an unknown is unknown, so are x / 0, the logarithm of
0 or less, and every result that is not finite; a metric is unknown where it is NaN.
"""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from engine.metrics.registry import resolve
from engine.rules.tree import (
    And,
    Arithmetic,
    Between,
    Call,
    Compare,
    Cond,
    Expr,
    Flag,
    If,
    InSession,
    MetricRef,
    Negate,
    Node,
    Not,
    Number,
    OnWeekday,
    Or,
    SessionName,
    TimeBetween,
    Weekday,
)

Result = float | bool | None

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Moment:
    """One cycle n as one symbol sees it.

    time_ns: T_n. before_ns: T of the engine's cycle before, None in the first cycle of a stream.
    values: canonical metric name -> value, NaN or absent: unknown. bars_closed: how many 1-minute
    bars of the symbol closed in this cycle. across: what CrossSection and Breadth nodes give (read
    from cycle n-1), absent: unknown. session: None outside all of them; weekday: of the session
    date; minute_of_day: exchange time, minutes since midnight.
    """

    time_ns: int
    values: Mapping[str, float]
    before_ns: int | None = None
    bars_closed: int = 0
    blind: bool = False
    session: SessionName | None = None
    weekday: Weekday | None = None
    minute_of_day: int = 0
    across: Mapping[Node, Result] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that the value of a tree depends on.

    results: of the nodes that look at the past or at other symbols (Crosses, Within, InRow, Ago,
    AtLeast, Sequence, Lag, Since, CrossSection, Breadth); absent: unknown.
    """

    moment: Moment
    results: Mapping[Node, Result]


@functools.lru_cache(maxsize=4096)
def canonical_name(name: str) -> str:
    """Canonical spelling of a metric. Raises UnknownMetric."""
    return resolve(name).name


def compare(left: float | None, op: str, right: float | None) -> bool | None:
    """One comparison; unknown when a side is."""
    if left is None or right is None:
        return None
    return _COMPARE[op](left, right)


def negation(value: bool | None) -> bool | None:
    """Kleene's NOT."""
    return None if value is None else not value


def conjunction(values: Iterable[bool | None]) -> bool | None:
    """Kleene's AND."""
    found = set(values)
    if False in found:
        return False
    return None if None in found else True


def disjunction(values: Iterable[bool | None]) -> bool | None:
    """Kleene's OR."""
    return negation(conjunction(negation(value) for value in values))


def finite(value: float) -> float | None:
    """The value, or None where it is NaN or infinite."""
    return value if math.isfinite(value) else None


def number(expr: Expr, facts: Facts) -> float | None:
    """Value of a number."""
    match expr:
        case Number():
            return expr.value
        case MetricRef():
            return metric_value(expr.name, facts.moment)
        case Negate():
            value = number(expr.value, facts)
            return None if value is None else -value
        case Arithmetic():
            return arithmetic(expr.op, number(expr.left, facts), number(expr.right, facts))
        case Call():
            return call(expr.function, [number(part, facts) for part in expr.arguments])
        case If():
            condition = truth(expr.condition, facts)
            if condition is None:
                return None
            return number(expr.then if condition else expr.otherwise, facts)
        case _:
            return cast("float | None", facts.results.get(expr))


def metric_value(name: str, moment: Moment) -> float | None:
    """Value of a metric by any of its names, None where it is unknown."""
    value = moment.values.get(canonical_name(name), math.nan)
    return None if math.isnan(value) else float(value)


def arithmetic(op: str, left: float | None, right: float | None) -> float | None:
    """left op right in doubles."""
    if left is None or right is None or (op == "/" and right == 0):
        return None
    return finite(_ARITHMETIC[op](left, right))


def call(function: str, values: list[float | None]) -> float | None:
    """A function of numbers; log is the natural logarithm, coalesce the first known value."""
    known = [value for value in values if value is not None]
    if function == "coalesce":
        return known[0] if known else None
    if len(known) < len(values):
        return None
    match function:
        case "abs":
            return abs(known[0])
        case "log":
            return finite(math.log(known[0])) if known[0] > 0 else None
        case "min":
            return min(known)
        case _:
            return max(known)


def truth(cond: Cond, facts: Facts) -> bool | None:
    """Value of a condition: true, false or None for unknown."""
    moment = facts.moment
    match cond:
        case Compare():
            return compare(number(cond.left, facts), cond.op, number(cond.right, facts))
        case Between():
            value = number(cond.value, facts)
            low, high = number(cond.low, facts), number(cond.high, facts)
            return conjunction((compare(value, ">=", low), compare(value, "<=", high)))
        case Flag():
            return compare(metric_value(cond.name, moment), ">", 0.0)
        case And():
            return conjunction([truth(part, facts) for part in cond.parts])
        case Or():
            return disjunction([truth(part, facts) for part in cond.parts])
        case Not():
            return negation(truth(cond.part, facts))
        case InSession():
            return moment.session in cond.sessions
        case OnWeekday():
            return moment.weekday in cond.days
        case TimeBetween():
            return cond.start_minute <= moment.minute_of_day < cond.end_minute
        case _:
            return cast("bool | None", facts.results.get(cond))
