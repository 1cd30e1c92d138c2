"""The simulated market: the same from any position, and what happens in it."""

import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain import market_hours as hours
from engine.domain import records
from engine.domain.records import (
    COND_EXTENDED,
    COND_LAST,
    COND_VOLUME,
    TICK_CANCEL,
    TICK_CORRECTION,
    TICK_GAP_END,
    TICK_GAP_START,
    TICK_LULD,
    TICK_QUOTE,
    TICK_STATUS,
    TICK_TRADE,
)
from engine.feeds.admit_nb import admit_nb
from engine.feeds.errors import FeedError
from engine.feeds.port import BEFORE_ALL
from engine.feeds.providers import merge_nb
from engine.feeds.providers import simulator_nb as nb
from engine.feeds.providers.simulator import SimulatorProvider, Traits, reference
from engine.feeds.stage import FeedStage
from engine.feeds.warm import warm
from engine.feeds.wire import csv_nb
from tests.feeds.conftest import all_ticks, equal_ticks
from tests.feeds.test_stage import Clock, drain, place

SECOND = records.NS_PER_SECOND
DATE = datetime.date(2026, 1, 5)
OPEN = hours.local_ns(DATE, datetime.time(9, 30))
DAY = hours.TradingDay(DATE, OPEN, hours.local_ns(DATE, datetime.time(16)), False)
SESSION = hours.session_record(DAY, hours.OuterTimes(), SECOND // 10, 0)
SMALL = Traits(seed=7, symbols=200, ticks_per_s=100)


def market(conditions, traits=SMALL, start_s=-60, end_s=240, session=SESSION, live=False):
    start, end = OPEN + start_s * SECOND, OPEN + end_s * SECOND
    return SimulatorProvider(traits, session, conditions, start, end, live)


@pytest.fixture(scope="module")
def whole(conditions):
    return all_ticks(market(conditions))


@pytest.fixture(scope="module")
def day(conditions):
    """A regular session of 400 symbols at 30 ticks a second, and its provider."""
    source = market(conditions, Traits(seed=3, symbols=400, ticks_per_s=30), -3600, 6 * 3600 + 3600)
    return source, all_ticks(source, 1 << 14)


def test_positions_and_times_only_grow(whole):
    assert (np.diff(whole["src_pos"]) > 0).all()
    assert (np.diff(whole["recv_ns"]) >= 0).all()
    assert (whole["event_ns"] <= whole["recv_ns"]).all()
    assert whole["recv_ns"][0] >= OPEN - 60 * SECOND
    assert whole["recv_ns"][-1] < OPEN + 240 * SECOND


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_reading_goes_on_after_any_position_exactly(conditions, whole, data):
    at = data.draw(st.integers(-1, len(whole) - 1))
    source = market(conditions)
    source.read(data.draw(st.integers(1, 3000)))
    source.seek(int(whole["src_pos"][at]) if at >= 0 else BEFORE_ALL)
    rest = all_ticks(source, data.draw(st.integers(100, 9000)))
    assert equal_ticks(rest, whole[at + 1 :])


def test_the_same_seed_gives_the_same_market_and_another_seed_another(conditions, whole):
    assert equal_ticks(all_ticks(market(conditions), 123), whole)
    other = all_ticks(market(conditions, Traits(seed=8, symbols=200, ticks_per_s=100)))
    assert not equal_ticks(other[: len(whole)], whole[: len(other)])


def test_a_part_of_the_day_is_what_the_day_has_there(conditions, whole):
    part = all_ticks(market(conditions, start_s=17, end_s=101))
    inside = (whole["recv_ns"] >= OPEN + 17 * SECOND) & (whole["recv_ns"] < OPEN + 101 * SECOND)
    # A correction of a trade before the part's beginning is not in it.
    inside &= np.isin(whole["src_pos"], part["src_pos"]) | ~np.isin(
        whole["kind"], (TICK_CORRECTION, TICK_CANCEL)
    )
    assert equal_ticks(part, whole[inside])


def test_the_published_stream_is_the_same_with_kills(conditions):
    def run(kills):
        ring, names = place(1 << 12, names=256)
        clock, seen = Clock(), []
        for steps in [*kills, 100_000]:
            source = market(conditions, start_s=-5, end_s=40)
            stage = stage_of(ring, names, source, clock)
            for _ in range(steps):
                clock.now += SECOND // 10
                stage.step()
                drain(ring, seen)
                if stage.ended:
                    return np.concatenate(seen)
        raise AssertionError("it never ended")

    assert equal_ticks(run([3, 17, 1, 40, 9]), run([]))


def stage_of(ring, names, source, clock):
    stage = FeedStage(ring, names, source, 1.0, clock)
    stage.recover()
    return stage


def test_every_kind_of_tick_happens(day):
    _, ticks = day
    for kind in (
        TICK_TRADE, TICK_QUOTE, TICK_CORRECTION, TICK_CANCEL,
        TICK_STATUS, TICK_LULD, TICK_GAP_START, TICK_GAP_END,
    ):  # fmt: skip
        assert (ticks["kind"] == kind).any(), kind


def test_prices_are_whole_cents_above_nothing_and_quotes_do_not_cross(day):
    _, ticks = day
    for kind in (TICK_TRADE, TICK_QUOTE, TICK_LULD):
        part = ticks[ticks["kind"] == kind]
        assert (part["a"] >= 0.01).all()
        assert np.array_equal(np.round(part["a"], 2), part["a"])
    quotes = ticks[ticks["kind"] == TICK_QUOTE]
    assert (quotes["a"] < quotes["b"]).all()


def test_trades_stay_near_the_quotes(day):
    _, ticks = day
    sym = np.bincount(ticks["sym"][ticks["kind"] == TICK_TRADE]).argmax()
    mine = ticks[(ticks["sym"] == sym) & (ticks["recv_ns"] - ticks["event_ns"] < SECOND)]
    trades, quotes = mine[mine["kind"] == TICK_TRADE], mine[mine["kind"] == TICK_QUOTE]
    at = np.searchsorted(quotes["recv_ns"], trades["recv_ns"]) - 1
    middle = ((quotes["a"] + quotes["b"]) / 2)[at[at >= 0]]
    off = np.abs(trades["a"][at >= 0] / middle - 1)
    assert np.median(off) < 0.01


def test_volume_has_a_burst_at_the_open_and_the_shape_of_a_u(day):
    _, ticks = day
    second = (ticks["recv_ns"] - OPEN) // SECOND

    def rate(first, last):
        return ((second >= first) & (second < last)).sum() / (last - first)

    opening, morning, noon = rate(0, 60), rate(900, 1800), rate(10800, 12600)
    closing, before = rate(22200, 23400), rate(-3600, 0)
    assert opening > 2 * morning
    assert morning > 1.2 * noon
    assert closing > 1.2 * noon
    assert before < 0.4 * noon
    assert 25 < rate(0, 23400) < 40


def test_a_few_symbols_trade_most(day):
    _, ticks = day
    counts = np.sort(np.bincount(ticks["sym"][ticks["kind"] == TICK_TRADE], minlength=400))[::-1]
    assert counts[:40].sum() > 0.3 * counts.sum()
    assert (counts > 0).all()


def test_nothing_trades_while_halted_and_halts_end(day):
    _, ticks = day
    status = ticks[ticks["kind"] == TICK_STATUS]
    assert len(status)
    for sym in set(status["sym"].tolist()):
        mine = ticks[ticks["sym"] == sym]
        codes = mine[mine["kind"] == TICK_STATUS]
        assert codes["n1"].tolist() == [
            records.STATUS_HALTED, records.STATUS_QUOTE_RESUME, records.STATUS_TRADING,
        ]  # fmt: skip
        begin, _, end = codes["recv_ns"].tolist()
        inside = mine[(mine["recv_ns"] > begin) & (mine["recv_ns"] < end)]
        assert not np.isin(inside["kind"], (TICK_TRADE, TICK_QUOTE)).any()


def test_corrections_and_cancels_name_a_trade_that_was_sent(day):
    _, ticks = day
    trades = ticks[ticks["kind"] == TICK_TRADE]
    assert len(set(trades["id"].tolist())) == len(trades)
    where = {i: n for n, i in enumerate(trades["id"].tolist())}
    fixes = ticks[np.isin(ticks["kind"], (TICK_CORRECTION, TICK_CANCEL))]
    assert len(fixes) > 20
    for fix in fixes:
        original = trades[where[int(fix["id"])]]
        assert original["sym"] == fix["sym"]
        assert original["recv_ns"] < fix["recv_ns"]


def test_some_trades_come_late_by_more_than_a_minute(day):
    _, ticks = day
    trades = ticks[ticks["kind"] == TICK_TRADE]
    late = (trades["recv_ns"] - trades["event_ns"]) / SECOND
    assert (late > 60).sum() > 5
    assert ((late > 2) & (late < 60)).sum() > 20
    assert late.max() < 130


def test_the_feed_sees_nothing_in_its_gaps(day):
    _, ticks = day
    marks = ticks[np.isin(ticks["kind"], (TICK_GAP_START, TICK_GAP_END))]
    assert marks["kind"].tolist() == [TICK_GAP_START, TICK_GAP_END] * nb.MAX_GAPS
    assert (marks["sym"] == -1).all()
    for begin, end in marks["recv_ns"].reshape(-1, 2):
        inside = ticks[(ticks["recv_ns"] > begin) & (ticks["recv_ns"] < end)]
        assert set(inside["kind"].tolist()) <= {TICK_STATUS, TICK_LULD}


def test_conditions_fit_the_time_of_day(day):
    _, ticks = day
    trades = ticks[ticks["kind"] == TICK_TRADE]
    regular = (trades["event_ns"] >= OPEN) & (trades["event_ns"] < DAY.close_ns)
    assert (trades["cond"] & COND_VOLUME).all()
    assert not (trades["cond"][regular] & COND_EXTENDED).any()
    assert not (trades["cond"][trades["event_ns"] < OPEN - SECOND] & COND_LAST).any()
    lots = trades[regular]
    assert not (lots["cond"][lots["b"] < 100] & COND_LAST).any()
    assert 0.2 < (lots["b"] < 100).mean() < 0.4


def test_switches_leave_out_what_they_name(conditions):
    quiet = Traits(
        seed=3, symbols=50, ticks_per_s=20,
        quotes=False, halts=False, late_ticks=False, corrections=False, gaps=False,
    )  # fmt: skip
    ticks = all_ticks(market(conditions, quiet, -3600, 25_000))
    assert set(ticks["kind"].tolist()) == {TICK_TRADE}
    assert (ticks["recv_ns"] - ticks["event_ns"] < SECOND).all()


def test_the_reference_is_what_prices_begin_at(conditions):
    tickers, rows = reference(SMALL.seed, SMALL.symbols)
    source = market(conditions, start_s=-19_000, end_s=0)
    assert tickers[:2] == ["SIM00001", "SIM00002"]
    assert [source.name(n) for n in range(SMALL.symbols)] == tickers
    assert source.names.tobytes() == np.array(tickers, "S24").tobytes()
    ticks = all_ticks(source)
    trades = ticks[ticks["kind"] == TICK_TRADE]
    ratio = trades["a"] / rows["prev_close"][trades["sym"]]
    assert 0.9 < np.median(ratio) < 1.1
    assert (rows["atr14_day"] > 0).all()


def test_gappers_open_far_from_their_close(conditions):
    traits = Traits(seed=5, symbols=1000, ticks_per_s=300)
    _, rows = reference(5, 1000)
    ticks = all_ticks(market(conditions, traits, 30, 90))
    trades = ticks[ticks["kind"] == TICK_TRADE]
    gap = np.abs(trades["a"] / rows["prev_close"][trades["sym"]] - 1)
    gappers = set(trades["sym"][gap > 0.04].tolist())
    assert 5 < len(gappers) < 100


def test_a_session_that_cannot_be_is_refused(conditions):
    session = SESSION.copy()
    session["end_ns"] = session["start_ns"]
    with pytest.raises(FeedError, match="0 seconds"):
        SimulatorProvider(SMALL, session, conditions)


def test_prices_come_from_the_whole_seed(conditions):
    assert reference(1, 5)[1].tobytes() != reference(2**32 - 1, 5)[1].tobytes()


def test_warming_compiles_every_kernel():
    warm()
    for kernel in (nb.fill_nb, nb.weights_nb, csv_nb.read_rows_nb, merge_nb.merge_nb, admit_nb):
        assert kernel.signatures
