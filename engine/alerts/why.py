"""Why a rule fires for a symbol in a cycle, or why not: every condition with its numbers and how
far off it is, and what stands in the way."""

import functools
import math
import typing
from collections.abc import Iterator

import msgspec

from engine.alerts.document import Explanation, rfc3339
from engine.alerts.explain import SESSION_NAMES, WEEKDAY_NAMES
from engine.alerts.needs import Distance, distance
from engine.alerts.obstacles import Obstacle, Unmet, obstacles
from engine.alerts.standing import Standing
from engine.rules.captures import REMEMBERING, RESULTS
from engine.rules.format import format_tree
from engine.rules.interpret import Facts, Moment, Result, canonical_name, number, truth
from engine.rules.model import Rule
from engine.rules.normal import denied, normal_form, normal_number
from engine.rules.recall import Trace
from engine.rules.tree import (
    Ago,
    And,
    AtLeast,
    Between,
    Compare,
    Cond,
    Crosses,
    Expr,
    Flag,
    InRow,
    MetricRef,
    Node,
    Not,
    Or,
    Sequence,
    Since,
    Within,
    children,
    walk,
)

CONDITIONS = typing.get_args(Cond)
_JUNCTIONS = (And, Or, Not)


class Part(Explanation, frozen=True, kw_only=True):
    """A condition as it stands on an alert, and what more is known of it. What does not apply is
    not there.

    wanted: false where the rule wants it to be false. undecided: true where result is null because
    too little is remembered to tell; excluded: what it is not, true or false, as far as that is
    remembered. needs: what would have to be; off: how far the
    left side is from the bound (what is compared minus bound), off_pct: in percent of it. last_met:
    when it last was as the rule wants it, null unknown; last_met_n: the cycle.
    since: what in_row looks at is true since then. count: true samples of at_least. sample: the
    instant that ago is of. was: where a cross stood in the cycle before; disarmed: its hysteresis
    holds it back. taken: times of the steps taken of the sequence that goes on; due: until when the
    next one must come. parts: the conditions that an operator looks at.
    """

    wanted: bool | msgspec.UnsetType = msgspec.UNSET
    undecided: bool | msgspec.UnsetType = msgspec.UNSET
    excluded: bool | msgspec.UnsetType = msgspec.UNSET
    needs: str | msgspec.UnsetType = msgspec.UNSET
    off: float | msgspec.UnsetType = msgspec.UNSET
    off_pct: float | msgspec.UnsetType = msgspec.UNSET
    last_met: str | None = None
    last_met_n: int | msgspec.UnsetType = msgspec.UNSET
    since: str | msgspec.UnsetType = msgspec.UNSET
    count: int | msgspec.UnsetType = msgspec.UNSET
    sample: str | msgspec.UnsetType = msgspec.UNSET
    was: str | msgspec.UnsetType = msgspec.UNSET
    disarmed: bool | msgspec.UnsetType = msgspec.UNSET
    taken: list[str] | msgspec.UnsetType = msgspec.UNSET
    due: str | msgspec.UnsetType = msgspec.UNSET
    parts: "list[Part] | msgspec.UnsetType" = msgspec.UNSET


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer.

    result: of the condition, debounced; null unknown, and undecided where it may be false. fired:
    an alert was due in this cycle; event: enter or exit, of rules that tell both. explain: the
    conditions in the order of the rule, as on an alert. logic: how they belong together:
    {"all": [0, {"any": [1, {"not": 2}]}]}, numbers are places in explain. last_fired: T of the
    newest firing that is known of, this cycle's included. watched_from_n: last_met is known from
    this cycle on.
    """

    rule_id: str
    rule_version: int
    rule_name: str
    symbol: str
    n: int
    t: str
    condition: str
    result: bool | None
    undecided: bool | msgspec.UnsetType = msgspec.UNSET
    fired: bool
    event: str | msgspec.UnsetType = msgspec.UNSET
    last_fired: str | None
    watched_from_n: int | msgspec.UnsetType = msgspec.UNSET
    values: dict[str, float | None]
    obstacles: list[Obstacle]
    explain: list[Part]
    logic: typing.Any


@functools.lru_cache(maxsize=256)
def trees_of(rule: Rule) -> tuple[Cond, ...]:
    """The trees that the answer looks at: the root, and the scope and what arms it again, if
    any."""
    found = [rule.root]
    if rule.universe.scope is not None:
        found.append(rule.universe.scope)
    if rule.rearm_tree is not None:
        found.append(rule.rearm_tree)
    return tuple(found)


@functools.lru_cache(maxsize=256)
def nodes_of(rule: Rule) -> tuple[Node, ...]:
    """Nodes of normal forms that look at the past or at other symbols, those below a node before
    it, of every condition in the rule. Raises UnknownMetric."""
    found: dict[Node, None] = {}
    for tree in trees_of(rule):
        for cond in walk(tree):
            if isinstance(cond, CONDITIONS):
                for node in walk(normal_form(cond)):
                    if isinstance(node, RESULTS):
                        found.setdefault(node)
    return tuple(found)


@functools.lru_cache(maxsize=256)
def remembered_of(rule: Rule) -> tuple[Node, ...]:
    """nodes_of and their opposites: what a program may remember of the rule."""
    found: dict[Node, None] = dict.fromkeys(nodes_of(rule))
    for node in nodes_of(rule):
        if isinstance(node, REMEMBERING):
            opposite = denied(node)
            if isinstance(opposite, REMEMBERING):
                found.setdefault(opposite)
    return tuple(found)


@functools.lru_cache(maxsize=256)
def metrics_of(rule: Rule) -> tuple[str, ...]:
    """Canonical names of every metric that the trees name. Raises UnknownMetric."""
    names = (
        node.name for tree in trees_of(rule) for node in walk(tree)
        if isinstance(node, MetricRef | Flag)
    )  # fmt: skip
    return tuple(dict.fromkeys(map(canonical_name, names)))


def moment_of(standing: Standing) -> Moment:
    """The cycle as the symbol sees it."""
    day = standing.day
    return Moment(
        time_ns=standing.t_ns, values=standing.values, before_ns=standing.before_ns,
        session=SESSION_NAMES[day.session], weekday=WEEKDAY_NAMES[day.weekday],
        minute_of_day=day.minute,
    )  # fmt: skip


def explain_standing(standing: Standing) -> Why:
    """The answer. Pure: nothing but `standing` decides it."""
    return _Answer(standing).whole()


class _Answer:
    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.rule = standing.rule
        moment = moment_of(standing)
        nodes = nodes_of(self.rule)
        self.results, self.undecided = standing.recall.results(nodes, moment)
        self.facts = Facts(moment, self.results)

    def whole(self) -> Why:
        standing, rule, scene = self.standing, self.rule, self.standing.scene
        result, undecided = self.root()
        found = obstacles(standing, result, self.facts, self.unmet)
        prevented = any(one.prevents for one in found)
        entered = result is True and not prevented
        left = scene.left and not any(one.silences for one in found)
        fired = entered or left
        event: str | msgspec.UnsetType = msgspec.UNSET
        if rule.trigger == "enter_exit" and fired:
            event = "exit" if left else "enter"
        last_ns = standing.t_ns if fired else max(scene.cooled_ns, scene.told_ns)
        values = {
            name: _finite(standing.values.get(canonical_name(name), math.nan))
            for name in rule.metrics
        }
        explain: list[Part] = []
        logic = self.logic(rule.condition, True, explain)
        return Why(
            rule_id=rule.id, rule_version=rule.version, rule_name=rule.name,
            symbol=standing.symbol, n=standing.n, t=rfc3339(standing.t_ns),
            condition=format_tree(rule.condition), result=result,
            undecided=undecided or msgspec.UNSET, fired=fired, event=event,
            last_fired=rfc3339(last_ns) if last_ns else None,
            watched_from_n=msgspec.UNSET if standing.met is None else standing.met.since_n,
            values=values, obstacles=found, explain=explain, logic=logic,
        )  # fmt: skip

    def root(self) -> tuple[bool | None, bool]:
        """What the root gave. A rule in force has its truth in memory."""
        result, undecided = self.result(self.rule.root)
        if self.standing.scene.in_force and self.standing.scene.known:
            if self.standing.scene.true:
                return True, False
            result = None if result is True else result
        return result, undecided

    def result(self, cond: Cond) -> tuple[bool | None, bool]:
        """What a condition gave, and whether its unknown may be a false."""
        if not self.standing.scene.known:
            return None, False
        normal = normal_form(cond)
        result = truth(normal, self.facts)
        open_ = result is None and any(node in self.undecided for node in _tops(normal))
        return result, open_

    # -- conditions ------------------------------------------------------------------------------
    def logic(self, cond: Cond, wanted: bool, explain: list[Part]) -> typing.Any:
        """How the leaves belong together; they go to `explain` in order."""
        match cond:
            case And() | Or():
                word = "all" if isinstance(cond, And) else "any"
                return {word: [self.logic(part, wanted, explain) for part in cond.parts]}
            case Not():
                return {"not": self.logic(cond.part, not wanted, explain)}
            case _:
                explain.append(self.part(cond, wanted))
                return len(explain) - 1

    def part(self, cond: Cond, wanted: bool) -> Part:
        """One condition, with those below it."""
        if isinstance(cond, Not):
            return self.part(cond.part, not wanted)
        result, undecided = self.result(cond)
        left, right = self.sides(cond)
        normal = normal_form(cond)
        excluded = self.undecided.get(normal) if undecided else None
        trace = self.standing.recall.trace(normal)
        last_n, last_ns = self.last_met(cond, wanted, result, trace)
        apart = Distance() if isinstance(cond, _JUNCTIONS) else distance(cond, wanted, self.number)
        names = {canonical_name(node.name) for node in walk(cond)
                 if isinstance(node, MetricRef | Flag)}  # fmt: skip
        parts = [self.part(one, wants) for one, wants in _below(cond, wanted)]
        given = msgspec.UNSET
        return Part(
            format_tree(cond), left, right, result,
            gap=not names.isdisjoint(self.standing.reaching) or given,
            steps=[rfc3339(at) for at in trace.steps_ns] if trace.steps_ns else given,
            wanted=given if wanted else False,
            undecided=undecided or given,
            excluded=given if excluded is None else excluded,
            needs=apart.needs or given,
            off=given if apart.off is None else apart.off,
            off_pct=given if apart.off_pct is None else apart.off_pct,
            last_met=rfc3339(last_ns) if last_ns else None,
            last_met_n=last_n or given,
            parts=parts or given,
            **self.told(cond, trace),
        )  # fmt: skip

    def told(self, cond: Cond, trace: Trace) -> dict[str, typing.Any]:
        """What the memory of an operator tells beside its result."""
        found: dict[str, typing.Any] = {}
        if trace.since_ns:
            found["since"] = rfc3339(trace.since_ns)
        if trace.count >= 0:
            found["count"] = trace.count
        if trace.sample_ns:
            found["sample"] = rfc3339(trace.sample_ns)
        if trace.was:
            found["was"] = trace.was
        if trace.disarmed:
            found["disarmed"] = True
        if isinstance(cond, Sequence) and trace.taken_ns:
            within = cond.steps[len(trace.taken_ns)].within
            due_ns = 0 if within is None else trace.taken_ns[-1] + within.length_ns
            if not 0 < due_ns < self.standing.t_ns:  # an overdue attempt is given up lazily
                found["taken"] = [rfc3339(at) for at in trace.taken_ns]
                found |= {"due": rfc3339(due_ns)} if due_ns else {}
        return found

    def sides(self, cond: Cond) -> tuple[float | None, float | None]:
        """The numbers that stand beside a condition on an alert."""
        match cond:
            case Compare() | Crosses():
                return self.number(cond.left), self.number(cond.right)
            case Between():
                return self.number(cond.value), None
            case Flag():
                return self.number(MetricRef(cond.name)), None
            case _:
                return None, None

    def number(self, expr: Expr) -> float | None:
        """A number as it stood in the cycle, None unknown or not finite."""
        value = number(normal_number(expr), self.facts)
        return value if value is not None and math.isfinite(value) else None

    def last_met(
        self, cond: Cond, wanted: bool, result: bool | None, trace: Trace
    ) -> tuple[int, int]:
        """Cycle (0 unknown) and T in ns (0 unknown) when the condition last was as is wanted."""
        standing = self.standing
        if result is wanted:
            return standing.n, standing.t_ns
        if standing.met is not None:
            return standing.met.last.get((cond, wanted), (0, 0))
        if wanted and trace.last_ns:
            return 0, trace.last_ns
        return 0, self.remembered_above(cond) if wanted else 0

    def remembered_above(self, cond: Cond) -> int:
        """When a condition was last true, told by an operator of this rule that looks at it."""
        for tree in trees_of(self.rule):
            for node in walk(tree):
                if isinstance(node, Within) and node.part == cond:
                    return self.standing.recall.trace(normal_form(node)).part_ns
                if isinstance(node, Since) and node.condition == cond:
                    return self.standing.recall.trace(normal_number(node)).part_ns
        return 0

    def unmet(self, cond: Cond) -> Unmet | None:
        """A condition that must hold for the rule to be looked at, where it does not; of a symbol
        of which nothing is known that alone is said."""
        if not self.standing.scene.known:
            return None
        result, _ = self.result(cond)
        return None if result is True else Unmet(format_tree(cond), self.part(cond, True))


def _tops(normal: Cond) -> Iterator[Node]:
    """Nodes whose results the truth of a normal form asks for."""
    stack: list[Node] = [normal]
    while stack:
        node = stack.pop()
        if isinstance(node, RESULTS):
            yield node
        else:
            stack.extend(children(node))


def _below(cond: Cond, wanted: bool) -> Iterator[tuple[Cond, bool]]:
    """The conditions that a condition looks at, and how it wants each."""
    if isinstance(cond, Sequence):
        yield from ((step.condition, True) for step in cond.steps)
        if cond.cancel is not None:
            yield cond.cancel, False
        return
    same = isinstance(cond, And | Or | Within | InRow | Ago | AtLeast)
    stack = list(children(cond))[::-1]
    while stack:
        node = stack.pop()
        if isinstance(node, CONDITIONS):
            yield node, wanted if same else True
        else:
            stack.extend(list(children(node))[::-1])


def _finite(value: Result) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
