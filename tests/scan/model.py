"""Firing as the documents define it: one rule and one symbol at a time, in plain Python.

It knows nothing of workers, slots, parities or kills.
"""

import dataclasses
import math
from typing import Any

from engine.domain.session_clock import day_time
from engine.rules.identity import content_hash
from engine.rules.interpret import Facts, Moment, number, truth
from engine.rules.model import Rule
from engine.rules.normal import denied, normal_form
from engine.rules.tree import Breadth, Cond, CrossSection, Expr, MetricRef, Node, walk
from tests.rules.machine import SESSIONS, WEEKDAYS, Symbol, halves
from tests.rules.randomly import NAMES
from tests.scan.world import Symbol as Given

NS_PER_MS, NS_PER_MINUTE = 1_000_000, 60_000_000_000
HALT = "halted"
# Their columns are there whoever asks; an expression has one only while a rule compares it.
METRICS: dict[Expr, Expr] = {MetricRef(name): MetricRef(name) for name in (*NAMES, HALT)}


@dataclasses.dataclass(frozen=True)
class Trees:
    """The trees of a rule as the program evaluates them."""

    rule: Rule
    root: Cond
    denied: Cond | None
    scope: Cond | None
    rearm: Cond | None
    content: bytes

    @classmethod
    def of(cls, rule: Rule) -> "Trees":
        def normal(cond: Cond | None) -> Cond | None:
            return None if cond is None else halves(normal_form(cond))

        off = halves(denied(rule.condition))
        rearm = normal(rule.rearm_tree) or off if rule.rearm else None
        root = normal(rule.root)
        assert root is not None
        leaves = off if rule.trigger == "enter_exit" else None
        scope = normal(rule.universe.scope)
        return cls(rule, root, leaves, scope, rearm, content_hash(rule))

    @property
    def every(self) -> list[Cond]:
        """All of them."""
        found = (self.root, self.denied, self.scope, self.rearm)
        return [tree for tree in found if tree is not None]


def sources_of(trees: list[Trees]) -> dict[Expr, Expr]:
    """Numbers that are compared across symbols, and how they are computed."""
    return {
        node.value: halves(node.value)
        for one in trees
        for tree in one.every
        for node in walk(tree)
        if isinstance(node, CrossSection)
    }


@dataclasses.dataclass
class Before:
    """The cycle before: who was seen, values that are compared, which rules were true for whom."""

    seen: set[str] = dataclasses.field(default_factory=set)
    sources: dict[Expr, dict[str, float | None]] = dataclasses.field(default_factory=dict)
    true: dict[tuple[str, bytes], set[str]] = dataclasses.field(default_factory=dict)
    t_ns: int | None = None


BLOCK = 512


class Model:
    """Cycles of the model. events: (rule id, ticker, event), event "" unless it is enter or exit;
    held: by rule how often something kept it from firing."""

    def __init__(self, session: Any, cap: int) -> None:
        self.session, self.cap = session, cap
        self.trees: list[Trees] = []
        self.symbols: dict[str, Symbol] = {}
        self.before = Before()
        self.bars: dict[str, int] = {}
        self.cooling: dict[tuple[str, str], tuple[int, int]] = {}
        self.marks: dict[tuple[str, str], set[str]] = {}  # by kind and rule id: tickers
        self.held: dict[str, dict[str, int]] = {}
        self.minute, self.in_minute = -1, {}  # type: int, dict[str, int]
        self.n = 0
        self.numbers: dict[str, int] = {}  # of tickers, in the order of admission
        self.looked_ns: dict[str, int] = {}
        self.fired_ns: dict[str, int] = {}

    def cycle(
        self, t_ns: int, rules: list[Rule], symbols: dict[str, Given], stride: int = 1,
        recent_ns: int = 0,
    ) -> list[tuple[str, str, str]]:
        """Alerts of one cycle, in order."""
        self.n += 1
        self.use(rules, t_ns)
        self.keep_marks()
        for ticker in symbols:
            self.numbers.setdefault(ticker, len(self.numbers))
        seen = {ticker for ticker, one in symbols.items() if not (one.blind or one.test_issue)}
        due = {one for one in seen if self.is_due(one, rules, t_ns, stride, recent_ns)}
        facts = {ticker: self.facts(ticker, symbols[ticker], t_ns) for ticker in sorted(due)}
        events = []
        true: dict[tuple[str, bytes], set[str]] = {}
        for one in self.trees:
            key = one.rule.id, one.content
            holds = {t for t in due if truth(one.root, facts[t]) is True}
            true[key] = holds | (self.before.true.get(key, set()) & (seen - due))
            for ticker in sorted(due):
                event = self.judge(one, ticker, symbols[ticker], facts[ticker], holds, t_ns)
                if event is not None:
                    events.append((one.rule.id, ticker, event))
                    self.fired_ns[ticker] = t_ns
        self.remember(t_ns, seen, due, symbols, facts, true)
        return self.limited(t_ns, events[: self.cap])

    def is_due(
        self, ticker: str, rules: list[Rule], t_ns: int, stride: int, recent_ns: int
    ) -> bool:
        """Whether this cycle looks at a symbol that is seen."""
        return (
            stride == 1
            or ticker not in self.before.seen
            or self.numbers[ticker] // BLOCK % stride == self.n % stride
            or any(ticker in rule.universe.symbols for rule in rules if self.names(rule, ticker))
            or (ticker in self.fired_ns and t_ns - self.fired_ns[ticker] <= recent_ns)
        )

    @staticmethod
    def names(rule: Rule, ticker: str) -> bool:
        """A rule that names a symbol and excludes it does not name it."""
        return ticker not in rule.universe.exclude_symbols

    # -- what is true ----------------------------------------------------------------------------
    def use(self, rules: list[Rule], t_ns: int) -> None:
        if [one.rule for one in self.trees] != sorted(rules, key=lambda rule: rule.id):
            self.trees = [Trees.of(rule) for rule in sorted(rules, key=lambda rule: rule.id)]
        for one in self.trees:
            for key, (last_ns, cooldown) in list(self.cooling.items()):
                if key[0] == one.rule.id and t_ns - last_ns < cooldown * NS_PER_MS:
                    self.cooling[key] = (last_ns, one.rule.cooldown_ms)

    def facts(self, ticker: str, given: Given, t_ns: int) -> Facts:
        model = self.symbols.setdefault(ticker, Symbol())
        every = [tree for one in self.trees for tree in one.every]
        every += sources_of(self.trees).values()  # type: ignore[arg-type]
        model.use(every, forget=ticker not in self.before.seen)
        day = day_time(t_ns, self.session)
        across = {
            node: self.across(node, ticker)
            for tree in every
            for node in walk(tree)
            if isinstance(node, CrossSection | Breadth)
        }
        return model.step(Moment(
            time_ns=t_ns,
            before_ns=self.looked_ns[ticker] if ticker in self.before.seen else self.before.t_ns,
            values=given.values,
            bars_closed=given.bars - self.bars.get(ticker, 0), session=SESSIONS[day.session],
            weekday=WEEKDAYS[day.weekday], minute_of_day=day.minute, across=across,
        ))  # fmt: skip

    def across(self, node: Node, ticker: str) -> float | None:
        """A number that compares symbols, as of the cycle before."""
        before = self.before
        assert isinstance(node, CrossSection | Breadth)
        if node.group != "all" or ticker not in before.seen:
            return None
        if isinstance(node, Breadth):
            content = next((o.content for o in self.trees if o.rule.id == node.rule_id), b"")
            holds = before.true.get((node.rule_id, content))
            return None if holds is None else 100 * len(holds) / len(before.seen)
        values = before.sources.get(node.value, {})
        known = sorted(v for t in before.seen if (v := values.get(t)) is not None)
        mine = values.get(ticker)
        if mine is None:
            return None
        if node.function == "rank":
            return 1.0 + sum(value > mine for value in known)
        if node.function == "pctile":
            below, above = sum(v < mine for v in known), sum(v > mine for v in known)
            return 50 * (len(known) + below - above) / len(known)
        return zscore(mine, known)

    def remember(
        self, t_ns: int, seen: set[str], due: set[str], symbols: dict[str, Given],
        facts: dict[str, Facts], true: dict[tuple[str, bytes], set[str]],
    ) -> None:  # fmt: skip
        before, waiting = self.before, seen - due
        self.before = Before(
            seen=seen,
            sources={
                value: {ticker: number(how, facts[ticker]) for ticker in due}
                | {ticker: before.sources[value][ticker] for ticker in waiting}
                for value, how in (sources_of(self.trees) | METRICS).items()
            },
            true=true,
            t_ns=t_ns,
        )
        for value in set(METRICS) & set(self.before.sources):
            self.before.sources[value] |= {
                ticker: value_of(value, symbols[ticker]) for ticker in waiting
            }
        self.looked_ns |= dict.fromkeys(due, t_ns)
        self.bars |= {ticker: symbols[ticker].bars for ticker in symbols if ticker not in waiting}

    # -- what fires ------------------------------------------------------------------------------
    def keep_marks(self) -> None:
        """Forget what is marked for rules that are not there, or no longer ask for it."""
        wanted = {("cycle", "")}
        for one in self.trees:
            rule = one.rule
            wanted |= {("once", rule.id)} if rule.once_per_session else set()
            wanted |= {("disarmed", rule.id)} if rule.rearm else set()
            wanted |= {("entered", rule.id)} if rule.trigger == "enter_exit" else set()
        self.marks = {key: self.marks.get(key, set()) for key in wanted}
        there = {one.rule.id for one in self.trees}
        self.held = {rule_id: counts for rule_id, counts in self.held.items() if rule_id in there}

    def judge(
        self, one: Trees, ticker: str, given: Given, facts: Facts, holds: set[str], t_ns: int
    ) -> str | None:
        """The event of a rule for a symbol that is seen, None for none."""
        rule = one.rule
        disarmed = self.marks.get(("disarmed", rule.id), set())
        entered = self.marks.get(("entered", rule.id), set())
        once = self.marks.get(("once", rule.id), set())
        if one.rearm is not None and truth(one.rearm, facts) is True:
            disarmed.discard(ticker)
        if not int(self.session["start_ns"]) <= t_ns <= int(self.session["end_ns"]):
            return None
        if given.halted and HALT not in rule.metrics:
            return None
        if one.denied is not None and ticker in entered and truth(one.denied, facts) is True:
            entered.discard(ticker)
            self.count(rule, "fired")
            return "exit"
        if ticker not in holds or ticker in entered:
            return None
        if one.scope is not None and truth(one.scope, facts) is not True:
            return None
        universe = rule.universe
        if ticker in universe.exclude_symbols or (
            universe.symbols and ticker not in universe.symbols
        ):
            return None
        if rule.trigger != "level" and not self.is_edge(one, ticker):
            return None
        for kind, marked in (("once", once), ("disarmed", disarmed)):
            if ticker in marked:
                self.count(rule, kind)
                return None
        last_ns, cooldown = self.cooling.get((rule.id, ticker), (0, 0))
        if rule.cooldown_ms and t_ns - last_ns < cooldown * NS_PER_MS:
            self.count(rule, "cooling")
            return None
        self.cooling[rule.id, ticker] = (t_ns, rule.cooldown_ms)
        self.count(rule, "fired")
        for marked in (disarmed, entered, once):
            marked.add(ticker)
        return "enter" if rule.trigger == "enter_exit" else ""

    def is_edge(self, one: Trees, ticker: str) -> bool:
        before = self.before.true.get((one.rule.id, one.content))
        return before is not None and ticker in self.before.seen and ticker not in before

    def count(self, rule: Rule, what: str) -> None:
        counts = self.held.setdefault(rule.id, {})
        counts[what] = counts.get(what, 0) + 1

    def limited(
        self, t_ns: int, events: list[tuple[str, str, str]]
    ) -> list[tuple[str, str, str]]:
        limits = {one.rule.id: one.rule.max_per_min for one in self.trees}
        if t_ns // NS_PER_MINUTE != self.minute:
            self.minute, self.in_minute = t_ns // NS_PER_MINUTE, {}
        kept = []
        for event in events:
            rule_id = event[0]
            so_far = self.in_minute.get(rule_id, 0)
            if not limits[rule_id] or so_far < limits[rule_id]:
                kept.append(event)
                self.in_minute[rule_id] = so_far + 1
        return kept


def value_of(metric: Expr, given: Given) -> float | None:
    """What a metric is now, looked at or not."""
    assert isinstance(metric, MetricRef)
    value = given.values.get(metric.name, math.nan)
    return None if math.isnan(value) else value


def zscore(mine: float, known: list[float]) -> float | None:
    """Deviations from the mean, summed as the engine does: in order of the values."""
    total = 0.0
    for value in known:
        total += value
    mean = total / len(known)
    squares = 0.0
    for value in known:
        squares += (value - mean) * (value - mean)
    spread = math.sqrt(squares / len(known))
    score = (mine - mean) / spread if spread > 0 else math.nan
    return score if math.isfinite(score) else None
