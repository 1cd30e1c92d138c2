"""What of a rule an alert carries, so that its condition can be explained without its past.

Metrics are carried by value, nodes that look at the past or at other symbols by result. The scan
worker writes them in this order, the alert service reads them in this order.
"""

import dataclasses
import functools

from engine.rules.interpret import canonical_name
from engine.rules.model import Rule
from engine.rules.normal import normal_form
from engine.rules.tree import (
    Ago,
    And,
    AtLeast,
    Breadth,
    Crosses,
    CrossSection,
    Flag,
    InRow,
    Lag,
    MetricRef,
    Node,
    Sequence,
    Since,
    Within,
    children,
    walk,
)

REMEMBERING = (Crosses, Within, InRow, Ago, AtLeast, Sequence)
RESULTS = (*REMEMBERING, Lag, Since, CrossSection, Breadth)


@dataclasses.dataclass(frozen=True)
class Captures:
    """metrics: canonical names, as first mentioned. nodes: of the normal form, none below another;
    certain[i]: nodes[i] is true whenever the rule is."""

    metrics: tuple[str, ...]
    nodes: tuple[Node, ...]
    certain: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.metrics) + sum(map(words_of, self.nodes))


def words_of(node: Node) -> int:
    """How many words of a lane a result takes: one, for a sequence also the times of its steps."""
    return 1 + len(node.steps) if isinstance(node, Sequence) else 1


@functools.lru_cache(maxsize=4096)
def captures_of(rule: Rule) -> Captures:
    """What an alert of `rule` carries. Raises UnknownMetric."""
    condition = rule.condition
    names = [node.name for node in walk(condition) if isinstance(node, MetricRef | Flag)]
    root = normal_form(condition)
    spine: set[Node] = set(root.parts if isinstance(root, And) else (root,))
    found: dict[Node, bool] = {}
    _collect(root, spine, found)
    return Captures(
        metrics=tuple(dict.fromkeys(map(canonical_name, names))),
        nodes=tuple(found),
        certain=tuple(found.values()),
    )


def _collect(node: Node, spine: set[Node], found: dict[Node, bool]) -> None:
    if isinstance(node, RESULTS):
        found.setdefault(node, node in spine)
        return
    for child in children(node):
        _collect(child, spine, found)
