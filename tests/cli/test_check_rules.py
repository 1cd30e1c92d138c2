"""`tapescan check-config` looks at the stored rules, too, and leaves them as they are."""

import json
from pathlib import Path

import pytest

from engine.config.load import load
from engine.rules.stored import open_library, store_path, take_in_source
from engine.storage.rule_sqlite import SqliteRuleReader
from tests.cli.test_commands import Capture
from tests.rules.test_library import document
from tools.main import call


@pytest.fixture
def store(place: Path, capsys: Capture) -> Path:
    """A store with three rules, one of them disabled and one deleted; rules.path is empty."""
    for name in ("a", "b", "c"):
        (place / "one.json").write_text(json.dumps(document(name)))
        assert call(["rules", "create", "one.json"]) == 0
    assert call(["rules", "disable", "b"]) == 0
    assert call(["rules", "delete", "c"]) == 0
    capsys.readouterr()
    return store_path(place / "state")


def check(capsys: Capture, code: int = 0) -> tuple[list[str], str]:
    """Lines that check-config prints, and what it complains of."""
    assert call(["check-config"]) == code
    captured = capsys.readouterr()
    return captured.out.splitlines(), captured.err


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def narrow(place: Path, most: int) -> None:
    """Fewer rules are allowed than there are."""
    with (place / "scanner.toml").open("a") as file:
        file.write(f"[rules]\nmax_rules = {most}\n")


def test_without_a_store_none_is_made_and_none_is_spoken_of(place: Path, capsys: Capture) -> None:
    lines, complaint = check(capsys)
    assert not any(line.startswith("Stored") for line in lines)
    assert complaint == ""
    assert not (place / "state").exists()


def test_it_says_how_many_are_stored_and_that_they_compile(store: Path, capsys: Capture) -> None:
    before = contents(store.parent)
    lines, complaint = check(capsys)
    told = f"Stored in {store}: 2 rules, 1 enabled, 1 disabled; they compile."
    assert told in lines
    assert lines[-1].endswith("is good, 1 rule."), "the enabled one is what a start has"
    assert not any(line.startswith("A start") for line in lines)
    assert complaint == ""
    assert contents(store.parent) == before, "no byte and no file beside it is another"


def test_it_foresees_what_a_start_takes_in_and_does_not_take_it_in(
    store: Path, place: Path, capsys: Capture
) -> None:
    (place / "rules.json").write_text(json.dumps([document("x"), document("y")]))
    before = contents(store.parent)
    lines, _ = check(capsys)
    assert f"Stored in {store}: 2 rules, 1 enabled, 1 disabled; they compile." in lines
    assert "A start takes in rules.path: 2 changes." in lines
    assert lines[-1].endswith("is good, 3 rules.")
    assert contents(store.parent) == before


def test_stored_rules_that_no_longer_fit_are_refused_by_their_store(
    store: Path, place: Path, capsys: Capture
) -> None:
    narrow(place, 1)
    before = contents(store.parent)
    lines, complaint = check(capsys, 3)
    assert lines == []
    assert complaint.startswith(f"tapescan: {store}: these would be 2 rules, at most 1 are allowed")
    assert contents(store.parent) == before


def test_a_rule_of_the_file_that_is_somebody_elses_is_refused_as_a_start_would(
    store: Path, place: Path, capsys: Capture
) -> None:
    (place / "rules.json").write_text(json.dumps([document("a")]))
    _, complaint = check(capsys, 3)
    assert "rules.json: rule 'a': is in the store already and belongs to " in complaint


def test_faults_that_the_file_mends_are_told_and_not_refused(place: Path, capsys: Capture) -> None:
    rules = [document("x"), document("y")]
    (place / "rules.json").write_text(json.dumps(rules))
    config = load(place / "scanner.toml").config
    (place / "state").mkdir()
    library = open_library(config, place / "state")
    take_in_source(library, config)
    library.store.close()
    (place / "rules.json").write_text(json.dumps(rules[:1]))
    narrow(place, 1)
    lines, complaint = check(capsys)
    where = store_path(place / "state")
    assert any(line.endswith(f"{where}: 2 rules, 2 enabled, 0 disabled; they do not compile.")
               for line in lines)
    assert "A start takes in rules.path: 1 change." in lines
    assert complaint == "warning: these would be 2 rules, at most 1 are allowed\n"


def test_beside_an_open_store_it_reads_what_was_committed_last(
    store: Path, place: Path, capsys: Capture
) -> None:
    config = load(place / "scanner.toml").config
    library = open_library(config, store.parent)
    try:
        before = store.read_bytes()
        lines, _ = check(capsys)
        assert f"Stored in {store}: 2 rules, 1 enabled, 1 disabled; they compile." in lines
        assert store.read_bytes() == before
        beside = SqliteRuleReader(store, briefly=True)
        assert len(beside.newest()) == 3
        beside.close()
    finally:
        library.store.close()
