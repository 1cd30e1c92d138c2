"""Compiling and packing: flat arrays in order of rule id; a broken blob is refused."""

import dataclasses
import hashlib
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.domain.sizes import Sizes
from engine.metrics.registry import COLUMN, COLUMNS, METRICS
from engine.rules import opcodes as op
from engine.rules import pack as pack_module
from engine.rules.compiler import (
    FLAG_EDGE,
    FLAG_HALT,
    CompiledRules,
    Compiler,
    compile_rules,
    room_of,
)
from engine.rules.errors import RuleBlobError, RuleError
from engine.rules.identity import content_hash
from engine.rules.library import document_of
from engine.rules.model import Rule
from engine.rules.pack import pack, unpack
from engine.rules.program import Code, slots_of
from engine.rules.validate import read_rule


def rule(rule_id: str = "r1", **changes: Any) -> Rule:
    conditions = [{"metric": "last", "op": ">", "value": 1}]
    return read_rule({"id": rule_id, "name": "n", "conditions": conditions} | changes)


def where(rule_id: str, text: str, **changes: Any) -> Rule:
    return read_rule({"id": rule_id, "name": "n", "where": text} | changes)


def leaf(metric: str, op: str = ">", value: float = 1.0) -> dict[str, Any]:
    return {"metric": metric, "op": op, "value": value}


def digest(of: Rule) -> str:
    return content_hash(of).hex()


def test_rules_are_compiled_in_order_of_their_ids() -> None:
    rules = compile_rules([rule("b"), rule("B"), rule("a"), rule("a.1")])
    assert [one.id for one in rules.rules] == ["B", "a", "a.1", "b"]


def test_comparisons_with_constants_become_bounds_of_their_columns() -> None:
    first = rule("a", conditions=[leaf("chg_5m_pct", "<=", 2), leaf("last", "!=", -1)])
    code = compile_rules([rule("b"), first]).program.code
    assert code.bound_first.tolist() == [0, 1, 2]
    assert code.bound_col.tolist() == [COLUMN["chg_5m_pct"], COLUMN["last"]]
    assert code.bound.tolist() == [np.nextafter(-2.0, -np.inf), 1.0]  # -x > -2.0000000000000004
    assert code.unequal_first.tolist() == [0, 1, 1]
    assert (code.unequal_col.tolist(), code.unequal_to.tolist()) == ([COLUMN["last"]], [-1.0])
    assert len(code.nodes) == 0


def test_disabled_rules_are_left_out() -> None:
    assert len(compile_rules([rule("a", enabled=False), rule("b")])) == 1
    assert len(compile_rules([])) == 0


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
    assert compile_rules([rule()]).hashes.tobytes() == content_hash(rule())


# Rules that need every table of the compiled form.
EVERYTHING = [
    rule("bounds", conditions=[leaf("last"), leaf("chg_pct", "!=")]),
    where("crosses", "crosses_above(last, vwap * 101%, 0.5%) or not crosses(last, open)"),
    where("spells", "within(chg_5m_pct > 2, 3m) and not within(last > abs(open), 5 bars)"),
    where("samples", "ago(last > bid, 5s) and at_least(last < ask, 2, 10m) and ago(last, 2m) > 1"),
    where("steps", "sequence(last > 5, last > 6 within 5m, last > 7, cancel halted) and"
                   " since(last > 3) < 60"),
    where("across", "rank(last / open) <= 10 and zscore(last, list:x) > 1 and breadth(bounds) > 5"),
    where("numbers", "if(last > open, max(bid, 1), min(ask, 2)) > coalesce(-log(last), 1)"),
    where("times", "in_session(regular) and time_between(10:00, 11:00) and not weekday(fri)"),
    where("repeats", "last > 1", trigger="enter_exit", rearm="last < 1", once_per_session=True,
          debounce_ms=500, universe={"price_min": 5, "symbols": ["A", "B"]}, max_per_min=3),
]  # fmt: skip


def test_a_packed_set_is_unpacked_the_same() -> None:
    rules = compile_rules(EVERYTHING)
    again = unpack(pack(rules))
    assert list(again.rules) == list(rules.rules) == sorted(EVERYTHING, key=lambda one: one.id)
    assert (again.universes, again.program.lists) == (rules.universes, ("x",))
    for (name, ours), (_, theirs) in zip(arrays(rules), arrays(again), strict=True):
        assert ours.dtype == theirs.dtype and ours.tolist() == theirs.tolist(), name
    assert pack(again) == pack(rules)


def arrays(rules: CompiledRules) -> list[tuple[str, np.ndarray]]:
    """Every array of a compiled set by its name."""
    program = rules.program
    parts = [vars(rules), vars(program), program.code._asdict()]
    return [(name, x) for part in parts for name, x in part.items() if isinstance(x, np.ndarray)]


def test_the_same_rules_give_the_same_bytes_however_they_came() -> None:
    content = pack(compile_rules(EVERYTHING))
    compiler = Compiler(Sizes(capacity=1))
    compiler.compile(EVERYTHING[::2])
    compiler.compile([rule("x"), *EVERYTHING[::-1]])
    assert pack(compiler.compile(EVERYTHING[::-1])) == content


def test_equal_rules_have_the_same_bytes_whoever_made_them() -> None:
    """Whether a field was left out or spelled out as its default, and where its text came from."""
    spelled = {
        "severity": "info", "trigger": "level", "cooldown_sec": 60, "debounce_ms": 0,
        "universe": {"sessions": ["pre", "regular", "after"], "price_min": 5},
    }  # fmt: skip
    short = rule("a", universe={"price_min": 5.0})
    told = msgspec.json.decode(msgspec.json.encode(spelled))
    content = pack(compile_rules([short]))
    assert pack(compile_rules([rule("a", **told)])) == content
    assert pack(compile_rules(unpack(content).rules)) == content
    assert document_of(rule("a", **told)) == document_of(short)


def test_every_flipped_or_missing_byte_is_noticed() -> None:
    content = pack(compile_rules([rule()]))
    for at in range(0, len(content), 3):
        broken = bytearray(content)
        broken[at] ^= 0x10
        with pytest.raises(RuleBlobError):
            unpack(bytes(broken))
        with pytest.raises(RuleBlobError):
            unpack(content[:at])
    with pytest.raises(RuleBlobError, match="checksum"):
        unpack(content + b"\0")


# Where a number of any size is as good as another: nothing is found with it.
FREE = {"hashes", "cooldown_ms", "rule_uid", "max_per_min", "state_key", "state_mark",
        "derived_key", "derived_slot", "constants", "bound", "unequal_to"}  # fmt: skip
PLAIN = {("states", op.S_WINDOW), ("states", op.S_UNIT), ("states", op.S_COUNT), ("steps", 1),
         ("moments", 1), ("moments", 2), ("moments", 3)}  # fmt: skip


def changed(rules: CompiledRules, name: str, at: int, value: int) -> CompiledRules:
    """The set with one number of one array changed."""
    program = rules.program
    for whole in (rules, program, program.code):
        fields = whole._fields if isinstance(whole, Code) else vars(whole)
        if name in fields:
            array = getattr(whole, name).copy()
            array.reshape(-1)[at] = value
            if isinstance(whole, Code):
                code = whole._replace(**{name: array})
                return dataclasses.replace(rules, program=dataclasses.replace(program, code=code))
            new = dataclasses.replace(whole, **{name: array})
            return new if whole is rules else dataclasses.replace(rules, program=new)
    raise AssertionError(name)


def test_every_number_that_a_kernel_would_trust_is_checked() -> None:
    rules = compile_rules(EVERYTHING)
    sizes = Sizes(capacity=1)
    columns = COLUMNS + sizes.max_families + sizes.max_derived
    for name, array in arrays(rules):
        width = array.shape[1] if array.ndim == 2 else 1
        for at in range(array.size):
            if name in FREE or (name, at % width) in PLAIN:
                continue
            for value in (-2, 2**30) if array.dtype.kind == "i" else (255,):
                wrong = changed(rules, name, at, value)
                try:
                    program = unpack(pack(wrong)).program
                except RuleBlobError:
                    continue
                harmless = not program.fits(
                    columns, sizes.op_bit_slots, sizes.op_row_slots, room_of(sizes)
                )
                assert harmless or is_unread(rules, name, at), (name, at, value)


def is_unread(rules: CompiledRules, name: str, at: int) -> bool:
    """True for words of nodes, captures and extras that their kind does not use."""
    code = rules.program.code
    if name == "nodes":
        word, what = at % op.NODE_WORDS, code.nodes[at // op.NODE_WORDS, op.N_OP]
        unused = {op.N_SPARE}
        unused |= {op.N_TO} if what == op.STORE else set()
        unused |= {op.N_A} if what not in READS_A else set()
        unused |= {op.N_B} if what not in READS_B else set()
        unused |= {op.N_C} if what not in READS_C else set()
        return word in unused
    if name == "captures":
        word, kind = at % op.CAPTURE_WORDS, code.captures[at // op.CAPTURE_WORDS, op.C_KIND]
        return word == op.C_OTHER and kind in {op.CAPTURE_COLUMN, op.CAPTURE_LAG}
    return False


NUMBERS = {*range(op.ADD, op.LAG + 1), *range(op.ABOVE, op.UNEQUAL + 1), op.CROSS, op.STORE}
READS_A = NUMBERS | {op.MOMENT}
READS_B = NUMBERS - {op.NEGATE, op.ABS, op.LOG, op.LAG}
READS_C = {op.SELECT, op.SINCE, op.AND, op.OR, *range(op.NO_CROSS, op.BAR_COUNT + 1), op.NOT_TRUE}


@pytest.mark.parametrize(
    ("setting", "sizes"),
    [
        ("max_nodes", {"max_nodes": 3}), ("op_bit_slots", {"op_bit_slots": 5}),
        ("op_row_slots", {"op_row_slots": 1}),
    ],
)  # fmt: skip
def test_a_set_that_needs_too_much_is_refused_with_the_rule_and_the_bound(
    setting: str, sizes: dict[str, int]
) -> None:
    rules = [where(f"r{i}", f"within(crosses_above(last, {i}), {i + 1}m)") for i in range(5)]
    with pytest.raises(RuleError, match=rf"rule 'r1': with it .* of rules\.{setting}"):
        compile_rules(rules, Sizes(capacity=1, **sizes))
    assert len(compile_rules(rules[:1], Sizes(capacity=1, **sizes))) == 1


def test_too_many_derived_columns_and_rules_are_refused() -> None:
    rules = [where(f"r{i}", f"rank(last * {i + 2}) < 3") for i in range(3)]
    with pytest.raises(RuleError, match=r"more than the 4 derived columns of rules\.max_derived"):
        compile_rules(rules, Sizes(capacity=1, max_derived=4))
    with pytest.raises(RuleError, match="3 rules are enabled, at most 2 are allowed"):
        compile_rules(rules, Sizes(capacity=1, max_rules=2))


def test_what_goes_on_keeps_its_place_in_memory_and_what_is_new_takes_a_free_one() -> None:
    rules = [where(f"r{i}", f"within(last > {i}, 5m)") for i in range(4)]
    first = compile_rules(rules)
    second = compile_rules([rules[3], where("a", "within(last > 9, 5m)"), rules[1]], None, first)
    places = [slots_of(one.program, "planes") for one in (first, second)]
    rows = [slots_of(one.program, "rows") for one in (first, second)]
    for ours, later in (places, rows):
        assert {key: later[key] for key in later.keys() & ours.keys()} == {
            key: ours[key] for key in later.keys() & ours.keys()
        }
        assert len(later.keys() & ours.keys()) == 2
        taken = [slot for slots in later.values() for slot in slots]
        assert len(set(taken)) == len(taken) and max(taken) < 8
    assert len(np.intersect1d(first.program.state_mark, second.program.state_mark)) == 2


def test_rules_that_say_the_same_share_their_nodes() -> None:
    text = "within(crosses_above(last, vwap * 102%), 5m) and last > open * 1.1"
    one, two = (compile_rules([where(f"r{i}", text) for i in range(count)]) for count in (1, 2))
    assert len(one.program.code.nodes) == len(two.program.code.nodes)
    assert len(one.program.state_key) == len(two.program.state_key)


def test_rules_of_another_catalogue_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = pack(compile_rules([rule()]))
    monkeypatch.setattr(pack_module, "METRICS", METRICS[::-1])
    with pytest.raises(RuleBlobError, match="another metric catalogue"):
        unpack(content)
