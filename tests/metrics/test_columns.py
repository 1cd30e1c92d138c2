"""Every metric column against the plain model, on rows made by hypothesis."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.levels import LEVELS
from engine.errors import EngineError
from engine.metrics.registry import INDICATOR_NAMES
from tests.conftest import SOAK
from tests.metrics.desk import MINUTE, SECOND, Desk, empty_row
from tests.metrics.model import View, expected

START = 1_381_219_200 * SECOND  # 2013-10-08 04:00 in New York
OPEN, CLOSE = START + 330 * MINUTE, START + 720 * MINUTE

VOLUME_RATIOS = {
    "rvol_tod", "rvol_tod_rth", "pm_rvol", "proj_vol",
    *(f"rvol_{n}m" for n in (1, 5, 10, 15, 30)),
}  # fmt: skip
ROUNDED = {"dist_vwap_sd": 1e-3}

nonzero = st.one_of(
    st.just(math.nan), st.sampled_from([1e-4, 0.01, 5.0, 17.25, 600_000.0]), st.floats(1e-6, 1e6)
)
prices = st.one_of(st.just(0.0), nonzero)
sizes = st.one_of(st.just(math.nan), st.integers(0, 100_000).map(float))
volumes = st.one_of(st.just(0.0), st.integers(0, 2**33).map(float))


def three(strategy):
    return st.lists(strategy, min_size=3, max_size=3)


@st.composite
def rows(draw, t_ns):
    stamps = st.integers(START - 3600 * SECOND, t_ns + 60 * SECOND)
    row = empty_row()
    for name in ("last", "bid", "ask", "open_rth", "close_rth", "luld_lower", "luld_upper"):
        row[name] = draw(prices)
    for name in ("last_size", "bid_size", "ask_size"):
        row[name] = draw(sizes)
    for name in ("high", "low"):
        row[name] = draw(three(prices))
    row["volume"] = draw(three(volumes))
    row["pv"] = [v * draw(st.sampled_from([0.5, 12.0, 100.0])) for v in row["volume"]]
    row["trades"] = draw(three(st.integers(0, 1_000_000)))
    row["approx"] = draw(st.one_of(st.just(0), st.integers(0, 15)))
    row["high_event_ns"], row["low_event_ns"] = draw(three(stamps)), draw(three(stamps))
    row["last_event_ns"], row["quote_event_ns"] = draw(stamps), draw(st.one_of(st.just(0), stamps))
    row["halted"] = draw(st.sampled_from([0, 1, 2]))
    row["cumulative_volume"] = sum(row["volume"])
    return row


def some_price(rng):
    """A price, or what stands where there is none."""
    some = rng.uniform(0.01, 1000), rng.uniform(5, 9)
    return float(rng.choice([math.nan, 0.0, 5.0, 17.25, *some]))


def remembered(rng, row, t_ns):
    """What a row remembers of its date besides sums and extremes, from a seed."""
    for name in ("first", "low_before_high", "high_before_low", "max_print_usd"):
        row[name] = some_price(rng)
    for name in ("blocks", "new_highs", "new_lows", "halts"):
        row[name] = int(rng.integers(0, 1000))
    row["blocks_usd"] = 2e5 * row["blocks"]
    row["halt_event_ns"] = t_ns - int(rng.integers(-60, 3600)) * SECOND
    row["resume_event_ns"] = int(rng.choice([0, t_ns - 70 * SECOND, t_ns + SECOND]))
    for name in ("opening_high", "opening_low"):
        row[name] = [some_price(rng) for _ in range(5)]
    spread = float(rng.choice([1.0, 1.0 + 1e-9, 1.001, 1.2]))
    row["ppv"] = row["pv"][1] ** 2 / row["volume"][1] * spread if row["volume"][1] else 0.0


def levels(rng):
    """What the book says of a symbol, None where it does not know it."""
    if rng.random() < 0.25:
        return None
    found = {name: some_price(rng) for name in LEVELS}
    every, regular = rng.choice([0, 4, 5, 20], 2).tolist()
    return found | {"sessions_all": every, "sessions_rth": max(every, regular)}


def close_before(rng, row):
    """Any close, or one from which today's first price jumps by about the ratio of a split."""
    off = rng.choice([1.0, 1.0085, 0.9915, 1.0115, 0.9885, 1.045, 0.96, 1.055, 0.94])
    jump = rng.choice([10.0, 0.1, 2.0, 1 / 3]) * off
    return float(rng.choice([some_price(rng), row["first"] * jump]))


@st.composite
def views(draw):
    t_ns = START + draw(st.integers(0, 960 * 60 * 10)) * SECOND // 10
    row = draw(rows(t_ns))
    price_at, volume_at, minute_price_at = {}, {}, {}
    for back in (0, 5, 10, 20, 30, 60, 120, 180, 300, 600, 900):
        if draw(st.booleans()):
            second = t_ns // SECOND - back
            price_at[second] = draw(nonzero)
            fewer = draw(st.integers(-(2**29), 2**31))  # below 0: a cancel of an older trade
            volume_at[second] = max(0, int(row["cumulative_volume"]) - fewer)
    for back in (30, 60, 120):
        if draw(st.booleans()):
            minute_price_at[t_ns // MINUTE - back] = draw(nonzero)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    remembered(rng, row, t_ns)
    usual = rng.integers(0, int(rng.choice([1, 31, 10_001, 10_001])), 960).astype(float).tolist()
    then, so_far = t_ns // MINUTE - 30, int(row["cumulative_volume"])
    some = [t_ns // SECOND - back for back in (300, 900) if t_ns // SECOND - back in price_at]
    counted = {t_ns // SECOND - 60: int(rng.integers(0, 2_000_000))}
    minutes = {then: max(0, so_far - int(rng.integers(0, 10**6)))}
    return View(
        t_ns, START, OPEN, CLOSE, row, close_before(rng, row), some_price(rng), price_at, volume_at,
        minute_price_at, {name: some_price(rng) for name in INDICATOR_NAMES},
        draw(st.sampled_from([1, 10, 100, 600])) * SECOND // 10,
        grace_ns=int(rng.choice([0, SECOND // 2, 90 * SECOND])),
        trades_at=counted if rng.random() < 0.5 else {},
        minute_volume_at=minutes if rng.random() < 0.5 else {},
        levels=levels(rng), usual=usual, flags=int(rng.choice([0, 1, 2, 6, 8, 10])),
        market_at={second: float(rng.uniform(50, 60)) for second in some},
        market=some_price(rng),
    )  # fmt: skip


def assert_equal(got, want):
    assert set(got) == set(want)
    for name, value in want.items():
        rough = name in VOLUME_RATIOS  # the baseline is of float32
        rel = 1e-5 if rough else ROUNDED.get(name, 1e-12)
        absolute = 1e-9 if name in ROUNDED else 0
        assert got[name] == pytest.approx(value, rel=rel, abs=absolute, nan_ok=True), name


@settings(max_examples=1500 if SOAK else 150, deadline=None)
@given(view=views(), n=st.integers(1, 9), symbol=st.integers(0, 2))
def test_every_metric_equals_the_plain_model(view, n, symbol):
    desk = Desk(view)
    desk.put(n, symbol, view)
    desk.put_market(n, (symbol + 1) % 3, view)
    assert_equal(desk.columns(n, symbol), expected(view))


def test_a_symbol_that_never_traded_has_no_number_that_is_not_true():
    view = View(
        OPEN + SECOND, START, OPEN, CLOSE, empty_row(), math.nan, math.nan, {}, {}, {},
        dict.fromkeys(INDICATOR_NAMES, math.nan),
    )  # fmt: skip
    desk = Desk(view)
    desk.put(1, 0, view)
    known = {name: x for name, x in desk.columns(1, 0).items() if not math.isnan(x)}
    assert known == {
        "vol_pm": 0.0, "vol_rth": 0.0, "vol_ah": 0.0, "vol_all": 0.0, "dvol": 0.0,
        "trades_rth": 0.0, "trades_all": 0.0, "halted": 0.0, "minutes_since_open": 1 / 60,
        "blocks_n": 0.0, "blocks_usd": 0.0, "halt_n_today": 0.0,
    }  # fmt: skip


def flat_view(t_ns, **row):
    return View(
        t_ns, START, OPEN, CLOSE, empty_row() | row, 10.0, 0.5, {}, {}, {},
        dict.fromkeys(INDICATOR_NAMES, math.nan),
    )  # fmt: skip


def test_a_crossed_quote_has_a_negative_spread_and_a_missing_side_none():
    desk = Desk(flat_view(OPEN))
    desk.put(1, 0, flat_view(OPEN, bid=10.02, ask=10.0))
    desk.put(1, 1, flat_view(OPEN, bid=10.02))
    desk.put(1, 2, flat_view(OPEN, bid=10.0, ask=10.0))
    spreads = [desk.columns(1, symbol)["spread_usd"] for symbol in range(3)]
    assert spreads[0] == pytest.approx(-0.02)
    assert math.isnan(spreads[1])
    assert spreads[2] == 0.0


def test_windows_never_look_back_before_the_session_date():
    t_ns = START + 10 * SECOND
    view = flat_view(t_ns, last=11.0, last_event_ns=t_ns)
    for back in (5, 10, 20):
        second = t_ns // SECOND - back
        view.price_at[second], view.volume_at[second] = 10.0, 0
    desk = Desk(view)
    desk.put(1, 0, view)
    got = desk.columns(1, 0)
    assert got["chg_5s_pct"] == got["chg_10s_pct"] == pytest.approx(10.0)
    assert math.isnan(got["chg_20s_pct"])


def test_a_slot_of_the_history_that_holds_another_second_is_not_used():
    t_ns = OPEN
    view = flat_view(t_ns, last=11.0)
    desk = Desk(view)
    desk.put(1, 0, view)
    history, second = desk.tables.history, t_ns // SECOND - 60
    slot = second % len(history.second_stamp)
    history.second_price[slot, 0], history.second_stamp[slot] = 10.0, second - 904
    assert math.isnan(desk.columns(1, 0)["chg_1m_pct"])
    history.second_stamp[slot] = second
    assert desk.columns(1, 0)["chg_1m_pct"] == pytest.approx(10.0)


def test_any_number_of_workers_gives_the_same_columns():
    views_ = [flat_view(OPEN, last=5.0 + i, bid=5.0 + i, ask=5.1 + i) for i in range(150)]
    got = []
    for workers in (1, 2, 3):
        desk = Desk(views_[0], 150, workers)
        for symbol, view in enumerate(views_):
            desk.put(2, symbol, view)
        desk.columns(2, 0)
        got.append(desk.tables.scan.columns[0][:, :150].tobytes())
    assert got[0] == got[1] == got[2]


def test_only_the_columns_of_the_cycles_parity_are_written():
    view = flat_view(OPEN, last=5.0)
    desk = Desk(view)
    desk.put(1, 0, view)
    desk.columns(1, 0)
    odd = desk.tables.scan.columns[1].tobytes()
    later = flat_view(OPEN + SECOND, last=6.0)
    desk.put(2, 0, later)
    desk.columns(2, 0)
    assert desk.tables.scan.columns[1].tobytes() == odd


def test_metrics_of_a_cycle_whose_indicators_are_not_there_are_refused():
    view = flat_view(OPEN)
    desk = Desk(view)
    desk.put(1, 0, view)
    with pytest.raises(EngineError, match="metrics of cycle 2"):
        desk.metrics[0].compute(2)
