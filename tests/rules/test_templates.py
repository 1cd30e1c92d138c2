"""Templates: every one is a rule, says what it means, and fires as often as it says."""

import os
import random
from pathlib import Path

import pytest

from engine.rules.compiler import compile_rules
from engine.rules.errors import ChangeError
from engine.rules.limits import DEFAULT_LIMITS
from engine.rules.rule_set import set_faults
from engine.rules.template import (
    UnknownTemplateError,
    document,
    find_template,
    rate,
    rates,
    rule_of,
    templates,
)
from engine.rules.validate import read_rule
from tools import template_docs
from tools.template_rates import PART_MINUTES, measure_bars, measure_simulator, of_source

BARS = "bars_1m_av99_2025-01.csv.gz"
SAMPLES = Path(os.environ.get("TAPESCAN_SAMPLES", Path(__file__).parents[2] / "data"))


def test_there_are_many_and_all_of_them_run_together() -> None:
    rules = [rule_of(one) for one in templates().values()]
    assert len(rules) >= 40
    assert not set_faults(rules, DEFAULT_LIMITS)
    assert len(compile_rules(rules)) == len(rules)
    assert all(rule.template == rule.id for rule in rules)


def test_every_template_tells_what_it_means_in_sentences() -> None:
    for one in templates().values():
        assert one.tags and one.name, one.id
        for text in (one.what, one.useful, *(param.means + "." for param in one.params.values())):
            assert text.endswith(".") and len(text) > 5, (one.id, text)
        assert one.what != one.useful and len(one.what) > 20, one.id


@pytest.mark.parametrize("end", ["min", "max"])
def test_every_parameter_can_be_taken_to_its_bounds(end: str) -> None:
    for one in templates().values():
        for name, param in one.params.items():
            assert param.min <= param.default <= param.max, (one.id, name)
            value = getattr(param, end)
            made = read_rule(document(one, "mine", {name: value}), DEFAULT_LIMITS)
            assert (made.id, made.template) == ("mine", one.id)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("gap", 5.0, "template 'gap-up' has no parameter 'gap'; it has gap_pct."),
        ("gap_pct", 101.0, "gap_pct = 101 of template 'gap-up' must be 0.2 to 100."),
        ("gap_pct", float("nan"), "gap_pct = nan of template 'gap-up' must be 0.2 to 100."),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_sentence(name: str, value: float, told: str) -> None:
    with pytest.raises(ChangeError) as refused:
        document(find_template("gap-up"), values={name: value})
    assert str(refused.value) == told


def test_a_part_of_a_bar_is_refused() -> None:
    with pytest.raises(ChangeError, match=r"2\.5 of template .rising-candles. must be whole"):
        document(find_template("rising-candles"), values={"bars": 2.5})


def test_an_unknown_template_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownTemplateError, match="no template 'gap_up'; did you mean gap-up"):
        find_template("gap_up")


def test_the_page_is_that_of_the_templates() -> None:
    page = template_docs.PAGE.read_text(encoding="utf-8")
    assert page == template_docs.page(), "write it again: python -m tools.template_docs"


def test_every_template_has_a_rate_and_nothing_else_has() -> None:
    assert all(rate(one) is not None for one in templates().values())
    for name, source in rates().items():
        assert set(source.alerts) == {one.id for one in of_source(name)}
        assert source.symbol_days > 0 and source.command.startswith("python -m")
    quiet = [one.id for one in of_source("bars") if not rate(one)]
    assert not quiet, "they never fired on a month of bars"


def test_the_first_part_of_the_simulated_day_gives_the_alerts_that_are_told() -> None:
    found = measure_simulator(of_source("simulator"), PART_MINUTES)
    assert found.part_alerts == rates()["simulator"].part_alerts == found.alerts


def test_a_tenth_of_the_templates_gives_the_alerts_that_are_told_on_bars() -> None:
    path = SAMPLES / BARS
    if not path.is_file():
        pytest.skip(f"{BARS} is not there: TAPESCAN_SAMPLES names no directory that has it")
    bars = of_source("bars")
    chosen = random.Random(10).sample(bars, len(bars) // 10)
    told = rates()["bars"].alerts
    assert measure_bars(path, chosen).alerts == {one.id: told[one.id] for one in chosen}
