"""What a condition needs to hold, and how far it is from that."""

import dataclasses
from collections.abc import Callable

from engine.rules.format import format_tree, format_window
from engine.rules.model import short_number
from engine.rules.tree import (
    Ago,
    AtLeast,
    Between,
    Compare,
    CompareOp,
    Cond,
    Crosses,
    Expr,
    Flag,
    InRow,
    InSession,
    MetricRef,
    Number,
    OnWeekday,
    Sequence,
    TimeBetween,
    Within,
)

OPPOSITE: dict[CompareOp, CompareOp] = {
    ">": "<=", "<=": ">", "<": ">=", ">=": "<", "==": "!=", "!=": "==",
}  # fmt: skip
_MIRROR: dict[CompareOp, CompareOp] = {
    ">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!=",
}  # fmt: skip
_CROSS = {"above": "cross above", "below": "cross below", "either": "cross"}

NumberOf = Callable[[Expr], float | None]


@dataclasses.dataclass(frozen=True)
class Distance:
    """needs: as a person says it. off: what is compared minus its bound; off_pct: in percent of
    the bound; None where a side is unknown or the bound is 0, or for what compares nothing."""

    needs: str = ""
    off: float | None = None
    off_pct: float | None = None


def distance(cond: Cond, wanted: bool, number: NumberOf) -> Distance:
    """How far a condition that is no AND, OR or NOT is from being as `wanted`."""
    match cond:
        case Compare():
            return _compare(cond, wanted, number)
        case Between():
            return _between(cond, wanted, number)
        case Crosses():
            bound = _shown(cond.right, number)
            denial = "" if wanted else "no "
            return _apart(
                f"{denial}{_CROSS[cond.direction]} {bound}", number(cond.left), number(cond.right)
            )
        case Flag():
            return Distance("set" if wanted else "not set")
        case _:
            needs = _operator(cond)
            return Distance(needs if wanted else f"not {needs}")


def _compare(cond: Compare, wanted: bool, number: NumberOf) -> Distance:
    op, value, bound = cond.op, cond.left, cond.right
    if isinstance(value, Number) and not isinstance(bound, Number):
        op, value, bound = _MIRROR[op], bound, value
    op = op if wanted else OPPOSITE[op]
    return _apart(f"{op} {_shown(bound, number)}", number(value), number(bound))


def _between(cond: Between, wanted: bool, number: NumberOf) -> Distance:
    value, low, high = number(cond.value), number(cond.low), number(cond.high)
    word = "" if wanted else "not "
    needs = f"{word}{_shown(cond.low, number)} to {_shown(cond.high, number)}"
    if value is None or low is None or high is None:
        return Distance(needs)
    if low <= value <= high:
        if wanted:
            return Distance(needs, 0.0)
        return _apart(needs, value, low if value - low <= high - value else high)
    return _apart(needs, value, low if value < low else high)


def _apart(needs: str, value: float | None, bound: float | None) -> Distance:
    if value is None or bound is None:
        return Distance(needs)
    off = value - bound
    return Distance(needs, off, off / abs(bound) * 100 if bound else None)


def _shown(expr: Expr, number: NumberOf) -> str:
    """A bound with its value; one that is unknown as it is written."""
    value = number(expr)
    if isinstance(expr, Number) or value is None:
        return format_tree(expr)
    return short_number(float(f"{value:.6g}")) if not isinstance(expr, MetricRef) else (
        f"{expr.name} {short_number(float(f'{value:.6g}'))}"
    )


def _operator(cond: Cond) -> str:
    match cond:
        case Within():
            return f"true within {format_window(cond.window)}"
        case InRow():
            return f"true for {format_window(cond.window)}"
        case Ago():
            return f"true {format_window(cond.window)} ago"
        case AtLeast():
            return f"true in {cond.count} of the last {format_window(cond.window)}"
        case Sequence():
            return f"step {len(cond.steps)} taken now"
        case InSession():
            return ", ".join(cond.sessions)
        case OnWeekday():
            return ", ".join(cond.days)
        case TimeBetween():
            return format_tree(cond)
        case _:
            return "true"
