"""Names of families: how they are written, what each fault says, what they are as metrics."""

import math

import pytest

from engine.domain.family import Family
from engine.domain.sizes import Sizes
from engine.metrics.entry import UNITS
from engine.metrics.family_kinds import KINDS
from engine.metrics.registry import COLUMN, UnknownMetric, resolve
from engine.rules.compiler import compile_rules
from engine.rules.cost import rule_ns
from engine.rules.errors import RuleBlobError, RuleError
from engine.rules.families import are_sound
from engine.rules.flip import flip_rule
from engine.rules.pack import pack, unpack
from engine.rules.validate import read_rule

CANONICAL = {
    "ema(34,5m)": "ema(34,5m)",
    "ema( 34 , 5m )": "ema(34,5m)",
    "ema(34,1m)": "ema(34)",
    "ema(34,5m,closed)": "ema(34,5m)",
    "ema(34,5m,live)": "ema(34,5m,live)",
    "ema_rth(34)": "ema_rth(34)",
    "ema(20,D)": "ema(20,D)",
    "ema(20,1h)": "ema(20,60m)",
    "bb_upper(20,5m)": "bb_upper(20,2,5m)",
    "bb_upper(20,2.50,5m)": "bb_upper(20,2.5,5m)",
    "stoch_k(9)": "stoch_k(9,3,3)",
    "macd(12,26,9,5m)": "macd(12,26,9,5m)",
    "supertrend(3m)": "supertrend(10,3,3m)",
    "highest(high,30m)": "highest(high,30m)",
    "highest(high,30,5m)": "highest(high,30,5m)",
    "chg_7m_pct": "chg_7m_pct",
    "chg_3h_pct": "chg_180m_pct",
    "vol_90s": "vol_90s",
    "range_20m": "range_20m",
    "rv(30m)": "rv(30m)",
}
FIXED = {"ema(20,1m)": "ema(20)", "macd(12,26,9)": "macd", "sma(50)": "sma(50)",
         "bb_upper(20)": "bb_upper", "chg_300s_pct": "chg_5m_pct", "rsi(14)": "rsi(14)",
         "vol_60s": "vol_1m", "atr(14)": "atr(14)"}  # fmt: skip
FAULTS = {
    "emma(34)": "unknown metric 'emma(34)'; did you mean ema(34)?",
    "ema(1)": "metric 'ema(1)' needs as period a whole number from 2 to 500, not 1",
    "ema(501)": "metric 'ema(501)' needs as period a whole number from 2 to 500, not 501",
    "ema(2.5)": "metric 'ema(2.5)' needs as period a whole number from 2 to 500, not 2.5",
    "sma(255)": "metric 'sma(255)' needs as period a whole number from 1 to 254, not 255",
    "ema(20,7m)": "metric 'ema(20,7m)' knows the timeframes 1m 2m 3m 5m 10m 15m 30m 60m D, not 7m",
    "ema(20,x)": "metric 'ema(20,x)' knows the timeframes 1m 2m 3m 5m 10m 15m 30m 60m D, not x",
    "ema": "metric 'ema' needs its numbers, such as ema(14)",
    "rv": "metric 'rv' needs its numbers, such as rv(30m)",
    "ema()": "metric 'ema()' needs a period, such as ema(14)",
    "ema(1,2)": "metric 'ema(1,2)' takes at most 1 number, not 2",
    "macd(26,12)": "metric 'macd(26,12)' needs a fast period below the slow one, not 26 and 12",
    "highest(20)": "metric 'highest(20)' begins with high or low or close, not with 20",
    "highest(high)": "metric 'highest(high)' needs a period, such as highest(high, 14)",
    "highest(close,30m)":
        "metric 'highest(close,30m)' looks at high or low where its window is a length of time,"
        " not close",
    "sum(high,30m)":
        "metric 'sum(high,30m)' looks at volume where its window is a length of time, not high",
    "highest(high,30m,live)":
        "metric 'highest(high,30m,live)' takes neither _rth nor live where its window is a length"
        " of time",
    "ema(20,D,live)": "metric 'ema(20,D,live)' takes neither _rth nor live with daily bars",
    "range_0m": "metric 'range_0m' needs a window from 1m to 390m, not 0m",
    "range_391m": "metric 'range_391m' needs a window from 1m to 390m, not 391m",
    "range_90s": "metric 'range_90s' needs a window of whole minutes, not 90s",
    "chg_901s_pct": "metric 'chg_901s_pct' needs a window over 15m of whole minutes, not 901s",
    "rv(5)": "metric 'rv(5)' takes a length of time, such as rv(30m)",
    "foo(3)": "unknown metric 'foo(3)'",
}  # fmt: skip


@pytest.mark.parametrize("name", CANONICAL)
def test_a_name_is_spelled_in_one_way(name: str) -> None:
    found = resolve(name)
    assert found.name == CANONICAL[name]
    assert found.family is not None
    assert resolve(found.name) == found


@pytest.mark.parametrize("name", FIXED)
def test_a_family_with_a_column_of_its_own_is_that_column(name: str) -> None:
    assert resolve(name).name == FIXED[name]
    assert resolve(name).column == COLUMN[FIXED[name]]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_said_in_one_sentence(name: str) -> None:
    with pytest.raises(UnknownMetric) as raised:
        resolve(name)
    assert str(raised.value) == FAULTS[name]


def test_a_text_is_refused_with_the_place_of_the_name() -> None:
    with pytest.raises(RuleError) as raised:
        read_rule({"id": "r", "name": "n", "where": "last > 1 and\n  ema(0) > 2"})
    (problem,) = raised.value.problems
    assert "line 2 column 3: metric 'ema(0)' needs as period a whole number" in problem


def example(kind: str) -> str:
    found = KINDS[kind]
    if kind in ("chg_time", "vol_time", "range_time"):
        return Family(kind, "", (), window_s=420).name
    periods = tuple(float((period.default or 8) + 1) for period in found.periods)
    field = found.fields[0] if found.fields else ""
    return Family(kind, field, periods, window_s=0 if found.periods else 1800).name


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_told_in_full_and_has_a_mirror_image(kind: str) -> None:
    metric = resolve(example(kind))
    assert metric.unit in UNITS
    assert metric.family is not None
    assert metric.family.kind == kind
    assert metric.formula
    assert metric.brief
    assert "{" not in metric.formula + metric.brief + metric.unknown
    mirror = metric.mirror
    assert resolve(mirror.name).mirror.name == metric.name


def test_a_rule_with_families_is_mirrored() -> None:
    given = {"id": "r", "name": "n", "where": "last > highest(high, 30m) and rsi(7, 5m) > 70"}
    assert flip_rule(read_rule(given)).where == "last < lowest(low,30m) and rsi(7, 5m) < 30"


def compiled(*texts: str, sizes: Sizes | None = None, before=None):
    rules = [
        read_rule({"id": f"r{number}", "name": "n", "where": text})
        for number, text in enumerate(texts)
    ]
    return compile_rules(rules, sizes, before)


def test_the_same_family_in_two_rules_is_one_slot_and_keeps_it() -> None:
    first = compiled("ema(34, 5m) > 1 or rsi(9) > 2", "ema( 34,5m ) > 3")
    assert first.program.families.names == ("ema(34,5m)", "rsi(9)")
    second = compiled("ema(9) > 1", "rsi(9) > 3", before=first)
    slots = dict(zip(first.program.families.names, first.program.families.slot, strict=True))
    later = dict(zip(second.program.families.names, second.program.families.slot, strict=True))
    assert later["rsi(9)"] == slots["rsi(9)"]
    assert later["ema(9)"] == slots["ema(34,5m)"]


def test_a_family_that_is_only_ranked_or_captured_has_a_slot() -> None:
    found = compiled("rank(ema(34)) < 3", "within(roc(4) > 1, 5s)").program
    assert found.families.names == ("ema(34)", "roc(4)")


def test_too_many_families_are_refused_by_name() -> None:
    with pytest.raises(RuleError, match=r"more than the 2 indicators of rules\.max_families.*sma"):
        compiled("ema(9) > ema(10) and sma(7) > 1", sizes=Sizes(1, max_families=2))
    with pytest.raises(RuleError, match=r"more than the 5 rows of rules\.family_rows.*rsi\(9\)"):
        compiled("ema(9) > 1 and ema(10) > 2 and rsi(9) > 1", sizes=Sizes(1, family_rows=5))


def test_families_come_out_of_a_blob_as_they_went_in() -> None:
    rules = compiled("ema(34, 5m) > supertrend(10, 3) and highest(high, 30m) > 1")
    found = unpack(pack(rules)).program.families
    assert found.names == rules.program.families.names
    assert found.slot.tolist() == rules.program.families.slot.tolist()
    assert found.rows.tolist() == rules.program.families.rows.tolist()
    broken = rules.program.families
    for wrong in (
        broken._replace(names=broken.names[::-1]), broken._replace(names=("ema(20)",) * 3),
        broken._replace(rows=broken.rows[1:]), broken._replace(slot=broken.slot * 0),
        broken._replace(slot=broken.slot - 1),
    ):  # fmt: skip
        with pytest.raises(RuleBlobError):
            unpack(pack(with_families(rules, wrong)))
    unknown = broken._replace(names=("a(1)", "b", "c"))
    assert not are_sound(unknown)
    with pytest.raises(UnknownMetric):
        pack(with_families(rules, unknown))


def with_families(rules, families):
    vars(rules.program)["families"] = families  # frozen for everybody else
    return rules


def test_what_families_cost_is_counted() -> None:
    plain = rule_ns(read_rule({"id": "r", "name": "n", "where": "last > 1"}))
    one = rule_ns(read_rule({"id": "r", "name": "n", "where": "ema(34) > 1"}))
    two = rule_ns(read_rule({"id": "r", "name": "n", "where": "ema(34) > 1 or ema(34) > 2"}))
    long = rule_ns(read_rule({"id": "r", "name": "n", "where": "sma(254) > 1"}))
    assert plain < one < long
    assert math.isclose(two - one, one - plain - 10.0, abs_tol=0.5)
