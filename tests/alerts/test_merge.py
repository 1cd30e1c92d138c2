"""Merging: the order and the cap do not depend on the number of scan workers."""

import json

import pytest

from engine.alerts.merge import MergeStage, RulesLostError
from tests.alerts.floor import Floor, market


def documents(workers: int, cycles: int, cap: int) -> list[list[bytes]]:
    floor = Floor(workers, max_alerts_per_cycle=cap)
    merge = MergeStage(floor.tables, "stream")
    found = []
    for seed in range(cycles):
        floor.commit(market(seed))
        merged = merge.peek()
        assert merged is not None
        merge.release(merged)
        found.append([alert.document for alert in merged.alerts])
    assert floor.lanes_empty()
    return found


@pytest.mark.parametrize("cap", [1, 3, 5, 1024])
def test_the_same_alerts_come_out_of_one_two_and_three_lanes(cap: int) -> None:
    alone = documents(1, 12, cap)
    assert documents(2, 12, cap) == alone
    assert documents(3, 12, cap) == alone
    assert max(len(cycle) for cycle in alone) == min(cap, max(len(c) for c in alone))
    assert sum(len(cycle) for cycle in alone) > 10


def test_alerts_are_ordered_by_rule_and_then_by_symbol() -> None:
    for cycle in documents(3, 12, 1024):
        keys = [(alert["rule_id"], alert["symbol"]) for alert in map(json.loads, cycle)]
        assert keys == sorted(keys)


def test_what_the_cap_cut_is_counted() -> None:
    floor = Floor(3, max_alerts_per_cycle=2)
    merge = MergeStage(floor.tables, "stream")
    for seed in range(5):
        floor.commit(market(seed))
        merged = merge.peek()
        assert merged is not None
        merge.release(merged)
        wide = Floor(1)
        wide.commit(market(seed))
        whole = MergeStage(wide.tables, "stream").peek()
        assert whole is not None
        assert merged.fired == len(whole.alerts)
        assert len(merged.alerts) == min(2, merged.fired)


def test_a_cycle_is_not_taken_before_every_lane_holds_it() -> None:
    floor = Floor(2)
    merge = MergeStage(floor.tables, "stream")
    n = floor.prepare(10**18, market(1))
    assert merge.peek() is None
    assert floor.stages[0].run(n)
    assert merge.peek() is None
    assert floor.stages[1].run(n)
    merged = merge.peek()
    assert merged is not None
    assert merged.n == n


def test_looking_twice_moves_nothing_and_gives_the_same() -> None:
    floor = Floor(2)
    merge = MergeStage(floor.tables, "stream")
    floor.commit(market(1))
    first = merge.peek()
    floor.commit(market(2))
    assert merge.peek() is first
    assert MergeStage(floor.tables, "stream").peek() == first


@pytest.mark.parametrize("killed_after", [1, 2])
def test_a_release_cut_short_between_two_lanes_is_finished(killed_after: int) -> None:
    floor = Floor(3)
    merge = MergeStage(floor.tables, "stream")
    for seed in range(3):
        floor.commit(market(seed))
    for _ in range(2):
        merged = merge.peek()
        assert merged is not None
        merge.release(merged)
    last = merge.peek()
    assert last is not None
    for lane, head in list(zip(floor.tables.lanes, last.heads, strict=True))[:killed_after]:
        lane.set_head(head)
    floor.commit(market(9))
    successor = MergeStage(floor.tables, "stream")
    assert successor.recover() == 3
    following = successor.peek()
    assert following is not None
    assert following.n == 4
    assert successor.recover() == 3, "once is enough"


def test_a_merge_over_unused_lanes_is_at_cycle_nothing() -> None:
    assert MergeStage(Floor(2).tables, "stream").recover() == 0


def test_a_rule_set_that_is_gone_is_named() -> None:
    floor = Floor(1)
    with pytest.raises(RulesLostError, match="rule set version 7 was decided"):
        MergeStage(floor.tables, "stream").rules(7)


def test_the_tickers_na_and_nan_are_names_like_others() -> None:
    symbols = {alert["symbol"] for cycle in documents(2, 12, 1024) for alert in map(
        json.loads, cycle)}  # fmt: skip
    assert {"NA", "NAN"} <= symbols
