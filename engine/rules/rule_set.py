"""What must hold of rules together: breadth names rules that are there; the set is affordable."""

from collections.abc import Iterator, Sequence

from engine.rules.cost import SetCost, set_fault
from engine.rules.limits import Limits
from engine.rules.model import Rule
from engine.rules.tree import Breadth, walk
from engine.rules.words import near

MAX_SHOWN_RULES = 8  # of a circle


class SetChecker:
    """Checks one set of rules after another; only what changed is looked at closely."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._cost = SetCost()
        self._needs: dict[str, tuple[Rule, tuple[str, ...]]] = {}

    def faults(self, rules: Sequence[Rule]) -> list[str]:
        """One sentence for each fault of a set of rules with different ids, each valid by
        itself."""
        self._needs = {rule.id: self._needs_of(rule) for rule in rules}
        faults = list(_breadth_faults(rules, {key: ids for key, (_, ids) in self._needs.items()}))
        if not faults and (fault := set_fault(rules, self._limits, self._cost)):
            faults.append(fault)
        return faults

    def _needs_of(self, rule: Rule) -> tuple[Rule, tuple[str, ...]]:
        known = self._needs.get(rule.id)
        return known if known is not None and known[0] is rule else (rule, breadth_ids(rule))


def set_faults(rules: Sequence[Rule], limits: Limits) -> list[str]:
    """See SetChecker.faults."""
    return SetChecker(limits).faults(rules)


def breadth_ids(rule: Rule) -> tuple[str, ...]:
    """The rules whose breadth a rule looks at, in order of first mention."""
    trees = (rule.condition, rule.universe.tree, rule.rearm_tree)
    nodes = [node for tree in trees if tree is not None for node in walk(tree)]
    return tuple(dict.fromkeys(node.rule_id for node in nodes if isinstance(node, Breadth)))


def _breadth_faults(
    rules: Sequence[Rule], needs: dict[str, tuple[str, ...]]
) -> Iterator[str]:
    known = {rule.id: rule for rule in rules}
    for rule in rules:
        for needed in needs[rule.id]:
            if needed not in known:
                nearest = near(needed, known)
                hint = f"; did you mean {nearest}?" if nearest else ""
                yield f"rule '{rule.id}': breadth names '{needed}', which is no rule{hint}"
            elif rule.enabled and not known[needed].enabled:
                yield f"rule '{rule.id}': breadth names '{needed}', which is not enabled"
    yield from _circle_faults(needs)


def _circle_faults(needs: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """A sentence naming a circle if there is one: what needs nothing that is left is taken away
    until nothing can be."""
    left = {rule: {one for one in needed if one in needs} for rule, needed in needs.items()}
    users: dict[str, list[str]] = {}
    for rule, needed in left.items():
        for one in needed:
            users.setdefault(one, []).append(rule)
    free = [rule for rule, needed in left.items() if not needed]
    while free:
        done = free.pop()
        del left[done]
        for user in users.get(done, ()):
            left[user].discard(done)
            if not left[user]:
                free.append(user)
    if not left:
        return
    path = [min(left)]
    while path[-1] not in path[:-1]:
        path.append(min(left[path[-1]]))
    circle = path[path.index(path[-1]) :]
    if len(circle) > MAX_SHOWN_RULES:
        circle[MAX_SHOWN_RULES // 2 : -MAX_SHOWN_RULES // 2] = ["..."]
    yield f"rule '{circle[0]}': breadth goes round in a circle, {' -> '.join(circle)}"
