"""Whatever stands in the way of a rule is named: each obstacle, made to stand there."""

import dataclasses
import threading
import time
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.alerts.aftermath import with_alerts
from engine.alerts.onlooker import ATTEMPTS, Onlooker
from engine.alerts.sight import BusyError, Sight, UnseenError
from engine.alerts.standing import Standing
from engine.alerts.why import Why, explain_standing
from engine.domain.tables import FLOW_ALERTED_N, KEPT_LIMITED, KEPT_N, KEPT_UID
from engine.rules.compiler import rule_key
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from engine.storage.ports import StoredAlert
from engine.storage.stub import MemoryAlertStore
from shm.fences import write_word
from shm.words import WORD_STRIDE
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

NAN = float("nan")


def where(text: str = "last > 5", rule_id: str = "a", **more: Any) -> Rule:
    return read_rule({"id": rule_id, "name": "n", "where": text, "cooldown_sec": 0} | more)


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


class Desk:
    """A world of one symbol under one rule, and what is said of it in each cycle."""

    def __init__(self, *rules: Rule, **sizes: int) -> None:
        self.world = World(1, 64, **sizes)
        self.rule_id = rules[0].id if rules else "a"
        self.world.use(list(rules))
        self.alerts: list[Any] = []

    def cycle(self, seconds: float, symbol: Symbol | None = None, **values: float) -> Why:
        symbols = {"X": symbol or Symbol(values)}
        self.alerts = self.world.cycle(at(seconds), symbols).alerts
        return self.why()

    def standing(self, stored: Rule | None = None) -> Standing:
        sight = Sight.of(self.world.tables)
        return Onlooker(sight, self.rule_id, "X", stored).take(self.world.n)

    def why(self, **scene: Any) -> Why:
        standing = self.standing()
        changed = dataclasses.replace(standing.scene, **scene)
        return explain_standing(dataclasses.replace(standing, scene=changed))


def kinds(why: Why) -> list[str]:
    return [one.kind for one in why.obstacles]


def only(why: Why, kind: str, said: str, until: str = "") -> None:
    """It does not fire, for one reason."""
    assert kinds(why) == [kind], why.obstacles
    assert said in why.obstacles[0].text
    assert (why.obstacles[0].until or "").endswith(until)
    assert not why.fired


def test_what_fires_has_nothing_in_its_way() -> None:
    desk = Desk(where())
    why = desk.cycle(0, last=6)
    assert why.fired and why.result is True and why.obstacles == [] and desk.alerts
    assert why.last_fired == why.t == "2013-10-08T07:30:00.000000000Z"


def test_a_condition_says_how_far_off_it_is() -> None:
    text = "last > 2 and bid < 10 and ask between 4 and 5 and not halted and last > bid * 2"
    (last, bid, ask, halted, twice) = Desk(where(text)).cycle(
        0, last=1.73, bid=12, ask=7, halted=1
    ).explain
    assert (last.needs, last.result, last.off_pct) == ("> 2", False, pytest.approx(-13.5))
    assert last.off == pytest.approx(-0.27) and last.last_met is None
    assert (bid.needs, bid.off, bid.off_pct) == ("< 10", 2, 20)
    assert (ask.needs, ask.off, ask.off_pct) == ("4 to 5", 2, 40)
    assert (halted.needs, halted.result, halted.wanted) == ("not set", True, False)
    assert (twice.needs, twice.left, twice.right) == ("> 24", 1.73, 24)


def test_how_conditions_belong_together_is_told() -> None:
    why = Desk(where("last > 2 and (bid > 1 or not (ask > 1 and halted))")).cycle(0, last=1)
    assert why.logic == {"all": [0, {"any": [1, {"not": {"all": [2, 3]}}]}]}
    assert [part.wanted is msgspec.UNSET for part in why.explain] == [True, True, False, False]


def test_a_disabled_rule_is_said_to_be_and_its_numbers_are_told() -> None:
    desk = Desk(where(rule_id="b"))
    desk.rule_id = "a"
    desk.world.cycle(at(0), {"X": Symbol({"last": 6})})
    off = where(enabled=False)
    why = explain_standing(desk.standing(off))
    only(why, "disabled", "rule 'a' is disabled")
    assert why.result is True and why.explain[0].left == 6
    only(explain_standing(desk.standing(where())), "disabled", "not among the rules of cycle 1")


def test_a_rule_that_nobody_knows_and_a_symbol_that_nobody_knows_are_refused() -> None:
    desk = Desk(where(rule_id="vwap-cross"))
    sight = Sight.of(desk.world.tables)
    desk.world.cycle(at(0), {"X": Symbol()})
    for ticker in ("Y", "", "\udce9", "X" * 40):
        with pytest.raises(UnseenError, match=f"no symbol '{ticker}' is known"):
            Onlooker(sight, "vwap-cross", ticker, None)
    with pytest.raises(UnseenError, match=r"no rule 'vwap-cros' .* did you mean vwap-cross"):
        Onlooker(sight, "vwap-cros", "X", None).take(1)


def test_the_session_stands_in_the_way() -> None:
    only(Desk(where()).cycle(-5, last=6), "session", "outside the sessions")
    only(Desk(where()).cycle(10_001, last=6), "session", "outside the sessions")


def test_a_gap_in_the_feed_makes_blind() -> None:
    desk = Desk(where("last > 5 and within(bid > 1, 5s)"))
    desk.cycle(0, last=6, bid=2)
    why = desk.cycle(1, Symbol({"last": 6, "bid": 2}, blind=True))
    only(why, "blind", "has a gap")
    assert why.result is None and [part.result for part in why.explain] == [None, None]
    assert all(part.undecided is msgspec.UNSET for part in why.explain)


def test_a_symbol_that_was_just_admitted_is_told_to_be() -> None:
    desk = Desk(where())
    desk.cycle(0, last=6)
    desk.world.tables.cell.heads["symbol_count"] = 0
    assert kinds(desk.why()) == ["unseen"]


def test_a_test_issue_and_a_halt_stand_in_the_way() -> None:
    only(Desk(where()).cycle(0, Symbol({"last": 6}, test_issue=True)), "test_issue", "test issue")
    only(Desk(where()).cycle(0, Symbol({"last": 6}, halted=True)), "halt", "X is halted")
    named = Desk(where("last > 5 and not (halted and bid > 1)"))
    assert named.cycle(0, Symbol({"last": 6, "halted": 1, "bid": 0}, halted=True)).fired


@pytest.mark.parametrize(
    ("universe", "said"),
    [
        ({"symbols": ["Y", "Z"]}, "symbols: X is not among Y, Z"),
        ({"symbols": list("ABCDEFG")}, "not among A, B, C, D, E and 2 more"),
        ({"exclude_symbols": ["X"]}, "exclude_symbols: it holds X"),
        ({"lists": ["mine"]}, "lists: X is not known to be in mine"),
        ({"sectors": ["Energy"]}, "sectors: X is not known to be in Energy"),
        ({"exchanges": ["NYSE"]}, "exchanges: X is not known to be in NYSE"),
        ({"price_min": 7, "price_max": 9}, "last >= 7, but it is 6"),
        ({"price_max": 5.5}, "last <= 5.5, but it is 6"),
        ({"adv_min": 2e6, "adv_max": 3e6}, "adv_20 >= 2000000, but it is 1.5e+06"),
        ({"adv_max": 1e6}, "adv_20 <= 1000000, but it is 1.5e+06"),
        ({"sessions": ["regular"]}, "in_session(regular), which is not so"),
        ({"where": "bid > 1 and ask > 1"}, "bid > 1 and ask > 1, which is unknown"),
    ],
)
def test_each_part_of_the_universe_is_named(universe: dict[str, Any], said: str) -> None:
    desk = Desk(where(universe=universe))
    desk.world.tables.session["open_ns"] = at(100)
    desk.world.tables.session["close_ns"] = at(200)
    why = desk.cycle(0, last=6, bid=3, adv_20=1.5e6)
    only(why, "universe", said)
    if said.startswith(("last", "bid", "adv")):
        assert why.obstacles[0].part.text == said.partition(", ")[0]


def test_volumes_of_the_universe_stand_in_the_way_while_they_are_unknown_and_only_then() -> None:
    desk = Desk(where(universe={"adv_min": 1e6, "adv_max": 2e6}))
    assert desk.cycle(0, last=6, adv_20=1e6).fired
    unknown = desk.cycle(1, last=6)
    assert kinds(unknown) == ["universe", "universe"] and not unknown.fired
    said = [one.text for one in unknown.obstacles]
    assert said == ["universe, adv_20 >= 1000000, which is unknown.",
                    "universe, adv_20 <= 2000000, which is unknown."]  # fmt: skip
    assert desk.cycle(2, last=6, adv_20=2e6).fired
    only(desk.cycle(3, last=6, adv_20=2.1e6), "universe", "adv_20 <= 2000000, but it is 2.1e+06")


def test_an_edge_needs_a_cycle_before_and_that_it_was_not_true_in_it() -> None:
    desk = Desk(where(trigger="edge"))
    only(desk.cycle(0, last=6), "no_cycle_before", "there was no cycle before")
    only(desk.cycle(1, last=6), "edge", "true in the cycle before already")
    assert kinds(desk.cycle(2, last=4)) == ["edge"]
    assert desk.cycle(3, last=6).fired
    desk.cycle(4, Symbol({"last": 6}, blind=True))
    only(desk.cycle(5, last=6), "no_cycle_before", "X was not known in the cycle before")
    desk.cycle(6, last=4)
    desk.world.use([where("last > 4.5", trigger="edge")])
    only(desk.cycle(7, last=6), "new", "new in this cycle")


def test_what_has_entered_does_not_enter_again_and_leaves() -> None:
    desk = Desk(where("last > 5 and bid > 1", trigger="enter_exit"))
    desk.cycle(0, last=4, bid=2)
    assert desk.cycle(1, last=6, bid=2).event == "enter"
    assert kinds(desk.cycle(2, last=6, bid=NAN)) == ["edge", "entered"]
    only(desk.cycle(3, last=6, bid=2), "entered", "has entered already")
    why = desk.cycle(4, last=4, bid=2)
    assert (why.fired, why.event, why.result) == (True, "exit", False) and desk.alerts


def test_a_debounce_says_how_long_it_has_been_true() -> None:
    desk = Desk(where(debounce_ms=3000))
    why = desk.cycle(0, last=6)
    only(why, "debounce", "true for 0 ms", "07:30:03.000000000Z")
    assert why.result is not True and why.explain[0].result is True
    only(desk.cycle(2, last=6), "debounce", "true for 2000 ms", "07:30:03.000000000Z")
    assert desk.cycle(3, last=6).fired


def test_once_per_session_stands_in_the_way_after_the_first() -> None:
    desk = Desk(where(once_per_session=True))
    assert desk.cycle(0, last=6).fired
    only(desk.cycle(1, last=6), "once_per_session", "has fired for X in this session")


def test_a_rearm_says_what_it_waits_for() -> None:
    desk = Desk(where(rearm=True))
    assert desk.cycle(0, last=6).fired
    only(desk.cycle(1, last=6), "rearm", "only once it was known false")
    assert kinds(desk.cycle(2, last=NAN)) == ["rearm"]
    assert kinds(desk.cycle(3, last=4)) == []
    assert desk.cycle(4, last=6).fired
    told = Desk(where(rearm="bid > 7"))
    assert told.cycle(0, last=6, bid=1).fired
    only(told.cycle(1, last=6, bid=1), "rearm", "only once 'bid > 7' was true")
    assert told.cycle(2, last=6, bid=8).fired


def test_a_cooldown_says_until_when() -> None:
    desk = Desk(where(cooldown_sec=10))
    assert desk.cycle(0, last=6).fired
    why = desk.cycle(4, last=6)
    only(why, "cooldown", "cools down for 6 s more", "07:30:10.000000000Z")
    assert why.last_fired == "2013-10-08T07:30:00.000000000Z"
    assert kinds(desk.cycle(5, last=4)) == ["cooldown"]
    assert desk.cycle(10, last=6).fired


def test_want_of_room_to_cool_is_told() -> None:
    desk = Desk(where("last > 5", cooldown_sec=10), max_cooling=1)
    symbols = {"W": Symbol({"last": 6}), "X": Symbol({"last": 6})}
    assert [one.symbol for one in desk.world.cycle(at(0), symbols).alerts] == ["W"]
    only(desk.why(), "room", "rules.max_cooling")


def test_alerts_of_the_minute_that_are_used_up_are_told() -> None:
    desk = Desk(where(max_per_min=1))
    assert desk.cycle(0, last=6).fired and len(desk.alerts) == 1
    assert kinds(desk.why(in_minute=1, alerted=True)) == []
    why = desk.cycle(1, last=6)
    assert why.fired and not desk.alerts
    why = desk.why(in_minute=1, alerted=False, limited=True)
    assert kinds(why) == ["max_per_min"] and why.fired
    assert (why.obstacles[0].until, why.obstacles[0].prevents) == (
        "2013-10-08T07:31:00.000000000Z", False
    )  # fmt: skip
    desk.cycle(2, last=4)
    assert kinds(desk.why(in_minute=1)) == ["max_per_min"]


def test_the_cap_of_a_cycle_is_told() -> None:
    desk = Desk(where("last > 5"), max_alerts_per_cycle=1)
    symbols = {"W": Symbol({"last": 6}), "X": Symbol({"last": 6})}
    assert [one.symbol for one in desk.world.cycle(at(0), symbols).alerts] == ["W"]
    why = desk.why(alerted=False)
    assert kinds(why) == ["cap"] and why.fired


def test_what_became_of_a_firing_is_read_from_the_stored_alerts() -> None:
    desk = Desk(where(max_per_min=1))
    tables = desk.world.tables
    tables.session["interval_ns"] = SECOND_NS
    sight, store = Sight.of(tables), MemoryAlertStore()
    desk.cycle(0, last=6)
    (alert,) = desk.alerts

    def scene() -> Any:
        return with_alerts(sight, desk.standing(), store, "stream").scene

    assert (scene().alerted, scene().in_minute) == (None, 0)  # the alert service is behind
    write_word(tables.flow, FLOW_ALERTED_N * WORD_STRIDE, 1)
    assert scene().alerted is False
    store.append([StoredAlert(
        alert_id=alert.alert_id, stream_id="stream", n=1, t_ns=at(0), rule_id="a", symbol="X",
        json=alert.document,
    )])  # fmt: skip
    assert (scene().alerted, scene().in_minute, scene().told_ns) == (True, 1, at(0))
    desk.cycle(1, last=6)
    write_word(tables.flow, FLOW_ALERTED_N * WORD_STRIDE, 2)
    assert (scene().alerted, scene().limited) == (False, False)
    row = tables.kept_back[0]
    row[KEPT_UID], row[KEPT_N], row[KEPT_LIMITED] = rule_key("a"), 2, 1
    assert scene().limited is True


def test_operators_tell_what_they_remember() -> None:
    desk = Desk(where(
        "within(last > 5, 3s) and in_row(last > 3, 5s) and sequence(last > 5, last < 2 within 9s)"
        " and since(last > 5) < 9 and crosses_above(last, bid) and at_least(last > 5, 2, 4s)"
    ))  # fmt: skip
    for second, last in enumerate((4, 6, 4, 4)):
        why = desk.cycle(second, last=last, bid=5)
    within, in_row, sequence, since, crosses, at_least = why.explain
    stamp = "2013-10-08T07:30:0{}.000000000Z".format
    assert within.result is True and within.parts[0].last_met == stamp(1)
    assert within.parts[0].off == -1 and within.parts[0].needs == "> 5"
    assert (in_row.result, in_row.undecided, in_row.since) == (None, True, stamp(0))
    assert in_row.excluded is True
    assert (sequence.taken, sequence.due) == ([stamp(1)], "2013-10-08T07:30:10.000000000Z")
    assert sequence.result is False and [part.text for part in sequence.parts] == [
        "last > 5", "last < 2"
    ]  # fmt: skip
    assert (since.left, since.right, since.parts[0].last_met) == (2, 9, stamp(1))
    assert (crosses.result, crosses.was, crosses.off) == (False, "at most", -1)
    assert (at_least.count, at_least.result) == (1, None)


def test_an_engine_in_the_middle_of_a_cycle_is_waited_for_and_only_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(where())
    cells = desk.world.tables.cell.cells
    cells.seal(1)
    cells.publish(1)
    desk.cycle(0, last=6)
    looker = Onlooker(Sight.of(desk.world.tables), "a", "X", None)
    assert looker.look().n == 1
    desk.world.prepare(at(1), {"X": Symbol({"last": 7})})
    cells.seal(2)
    cells.publish(2)  # decided, and no worker has applied it
    monkeypatch.setattr("engine.alerts.onlooker.ATTEMPTS", 3)
    with pytest.raises(BusyError, match="faster than they can be looked at"):
        looker.look()
    monkeypatch.setattr("engine.alerts.onlooker.ATTEMPTS", ATTEMPTS)
    worker = threading.Timer(0.05, lambda: desk.world.stages[0].run(2))
    worker.start()
    try:
        assert looker.look().values["last"] == 7
    finally:
        worker.join()
    assert np.array_equal(desk.world.tables.scan.words[:1], [2])


def test_whatever_moment_is_caught_of_a_running_engine_is_whole() -> None:
    """Looks taken while cycles run are those that were taken while each stood still."""
    rule = where(
        "within(bid > 3, 1s) and (crosses_above(last, ask) or in_row(last > 2, 500ms))",
        cooldown_sec=0.7, rearm=True,
    )  # fmt: skip
    last = 400

    def values(n: int) -> dict[str, Symbol]:
        return {
            ticker: Symbol({"last": n * k % 7, "bid": n * k % 5, "ask": 3.5}, blind=n % 41 == 0)
            for k, ticker in ((5, "W"), (3, "X"))
        }

    still = Desk(rule)
    whole = {}
    for n in range(1, last + 1):
        still.world.cycle(at(n / 10), values(n))
        whole[n] = still.why()
    desk = Desk(rule)
    cells = desk.world.tables.cell.cells
    cells.seal(0)
    cells.publish(0)

    def run() -> None:
        for n in range(1, last + 1):
            desk.world.prepare(at(n / 10), values(n))
            cells.seal(n)
            cells.publish(n)
            assert desk.world.stages[0].run(n)
            desk.world.take()
            time.sleep(0.0002)

    desk.world._admit("W")
    desk.world._admit("X")
    looker = Onlooker(Sight.of(desk.world.tables), "a", "X", None)
    engine = threading.Thread(target=run)
    engine.start()
    seen = set()
    try:
        while engine.is_alive() or last not in seen:
            if cells.published() > 0:
                why = explain_standing(looker.look())
                assert why == whole[why.n]
                seen.add(why.n)
    finally:
        engine.join()
    assert {one.fired for one in whole.values()} == {True, False} and len(seen) > 1
