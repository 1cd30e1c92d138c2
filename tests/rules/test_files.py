"""Rule files in YAML, and directories with a rule in each file."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from engine.rules.errors import RuleError
from engine.rules.files import load_rules, parse_rules
from engine.rules.limits import Limits
from engine.rules.yaml_text import MAX_YAML_BYTES, read_yaml

RULE = """
# the opening drive
id: on            # a word, not a truth value
name: "Yes"
where: |
  crosses_above(last, vwap)  # up
  and not halted
tags: [no, gap-up]
universe:
  symbols: [ON, NO, NA]
  price_min: 1.5
cooldown_sec: 30
created_at: 2013-10-08T13:30:00Z
"""


def test_a_rule_in_yaml_means_what_it_says() -> None:
    (rule,) = parse_rules(RULE, "a.yaml")
    assert (rule.id, rule.name, rule.tags) == ("on", "Yes", ("no", "gap-up"))
    assert rule.universe.symbols == ("ON", "NO", "NA") and rule.universe.price_min == 1.5
    assert rule.where == "crosses_above(last, vwap)  # up\nand not halted\n"
    assert rule.cooldown_ms == 30_000 and rule.created_at == "2013-10-08T13:30:00Z"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1, -2, +3, 1.5, .5, 1e3, 1., 010]", [1, -2, 3, 1.5, 0.5, 1000.0, 1.0, 10]),
        ("[true, False, null, ~, ]", [True, False, None, None]),
        ("[yes, no, on, off, y, n, 12:30, 2013-10-08, 0x1f, 1_000]",
         ["yes", "no", "on", "off", "y", "n", "12:30", "2013-10-08", "0x1f", "1_000"]),
        ("""['1', "true", 'null']""", ["1", "true", "null"]),
        ("a: {b: [c, {d: e}]}", {"a": {"b": ["c", {"d": "e"}]}}),
        ("no: 1\n1: 2", {"no": 1, "1": 2}),
        ("word", "word"),
        ("a:", {"a": None}),
        ("a: >\n  one\n  two\n", {"a": "one two\n"}),
    ],
)
def test_words_are_decided_by_yaml_1_2(text: str, value: Any) -> None:
    assert read_yaml(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x 1\nb: *x", "line 1 column 4: anchors and aliases are not read"),
        ("a: &a [&b [x]]", "line 1 column 4: anchors and aliases are not read"),
        ("a: *x", "line 1 column 4: anchors and aliases are not read"),
        ("a: !!python/object:os.system x",
         "line 1 column 4: the tag 'tag:yaml.org,2002:python/object:os.syste'... is not read"),
        ("a: !x 1", "line 1 column 4: the tag '!x' is not read"),
        ("a: 1\na: 2", "line 2 column 1: key 'a' stands twice"),
        ("? [a]\n: 1", "line 1 column 3: a key must be a word"),
        ("a: 1\n---\nb: 2", "line 2 column 1: a second document begins, expected one"),
        ("[" * 65, "line 1 column 65: is nested deeper than 64"),
        ("- " * 65 + "a", "line 1 column 129: is nested deeper than 64"),
        ("a: .inf", "line 1 column 4: .inf is not a finite number"),
        ("a: .NaN", "line 1 column 4: .NaN is not a finite number"),
        ("a: " + "1" * 5_000, "line 1 column 4: a number has at most 40 characters"),
        ("a: [1", "line 1 column 6: broken YAML, expected ',' or ']', but got '<stream end>'"),
        ("a: b: c", "line 1 column 5: broken YAML, mapping values are not allowed here"),
        ("a: \"x", "line 1 column 6: broken YAML, found unexpected end of stream"),
        ("\ta: 1", "line 1 column 1: broken YAML, found character '\\t' that cannot start any "
                   "token"),
        ("", "holds no YAML document"),
        ("# nothing", "holds no YAML document"),
        ("a: " + "x" * MAX_YAML_BYTES, f"is longer than {MAX_YAML_BYTES} bytes"),
    ],
)  # fmt: skip
def test_what_surprises_or_explodes_is_refused(text: str, message: str) -> None:
    with pytest.raises(RuleError) as refused:
        read_yaml(text)
    assert str(refused.value) == message


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9)
    | st.text("abno19.:#-'\" \n", max_size=9) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(plain)
def test_json_reads_as_yaml_the_same(value: Any) -> None:
    assert read_yaml(json.dumps(value)) == value
    assert read_yaml(json.dumps(value, indent=2)) == value


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab:-?!&*[]{}#|>'\"%@`,\n\t \\xU0~=<", max_size=60) | st.text(max_size=40))
def test_any_text_is_read_as_yaml_or_refused(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read_yaml(text)
        except RuleError as error:
            assert error.problems[0]


def test_a_directory_holds_a_rule_in_each_file(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(RULE)
    (tmp_path / "a.json").write_text(json.dumps({"id": "z", "name": "n", "where": "last > 1"}))
    (tmp_path / "c.yml").write_text("id: y\nname: n\nwhere: breadth(z) > 50\n")
    (tmp_path / "README.md").write_text("no rule")
    (tmp_path / ".hidden.json").write_text("{")
    assert [rule.id for rule in load_rules(tmp_path)] == ["z", "on", "y"]
    assert load_rules(tmp_path / "b.yaml") == parse_rules(RULE, "b.yaml")
    with pytest.raises(RuleError, match="has 3 rules, at most 2 are allowed"):
        load_rules(tmp_path, Limits(max_rules=2))


def test_every_fault_of_a_directory_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("id: a\nname: n\nwhere: last >\n")
    (tmp_path / "b.yaml").write_text("id: b\nname: [\n")
    (tmp_path / "c.yaml").write_text("- id: c\n")
    (tmp_path / "d.json").write_text('{"id": "d", "name": "n", "where": "halted"}')
    (tmp_path / "e.json").write_text('{"id": "d", "name": "n", "where": "halted"}')
    (tmp_path / "f.json").write_text("{")
    (tmp_path / "g.yaml").mkdir()
    with pytest.raises(RuleError) as refused:
        load_rules(tmp_path)
    assert [problem.removeprefix(f"{tmp_path}/") for problem in refused.value.problems] == [
        "a.yaml: rule 'a': where line 1 column 7: expected a number, a metric or '(' but found the"
        " end of the text",
        "b.yaml: line 3 column 1: broken YAML, expected the node content, but found"
        " '<stream end>'",
        "c.yaml: rule is an array, expected an object",
        "e.json: rule 'd': id is used by d.json as well",
        "f.json: line 1 column 2: broken JSON, expecting property name enclosed in double quotes",
        "g.yaml: cannot be read: Is a directory",
    ]


def test_faults_of_the_rules_of_a_directory_together_name_the_directory(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("id: a\nname: n\nwhere: breadth(zz) > 50\n")
    with pytest.raises(RuleError) as refused:
        load_rules(tmp_path)
    assert str(refused.value) == f"{tmp_path}: rule 'a': breadth names 'zz', which is no rule"


def test_what_another_writer_wrote_is_read(tmp_path: Path) -> None:
    document = {"id": "a", "name": "n: x", "where": "last > 1 # c\nand halted", "tags": ["no", "1"]}
    writer = YAML(typ="safe", pure=True)
    with (tmp_path / "a.yaml").open("w") as file:
        writer.dump(document, file)
    (rule,) = load_rules(tmp_path)
    assert rule.where == document["where"] and rule.tags == ("no", "1")
