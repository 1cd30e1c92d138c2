"""A recorded cycle is explained: what fired says so with the reasons of its alert, what did not
says why; and it is the same whatever cycle comes after."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.alerts.sight import UnseenError
from engine.alerts.why import Why
from engine.replay.tape import CYCLES, TapeReader
from engine.replay.why_tape import WhenError, explain_tape, moment_ns
from engine.rules.validate import read_rule
from tests.replay.market import begin, config, recorded_with_genesis

SYMBOL = "SIM00003"


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A tape beside its genesis, and its alerts. Its rules change in cycle 90."""
    told = config()
    tape, run = recorded_with_genesis(
        told, begin(told), tmp_path_factory.mktemp("stream"), rules_at=90
    )
    return tape, [json.loads(alert) for alert in run.alerts]


def as_alert(why: Why) -> list[dict[str, Any]]:
    keys = ("text", "left", "right", "result", "gap", "steps")
    found = msgspec.json.decode(msgspec.json.encode(why))["explain"]
    return [{key: one[key] for key in keys if key in one} for one in found]


def test_every_rule_that_fired_says_so_with_the_reasons_of_its_alert(
    stream: tuple[Path, list[dict[str, Any]]],
) -> None:
    tape, alerts = stream
    firsts = {alert["rule_id"]: alert for alert in reversed(alerts)}
    assert set(firsts) >= {"move", "any", "new"}
    for rule_id, alert in firsts.items():
        why = explain_tape(tape, rule_id, alert["symbol"], n=alert["n"])
        assert (why.fired, why.result, why.t) == (True, True, alert["scan_ts"]), rule_id
        assert as_alert(why) == alert["explain"]
        assert why.values == alert["values"] and why.obstacles == []
        assert all(part.last_met_n == alert["n"] for part in why.explain)
        after = explain_tape(tape, rule_id, alert["symbol"], n=alert["n"] + 1)
        assert not after.fired and after.last_fired == alert["scan_ts"]
        assert {"cooldown", "edge"} & {one.kind for one in after.obstacles}


def test_a_time_means_the_last_cycle_before_it(stream: tuple[Path, Any]) -> None:
    tape, _ = stream
    by_time = explain_tape(tape, "move", SYMBOL, at="09:30:10.500")
    assert by_time.t == "2026-01-05T14:30:10.000000000Z"
    assert by_time == explain_tape(tape, "move", SYMBOL, n=by_time.n)
    assert by_time == explain_tape(tape, "move", SYMBOL, at="2026-01-05T14:30:10Z")
    assert by_time.watched_from_n == 1


def test_a_condition_was_last_met_where_the_tape_says_so(stream: tuple[Path, Any]) -> None:
    """Cycle by cycle the last that met it, as an answer for each cycle tells it."""
    tape, alerts = stream
    alert = next(one for one in alerts if one["rule_id"] == "move" and 30 < one["n"] < 80)
    met = 0
    for n in range(alert["n"] - 3, alert["n"] + 4):
        (part,) = explain_tape(tape, "move", alert["symbol"], n=n).explain
        met = n if part.result else met
        if met:
            assert part.last_met_n == met


def test_a_rule_that_was_not_in_force_is_explained_all_the_same(stream: tuple[Path, Any]) -> None:
    tape, _ = stream
    rule = read_rule({"id": "mine", "name": "m", "where": "in_row(last > 0, 5s)"})
    with pytest.raises(UnseenError, match="there is no rule 'mine' among the 4 in force"):
        explain_tape(tape, "mine", SYMBOL, n=60)
    why = explain_tape(tape, "mine", SYMBOL, n=60, stored=rule)
    assert [one.kind for one in why.obstacles] == ["disabled"]
    assert why.result is True and not why.fired
    ranked = read_rule({"id": "mine", "name": "m", "where": "rank(last) <= 24 and last > 0"})
    rank, last = explain_tape(tape, "mine", SYMBOL, n=60, stored=ranked).explain
    assert (rank.result, rank.undecided, last.result) == (None, True, True)  # nobody compared it
    gone = explain_tape(tape, "fall", SYMBOL, n=89)
    assert gone.rule_id == "fall"
    with pytest.raises(UnseenError, match="no rule 'fall' among the 3"):
        explain_tape(tape, "fall", SYMBOL, n=120)


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ({"n": 100_000}, "the tape ends with cycle"),
        ({"n": 1 << 70}, "the tape ends with cycle"),
        ({"at": "04:00"}, "the tape holds no cycle at or before 04:00"),
        ({"at": "soon"}, "--at 'soon' is no time"),
        ({"at": "2026-01-05T14:30:10"}, "is no time"),
    ],
)
def test_a_moment_that_the_tape_does_not_hold_is_refused(
    stream: tuple[Path, Any], when: dict[str, Any], says: str
) -> None:
    with pytest.raises(WhenError, match=says):
        explain_tape(stream[0], "move", SYMBOL, **when)


def test_times_of_day_are_those_of_new_york() -> None:
    assert moment_ns("09:30", 20260105) == moment_ns("2026-01-05T14:30:00Z", 20260105)
    assert moment_ns("09:30", 20260706) == moment_ns("2026-07-06T13:30:00+00:00", 20260706)
    assert moment_ns("09:30:00.25", 20260105) % 1_000_000_000 == 250_000_000


def test_the_last_cycle_is_meant_without_a_time(stream: tuple[Path, Any]) -> None:
    with TapeReader(stream[0]) as reader:
        last = max(block.last_n for block in reader.blocks() if block.kind == CYCLES)
    assert explain_tape(stream[0], "move", SYMBOL).n == last
