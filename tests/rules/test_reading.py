"""Reading rules: two written forms, one model, one sentence per fault."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.errors import RuleError
from engine.rules.files import load_rules, parse_rules
from engine.rules.format import format_tree
from engine.rules.identity import content_hash
from engine.rules.limits import Limits
from engine.rules.model import to_document
from engine.rules.normal import encoding
from engine.rules.packed_rules import PackedRules, packed
from engine.rules.validate import read_rule, read_rules
from engine.rules.written import read_text

BAD = json.loads((Path(__file__).parent / "bad_rules.json").read_text())
GOOD: dict[str, Any] = {
    "id": "r1",
    "name": "Momentum",
    "conditions": [
        {"metric": "chg_5m_pct", "op": ">", "value": 0.5},
        {"metric": "vol_ratio_5m", "op": ">", "value": 1.5},
    ],
    "cooldown_sec": 20,
}
NUMERIC: dict[str, Any] = {
    "id": "vr-gt-2",
    "name": "Volume ratio > 2",
    "type": "numeric",
    "metric": "rel_volume_5m",
    "operator": ">",
    "value": 2.0,
}
FULL: dict[str, Any] = {
    "severity": "critical",
    "owner": "desk 1",
    "tags": ["gap", "open"],
    "template": "gap-and-go",
    "universe": {
        "where": "chg_pct > 1 or not halted",
        "symbols": ["AAPL", "BRK.B"], "exclude_symbols": ["TSLA"], "lists": ["mega-caps"],
        "exclude_lists": ["etf"], "exchanges": ["NASDAQ"], "sectors": ["Health Care"],
        "price_min": 1.0, "price_max": 20.0, "sessions": ["pre", "regular"],
    },
    "trigger": "enter_exit",
    "once_per_session": True,
    "debounce_ms": 1500,
    "rearm": "last < vwap  # back below",
    "max_per_min": 10,
}  # fmt: skip

TEXT = {"id": "r3", "name": "As text", "where": "crosses_above(last, vwap)  # up\n and not halted"}
AS_TREE = {"id": "r3", "name": "As a tree", "tree": json.loads(encoding(read_text(TEXT["where"])))}


def without_hints(message: str) -> str:
    """Which metrics are near a wrong name changes with the catalogue."""
    return message.partition("; did you mean")[0] if "unknown metric" in message else message


@pytest.mark.parametrize("case", BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_bad_rule_file_is_refused_in_exact_sentences(case: dict[str, Any]) -> None:
    text = case["text"] if "text" in case else json.dumps(case["rules"])
    with pytest.raises(RuleError) as refused:
        parse_rules(text, "bad.json")
    found = [without_hints(problem) for problem in refused.value.problems]
    newer = sys.version_info >= (3, 13) and "since_python_3_13" in case
    messages = case["since_python_3_13" if newer else "messages"]
    assert found == [without_hints(message) for message in messages]
    assert str(refused.value) == refused.value.problems[0]


def test_the_list_of_bad_rules_stays_long() -> None:
    assert len(BAD) >= 100


def test_an_unknown_metric_names_its_nearest() -> None:
    with pytest.raises(RuleError, match=r"unknown metric 'vol_ratio_5min'; did you mean vol_ratio"):
        read_rule(GOOD | {"conditions": [{"metric": "vol_ratio_5min", "op": ">", "value": 1}]})


def test_the_conditions_form_is_read() -> None:
    rule = read_rule(GOOD)
    texts = [condition.text for condition in rule.conditions]
    assert texts == ["chg_5m_pct > 0.5", "vol_ratio_5m > 1.5"]
    assert (rule.trigger, rule.enabled, rule.version, rule.cooldown_ms) == (
        "level",
        True,
        1,
        20_000,
    )


def test_the_numeric_form_is_read_and_given_back_as_written() -> None:
    rule = read_rule(NUMERIC)
    assert rule.form == "numeric" and rule.conditions[0].text == "rel_volume_5m > 2"
    document = to_document(rule)
    assert {key: document[key] for key in NUMERIC} == NUMERIC


def test_a_document_that_was_given_back_reads_as_the_same_rule() -> None:
    for document in (GOOD, NUMERIC, GOOD | FULL, TEXT, AS_TREE, GOOD | {"rearm": True},
                     GOOD | {"description": "two\nlines", "trigger": "edge", "enabled": False,
                     "version": 7, "created_at": "2013-10-08T13:30:00Z",
                     "updated_at": "2013-10-08T09:30:00.123456789-04:00"}):  # fmt: skip
        rule = read_rule(document)
        assert read_rule(to_document(rule)) == rule
        assert json.loads(json.dumps(to_document(rule))) == to_document(rule)


def test_a_document_with_every_key_is_given_back_as_written() -> None:
    document = to_document(read_rule(GOOD | FULL))
    assert {key: document[key] for key in FULL} == FULL


def test_a_condition_as_text_or_tree_is_read_and_given_back_as_written() -> None:
    for document, key in ((TEXT, "where"), (AS_TREE, "tree")):
        rule = read_rule(document)
        assert to_document(rule)[key] == document[key]
        assert format_tree(rule.condition) == "crosses_above(last, vwap) and not halted"
        assert rule.metrics == ("last", "vwap", "halted") and rule.conditions == ()


def test_every_form_of_one_meaning_is_the_same_rule() -> None:
    text = "vol_ratio_5m > 3/2  and chg_5m_pct > 50/100"
    tree = json.loads(encoding(read_text(text)))
    shared = {"id": "a", "name": "n", "cooldown_sec": 20}
    forms = (GOOD, shared | {"where": text}, shared | {"tree": tree})
    assert len({content_hash(read_rule(document)) for document in forms}) == 1
    one = read_rule(NUMERIC | {"cooldown_sec": 20})
    other = read_rule(shared | {"where": "not vol_ratio_5m <= 2"})
    assert content_hash(one) == content_hash(other)


def test_a_rule_with_a_tree_survives_packing() -> None:
    for document in (GOOD, NUMERIC, TEXT, AS_TREE, TEXT | FULL):
        rule = read_rule(document)
        assert list(PackedRules.of([packed(rule)])) == [rule]
    assert len(packed(read_rule(GOOD))) < 200


def test_the_root_is_the_condition_held_for_the_debounce() -> None:
    rule = read_rule(TEXT | {"debounce_ms": 500})
    assert format_tree(rule.root) == "in_row(crosses_above(last, vwap) and not halted, 500ms)"
    assert read_rule(TEXT).root == read_rule(TEXT).condition


def test_what_of_a_universe_changes_from_cycle_to_cycle_is_one_condition() -> None:
    scope = read_rule(GOOD | FULL).universe.scope
    assert scope is not None and format_tree(scope) == (
        "last >= 1 and last <= 20 and in_session(pre, regular) and (chg_pct > 1 or not halted)"
    )
    assert read_rule(GOOD).universe.scope is None


def test_a_document_of_old_keys_is_given_back_with_old_keys_only() -> None:
    assert list(to_document(read_rule(GOOD))) == [
        "id", "name", "conditions", "enabled", "trigger", "cooldown_sec", "version",
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [[GOOD, NUMERIC], {"rules": [GOOD, NUMERIC]}])
def test_a_file_holds_an_array_or_an_object_with_rules(shape: object, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(shape).encode())
    assert [rule.id for rule in load_rules(path)] == ["r1", "vr-gt-2"]


def test_a_file_may_hold_a_single_rule_or_none() -> None:
    assert [rule.id for rule in parse_rules(json.dumps(GOOD), "one")] == ["r1"]
    assert parse_rules("[]", "none") == ()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"absent\.json: cannot be read: No such file"):
        load_rules(tmp_path / "absent.json")


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(RuleError, match=r"x: is not UTF-8 text \(byte 1\)"):
        parse_rules(b"[\xff]", "x")


def test_json_nested_too_deeply_is_refused() -> None:
    with pytest.raises(RuleError, match="x: broken JSON, nested too deeply"):
        parse_rules("[" * 200_000, "x")


def test_a_number_of_too_many_digits_is_refused() -> None:
    with pytest.raises(RuleError, match="x: broken JSON, a number is too long"):
        parse_rules("[" + "1" * 5_000 + "]", "x")


def test_limits_of_rules_and_conditions_are_kept() -> None:
    with pytest.raises(RuleError, match="3 rules are given, at most 2 are allowed"):
        read_rules([GOOD | {"id": str(i)} for i in range(3)], Limits(max_rules=2))
    with pytest.raises(RuleError, match="conditions has 2 entries, expected 1 to 1"):
        read_rule(GOOD, Limits(max_leaves=1))


def test_a_cooldown_of_zero_and_fractions_are_allowed() -> None:
    assert read_rule(GOOD | {"cooldown_sec": 0}).cooldown_ms == 0
    assert read_rule(GOOD | {"cooldown_sec": 0.3}).cooldown_ms == 300
    assert read_rule(GOOD | {"cooldown_sec": 0.0001}).cooldown_ms == 1


def test_every_fault_of_a_file_is_told_at_once() -> None:
    with pytest.raises(RuleError) as refused:
        read_rules([GOOD | {"enabled": 1, "colour": "red"}, GOOD | {"id": ""}])
    assert len(refused.value.problems) == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GOOD, *NUMERIC, "where"]), JSON) | JSON)
def test_no_document_does_more_than_be_refused(document: object) -> None:
    try:
        read_rules(document)
    except RuleError as error:
        assert error.problems


@given(st.sampled_from([*GOOD]), JSON)
def test_one_wrong_value_never_breaks_the_reader(key: str, value: object) -> None:
    try:
        rule = read_rule(GOOD | {key: value})
    except RuleError as error:
        assert all(problem.startswith("rule") for problem in error.problems)
    else:
        assert read_rule(to_document(rule)) == rule
