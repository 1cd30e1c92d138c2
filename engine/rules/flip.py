"""Turns a rule for rising prices into the one for falling prices, and back.

Prices are reflected, so a *level* (`last`, `hod`, `vwap`) becomes the opposite of its mirror
image, a difference or a change only changes its sign, and what has no direction (volume, time)
stays. A fixed price, as in `last > 5`, says how dear a symbol is and stays as well; `vwap * 102%`
becomes `* 98%`. What has no clear mirror image is refused.
"""

from collections.abc import Sequence as Parts
from typing import NamedTuple, cast

import msgspec

from engine.metrics.registry import resolve
from engine.rules import tree as t
from engine.rules.errors import ChangeError
from engine.rules.format import format_tree
from engine.rules.model import Condition, Rule
from engine.rules.tree import Cond, Expr, Node, Number
from engine.rules.words import is_flag

_OPPOSITE: dict[t.CompareOp, t.CompareOp] = {
    ">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!=",
}  # fmt: skip
_DIRECTION: dict[t.Direction, t.Direction] = {
    "above": "below", "below": "above", "either": "either",
}  # fmt: skip
_NEAR_ONE = (0.5, 1.5)  # a price times one of these is the price and a bit more or less
_DIGITS = 9


class _Image(NamedTuple):
    """A mirrored number: sign * expr. level: how often a price as such goes into it; 1 for one that
    can be compared with a price, 0 for all that cannot."""

    sign: int
    expr: Expr
    level: float


def flip_rule(rule: Rule, rule_id: str = "") -> Rule:
    """The mirrored rule, in the same form where that can say it, else as text. Its universe stays.

    rule_id: of the new rule, by default that of `rule` with `-mirror`. Raises ChangeError for what
    has no mirror image.
    """
    condition = flip(rule.condition)
    plain = _as_conditions(condition) if rule.form in ("conditions", "numeric") else None
    fields: dict[str, object] = {"conditions": (), "form": "where", "where": "", "tree": None}
    if plain is not None:
        fields |= {"conditions": plain, "form": rule.form}
    elif rule.form == "tree":
        fields |= {"tree": condition, "form": "tree"}
    else:
        fields |= {"where": format_tree(condition), "tree": condition}
    if rule.rearm_tree is not None:
        rearm = flip(rule.rearm_tree)
        fields |= {"rearm_tree": rearm, "rearm_where": format_tree(rearm)}
    fields |= {
        "id": rule_id or f"{rule.id}-mirror",
        "name": f"{rule.name} (mirror)",
        "template": rule.id,
        "version": 1,
        "created_at": None,
        "updated_at": None,
    }
    return msgspec.structs.replace(rule, **fields)


def _as_conditions(cond: Cond) -> tuple[Condition, ...] | None:
    parts = cond.parts if isinstance(cond, t.And) else (cond,)
    found = []
    for part in parts:
        match part:
            case t.Compare(left=t.MetricRef(name=name), right=Number(value=value)):
                found.append(Condition(name, part.op, value))
            case _:
                return None
    return tuple(found)


def flip(cond: Cond) -> Cond:
    """The mirrored condition. Raises ChangeError."""
    match cond:
        case t.Compare():
            return _compare(cond)
        case t.Between():
            return _between(cond)
        case t.Crosses():
            return _crosses(cond)
        case t.Flag():
            return t.Flag(resolve(cond.name).mirror.name)
        case t.And() | t.Or():
            return type(cond)(tuple(flip(part) for part in cond.parts))
        case t.Not() | t.Within() | t.InRow() | t.Ago() | t.AtLeast():
            return msgspec.structs.replace(cond, part=flip(cond.part))
        case t.Sequence():
            steps = tuple(
                msgspec.structs.replace(step, condition=flip(step.condition)) for step in cond.steps
            )
            return t.Sequence(steps, None if cond.cancel is None else flip(cond.cancel))
        case _:  # sessions, weekdays, times of day
            return cond


# -- conditions -----------------------------------------------------------------------------------
def _compare(node: t.Compare) -> Cond:
    if _fixed_price(node.left, node.right):
        return node
    sign, (left, right) = _together([node.left, node.right], node)
    op = node.op if sign > 0 else _OPPOSITE[node.op]
    match left, right:
        case t.Arithmetic(op="-", left=Number(value=whole), right=part), Number(value=value):
            return t.Compare(_OPPOSITE[op], part, _number(whole - value))
        case t.Negate(value=part), Number(value=value):
            return t.Compare(_OPPOSITE[op], part, _number(-value))
        case _:
            return t.Compare(op, left, right)


def _between(node: t.Between) -> Cond:
    if _fixed_price(node.value, node.low) and _fixed_price(node.value, node.high):
        return node
    sign, (value, low, high) = _together([node.value, node.low, node.high], node)
    if sign < 0:
        return t.Between(value, high, low)
    match value, low, high:
        case (
            t.Arithmetic(op="-", left=Number(value=whole), right=part),
            Number(value=least), Number(value=most),
        ):  # fmt: skip
            return t.Between(part, _number(whole - most), _number(whole - least))
        case t.Negate(value=part), Number(value=least), Number(value=most):
            return t.Between(part, _number(-most), _number(-least))
        case _:
            return t.Between(value, low, high)


def _crosses(node: t.Crosses) -> Cond:
    if _fixed_price(node.left, node.right):
        return msgspec.structs.replace(node, direction=_DIRECTION[node.direction])
    sign, (left, right) = _together([node.left, node.right], node)
    direction = node.direction if sign > 0 else _DIRECTION[node.direction]
    match left, right:
        case t.Negate(value=part), Number(value=value):
            return t.Crosses(_DIRECTION[direction], part, _number(-value), node.hysteresis_pct)
        case t.Arithmetic(op="-", left=Number(value=whole), right=part), Number(value=value):
            bound = _number(whole - value)
            return t.Crosses(_DIRECTION[direction], part, bound, node.hysteresis_pct)
        case _:
            return t.Crosses(direction, left, right, node.hysteresis_pct)


def _fixed_price(left: Expr, right: Expr) -> bool:
    """Whether a price is held against a plain number."""
    pair = (left, right) if isinstance(right, Number) else (right, left)
    if not isinstance(pair[1], Number) or isinstance(pair[0], Number):
        return False
    return _mirror(pair[0]).level == 1


def _together(parts: Parts[Expr], node: Node) -> tuple[int, list[Expr]]:
    """Mirrored numbers that stand side by side, with one sign for all. Raises ChangeError where a
    price stands beside what is none."""
    images = [_mirror(part) for part in parts]
    told = [one for one in images if one.expr != Number(0.0)]
    if len({one.level for one in told}) > 1:
        raise _refusal(node, "a price stands beside what is no price")
    signs = {one.sign for one in told}
    if signs == {-1}:
        return -1, [one.expr for one in images]
    return 1, [_signed(one) for one in images]


# -- numbers --------------------------------------------------------------------------------------
def _mirror(node: Expr) -> _Image:
    match node:
        case Number():
            return _Image(1, node, 0)
        case t.MetricRef():
            return _metric(node.name)
        case t.Negate():
            inner = _mirror(node.value)
            return _Image(-inner.sign, inner.expr, -inner.level)
        case t.Arithmetic(op="+" | "-"):
            return _sum(node)
        case t.Arithmetic():
            return _product(node) if node.op == "*" else _ratio(node)
        case t.Lag():
            inner = _mirror(node.value)
            return inner._replace(expr=t.Lag(_plainly_number(inner.expr), node.window))
        case t.Since():
            return _Image(1, t.Since(flip(node.condition)), 0)
        case t.If():
            sign, (then, otherwise) = _together([node.then, node.otherwise], node)
            level = _mirror(node.then).level
            return _Image(sign, t.If(flip(node.condition), then, otherwise), level)
        case t.Call():
            return _call(node)
        case t.CrossSection():
            return _cross_section(node)
        case _:
            raise _refusal(node, "the rule it looks at is another one when prices fall")


def _plainly_number(expr: Expr) -> Expr:
    """The same number, such that its past is one: `ago(halted, 1m)` would be a condition."""
    bare_flag = isinstance(expr, t.MetricRef) and is_flag(expr.name)
    return t.Negate(t.Negate(expr)) if bare_flag else expr


def _metric(name: str) -> _Image:
    known = resolve(name)
    mirror = known.mirror
    ref = t.MetricRef(name if mirror.name == known.name else mirror.name)
    if mirror.inverse:
        return _Image(1, t.Arithmetic("/", Number(1.0), ref), 0)
    if mirror.offset:
        op: t.ArithmeticOp = "-" if mirror.sign < 0 else "+"
        return _Image(1, t.Arithmetic(op, Number(mirror.offset), ref), 0)
    amount = known.name.endswith("_usd") or known.name.startswith("macd")
    level = known.unit == "usd" and mirror.sign < 0 and not amount
    return _Image(int(mirror.sign), ref, float(level))


def _sum(node: t.Arithmetic) -> _Image:
    left, right = _mirror(node.left), _mirror(node.right)
    taken = right.level if node.op == "+" else -right.level
    level = round(left.level + taken, _DIGITS)
    same: t.ArithmeticOp = node.op
    other: t.ArithmeticOp = "-" if node.op == "+" else "+"
    op = same if left.sign == right.sign else other
    return _Image(left.sign, t.Arithmetic(op, left.expr, right.expr), level)


def _product(node: t.Arithmetic) -> _Image:
    left, right = _mirror(node.left), _mirror(node.right)
    for factor, price in ((right, left), (left, right)):
        if not price.level:
            continue
        if not isinstance(factor.expr, Number):
            raise _refusal(node, "a price is multiplied by what is no plain number")
        value = factor.expr.value
        if price.level == 1 and _NEAR_ONE[0] < value < _NEAR_ONE[1]:
            return _Image(price.sign, t.Arithmetic("*", price.expr, _number(2 - value)), 1)
        level = round(price.level * value, _DIGITS)
        return _Image(price.sign, t.Arithmetic("*", left.expr, right.expr), level)
    return _Image(left.sign * right.sign, t.Arithmetic("*", left.expr, right.expr), 0)


def _ratio(node: t.Arithmetic) -> _Image:
    left, right = _mirror(node.left), _mirror(node.right)
    ratio = t.Arithmetic("/", left.expr, right.expr)
    if left.level == right.level == 1:  # near 1: as far below it as it was above
        return _Image(1, t.Arithmetic("-", Number(2.0), ratio), 0)
    if not left.level and right.level in (0, 1):  # a price below the line is a measure only
        return _Image(left.sign * (1 if right.level else right.sign), ratio, 0)
    if isinstance(right.expr, Number) and right.expr.value:
        return _Image(left.sign, ratio, round(left.level / right.expr.value, _DIGITS))
    raise _refusal(node, "a price is divided by what is no price")


def _call(node: t.Call) -> _Image:
    if node.function in ("min", "max", "coalesce"):
        sign, parts = _together(node.arguments, node)
        level = max((_mirror(part).level for part in node.arguments), key=abs)
        swapped: dict[str, t.Function] = {"min": "max", "max": "min"}
        function = node.function if sign > 0 else swapped.get(node.function, node.function)
        return _Image(sign, t.Call(function, tuple(parts)), level)
    inner = _mirror(node.arguments[0])
    if inner.level:
        raise _refusal(node, f"{node.function} of a price has no direction")
    if node.function == "abs":
        return _Image(1, t.Call("abs", (inner.expr,)), 0)
    return _Image(1, t.Call(node.function, (_signed(inner),)), 0)


def _cross_section(node: t.CrossSection) -> _Image:
    inner = _mirror(node.value)
    if inner.level:
        raise _refusal(node, "symbols cannot be compared by mirrored prices")
    if node.function == "zscore":
        return inner._replace(expr=t.CrossSection("zscore", inner.expr, node.group))
    return _Image(1, t.CrossSection(node.function, _signed(inner), node.group), 0)


def _signed(image: _Image) -> Expr:
    if image.sign > 0:
        return image.expr
    if isinstance(image.expr, Number):
        return _number(-image.expr.value)
    return t.Negate(image.expr)


def _number(value: float) -> Number:
    """Without the last digits, which a subtraction leaves."""
    return Number(round(value, _DIGITS) + 0.0)


def _refusal(node: Node, why: str) -> ChangeError:
    text = format_tree(cast(Expr, node))
    shown = text if len(text) <= 80 else f"{text[:80]}..."
    return ChangeError(f"{shown} has no mirror image: {why}.")
