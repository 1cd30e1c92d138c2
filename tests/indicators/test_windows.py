"""Windows in time: rolling VWAP and volume ratios against sums over the minutes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.indicators.player import FIRST_MINUTE, Player
from tests.indicators.reference import rolling_vwap, volume_ratio


def bar(price):
    return (price, price, price, price)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), quiet=st.sampled_from([0.1, 0.6, 0.97]))
def test_rolling_vwap_and_volume_ratios_equal_sums_over_the_minutes(seed, quiet):
    rng = np.random.default_rng(seed)
    player = Player(2)
    sums: dict[int, tuple[float, float]] = {}
    volumes: dict[int, float] = {}
    for i in range(170):
        minute, events = FIRST_MINUTE + i, []
        if rng.random() > quiet:
            volume, price = float(rng.integers(1, 10_000)), float(rng.uniform(1e-4, 600_000))
            events.append(player.final(1, minute, bar(price), volume, pv=volume * price))
            sums[minute], volumes[minute] = (volume * price, volume), volume
        player.step(events, minute)
        for minutes in (5, 15, 60):
            want = rolling_vwap(sums, minute, minutes)
            got = player.value(f"vwap_{minutes}m", 1)
            assert got == pytest.approx(want, rel=1e-12, nan_ok=True)
            mean, ratio = volume_ratio(volumes, minute, minutes, FIRST_MINUTE)
            assert player.value(f"avg_vol_{minutes}m", 1) == pytest.approx(mean, nan_ok=True)
            assert player.value(f"vol_ratio_{minutes}m", 1) == pytest.approx(ratio, nan_ok=True)
    assert math.isnan(player.value("vwap_60m", 0))


def test_a_volume_ratio_needs_five_windows_before_the_latest_one():
    player = Player(1)
    known = []
    for i in range(130):
        minute = FIRST_MINUTE + i
        player.step([player.final(0, minute, bar(5.0), 100.0)], minute)
        known.append([not math.isnan(player.value(f"vol_ratio_{m}m")) for m in (5, 15, 60)])
    first = [[row[i] for row in known].index(True) if any(r[i] for r in known) else None
             for i in range(3)]  # fmt: skip
    assert first == [29, 89, None]
    assert player.value("vol_ratio_5m") == 1.0
    assert player.value("avg_vol_5m") == 500.0


def test_a_ratio_over_windows_without_any_trade_is_unknown_and_their_mean_is_0():
    player = Player(2)
    for i in range(60):
        events = [player.final(0, FIRST_MINUTE + i, bar(5.0), 10.0)] if i >= 55 else []
        player.step(events, FIRST_MINUTE + i)
    assert player.value("avg_vol_5m") == 0.0
    assert math.isnan(player.value("vol_ratio_5m"))


def test_windows_start_with_the_engine_when_it_starts_inside_the_session():
    player = Player(1)
    player.tables.session["start_ns"] -= 300 * 60 * 10**9
    for i in range(30):
        player.step([player.final(0, FIRST_MINUTE + i, bar(5.0), 10.0)], FIRST_MINUTE + i)
        assert math.isnan(player.value("vol_ratio_5m")) == (i < 29)


def test_cumulative_volumes_beyond_32_bits_wrap_unnoticed():
    player = Player(1)
    for i in range(40):
        event = player.final(0, FIRST_MINUTE + i, bar(5.0), 3e8)
        player.step([event], FIRST_MINUTE + i)
    assert int(player.cumulative[0]) > 2**32
    assert player.value("avg_vol_5m") == 1.5e9
    assert player.value("vol_ratio_5m") == 1.0


def test_a_cancel_of_an_older_trade_makes_no_window_of_four_thousand_million_shares():
    player = Player(1)
    for i in range(60):
        player.step([player.final(0, FIRST_MINUTE + i, bar(5.0), 100.0)], FIRST_MINUTE + i)
        if i == 40:
            player.cumulative[0] -= 700  # more than the window's own volume
    assert player.value("avg_vol_5m") < 500.0
    assert 0.0 <= player.value("vol_ratio_5m") < 2.0


def test_fractions_of_shares_leave_no_rest_in_a_window_that_is_empty_again():
    player = Player(1)
    for i in range(75):
        minute, size = FIRST_MINUTE + i, (0.1, 0.2, 0.7, 0.3)[i % 4]
        events = [player.final(0, minute, bar(10.0), size, pv=10.0 * size)] if i < 9 else []
        player.step(events, minute)
        for minutes in (5, 15, 60):
            want = 10.0 if i - minutes < 8 else math.nan
            got = player.value(f"vwap_{minutes}m")
            assert got == pytest.approx(want, rel=1e-12, nan_ok=True), (i, minutes)


def test_several_minutes_closed_in_one_cycle_are_all_in_the_windows():
    player, sums = Player(1), {}
    minute = FIRST_MINUTE
    for jump in (1, 1, 4, 1, 30, 1, 70, 1):
        events = []
        for m in range(minute, minute + jump):
            events.append(player.final(0, m, bar(float(m - FIRST_MINUTE + 1)), 7.0))
            sums[m] = (7.0 * (m - FIRST_MINUTE + 1), 7.0)
        minute += jump
        player.step(events, minute - 1)
        for minutes in (5, 15, 60):
            want = rolling_vwap(sums, minute - 1, minutes)
            assert player.value(f"vwap_{minutes}m") == pytest.approx(want, rel=1e-13)


def test_a_bar_closed_before_its_minute_is_over_joins_the_windows_with_its_minute():
    player = Player(1)
    player.step([player.final(0, FIRST_MINUTE, bar(5.0), 10.0)], FIRST_MINUTE)
    player.step([player.final(0, FIRST_MINUTE + 1, bar(9.0), 10.0)])
    assert player.value("vwap_5m") == 5.0
    player.step([], FIRST_MINUTE + 1)
    assert player.value("vwap_5m") == 7.0
