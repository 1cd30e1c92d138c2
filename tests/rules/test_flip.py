"""The mirror image of a rule: for falling prices what it was for rising ones, and back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.metrics.registry import METRICS
from engine.rules.errors import ChangeError
from engine.rules.flip import flip, flip_rule
from engine.rules.format import format_tree
from engine.rules.identity import content_hash
from engine.rules.kinds import check
from engine.rules.limits import DEFAULT_LIMITS
from engine.rules.model import to_document
from engine.rules.tree import Cond
from engine.rules.validate import read_rule
from engine.rules.written import read_text
from tests.rules.trees import conditions

PAIRS = [
    ("chg_5m_pct > 1.5", "chg_5m_pct < -1.5"),
    ("vol_ratio_5m >= 2 and not halted", "vol_ratio_5m >= 2 and not halted"),
    ("rsi(14) > 70", "rsi(14) < 30"),
    ("rsi(14) between 60 and 70.1", "rsi(14) between 29.9 and 40"),
    ("chg_pct between 1 and 3", "chg_pct between -3 and -1"),
    ("pos_day >= 90 or dist_hod_pct > -0.2", "pos_day <= 10 or dist_lod_pct < 0.2"),
    ("last > vwap_rth", "last < vwap_rth"),
    ("last > 5", "last > 5"),
    ("crosses_above(last, 10)", "crosses_below(last, 10)"),
    ("crosses_above(last, hod, 0.1%)", "crosses_below(last, lod, 0.1%)"),
    ("crosses(chg_5m_pct, 1)", "crosses(chg_5m_pct, -1)"),
    ("last > vwap_rth * 1.02", "last < vwap_rth * 0.98"),
    ("last > hod + 0.1", "last < lod - 0.1"),
    ("last > hod - atr14 / 2", "last < lod + atr14 / 2"),
    ("last - (hod + lod) / 2 > 0", "last - (lod + hod) / 2 < 0"),
    ("(last - bid) / last * 100 < 0.05", "(last - ask) / last * 100 > -0.05"),
    ("(ask - last) / last < 0.001", "(bid - last) / last > -0.001"),
    ("last / vwap_rth > 1.01", "last / vwap_rth < 0.99"),
    ("abs(chg_pct) > 3", "abs(chg_pct) > 3"),
    ("max(chg_1m_pct, 0) > 1", "min(chg_1m_pct, 0) < -1"),
    ("max(last, hod) - last < atr14 / 10", "-(min(last, lod) - last) < atr14 / 10"),
    ("coalesce(gap_pct, 0) > 3", "coalesce(gap_pct, 0) < -3"),
    ("rank(chg_pct) <= 10", "rank(-chg_pct) <= 10"),
    ("zscore(chg_pct, sector) > 2", "zscore(chg_pct, sector) < -2"),
    ("since(last > hod) < 60 and t_since_hod_s < 5",
     "since(last < lod) < 60 and t_since_lod_s < 5"),
    ("last > 0", "last > 0"),
    ("in_row(last > pmh, 30s) and in_session(regular)",
     "in_row(last < pml, 30s) and in_session(regular)"),
    ("ago(last, 5m) < last", "ago(last, 5m) > last"),
    ("sequence(last > hod, chg_1m_pct > 1 within 5m, cancel last < vwap_rth)",
     "sequence(last < lod, chg_1m_pct < -1 within 5m, cancel last > vwap_rth)"),
    ("ago(--halted, 1m) > ago(ago(-halted, 2m), 1m)",
     "ago(--halted, 1m) > -ago(ago(--halted, 2m), 1m)"),
    ("if(halted, chg_1m_pct, chg_5m_pct) > 1", "if(halted, chg_1m_pct, chg_5m_pct) < -1"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mirrored"), PAIRS)
def test_a_condition_and_its_mirror_image(text: str, mirrored: str) -> None:
    tree = read_text(text)
    assert format_tree(flip(tree)) == mirrored
    read_text(mirrored)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("last * vol_1m > 5", "a price is multiplied by what is no plain number"),
        ("last / atr14 > 5", "a price is divided by what is no price"),
        ("last > atr14", "a price stands beside what is no price"),
        ("log(last) > 1", "log of a price has no direction"),
        ("rank(last) < 5", "symbols cannot be compared by mirrored prices"),
        ("breadth(other) > 50", "the rule it looks at is another one when prices fall"),
    ],
)
def test_what_has_no_mirror_image_is_refused(text: str, why: str) -> None:
    with pytest.raises(ChangeError) as refused:
        flip(read_text(text))
    assert str(refused.value).endswith(f" has no mirror image: {why}.")


metric_conditions = st.builds(
    lambda metric, op, value: {"metric": metric.name, "op": op, "value": value},
    st.sampled_from(METRICS), st.sampled_from([">", ">=", "<", "<=", "==", "!="]),
    st.integers(-200, 200).map(lambda n: n / 4),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(metric_conditions, min_size=1, max_size=4))
def test_the_mirror_image_of_the_mirror_image_is_the_rule(written: list[dict[str, Any]]) -> None:
    rule = read_rule({"id": "a", "name": "A", "conditions": written})
    mirrored = read_rule(to_document(flip_rule(rule)))
    back = flip_rule(mirrored, "a")
    assert content_hash(back) == content_hash(rule)


@settings(max_examples=300, deadline=None)
@given(conditions.filter(lambda tree: not check(tree, DEFAULT_LIMITS)))
def test_the_text_of_a_mirror_image_reads_as_the_mirror_image(tree: Cond) -> None:
    try:
        mirrored = flip(tree)
    except ChangeError:
        return
    assert read_text(format_tree(mirrored)) == mirrored


def test_a_mirrored_rule_is_a_rule_in_the_same_form() -> None:
    rule = read_rule({
        "id": "up", "name": "Up", "type": "numeric", "metric": "rsi", "operator": ">", "value": 70,
        "rearm": "rsi(14) < 50", "universe": {"price_min": 5}, "version": 4,
    })  # fmt: skip
    mirrored = flip_rule(rule)
    assert read_rule(to_document(mirrored)) == mirrored
    document = to_document(mirrored)
    assert (document["id"], document["name"], document["template"]) == (
        "up-mirror", "Up (mirror)", "up",
    )  # fmt: skip
    assert (document["metric"], document["operator"], document["value"]) == ("rsi", "<", 30.0)
    assert document["rearm"] == "rsi(14) > 50" and document["universe"]["price_min"] == 5.0
    text = flip_rule(read_rule({"id": "t", "name": "T", "where": "last > hod  # x"}), "down")
    assert (text.id, text.where) == ("down", "last < lod")
    tree = to_document(read_rule({"id": "t", "name": "T", "where": "last > hod"}))
    assert tree["where"] == "last > hod"
