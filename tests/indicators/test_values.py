"""Indicators over bars against published vectors, TA-Lib and a plain reference."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SOAK
from tests.indicators.player import FIRST_MINUTE, Player, play_series
from tests.indicators.reference import all_bar_indicators

talib = pytest.importorskip("talib", reason="TA-Lib is not installed")

VECTORS = Path(__file__).parents[1] / "data" / "indicator_vectors.json.gz"
NAMES = {
    "rsi(14)": "RSI_14",
    "ema(20)": "EMA_20",
    "ema(50)": "EMA_50",
    "ema(200)": "EMA_200",
    "sma(20)": "SMA_20",
    "sma(50)": "SMA_50",
    "sma(200)": "SMA_200",
    "atr(14)": "ATR_14",
    "macd": "MACD_12_26_9.macd",
    "macd_signal": "MACD_12_26_9.signal",
    "macd_hist": "MACD_12_26_9.hist",
    "bb_upper": "BBANDS_20_2.upper",
    "bb_middle": "BBANDS_20_2.middle",
    "bb_lower": "BBANDS_20_2.lower",
}


def vectors():
    with gzip.open(VECTORS, "rt") as file:
        return json.load(file)


def as_arrays(table):
    return {key: np.array(table[key], np.float64) for key in ("open", "high", "low", "close",
                                                              "volume")}  # fmt: skip


def unknown_as_nan(values):
    return np.array([math.nan if v is None else v for v in values])


def assert_close(name, got, want, scale=0.0):
    assert (np.isnan(got) == np.isnan(want)).all(), f"{name}: known at other bars"
    with np.errstate(invalid="ignore"):
        off = np.abs(got - want) > 1e-9 * np.maximum(np.abs(want), scale)
    assert not off.any(), f"{name} differs at {np.flatnonzero(off)[:5]}"


def by_talib(bars):
    high, low, close = bars["high"], bars["low"], bars["close"]
    out = {"rsi(14)": talib.RSI(close, 14), "atr(14)": talib.ATR(high, low, close, 14)}
    for period in (20, 50, 200):
        out[f"ema({period})"] = talib.EMA(close, period)
        out[f"sma({period})"] = talib.SMA(close, period)
    out["macd"], out["macd_signal"], out["macd_hist"] = talib.MACD(close, 12, 26, 9)
    out["bb_upper"], out["bb_middle"], out["bb_lower"] = talib.BBANDS(close, 20, 2.0, 2.0)
    return out


def random_bars(seed, count, price, step):
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, step, count) * (rng.random(count) < 0.8)
    close = price * np.exp(np.cumsum(moves))
    wick = np.abs(rng.normal(0, step, (2, count))) * close
    opens = np.concatenate(([price], close[:-1]))
    return {
        "open": opens,
        "high": np.maximum(opens, close) + wick[0],
        "low": np.minimum(opens, close) - wick[1] * 0.1,
        "close": close,
        "volume": rng.integers(1, 10_000, count).astype(np.float64),
    }


def test_all_outputs_equal_the_published_vectors():
    table = vectors()
    got = play_series(as_arrays(table["input"]), list(NAMES))
    for name, key in NAMES.items():
        want = unknown_as_nan(table["outputs"][key]["talib"])
        scale = 1.0 if name.startswith("macd") else 0.0  # a difference of prices near 100
        assert_close(name, got[name], want, scale)


@pytest.mark.parametrize("edge", ["flat_40", "rising_40", "falling_40", "subpenny_40", "large_40"])
def test_edge_series_follow_talib_except_where_it_divides_0_by_0(edge):
    table = vectors()["edges"][edge]
    names = [name for name, key in NAMES.items() if key in table["outputs"]]
    got = play_series(as_arrays(table["input"]), names)
    for name in names:
        if edge == "flat_40" and name == "rsi(14)":
            assert np.isnan(got[name]).all()
        else:
            assert_close(name, got[name], unknown_as_nan(table["outputs"][NAMES[name]]["talib"]))


def test_bollinger_bands_of_equal_closes_are_exactly_the_close():
    bars = {key: np.full(30, 0.1) for key in ("open", "high", "low", "close", "volume")}
    got = play_series(bars, ["bb_upper", "bb_middle", "bb_lower"])
    for values in got.values():
        assert np.isnan(values[:19]).all()
        assert (values[19:] == 0.1).all()


@settings(max_examples=120 if SOAK else 12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    price=st.sampled_from([2.4e-7, 0.0301, 7.0, 123.45, 600_000.0]),
    step=st.sampled_from([1e-5, 1e-3, 0.05]),
)
def test_random_bars_equal_talib_and_the_plain_reference(seed, price, step):
    bars = random_bars(seed, 320, price, step)
    got = play_series(bars, list(NAMES))
    for want in (by_talib(bars), all_bar_indicators(bars)):
        for name in NAMES:
            # A difference of EMAs is as exact as the prices it is made of.
            scale = float(np.max(bars["close"])) if name.startswith("macd") else 0.0
            assert_close(name, got[name], want[name], scale)


def test_long_sums_do_not_drift_after_prices_fall_by_nine_orders():
    closes = np.concatenate((np.full(300, 600_000.1), random_bars(5, 900, 2e-4, 0.01)["close"]))
    bars = dict.fromkeys(("open", "high", "low", "close", "volume"), closes)
    got = play_series(bars, ["sma(20)", "sma(50)", "sma(200)"])
    for period in (20, 50, 200):
        want = math.fsum(closes[-period:]) / period
        assert got[f"sma({period})"][-1] == pytest.approx(want, rel=1e-15)


def test_every_value_is_unknown_until_its_warm_up():
    bars = random_bars(1, 210, 50.0, 1e-3)
    got = play_series(bars, list(NAMES))
    first = {name: int(np.flatnonzero(~np.isnan(values))[0]) for name, values in got.items()}
    assert first == {
        "rsi(14)": 14, "ema(20)": 19, "ema(50)": 49, "ema(200)": 199, "sma(20)": 19,
        "sma(50)": 49, "sma(200)": 199, "atr(14)": 14, "macd": 33, "macd_signal": 33,
        "macd_hist": 33, "bb_upper": 19, "bb_middle": 19, "bb_lower": 19,
    }  # fmt: skip


def test_a_missed_bar_makes_everything_warm_up_again():
    player = Player(1)
    for i in range(40):
        minute = FIRST_MINUTE + i
        player.step([player.final(0, minute, (9.0, 9.1, 8.9, 9.0 + i % 3))], minute)
    assert not math.isnan(player.value("sma(20)"))
    player.next_index[0] += 1
    player.step([player.final(0, FIRST_MINUTE + 41, (9.0, 9.1, 8.9, 9.0))], FIRST_MINUTE + 41)
    assert all(math.isnan(player.value(name)) for name in NAMES)
