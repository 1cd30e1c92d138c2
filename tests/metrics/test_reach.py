"""How far windows reach back, and whether they reach into a gap of the feed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.records import GAP_BAR_SHIFT, GAP_SECOND, NS_PER_MINUTE, NS_PER_SECOND
from engine.indicators.registry import INDICATORS
from engine.metrics.entry import HISTORY, INDICATOR, TIME, Metric
from engine.metrics.reach import (
    BARS,
    CLOSED_MINUTES,
    FORGOTTEN,
    MINUTES,
    NOWHERE,
    SECONDS,
    SESSION_CLOSE,
    SESSION_OPEN,
    SESSION_START,
    SINCE,
    Reach,
    bars_of_mean,
)
from engine.metrics.reach_nb import reaches_gap_nb
from engine.metrics.registry import METRICS, REACH, resolve

START_S = 1_381_219_200  # 2013-10-08 04:00 in New York
OPEN_S, CLOSE_S = START_S + 330 * 60, START_S + 720 * 60
SESSION = np.array([20131008, START_S, OPEN_S, CLOSE_S, CLOSE_S + 240 * 60]) * np.array(
    [1, *[NS_PER_SECOND] * 4]
)
NEVER = 0


def gap_word(end_ns: int, first_bar: int = 0) -> int:
    return first_bar << GAP_BAR_SHIFT | (end_ns // NS_PER_SECOND + 1)


def reaches(
    reach: Reach, gap: int, t_ns: int, closed_minute: int | None = None, bar_index: int = 0
) -> bool:
    if closed_minute is None:
        closed_minute = t_ns // NS_PER_MINUTE - 1
    found = reaches_gap_nb(reach.kind, reach.span, gap, bar_index, t_ns, closed_minute, SESSION)
    return bool(found)


def begins_ns(reach: Reach, t_ns: int, closed_minute: int) -> int | None:
    """The instant at which a window in time begins, None: there is none."""
    if reach.kind == NOWHERE:
        return None
    if reach.kind == SINCE:
        return {SESSION_START: START_S, SESSION_OPEN: OPEN_S, SESSION_CLOSE: CLOSE_S}[
            reach.span
        ] * NS_PER_SECOND
    begins = {
        SECONDS: (t_ns // NS_PER_SECOND - reach.span) * NS_PER_SECOND,
        MINUTES: (t_ns // NS_PER_MINUTE - reach.span) * NS_PER_MINUTE,
        CLOSED_MINUTES: (closed_minute - reach.span + 1) * NS_PER_MINUTE,
    }[reach.kind]
    return max(begins, START_S * NS_PER_SECOND)


IN_TIME = st.one_of(
    st.builds(Reach, st.sampled_from([SECONDS, MINUTES, CLOSED_MINUTES]), st.integers(1, 900)),
    st.builds(Reach, st.just(SINCE), st.sampled_from([SESSION_START, SESSION_OPEN, SESSION_CLOSE])),
    st.just(Reach(NOWHERE)),
)


@settings(max_examples=500, deadline=None)
@given(
    IN_TIME, st.integers(0, 960 * 60 * 10), st.integers(0, 2),
    st.integers(-3600 * 1000, 960 * 60 * 1000),
)  # fmt: skip
def test_a_window_reaches_into_a_gap_that_ended_at_or_after_its_beginning(
    reach: Reach, tenths: int, behind: int, end_ms: int
) -> None:
    t_ns = START_S * NS_PER_SECOND + tenths * NS_PER_SECOND // 10
    closed_minute = t_ns // NS_PER_MINUTE - 1 - behind
    end_ns = START_S * NS_PER_SECOND + end_ms * 1_000_000
    begins = begins_ns(reach, t_ns, closed_minute)
    expected = begins is not None and begins <= end_ns
    assert reaches(reach, gap_word(end_ns), t_ns, closed_minute) == expected
    assert not reaches(reach, NEVER, t_ns, closed_minute)


def test_a_window_of_bars_reaches_into_a_gap_until_as_many_bars_lie_behind_it() -> None:
    t_ns, gap = OPEN_S * NS_PER_SECOND, gap_word(OPEN_S * NS_PER_SECOND, first_bar=100)
    flags = [reaches(Reach(BARS, 20), gap, t_ns, bar_index=index) for index in (100, 119, 120, 500)]
    assert flags == [True, True, False, False]


def test_a_mean_that_forgets_reaches_over_all_but_a_hundredth_of_its_weight() -> None:
    for alpha in (2 / 21, 2 / 201, 1 / 14):
        bars = bars_of_mean(alpha)
        assert (1 - alpha) ** bars <= FORGOTTEN < (1 - alpha) ** (bars - 1)


def test_every_metric_over_windows_has_a_reach_and_no_value_of_the_moment_has_one() -> None:
    for metric in METRICS:
        if metric.source in (HISTORY, INDICATOR):
            assert metric.reach.kind != NOWHERE, metric.name
        if metric.source == TIME or metric.name in ("last", "bid", "chg_pct", "atr14", "halted"):
            assert metric.reach.kind == NOWHERE, metric.name
    told = [(metric.reach.kind, metric.reach.span) for metric in METRICS]
    assert [tuple(row) for row in REACH.tolist()] == told


def test_an_indicator_over_bars_reaches_over_at_least_its_warm_up() -> None:
    for indicator in INDICATORS:
        reach = resolve(indicator.name).reach
        assert (reach.kind == BARS) == (indicator.bars > 0), indicator.name
        if indicator.bars:
            assert reach.span >= indicator.bars, indicator.name


# vol_Nm is a difference of two sums since the morning: what both hold falls out
WHOLE = [metric for metric in METRICS if metric.source != HISTORY]


@pytest.mark.parametrize("metric", WHOLE, ids=lambda metric: metric.name)
def test_a_metric_reaches_at_least_as_far_as_its_inputs(metric: Metric) -> None:
    names = {one.name: one for one in METRICS}
    chance = np.random.default_rng(metric.column)
    for _ in range(200):
        t_s, end_s = chance.integers(START_S, CLOSE_S + 3600, 2)
        first_bar, bar_index = chance.integers(0, 900, 2)
        gap = gap_word(int(end_s) * NS_PER_SECOND, int(first_bar))
        for inner in metric.inputs:
            told = [
                reaches(one.reach, gap, int(t_s) * NS_PER_SECOND, bar_index=int(bar_index))
                for one in (names.get(inner, metric), metric)
            ]
            assert told[0] <= told[1], inner


def test_the_second_of_a_gap_has_room_for_any_time_of_this_century() -> None:
    assert GAP_SECOND > 4_102_444_800  # 2100
