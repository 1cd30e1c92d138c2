"""Cycles that look at some symbols only: who waits, what that changes, and that workers do not."""

import random
from typing import Any

import pytest

from engine.rules.model import Rule
from engine.rules.validate import read_rule
from tests.scan.model import Model
from tests.scan.test_everything import events_of
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

BLOCK = 512
CAP = 400


def rule(rule_id: str, where: str, **more: Any) -> Rule:
    return read_rule({"id": rule_id, "name": rule_id, "where": where, "cooldown_sec": 0} | more)


def at(cycle: int) -> int:
    return START_NS + cycle * SECOND_NS // 10


def last(**prices: float) -> dict[str, Symbol]:
    return {ticker: Symbol({"last": price}) for ticker, price in prices.items()}


def fired(world: World, stride: int, symbols: dict[str, Symbol], recent_s: int = 0) -> list[str]:
    """Tickers that fire in the next cycle."""
    cycle = world.cycle(at(world.n + 1), symbols, stride, recent_s * SECOND_NS)
    return [alert.symbol for alert in cycle.alerts]


def test_a_symbol_waits_for_the_cycles_of_its_block() -> None:
    world = World()
    world.use([rule("a", "last > 0")])
    strides = [1, 4, 4, 4, 4, 4, 4, 2, 2, 2, 1, 1]
    found = [bool(fired(world, stride, last(X=1))) for stride in strides]
    # X is of block 0: with a stride of 4 cycles 4 and 8, with one of 2 every even cycle
    assert found == [True, False, False, True, False, False, False, True, False, True, True, True]


def test_blocks_go_by_the_order_of_admission() -> None:
    world = World(workers=3, capacity=3 * BLOCK)
    world.use([rule("a", "last > 0")])
    symbols = last(**{f"S{number:04}": 1 for number in range(1100)})
    fired(world, 1, {})
    seen = world.cycle(at(2), symbols, 4)
    assert seen.fired == 1100, "who has just come into sight does not wait"
    for n, first, end in ((3, 1100, 1100), (4, 0, 512), (5, 512, 1024), (6, 1024, 1100)):
        assert world.cycle(at(n), symbols, 4).fired == end - first


def test_a_symbol_that_a_rule_names_does_not_wait() -> None:
    world = World()
    world.use([rule("a", "last > 0"), rule("b", "last > 5", universe={"symbols": ["X"]})])
    fired(world, 1, last(X=1, Y=1))
    assert [fired(world, 4, last(X=1, Y=1)) for _ in range(3)] == [["X"], ["X"], ["X", "Y"]]


def test_a_symbol_that_fired_a_short_while_ago_does_not_wait() -> None:
    world = World()
    world.use([rule("a", "last > 0")])
    assert fired(world, 1, last(X=1, Y=0)) == ["X"]
    found = [fired(world, 4, last(X=1 if n < 4 else 0, Y=1), 1) for n in range(2, 20)]
    assert found[:3] == [["X"], ["X"], ["Y"]]
    assert found[3:] == [["Y"]] * 15, "Y fires on and on, so it never waits again"
    assert [fired(world, 4, last(X=n == 21, Y=0), 1) for n in range(20, 25)] == [[]] * 5


def test_an_edge_compares_with_the_cycle_that_looked_last() -> None:
    world = World()
    world.use([rule("a", "last > 0", trigger="edge"), rule("c", "crosses_above(last, 0)")])
    for stride, price, found in (
        (1, 0, 0), (4, 1, 0), (4, 0, 0), (4, 1, 2), (4, 0, 0), (4, 0, 0), (4, 0, 0), (4, 1, 0),
        (4, 0, 0), (4, 0, 0), (4, 1, 0), (4, 0, 0), (1, 1, 2), (4, 0, 0), (1, 1, 0), (1, 0, 0),
        (1, 1, 2),
    ):  # fmt: skip
        assert len(fired(world, stride, last(X=price))) == found, world.n


def test_a_symbol_that_waits_keeps_what_is_true_of_it() -> None:
    world = World()
    world.use([rule("all", "breadth(up) > 60"), rule("up", "last > 0", cooldown_sec=600)])
    fired(world, 1, last(X=1, Y=1, Z=0))
    falling = last(X=0, Y=0, Z=0)
    assert fired(world, 4, falling) == [] and fired(world, 4, falling) == []
    assert fired(world, 1, falling) == ["X", "Y", "Z"], "two of three were true up to now"
    assert fired(world, 1, falling) == []


def test_a_symbol_that_goes_blind_while_it_waits_forgets_its_past() -> None:
    world = World()
    world.use([rule("a", "within(last > 0, 60s)")])
    assert fired(world, 1, last(X=1)) == ["X"]
    assert fired(world, 4, last(X=0)) == []
    assert fired(world, 4, {"X": Symbol({"last": 0}, blind=True)}) == []
    assert [fired(world, 4, last(X=0)) for _ in range(4)] == [[]] * 4


RULES = [
    rule("level", "last > 1.5", cooldown_sec=1),
    rule("edge", "last > vwap_rth", trigger="edge"),
    rule("both", "last > 1 and chg_pct < 0.5", trigger="enter_exit"),
    rule("named", "chg_pct > 0.5", universe={"symbols": [f"S{n:04}" for n in range(0, 1600, 37)]}),
    rule("memory", "within(last > 1.9, 1s) and since(chg_pct > 0.9) < 0.7"),
    rule("samples", "ago(last > 1, 1s) and at_least(chg_pct > 0, 2, 4s)"),
    rule("steps", "sequence(last > 1.5, chg_pct > 0.5 within 2s)", rearm="last < 0.3"),
    rule("number", "last > ago(last, 1m) * 1.2 or in_row(last > 0.6, 500ms)", cooldown_sec=2),
    rule("ranked", "rank(last / vwap_rth) <= 5 and breadth(edge) > 20"),
    rule("scoped", "chg_pct > 0.2", once_per_session=True, universe={"price_min": 0.5}),
]


def market(chance: random.Random, tickers: list[str], bars: dict[str, int]) -> dict[str, Symbol]:
    found = {}
    for ticker in tickers:
        bars[ticker] = bars.get(ticker, 0) + (chance.random() < 0.05)
        values = {
            "last": chance.random() * 2, "vwap_rth": chance.random() * 2,
            "chg_pct": chance.random() * 2 - 1, "halted": 0.0,
        }  # fmt: skip
        blind = chance.random() < 0.01
        found[ticker] = Symbol(values, blind=blind, bars=bars[ticker])
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_many_symbols_in_few_words_fire_as_in_the_model_for_any_number_of_workers(
    seed: int,
) -> None:
    worlds = [
        World(workers, capacity=1600, max_alerts_per_cycle=CAP, op_bit_slots=256, op_row_slots=256)
        for workers in (1, 2, 3)
    ]
    for world in worlds:
        session = world.tables.session
        session["date"], session["interval_ns"] = 20131008, SECOND_NS // 10
        session["open_ns"], session["close_ns"] = START_NS, START_NS + 5_000 * SECOND_NS
        world.use(RULES)
    model, chance = Model(worlds[0].tables.session[0], CAP), random.Random(seed)
    bars: dict[str, int] = {}
    t_ns, sparse = START_NS, 0
    for n in range(1, 24):
        stride = 1 if n in (1, 12) else chance.choice((2, 4, 4))
        tickers = [f"S{number:04}" for number in range(min(1600, 900 + 40 * n))]
        symbols = market(chance, tickers, bars)
        expected = model.cycle(t_ns, RULES, symbols, stride, SECOND_NS // 4)
        for world in worlds:
            found = world.cycle(t_ns, symbols, stride, SECOND_NS // 4)
            assert events_of(found.alerts) == expected, (n, world.sizes.workers)
        looked = sum(stage.symbols for stage in worlds[2].stages)
        sparse += looked < len(tickers) * 0.8
        t_ns += chance.choice((SECOND_NS // 10, SECOND_NS // 2))
    assert sparse > 5
