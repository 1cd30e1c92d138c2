"""Why and why not, asked of a running engine by the real command and over HTTP, and of its
recording."""

import dataclasses
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.commands import events, told, until
from tests.kills.rig import RULES, Rig, rig

OFF = {
    "id": "off", "name": "Off", "where": "in_row(last > 0, 5s)", "enabled": False,
}  # fmt: skip
HOLD = {
    "id": "hold", "name": "Holds", "cooldown_sec": 5, "trigger": "edge",
    "universe": {"price_min": 9},
    "where": "(in_row(last > vwap, 30s) or not within(chg_1m_pct > 0, 20s) or rank(chg_pct) <= 1)"
             " and sequence(chg_1m_pct > 0.02, chg_1m_pct < 0.01 within 5m)"
             " and since(last > 0) < 9",
}  # fmt: skip
Done = subprocess.CompletedProcess[str]


@dataclasses.dataclass
class Seen:
    """What came of it."""

    done: dict[str, Done] = dataclasses.field(default_factory=dict)
    answers: dict[str, tuple[int, Any]] = dataclasses.field(default_factory=dict)
    alerts: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    recorded: dict[str, Any] = dataclasses.field(default_factory=dict)

    def json(self, name: str) -> Any:
        done = self.done[name]
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def get(engine: Rig, path: str) -> tuple[int, Any]:
    url = events(engine, "listening")[-1]["url"].rstrip("/")
    try:
        with urllib.request.urlopen(url + path, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ask(engine: Rig, seen: Seen) -> None:
    def step(name: str, *arguments: str) -> None:
        seen.done[name] = told(engine, "rules", *arguments)

    until(lambda: len(list(engine.alerts())) > 5, engine)
    step("now", "explain", "busy", "SPY", "--json")
    step("hold", "explain", "hold", "SPY", "--json")
    step("page", "explain", "busy", "SPY")
    step("off", "explain", "off", "SPY", "--json")
    step("no-rule", "explain", "bussy", "SPY")
    step("no-symbol", "explain", "busy", "SPX")
    step("two", "explain", "busy", "SPY", "--at", "09:31", "--cycle", "4")
    for name, path in (
        ("now", "busy/explain?symbol=SPY"), ("at", "busy/explain?symbol=SPY&at=now"),
        ("then", "busy/explain?symbol=SPY&at=09:31"), ("no-rule", "none/explain?symbol=SPY"),
        ("no-symbol", "busy/explain?symbol=SPX"), ("nothing", "busy/explain"),
        ("off", "off/explain?symbol=SPY"),
    ):  # fmt: skip
        seen.answers[name] = get(engine, f"/api/v1/rules/{path}")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One engine: asked before it runs, while it does, and its recording after it has ended."""
    found = Seen()
    with rig(tmp_path_factory.mktemp("explain"), "explain", speed=20.0, end="",
             rules=[*RULES, HOLD]) as engine:  # fmt: skip
        (engine.place / "off.json").write_text(json.dumps(OFF))
        found.done["create"] = told(engine, "rules", "create", str(engine.place / "off.json"))
        found.done["none"] = told(engine, "rules", "explain", "busy", "SPY")
        engine.start()
        ask(engine, found)
        assert engine.stop() == 0
        found.alerts = [json.loads(alert) for alert in engine.alerts()]
        alert = next(one for one in found.alerts if one["rule_id"] == "busy")
        found.recorded = alert
        stream = engine.data_dir / "streams" / "under-test"
        symbol = alert["symbol"]
        for name, more in (("own", []), ("tape", ["--tape", str(stream)])):
            found.done[name] = told(engine, "rules", "explain", "busy", symbol, "--cycle",
                                    str(alert["n"]), "--json", *more)  # fmt: skip
        for name in ("now", "hold"):
            why = found.json(name)
            found.done[f"{name} again"] = told(
                engine, "rules", "explain", why["rule_id"], "SPY", "--cycle", str(why["n"]),
                "--json",
            )
        found.done["preview"] = told(
            engine, "rules", "preview", "busy", "--tape", str(stream), "--json"
        )
        found.done["shown"] = told(
            engine, "rules", "preview", "busy", "--tape", str(stream)
        )
        (engine.place / "bad.json").write_text(json.dumps(OFF | {"where": "lsat > 1"}))
        found.done["bad"] = told(engine, "rules", "preview", str(engine.place / "bad.json"),
                                 "--tape", str(stream))  # fmt: skip
        found.done["unknown"] = told(engine, "rules", "preview", "bussy", "--tape",
                                     str(stream))  # fmt: skip
        found.done["list"] = told(engine, "rules", "list", "--json")
    yield found


def parts(explain: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every condition, those below an operator after it."""
    for part in explain:
        yield part
        yield from parts(part.get("parts", []))


def forget(value: Any) -> Any:
    """The same without what only a recording knows."""
    if isinstance(value, list):
        return [forget(one) for one in value]
    if isinstance(value, dict):
        return {key: forget(one) for key, one in value.items() if not key.startswith("last_met")}
    return value


def test_without_an_engine_there_is_nothing_to_look_at(seen: Seen) -> None:
    done = seen.done["none"]
    assert done.returncode == 1 and done.stderr.startswith("tapescan: no engine runs on ")
    assert done.stderr.count("\n") == 1 and "--tape DIR" in done.stderr


def test_a_running_engine_tells_every_condition_of_now(seen: Seen) -> None:
    why = seen.json("now")
    assert (why["rule_id"], why["symbol"]) == ("busy", "SPY") and why["n"] > 0
    texts = [part["text"] for part in why["explain"]]
    assert texts == ["vol_1m > 5000", "last > 1", "rsi(14) > 45"]
    assert why["explain"][1]["result"] is True and why["explain"][1]["left"] > 100
    assert why["logic"] == {"all": [0, 1, 2]}
    assert seen.done["page"].returncode == 0, seen.done["page"].stderr
    for word in ("Busy minute", "vol_1m > 5000", "needs", "> 45"):
        assert word in seen.done["page"].stdout


@pytest.mark.parametrize("name", ["now", "hold"])
def test_what_was_seen_of_a_running_engine_is_what_its_recording_says(
    seen: Seen, name: str
) -> None:
    live, recorded = seen.json(name), seen.json(f"{name} again")
    for key in ("n", "t", "values", "fired", "last_fired", "obstacles", "logic"):
        assert forget(live[key]) == forget(recorded[key]), key
    pairs = list(zip(parts(live["explain"]), parts(recorded["explain"]), strict=True))
    assert len(pairs) >= 3
    for one, other in pairs:
        if one.get("undecided"):
            assert one["result"] is None and other["result"] is not one.get("excluded", "")
        else:
            assert one["result"] is other["result"], (one, other)
        for key in ("text", "left", "right", "needs", "off", "since", "taken", "due", "steps"):
            assert one.get(key) == other.get(key), key
        if one["last_met"]:
            assert one["last_met"] == other["last_met"]


def test_the_front_tells_the_same(seen: Seen) -> None:
    for name in ("now", "at"):
        status, why = seen.answers[name]
        assert status == 200, why
        assert [part["text"] for part in why["explain"]] == [
            part["text"] for part in seen.json("now")["explain"]
        ]
    assert seen.answers["then"][0] == 400 and "at: " in seen.answers["then"][1]["detail"]
    assert seen.answers["nothing"][0] == 400
    for name, said in (("no-rule", "There is no rule 'none'"), ("no-symbol", "No symbol 'SPX'")):
        status, problem = seen.answers[name]
        assert status == 404 and problem["detail"].startswith(said)


def test_a_rule_that_is_off_is_told_to_be(seen: Seen) -> None:
    for why in (seen.json("off"), seen.answers["off"][1]):
        assert why["obstacles"][0]["kind"] == "disabled" and not why["fired"]
        assert why["explain"][0]["parts"][0]["result"] is True


def test_refusals_are_one_sentence(seen: Seen) -> None:
    for name, code, said in (
        ("no-rule", 1, "did you mean busy?"), ("no-symbol", 1, "no symbol 'SPX' is known"),
        ("two", 2, "leave one away"), ("bad", 3, "did you mean last or float?"),
        ("unknown", 1, "there is no rule 'bussy'"),
    ):  # fmt: skip
        done = seen.done[name]
        assert done.returncode == code, done
        assert said in done.stderr and done.stderr.count("\n") == 1


def test_a_recorded_cycle_that_fired_has_the_reasons_of_its_alert(seen: Seen) -> None:
    for name in ("own", "tape"):
        why = seen.json(name)
        assert why["fired"] is True and why["n"] == seen.recorded["n"]
        keys = ("text", "left", "right", "result", "gap", "steps")
        reasons = [{key: part[key] for key in keys if key in part} for part in why["explain"]]
        assert reasons == seen.recorded["explain"]
        assert why["values"] == seen.recorded["values"] and why["obstacles"] == []


def test_a_preview_of_the_recording_counts_its_alerts(seen: Seen) -> None:
    found = seen.json("preview")
    wanted = [alert for alert in seen.alerts if alert["rule_id"] == "busy"]
    assert found["alerts"] == len(wanted) > 0
    assert all(example in wanted for example in found["examples"])
    assert "alerts in" in seen.done["shown"].stdout
    assert {one["id"]: one["version"] for one in json.loads(seen.done["list"].stdout)} == {
        "move": 1, "drop": 1, "busy": 1, "off": 1, "hold": 1,
    }  # fmt: skip
