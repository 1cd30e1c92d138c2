"""Names of metrics: aliases, near misses, names of a later release, the generated page."""

import pytest

from engine.metrics.planned import PLANNED
from engine.metrics.registry import METRICS, UnknownMetric, names, resolve
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
    for name in ("relative_volume", "rvol_tod"):
        with pytest.raises(UnknownMetric, match=f"metric '{name}' needs 20 sessions of history"):
            resolve(name)


def test_no_name_means_two_things():
    every = [n for metric in METRICS for n in (metric.name, *metric.aliases)]
    assert len(every) == len(set(every)) == len(names())
    assert not set(every) & set(PLANNED)


def test_only_halt_and_band_metrics_let_a_rule_fire_for_a_halted_symbol():
    assert {m.name for m in METRICS if m.about_halt} == {"halted", "luld_up_pct", "luld_dn_pct"}


def test_every_input_that_is_a_metric_is_a_canonical_name():
    canonical = {metric.name for metric in METRICS}
    other = {
        "trades", "quotes", "final bars", "closes of final bars", "price per second",
        "price per minute", "volume per second", "volume per minute",
    }  # fmt: skip
    for metric in METRICS:
        assert set(metric.inputs) <= canonical | other, metric.name


def test_the_page_about_metrics_is_what_the_registry_says():
    assert metric_docs.PAGE.read_text() == metric_docs.page(), (
        "docs/metrics.md is stale: run python -m tools.metric_docs"
    )
    for metric in METRICS:
        assert f"`{metric.name}`" in metric_docs.page()
