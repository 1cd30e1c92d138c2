"""Random rules, symbols, changes and kills: the merged alerts equal a slow model of the rules.

The model knows nothing of workers, buckets, parities or kills: it is the meaning of firing.
"""

import dataclasses
import os
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.tables import COOL_WORDS
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from engine.scan.cooldown_nb import FREE, FRESH, NO_PLACE, NS_PER_MS, SYMBOL_MASK
from engine.scan.fire_nb import STAMPS
from engine.scan.stage import ScanStage
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

EXAMPLES = 600 if os.environ.get("TAPESCAN_SOAK") else 60
TICKERS = ["A", "B", "BA", "BRK.B", "C", "D", "Z"]
METRICS = ["last", "chg_pct", "halted"]
CAP = 12


@dataclasses.dataclass
class Model:
    """Firing as the documents define it, one symbol and rule at a time."""

    cooling: dict[tuple[str, str], tuple[int, int]] = dataclasses.field(default_factory=dict)
    true_before: dict[tuple[str, str, tuple[Any, ...]], bool] = dataclasses.field(
        default_factory=dict
    )

    def is_cooling(self, key: tuple[str, str], t_ns: int) -> bool:
        last_ns, cooldown_ms = self.cooling.get(key, (0, 0))
        return t_ns - last_ns < cooldown_ms * NS_PER_MS

    def cycle(
        self, t_ns: int, rules: list[Rule], symbols: dict[str, Symbol]
    ) -> tuple[list[tuple[str, str]], int]:
        """The pairs that fire, in order, and how many more would if they did not cool."""
        for rule in rules:
            for ticker in TICKERS:
                if self.is_cooling((rule.id, ticker), t_ns):
                    last_ns, _ = self.cooling[rule.id, ticker]
                    self.cooling[rule.id, ticker] = (last_ns, rule.cooldown_ms)
        fired = []
        suppressed = 0
        true_now = {}
        for rule in sorted(rules, key=lambda one: one.id):
            halt = any(condition.metric == "halted" for condition in rule.conditions)
            content = (rule.conditions, rule.trigger, rule.cooldown_sec)
            for ticker, symbol in sorted(symbols.items()):
                true = all(
                    compare(symbol.values.get(condition.metric), condition.op, condition.value)
                    for condition in rule.conditions
                )
                if symbol.blind or symbol.test_issue:
                    continue
                true_now[rule.id, ticker, content] = true
                edge = self.true_before.get((rule.id, ticker, content)) is False
                if not true or (symbol.halted and not halt):
                    continue
                if rule.trigger == "edge" and not edge:
                    continue
                if self.is_cooling((rule.id, ticker), t_ns):
                    suppressed += 1
                else:
                    fired.append((rule.id, ticker))
        for rule_id, ticker in fired:
            cooldown_ms = next(rule.cooldown_ms for rule in rules if rule.id == rule_id)
            self.cooling[rule_id, ticker] = (t_ns, cooldown_ms)
        self.true_before = true_now
        return fired, suppressed


def compare(left: float | None, op: str, right: float) -> bool:
    if left is None or np.isnan(left):
        return False
    return bool(eval_op(left, op, right))


def eval_op(left: float, op: str, right: float) -> bool:
    return {
        ">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right,
        "==": left == right, "!=": left != right,
    }[op]  # fmt: skip


NUMBER = st.sampled_from([0.0, 1.0, 2.0, float("nan")])
SYMBOL = st.builds(
    Symbol,
    values=st.fixed_dictionaries(dict.fromkeys(METRICS, NUMBER)),
    blind=st.integers(0, 9).map(lambda x: x == 0),
    halted=st.integers(0, 5).map(lambda x: x == 0),
)
CONDITION = st.fixed_dictionaries({
    "metric": st.sampled_from(METRICS),
    "op": st.sampled_from([">", ">=", "<", "<=", "==", "!="]),
    "value": st.sampled_from([0, 1]),
})  # fmt: skip
RULE = st.fixed_dictionaries({
    "id": st.sampled_from(["r", "r1", "s", "R"]),
    "name": st.just("n"),
    "conditions": st.lists(CONDITION, min_size=1, max_size=2),
    "trigger": st.sampled_from(["level", "edge"]),
    "cooldown_sec": st.sampled_from([0, 0.3, 1, 2.5, 60, 500]),
}).map(read_rule)  # fmt: skip
RULES = st.lists(RULE, max_size=4, unique_by=lambda rule: rule.id)
# tickers present grow with the cycles: symbols are admitted, never taken away
CYCLE = st.fixed_dictionaries({
    "step_ms": st.sampled_from([100, 200, 500, 1000, 30_000, 420_000]),
    "rules": st.none() | RULES,
    "symbols": st.lists(SYMBOL, min_size=len(TICKERS), max_size=len(TICKERS)),
    "admitted": st.integers(1, 2),
    "deaths": st.lists(
        st.tuples(st.integers(-1, 4), st.integers(0, 6), st.integers(0, 4)), max_size=2
    ),
})  # fmt: skip


def tear(stage: ScanStage, pair: int, t_ns: int, stores: int) -> None:
    """Do the first stores of one more stamp, as a kill inside it would leave them."""
    uid = int(stage.versions.rules.rule_uid[pair >> 32])
    cooldown_ms = int(stage.versions.rules.cooldown_ms[pair >> 32])
    symbol = pair & SYMBOL_MASK
    state = stage.cooldowns._cooling.state
    place = int(state[FREE] if state[FREE] != NO_PLACE else state[FRESH]) * COOL_WORDS
    written = [(place + 2, 0), (place + 1, symbol | cooldown_ms << 32), (place, uid),
               (place + 2, t_ns)]  # fmt: skip
    for at, value in written[:stores]:
        stage.cooldowns.table[at] = value


def die(stage: ScanStage, n: int, where: int, stamps: int, stores: int) -> None:
    """Go as far into cycle n as `where` says and leave everything lying."""
    if where < 0:
        return
    stage.judge(n)
    stage._fire(n)
    free = stage.lane.free()
    if where >= 1 and stage.committed_n() < n:
        slots = (stage.lane.tail() + np.arange(free)) & (stage.lane.slots - 1)
        stage.lane.data[slots] = 0x7F7F7F7F  # records written, tail not stored
    if where >= 2 and stage.committed_n() < n:
        assert stage._commit(n)
    if where >= 3:
        t_ns = int(stage.tables.cell.heads[n % 4]["t_ns"])
        count = int(stage.counts[STAMPS])
        done = min(stamps, count)
        stage.cooldowns.stamp(stage.work.stamps, done, stage.versions.rules, t_ns)
        if where >= 4 and done < count:
            tear(stage, int(stage.work.stamps[done]), t_ns, stores)


def play(workers: int, cycles: list[dict[str, Any]], kill: bool) -> None:
    world = World(workers, capacity=128 * workers, max_alerts_per_cycle=CAP, max_cooling=1024)
    model = Model()
    rules: list[Rule] = []
    t_ns, admitted = START_NS, 0
    for cycle in cycles:
        t_ns += cycle["step_ms"] * SECOND_NS // 1000
        admitted = min(len(TICKERS), admitted + cycle["admitted"])
        # tickers are admitted in an order that is not that of the alphabet
        tickers = TICKERS[::-1][:admitted]
        symbols = dict(zip(tickers, cycle["symbols"], strict=False))
        if cycle["rules"] is not None:
            rules = cycle["rules"]
            world.use(rules)
        expected, suppressed = model.cycle(t_ns, rules, symbols)
        n = world.prepare(t_ns, symbols)
        for worker in range(workers):
            for where, stamps, stores in cycle["deaths"] if kill else ():
                die(world.stages[worker], n, where, stamps, stores)
                world.stages[worker] = world.new_stage(worker)
            assert world.stages[worker].run(n)
        merged = world.take()
        assert [(a.rule_id, a.symbol) for a in merged.alerts] == expected[:CAP]
        assert (merged.fired, merged.suppressed) == (len(expected), suppressed)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(1, 3), st.lists(CYCLE, min_size=1, max_size=12))
def test_alerts_equal_the_model_for_any_number_of_workers(
    workers: int, cycles: list[dict[str, Any]]
) -> None:
    play(workers, cycles, kill=False)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(1, 3), st.lists(CYCLE, min_size=1, max_size=12))
def test_a_kill_at_any_step_changes_no_alert(workers: int, cycles: list[dict[str, Any]]) -> None:
    play(workers, cycles, kill=True)
