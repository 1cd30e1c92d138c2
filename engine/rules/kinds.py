"""Checks trees: bounds, names, units, groups; says what is wrong and in which node.

Types (a number here, a condition there) hold already: `parser` checks them in texts, `written` in
JSON trees.
"""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from engine.metrics.registry import UnknownMetric, resolve
from engine.rules.limits import (
    MAX_METRIC_CHARS,
    MAX_SAMPLES,
    MAX_SPELL_MS,
    MAX_STEPS,
    MIN_STEPS,
    Limits,
)
from engine.rules.tree import (
    Ago,
    And,
    Arithmetic,
    AtLeast,
    Breadth,
    Call,
    Crosses,
    CrossSection,
    Flag,
    InRow,
    InSession,
    Lag,
    MetricRef,
    Node,
    Number,
    OnWeekday,
    Or,
    Sequence,
    Step,
    TimeBetween,
    Window,
    Within,
)
from engine.rules.values import is_id
from engine.rules.words import cut, group_fault, is_flag

MINUTES_PER_DAY = 24 * 60
_NAME = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]*"
    r"([ \t]*\([ \t]*[A-Za-z0-9_.]+[ \t]*(,[ \t]*[A-Za-z0-9_.]+[ \t]*)*\))?"
)
_CHAINS = ("+-", "*/")
_FUNCTION: dict[type[Node], str] = {
    Within: "within", InRow: "in_row", Ago: "ago", Lag: "ago", AtLeast: "at_least",
}  # fmt: skip


class Fault(NamedTuple):
    """What is wrong with a node. path: where it is in the JSON of the tree, `parts[0].left`."""

    node: Node
    path: str
    sentence: str


class _Place(NamedTuple):
    node: Node
    path: str
    depth: int


def check(root: Node, limits: Limits) -> list[Fault]:
    """Every fault of a tree, in order of its nodes; the size is checked first and alone."""
    places: list[_Place] = []
    for place in _places(root):
        places.append(place)
        if len(places) > limits.max_nodes:
            sentence = f"the rule has more than {limits.max_nodes} parts"
            return [Fault(root, "", sentence)]
        if place.depth > limits.max_depth:
            sentence = f"the rule is nested deeper than {limits.max_depth}"
            return [Fault(place.node, place.path, sentence)]
    faults = [
        Fault(place.node, place.path, sentence)
        for place in places
        for sentence in _sentences(place.node)
    ]
    names = {node.name for node, _, _ in places if isinstance(node, MetricRef | Flag)}
    if len(names) > limits.max_metrics:
        sentence = f"the rule names {len(names)} metrics, at most {limits.max_metrics} are allowed"
        faults.append(Fault(root, "", sentence))
    return faults


def _places(root: Node) -> Iterator[_Place]:
    """Every node with its path and depth, a node before those below it."""
    stack = [_Place(root, "", 1)]
    while stack:
        place = stack.pop()
        yield place
        below = []
        for path, node in _below(place.node):
            deeper = 0 if _continues(place.node, path, node) else 1
            joined = f"{place.path}.{path}" if place.path else path
            below.append(_Place(node, joined, place.depth + deeper))
        stack.extend(reversed(below))


def _below(node: Node) -> Iterator[tuple[str, Node]]:
    for name in node.__struct_fields__:
        value = getattr(node, name)
        parts = enumerate(value) if isinstance(value, tuple) else [(None, value)]
        for index, part in parts:
            path = name if index is None else f"{name}[{index}]"
            if isinstance(part, Step):
                yield f"{path}.condition", part.condition
            elif isinstance(part, Node):
                yield path, part


def _continues(above: Node, path: str, node: Node) -> bool:
    """Whether a node is the left side of a chain such as a + b - c, written without brackets."""
    if path != "left" or not isinstance(above, Arithmetic) or not isinstance(node, Arithmetic):
        return False
    return any(above.op in chain and node.op in chain for chain in _CHAINS)


def _sentences(node: Node) -> Iterator[str]:
    """What is wrong with a node, apart from the nodes below it."""
    match node:
        case Number():
            if not math.isfinite(node.value):
                yield "a number must be finite"
        case MetricRef() | Flag():
            yield from _metric_faults(node)
        case Call():
            yield from _argument_faults(node)
        case CrossSection():
            yield from filter(None, [group_fault(node.group)])
        case Breadth():
            if not is_id(node.rule_id):
                yield f"{cut(node.rule_id)} is not the id of a rule"
            yield from filter(None, [group_fault(node.group)])
        case And() | Or():
            if len(node.parts) < 2:
                yield f"has {len(node.parts)} parts, expected at least 2"
        case Crosses():
            if not 0 <= node.hysteresis_pct < 100:
                yield "the hysteresis must be at least 0% and below 100%"
        case Within() | InRow() | Ago() | AtLeast() | Lag():
            yield from _window_faults(node)
        case InSession() | OnWeekday() | TimeBetween():
            yield from _calendar_faults(node)
        case Sequence():
            yield from _sequence_faults(node)


def _metric_faults(node: MetricRef | Flag) -> Iterator[str]:
    name = node.name
    if len(name) > MAX_METRIC_CHARS or not _NAME.fullmatch(name):
        yield f"{cut(name)} is not the name of a metric"
        return
    try:
        resolve(name)
    except UnknownMetric as error:
        yield str(error)
        return
    if isinstance(node, Flag) and not is_flag(name):
        yield f"{name} is a number and no flag; compare it, such as {name} > 0"


def _argument_faults(node: Call) -> Iterator[str]:
    count, one = len(node.arguments), node.function in {"abs", "log"}
    if one and count != 1:
        yield f"{node.function} takes 1 argument, found {count}"
    elif not one and count < 2:
        yield f"{node.function} takes at least 2 arguments, found {count}"


def _window_faults(node: Within | InRow | Ago | AtLeast | Lag) -> Iterator[str]:
    window, name = node.window, _FUNCTION[type(node)]
    if isinstance(node, Within | InRow) and window.unit != "bars":
        yield from _spell_faults(window, f"the window of {name}")
    elif isinstance(node, Lag) and window.unit != "m":
        yield "ago keeps numbers at whole minutes; expected a length such as 5m"
    elif window.unit == "ms":
        yield f"{name} samples at whole seconds, minutes or bars; expected a length such as 5s"
    elif not 1 <= window.count <= MAX_SAMPLES:
        found = f"{window.count} {window.unit}"
        yield f"the window of {name} is {found}, expected 1 to {MAX_SAMPLES} {window.unit}"
    elif isinstance(node, AtLeast) and not 1 <= node.count <= window.count:
        samples = f"{window.count} samples"
        yield f"at_least asks for {node.count} of {samples}, expected 1 to {window.count}"
    if isinstance(node, Lag) and isinstance(node.value, MetricRef):
        name = node.value.name
        if not any(_metric_faults(node.value)) and is_flag(name):
            yield f"{name} is a flag; its past is a condition"


def _spell_faults(window: Window, what: str) -> Iterator[str]:
    if window.unit == "bars":
        yield f"{what} is a length of time and no number of bars; expected one such as 5m"
    elif not 1 <= window.length_ns // 1_000_000 <= MAX_SPELL_MS:
        yield f"{what} is {window.count} {window.unit}, expected more than 0 and at most 24h"


def _calendar_faults(node: InSession | OnWeekday | TimeBetween) -> Iterator[str]:
    if isinstance(node, TimeBetween):
        if not 0 <= node.start_minute < node.end_minute <= MINUTES_PER_DAY:
            yield "the time of day must begin before it ends, within 00:00 to 24:00"
        return
    words = node.sessions if isinstance(node, InSession) else node.days
    if not words or len(set(words)) < len(words):
        what = "session" if isinstance(node, InSession) else "weekday"
        yield f"expected at least one {what} and none of them twice"


def _sequence_faults(node: Sequence) -> Iterator[str]:
    if not MIN_STEPS <= len(node.steps) <= MAX_STEPS:
        yield f"a sequence has {MIN_STEPS} to {MAX_STEPS} steps, found {len(node.steps)}"
    for index, step in enumerate(node.steps):
        if step.within is None:
            continue
        if index == 0:
            yield "the first step of a sequence waits for nothing; leave its within out"
        else:
            yield from _spell_faults(step.within, "the within of a step")
