"""An alert explains itself: every condition with its numbers, whatever operator it is."""

import json
from typing import Any

import pytest

from engine.rules.model import Rule
from engine.rules.validate import read_rule
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

NAN = float("nan")


def where(text: str, rule_id: str = "a", **more: Any) -> Rule:
    return read_rule({"id": rule_id, "name": "n", "where": text, "cooldown_sec": 0} | more)


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


def told(world: World, seconds: float, **values: float) -> list[dict[str, Any]]:
    """Alerts of one more cycle, of one symbol."""
    cycle = world.cycle(at(seconds), {"X": Symbol(values)})
    return [json.loads(alert.document) for alert in cycle.alerts]


def explained(document: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(one[key] for key in ("text", "left", "right", "result"))
            for one in document["explain"]]  # fmt: skip


def test_values_and_conditions_stand_as_they_are_written() -> None:
    world = World()
    world.use([where("not halted and price * 2 > vwap + 1 and (bid < 1 or ask between 2 and 4)")])
    (document,) = told(world, 0, last=10, vwap_rth=18, halted=0, bid=5, ask=3)
    assert document["values"] == {"halted": 0, "price": 10, "vwap": 18, "bid": 5, "ask": 3}
    assert explained(document) == [
        ("halted", 0, None, False), ("price * 2 > vwap + 1", 20, 19, True),
        ("bid < 1", 5, 1, False), ("ask between 2 and 4", 3, None, True),
    ]  # fmt: skip


def test_what_looks_at_the_past_says_what_it_gave() -> None:
    world = World()
    world.use([where(
        "within(crosses_above(last, vwap, 1%), 3s) and in_row(last > bid, 1s)"
        " and at_least(last > bid, 2, 3s) and ago(last > vwap, 1s) and since(last < 5) >= 1"
    )])  # fmt: skip
    for second, last in enumerate((4, 8, 8.5)):
        documents = told(world, second, last=last, vwap_rth=7, bid=1)
    assert explained(documents[0]) == [
        ("within(crosses_above(last, vwap, 1%), 3s)", None, None, True),
        ("in_row(last > bid, 1s)", None, None, True),
        ("at_least(last > bid, 2, 3s)", None, None, True),
        ("ago(last > vwap, 1s)", None, None, True),
        ("since(last < 5) >= 1", 2, 1, True),
    ]


def test_a_condition_that_did_not_decide_is_false_where_that_is_known_else_null() -> None:
    text = "last > 5 or crosses_above(last, vwap) or within(bid > 3, 2s) or ago(ask > 1, 1s)"
    world = World()
    world.use([where(text)])
    results = []
    for second in range(4):
        (document,) = told(world, second, last=6, vwap_rth=7, bid=1, ask=0.5)
        results.append([one["result"] for one in document["explain"]])
    assert results == [
        [True, None, None, None], [True, False, None, False], [True, False, False, False],
        [True, False, False, False],
    ]  # fmt: skip


def test_numbers_across_symbols_are_told_as_of_the_cycle_before() -> None:
    world = World()
    world.use([where("rank(last) <= 1 and pctile(last * 2) > 50 and breadth(b) > 10"),
               where("last > 5", "b")])  # fmt: skip
    symbols = {ticker: Symbol({"last": price}) for ticker, price in (("A", 1), ("B", 9), ("C", 6))}
    assert [alert.rule_id for alert in world.cycle(at(0), symbols).alerts] == ["b", "b"]
    alerts = world.cycle(at(1), symbols).alerts
    document = json.loads(alerts[0].document)
    assert (document["rule_id"], document["symbol"]) == ("a", "B")
    assert explained(document) == [
        ("rank(last) <= 1", 1, 1, True), ("pctile(last * 2) > 50", 250 / 3, 50, True),
        ("breadth(b) > 10", 200 / 3, 10, True),
    ]  # fmt: skip


def test_a_sequence_tells_the_times_of_its_steps() -> None:
    world = World()
    world.use([where("sequence(last > 1, last > 2 within 5s, last > 3) and bid > 0")])
    found = [told(world, second, last=last, bid=1) for second, last in enumerate((1.5, 2, 3, 4, 4))]
    (document,) = found[3]
    (sequence, bid) = document["explain"]
    assert list(sequence) == ["text", "left", "right", "result", "steps"]
    # the first step came again before the second
    assert sequence["steps"] == [f"2013-10-08T07:30:{s:02}.000000000Z" for s in (1, 2, 3)]
    assert "steps" not in bid and found[4] == []


def test_entering_and_leaving_are_told_at_the_end_of_the_alert() -> None:
    world = World()
    world.use([where("within(last > 5, 2s)", trigger="enter_exit"), where("last > 5", "b")])
    events = []
    for second, last in enumerate((1, 1, 1, 6, 1, 1, 1, 6)):
        for document in told(world, second, last=last):
            if document["rule_id"] == "a":
                assert list(document)[-1] == "event"
                events.append((second, document["event"], document["explain"][0]["result"]))
            else:
                assert "event" not in document
    assert events == [(3, "enter", True), (6, "exit", False), (7, "enter", True)]


def test_a_metric_that_is_not_a_number_is_null() -> None:
    world = World()
    world.use([where("coalesce(bid, last) > 1 and (ask > 1 or last > 0)")])
    (document,) = told(world, 0, last=5, bid=NAN, ask=NAN)
    assert document["values"] == {"bid": None, "last": 5, "ask": None}
    assert explained(document) == [
        ("coalesce(bid, last) > 1", 5, 1, True), ("ask > 1", None, 1, None),
        ("last > 0", 5, 0, True),
    ]  # fmt: skip


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_bytes_are_the_same_for_any_workers(workers: int) -> None:
    def play(count: int) -> list[bytes]:
        world = World(count)
        world.use([where("zscore(last) > 0.5 or sequence(last > 2, last < 2)", "a"),
                   where("within(last > 2, 1s)", "b", trigger="enter_exit")])  # fmt: skip
        found = []
        for second in range(12):
            symbols = {
                f"S{number}": Symbol({"last": (number * 7 + second * 3) % 5 + 0.1})
                for number in range(9)
            }
            found += [alert.document for alert in world.cycle(at(second), symbols).alerts]
        return found

    calm = play(1)
    assert len(calm) > 30 and play(workers) == calm
