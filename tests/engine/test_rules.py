"""Rules of a running engine, changed from the command line, over a kill of the front and a new
start."""

import dataclasses
import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from engine.rules.counts import REASONS
from engine.storage.sqlite import SqliteAlertStore, SqliteBarStore
from tests.engine.commands import ask, events, front_port, told, until
from tests.kills.rig import Rig, rig
from tests.storage.samples import alert, bar

ANYTHING = {
    "id": "anything",
    "name": "Anything",
    "conditions": [{"metric": "last", "op": ">", "value": 0}],
    "cooldown_sec": 10,
}


FAMILY = {
    "id": "averaged",
    "name": "Above its average",
    "where": "last > ema(5, 2m) or last <= highest(high, 7m)",
    "cooldown_sec": 5,
}


@dataclasses.dataclass
class Seen:
    """What came of it."""

    steps: dict[str, Any] = dataclasses.field(default_factory=dict)
    counted: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    answers: list[str] = dataclasses.field(default_factory=list)
    listed: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    relisted: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    started: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def versions_fired(engine: Rig) -> set[int]:
    """Versions of the rule that alerts name."""
    alerts = [json.loads(alert) for alert in engine.alerts()]
    return {alert["rule_version"] for alert in alerts if alert["rule_id"] == "anything"}


def fired(engine: Rig, rule_id: str) -> bool:
    """True once an alert of the rule is stored."""
    return any(json.loads(alert)["rule_id"] == rule_id for alert in engine.alerts())


def leave_behind(engine: Rig) -> None:
    """Alerts and bars that an earlier stream left long ago."""
    engine.data_dir.mkdir(parents=True)
    with closing(SqliteAlertStore(engine.data_dir / "alerts.db")) as alerts:
        alerts.append([alert(i, stream_id="long ago", stored_ns=i) for i in range(30)])
    with closing(SqliteBarStore(engine.data_dir / "bars.db")) as bars:
        bars.upsert([bar(m, stream_id="long ago") for m in range(20)])


def change_rules(engine: Rig, seen: Seen) -> None:
    file = engine.place / "mine.json"

    def step(name: str, *arguments: str) -> None:
        seen.steps[name] = told(engine, "rules", *arguments)

    file.write_text(json.dumps(ANYTHING))
    step("create", "create", str(file))
    until(lambda: versions_fired(engine) == {1}, engine)
    seen.counted = json.loads(told(engine, "rules", "list", "--json").stdout)
    step("table", "list")
    step("shown", "show", "anything")
    port = front_port(engine)
    seen.answers = [ask(port, "GET", path)[1] for path in ("/api/v1/rules/counts", "/metrics")]
    step("again", "create", str(file))
    web = engine.role_pids()["web"]
    os.kill(web, signal.SIGKILL)
    file.write_text(json.dumps(ANYTHING | {"cooldown_sec": 5}))
    step("update", "update", str(file), "--expect", "1")
    until(lambda: 2 in versions_fired(engine), engine)
    step("stale", "update", str(file), "--expect", "1")
    step("bad", "rollback", "anything", "9")
    step("disable", "disable", "anything")
    file.write_text(json.dumps(FAMILY))
    step("family", "create", str(file))
    until(lambda: told(engine, "rules", "show", "averaged").stdout.endswith("ready\n"), engine)
    step("families", "show", "averaged", "--json")
    seen.steps["status"] = told(engine, "status", "--json")
    until(lambda: fired(engine, "averaged"), engine)
    step("gone", "delete", "averaged")
    seen.steps["reloaded"] = told(engine, "reload")
    seen.listed = json.loads(told(engine, "rules", "list", "--json").stdout)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One engine, changed, stopped, changed while it is down, started again."""
    found = Seen()
    with rig(tmp_path_factory.mktemp("rules"), "rules", speed=20.0, end="") as engine:
        leave_behind(engine)
        engine.start()
        change_rules(engine, found)
        assert engine.process is not None
        engine.process.kill()
        engine.process.wait()
        until(lambda: not any(engine.role_pids().values()), engine, 10)
        found.steps["down"] = told(engine, "rules", "enable", "anything")
        found.steps["down_list"] = told(engine, "rules", "list")
        engine.start()
        until(lambda: 4 in versions_fired(engine), engine)
        found.started = events(engine, "rules_renewed")
        found.relisted = json.loads(told(engine, "rules", "list", "--json").stdout)
    yield found


def test_what_was_kept_too_long_is_gone_after_the_start_and_counted(seen: Seen) -> None:
    telemetry = seen.answers[1]
    assert '\nalerts_pruned_total{role="alerts"} 30.0\n' in telemetry
    assert '\nbars_pruned_total{role="recorder"} 20.0\n' in telemetry


def test_a_created_rule_fires_and_says_its_version(seen: Seen) -> None:
    done = seen.steps["create"]
    assert done.returncode == 0, done.stderr
    assert "created anything, version 1" in done.stdout
    assert "in force: 4 rules, version 2 of the set" in done.stdout


def test_what_fired_and_was_held_back_is_told_while_the_engine_runs(seen: Seen) -> None:
    counted = {one["id"]: one for one in seen.counted}
    assert counted["anything"]["fired"] > 0
    assert counted["anything"]["held_back"]["cooldown"] > 0
    assert set(counted["anything"]["held_back"]) == set(REASONS)
    head, *rows = seen.steps["table"].stdout.splitlines()
    assert head.split()[5:] == ["FIRED", "HELD", "BACK", "NAME"]
    assert any(re.search(r"^anything .* \d+ +cooldown \d+ +Anything$", row) for row in rows), rows
    assert re.search(r"\n# fired: \d+; held back: cooldown \d+\n$", seen.steps["shown"].stdout)
    rest, telemetry = seen.answers
    later = {one["id"]: one for one in json.loads(rest)["data"]}
    assert set(later) == {"anything", "move", "drop", "busy"}
    assert later["anything"]["fired"] >= counted["anything"]["fired"]
    found = re.search(r'^rule_firings_held_back\{reason="cooldown"\} (\S+)$', telemetry, re.M)
    assert found is not None
    assert float(found[1]) >= later["anything"]["held_back"]["cooldown"]
    down = seen.steps["down_list"].stdout
    assert "FIRED" not in down and "anything" in down


def test_refusals_are_those_of_a_store_without_an_engine(seen: Seen) -> None:
    for name, sentence in (
        ("again", "rule 'anything' is there already, at version 1."),
        ("stale", "rule 'anything' was expected at version 1, but is at version 2."),
        ("bad", "rule 'anything' has no version 9; its newest is 2."),
    ):
        done = seen.steps[name]
        assert (done.returncode, done.stderr) == (1, f"tapescan: {sentence}\n")


def test_a_change_comes_through_a_kill_of_the_front(seen: Seen) -> None:
    done = seen.steps["update"]
    assert done.returncode == 0, done.stderr
    assert "updated anything, version 2" in done.stdout


def test_a_reload_leaves_rules_alone_that_are_not_of_the_file(seen: Seen) -> None:
    assert seen.steps["reloaded"].returncode == 0
    owners = {one["id"]: one["owner"] for one in seen.listed}
    assert owners["move"] == owners["drop"] == owners["busy"] == "file"
    assert owners["anything"] != "file"
    states = {one["id"]: one["document"]["enabled"] for one in seen.listed}
    assert states == {"move": True, "drop": True, "busy": True, "anything": False}


def test_a_change_while_the_engine_was_down_is_in_force_after_its_start(seen: Seen) -> None:
    assert seen.steps["down"].stdout == "enabled anything, version 4\n"
    assert len(seen.started) == 1 and seen.started[0]["rules"] == 4
    assert {one["id"]: one["version"] for one in seen.relisted} == {
        "move": 1, "drop": 1, "busy": 1, "anything": 4,
    }  # fmt: skip


def test_a_rule_tells_how_far_the_indicators_it_names_are_filled(seen: Seen) -> None:
    shown = json.loads(seen.steps["families"].stdout)["families"]
    assert shown == [
        {"name": "ema(5,2m)", "state": "ready", "filled": 1.0},
        {"name": "highest(high,7m)", "state": "ready", "filled": 1.0},
    ]
    status = json.loads(seen.steps["status"].stdout)
    assert status["families"] == {"count": 2, "warming": []}
