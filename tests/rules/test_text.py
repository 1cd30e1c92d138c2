"""Texts and trees: what is read, what is written back, and where a fault is."""

import json
import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.errors import RuleError, RuleTextError
from engine.rules.format import format_tree
from engine.rules.identity import content_hash
from engine.rules.kinds import check
from engine.rules.limits import DEFAULT_LIMITS, MAX_TEXT_BYTES, Limits
from engine.rules.model import to_document
from engine.rules.normal import encoding, normal_form
from engine.rules.parser import parse
from engine.rules.tree import (
    Ago,
    And,
    Arithmetic,
    Between,
    Call,
    Compare,
    Cond,
    Crosses,
    Flag,
    Lag,
    MetricRef,
    Negate,
    Not,
    Number,
    Or,
    Sequence,
    Step,
    TimeBetween,
    Window,
    Within,
)
from engine.rules.validate import read_rule
from engine.rules.written import read_text, read_tree
from tests.rules.trees import conditions

EXAMPLES = 3_000 if os.environ.get("TAPESCAN_SOAK") else 300
LAST, BID, ONE = MetricRef("last"), MetricRef("bid"), Number(1.0)
A_TEXT = "last > 1"
A = Compare(">", LAST, ONE)
B = Compare("<", BID, Number(2.0))
HALTED = Flag("halted")
WIDE = Limits(max_rule_cost_us=1e12, max_set_cost_share=1e9)
numeric = st.builds(
    Compare, st.sampled_from([">", ">=", "<", "<=", "==", "!="]),
    st.builds(MetricRef, st.sampled_from(["last", "price", "rsi(14)", "halted", "ssr"])),
    st.integers(-99, 99).map(lambda n: Number(n / 4)),
)  # fmt: skip
valid = conditions.filter(lambda tree: not check(tree, DEFAULT_LIMITS))


@settings(max_examples=EXAMPLES, deadline=None)
@given(valid)
def test_the_text_of_a_tree_reads_as_the_same_tree(tree: Cond) -> None:
    text = format_tree(tree)
    assert read_text(text) == tree
    assert format_tree(read_text(text)) == text


@settings(max_examples=EXAMPLES, deadline=None)
@given(valid, st.randoms(use_true_random=False))
def test_layout_and_comments_mean_nothing(tree: Cond, chance: random.Random) -> None:
    words = format_tree(tree).replace("(", "( ").replace(")", " )").split(" ")
    blanks = ["  ", "\t", "\n", " # a > b and (\n", "\r\n\n"]
    text = "".join(
        word + chance.choice(blanks[:3] if word.endswith(("rsi(", "14")) else blanks)
        for word in words
    )
    assert encoding(normal_form(read_text(text))) == encoding(normal_form(tree))


@settings(max_examples=EXAMPLES, deadline=None)
@given(valid)
def test_the_json_of_a_tree_reads_as_the_same_tree(tree: Cond) -> None:
    assert read_tree(json.loads(encoding(tree)), "tree") == tree


@settings(max_examples=EXAMPLES, deadline=None)
@given(valid, st.lists(numeric, min_size=1, max_size=3))
def test_the_three_forms_of_a_rule_are_read_alike(tree: Cond, listed: list[Compare]) -> None:
    told = {"id": "a", "name": "A"}
    for cond in (tree, listed[0] if len(listed) == 1 else And(tuple(listed))):
        forms: list[dict[str, Any]] = [
            {"where": format_tree(cond)}, {"tree": json.loads(encoding(cond))},
        ]  # fmt: skip
        if cond is not tree:
            forms.append({"conditions": [
                {"metric": one.left.name, "op": one.op, "value": one.right.value}
                for one in listed
                if isinstance(one.left, MetricRef) and isinstance(one.right, Number)
            ]})  # fmt: skip
        rules = [read_rule(told | form, WIDE) for form in forms]
        assert [rule.condition for rule in rules] == [cond] * len(rules)
        assert len({content_hash(rule) for rule in rules}) == 1
        assert [read_rule(to_document(rule), WIDE) for rule in rules] == rules


@pytest.mark.parametrize(
    "place",
    ["{} > 0", "{} + 1 > 0", "{} between 0 and 1", "crosses_above({}, 0)", "max({}, 1) > 0",
     "ago({}, 1m) > 0", "rank({}) > 0"],
)  # fmt: skip
def test_the_past_of_a_flag_is_no_number_in_any_form(place: str) -> None:
    with pytest.raises(RuleTextError, match="expected a number but found a condition"):
        read_text(place.format("ago(halted, 1m)"))
    past = Lag(MetricRef("halted"), Window(1, "m"))
    same = json.loads(encoding(read_text(place.format("ago(bid, 1m)"))))
    document = json.loads(
        json.dumps(same).replace(
            json.dumps(json.loads(encoding(Lag(BID, Window(1, "m"))))),
            json.dumps(json.loads(encoding(past))),
        )
    )
    assert document != same
    with pytest.raises(RuleError, match="halted is a flag; its past is a condition"):
        read_tree(document, "tree")


@settings(max_examples=EXAMPLES, deadline=None)
@given(valid, st.data())
def test_a_text_with_a_character_too_much_or_too_few_is_read_or_refused(
    tree: Cond, data: st.DataObject
) -> None:
    text = format_tree(tree)
    at = data.draw(st.integers(0, len(text)))
    more = data.draw(st.sampled_from([*"()<>=!,.%#:-+*/", " and ", "not ", "1", "é", "\0", ""]))
    try:
        read_text(text[:at] + more + text[at + (not more) :])
    except RuleTextError as error:
        assert error.line >= 1 and error.column >= 1 and error.sentence


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    with pytest.raises(RuleTextError, match=r"^line \d+ column \d+: "):
        read_text(text)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("last > 1", A),
        ("last>1", A),
        ("halted", HALTED),
        ("not halted", Not(HALTED)),
        ("halted == 1", Compare("==", MetricRef("halted"), ONE)),
        ("last > 1 and bid < 2 or halted", Or((And((A, B)), HALTED))),
        ("last > 1 and (bid < 2 or halted)", And((A, Or((B, HALTED))))),
        ("not last > 1 and bid < 2", And((Not(A), B))),
        ("(last > 1 and bid < 2) and halted", And((And((A, B)), HALTED))),
        ("((last) > (1))", A),
        ("last + bid * 2 > 1",
         Compare(">", Arithmetic("+", LAST, Arithmetic("*", BID, Number(2.0))), ONE)),
        ("last - bid - 1 > 1",
         Compare(">", Arithmetic("-", Arithmetic("-", LAST, BID), ONE), ONE)),
        ("last > bid * 102%", Compare(">", LAST, Arithmetic("*", BID, Number(1.02)))),
        ("last > bid * 100.1 %", Compare(">", LAST, Arithmetic("*", BID, Number(1.001)))),
        ("last > -1", Compare(">", LAST, Number(-1.0))),
        ("last > -(1)", Compare(">", LAST, Negate(ONE))),
        ("-last > --1", Compare(">", Negate(LAST), Negate(Number(-1.0)))),
        ("last between 1 and bid + 1 and halted",
         And((Between(LAST, ONE, Arithmetic("+", BID, ONE)), HALTED))),
        ("last not between 1 and 2", Not(Between(LAST, ONE, Number(2.0)))),
        ("not last between 1 and 2", Not(Between(LAST, ONE, Number(2.0)))),
        ("rsi(14) > 1", Compare(">", MetricRef("rsi(14)"), ONE)),
        ("rsi( 14 )>1", Compare(">", MetricRef("rsi( 14 )"), ONE)),
        ("min(last, bid, 1) > 1", Compare(">", Call("min", (LAST, BID, ONE)), ONE)),
        ("crosses(last, bid)", Crosses("either", LAST, BID)),
        ("crosses_below(last, bid, 0.1%)", Crosses("below", LAST, BID, 0.1)),
        ("ago(halted, 5m)", Ago(HALTED, Window(5, "m"))),
        ("ago(last > 1, 1 bar)", Ago(A, Window(1, "bars"))),
        ("ago(last, 1h) > 1", Compare(">", Lag(LAST, Window(60, "m")), ONE)),
        ("within(last > 1 or halted, 250ms)", Within(Or((A, HALTED)), Window(250, "ms"))),
        ("time_between(9:45, 24:00)", TimeBetween(585, 1440)),
        ("sequence(last > 1, bid < 2 within 2h)", Sequence((Step(A), Step(B, Window(120, "m"))))),
        ("sequence(halted, last > 1, cancel bid < 2)", Sequence((Step(HALTED), Step(A)), B)),
        ("last > 1e3", Compare(">", LAST, Number(1000.0))),
        ("last > .5", Compare(">", LAST, Number(0.5))),
    ],
)
def test_what_a_text_says(text: str, tree: Cond) -> None:
    assert read_text(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "last > -5 - -3 and -(5) < --last",
        "(last > 1 or halted) and not (bid < 2 and halted)",
        "not not halted",
        "last - (bid - 1) > 1 / (2 * last)",
        "last between -1 and 1 and bid not between 1 and 2",
        "since(last > 1 or halted) < 30",
        "rank(last + 1, list:mega-caps) <= 5 and breadth(vr-gt-2, sector) > 60",
        "in_session(pre, regular) and weekday(mon, fri) and time_between(09:45, 11:00)",
        "sequence(last > 1 or halted, bid < 2 within 300s, cancel halted)",
        "if(halted or last > 1, 1, -(1)) > log(abs(last)) and at_least(halted, 3, 5 bars)",
        "last > 1e-09 and last < 1e+16",
    ],
)
def test_a_canonical_text_is_given_back_as_it_is(text: str) -> None:
    assert format_tree(read_text(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 column 1: expected a number, a metric or '(' but found the end of the text"),
        ("last > 1 and and bid > 2",
         "line 1 column 14: expected a number, a metric or '(' but found 'and'"),
        ("last > 1\n  and vol_5min > 1",
         "line 2 column 7: unknown metric 'vol_5min'; did you mean"),
        ("1 < last < 3", "line 1 column 10: comparisons do not chain; write a < b and b < c"),
        ("last", "line 1 column 1: expected a condition but last is a number; compare it, such as "
                 "last > 0"),
        ("last + 1 and halted", "line 1 column 1: expected a condition but found a number; "
                                "compare it"),
        ("last + (bid > 2) > 3", "line 1 column 9: expected a number but found a condition"),
        ("halted > (not halted)", "line 1 column 11: expected a number but found a condition"),
        ("(last > 1",
         "line 1 column 10: expected ')' or an operator but found the end of the text"),
        ("last > 1)", "line 1 column 9: expected 'and', 'or' or the end of the text but found ')'"),
        ("last > 1 adn halted", "line 1 column 10: expected 'and', 'or' or the end of the text but "
                                "found 'adn'; did you mean and?"),
        ("last > 1 AND halted", "line 1 column 10: expected 'and', 'or' or the end of the text but "
                                "found 'AND'; did you mean and?"),
        ("NOT halted", "line 1 column 1: 'NOT' is no metric; write not"),
        ("ABS(last) > 1", "line 1 column 1: unknown function 'ABS'; did you mean abs?"),
        ("last = 3", "line 1 column 6: unexpected character '='; write =="),
        ("last ≥ 3", "line 1 column 6: unexpected character '≥' (U+2265); write >="),
        ("last > 3 && halted", "line 1 column 10: unexpected character '&'; write and"),
        ("last\u00a0> 3", "line 1 column 5: unexpected character U+00A0"),
        ("l\u0430st > 3", "line 1 column 2: unexpected character '\u0430' (U+0430)"),
        ("last > 1_000", "line 1 column 8: '1_000' is no number; leave the _ out"),
        ("last > 5min", "line 1 column 8: '5min' is no length, expected a unit of ms, s, m or h"),
        ("ago(last > 1, 1.5m)",
         "line 1 column 15: '1.5m' is no length, expected a whole number of m"),
        ("last > 5m", "line 1 column 8: '5m' is a length; expected a number, a metric or '('"),
        ("last > 102%", "line 1 column 8: '102%' can stand only right of *, as in vwap * 102%"),
        ("102% * last > 1", "line 1 column 1: '102%' can stand only right of *, as in vwap * 102%"),
        ("last > 1e999", "line 1 column 8: 1e999 is beyond the range of a number"),
        ("last > 1e-999", "line 1 column 8: 1e-999 is nearer to 0 than a number can be"),
        ("last > " + "1" * 41, "line 1 column 8: a number has at most 40 characters"),
        ("last > 1.", "line 1 column 8: '1.' is no number"),
        ("last between 1 or 2", "line 1 column 16: expected 'and' and the upper bound of between "
                                "but found 'or'"),
        ("last not 1", "line 1 column 10: expected 'between' but found '1'"),
        ("crosses_abov(last, bid)",
         "line 1 column 1: unknown function 'crosses_abov'; did you mean crosses_above?"),
        ("foo(last > 1)", "line 1 column 1: unknown function 'foo'; a metric takes plain "
                          "arguments, as in ema(34, 5m)"),
        ("rank > 1", "line 1 column 6: expected '(' after rank but found '>'"),
        ("abs(last, 1) > 1", "line 1 column 9: expected ')' after the arguments of abs but found "
                             "','"),
        ("min(last) > 1", "line 1 column 9: expected ',' and a second argument of min but found "
                          "')'"),
        ("in_row(halted, 3)", "line 1 column 17: expected 'bars' or a unit (ms, s, m, h) right "
                              "after 3 but found ')'"),
        ("in_row(halted, last)", "line 1 column 16: expected a length such as 30s, 5m, 2h or 3 "
                                 "bars but found 'last'"),
        ("in_row(halted, 61 bars)",
         "line 1 column 1: the window of in_row is 61 bars, expected 1 to 60 bars"),
        ("within(halted, 25h)",
         "line 1 column 1: the window of within is 1500 m, expected more than 0 and at most 24h"),
        ("last > 1 and\nago(halted, 500ms)", "line 2 column 1: ago samples at whole seconds, "
                                             "minutes or bars; expected a length such as 5s"),
        ("ago(last, 5s) > 1",
         "line 1 column 1: ago keeps numbers at whole minutes; expected a length such as 5m"),
        ("at_least(halted, 6, 5m)",
         "line 1 column 1: at_least asks for 6 of 5 samples, expected 1 to 5"),
        ("at_least(halted, 2.5, 5m)",
         "line 1 column 18: expected a whole number of times but found '2.5'"),
        ("crosses(last, bid, 0.1)",
         "line 1 column 20: expected a percentage such as 0.1% but found '0.1'"),
        ("crosses(last, bid, 100%)",
         "line 1 column 1: the hysteresis must be at least 0% and below 100%"),
        ("rank(last, secto) < 5", "line 1 column 12: unknown group 'secto'; did you mean sector?"),
        ("in_session(rth)", "line 1 column 12: unknown session 'rth'; expected one of pre regular "
                            "after"),
        ("weekday(mon, mon)", "line 1 column 14: mon stands twice"),
        ("weekday(sunday)", "line 1 column 9: unknown weekday 'sunday'; expected one of mon tue "
                            "wed thu fri"),
        ("time_between(11:00, 09:45)", "line 1 column 1: the time of day must begin before it ends,"
                                       " within 00:00 to 24:00"),
        ("time_between(9:75, 10:00)",
         "line 1 column 14: 9:75 is no time of day, expected 00:00 to 24:00"),
        ("sequence(halted)",
         "line 1 column 16: expected ',' and a second step of sequence but found ')'"),
        ("sequence(halted, last > 1 within 3 bars)", "line 1 column 1: the within of a step is a "
         "length of time and no number of bars; expected one such as 5m"),
        ("sequence(halted within 5m, last > 1)", "line 1 column 17: expected ',' and a second step "
                                                 "of sequence but found 'within'"),
        ("breadth(!)", "line 1 column 9: unexpected character '!'; write not"),
        ("x" * 65 + " > 1", "line 1 column 1: the name of a metric has at most 64 characters"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(RuleTextError) as refused:
        read_text(text)
    found = str(refused.value)
    if "unknown metric" in found:  # which are near changes with the catalogue
        found, message = (one.partition("; did you mean")[0] for one in (found, message))
    assert found == message


def test_the_bounds_of_a_text_are_kept() -> None:
    long = "last > 1" + " " * MAX_TEXT_BYTES
    with pytest.raises(RuleTextError, match="the text has 8200 bytes, expected at most 8192"):
        read_text(long)
    for opening in ("(", "not (", "abs(", "-("):
        with pytest.raises(RuleTextError, match=r"nested deeper than 48|more than 256 parts"):
            read_text(opening * 500 + "last")
    many = " and ".join(["last > 1"] * 100)
    with pytest.raises(RuleTextError, match="the rule has more than 256 parts"):
        read_text(many)
    deep = Limits(max_depth=3)
    assert read_text("not last > 1", deep) == Not(A)
    assert read_text("last + bid + 1 > 1", deep)
    with pytest.raises(RuleTextError, match="line 1 column 9: the rule is nested deeper than 3"):
        read_text("not not last > 1", deep)
    with pytest.raises(RuleTextError, match="names 2 metrics, at most 1 are allowed"):
        read_text("last > bid", Limits(max_metrics=1))


def test_the_work_grows_with_the_text_and_no_faster() -> None:
    nested, denied = "(" * 48 + A_TEXT + ")" * 48, "not " * 200 + A_TEXT
    for text in (nested, denied, "last > " + "-" * 200 + "1"):
        parsed = parse(text)
        assert parsed.tokens <= len(text.replace(" ", "")) and len(parsed.offsets) <= 256


TREE = json.loads(encoding(A))


@pytest.mark.parametrize(
    ("document", "messages"),
    [
        (5, ["tree is 5, expected an object"]),
        ([], ["tree is an array, expected an object"]),
        ({}, ["tree: object missing required field node"]),
        ({"node": "number", "value": 1}, ["tree.node: invalid value 'number'"]),
        (TREE | {"op": "=>"}, ["tree.op: invalid enum value '=>'"]),
        (TREE | {"extra": 1}, ["tree: object contains unknown field extra"]),
        (TREE | {"left": {"node": "metric", "name": 5}}, ["tree.left.name: expected str, got int"]),
        (TREE | {"left": {"node": "metric", "name": "lst"}}, ["tree.left: unknown metric 'lst'"]),
        (TREE | {"left": {"node": "metric", "name": "a b"}},
         ["tree.left: 'a b' is not the name of a metric"]),
        (TREE | {"right": {"node": "number", "value": float("inf")}},
         ["tree.right: a number must be finite"]),
        ({"node": "and", "parts": [TREE]}, ["tree: has 1 parts, expected at least 2"]),
        ({"node": "flag", "name": "last"},
         ["tree: last is a number and no flag; compare it, such as last > 0"]),
        ({"node": "or", "parts": [TREE, {"node": "in_row", "part": TREE, "window":
          {"count": 0, "unit": "s"}}, {"node": "ago", "part": TREE, "window":
          {"count": 61, "unit": "s"}}]},
         ["tree.parts[1]: the window of in_row is 0 s, expected more than 0 and at most 24h",
          "tree.parts[2]: the window of ago is 61 s, expected 1 to 60 s"]),
        ({"node": "within", "part": TREE, "window": {"count": 1.5, "unit": "s"}},
         ["tree.window.count: expected int, got float"]),
        ({"node": "sequence", "steps": [{"condition": TREE}]},
         ["tree: a sequence has 2 to 8 steps, found 1"]),
        ({"node": "sequence", "steps": [{"condition": TREE, "within": {"count": 1, "unit": "s"}},
                                        {"condition": TREE}]},
         ["tree: the first step of a sequence waits for nothing; leave its within out"]),
        ({"node": "in_session", "sessions": []},
         ["tree: expected at least one session and none of them twice"]),
        ({"node": "weekday", "days": ["mon", "mon"]},
         ["tree: expected at least one weekday and none of them twice"]),
        (TREE | {"left": {"node": "call", "function": "abs", "arguments": []}},
         ["tree.left: abs takes 1 argument, found 0"]),
        (TREE | {"left": {"node": "lag", "value": {"node": "metric", "name": "halted"},
                          "window": {"count": 1, "unit": "m"}}},
         ["tree.left: halted is a flag; its past is a condition"]),
        (TREE | {"left": {"node": "breadth", "rule_id": "a b", "group": "x"}},
         ["tree.left: 'a b' is not the id of a rule",
          "tree.left: unknown group 'x'; expected one of all sector industry exchange list:NAME"]),
    ],
)  # fmt: skip
def test_a_fault_of_a_json_tree_is_told_with_its_path(
    document: object, messages: list[str]
) -> None:
    with pytest.raises(RuleError) as refused:
        read_tree(document, "tree")
    found = [problem.partition("; did you mean")[0] for problem in refused.value.problems]
    assert found == messages


def nested(levels: int) -> object:
    document: object = TREE
    for _ in range(levels):
        document = {"node": "not", "part": document}
    return document


def test_the_bounds_of_a_json_tree_are_kept() -> None:
    with pytest.raises(RuleError, match=r"^tree\.part.*: the rule is nested deeper than 16"):
        read_tree(nested(20), "tree")
    with pytest.raises(RuleError, match="tree has more than 256 parts"):
        read_tree(nested(2_000), "tree")
    arrays: list[object] = []
    for _ in range(5_000):
        arrays = [arrays]
    with pytest.raises(RuleError, match="tree is nested too deeply"):
        read_tree({"node": "and", "parts": arrays}, "tree")
    with pytest.raises(RuleError, match="tree has more than 256 parts"):
        read_tree({"node": "and", "parts": [TREE] * 600}, "tree")
    with pytest.raises(RuleError, match="tree: the rule has more than 256 parts"):
        read_tree({"node": "and", "parts": [TREE] * 100}, "tree")
