"""Every operator and every control of repeats, by any number of workers, killed at any store: the
merged alerts equal the model."""

import json
import os
import random
from typing import Any

import numpy as np
import pytest

from engine.domain.tables import HELD_COOLING, HELD_DISARMED, HELD_FIRED, HELD_ONCE
from engine.rules.counts import CountsReader
from engine.rules.model import Rule, Universe
from engine.scan.fire_nb import STAMPS
from engine.scan.stage import ScanStage
from tests.rules.machine import rule_of
from tests.rules.randomly import FLAG, NAMES, VALUES, Trees
from tests.scan.model import Model
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

CASES = 2_000 if os.environ.get("TAPESCAN_SOAK") else 200
BATCHES = 10
TICKERS = ("A", "B", "BA", "C", "D", "Z")
FEW = (0.0, 1.0, 2.0)
CAP = 6


def draw_rule(rng: random.Random, rule_id: str, trees: Trees) -> Rule:
    rearm = rng.random() < 0.4
    universe = Universe(
        symbols=rng.choice(((), (), ("A", "C", "Z"))),
        exclude_symbols=rng.choice(((), (), ("B",))),
        price_min=rng.choice((None, None, 1.0)),
        sessions=rng.choice((("pre", "regular", "after"), ("regular",))),
    )
    return rule_of(
        trees.cond(rng.choice((1, 1, 2))), rule_id,
        trigger=rng.choice(("level", "edge", "enter_exit")),
        cooldown_sec=rng.choice((0.0, 0.0, 0.5, 3.0)),
        once_per_session=rng.random() < 0.2,
        debounce_ms=rng.choice((0, 0, 500)),
        rearm=rearm,
        rearm_tree=trees.cond(1) if rearm and rng.random() < 0.5 else None,
        max_per_min=rng.choice((0, 0, 3)),
        universe=rng.choice((Universe(), universe)),
    )  # fmt: skip


def draw_symbols(rng: random.Random, admitted: int, bars: dict[str, int]) -> dict[str, Symbol]:
    values = rng.choice((FEW, FEW, VALUES))
    found = {}
    for ticker in TICKERS[:admitted]:
        bars[ticker] = bars.get(ticker, 0) + rng.choice((0, 0, 1, 2))
        numbers = {name: rng.choice(values) for name in (*NAMES, FLAG)}
        found[ticker] = Symbol(
            numbers, blind=rng.random() < 0.1, halted=rng.random() < 0.1, bars=bars[ticker]
        )
    return found


def die(world: World, stage: ScanStage, n: int, rng: random.Random) -> None:
    """Go some way into cycle n; of what is written in place any part may be left."""
    scan, step = world.tables.scan, rng.randrange(4)
    old = [table.copy() for table in (scan.op_bits, scan.op_rows)]
    stage.judge(n)
    if step >= 1:
        stage._fire(n)
    if step >= 2 and stage.committed_n() < n:
        assert stage._commit(n)
    if step >= 3:
        done = rng.randint(0, int(stage.counts[STAMPS]))
        t_ns = int(world.tables.cell.heads[n % 4]["t_ns"])
        stage.cooldowns.stamp(stage.work.stamps, done, stage.versions.rules, t_ns)
    if step == 0:
        lost = np.random.default_rng(rng.getrandbits(32))
        for table, before in zip((scan.op_bits, scan.op_rows), old, strict=True):
            undone = (table != before) & (lost.random(table.shape) < rng.choice((0.1, 0.5, 1.0)))
            table[undone] = before[undone]


def events_of(alerts: list[Any]) -> list[tuple[str, str, str]]:
    documents = [json.loads(alert.document) for alert in alerts]
    return [(one["rule_id"], one["symbol"], one.get("event", "")) for one in documents]


def play(seed: int) -> None:
    rng = random.Random(seed)
    workers, kills = rng.choice((1, 2, 3)), rng.choice((0.0, 0.3))
    world = World(
        workers, capacity=64 * workers, max_alerts_per_cycle=CAP, max_cooling=1024, max_rules=8,
        op_bit_slots=128, op_row_slots=600, max_captures=256, max_derived=16,
    )  # fmt: skip
    session = world.tables.session
    session["date"], session["open_ns"] = 20131008, START_NS + 5 * SECOND_NS
    session["close_ns"] = START_NS + 200 * SECOND_NS
    session["interval_ns"] = SECOND_NS // 4
    model = Model(session[0], CAP)
    trees = Trees(rng, remembering=seed % 2 == 0)
    rules: list[Rule] = []
    bars: dict[str, int] = {}
    strides, recent_ns = rng.choice(((1,), (1, 2, 2), (4, 4, 2, 1))), rng.choice((0, SECOND_NS))
    t_ns, admitted = START_NS - SECOND_NS // 2, 0
    for n in range(1, rng.randint(2, 30)):
        if n == 1 or rng.random() < 0.1:
            kept = rng.sample(rules, rng.randint(0, len(rules)))
            new = [f"r{i}" for i in range(4) if f"r{i}" not in {rule.id for rule in kept}]
            some = new[: rng.randint(1, 2)]
            rules = kept + [draw_rule(rng, rule_id, trees) for rule_id in some]
            world.use(rules)
            stride = 1
        else:
            stride = rng.choice(strides)
        admitted = min(len(TICKERS), admitted + rng.randint(0, 3))
        symbols = draw_symbols(rng, admitted, bars)
        expected = model.cycle(t_ns, rules, symbols, stride, recent_ns)
        assert world.prepare(t_ns, symbols, stride, recent_ns) == n
        for worker in range(workers):
            while rng.random() < kills:
                die(world, world.stages[worker], n, rng)
                world.stages[worker] = world.new_stage(worker)
            assert world.stages[worker].run(n)
        assert events_of(world.take().alerts) == expected, n
        t_ns += rng.choice((SECOND_NS // 4, SECOND_NS // 4, SECOND_NS, 61 * SECOND_NS))
    compare_counts(world, model, rules)


def compare_counts(world: World, model: Model, rules: list[Rule]) -> None:
    """What kept rules from firing, since the stream began or the rule came."""
    held = world.tables.scan.held[world.n & 1].sum(axis=0)
    for slot, rule in enumerate(sorted(rules, key=lambda rule: rule.id)):
        counts = model.held.get(rule.id, {})
        for word, what in (
            (HELD_COOLING, "cooling"), (HELD_ONCE, "once"), (HELD_DISARMED, "disarmed"),
            (HELD_FIRED, "fired"),
        ):  # fmt: skip
            assert held[slot, word] == counts.get(what, 0), (rule.id, what)
    read = CountsReader.of(world.tables).read()
    assert read is not None and read.n == world.n
    expected = [model.held.get(rule_id, {}) for rule_id in sorted(rule.id for rule in rules)]
    assert [one.rule_id for one in read.rules()] == sorted(rule.id for rule in rules)
    assert [one.fired for one in read.rules()] == [one.get("fired", 0) for one in expected]
    for reason, what in (
        ("cooldown", "cooling"), ("once_per_session", "once"), ("rearm", "disarmed")
    ):  # fmt: skip
        found = [one.held_back[reason] for one in read.rules()]
        assert found == [one.get(what, 0) for one in expected], reason


@pytest.mark.soak
@pytest.mark.parametrize("batch", range(BATCHES))
def test_alerts_equal_the_model(batch: int) -> None:
    for seed in range(batch * CASES // BATCHES, (batch + 1) * CASES // BATCHES):
        try:
            play(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
