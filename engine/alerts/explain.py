"""Why a rule fired: its conditions evaluated again from what the alert carries."""

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import cast

import numpy as np

from engine.domain.session_clock import DayTime
from engine.rules.captures import REMEMBERING, captures_of
from engine.rules.format import format_tree
from engine.rules.interpret import Facts, Moment, Result, canonical_name, number, truth
from engine.rules.model import Rule
from engine.rules.normal import denied, normal_form, normal_number
from engine.rules.tree import (
    And,
    Between,
    Compare,
    Cond,
    Crosses,
    Expr,
    Flag,
    MetricRef,
    Node,
    Not,
    Or,
    Sequence,
    SessionName,
    Weekday,
    walk,
)

SESSION_NAMES: tuple[SessionName | None, ...] = ("pre", "regular", "after", None)
WEEKDAY_NAMES: tuple[Weekday | None, ...] = ("mon", "tue", "wed", "thu", "fri", None, None, None)


@dataclasses.dataclass(frozen=True)
class Reason:
    """One condition: its text, the numbers it compares where it compares any, what it gives; None
    is unknown. steps_ns: times of the steps of a completed sequence. gap: the window of a metric it
    names reaches into the symbol's newest gap."""

    text: str
    left: float | None
    right: float | None
    result: bool | None
    steps_ns: tuple[int, ...]
    gap: bool


@dataclasses.dataclass(frozen=True)
class _Leaf:
    """A condition that is no AND, OR or NOT of others. normal, left, right: in normal form."""

    text: str
    normal: Cond
    left: Expr | None
    right: Expr | None
    metrics: frozenset[str]


@functools.lru_cache(maxsize=4096)
def _leaves_of(rule: Rule) -> tuple[_Leaf, ...]:
    return tuple(map(_leaf, _leaves(rule.condition)))


@functools.lru_cache(maxsize=4096)
def _names_of(rule: Rule) -> tuple[tuple[str, str], ...]:
    """The metrics that a rule names, as it names them and canonical."""
    return tuple((name, canonical_name(name)) for name in rule.metrics)


def _leaves(cond: Cond) -> Iterator[Cond]:
    match cond:
        case And() | Or():
            for part in cond.parts:
                yield from _leaves(part)
        case Not():
            yield from _leaves(cond.part)
        case _:
            yield cond


def _leaf(cond: Cond) -> _Leaf:
    left: Expr | None = None
    right: Expr | None = None
    match cond:
        case Compare() | Crosses():
            left, right = normal_number(cond.left), normal_number(cond.right)
        case Between():
            left = normal_number(cond.value)
        case Flag():
            left = MetricRef(canonical_name(cond.name))
        case _:
            pass
    names = (node.name for node in walk(cond) if isinstance(node, MetricRef | Flag))
    metrics = frozenset(map(canonical_name, names))
    return _Leaf(format_tree(cond), normal_form(cond), left, right, metrics)


def explain(
    rule: Rule, carried: np.ndarray, gaps: int, t_ns: int, day: DayTime
) -> tuple[dict[str, float | None], list[Reason]]:
    """Values of the metrics that `rule` names, as it names them, and its conditions in the order in
    which they are written.

    carried: int64[words], what an alert carries, see captures; bit i of gaps: word i is a metric
    whose window reaches into a gap. day: where t_ns lies.
    """
    captures = captures_of(rule)
    numbers = carried.view(np.float64).tolist()
    values = dict(zip(captures.metrics, numbers, strict=False))
    results, steps = _results(captures.nodes, carried, numbers, len(values))
    moment = Moment(
        time_ns=t_ns, values=values, session=SESSION_NAMES[day.session],
        weekday=WEEKDAY_NAMES[day.weekday], minute_of_day=day.minute,
    )  # fmt: skip
    facts = Facts(moment, results)
    reaching = {name for at, name in enumerate(captures.metrics) if gaps >> at & 1}
    reasons = [
        Reason(
            leaf.text,
            None if leaf.left is None else _finite(number(leaf.left, facts)),
            None if leaf.right is None else _finite(number(leaf.right, facts)),
            truth(leaf.normal, facts),
            steps.get(leaf.normal, ()),
            not reaching.isdisjoint(leaf.metrics),
        )
        for leaf in _leaves_of(rule)
    ]
    named = {name: _finite(values[canonical]) for name, canonical in _names_of(rule)}
    return named, reasons


def _results(
    nodes: tuple[Node, ...], carried: np.ndarray, numbers: list[float], at: int
) -> tuple[dict[Node, Result], dict[Node, tuple[int, ...]]]:
    """What nodes gave, also those that say the opposite, and times of steps; words from `at` on."""
    results: dict[Node, Result] = {}
    steps: dict[Node, tuple[int, ...]] = {}
    for node in nodes:
        value = numbers[at]
        at += 1
        if not isinstance(node, REMEMBERING):
            results[node] = None if math.isnan(value) else value
            continue
        known = None if math.isnan(value) else value > 0
        results[node] = known
        results[denied(cast(Cond, node))] = None if known is None else not known
        if isinstance(node, Sequence):
            times = tuple(carried[at : at + len(node.steps)].tolist())
            at += len(times)
            if all(times):
                steps[node] = times
    return results, steps


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
