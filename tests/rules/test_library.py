"""The stored rules as a set: changes, refusals that change nothing, and the source file."""

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.sizes import Sizes
from engine.errors import EngineError
from engine.rules.change import Change, Outcome, read_change, summary
from engine.rules.errors import ChangeError, RuleError
from engine.rules.library import Library, Program, find, live, plain
from engine.rules.limits import DEFAULT_LIMITS, Limits
from engine.rules.validate import read_rules
from engine.storage.rule_ports import RuleVersion, VersionConflictError
from engine.storage.rule_stub import MemoryRuleStore

BAD = json.loads(Path(__file__).with_name("bad_changes.json").read_text())


def document(rule_id: str, value: float = 1.0, **more: Any) -> dict[str, Any]:
    """A rule in the form of conditions."""
    conditions = [{"metric": "chg_5m_pct", "op": ">", "value": value}]
    return {"id": rule_id, "name": f"Rule {rule_id}", "conditions": conditions, **more}


def made(limits: Limits = DEFAULT_LIMITS, max_bytes: int = 1 << 20) -> Library:
    """A library over an empty store whose clock counts seconds."""
    seconds = itertools.count(1)
    sizes = Sizes(1, rules_bytes=max_bytes)
    return Library(MemoryRuleStore(), limits, sizes, lambda: next(seconds) * 10**9)


def change(action: str, *documents: Any, **more: Any) -> Change:
    """A change asked for by ann."""
    return read_change({"action": action, "author": "ann", "documents": list(documents), **more})


def ids(outcome: Outcome) -> list[tuple[str, int, str]]:
    """(id, version, action) of what changed."""
    return [(one.id, one.version, one.action) for one in outcome.changed]


def state(library: Library) -> list[RuleVersion]:
    """Every version that the store holds."""
    store = library.store
    return [one for head in store.newest() for one in store.history(head.rule_id, 99)]


def test_a_rule_lives_through_every_action() -> None:
    library = made()
    steps: list[tuple[Change, str]] = [
        (change("create", document("a", version=7, owner="ann-b")), "create"),
        (change("update", document("a", 2.0), expected=1, note="fewer"), "update"),
        (change("disable", rule_id="a"), "disable"),
        (change("enable", rule_id="a"), "enable"),
        (change("rollback", rule_id="a", version=1), "rollback"),
        (change("delete", rule_id="a", expected=5), "delete"),
        (change("rollback", rule_id="a", version=3), "rollback"),
        (change("import", document("a", 3.0), document("b")), "import"),
    ]
    for number, (asked, action) in enumerate(steps, 1):
        outcome = library.apply(asked)
        assert ids(outcome)[0] == ("a", number, action)
    history = library.store.history("a", 99)
    assert [plain(one)["conditions"][0]["value"] for one in reversed(history)] == [
        1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 2.0, 3.0,
    ]  # fmt: skip
    assert history[-1].document == history[3].document
    assert history[3].note == "back to version 1" and history[6].note == "fewer"
    assert {one.author for one in history} == {"ann"}
    assert (history[-1].owner, history[2].owner) == ("ann-b", "ann-b")
    assert [rule.version for rule in library.program().compiled.rules] == [8, 1]
    assert library.stored == 9


def test_an_enabled_rule_is_in_the_program_and_no_other_is() -> None:
    library = made()
    library.apply(change("import", *(document(rule_id) for rule_id in "cab")))
    library.apply(change("disable", rule_id="b"))
    library.apply(change("delete", rule_id="c"))
    assert [rule.id for rule in library.program().compiled.rules] == ["a"]


def test_what_is_so_already_makes_no_version() -> None:
    library = made()
    library.apply(change("create", document("a")))
    before = state(library)
    for asked in (
        change("update", document("a")),
        change("enable", rule_id="a"),
        change("rollback", rule_id="a", version=1),
        change("import", document("a")),
    ):
        assert library.apply(asked) == Outcome(unchanged=1)
    assert state(library) == before


def test_a_repeat_is_answered_as_the_first_was_and_changes_nothing() -> None:
    library = made()
    first = library.apply(change("create", document("a"), request_id="r1"))
    before = state(library)
    assert library.apply(change("create", document("a"), request_id="r1")) == first
    assert library.apply(change("delete", rule_id="a", request_id="r1")) == first
    assert state(library) == before
    with pytest.raises(VersionConflictError):
        library.apply(change("create", document("a"), request_id="r2"))


@pytest.mark.parametrize("case", BAD, ids=lambda case: case["case"])
def test_a_bad_change_is_refused_in_one_sentence_and_changes_nothing(case: dict[str, Any]) -> None:
    library = made()
    library.apply(change("import", document("a"), document("b"), document("gone")))
    library.apply(change("delete", rule_id="gone"))
    before = state(library)
    asked = {"author": "ann", **case["change"]}
    with pytest.raises(EngineError) as caught:
        library.apply(read_change({key: one for key, one in asked.items() if one != "absent"}))
    assert str(caught.value) == case["says"]
    assert getattr(caught.value, "exit_code", 1) == case.get("exit_code", 1)
    assert state(library) == before


def test_a_fault_in_one_rule_refuses_a_whole_import() -> None:
    library = made()
    with pytest.raises(RuleError) as caught:
        library.apply(change("import", document("a"), document("b", "x"), {"id": "c"}))
    assert len(caught.value.problems) == 2
    assert library.store.newest() == []


def test_the_bounds_of_the_set_hold_over_all_stored_rules() -> None:
    library = made(Limits(max_rules=2))
    library.apply(change("import", document("a"), document("b")))
    with pytest.raises(RuleError, match="these would be 3 rules, at most 2 are allowed"):
        library.apply(change("create", document("c")))
    library.apply(change("delete", rule_id="a"))
    library.apply(change("create", document("c")))
    narrow = made(max_bytes=400)
    with pytest.raises(RuleError, match=r"bytes, rules\.max_bytes allows 400"):
        narrow.apply(change("create", document("a", name="n" * 200)))
    assert narrow.store.newest() == []


def test_a_rule_that_another_needs_stays() -> None:
    library = made()
    library.apply(change("create", document("a")))
    needing = {"id": "b", "name": "B", "where": "breadth(a) > 50", "enabled": False}
    library.apply(change("create", needing))
    with pytest.raises(RuleError, match="breadth names 'a', which is no rule"):
        library.apply(change("delete", rule_id="a"))


def test_what_the_engine_cannot_take_is_not_stored() -> None:
    library, seen = made(), []

    def refuse(program: Program) -> None:
        seen.append([rule.id for rule in program.compiled.rules])
        raise ChangeError("no room")

    with pytest.raises(ChangeError, match="no room"):
        library.apply(change("create", document("a"), request_id="r"), refuse)
    assert seen == [["a"]]
    assert library.store.newest() == [] and library.store.answer("r") is None


def test_a_set_that_has_become_faulty_can_be_made_smaller_while_no_engine_runs() -> None:
    library = made()
    library.apply(change("import", document("a"), document("b")))
    head = library.store.get("a")
    assert head is not None
    broken = head.document.replace(b"chg_5m_pct", b"no_such_metric")
    library.store.append([msgspec.structs.replace(head, version=2, document=broken)])
    with pytest.raises(RuleError, match="no_such_metric"):
        library.program()
    with pytest.raises(RuleError, match="no_such_metric"):
        library.apply(change("create", document("c")))
    with pytest.raises(RuleError, match="no_such_metric"):
        library.apply(change("disable", rule_id="b"), lambda program: None)
    library.apply(change("disable", rule_id="b"))
    library.apply(change("disable", rule_id="a"))
    assert len(library.program().compiled.rules) == 0
    with pytest.raises(RuleError, match="no_such_metric"):
        library.apply(change("enable", rule_id="a"))


# -- the source -----------------------------------------------------------------------------------
def test_the_source_makes_versions_of_what_is_new_changed_or_gone() -> None:
    library = made()
    library.apply(change("create", document("mine")))
    assert ids(library.take_in(read_rules([document("a"), document("b")]))) == [
        ("a", 1, "import"), ("b", 1, "import"),
    ]  # fmt: skip
    assert library.take_in(read_rules([document("b"), document("a")])) == Outcome(unchanged=2)
    again = library.take_in(read_rules([document("a", 2.0), document("c")]))
    assert ids(again) == [("a", 2, "import"), ("c", 1, "import"), ("b", 2, "delete")]
    assert sorted(live(library.store.newest())) == ["a", "c", "mine"]
    assert find(library.store, "a").owner == find(library.store, "a").author == "file"
    back = library.take_in(read_rules([document("b")]))
    assert ids(back) == [("b", 3, "import"), ("a", 3, "delete"), ("c", 2, "delete")]


def test_what_others_did_to_a_rule_of_the_source_stays_until_it_is_written_anew() -> None:
    library = made()
    source = read_rules([document("a"), document("b")])
    library.take_in(source)
    library.apply(change("disable", rule_id="a"))
    library.apply(change("delete", rule_id="b"))
    assert library.take_in(source) == Outcome(unchanged=2)
    assert not plain(find(library.store, "a"))["enabled"] and find(library.store, "b").deleted
    outcome = library.take_in(read_rules([document("a", 2.0), document("b", 2.0)]))
    assert ids(outcome) == [("a", 3, "import"), ("b", 3, "import")]
    assert plain(find(library.store, "a"))["enabled"]
    assert library.take_in(read_rules([document("a", 2.0), document("b", 2.0)])).changed == ()


def test_the_source_cannot_take_the_rule_of_somebody_else() -> None:
    library = made()
    library.apply(change("create", document("a")))
    with pytest.raises(RuleError) as caught:
        library.take_in(read_rules([document("a"), document("b")]))
    sentence = "rule 'a': is in the store already and belongs to ann; rename one of the two"
    assert str(caught.value) == sentence
    assert len(library.store.newest()) == 1
    library.apply(change("delete", rule_id="a"))
    assert ids(library.take_in(read_rules([document("a")]))) == [("a", 3, "import")]


DOCUMENTS = st.dictionaries(
    st.sampled_from("abc"), st.sampled_from([1.0, 2.0]), max_size=3
).map(lambda found: [document(rule_id, value) for rule_id, value in found.items()])
STEPS = st.lists(
    st.tuples(st.just("source"), DOCUMENTS)
    | st.tuples(st.sampled_from(["disable", "delete", "enable"]), st.sampled_from("abc"))
    | st.tuples(st.just("update"), st.builds(document, st.sampled_from("abc"), st.just(3.0))),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(STEPS, DOCUMENTS)
def test_a_source_written_wholly_anew_is_what_there_is(
    steps: list[tuple[str, Any]], last: list[dict[str, Any]]
) -> None:
    library = made()
    for kind, what in steps:
        try:
            if kind == "source":
                library.take_in(read_rules(what))
            elif kind == "update":
                library.apply(change(kind, what))
            else:
                library.apply(change(kind, rule_id=what))
        except ChangeError:
            continue
    anew = [one | {"description": "anew"} for one in last]
    library.take_in(read_rules(anew))
    found = live(library.store.newest())
    assert sorted(found) == sorted(one["id"] for one in anew)
    assert all(plain(one)["description"] == "anew" for one in found.values())
    for head in library.store.newest():
        numbers = [one.version for one in library.store.history(head.rule_id, 99)]
        assert numbers == list(range(head.version, 0, -1))


def test_a_long_outcome_is_shortened_for_an_answer() -> None:
    library = made()
    outcome = library.apply(change("import", *(document(f"r{i}") for i in range(250))))
    told = summary(outcome)
    assert (len(told["changed"]), told["changes"], told["unchanged"]) == (200, 250, 0)
    assert len(json.dumps(told)) < 40_000


