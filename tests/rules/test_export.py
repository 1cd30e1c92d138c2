"""Rules as files: what is written is read back the same, in YAML and in JSON."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from engine.domain.sizes import Sizes
from engine.rules.change import read_change
from engine.rules.difference import KeyChange, difference
from engine.rules.errors import ChangeError, RuleError
from engine.rules.export import Format, export_rules, text_of
from engine.rules.files import load_rules
from engine.rules.format import format_tree
from engine.rules.library import Library, find, live, plain
from engine.rules.limits import Limits
from engine.rules.model import Rule, to_document
from engine.rules.tree import Cond
from engine.rules.validate import read_rule
from engine.rules.yaml_text import read_yaml
from engine.rules.yaml_write import write_yaml
from engine.storage.rule_stub import MemoryRuleStore
from tests.rules.test_library import change, document, made
from tests.rules.trees import conditions

WIDE = Limits(max_rule_cost_us=1e12, max_set_cost_share=1e9)

scalars = (
    st.none() | st.booleans() | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abno19.:#-'\"\\ \n\t,[]{}&*!|>%@`?\u2028\x85é😀", max_size=12)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
    | st.sampled_from(["no", "Yes", "null", "~", "1e3", "0x1", "12:30", "a: b", "a #b", "- a"])
)  # fmt: skip
keys = st.text("abc:# -1\n", max_size=4) | st.sampled_from(["on", "null", "true", "1"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=14,
)


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(keys, values, min_size=1, max_size=4))
def test_what_is_written_as_yaml_is_read_back_the_same(written: dict[str, Any]) -> None:
    found = read_yaml(write_yaml(written))
    assert found == written
    assert repr(found) == repr(written)  # 1 is not 1.0 is not true


def test_yaml_is_written_for_people() -> None:
    text = write_yaml({
        "id": "up", "name": "Up: a lot", "tags": ["gap-up", "no"], "enabled": True,
        "where": "last > 1  # one\n\nand halted\n", "universe": {"symbols": [], "price_min": 1.5},
        "conditions": [{"metric": "rsi(14)", "op": ">", "value": 70.0}],
    })  # fmt: skip
    assert text.startswith('id: up\nname: "Up: a lot"\n')
    assert "\nwhere: |\n  last > 1  # one\n\n  and halted\n" in text
    assert '\ntags: [gap-up, "no"]\n' in text
    assert '\nconditions:\n  - metric: rsi(14)\n    op: ">"\n    value: 70.0\n' in text
    assert "\nuniverse:\n  symbols: []\n  price_min: 1.5\n" in text


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid rule in any form, without its id."""
    tree: Cond = draw(conditions)
    plain_text = format_tree(tree)
    assume("breadth(" not in plain_text)  # the rule it names need not be among those drawn
    form = draw(st.sampled_from(["where", "lines", "tree", "conditions", "numeric"]))
    told: dict[str, Any] = {"name": draw(st.sampled_from(["N", "No", "a: b", "Über #1"]))}
    if form in ("where", "lines"):
        text = plain_text if form == "where" else plain_text.replace(" and ", "\n  and ") + "\n"
        told["where"] = text
    elif form == "tree":
        told["tree"] = msgspec.json.decode(msgspec.json.encode(tree))
    elif form == "conditions":
        told["conditions"] = document("x", draw(st.floats(-1e6, 1e6)))["conditions"]
    else:
        told |= {"type": "numeric", "metric": "rsi", "operator": ">", "value": 2}
    told["enabled"] = draw(st.booleans())
    told["tags"] = draw(st.lists(st.sampled_from(["no", "1", "x.y"]), unique=True))
    told["universe"] = draw(st.sampled_from([{}, {"symbols": ["ON", "NA"], "price_min": 1.5}]))
    told["cooldown_sec"] = draw(st.sampled_from([0, 0.25, 300]))
    return told


@settings(max_examples=60, deadline=None)
@given(st.lists(documents(), min_size=1, max_size=3), st.sampled_from(["yaml", "json"]))
def test_an_export_imported_again_gives_the_same_documents_and_hashes(
    tmp_path_factory: pytest.TempPathFactory, found: list[dict[str, Any]], form: Format
) -> None:
    place = tmp_path_factory.mktemp("export")
    store, again = MemoryRuleStore(), MemoryRuleStore()
    seconds = itertools.count(1)
    try:  # a lag of a flag reads as a condition
        rules = [read_rule({"id": f"r{i}", **one}, WIDE) for i, one in enumerate(found)]
    except RuleError:
        reject()

    def take(target: MemoryRuleStore, told: Iterable[Rule]) -> None:
        library = Library(target, WIDE, Sizes(1), lambda: next(seconds) * 10**9)
        # Disabled: what no kernel knows yet can be stored all the same.
        asked = [to_document(rule) | {"enabled": False} for rule in told]
        library.apply(read_change({"action": "import", "author": "ann", "documents": asked}))

    take(store, rules)
    assert export_rules(live(store.newest()).values(), place, form) == len(found)
    take(again, load_rules(place, WIDE, whole=False))
    first, second = store.newest(), again.newest()
    assert [one.content_hash for one in first] == [one.content_hash for one in second]
    assert [one.document for one in first] == [one.document for one in second]


def test_an_export_leaves_a_directory_of_others_alone_unless_told(tmp_path: Path) -> None:
    library = made()
    library.apply(change("import", document("a"), document("b")))
    place = tmp_path / "deep" / "rules"
    assert export_rules(library.store.newest(), place, "yaml") == 2
    (place / "README.md").write_text("mine")
    library.apply(change("delete", rule_id="b"))
    library.apply(change("update", document("a", 2.0)))
    before = (place / "a.yaml").read_text()
    with pytest.raises(ChangeError, match=r"holds a\.yaml already; --replace"):
        export_rules(live(library.store.newest()).values(), place, "json")
    assert (place / "a.yaml").read_text() == before
    export_rules(live(library.store.newest()).values(), place, "json", replace=True)
    assert sorted(one.name for one in place.iterdir()) == ["README.md", "a.json"]
    (rule,) = load_rules(place)
    assert rule.conditions[0].value == 2.0
    head = find(library.store, "a")
    assert text_of(head, "json").startswith('{\n  "id": "a",\n')


def test_a_difference_names_the_changed_keys_and_shows_the_lines() -> None:
    library = made()
    universe = {"symbols": ["A"], "price_min": 1.0}
    library.apply(change("create", document("a", enabled=False, universe=universe)))
    other = document("a", enabled=False, name="New", universe={"price_min": 2.0}, tags=["t"])
    library.apply(change("update", other))
    library.apply(change("update", other | {"name": "Newer"}))
    first, second, third = (find(library.store, "a", number) for number in (1, 2, 3))
    found = difference(first, second)
    assert (found.from_version, found.to_version, found.same_meaning) == (1, 2, False)
    assert found.changes == (
        KeyChange("name", "Rule a", "New"),
        KeyChange("universe.symbols", ["A"], None),
        KeyChange("universe.price_min", 1.0, 2.0),
        KeyChange("tags", None, ["t"]),
    )
    assert "--- a version 1\n+++ a version 2\n" in found.text
    assert "\n-name: Rule a\n+name: New\n" in found.text
    named = difference(second, third)
    assert named.same_meaning and [one.key for one in named.changes] == ["name"]
    assert difference(third, third).text == "" and plain(third)["name"] == "Newer"
