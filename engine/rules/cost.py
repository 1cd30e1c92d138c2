"""Estimates what rules cost in a cycle before any of them runs: a table of nodes times symbols.

Worst case of one scan worker: every node of the normal forms is computed for every symbol once,
however many rules share it. Metrics cost nothing here: their columns are there for all rules. A
parameterised indicator is computed because rules name it: it counts as in the cycle in which a bar
closes for every symbol.
"""

from collections.abc import Iterable

import numpy as np

from engine.metrics.family_kinds import KINDS
from engine.metrics.registry import resolve
from engine.rules.limits import Limits
from engine.rules.model import Rule
from engine.rules.normal import denied, normal_form
from engine.rules.tree import (
    Ago,
    And,
    Arithmetic,
    AtLeast,
    Breadth,
    Call,
    Compare,
    Cond,
    Crosses,
    CrossSection,
    If,
    InRow,
    Lag,
    MetricRef,
    Negate,
    Node,
    Number,
    Or,
    Sequence,
    Since,
    Within,
    walk,
)

# Nanoseconds a symbol and cycle.
COMPARISON_NS = 0.2  # of a column with a constant
NUMBER_NS = 0.3  # an operation on two numbers, or their comparison
LOGARITHM_NS = 5.0
LOGIC_NS = 0.02  # a part of AND or OR
STATE_NS = 1.0  # reading and writing what a node remembers
BREADTH_NS = 0.1
ACROSS_NS = 80.0  # sorting all symbols

NS_PER_US = 1_000.0
NS_PER_MS = 1_000_000.0
_WASTE = 4  # times the nodes of a set that may be kept before all are counted anew
_REMEMBERS = (Crosses, Within, InRow, Ago, AtLeast, Lag, Since)


def node_ns(node: Node) -> float:
    """Nanoseconds a symbol of a node without those below it."""
    match node:
        case Compare():
            plain = isinstance(node.left, MetricRef) and isinstance(node.right, Number)
            return COMPARISON_NS if plain else NUMBER_NS
        case Call():
            return LOGARITHM_NS if node.function == "log" else NUMBER_NS * len(node.arguments)
        case Arithmetic() | Negate() | If():
            return NUMBER_NS
        case And() | Or():
            return LOGIC_NS * len(node.parts)
        case Sequence():
            return STATE_NS * len(node.steps)
        case CrossSection():
            return ACROSS_NS
        case Breadth():
            return BREADTH_NS
        case MetricRef():
            return _family_ns(node.name)
        case _:
            return STATE_NS if isinstance(node, _REMEMBERS) else 0.0


def _family_ns(name: str) -> float:
    family = resolve(name).family
    if family is None:
        return 0.0
    return KINDS[family.kind].cost_ns(family.periods or (family.window_s / 60,))


def nodes_of(rule: Rule) -> set[Node]:
    """The different nodes that a rule needs in every cycle. Raises UnknownMetric."""
    found: set[Node] = set()
    for tree in (rule.root, rule.universe.scope, rule.rearm_tree):
        if tree is not None:
            _collect(normal_form(tree), found)
    return found


def _collect(tree: Cond, found: set[Node]) -> None:
    for node in walk(tree):
        if isinstance(node, If) and node not in found:
            _collect(denied(node.condition), found)  # its false plane
        found.add(node)


def rule_ns(rule: Rule) -> float:
    """Nanoseconds a symbol and cycle of one rule."""
    return sum(map(node_ns, nodes_of(rule)))


class SetCost:
    """Costs of sets of rules, one after another: of a rule that stays nothing is computed again."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[Node, int] = {}
        self._ns: list[float] = []
        self._rules: dict[str, tuple[Rule, np.ndarray]] = {}

    def ns(self, rules: Iterable[Rule]) -> float:
        """Nanoseconds a symbol and cycle of the enabled ones of `rules` together."""
        self._rules = {rule.id: self._of(rule) for rule in rules if rule.enabled}
        nodes = [numbers for _, numbers in self._rules.values()]
        used = np.unique(np.concatenate([np.empty(0, np.int64), *nodes]))
        found = float(np.array(self._ns)[used].sum()) if len(used) else 0.0
        if len(self._ns) > max(1 << 16, _WASTE * len(used)):
            self._forget()
        return found

    def _of(self, rule: Rule) -> tuple[Rule, np.ndarray]:
        known = self._rules.get(rule.id)
        if known is not None and known[0] is rule:
            return known
        numbers = [self._number(node) for node in nodes_of(rule)]
        return rule, np.array(numbers, np.int64)

    def _number(self, node: Node) -> int:
        number = self._numbers.setdefault(node, len(self._ns))
        if number == len(self._ns):
            self._ns.append(node_ns(node))
        return number


def set_ns(rules: Iterable[Rule]) -> float:
    """Nanoseconds a symbol and cycle of the enabled ones of `rules` together."""
    return SetCost().ns(rules)


def _short(figure: float) -> str:
    """A figure with one digit after the point where that says something."""
    return f"{figure:,.1f}".removesuffix(".0")


def rule_fault(rule: Rule, limits: Limits) -> str:
    """Why a rule is too expensive, empty when it is not."""
    cost_us = rule_ns(rule) * limits.symbols / NS_PER_US
    if cost_us <= limits.max_rule_cost_us:
        return ""
    return (
        f"costs about {_short(cost_us)} us a cycle for {limits.symbols:,} symbols, at most"
        f" {_short(limits.max_rule_cost_us)} us are allowed (rules.max_rule_cost_us)"
    )


def set_fault(rules: Iterable[Rule], limits: Limits, cost: SetCost) -> str:
    """Why the enabled ones of `rules` together are too expensive, empty when they are not."""
    cost_ms = cost.ns(rules) * limits.symbols / NS_PER_MS
    most_ms = limits.max_set_cost_share * limits.interval_ms
    if cost_ms <= most_ms:
        return ""
    return (
        f"the rules together cost about {_short(cost_ms)} ms a cycle for {limits.symbols:,}"
        f" symbols, at most {_short(most_ms)} ms of the interval of {limits.interval_ms} ms"
        " are allowed (rules.max_set_cost_share)"
    )
