"""Normal form of a tree: one spelling for one meaning; its true plane alone decides a rule.

- NOT stands only on Crosses, Sequence, InSession, OnWeekday and TimeBetween. Elsewhere it is pushed
  down: not (x > c) is x <= c (an unknown side makes neither true), De Morgan for AND and OR, not
  within(c, d) is in_row(not c, d) and back, not ago(c, d) is ago(not c, d), not at_least(c, k, n)
  is at_least(not c, n - k + 1, n).
- Between and Flag are comparisons; Crosses has one direction; Within and InRow over bars are
  AtLeast; their lengths, and those of a Sequence, are seconds where they are whole.
- AND, OR, min, max and coalesce are flat, AND and OR without repeats; a constant stands right of a
  comparison, greater and at least point at the lesser side otherwise.
- What depends on constants alone is computed, in doubles as the engine would. What is unknown for
  ever stays as it is. TRUE and FALSE stand for conditions that never change.
- Where order means nothing, parts are in order of their encoding. Metrics have canonical names.

The value of a normal form is the value of its tree, in every cycle, unknown for unknown.
"""

from collections.abc import Iterable
from typing import TypeVar, cast

import msgspec

from engine.rules.interpret import arithmetic, call, canonical_name, compare
from engine.rules.tree import (
    Ago,
    And,
    Arithmetic,
    AtLeast,
    Between,
    Call,
    Compare,
    CompareOp,
    Cond,
    Crosses,
    CrossSection,
    Expr,
    Flag,
    If,
    InRow,
    InSession,
    Lag,
    MetricRef,
    Negate,
    Node,
    Not,
    Number,
    OnWeekday,
    Or,
    Sequence,
    Since,
    Step,
    TimeBetween,
    Window,
    Within,
)

TRUE = Compare("==", Number(0.0), Number(0.0))
FALSE = Compare("!=", Number(0.0), Number(0.0))

_OPPOSITE: dict[CompareOp, CompareOp] = {
    ">": "<=", "<=": ">", "<": ">=", ">=": "<", "==": "!=", "!=": "==",
}  # fmt: skip
_MIRROR: dict[CompareOp, CompareOp] = {
    ">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "==", "!=": "!=",
}  # fmt: skip
_encoder = msgspec.json.Encoder()
_N = TypeVar("_N", bound=Node)


def encoding(node: Node) -> bytes:
    """Canonical bytes of a tree: equal for equal trees only."""
    return _encoder.encode(node)


def normal_form(cond: Cond) -> Cond:
    """The normal form. Raises UnknownMetric for a metric the registry does not know."""
    return _condition(cond, True)


def denied(cond: Cond) -> Cond:
    """The normal form of `not cond`."""
    return _condition(cond, False)


def normal_number(expr: Expr) -> Expr:
    """The normal form of a number. Raises UnknownMetric."""
    match expr:
        case Number():
            return Number(expr.value + 0.0)
        case MetricRef():
            return MetricRef(canonical_name(expr.name))
        case Negate():
            return _negated(normal_number(expr.value))
        case Arithmetic():
            return _arithmetic(expr)
        case Call():
            return _call(expr)
        case If():
            return _if(expr)
        case Lag():
            return Lag(normal_number(expr.value), expr.window)
        case Since():
            return Since(normal_form(expr.condition))
        case CrossSection():
            return CrossSection(expr.function, normal_number(expr.value), expr.group)
        case _:
            return expr


def _negated(value: Expr) -> Expr:
    if isinstance(value, Number):
        return Number(0.0 - value.value)
    return value.value if isinstance(value, Negate) else Negate(value)


def _arithmetic(expr: Arithmetic) -> Expr:
    left, right = normal_number(expr.left), normal_number(expr.right)
    if isinstance(left, Number) and isinstance(right, Number):
        value = arithmetic(expr.op, left.value, right.value)
        if value is not None:
            return Number(value + 0.0)
    if expr.op in {"+", "*"}:
        left, right = _ordered((left, right))
    return Arithmetic(expr.op, left, right)


def _call(expr: Call) -> Expr:
    parts: list[Expr] = []
    for part in map(normal_number, expr.arguments):
        same = isinstance(part, Call) and part.function == expr.function
        flatten = same and expr.function in {"min", "max", "coalesce"}
        parts += cast(Call, part).arguments if flatten else [part]
    if expr.function == "coalesce":
        return _coalesce(parts)
    constants = [part.value for part in parts if isinstance(part, Number)]
    others: list[Expr] = [part for part in parts if not isinstance(part, Number)]
    if constants:
        value = call(expr.function, list(constants))
        if value is not None:
            folded = Number(value + 0.0)
            parts = [*others, folded]
            if not others:
                return folded
    if expr.function in {"min", "max"}:
        parts = list(_distinct(parts))
        if len(parts) == 1:
            return parts[0]
    return Call(expr.function, tuple(parts))


def _coalesce(parts: list[Expr]) -> Expr:
    kept: list[Expr] = []
    for part in parts:
        if part not in kept:
            kept.append(part)
        if isinstance(part, Number):
            break
    return kept[0] if len(kept) == 1 else Call("coalesce", tuple(kept))


def _if(expr: If) -> Expr:
    condition = normal_form(expr.condition)
    then, otherwise = normal_number(expr.then), normal_number(expr.otherwise)
    if condition in {TRUE, FALSE}:
        return then if condition == TRUE else otherwise
    return If(condition, then, otherwise)


def _condition(cond: Cond, wanted: bool) -> Cond:
    """The normal form of `cond` (wanted) or of its negation."""
    match cond:
        case Compare():
            op = cond.op if wanted else _OPPOSITE[cond.op]
            return _compare(op, normal_number(cond.left), normal_number(cond.right))
        case Between():
            low = Compare(">=", cond.value, cond.low)
            return _condition(And((low, Compare("<=", cond.value, cond.high))), wanted)
        case Flag():
            return _condition(Compare(">", MetricRef(cond.name), Number(0.0)), wanted)
        case Not():
            return _condition(cond.part, not wanted)
        case And() | Or():
            parts = [_condition(part, wanted) for part in cond.parts]
            return _joined(parts, isinstance(cond, And) is wanted)
        case Crosses():
            return _crosses(cond, wanted)
        case Within() | InRow():
            return _spell(cond, wanted)
        case Ago():
            return Ago(_condition(cond.part, wanted), cond.window)
        case AtLeast():
            count = cond.count if wanted else cond.window.count - cond.count + 1
            return AtLeast(_condition(cond.part, wanted), count, cond.window)
        case _:
            fixed = _fixed(cond)
            return fixed if wanted else Not(fixed)


def _compare(op: CompareOp, left: Expr, right: Expr) -> Cond:
    if isinstance(left, Number) and isinstance(right, Number):
        return TRUE if compare(left.value, op, right.value) else FALSE
    if isinstance(left, Number):
        return Compare(_MIRROR[op], right, left)
    if isinstance(right, Number):
        return Compare(op, left, right)
    if op in {"==", "!="}:
        return Compare(op, *_ordered((left, right)))
    return Compare(op, left, right) if op in {">", ">="} else Compare(_MIRROR[op], right, left)


def _joined(parts: list[Cond], all_of: bool) -> Cond:
    """AND or OR of normal forms, flat."""
    kind: type[And] | type[Or] = And if all_of else Or
    neutral, deciding = (TRUE, FALSE) if all_of else (FALSE, TRUE)
    flat: list[Cond] = []
    for part in parts:
        flat += part.parts if isinstance(part, kind) else [part]
    if deciding in flat:
        return deciding
    kept = _distinct(part for part in flat if part != neutral)
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else kind(kept)


def _crosses(cond: Crosses, wanted: bool) -> Cond:
    left, right = normal_number(cond.left), normal_number(cond.right)
    if cond.direction == "either":
        both: list[Cond] = [
            Crosses("above", left, right, cond.hysteresis_pct),
            Crosses("below", left, right, cond.hysteresis_pct),
        ]
        return _joined([part if wanted else Not(part) for part in both], not wanted)
    fixed = Crosses(cond.direction, left, right, cond.hysteresis_pct)
    return fixed if wanted else Not(fixed)


def _spell(cond: Within | InRow, wanted: bool) -> Cond:
    part, window = _condition(cond.part, wanted), cond.window
    every = isinstance(cond, InRow) is wanted
    if window.unit == "bars":
        return AtLeast(part, window.count if every else 1, window)
    return InRow(part, _length(window)) if every else Within(part, _length(window))


def _length(window: Window) -> Window:
    milliseconds = window.length_ns // 1_000_000
    whole = milliseconds % 1_000 == 0
    return Window(milliseconds // 1_000, "s") if whole else Window(milliseconds, "ms")


def _fixed(cond: InSession | OnWeekday | TimeBetween | Sequence) -> Cond:
    match cond:
        case InSession():
            return InSession(tuple(sorted(set(cond.sessions))))
        case OnWeekday():
            return OnWeekday(tuple(sorted(set(cond.days))))
        case Sequence():
            steps = tuple(
                Step(normal_form(step.condition), step.within and _length(step.within))
                for step in cond.steps
            )
            cancel = None if cond.cancel is None else normal_form(cond.cancel)
            return Sequence(steps, None if cancel == FALSE else cancel)
        case _:
            return cond


def _ordered(parts: Iterable[_N]) -> tuple[_N, ...]:
    return tuple(sorted(parts, key=encoding))


def _distinct(parts: Iterable[_N]) -> tuple[_N, ...]:
    return _ordered(dict.fromkeys(parts))
