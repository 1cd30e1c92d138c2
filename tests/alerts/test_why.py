"""Why and why not: the answer equals what plain models of conditions and of firing say, whatever
the rule, the symbol and the cycle; and nothing is asked of the engine for it."""

import dataclasses
import json
import os
import random
from typing import Any

import msgspec
import pytest

from engine.alerts.onlooker import Onlooker
from engine.alerts.sight import Sight
from engine.alerts.standing import Met
from engine.alerts.why import CONDITIONS, Part, Why, explain_standing, remembered_of, trees_of
from engine.domain.session_clock import day_time
from engine.rules.captures import RESULTS
from engine.rules.evaluator import Moment as When
from engine.rules.format import format_tree
from engine.rules.interpret import Moment, truth
from engine.rules.model import Rule
from engine.rules.normal import denied, normal_form
from engine.rules.probe import Cycle, Probe
from engine.rules.tree import (
    And,
    Breadth,
    Cond,
    Crosses,
    CrossSection,
    Not,
    Or,
    children,
    walk,
)
from tests.rules.machine import SESSIONS, WEEKDAYS, halves
from tests.rules.machine import Symbol as Memories
from tests.rules.randomly import Trees
from tests.scan.model import Model
from tests.scan.test_everything import TICKERS, draw_rule, draw_symbols
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

CASES = 1_000 if os.environ.get("TAPESCAN_SOAK") else 40
BATCHES = 5


class Firings(Model):
    """The model, before the bounds on alerts."""

    def limited(
        self, t_ns: int, events: list[tuple[str, str, str]]
    ) -> list[tuple[str, str, str]]:
        return events


@dataclasses.dataclass
class Truths:
    """What every condition of a rule is for one symbol, by the interpreter, and when it was last
    so."""

    rule: Rule
    memories: Memories = dataclasses.field(default_factory=Memories)
    results: dict[Cond, bool | None] = dataclasses.field(default_factory=dict)
    last: dict[tuple[Any, bool], tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def conds(self) -> list[Cond]:
        found = {node: None for tree in trees_of(self.rule) for node in walk(tree)
                 if isinstance(node, CONDITIONS)}  # fmt: skip
        return list(found)

    def step(self, n: int, moment: Moment, *, fresh: bool) -> None:
        trees = {cond: (halves(normal_form(cond)), halves(denied(cond))) for cond in self.conds}
        every = [tree for both in trees.values() for tree in both]
        stored = [halves(node.value) for tree in every for node in walk(tree)
                  if isinstance(node, CrossSection)]  # fmt: skip
        self.memories.use([*every, *stored], forget=fresh)
        facts = self.memories.step(moment)
        for cond, (yes, no) in trees.items():
            true, false = truth(yes, facts) is True, truth(no, facts) is True
            assert not (true and false)
            self.results[cond] = True if true else False if false else None
            for wanted, so in ((True, true), (False, false)):
                if so:
                    self.last[cond, wanted] = (n, moment.time_ns)


class Play:
    """A world with its models, and somebody who looks at it."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.workers = rng.choice((1, 2, 3))
        self.world = World(
            self.workers, capacity=64 * self.workers, max_alerts_per_cycle=64, max_cooling=1024,
            max_rules=8, op_bit_slots=128, op_row_slots=600, max_captures=256, max_derived=16,
        )  # fmt: skip
        session = self.world.tables.session
        session["date"], session["open_ns"] = 20131008, START_NS + 5 * SECOND_NS
        session["close_ns"] = START_NS + 200 * SECOND_NS
        session["interval_ns"] = SECOND_NS // 4
        self.model = Firings(session[0], 64)
        self.trees = Trees(rng, remembering=seed % 2 == 0)
        self.rules: list[Rule] = []
        self.bars: dict[str, int] = {}
        self.t_ns, self.admitted = START_NS - SECOND_NS // 2, 0
        self.before_ns: int | None = None
        self.seen_before: set[str] = set()
        self.truths: dict[tuple[str, str], Truths] = {}
        self.probes: dict[tuple[str, str], Probe] = {}

    def cycle(self, n: int) -> None:
        rng = self.rng
        self.admitted = min(len(TICKERS), self.admitted + rng.randint(0, 3))
        symbols = draw_symbols(rng, self.admitted, self.bars)
        before_bars = dict(self.model.bars)
        events = self.model.cycle(self.t_ns, self.rules, symbols)
        merged = self.world.cycle(self.t_ns, symbols)
        alerts = {
            (one.rule_id, one.symbol): json.loads(one.document) for one in merged.alerts
        }
        for rule in self.rules:
            for ticker in symbols:
                self.look(n, rule, ticker, symbols, before_bars, events, alerts)
        self.seen_before = {t for t, one in symbols.items() if not one.blind}
        self.before_ns = self.t_ns
        self.t_ns += rng.choice((SECOND_NS // 4, SECOND_NS // 4, SECOND_NS, 61 * SECOND_NS))

    def firings(self, n: int) -> None:
        """One cycle, of which only the firings are compared."""
        rng = self.rng
        self.admitted = min(len(TICKERS), self.admitted + rng.randint(0, 3))
        symbols = draw_symbols(rng, self.admitted, self.bars)
        events = {
            (rule_id, ticker): event
            for rule_id, ticker, event in self.model.cycle(self.t_ns, self.rules, symbols)
        }
        self.world.cycle(self.t_ns, symbols)
        sight = Sight.of(self.world.tables)
        for rule in self.rules:
            for ticker in symbols:
                why = explain_standing(Onlooker(sight, rule.id, ticker, None).take(n))
                event = events.get((rule.id, ticker))
                assert why.fired == (event is not None), (n, ticker, why)
                assert (why.event or "") == (event or ""), (n, ticker, why)
                assert why.fired or why.result is not True or why.obstacles
        self.t_ns += rng.choice((SECOND_NS // 4, SECOND_NS // 4, SECOND_NS, 61 * SECOND_NS))

    def look(
        self, n: int, rule: Rule, ticker: str, symbols: dict[str, Symbol],
        bars: dict[str, int], events: list[tuple[str, str, str]], alerts: dict[Any, Any],
    ) -> None:  # fmt: skip
        seen = not symbols[ticker].blind
        truths = self.truths.setdefault((rule.id, ticker), Truths(rule))
        if seen:
            truths.step(n, self.moment(rule, ticker, symbols, bars),
                        fresh=ticker not in self.seen_before)  # fmt: skip
        looker = Onlooker(Sight.of(self.world.tables), rule.id, ticker, None)
        plain = explain_standing(looker.take(n))
        event = next((e for r, t, e in events if (r, t) == (rule.id, ticker)), None)
        assert plain.fired == (event is not None), (ticker, plain)
        assert (plain.event or "") == (event or ""), (ticker, plain)
        self.compare(plain, rule, truths, seen, exact=False)
        if (rule.id, ticker) in alerts:
            alert = alerts[rule.id, ticker]
            compare_alert(rule, as_alert(plain), alert["explain"])
            assert msgspec.to_builtins(plain)["values"] == alert["values"]
        probe = self.probe(looker, rule, ticker)
        probe.step(n, self.watched(looker.symbol))
        assert probe.since_n
        full = explain_standing(
            looker.take(n, also=(probe.copy(n),), met=Met(since_n=1, last=probe.last))
        )
        assert full.fired == plain.fired
        self.compare(full, rule, truths, seen, exact=True)

    def moment(
        self, rule: Rule, ticker: str, symbols: dict[str, Symbol], bars: dict[str, int]
    ) -> Moment:
        day = day_time(self.t_ns, self.world.tables.session[0])
        nodes = [node for tree in trees_of(rule) for cond in walk(tree)
                 if isinstance(cond, CONDITIONS)
                 for form in (normal_form(cond), denied(cond)) for node in walk(form)
                 if isinstance(node, CrossSection | Breadth)]  # fmt: skip
        column = {
            node: float("nan") for node in nodes
        }
        looker = Onlooker(Sight.of(self.world.tables), rule.id, ticker, None)
        standing = looker.take(self.world.n)
        known, _ = standing.recall.results(list(column), Moment(self.t_ns, {}))
        return Moment(
            time_ns=self.t_ns, before_ns=self.before_ns, values=symbols[ticker].values,
            bars_closed=symbols[ticker].bars - bars.get(ticker, 0),
            session=SESSIONS[day.session], weekday=WEEKDAYS[day.weekday],
            minute_of_day=day.minute, across=known,
        )  # fmt: skip

    def probe(self, looker: Onlooker, rule: Rule, ticker: str) -> Probe:
        key = (rule.id, ticker)
        if key not in self.probes:
            sizes = self.world.sizes
            compiled = self.world.stages[0].versions.rules
            self.probes[key] = Probe(
                self.truths[key].conds, remembered_of(rule), compiled, sizes.rows,
                sizes.max_families, sizes.max_derived, looker.symbol,
            )  # fmt: skip
        return self.probes[key]

    def watched(self, symbol: int) -> Cycle:
        stage = self.world.stages[symbol // self.world.sizes.slice_rows]
        run, scope = stage.evaluator.cycle, stage.scope
        day = day_time(self.t_ns, self.world.tables.session[0])
        when = When(self.t_ns, self.before_ns, day.session, day.weekday, day.minute)
        return Cycle(when, run.columns, scope.known, scope.known_before, run.closed, run.closes,
                     run.first_word)  # fmt: skip

    def compare(
        self, why: Why, rule: Rule, truths: Truths, seen: bool, *, exact: bool
    ) -> None:
        """Every condition against the interpreter; what memory leaves open may be false."""
        parts = list(every_part(why.explain))
        by_text = {part.text: part for part in parts}
        leaves = 0
        for cond in conditions_shown(rule.condition):
            part = next(parts_of(parts, cond))
            leaves += 1
            expected = truths.results.get(cond) if seen else None
            if exact:
                assert not part.undecided, (part, expected)
            if part.undecided:
                assert part.result is None
                if part.excluded is not msgspec.UNSET:
                    assert expected is not part.excluded
            else:
                assert part.result is expected, (part, expected)
            if exact and seen:
                wanted = part.wanted is msgspec.UNSET
                n, _ = truths.last.get((cond, wanted), (0, 0))
                assert (part.last_met_n or 0) == n, (part, n)
        assert leaves and by_text
        root = truths.results.get(rule.root) if seen else None
        if exact:
            assert why.result is root
        else:
            assert (why.result is True) == (root is True)


def parts_of(parts: list[Part], cond: Cond) -> Any:
    return (part for part in parts if part.text == format_tree(cond))


def conditions_shown(root: Cond) -> list[Cond]:
    """Conditions that have a part of their own: all but NOTs, and ANDs and ORs at the top."""
    found: list[Cond] = []
    stack: list[tuple[Any, bool]] = [(root, True)]
    while stack:
        node, top = stack.pop()
        if isinstance(node, CONDITIONS) and not isinstance(node, Not):
            joint = isinstance(node, And | Or)
            if not (top and joint):
                found.append(node)
            top = top and joint
        stack += [(child, top) for child in children(node)]
    return found


def every_part(parts: list[Part]) -> Any:
    for part in parts:
        yield part
        if part.parts is not msgspec.UNSET:
            yield from every_part(part.parts)


def compare_alert(
    rule: Rule, told: list[dict[str, Any]], alert: list[dict[str, Any]]
) -> None:
    """The same, but an alert carries no number of the past from below a cross."""
    crosses = [cond for cond in walk(rule.condition) if isinstance(cond, Crosses)]
    deep = {
        format_tree(cond) for cond in crosses
        if any(isinstance(node, RESULTS) for side in (cond.left, cond.right) for node in walk(side))
    }  # fmt: skip
    for one, other in zip(told, alert, strict=True):
        for side in ("left", "right"):
            if one["text"] in deep and other[side] is None:
                one[side] = None
    assert told == alert


def as_alert(why: Why) -> list[dict[str, Any]]:
    """What of the answer stands on an alert."""
    keys = ("text", "left", "right", "result", "gap", "steps")
    return [
        {key: one[key] for key in keys if key in one}
        for one in msgspec.json.decode(msgspec.json.encode(why))["explain"]
    ]


def play(seed: int) -> None:
    made = Play(seed)
    made.rules = [draw_rule(made.rng, f"r{i}", made.trees) for i in range(made.rng.randint(1, 2))]
    made.world.use(made.rules)
    for n in range(1, made.rng.randint(2, 25)):
        made.cycle(n)


def play_changes(seed: int) -> None:
    """Rules that come, go and change under their ids: who fires is what the model says."""
    made = Play(seed)
    rng = made.rng
    for n in range(1, rng.randint(2, 25)):
        if n == 1 or rng.random() < 0.2:
            kept = rng.sample(made.rules, rng.randint(0, len(made.rules)))
            free = [f"r{i}" for i in range(4) if f"r{i}" not in {rule.id for rule in kept}]
            some = free[: rng.randint(1, 2)]
            made.rules = kept + [draw_rule(rng, rule_id, made.trees) for rule_id in some]
            made.world.use(made.rules)
        made.firings(n)


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(BATCHES))
def test_whoever_fires_is_said_to_whatever_becomes_of_the_rules(batch: int) -> None:
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        try:
            play_changes(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("seed", [719, 2021, 3253, 4403, 4451])
def test_what_was_once_told_wrong_is_told_right(seed: int) -> None:
    """`not ago(...)`, an infinite past, a past below a cross; alerts with a register of `since`
    that others had used in between."""
    play(seed)


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_answer_equals_the_models(batch: int) -> None:
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def looker_at(made: Play, ticker: str) -> Onlooker:
    return Onlooker(Sight.of(made.world.tables), "r", ticker, None)


def test_looking_writes_nothing() -> None:
    made = Play(3)
    made.rules = [draw_rule(made.rng, "r", made.trees)]
    made.world.use(made.rules)
    made.admitted = len(TICKERS)
    made.cycle(1)
    tables = made.world.tables
    for array in (tables.scan.op_bits, tables.scan.op_rows, tables.scan.truth,
                  tables.scan.columns, tables.scan.cooldowns, tables.cell.rows):  # fmt: skip
        array.flags.writeable = False
    for ticker in made.world.ids:
        assert explain_standing(looker_at(made, ticker).take(1)).n == 1
