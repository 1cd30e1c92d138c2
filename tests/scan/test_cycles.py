"""Scan cycles: what fires, when, in which order, and what the lane says of it."""

from typing import Any

import numpy as np
import pytest

from engine.rules.model import Rule
from engine.rules.validate import read_rule
from engine.scan.cooldown import export_cooldowns, import_cooldowns
from engine.scan.errors import ScanError
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

NAN = float("nan")


def rule(rule_id: str, metric: str = "last", op: str = ">", value: float = 0, **more: Any) -> Rule:
    condition = {"metric": metric, "op": op, "value": value}
    return read_rule({"id": rule_id, "name": rule_id, "conditions": [condition]} | more)


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


def last(**prices: float) -> dict[str, Symbol]:
    return {ticker: Symbol({"last": price}) for ticker, price in prices.items()}


def test_alerts_come_in_order_of_rule_id_and_ticker() -> None:
    world = World()
    world.use([rule("b"), rule("a"), rule("C")])
    fired = world.fired(at(0), last(ZZ=1, AA=1, MM=1))
    assert fired == [(r, s) for r in ("C", "a", "b") for s in ("AA", "MM", "ZZ")]


def test_many_firings_of_one_rule_are_ordered_too() -> None:
    world = World(capacity=640)
    world.use([rule("a")])
    tickers = [f"T{number * 7919 % 1000:03}" for number in range(600)]
    fired = world.fired(at(0), last(**dict.fromkeys(tickers, 1.0)))
    assert fired == [("a", ticker) for ticker in sorted(tickers)]


def test_a_rule_fires_again_when_its_cooldown_is_over_and_not_before() -> None:
    world = World()
    world.use([rule("a", cooldown_sec=20)])
    seconds = [s for s in range(61) if world.fired(at(s), last(X=1))]
    assert seconds == [0, 20, 40, 60]


def test_a_cooldown_of_zero_fires_in_every_cycle() -> None:
    world = World()
    world.use([rule("a", cooldown_sec=0)])
    assert all(world.fired(at(s / 10), last(X=1)) for s in range(5))


def test_cooldowns_of_rules_and_symbols_are_their_own() -> None:
    world = World()
    world.use([rule("a", value=1), rule("b", value=2)])
    assert world.fired(at(0), last(X=1.5, Y=0)) == [("a", "X")]
    assert world.fired(at(1), last(X=3, Y=3)) == [("a", "Y"), ("b", "X"), ("b", "Y")]


def test_an_edge_fires_when_the_rule_becomes_true() -> None:
    world = World()
    world.use([rule("a", trigger="edge", cooldown_sec=0)])
    prices = [0, 1, 1, 0, 1, NAN, 1]
    fired = [bool(world.fired(at(s), last(X=price))) for s, price in enumerate(prices)]
    assert fired == [False, True, False, False, True, False, True]


def test_an_edge_does_not_fire_without_a_cycle_before() -> None:
    world = World()
    world.use([rule("a", trigger="edge", cooldown_sec=0)])
    assert world.fired(at(0), last(X=1)) == []
    assert world.fired(at(1), last(X=0, NEW=1)) == []
    assert world.fired(at(2), last(X=1, NEW=0)) == [("a", "X")]
    assert world.fired(at(3), last(X=1, NEW=1)) == [("a", "NEW")]


def test_an_edge_of_a_new_or_changed_rule_waits_for_its_second_cycle() -> None:
    world = World()
    edge = {"trigger": "edge", "cooldown_sec": 0}
    world.use([rule("b", **edge)])
    world.fired(at(0), last(X=-1))
    world.use([rule("a", **edge), rule("b", **edge)])
    assert world.fired(at(1), last(X=1)) == [("b", "X")]
    world.fired(at(2), last(X=-1))
    world.use([rule("b", value=0.5, **edge), rule("a", name="renamed", **edge)])
    assert world.fired(at(3), last(X=1)) == [("a", "X")]


def test_a_blind_symbol_does_not_fire_and_gives_no_edge_when_it_sees_again() -> None:
    world = World()
    world.use([rule("edge", trigger="edge", cooldown_sec=0), rule("level", cooldown_sec=0)])
    assert world.fired(at(0), last(X=0)) == []
    assert world.fired(at(1), {"X": Symbol({"last": 1}, blind=True)}) == []
    assert world.fired(at(2), last(X=1)) == [("level", "X")]
    assert world.fired(at(3), {"X": Symbol({"last": 0}, blind=True)}) == []
    assert world.fired(at(4), last(X=1)) == [("level", "X")]


def test_a_halted_symbol_fires_only_rules_that_name_a_halt() -> None:
    world = World()
    world.use([rule("halt", "halted", "==", 1), rule("price")])
    halted = {"X": Symbol({"last": 1, "halted": 1}, halted=True)}
    assert world.fired(at(0), halted) == [("halt", "X")]
    assert world.fired(at(1), {"X": Symbol({"last": 1, "halted": 0})}) == [("price", "X")]


def test_a_test_issue_never_fires() -> None:
    world = World()
    world.use([rule("a")])
    assert world.fired(at(0), {"ZVZZT": Symbol({"last": 1}, test_issue=True)}) == []


def test_nothing_fires_outside_the_session() -> None:
    world = World()
    world.use([rule("a", cooldown_sec=0), rule("e", cooldown_sec=0, trigger="edge")])
    assert world.fired(at(-1), last(X=0)) == []
    assert world.fired(at(-0.5), last(X=1)) == []
    assert world.fired(at(0), last(X=1)) == [("a", "X")]
    assert world.fired(at(10_000), last(X=1)) == [("a", "X")]
    assert world.fired(at(10_001), last(X=1)) == []


def test_without_rules_cycles_run_and_nothing_fires() -> None:
    world = World()
    assert world.fired(at(0), last(X=1)) == []
    world.use([])
    assert world.fired(at(1), last(X=1)) == []
    world.use([rule("a", enabled=False), rule("b")])
    assert world.fired(at(2), last(X=1)) == [("b", "X")]


def test_the_cap_takes_the_first_in_order_and_counts_the_rest() -> None:
    for workers in (1, 2, 3):
        world = World(workers, max_alerts_per_cycle=4)
        world.use([rule("a"), rule("b")])
        symbols = last(E=1, D=1, C=1, B=1, A=1)
        cycle = world.cycle(at(0), symbols)
        fired = [(alert.rule_id, alert.symbol) for alert in cycle.alerts]
        assert fired == [("a", "A"), ("a", "B"), ("a", "C"), ("a", "D")]
        assert cycle.fired == 10
        cycle = world.cycle(at(1), symbols)
        assert (cycle.alerts, cycle.fired, cycle.suppressed) == ([], 0, 10)


def test_a_shorter_cooldown_holds_for_entries_that_still_cool() -> None:
    world = World()
    world.use([rule("a", cooldown_sec=300)])
    world.fired(at(0), last(X=1))
    world.use([rule("a", cooldown_sec=10)])
    assert world.fired(at(9), last(X=1)) == []
    assert world.fired(at(10), last(X=1)) == [("a", "X")]


def test_a_longer_cooldown_holds_for_entries_that_still_cool() -> None:
    world = World()
    world.use([rule("a", cooldown_sec=10)])
    world.fired(at(0), last(X=1))
    world.use([rule("a", cooldown_sec=100)])
    assert world.fired(at(9), last(X=1)) == []
    assert world.fired(at(99), last(X=1)) == []
    assert world.fired(at(100), last(X=1)) == [("a", "X")]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("crowd", [0, 28])
def test_a_longer_cooldown_brings_nothing_back_that_has_cooled_down(
    workers: int, crowd: int
) -> None:
    """Whether the entry of the last firing is still there (no crowd) or its place was used again
    decides nothing."""
    world = World(workers, max_cooling=64)
    world.use([rule("a", cooldown_sec=10), rule("b", cooldown_sec=10)])
    everyone = {f"S{number:02}": 0.0 for number in range(45)}
    early = dict.fromkeys(("S01", "S02", "S03", "S04"), 1.0)
    assert len(world.fired(at(0), last(**everyone | early))) == 8
    late = dict.fromkeys(list(everyone)[5 : 5 + crowd], 1.0)
    assert len(world.fired(at(10), last(**everyone | late))) == 2 * crowd
    world.use([rule("a", cooldown_sec=100), rule("b", value=5, cooldown_sec=10)])
    for stage, worker in zip(world.stages, range(workers), strict=True):
        assert stage.state_n == 2
        world.stages[worker] = world.new_stage(worker)
    fired = world.fired(at(20), last(**everyone | early))
    assert fired == [("a", ticker) for ticker in sorted(early)]
    assert world.fired(at(119), last(**everyone | early)) == []
    assert world.fired(at(120), last(**everyone | early)) == fired


def test_a_rule_taken_away_and_brought_back_still_cools() -> None:
    world = World()
    world.use([rule("a", cooldown_sec=10)])
    world.fired(at(0), last(X=1))
    world.use([])
    world.fired(at(1), last(X=1))
    world.use([rule("a", cooldown_sec=10)])
    assert world.fired(at(9), last(X=1)) == []
    assert world.fired(at(10), last(X=1)) == [("a", "X")]


def test_without_room_a_pair_is_suppressed_and_counted_and_nothing_is_forgotten() -> None:
    world = World(capacity=1024, max_cooling=256, max_alerts_per_cycle=1024)
    world.use([rule("a", cooldown_sec=10), rule("b", cooldown_sec=0)])
    symbols = last(**{f"S{number:03}": 1 for number in range(600)})

    def full() -> int:
        return int(world.tables.lanes[0].data[world.tables.lanes[0].tail() - 1][7])

    first = [alert.symbol for alert in world.cycle(at(0), symbols).alerts if alert.rule_id == "a"]
    assert first == [f"S{number:03}" for number in range(256)] and full() == 600 - 256
    later = world.cycle(at(9), symbols)
    assert {alert.rule_id for alert in later.alerts} == {"b"} and len(later.alerts) == 600
    assert (later.suppressed, full()) == (256, 600 - 256)
    again = [alert.symbol for alert in world.cycle(at(10), symbols).alerts if alert.rule_id == "a"]
    assert again == first and full() == 600 - 256


@pytest.mark.parametrize("workers", [1, 2, 3, 16])
def test_as_many_pairs_cool_as_the_setting_says_wherever_their_symbols_lie(workers: int) -> None:
    world = World(workers, capacity=1024, max_cooling=512, max_alerts_per_cycle=512)
    world.use([rule(f"r{number}", cooldown_sec=10) for number in range(8)])
    symbols = last(**{f"S{number:04}": 0 for number in range(1024)})
    # every pair that may cool in one slice: ids go round the workers
    chosen = sorted(symbols)[::workers][:64]
    assert world.cycle(at(0), symbols | last(**dict.fromkeys(chosen, 1.0))).fired == 512


def test_the_lane_holds_the_metrics_of_a_rule_once_each_and_the_end_record() -> None:
    world = World()
    leaves = [{"metric": "last", "op": "!=", "value": v} for v in range(9)]
    leaves[4] = {"metric": "chg_pct", "op": "<", "value": 9}
    leaves[7] = {"metric": "price", "op": ">", "value": 9}  # another name of last
    world.use([read_rule({"id": "a", "name": "n", "conditions": leaves})])
    n = world.prepare(at(0), {"X": Symbol({"last": 50.5, "chg_pct": -2.5})})
    assert world.stages[0].run(n)
    data = world.tables.lanes[0].data
    x = world.ids["X"]
    assert data[0].tolist() == [
        1 | 2 << 8, 1, 0 << 32 | x, np.float64(50.5).view(np.int64), at(0) - 7, 1, at(0) - 5, 0
    ]  # fmt: skip
    assert data[1].view(np.float64).tolist() == [50.5, -2.5] + [0.0] * 6
    assert data[2].tolist() == [2, 1, 1, 1, at(0), 0, 1, 0]


def test_a_full_lane_commits_nothing_until_there_is_room() -> None:
    world = World(max_alerts_per_cycle=2)
    world.use([rule("a", cooldown_sec=0)])
    symbols = last(A=1, B=1, C=1)
    cycles = 0
    while True:
        n = world.prepare(at(cycles), symbols)
        tail = world.tables.lanes[0].tail()
        if not world.stages[0].run(n):
            break
        cycles += 1
    stage = world.stages[0]
    assert cycles >= 2 and world.tables.lanes[0].tail() == tail and stage.state_n == n - 1
    assert not stage.run(n)
    world.take()
    assert stage.run(n) and stage.state_n == n
    taken = [world.take() for _ in range(cycles)]
    assert [cycle.n for cycle in taken] == list(range(2, cycles + 2))
    assert all(len(cycle.alerts) == 2 and cycle.fired == 3 for cycle in taken)


def test_a_cycle_out_of_order_or_without_its_cell_is_refused() -> None:
    world = World()
    with pytest.raises(ScanError, match="at cycle 0, not before 5"):
        world.stages[0].run(5)
    with pytest.raises(ScanError, match="the cell of cycle 1 holds cycle -1"):
        world.stages[0].run(1)
    n = world.prepare(at(0), {})
    world.tables.cell.heads[n % 4]["rules_version"] = 9
    with pytest.raises(ScanError, match="rules version 9 is not in the rules blob"):
        world.stages[0].run(n)


def test_cooldowns_go_to_the_next_stream_whatever_its_workers() -> None:
    old = World(2)
    old.use([rule("a", cooldown_sec=60), rule("b", cooldown_sec=1), rule("c", value=5)])
    old.fired(at(0), last(X=9, Y=1, Z=0))
    old.fired(at(30), last(X=0, Y=0, Z=1))
    old.tables.cell.cells.seal(0)
    for n in (0, 1, 2):
        if n:
            old.tables.cell.cells.seal(n)
        old.tables.cell.cells.publish(n)
    tickers = sorted(old.ids)
    ids = np.array([old.ids[ticker] for ticker in tickers])
    carried = export_cooldowns(old.tables, ids)
    assert len(carried) == 5  # a: X, Y, Z; b: Z; c: X. b of X and Y is over
    for workers in (1, 2, 3):
        new = World(workers)
        new.prepare(at(31), last(Z=1, Y=1, X=9))
        new_ids = np.array([new.ids[ticker] for ticker in tickers])
        assert import_cooldowns(new.tables, new_ids, carried) == 0
        new.n, new.version = 0, 0
        new.use([rule("a", cooldown_sec=60), rule("b", cooldown_sec=1), rule("c", value=5)])
        # `b` of Z fired at 30 s: over at 31 s
        assert new.fired(at(31), last(Z=1, Y=1, X=9)) == [("b", "X"), ("b", "Y"), ("b", "Z")]
        assert new.fired(at(60), last(Z=1, Y=1, X=9)) == [
            ("a", "X"), ("a", "Y"), ("b", "X"), ("b", "Y"), ("b", "Z"), ("c", "X")
        ]  # fmt: skip
