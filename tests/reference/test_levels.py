"""Levels and baselines against plain Python, on random days."""

import datetime
import math

import numpy as np
import pytest

from engine.domain.levels import (
    BASELINE_MINUTES,
    BASELINE_OPEN,
    LEVEL,
    SPLIT_RATIOS,
    looks_like_split,
)
from engine.domain.market_hours import date_number
from engine.reference.baselines import baseline
from engine.reference.levels import (
    Days,
    adjusted,
    beta,
    daily_atr,
    jumps,
    levels_of,
    previous_close,
    short_sales_restricted,
)
from engine.storage.reference_ports import DAILY, DayVolume, Split

talib = pytest.importorskip("talib", reason="TA-Lib is not installed")


def weekdays(last: datetime.date, count: int) -> list[int]:
    found, day = [], last
    while len(found) < count:
        if day.weekday() < 5:
            found.append(date_number(day))
        day -= datetime.timedelta(days=1)
    return found[::-1]


TODAY = datetime.date(2025, 6, 18)  # a Wednesday
DATES = weekdays(TODAY - datetime.timedelta(days=1), 400)
DAYS = Days(date_number(TODAY), np.array(DATES))


def some_bars(seed: int, count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bars = np.zeros(count, DAILY)
    bars["date"] = DATES[400 - count :]
    bars["close"] = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, count)))
    bars["open"] = bars["close"] * rng.uniform(0.99, 1.01, count)
    bars["high"] = np.maximum(bars["open"], bars["close"]) * rng.uniform(1, 1.02, count)
    bars["low"] = np.minimum(bars["open"], bars["close"]) * rng.uniform(0.98, 1, count)
    bars["volume"] = rng.integers(1, 10**7, count)
    return bars


def value(name: str, bars: np.ndarray, days: Days = DAYS) -> float:
    return float(levels_of(bars, days)[LEVEL[name]])


@pytest.mark.parametrize("seed", range(10))
def test_levels_equal_what_plain_loops_say(seed: int) -> None:
    bars = some_bars(seed)
    rows = [{name: float(bar[name]) for name in DAILY.names or ()} for bar in bars]
    last = rows[-1]
    assert value("pdh", bars) == last["high"] and value("pdl", bars) == last["low"]
    assert value("pivot", bars) == pytest.approx((last["high"] + last["low"] + last["close"]) / 3)
    for n in (5, 10, 20, 30, 63):
        assert value(f"adv_{n}", bars) == pytest.approx(sum(r["volume"] for r in rows[-n:]) / n)
    for n in (2, 3, 5, 10, 20, 60, 250):
        assert value(f"close_{n}d", bars) == rows[-n]["close"]
    assert value("high_52w", bars) == max(r["high"] for r in rows[-252:])
    assert value("low_52w", bars) == min(r["low"] for r in rows[-252:])
    assert value("ath", bars) == max(r["high"] for r in rows)
    adr = sum(100 * (r["high"] / r["low"] - 1) for r in rows[-20:]) / 20
    assert value("adr20_pct", bars) == pytest.approx(adr)
    ranges = [r["high"] - r["low"] for r in rows]
    assert value("nr4", bars) == (ranges[-1] < min(ranges[-4:-1]))
    assert value("nr7", bars) == (ranges[-1] < min(ranges[-7:-1]))
    inside = last["high"] <= rows[-2]["high"] and last["low"] >= rows[-2]["low"]
    assert value("inside_day", bars) == inside
    by_date = {int(r["date"]): r["close"] for r in rows}
    assert value("close_week", bars) == by_date[20250613]
    assert value("close_month", bars) == by_date[20250530]
    assert value("close_year", bars) == by_date[20241231]
    assert previous_close(bars, DAYS) == last["close"]


def test_steps_are_the_highs_above_all_later_ones_back_to_a_missing_session() -> None:
    for seed in range(10):
        bars = some_bars(seed)
        hole = 60 + 7 * seed  # sessions back
        bars = np.delete(bars, 400 - hole)
        levels = levels_of(bars, DAYS)
        for name, better in (("high", max), ("low", min)):
            steps, best = [], math.nan
            for ago in range(1, hole):
                price = float(bars[name][-ago])
                if math.isnan(best) or better(price, best) != best:
                    steps.append((price, float(ago)))
                    best = price
            for k in range(16):
                got = levels[LEVEL[f"{name}_step_{k}"]], levels[LEVEL[f"{name}_step_{k}_ago"]]
                if k < len(steps):
                    assert got == steps[k], (seed, name, k)
                else:
                    assert np.isnan(got).all()


@pytest.mark.parametrize("count", [15, 16, 40, 252])
def test_the_daily_atr_is_that_of_ta_lib(count: int) -> None:
    bars = some_bars(3, count)
    expected = talib.ATR(bars["high"].copy(), bars["low"].copy(), bars["close"].copy(), 14)[-1]
    assert daily_atr(bars, DAYS) == pytest.approx(expected, rel=1e-12)


def test_the_daily_atr_of_a_young_symbol_is_unknown() -> None:
    assert math.isnan(daily_atr(some_bars(3, 14), DAYS))
    assert math.isnan(daily_atr(some_bars(3, 0), DAYS))


def test_history_that_ends_before_yesterday_says_nothing_about_yesterday() -> None:
    bars = some_bars(4)[:-1]
    for name in ("pdh", "pdl", "pivot", "nr4", "inside_day"):
        assert math.isnan(value(name, bars)), name
    assert math.isnan(previous_close(bars, DAYS)) and math.isnan(daily_atr(bars, DAYS))
    assert short_sales_restricted(bars, DAYS) is None
    assert value("adv_20", bars) == pytest.approx(bars["volume"][-19:].mean())
    assert value("close_2d", bars) == bars["close"][-1]


def test_a_window_with_more_than_a_fifth_missing_is_unknown() -> None:
    bars = some_bars(5)
    fewer = bars[[i for i in range(400) if i < 380 or i % 5 == 0 or i == 399]]
    assert math.isnan(value("adv_20", fewer)) and math.isnan(value("adv_10", fewer))
    assert not math.isnan(value("high_52w", fewer))
    assert math.isnan(value("high_52w", bars[-190:]))


def test_highs_of_days_that_told_only_a_close_are_unknown() -> None:
    bars = some_bars(6)
    bars["open"][-1] = bars["high"][-1] = bars["low"][-1] = math.nan
    for name in ("pdh", "pivot", "high_52w", "ath", "adr20_pct", "nr4", "inside_day"):
        assert math.isnan(value(name, bars)), name
    assert previous_close(bars, DAYS) == bars["close"][-1]
    assert short_sales_restricted(bars, DAYS) is None


def test_a_fall_of_a_tenth_restricts_short_sales_the_next_day() -> None:
    bars = some_bars(7)
    bars["close"][-2], bars["low"][-1] = 20.1, 18.09
    assert short_sales_restricted(bars, DAYS) is True
    bars["low"][-1] = 18.10
    assert short_sales_restricted(bars, DAYS) is False


def test_beta_is_the_slope_of_the_returns() -> None:
    benchmark, rng = some_bars(8), np.random.default_rng(1)
    bars = some_bars(9)
    returns = benchmark["close"][1:] / benchmark["close"][:-1] - 1
    mine = 1.7 * returns + rng.normal(0, 1e-4, len(returns))
    bars["close"] = 30 * np.concatenate([[1.0], np.cumprod(1 + mine)])
    x, y = returns[-60:], bars["close"][-60:] / bars["close"][-61:-1] - 1
    assert beta(bars, benchmark, DAYS) == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-9)
    assert beta(benchmark, benchmark, DAYS) == pytest.approx(1.0)
    assert math.isnan(beta(bars[-40:], benchmark, DAYS))


def test_splits_divide_prices_and_multiply_volumes_before_their_date() -> None:
    bars = some_bars(10, 10)
    split = Split(ticker="A", date=int(bars["date"][6]), ratio=10.0)
    later = Split(ticker="A", date=DAYS.date + 1, ratio=7.0)
    found = adjusted(bars, [split, later], DAYS.date)
    assert found["close"][:6].tolist() == (bars["close"][:6] / 10).tolist()
    assert found["volume"][:6].tolist() == (bars["volume"][:6] * 10).tolist()
    assert found["high"][6:].tolist() == bars["high"][6:].tolist()
    today = Split(ticker="A", date=DAYS.date, ratio=0.5)
    assert adjusted(bars, [today], DAYS.date)["close"].tolist() == (bars["close"] * 2).tolist()


@pytest.mark.parametrize("ratio", [2, 10, 0.125, 20, 3])
def test_a_jump_like_a_split_is_found_until_somebody_says_what_it_was(ratio: float) -> None:
    bars = some_bars(11, 30)
    for name in ("open", "high", "low", "close"):
        bars[name][:20] *= ratio
    bars["open"][20] = bars["close"][19] / ratio * 1.005
    (jump,) = jumps("A", bars, [])
    assert (jump.ticker, jump.date, jump.ratio) == ("A", int(bars["date"][20]), ratio)
    for told in (ratio, 1.0):
        splits = [Split(ticker="A", date=jump.date, ratio=told)]
        assert jumps("A", adjusted(bars, splits, DAYS.date), splits) == []


def test_only_jumps_near_a_ratio_of_a_split_look_like_one() -> None:
    for ratio in SPLIT_RATIOS.tolist():
        for near in (1.009, 1.0, 0.992):
            assert looks_like_split(ratio * near) == pytest.approx(1 / ratio)
            assert looks_like_split(1 / ratio * near) == ratio
    assert looks_like_split(114.273 / 1154.23) == 10.0, "a split of 10 on a day that falls by 1 %"
    for jump in (1.0, 1.5, 0.6, 2.05, 0.48, 3.05, 3.5, 5.4, 9.0, 11.0, 0.0, -1.0, math.nan):
        assert looks_like_split(jump) == 0.0, jump


def day_volume(date: int, rng: np.random.Generator, regular_only: bool = False) -> DayVolume:
    minutes = rng.integers(0, 1000, BASELINE_MINUTES).astype(np.float32)
    if regular_only:
        minutes[:BASELINE_OPEN] = 0
        minutes[BASELINE_OPEN + 390 :] = 0
    return DayVolume(ticker="A", date=date, regular_only=regular_only, minutes=minutes)


def test_a_baseline_is_the_mean_of_the_sessions_that_count() -> None:
    rng = np.random.default_rng(2)
    volumes = [day_volume(date, rng) for date in DATES[-30:]]
    counted = DATES[-20:]
    mean, every, regular = baseline(volumes, counted, [], DAYS.date)
    total = [0.0] * BASELINE_MINUTES
    for day in volumes[-20:]:
        so_far = 0.0
        for minute in range(BASELINE_MINUTES):
            so_far += float(day.minutes[minute])
            total[minute] += so_far / 20
    assert (every, regular) == (20, 20)
    assert mean.tolist() == pytest.approx(total, rel=1e-6)
    split = Split(ticker="A", date=DATES[-10], ratio=4.0)
    scaled, _, _ = baseline(volumes, counted, [split], DAYS.date)
    plain = sum(float(d.minutes.sum()) * (4 if d.date < split.date else 1) for d in volumes[-20:])
    assert scaled[-1] == pytest.approx(plain / 20, rel=1e-6)


def test_a_baseline_of_regular_hours_says_nothing_about_the_others() -> None:
    rng = np.random.default_rng(3)
    volumes = [day_volume(date, rng, regular_only=True) for date in DATES[-18:]]
    volumes += [day_volume(date, rng) for date in DATES[-20:-18]]
    mean, every, regular = baseline(volumes, DATES[-20:], [], DAYS.date)
    assert (every, regular) == (0, 20)
    assert mean[BASELINE_OPEN - 1] == 0
    usual = sum(float(day.minutes[BASELINE_OPEN:].sum()) for day in volumes) / 20
    assert mean[-1] == pytest.approx(usual, rel=1e-6)
    nothing, every, regular = baseline([], DATES[-20:], [], DAYS.date)
    assert np.isnan(nothing).all() and every == regular == 0
