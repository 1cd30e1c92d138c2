"""Ranking against a plain sort, ties, unknown, hysteresis; deltas; the system's lists."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.toplists.definition import Definition, Filters, metrics_of, validated
from engine.toplists.delta import apply_delta, delta_between
from engine.toplists.errors import ToplistError
from engine.toplists.ranking import Row, rank
from engine.toplists.system import SYSTEM_TYPES, system_toplist, windows_of

NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.just(math.nan))


def ranked(values: list[float], listed: tuple[str, ...] = (), **members: object) -> tuple[Row, ...]:
    whole = {"id": "t", "name": "t", "metric": "chg_pct", "columns": ("chg_pct",), **members}
    definition = validated(Definition(**whole))  # type: ignore[arg-type]
    tickers = np.array([f"S{at:03d}" for at in range(len(values))], dtype=object)
    by_metric = {name: np.array(values) for name in metrics_of(definition)}
    return rank(definition, tickers, by_metric, listed)


def symbols(rows: tuple[Row, ...]) -> list[str]:
    return [row.symbol for row in rows]


@given(st.lists(NUMBERS, max_size=40), st.integers(1, 20), st.sampled_from(["asc", "desc"]))
def test_a_ranking_is_the_head_of_a_plain_sort(values: list[float], limit: int, order: str) -> None:
    sign = -1 if order == "desc" else 1
    known = [at for at in range(len(values)) if not math.isnan(values[at])]
    expected = sorted(known, key=lambda at: (sign * values[at], at))[:limit]
    rows = ranked(values, limit=limit, sort_order=order)
    assert symbols(rows) == [f"S{at:03d}" for at in expected]
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))


def test_a_listed_symbol_stays_while_it_is_within_the_band() -> None:
    values = [9.0, 8.0, 7.0, 6.0, 5.0]
    assert symbols(ranked(values, ("S003",), limit=3, hysteresis=1)) == ["S000", "S001", "S003"]
    assert symbols(ranked(values, ("S004",), limit=3, hysteresis=1)) == ["S000", "S001", "S002"]


def test_unknown_keeps_no_bound_and_both_ends_count() -> None:
    rows = ranked([1.0, 2.0, 3.0, math.nan], filters=Filters(price_min=1.0, price_max=2.0))
    assert symbols(rows) == ["S001", "S000"]


@given(st.lists(NUMBERS, max_size=15), st.lists(NUMBERS, max_size=15), st.integers(1, 9))
def test_a_delta_applied_gives_the_next_ranking(
    before: list[float], after: list[float], limit: int
) -> None:
    old = ranked(before, limit=limit)
    new = ranked(after, tuple(symbols(old)), limit=limit, hysteresis=min(2, limit - 1))
    assert apply_delta(old, delta_between(old, new)) == new


@pytest.mark.parametrize("toplist_type", SYSTEM_TYPES)
def test_every_system_list_is_sound_in_every_window(toplist_type: str) -> None:
    for window in windows_of(toplist_type):
        assert system_toplist(toplist_type, window).id == f"{toplist_type}:{window}"


@pytest.mark.parametrize(
    ("members", "key"),
    [
        ({"limit": 501}, "limit"),
        ({"limit": 3, "hysteresis": 3}, "hysteresis"),
        ({"columns": ("nope",)}, "columns"),
        ({"filters": Filters(price_min=2.0, price_max=1.0)}, "filters.price_min"),
        ({"filters": Filters(min_volume=math.inf)}, "filters.min_volume"),
        ({"metric": "nope"}, "metric"),
        ({"metric": "ema(20, 5m)"}, "metric"),
    ],
)
def test_a_fault_names_its_key(members: dict[str, object], key: str) -> None:
    whole = {"id": "t", "name": "t", "metric": "last", **members}
    with pytest.raises(ToplistError) as fault:
        validated(Definition(**whole))  # type: ignore[arg-type]
    assert fault.value.key == key


def test_an_unknown_type_or_window_is_refused_by_name() -> None:
    with pytest.raises(ToplistError, match="type: 'winners' is not one of"):
        system_toplist("winners")
    with pytest.raises(ToplistError, match="window: gainers has 1m"):
        system_toplist("gainers", "2m")
