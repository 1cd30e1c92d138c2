"""Compiling and packing: flat arrays in order of rule id; a broken blob is refused."""

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest

from engine.metrics.registry import COLUMN, METRICS
from engine.rules import pack as pack_module
from engine.rules.compiler import FLAG_EDGE, FLAG_HALT, CompiledRules, compile_rules
from engine.rules.errors import RuleBlobError
from engine.rules.identity import content_hash
from engine.rules.model import OPS, Rule
from engine.rules.pack import pack, unpack
from engine.rules.validate import read_rule


def rule(rule_id: str = "r1", **changes: Any) -> Rule:
    conditions = [{"metric": "last", "op": ">", "value": 1}]
    return read_rule({"id": rule_id, "name": "n", "conditions": conditions} | changes)


def leaf(metric: str, op: str = ">", value: float = 1.0) -> dict[str, Any]:
    return {"metric": metric, "op": op, "value": value}


def digest(of: Rule) -> str:
    return content_hash(of).hex()


def test_rules_are_compiled_in_order_of_their_ids() -> None:
    rules = compile_rules([rule("b"), rule("B"), rule("a"), rule("a.1")])
    assert [one.id for one in rules.rules] == ["B", "a", "a.1", "b"]


def test_leaves_keep_their_order_and_know_their_columns() -> None:
    first = rule("a", conditions=[leaf("chg_5m_pct", "<=", 2), leaf("last", "!=", -1)])
    rules = compile_rules([rule("b"), first])
    assert rules.rule_first.tolist() == [0, 2, 3]
    assert rules.leaf_col.tolist() == [COLUMN["chg_5m_pct"], COLUMN["last"], COLUMN["last"]]
    assert [OPS[op] for op in rules.leaf_op] == ["<=", "!=", ">"]
    assert rules.leaf_const.tolist() == [2.0, -1.0, 1.0]


def test_disabled_rules_are_left_out() -> None:
    assert len(compile_rules([rule("a", enabled=False), rule("b")])) == 1
    assert compile_rules([]).rule_first.tolist() == [0]


def test_a_rule_that_names_a_halt_metric_is_marked() -> None:
    about_halt = next(metric.name for metric in METRICS if metric.about_halt)
    rules = compile_rules([
        rule("a", conditions=[leaf("last"), leaf(about_halt, "==", 1)]), rule("b", trigger="edge"),
    ])  # fmt: skip
    assert rules.flags.tolist() == [FLAG_HALT, FLAG_EDGE]


def test_the_uid_is_the_start_of_the_hash_of_the_id() -> None:
    start = hashlib.sha256(b"r1").digest()[:8]
    assert compile_rules([rule()]).rule_uid[0] == np.frombuffer(start, "<i8")[0]


def test_the_content_hash_ignores_what_does_not_make_a_rule_fire() -> None:
    same = [
        rule("other"), rule(name="other"), rule(description="d"), rule(version=9),
        rule(created_at="2013-10-08T13:30:00Z"), rule(conditions=[leaf("price")]),
        read_rule({"id": "r1", "name": "n", "metric": "last", "operator": ">", "value": 1.0}),
        rule(cooldown_sec=60.0), rule(trigger="level"), rule(conditions=[leaf("last")] * 2),
        rule(severity="critical"), rule(owner="o"), rule(tags=["t"]), rule(template="t"),
        rule(universe={"sessions": ["after", "regular", "pre"]}), rule(max_per_min=0),
    ]  # fmt: skip
    assert {digest(one) for one in same} == {digest(rule())}


def test_the_content_hash_changes_with_what_makes_a_rule_fire() -> None:
    others = [
        rule(conditions=[leaf("chg_pct")]), rule(conditions=[leaf("last", ">=")]),
        rule(conditions=[leaf("last", ">", 1.0000001)]), rule(trigger="edge"),
        rule(cooldown_sec=61), rule(conditions=[leaf("last"), leaf("bid")]), rule(),
        rule(trigger="enter_exit"), rule(once_per_session=True), rule(debounce_ms=1),
        rule(rearm=True), rule(max_per_min=1), rule(universe={"symbols": ["A"]}),
        rule(universe={"exclude_symbols": ["A"]}), rule(universe={"price_min": 1}),
        rule(universe={"sessions": ["pre"]}), rule(universe={"lists": ["A"]}),
    ]  # fmt: skip
    assert len({content_hash(one) for one in others}) == len(others)


def test_the_order_of_conditions_does_not_change_the_content_hash() -> None:
    two = [leaf("last"), leaf("bid")]
    assert content_hash(rule(conditions=two)) == content_hash(rule(conditions=two[::-1]))


def test_the_content_hash_is_fixed_for_ever() -> None:
    """Alert ids of every stored stream depend on it."""
    meaning = (
        b'["tapescan.rule.2",{"node":"compare","op":">","left":{"node":"metric","name":"last"},'
        b'"right":{"node":"number","value":1.0}},[null,[],[],[],[],[],[]],"level",60000,false,0,'
        b"false,null,0]"
    )
    assert content_hash(rule()) == hashlib.sha256(meaning).digest()
    assert compile_rules([rule()]).hashes == (content_hash(rule()),)


def test_a_packed_set_is_unpacked_the_same() -> None:
    rules = compile_rules([rule("b"), rule("a", conditions=[leaf("last"), leaf("chg_pct")])])
    again = unpack(pack(rules))
    assert again.rules == rules.rules and again.hashes == rules.hashes
    for field in dataclasses.fields(CompiledRules)[2:]:
        ours, theirs = getattr(rules, field.name), getattr(again, field.name)
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist()
    assert pack(again) == pack(rules)


def test_every_flipped_or_missing_byte_is_noticed() -> None:
    content = pack(compile_rules([rule()]))
    for at in range(len(content)):
        broken = bytearray(content)
        broken[at] ^= 0x10
        with pytest.raises(RuleBlobError):
            unpack(bytes(broken))
        with pytest.raises(RuleBlobError):
            unpack(content[:at])
    with pytest.raises(RuleBlobError, match="checksum"):
        unpack(content + b"\0")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rule_first", np.array([0, 2], np.int32)),
        ("rule_first", np.array([1, 1], np.int32)),
        ("rule_first", np.array([0], np.int32)),
        ("leaf_col", np.array([len(METRICS)], np.int32)),
        ("leaf_col", np.array([-1], np.int32)),
        ("leaf_op", np.array([6], np.uint8)),
        ("leaf_const", np.array([np.nan])),
        ("cooldown_ms", np.array([-1])),
        ("cooldown_ms", np.array([2**31])),
        ("rule_uid", np.array([0])),
        ("flags", np.array([4], np.uint8)),
        ("flags", np.array([], np.uint8)),
        ("hashes", ()),
    ],
)
def test_numbers_a_kernel_would_trust_are_checked(field: str, value: object) -> None:
    wrong = dataclasses.replace(compile_rules([rule()]), **{field: value})
    with pytest.raises(RuleBlobError, match="contradict"):
        unpack(pack(wrong))


def test_rules_of_another_catalogue_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = pack(compile_rules([rule()]))
    monkeypatch.setattr(pack_module, "METRICS", METRICS[::-1])
    with pytest.raises(RuleBlobError, match="another metric catalogue"):
        unpack(content)
