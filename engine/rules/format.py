"""Writes a tree as text: canonical spacing, no idle brackets; `parse` reads the same tree back."""

from collections.abc import Iterable
from typing import cast

from engine.rules.model import short_number
from engine.rules.tree import (
    Ago,
    And,
    Arithmetic,
    AtLeast,
    Between,
    Breadth,
    Call,
    Compare,
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

# How tightly the parts of a text hold together; a part looser than its place goes into brackets.
_OR, _AND, _NOT, _PREDICATE, _SUM, _TERM, _UNARY, _ATOM = range(8)
_CROSSES = {"above": "crosses_above", "below": "crosses_below", "either": "crosses"}


def format_tree(node: Cond | Expr) -> str:
    """The text of a valid tree; parse(format_tree(t)).tree == t."""
    return _text(node)[0]


def format_window(window: Window) -> str:
    """`5m`, `3 bars`, `1 bar`."""
    if window.unit == "bars":
        return f"{window.count} bar" if window.count == 1 else f"{window.count} bars"
    return f"{window.count}{window.unit}"


def _at(node: Node, place: int) -> str:
    """The text of a part, in brackets where its place needs them."""
    text, level = _text(node)
    return text if level >= place else f"({text})"


def _list(parts: Iterable[Node]) -> str:
    return ", ".join(_at(part, _OR) for part in parts)


def _text(node: Node) -> tuple[str, int]:
    """The text of a node and how tightly it holds together."""
    match node:
        case Number():
            return short_number(node.value), _UNARY if node.value < 0 else _ATOM
        case MetricRef() | Flag():
            return node.name, _ATOM
        case Negate():
            bare = isinstance(node.value, Number) and node.value.value >= 0
            value = _at(node.value, _ATOM + 1 if bare else _UNARY)
            return f"-{value}", _UNARY  # -5 would be the number
        case Arithmetic():
            level = _SUM if node.op in {"+", "-"} else _TERM
            return f"{_at(node.left, level)} {node.op} {_at(node.right, level + 1)}", level
        case Compare():
            return f"{_at(node.left, _SUM)} {node.op} {_at(node.right, _SUM)}", _PREDICATE
        case Between():
            return _between(node, "between"), _PREDICATE
        case Not(part=Between()):
            return _between(cast(Between, node.part), "not between"), _PREDICATE
        case Not():
            return f"not {_at(node.part, _NOT)}", _NOT
        case And():
            return " and ".join(_at(part, _NOT) for part in node.parts), _AND
        case Or():
            return " or ".join(_at(part, _AND) for part in node.parts), _OR
        case _:
            return _function(node), _ATOM


def _between(node: Between, word: str) -> str:
    return f"{_at(node.value, _SUM)} {word} {_at(node.low, _SUM)} and {_at(node.high, _SUM)}"


def _function(node: Node) -> str:
    match node:
        case Call():
            return f"{node.function}({_list(node.arguments)})"
        case If():
            return f"if({_list((node.condition, node.then, node.otherwise))})"
        case Crosses():
            apart = f", {short_number(node.hysteresis_pct)}%" if node.hysteresis_pct else ""
            return f"{_CROSSES[node.direction]}({_list((node.left, node.right))}{apart})"
        case Lag():
            return f"ago({_at(node.value, _OR)}, {format_window(node.window)})"
        case Ago():
            return f"ago({_at(node.part, _OR)}, {format_window(node.window)})"
        case Within():
            return f"within({_at(node.part, _OR)}, {format_window(node.window)})"
        case InRow():
            return f"in_row({_at(node.part, _OR)}, {format_window(node.window)})"
        case AtLeast():
            window = format_window(node.window)
            return f"at_least({_at(node.part, _OR)}, {node.count}, {window})"
        case Since():
            return f"since({_at(node.condition, _OR)})"
        case CrossSection():
            return f"{node.function}({_at(node.value, _OR)}{_group(node.group)})"
        case Breadth():
            return f"breadth({node.rule_id}{_group(node.group)})"
        case InSession():
            return f"in_session({', '.join(node.sessions)})"
        case OnWeekday():
            return f"weekday({', '.join(node.days)})"
        case TimeBetween():
            return f"time_between({_time(node.start_minute)}, {_time(node.end_minute)})"
        case _:
            return _sequence(cast(Sequence, node))


def _group(group: str) -> str:
    return "" if group == "all" else f", {group}"


def _time(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _sequence(node: Sequence) -> str:
    parts = [_step(step) for step in node.steps]
    if node.cancel is not None:
        parts.append(f"cancel {_at(node.cancel, _OR)}")
    return f"sequence({', '.join(parts)})"


def _step(step: Step) -> str:
    within = f" within {format_window(step.within)}" if step.within else ""
    return _at(step.condition, _OR) + within
