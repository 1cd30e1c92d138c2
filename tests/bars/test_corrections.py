"""Corrections and cancels: rebuilt exactly from the pool, sums only beyond it."""

import math

import numpy as np

from engine.domain import records
from tests.bars.floor import (
    REGULAR,
    T0,
    VOLUME_ONLY,
    Floor,
    at,
    cancel,
    correction,
    ohlc,
    trade,
)

CORRECTED, CANCELLED, APPROX = (
    records.FLAG_CORRECTED,
    records.FLAG_CANCELLED,
    records.FLAG_APPROX,
)


def day() -> list[np.void]:
    """Four trades of one minute: the second makes the high, the third the low."""
    prices = ((10, 1), (15, 2), (5, 4), (11, 8))
    return [trade(0, i + 1, p, size, id=i + 1) for i, (p, size) in enumerate(prices)]


def test_a_cancel_in_an_open_minute_rebuilds_it_and_the_session() -> None:
    floor = Floor()
    floor.run(*day(), cancel(0, 5, 2), until=6)
    row = floor.row()
    assert (row["high"][1], row["high_event_ns"][1]) == (11, at(4))
    assert (row["low"][1], row["volume"][1], row["trades"][1]) == (5, 13, 3)
    assert row["pv"][1] == 10 + 20 + 88 and row["cumulative_volume"] == 13
    assert row["approx"] == 0 and row["last"] == 11
    minute = row["minutes"][0]
    assert ohlc(minute) == (10, 11, 5, 11, 13, 118, 3) and minute["flags"] == CANCELLED
    assert floor.head["cancels"] == 1 and floor.head["unmatched"] == 0


def test_a_cancel_of_the_newest_trade_gives_back_the_last_before_it() -> None:
    floor = Floor()
    floor.run(*day(), cancel(0, 5, 4), until=6)
    row = floor.row()
    assert (row["last"], row["last_size"], row["last_event_ns"]) == (5, 4, at(3))
    assert row["close_rth"] == 5 and row["minutes"][0]["close"] == 5
    floor.run(*[cancel(0, 7, ident) for ident in (1, 2, 3)], until=8)
    row = floor.row()
    assert math.isnan(row["last"]) and math.isnan(row["high"][1]) and math.isnan(row["open_rth"])
    assert row["volume"][1] == 0 == row["pv"][1]
    assert floor.run(until=None) == []


def test_the_size_of_a_bar_s_close_is_unknown_also_when_a_cancel_gives_it_back() -> None:
    floor = Floor()
    part = REGULAR | records.COND_BAR
    floor.run(trade(0, 1, 10, 5, id=1, cond=part), until=2)
    assert floor.row()["last"] == 10 and math.isnan(floor.row()["last_size"])
    floor.run(trade(0, 3, 11, 7, id=2), until=4)
    assert (floor.row()["last"], floor.row()["last_size"]) == (11, 7)
    floor.run(cancel(0, 5, 2), until=6)
    assert floor.row()["last"] == 10 and math.isnan(floor.row()["last_size"])


def test_a_correction_keeps_the_place_of_its_trade() -> None:
    floor = Floor()
    floor.run(*day(), correction(0, 5, 1, 7, 100), correction(0, 5, 4, 12, 8), until=6)
    minute = floor.row()["minutes"][0]
    assert ohlc(minute) == (7, 15, 5, 12, 114, 700 + 30 + 20 + 96, 4)
    assert minute["flags"] == CORRECTED
    row = floor.row()
    assert (row["open_rth"], row["close_rth"], row["last"]) == (7, 12, 12)
    floor.run(correction(0, 7, 1, 8, 1), until=8)
    assert ohlc(floor.row()["minutes"][0]) == (8, 15, 5, 12, 15, 8 + 30 + 20 + 96, 4)
    assert floor.head["corrections"] == 3 and floor.head["unmatched"] == 0


def test_a_cancel_after_the_minute_revises_the_final_bar() -> None:
    floor = Floor()
    floor.run(*day(), until=61)
    (event,) = floor.run(cancel(0, 62, 2), until=63)
    assert (event["kind"], event["bar_index"]) == (records.BAR_REVISED, 0)
    assert ohlc(event["bar"]) == (10, 11, 5, 11, 13, 118, 3)
    assert event["bar"]["flags"] == CANCELLED and ohlc(floor.bar(0)) == ohlc(event["bar"])


def test_a_late_trade_is_rebuilt_as_late() -> None:
    floor = Floor()
    floor.run(*day(), until=61)
    floor.run(trade(0, 6, 20, 1, recv=62, id=9), until=63)
    (event,) = floor.run(cancel(0, 64, 2), until=65)
    assert ohlc(event["bar"]) == (10, 20, 5, 11, 14, 138, 4)
    (event,) = floor.run(cancel(0, 66, 9), until=67)
    assert ohlc(event["bar"]) == (10, 11, 5, 11, 13, 118, 3)
    assert event["bar"]["flags"] == CANCELLED | records.FLAG_LATE


def test_a_bar_that_loses_its_prices_is_volume_only_and_its_number_stays_used() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 1, id=1), trade(0, 2, 11, 1, cond=VOLUME_ONLY), until=61)
    (event,) = floor.run(cancel(0, 62, 1), until=63)
    assert (event["kind"], event["bar_index"]) == (records.BAR_VOLUME_ONLY, -1)
    assert math.isnan(event["bar"]["close"]) and event["bar"]["volume"] == 1
    events = floor.run(trade(0, 64, 12, 1), until=None)
    assert events[0]["bar_index"] == 1 and floor.row()["bar_index"] == 2


def test_a_bar_numbered_in_the_same_cycle_keeps_its_prices() -> None:
    floor = Floor()
    floor.tables.session["grace_ns"] = 600 * records.NS_PER_SECOND
    floor.run(trade(0, 1, 10, 1, id=1), trade(0, 61, 11, 1), until=70)
    third = trade(0, 125, 12, 1, recv=71)
    (event,) = floor.run(third, cancel(0, 71, 1), until=71)
    assert (event["kind"], event["bar_index"]) == (records.BAR_FINAL, 0)
    assert ohlc(event["bar"])[:5] == (10, 10, 10, 10, 0)
    assert event["bar"]["flags"] == CANCELLED | APPROX


def test_beyond_the_pool_sums_change_and_extremes_are_approximate() -> None:
    floor = Floor(pool_trades=4)
    more = [trade(1, 5, 50, 1, id=100)]
    floor.run(*day(), *more, until=6)
    floor.run(cancel(0, 7, 3), until=8)
    row = floor.row()
    assert (row["volume"][1], row["pv"][1], row["trades"][1]) == (11, 10 + 30 + 88, 3)
    assert (row["low"][1], row["approx"]) == (5, 1 << records.RTH)
    assert row["minutes"][0]["low"] == 5
    assert row["minutes"][0]["flags"] == CANCELLED | APPROX
    assert floor.head["spare"][1] == 1


def test_a_correction_without_its_original_is_counted_and_marks_the_sessions() -> None:
    floor = Floor()
    floor.run(*day(), cancel(0, 5, 77), correction(1, 5, 1, 10, 1), until=6)
    assert floor.head["unmatched"] == 2 and floor.row(1)["approx"] == 0
    assert floor.row(0)["approx"] == 1 << records.RTH and floor.row(0)["volume"][1] == 15


def test_a_trade_is_cancelled_once() -> None:
    floor = Floor()
    floor.run(*day(), cancel(0, 5, 2), cancel(0, 5, 2), until=6)
    assert floor.head["unmatched"] == 1 and floor.row()["volume"][1] == 13


def test_a_correction_with_an_impossible_value_is_refused() -> None:
    floor = Floor()
    floor.run(*day(), correction(0, 5, 2, 0, 1), until=6)
    assert floor.head["refused_tick"] == 1 and floor.row()["high"][1] == 15


def test_a_volume_only_cancel_leaves_extremes_exact_beyond_the_pool() -> None:
    floor = Floor(pool_trades=2)
    odd = trade(0, 5, 11, 3, cond=VOLUME_ONLY, id=9)
    floor.run(*day(), odd, until=6)
    floor.run(cancel(0, 7, 9), until=8)
    assert floor.row()["approx"] == 0 and floor.row()["volume"][1] == 15


def test_a_cancel_of_a_trade_outside_the_sessions_gives_back_last() -> None:
    floor = Floor()
    outside = trade(0, -3700, 99, 1, recv=1, cond=REGULAR, id=1)
    floor.run(trade(0, 0.5, 10, 1, id=2), outside, until=2)
    assert floor.row()["last"] == 99
    floor.run(cancel(0, 3, 1), until=4)
    assert floor.row()["last"] == 10 and floor.row()["approx"] == 0
    assert floor.row()["volume"].tolist() == [0, 1, 0] and at(0) == T0
