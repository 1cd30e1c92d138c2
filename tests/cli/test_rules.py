"""`tapescan rules` as a user types it, while no engine runs and beside one."""

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.config.load import load
from engine.rules.stored import open_library
from ipc.errors import ControlError, LockedError, NoAnswerError, NoEngineError
from ipc.lock import DataLock
from tests.cli.test_commands import Capture
from tests.rules.test_library import document
from tools import rule_changes
from tools.main import call


@pytest.fixture
def place(place: Path) -> Path:
    """The same with a rule in a file."""
    (place / "a.json").write_text(json.dumps(document("a")))
    return place


def said(capsys: Capture, *arguments: str, code: int = 0) -> str:
    """What a command prints, which ends with this exit code."""
    assert call(["rules", *arguments]) == code, capsys.readouterr()
    captured = capsys.readouterr()
    assert bool(captured.err) == (code != 0)
    return captured.err if code else captured.out


def read(capsys: Capture, *arguments: str) -> Any:
    """The JSON that a command prints."""
    return json.loads(said(capsys, *arguments, "--json"))


def test_a_rule_is_made_changed_compared_and_brought_back(place: Path, capsys: Capture) -> None:
    assert read(capsys, "list") == []
    assert said(capsys, "create", "a.json", "--note", "first") == "created a, version 1\n"
    (place / "a.json").write_text(json.dumps(document("a", 2.0)))
    assert said(capsys, "update", "a.json", "--expect", "1") == "updated a, version 2\n"
    assert said(capsys, "update", "a.json") == "nothing to change\n"
    shown = said(capsys, "diff", "a")
    assert "-    value: 1.0\n+    value: 2.0\n" in shown and "changed: conditions." in shown
    assert read(capsys, "diff", "a", "2", "1")["changes"][0]["key"] == "conditions"
    assert "alike" in said(capsys, "diff", "a", "1", "1")
    assert said(capsys, "disable", "a") == "disabled a, version 3\n"
    assert " off " in said(capsys, "list")
    assert said(capsys, "delete", "a", "--expect", "3") == "deleted a, version 4\n"
    assert read(capsys, "list") == []
    assert [one["id"] for one in read(capsys, "list", "--deleted")] == ["a"]
    assert said(capsys, "rollback", "a", "1") == "rolled back a, version 5\n"
    assert said(capsys, "enable", "a") == "nothing to change\n"
    versions = read(capsys, "history", "a")
    actions = ["rollback", "delete", "disable", "update", "create"]
    assert [one["action"] for one in versions] == actions
    assert versions[0]["document"] == versions[-1]["document"] == read(capsys, "show", "a")[
        "document"
    ]
    assert versions[0]["content_hash"] == versions[-1]["content_hash"]
    assert versions[-1]["note"] == "first"
    assert said(capsys, "show", "a", "--version", "2").startswith("id: a\nname: Rule a\n")
    assert json.loads(said(capsys, "show", "a", "--format", "json"))["id"] == "a"
    assert "update" in said(capsys, "history", "a", "--limit", "4")


def test_a_rule_comes_from_standard_input(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = b"id: y\nname: Y\nconditions: [{metric: last, op: '>', value: 1}]\n"
    for text in (yaml, json.dumps(document("j")).encode()):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
        assert said(capsys, "create", "-").startswith("created ")
    assert [one["id"] for one in read(capsys, "list")] == ["j", "y"]


def test_an_export_comes_in_again_and_all_or_nothing(place: Path, capsys: Capture) -> None:
    (place / "set.json").write_text(json.dumps([document("a"), document("b", 2.0)]))
    result = read(capsys, "import", "set.json", "--owner", "desk")
    assert (result["changes"], result["unchanged"]) == (2, 0)
    assert {one["owner"] for one in read(capsys, "list")} == {"desk"}
    hashes = [one["content_hash"] for one in read(capsys, "list")]
    for form in ("yaml", "json"):
        assert said(capsys, "export", form, "--format", form) == f"{form}: 2 written.\n"
        assert said(capsys, "import", form) == "nothing to change\n"
    (place / "yaml" / "c.yaml").write_text("id: c\nname: C\nwhere: lsat > 1\n")
    (place / "yaml" / "a.yaml").write_text("id: a\nname: changed\nwhere: last > 1\n")
    assert "did you mean last or float?" in said(capsys, "import", "yaml", code=3)
    assert [one["content_hash"] for one in read(capsys, "list")] == hashes
    assert "holds a.yaml already" in said(capsys, "export", "yaml", code=1)


def test_a_mirror_image_is_printed_and_can_be_created(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(capsys, "create", "a.json")
    text = said(capsys, "flip", "a", "--id", "down")
    assert 'op: "<"' in text and "value: -1.0" in text
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    assert said(capsys, "create", "-") == "created down, version 1\n"
    assert json.loads(said(capsys, "flip", "down", "--format", "json"))["id"] == "down-mirror"
    assert "expected 1 to 64 letters" in said(capsys, "flip", "a", "--id", "no id", code=3)


def test_validate_tells_every_fault(place: Path, capsys: Capture) -> None:
    assert said(capsys, "validate", "a.json") == "a.json is good, 1 rule.\n"
    (place / "bad.json").write_text(json.dumps([document("x", "y"), {"id": "z"}]))
    lines = said(capsys, "validate", "bad.json", code=3).splitlines()
    assert len(lines) == 2 and all(line.startswith("tapescan: bad.json: ") for line in lines)
    assert call(["rules", "validate", "bad.json", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["valid"] is False


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["show", "no"], 1, "there is no rule 'no'."),
        (["show", "a", "--version", "4"], 1, "rule 'a' has no version 4; its newest is 1."),
        (["history", "b"], 1, "there is no rule 'b'"),
        (["diff", "a", "1", "2"], 1, "rule 'a' has no version 2"),
        (["create", "a.json"], 1, "rule 'a' is there already, at version 1."),
        (["update", "a.json", "--expect", "3"], 1, "expected at version 3, but is at version 1."),
        (["delete", "a", "--expect", "3"], 1, "expected at version 3, but is at version 1."),
        (["rollback", "a", "9"], 1, "rule 'a' has no version 9; its newest is 1."),
        (["rollback", "a", "0"], 2, "0 is not in the range x>=1"),
        (["create", "none.json"], 2, "'none.json' does not exist"),
        (["create", "bad.json"], 3, "bad.json: line 1 column 2: broken JSON"),
        (["delete"], 2, "Missing argument 'ID'"),
        (["explain", "a", "X"], 1, "no engine runs on"),
        (["explain", "a", "X", "--cycle", "5"], 1, "holds no recorded stream"),
        (["explain", "a", "X", "--cycle", "0"], 2, "0 is not in the range"),
        (["explain", "a", "X", "--at", "9:00", "--cycle", "5"], 2, "leave one away"),
        (["explain", "a"], 2, "Missing argument 'SYMBOL'"),
        (["preview", "a.json"], 2, "needs at least one of --tape, --trades and --bars"),
        (["preview", "a", "--bars", "a.json", "--interval-ms", "5"], 2, "is for recorded trades"),
        (["preview", "no", "--bars", "a.json"], 1, "there is no rule 'no'"),
        (["preview", "two.json", "--bars", "a.json"], 3, "expected one rule to preview, found 2"),
        (["preview", "bad.json", "--bars", "a.json"], 3, "bad.json: line 1 column 2: broken JSON"),
        (["preview", "a", "--tape", "a.json"], 1, "a.json"),
        (["dance"], 2, "No such command"),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(
    place: Path, capsys: Capture, arguments: list[str], code: int, says: str
) -> None:
    said(capsys, "create", "a.json")
    (place / "bad.json").write_text("{")
    (place / "two.json").write_text(json.dumps([document("x"), document("y")]))
    text = said(capsys, *arguments, code=code)
    assert says in text
    assert text.startswith("tapescan: ") and text.count("\n") == 1
    assert [one["version"] for one in read(capsys, "history", "a")] == [1]


# -- beside an engine -----------------------------------------------------------------------------
def test_a_running_engine_is_asked_and_asked_again_for_a_lost_answer(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def ask(_data_dir: Path, command: str, **arguments: Any) -> Any:
        asked.append({"command": command, **arguments})
        if len(asked) == 1:
            raise NoEngineError("no engine runs yet.")
        if len(asked) == 2:
            raise NoAnswerError("web did not answer rules in time.")
        changed = [{"id": "a", "version": 1, "action": "create"}]
        return {"changed": changed, "changes": 1, "unchanged": 0, "rules": 4, "version": 7}

    monkeypatch.setattr(rule_changes, "ask", ask)
    lock = DataLock(place / "state")
    told = said(capsys, "create", "a.json")
    lock.release()
    assert told == "created a, version 1\nin force: 4 rules, version 7 of the set\n"
    assert {one["command"] for one in asked} == {"rules"}
    first, second, third = (one["request"]["request_id"] for one in asked)
    assert first == second == third
    assert not (place / "state" / "app.db").exists()


def test_a_refusal_of_the_engine_keeps_its_exit_code(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_data_dir: Path, _command: str, **_arguments: Any) -> Any:
        raise ControlError("rule 'a': no.", 3)

    monkeypatch.setattr(rule_changes, "ask", refuse)
    lock = DataLock(place / "state")
    assert said(capsys, "create", "a.json", code=3) == "tapescan: rule 'a': no.\n"
    lock.release()


def test_a_directory_in_use_that_takes_no_orders_is_said_so(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_changes, "START_WAIT_S", 0.0)
    lock = DataLock(place / "state")
    assert f"in use by process {os.getpid()}" in said(capsys, "create", "a.json", code=1)
    lock.release()
    with pytest.raises(LockedError):
        held = DataLock(place / "state")
        try:
            DataLock(place / "state", wait_s=0.0)
        finally:
            held.release()


def test_a_long_request_lies_in_a_file_until_it_is_answered(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"S{number}" for number in range(200)]
    rules = [document(f"r{i}", universe={"symbols": names}) for i in range(60)]
    (place / "many.json").write_text(json.dumps(rules))
    seen: list[int] = []

    def ask(data_dir: Path, _command: str, **arguments: Any) -> Any:
        whole = rule_changes_request(data_dir, arguments)
        seen.append(len(whole["documents"]))
        return {"changed": [], "changes": 0, "unchanged": 60, "rules": 60, "version": 2}

    monkeypatch.setattr(rule_changes, "ask", ask)
    lock = DataLock(place / "state")
    said(capsys, "import", "many.json")
    lock.release()
    assert seen == [60]
    assert list((place / "state" / "requests").iterdir()) == []


def rule_changes_request(data_dir: Path, arguments: dict[str, Any]) -> Any:
    """The request as the engine reads it."""
    assert set(arguments) == {"payload"}
    return json.loads((data_dir / "requests" / f"{arguments['payload']}.json").read_bytes())


def test_the_rules_of_a_store_are_those_the_engine_starts_with(
    place: Path, capsys: Capture
) -> None:
    said(capsys, "create", "a.json")
    said(capsys, "disable", "a")
    config = load(place / "scanner.toml").config
    library = open_library(config, place / "state")
    assert list(library.program().compiled.rules) == []
    library.store.close()


def test_a_rule_is_made_from_a_template(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "new-high-of-day" in said(capsys, "templates", "list")
    gaps = read(capsys, "templates", "list", "--tag", "gap", "--tag", "open")
    assert {"gap-up", "gap-down"} <= {one["id"] for one in gaps}
    assert all(one["alerts_per_symbol_day"] > 0 for one in gaps)
    shown = said(capsys, "templates", "show", "gap-up")
    assert "gap_pct > {gap_pct}" in shown and "0.2 to 100" in shown
    assert read(capsys, "templates", "show", "gap-up")["params"]["gap_pct"]["default"] == 3
    made = said(capsys, "templates", "new", "gap-up", "--id", "mine", "--set", "gap_pct=5")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(made.encode())))
    assert said(capsys, "create", "-") == "created mine, version 1\n"
    stored = read(capsys, "show", "mine")["document"]
    assert (stored["where"], stored["template"]) == ("gap_pct > 5", "gap-up")
    assert "did you mean gap-up?" in said(capsys, "templates", "show", "gapup", code=1)
    for wrong in ("gap_pct", "gap_pct=much"):
        assert f"--set {wrong} " in said(
            capsys, "templates", "new", "gap-up", "--set", wrong, code=2
        )
