"""One body of tests over every store of rules."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.storage.errors import StoreError
from engine.storage.rule_ports import (
    Answer,
    Bounds,
    RuleStore,
    RuleVersion,
    VersionConflictError,
)
from engine.storage.rule_sqlite import SqliteRuleReader, SqliteRuleStore
from engine.storage.rule_stub import MemoryRuleStore

Make = Callable[..., RuleStore]


@pytest.fixture(params=["stub", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes an empty store of each kind, with bounds."""
    made: list[RuleStore] = []

    def one(**bounds: int) -> RuleStore:
        told = Bounds(**bounds)
        store: RuleStore
        if request.param == "stub":
            store = MemoryRuleStore(told)
        else:
            store = SqliteRuleStore(tmp_path / f"app{len(made)}.db", told)
        made.append(store)
        return store

    yield one
    for store in made:
        store.close()


def version(rule_id: str, number: int, **changes: Any) -> RuleVersion:
    """Version number of a rule, whose document tells both."""
    fields: dict[str, Any] = {
        "action": "create" if number == 1 else "update",
        "document": f'{{"id":"{rule_id}","n":{number}}}'.encode(),
        "content_hash": f"{number:064x}",
        "owner": "ann",
        "author": "ann",
        "at_ns": number * 10**18,
        "note": "",
    }
    return RuleVersion(rule_id=rule_id, version=number, **{**fields, **changes})


def test_a_new_store_is_empty(make: Make) -> None:
    store = make()
    assert store.newest() == []
    assert store.get("a") is None
    assert store.history("a", 10) == []
    assert store.newest_by("file") == []
    assert store.answer("r") is None
    store.append([])
    assert store.newest() == []


def test_versions_come_back_as_they_were_and_the_newest_is_the_state(make: Make) -> None:
    store = make()
    odd = version("B", 1, document="{\"name\":\"Über €\"}".encode() + b"\x00", note="why: 'x'")
    first, second = version("a", 1), version("a", 2, author="file", action="import")
    store.append([first, odd])
    store.append([second])
    assert store.newest() == [odd, second]
    assert store.get("a") == second
    assert store.get("a", 1) == first
    assert store.get("a", 3) is None and store.get("A") is None
    assert store.history("a", 10) == [second, first]
    assert store.history("a", 1) == [second] and store.history("a", 0) == []
    assert store.history("a", 5, before=2) == [first]
    assert store.newest_by("file") == [second]
    assert store.newest_by("ann") == [odd, first]


@pytest.mark.parametrize("number", [1, 2, 4, 9])
def test_a_version_that_does_not_follow_the_newest_is_a_conflict_and_stores_nothing(
    make: Make, number: int
) -> None:
    store = make()
    store.append([version("a", 1), version("a", 2)])
    with pytest.raises(VersionConflictError) as caught:
        store.append([version("b", 1), version("a", number)], Answer("r", b"{}"))
    assert (caught.value.expected, caught.value.found) == (number - 1, 2)
    assert "version 2" in str(caught.value) and "rule 'a'" in str(caught.value)
    assert store.get("b") is None
    assert store.answer("r") is None
    store.append([version("a", 3)])


def test_a_conflict_names_both_versions() -> None:
    assert [str(VersionConflictError("a", *pair)) for pair in ((0, 2), (3, 0), (3, 4))] == [
        "rule 'a' is there already, at version 2.",
        "rule 'a' was expected at version 3, but there is none of that id.",
        "rule 'a' was expected at version 3, but is at version 4.",
    ]


def test_a_deleted_rule_keeps_its_history_and_its_numbers_go_on(make: Make) -> None:
    store = make()
    store.append([version("a", 1), version("a", 2, action="delete")])
    assert [one.deleted for one in store.newest()] == [True]
    store.append([version("a", 3, action="create")])
    assert [one.action for one in store.history("a", 9)] == ["create", "delete", "create"]
    assert not store.newest()[0].deleted


def test_a_repeat_finds_the_first_answer(make: Make) -> None:
    store = make(answers=2)
    for number in (1, 2, 3):
        store.append([version("a", number)], Answer(f"r{number}", b"%d" % number))
    assert [store.answer(f"r{number}") for number in (1, 2, 3)] == [None, b"2", b"3"]
    store.append([], Answer("r3", b"other"))
    assert store.answer("r3") == b"3"


def test_the_oldest_versions_over_the_bound_go_but_not_the_newest_of_the_file(make: Make) -> None:
    store = make(versions=3)
    store.append([version("a", 1, author="file"), version("a", 2, author="file")])
    for number in range(3, 8):
        store.append([version("a", number)])
    assert [one.version for one in store.history("a", 99)] == [7, 6, 5, 2]
    assert [one.version for one in store.newest_by("file")] == [2]
    assert store.dropped == 3


def test_the_rules_deleted_longest_ago_go_first(make: Make) -> None:
    store = make(deleted=2)
    for rule_id in "cabd":
        store.append([version(rule_id, 1), version(rule_id, 2, action="delete")])
    store.append([version("e", 1)])
    assert [one.rule_id for one in store.newest()] == ["b", "d", "e"]
    assert store.history("c", 9) == []
    assert store.dropped == 4


CHANGES = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), min_size=1, max_size=3),
        st.sampled_from(["update", "delete"]),
        st.sampled_from(["file", "ann"]),
        st.none() | st.sampled_from(["r1", "r2", "r3"]),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(CHANGES)
def test_sqlite_does_what_the_stub_does(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Any]
) -> None:
    bounds = Bounds(versions=2, deleted=1, answers=2)
    real = SqliteRuleStore(tmp_path_factory.mktemp("store") / "app.db", bounds)
    stub = MemoryRuleStore(bounds)
    for keys, action, author, request in changes:
        told = [version(key, number, action=action, author=author) for key, number in keys]
        answer = Answer(request, request.encode()) if request else None
        said = []
        for store in (real, stub):
            try:
                store.append(told, answer)
                said.append("")
            except VersionConflictError as error:
                said.append(str(error))
        assert said[0] == said[1]
        assert real.newest() == stub.newest()
        assert real.newest_by("file") == stub.newest_by("file")
        assert real.dropped == stub.dropped
        assert [real.history(key, 9) for key in "abc"] == [stub.history(key, 9) for key in "abc"]
        assert [real.answer(f"r{i}") for i in (1, 2, 3)] == [
            stub.answer(f"r{i}") for i in (1, 2, 3)
        ]
    real.close()


def test_a_reader_beside_the_writer_sees_commits_and_cannot_write(tmp_path: Path) -> None:
    store = SqliteRuleStore(tmp_path / "app.db")
    reader = SqliteRuleReader(tmp_path / "app.db")
    store.append([version("a", 1)])
    assert reader.newest() == [version("a", 1)]
    with pytest.raises(StoreError, match="readonly"), reader._database.transaction("write"):
        reader._database.run("DELETE FROM rule")
    reader.close()
    store.close()
    store = SqliteRuleStore(tmp_path / "app.db")
    assert store._database.rows("read", "PRAGMA synchronous") == [(2,)]
    assert store.newest() == [version("a", 1)]
    store.close()
