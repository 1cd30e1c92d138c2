"""Names of metrics: aliases, near misses, names of a later release, the generated page."""

import dataclasses

import pytest

from engine.metrics.entry import SAME, UNITS, Metric
from engine.metrics.planned import PLANNED
from engine.metrics.registry import METRICS, UnknownMetric, names, resolve
from engine.rules.parser import parse
from tools import metric_docs


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("rsi", "rsi(14)"),
        ("ema20", "ema(20)"),
        ("ema( 200 )", "ema(200)"),
        ("sma50", "sma(50)"),
        ("vwap", "vwap_rth"),
        ("vol", "vol_all"),
        ("price_change_5m_pct", "chg_5m_pct"),
        ("rel_volume_15m", "vol_ratio_15m"),
        ("macd(12, 26, 9)", "macd"),
        ("chg_pct", "chg_pct"),
        ("relative_volume", "rvol_tod"),
        ("market_cap", "mktcap"),
    ],
)
def test_an_alias_is_its_metric(alias, name):
    assert resolve(alias).name == name


def test_bare_atr14_is_daily_and_atr_in_brackets_is_of_minutes():
    assert resolve("atr14").source == "reference"
    assert resolve("atr(14)").source == "indicator"


def test_a_misspelt_name_is_refused_with_the_nearest_ones():
    with pytest.raises(UnknownMetric, match="did you mean chg_5m_pct") as caught:
        resolve("chg_5m_pc")
    assert caught.value.nearest[0] == "chg_5m_pct"


def test_a_name_like_nothing_is_refused_without_a_guess():
    with pytest.raises(UnknownMetric, match=r"^unknown metric 'zzzzzz'$"):
        resolve("zzzzzz")


def test_a_metric_of_a_later_release_is_refused_with_its_reason():
    for name in ("vol_z", "trades_rel_5m"):
        with pytest.raises(UnknownMetric, match=f"metric '{name}' needs the spread of volumes"):
            resolve(name)


def test_no_name_means_two_things():
    every = [n for metric in METRICS for n in (metric.name, *metric.aliases)]
    assert len(every) == len(set(every)) == len(names())
    assert not set(every) & set(PLANNED)


def test_only_halt_and_band_metrics_let_a_rule_fire_for_a_halted_symbol():
    about = {"halted", "luld_up_pct", "luld_dn_pct", "halt_n_today", "halt_elapsed_s",
             "since_resume_s"}  # fmt: skip
    assert {m.name for m in METRICS if m.about_halt} == about


def test_every_input_that_is_a_metric_is_a_canonical_name():
    canonical = {metric.name for metric in METRICS}
    other = {
        "trades", "quotes", "final bars", "closes of final bars", "price per second",
        "price per minute", "volume per second", "volume per minute", "status", "bands",
        "daily bars", "volume baseline",
    }  # fmt: skip
    for metric in METRICS:
        assert set(metric.inputs) <= canonical | other, metric.name


def is_documented(metric: Metric) -> bool:
    texts = (metric.group, metric.brief, metric.formula, metric.unknown, metric.warm_up)
    brief = metric.brief
    return (
        all(text and text == text.strip() for text in texts)
        and metric.unit in UNITS
        and len(brief) <= 80
        and brief[0].isupper()
        and not brief.endswith(".")
    )


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_entry_says_what_it_is(metric: Metric) -> None:
    assert METRICS[metric.column] is metric
    assert is_documented(metric)


def test_an_entry_without_words_would_be_noticed() -> None:
    for missing in ("group", "brief", "formula", "unknown", "unit"):
        assert not is_documented(dataclasses.replace(METRICS[0], **{missing: ""}))


def mirrored(value: dict[str, float], metric: Metric) -> float:
    mirror = metric.mirror
    other = value[mirror.name]
    return 1 / other if mirror.inverse else mirror.offset + mirror.sign * other


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_the_mirror_of_a_mirror_is_the_metric_itself(metric: Metric) -> None:
    value = {one.name: 3.0 + one.column for one in METRICS}
    assert metric.mirror.name in value
    other = resolve(metric.mirror.name)
    once = {one.name: mirrored(value, one) for one in METRICS}
    assert mirrored(once, metric) == pytest.approx(value[metric.name])
    assert other.unit == metric.unit
    assert other.reach.kind == metric.reach.kind


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_what_has_a_direction_turns_round_and_nothing_else_does(metric: Metric) -> None:
    mirror, other = metric.mirror, resolve(metric.mirror.name)
    if mirror == resolve(metric.name).mirror and metric.flip == SAME:
        assert metric.up is None
        return
    rises = mirror.sign > 0 and not mirror.inverse
    assert metric.up is not None
    assert other.up == (not metric.up if rises else metric.up)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_mirror_is_an_expression_of_the_language_of_rules(metric: Metric) -> None:
    if metric.flip not in (None, SAME):
        parse(f"{metric.flip} > 0")


def test_the_page_about_metrics_is_what_the_registry_says():
    assert metric_docs.PAGE.read_text() == metric_docs.page(), (
        "docs/metrics.md is stale: run python -m tools.metric_docs"
    )
    for metric in METRICS:
        assert f"`{metric.name}`" in metric_docs.page()
