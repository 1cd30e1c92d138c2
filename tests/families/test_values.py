"""Every kind on every timeframe against TA-Lib, published vectors and what it says about itself."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from engine.domain.family import TIMEFRAME_MINUTES
from engine.indicators.timeframes import enter_daily
from engine.metrics.family_kinds import KINDS
from engine.metrics.registry import resolve
from tests.families.oracle import Bars, by_talib, scale_of, walk
from tests.families.player import FIRST_MINUTE, FamilyPlayer, play

VECTORS = json.loads(
    gzip.decompress((Path(__file__).parents[1] / "data/indicator_vectors.json.gz").read_bytes())
)
KEYS = ("open", "high", "low", "close", "volume")


def written(name: str, minutes: int, suffix: str = "") -> str:
    """The family on another timeframe."""
    return name.replace("(", f"{suffix}(", 1)[:-1] + f",{minutes}m)"


def assert_equal(found: np.ndarray, wanted: np.ndarray, name: str, bars: Bars) -> None:
    assert np.array_equal(np.isnan(found), np.isnan(wanted)), name
    there = ~np.isnan(wanted)
    allowed = 1e-9 * np.maximum(np.abs(wanted[there]), scale_of(name, bars))
    assert (np.abs(found[there] - wanted[there]) <= allowed).all(), name


@pytest.mark.parametrize("minutes", TIMEFRAME_MINUTES)
@pytest.mark.parametrize("suffix", ["", "_rth"])
def test_every_kind_equals_talib_on_every_timeframe(minutes: int, suffix: str) -> None:
    bars = walk(150, seed=minutes)
    wanted = by_talib(bars)
    names = {name: written(name, minutes, suffix) for name in wanted}
    found = play(bars, list(names.values()), minutes)
    for name, values in wanted.items():
        assert_equal(found[names[name]], values, name, bars)


def test_every_kind_over_bars_is_compared() -> None:
    compared = {resolve(name).family.kind for name in by_talib(walk(60, 1))}
    assert compared == {name for name, kind in KINDS.items() if kind.periods}


def test_values_over_400_bars_with_flat_and_steep_parts_equal_talib() -> None:
    """Where TA-Lib calls 0/0 a number, ours is unknown."""
    bars = {key: np.array(VECTORS["input"][key], float) for key in KEYS}
    wanted = by_talib(bars)
    found = play(bars, list(wanted))
    for name, values in wanted.items():
        undefined = np.isnan(found[name]) & ~np.isnan(values)
        if name.split("(")[0] in {"r2", "mfi", "williams_r", "stoch_k", "stoch_d"}:
            assert undefined.sum() <= 8, name
            assert (values[undefined] == 0.0).all() or name.startswith("stoch"), name
        else:
            assert not undefined.any(), name
        known = np.where(undefined, np.nan, values)
        assert_equal(found[name], known, name, bars)


@pytest.mark.parametrize("edge", sorted(VECTORS["edges"]))
def test_edges_are_numbers_or_unknown_but_never_infinite(edge: str) -> None:
    given = VECTORS["edges"][edge]["input"]
    bars = {key: np.array(given[key], float) for key in KEYS}
    names = list(by_talib(walk(60, 1)))
    for name, values in play(bars, names).items():
        assert not np.isinf(values).any(), name


def test_a_flat_market_has_no_ratio_of_nothing() -> None:
    flat = {key: np.full(60, 10.0) for key in ("open", "high", "low", "close")}
    bars = flat | {"volume": np.full(60, 100.0)}
    unknown = [
        "rsi(7)", "adx(9)", "plus_di(14)", "minus_di(14)", "bb_pctb(15,2.5)", "r2(14)", "cci(20)",
        "mfi(14)", "williams_r(14)", "stoch_k(14,3,3)", "stoch_d(14,3,3)",
    ]  # fmt: skip
    exact = {
        "ema(34)": 10.0, "sma(30)": 10.0, "stddev(20)": 0.0, "bb_upper(15,2.5)": 10.0,
        "bb_width(15,2.5)": 0.0, "roc(10)": 0.0, "linreg_slope(14)": 0.0, "vwma(20)": 10.0,
        "atr(10)": 0.0, "macd_hist(8,17,5)": 0.0,
    }  # fmt: skip
    found = play(bars, [*unknown, *exact])
    assert all(np.isnan(found[name]).all() for name in unknown)
    for name, value in exact.items():
        assert found[name][-1] == value, name


def test_a_bar_without_volume_leaves_the_average_by_volume_unknown_only_if_all_are() -> None:
    bars = walk(12, 3) | {"volume": np.array([0.0] * 5 + [10.0] + [0.0] * 6)}
    found = play(bars, ["vwma(3)"])["vwma(3)"]
    assert np.isnan(found[[0, 1, 2, 3, 4]]).all()
    assert np.array_equal(found[5:8], np.full(3, bars["close"][5]))
    assert np.isnan(found[8:]).all()


def test_the_mean_of_a_long_period_is_known_when_enough_bars_have_come() -> None:
    bars = walk(420, 9)
    found = play(bars, ["ema(400)", "sma(254)"])
    wanted = {"ema(400)": by_talib(bars), "sma(254)": None}
    assert np.isnan(found["ema(400)"][:399]).all()
    assert found["ema(400)"][399] == pytest.approx(np.mean(bars["close"][:400]), rel=1e-12)
    assert np.isnan(found["sma(254)"][:253]).all()
    assert found["sma(254)"][-1] == pytest.approx(np.mean(bars["close"][-254:]), rel=1e-12)
    assert wanted


def test_every_symbol_has_values_of_its_own() -> None:
    names = list(by_talib(walk(60, 1)))
    many = [walk(70, seed) for seed in range(70)]
    player = FamilyPlayer(names, 70)
    for i in range(70):
        events = [
            player.final(s, FIRST_MINUTE + i, [bars[key][i] for key in KEYS[:4]], bars["volume"][i])
            for s, bars in enumerate(many)
            if (i + s) % 5  # a minute without a trade now and then
        ]
        player.step(events, FIRST_MINUTE + i)
    for s, bars in enumerate(many):
        there = [(i + s) % 5 != 0 for i in range(70)]
        thin = {key: bars[key][there] for key in KEYS}
        for name, values in by_talib(thin).items():
            assert_equal(np.array([player.family(name, s)]), values[-1:], name, thin)


# -- the forming bar -------------------------------------------------------------------------------
def test_live_values_are_those_of_the_final_bars_and_the_forming_one() -> None:
    names = list(by_talib(walk(60, 1)))
    lively = [written(name, 5)[:-1] + ",live)" for name in names]
    player = FamilyPlayer(lively, 1)
    bars = walk(300, 21)
    begin = -(-FIRST_MINUTE // 60) * 60
    parts: list[tuple[float, ...]] = []
    for i in range(299):
        ohlc = [bars[key][i] for key in KEYS[:4]]
        if i % 7:
            player.step([player.final(0, begin + i, ohlc, bars["volume"][i])], begin + i)
        else:
            player.step([], begin + i)
        parts.append((*ohlc[1:], bars["volume"][i]) if i % 7 else ())
        if i < 250 or i % 3:
            continue
        player.open_minute(0, begin + i + 1, [bars[key][i + 1] for key in KEYS[:4]], 77.0)
        player.step([], begin + i)
        opened = (*[bars[key][i + 1] for key in KEYS[1:4]], 77.0)
        series = _whole([*parts, opened])
        player.no_open_minute(0)
        for name, lived in zip(names, lively, strict=True):
            wanted = by_talib(series)[name][-1:]
            assert_equal(np.array([player.family(lived)]), wanted, name, series)


def _whole(parts: list[tuple[float, ...]]) -> Bars:
    """Bars of 5 minutes of these minutes, the last one as far as it is."""
    rows = []
    for at in range(0, len(parts), 5):
        inside = [part for part in parts[at : at + 5] if part]
        if inside:
            high, low, close, volume = zip(*inside, strict=True)
            rows.append((max(high), min(low), close[-1], sum(volume)))
    return dict(zip(KEYS[1:], np.array(rows).T, strict=True))


def test_without_a_forming_bar_live_is_the_newest_final_one() -> None:
    bars = walk(60, 4)
    names = ["ema(9)", "rsi(7)", "sma(12)", "supertrend(10,3)", "adx(9)"]
    lively = [name[:-1] + ",live)" for name in names]
    found = play(bars, [*names, *lively])
    for name, lived in zip(names, lively, strict=True):
        assert np.array_equal(found[name], found[lived], equal_nan=True)


@pytest.mark.parametrize("days", [1, 50, 64, 300])
def test_daily_families_equal_talib_over_the_daily_bars_of_a_genesis(days: int) -> None:
    bars = walk(days, 33)
    names = {name: name[:-1] + ",D)" for name in by_talib(walk(60, 1))}
    player = FamilyPlayer(list(names.values()), 1)
    frames, copies = player.tables.frames, player.tables.frames.marks
    arrays = {
        "frame_closes": frames.closes, "frame_ranges": frames.ranges, "frame_marks": copies[0],
    }  # fmt: skip
    rows = np.zeros(days, [(key, "f8") for key in KEYS])
    for key in KEYS:
        rows[key] = bars[key]
    enter_daily(arrays, np.array([0]), [rows])
    copies[1] = copies[0]
    player.step([], FIRST_MINUTE)
    held = {key: values[-62:] for key, values in bars.items()}  # more closes, but no more ranges
    for name, daily in names.items():
        long = name.startswith(("ema", "rsi", "macd"))
        seen = {key: values[-254:] for key, values in bars.items()} if long else held
        wanted = by_talib(seen)[name][-1:] if days > 1 else np.full(1, np.nan)
        assert_equal(np.array([player.family(daily)]), wanted, name, seen)


def test_daily_families_are_unknown_until_daily_bars_are_loaded() -> None:
    found = play(walk(40, 4), ["ema(20,D)", "rsi(7,D)"])
    assert all(np.isnan(values).all() for values in found.values())
