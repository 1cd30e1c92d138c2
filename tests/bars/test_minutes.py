"""Trades, minutes, late trades, quotes, status, gaps: exact values by hand."""

import math

import numpy as np

from engine.bars.stage import roll_session
from engine.domain import records
from tests.bars.floor import (
    M0,
    SECOND,
    T0,
    VOLUME_ONLY,
    Floor,
    at,
    build,
    ohlc,
    quote,
    tick,
    trade,
)


def kinds(events: list[np.void]) -> list[tuple[int, int, int]]:
    return [(int(e["kind"]), int(e["bar"]["minute"]) - M0, int(e["bar_index"])) for e in events]


def test_trades_of_a_minute_become_a_final_bar_after_its_grace() -> None:
    floor = Floor()
    ticks = [trade(0, 1, 10, 100), trade(0, 2, 12, 50), trade(0, 3, 9, 10), trade(0, 4, 11, 1)]
    assert floor.run(*ticks, until=60.4) == []
    assert floor.head["closed_minute"] == M0 - 1
    events = floor.run(until=60.5)
    assert kinds(events) == [(records.BAR_FINAL, 0, 0)]
    assert int(events[0]["n"]) == 605
    assert ohlc(events[0]["bar"]) == (10, 12, 9, 11, 161, 1701, 4)
    assert ohlc(floor.bar(0)) == (10, 12, 9, 11, 161, 1701, 4)
    row = floor.row()
    assert row["final_minute"] == M0 and row["bar_index"] == 1
    assert (row["minutes"]["minute"] == -1).all()


def test_a_tick_received_at_the_closing_instant_still_joins_the_minute() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 1), trade(0, 59.9, 11, 1, recv=60.5), until=61)
    assert ohlc(floor.bar(0)) == (10, 11, 10, 11, 2, 21, 2)
    assert floor.head["late"] == 0


def test_the_row_holds_last_sums_extremes_and_their_stamps() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 100), trade(0, 2, 12, 50), trade(0, 3, 12, 5), until=5)
    row = floor.row()
    assert (row["last"], row["last_size"], row["last_event_ns"]) == (12, 5, at(3))
    assert row["volume"][records.RTH] == 155 == row["cumulative_volume"]
    assert row["pv"][records.RTH] == 1660 and row["trades"][records.RTH] == 3
    assert (row["high"][records.RTH], row["high_event_ns"][records.RTH]) == (12, at(2))
    assert (row["low"][records.RTH], row["low_event_ns"][records.RTH]) == (10, at(1))
    assert (row["open_rth"], row["close_rth"]) == (10, 12)
    assert math.isnan(row["high"][records.PM]) and row["tick_event_ns"] == at(3)
    assert row["tick_recv_ns"] == at(3)


def test_sessions_have_their_own_sums_and_outside_sets_last_only() -> None:
    floor = Floor()
    floor.run(
        trade(0, -3600, 9, 1, recv=0.1),
        trade(0, -3600.001, 8, 2, recv=0.2),
        trade(0, -0.001, 10, 3, recv=0.3),
        trade(0, 0, 11, 4, recv=0.4),
        until=1,
    )
    row = floor.row()
    assert row["volume"].tolist() == [4, 4, 0]
    assert (row["high"][0], row["low"][0], row["open_rth"]) == (10, 9, 11)
    tables = floor.tables
    tables.session["close_ns"], tables.session["end_ns"] = at(2), at(3)
    floor.run(trade(0, 2, 12, 5), trade(0, 3, 20, 6), until=4)
    row = floor.row()
    assert row["volume"].tolist() == [4, 4, 5] and row["cumulative_volume"] == 13
    assert (row["last"], row["close_rth"], row["high"][2]) == (20, 11, 12)


def test_condition_bits_decide_what_a_trade_sets() -> None:
    floor = Floor()
    first = records.COND_HILO | records.COND_VOLUME | records.COND_LAST_IF_FIRST
    floor.run(
        trade(0, 1, 10, 1, cond=first),
        trade(0, 2, 14, 2, cond=first),
        trade(0, 3, 5, 3, cond=VOLUME_ONLY),
        trade(0, 4, 99, 4, cond=0),
        until=5,
    )
    row = floor.row()
    assert (row["last"], row["open_rth"], row["close_rth"]) == (10, 10, 10)
    assert (row["high"][1], row["low"][1], row["volume"][1]) == (14, 10, 6)
    minute = row["minutes"][0]
    assert (minute["open"], minute["high"], minute["low"], minute["close"]) == (10, 14, 10, 10)
    assert minute["volume"] == 6 and minute["trades"] == 3


def test_an_extended_hours_print_counts_fully_outside_regular_hours_only() -> None:
    floor = Floor()
    cond = records.COND_VOLUME | records.COND_EXTENDED
    floor.run(trade(0, -1, 10, 1, cond=cond, recv=0.1), trade(0, 1, 20, 2, cond=cond), until=2)
    row = floor.row()
    assert (row["last"], row["high"][0], row["low"][0]) == (10, 10, 10)
    assert math.isnan(row["high"][1]) and row["volume"].tolist() == [1, 2, 0]


def test_volume_without_a_price_is_a_bar_without_a_number() -> None:
    floor = Floor()
    events = floor.run(trade(0, 1, 10, 7, cond=VOLUME_ONLY), trade(0, 61, 11, 1), until=None)
    assert kinds(events) == [(records.BAR_VOLUME_ONLY, 0, -1), (records.BAR_FINAL, 1, 0)]
    values = ohlc(events[0]["bar"])
    assert all(math.isnan(value) for value in values[:4]) and values[4:] == (7, 70, 1)
    assert math.isnan(ohlc(floor.bar(0))[0])


def test_two_minutes_are_open_and_a_third_closes_the_oldest() -> None:
    floor = Floor()
    ahead = [trade(0, 30, 10, 1, recv=30), trade(0, 61, 11, 1, recv=31), trade(0, 3, 9, 1, recv=32)]
    assert floor.run(*ahead, until=33) == []
    assert floor.row()["minutes"]["minute"].tolist() == [M0, M0 + 1]
    assert floor.row()["minutes"]["low"].tolist() == [9, 11]
    floor.tables.session["grace_ns"] = 600 * SECOND
    events = floor.run(trade(0, 125, 12, 1, recv=70), until=71)
    assert kinds(events) == [(records.BAR_FINAL, 0, 0)]
    assert floor.row()["minutes"]["minute"].tolist() == [M0 + 1, M0 + 2]


def test_a_minute_before_both_open_ones_is_final() -> None:
    floor = Floor()
    floor.tables.session["grace_ns"] = 600 * SECOND
    events = floor.run(
        trade(0, 61, 11, 1), trade(0, 121, 12, 1), trade(0, 30, 10, 5, recv=122), until=123
    )
    assert kinds(events) == [(records.BAR_FINAL, 0, 0)]
    assert ohlc(floor.bar(0)) == (10, 10, 10, 10, 5, 50, 1)
    assert floor.head["late"] == 1


def test_a_late_trade_revises_its_final_bar() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 100), trade(0, 59, 11, 100), until=61)
    events = floor.run(trade(0, 30, 15, 10, recv=62), trade(0, 31, 5, 1, recv=62), until=63)
    assert kinds(events) == [(records.BAR_REVISED, 0, 0)]
    bar = events[0]["bar"]
    assert ohlc(bar) == (10, 15, 5, 11, 211, 2255, 4)
    assert bar["flags"] == records.FLAG_LATE
    assert floor.head["late"] == 2 and floor.row()["last"] == 5
    assert ohlc(floor.bar(0)) == ohlc(bar)


def test_a_revision_of_an_older_bar_has_no_number() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 1), trade(0, 61, 11, 1), until=121)
    events = floor.run(trade(0, 2, 12, 1, recv=122), trade(0, 62, 13, 1, recv=122), until=123)
    assert kinds(events) == [(records.BAR_REVISED, 0, -1), (records.BAR_REVISED, 1, 1)]


def test_a_late_trade_of_a_minute_without_a_bar_sets_all_its_prices() -> None:
    floor = Floor()
    events = floor.run(
        trade(0, 1, 10, 1), trade(0, 121, 12, 1), trade(0, 70, 11, 3, recv=122), until=123
    )
    assert kinds(events) == [(records.BAR_FINAL, 0, 0), (records.BAR_FINAL, 1, 1)]
    assert ohlc(floor.bar(1)) == (11, 11, 11, 11, 3, 33, 1)
    events = floor.run(trade(0, 75, 13, 1, recv=124), until=None)
    assert kinds(events) == [(records.BAR_REVISED, 1, 1), (records.BAR_FINAL, 2, 2)]
    assert ohlc(floor.bar(1)) == (11, 13, 11, 11, 4, 46, 2)


def test_a_late_bar_before_the_newest_one_is_revised_without_a_number() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 1), trade(0, 121, 12, 1), until=181)
    events = floor.run(trade(0, 70, 11, 3, recv=182), until=183)
    assert kinds(events) == [(records.BAR_REVISED, 1, -1)]
    assert ohlc(floor.bar(1)) == (11, 11, 11, 11, 3, 33, 1)
    assert floor.row()["bar_index"] == 2


def test_one_event_per_symbol_and_minute_of_a_cycle() -> None:
    floor = Floor()
    late = [trade(0, second, 20 + second, 1, recv=60.45) for second in (1, 2, 3)]
    events = floor.run(trade(0, 1, 10, 1), *late, until=62)
    assert kinds(events) == [(records.BAR_FINAL, 0, 0)]
    late = [trade(0, second, 30 + second, 1, recv=63) for second in (1, 2, 3)]
    assert kinds(floor.run(*late, until=64)) == [(records.BAR_REVISED, 0, 0)]


def test_a_trade_older_than_the_history_changes_sums_only() -> None:
    floor = Floor(history_bars=2)
    ticks = [trade(0, 1 + 60 * minute, 10, 1) for minute in range(4)]
    events = floor.run(*ticks, trade(0, 3, 50, 5, recv=240), until=241)
    assert len(events) == 4 and floor.head["too_late"] == 1 and floor.head["late"] == 0
    assert floor.row()["volume"][1] == 9 and floor.row()["high"][1] == 50


def test_ticks_ahead_of_the_clock_are_refused() -> None:
    floor = Floor()
    floor.run(trade(0, 60.1, 10, 1, recv=0.1), trade(0, 60.101, 11, 1, recv=0.1), until=0.2)
    assert floor.row()["last"] == 10 and floor.head["refused_future"] == 1


def test_impossible_values_are_refused_and_counted() -> None:
    floor = Floor()
    bad = [
        trade(0, 1, 0, 1), trade(0, 1, -1, 1), trade(0, 1, math.nan, 1), trade(0, 1, math.inf, 1),
        trade(0, 1, 10, -1), trade(0, 1, 10, math.nan), trade(9, 1, 10, 1), trade(-1, 1, 10, 1),
        trade(5000, 1, 10, 1), quote(0, 1, -1, 2), quote(0, 1, 1, math.inf), tick(0, 0, 1),
        tick(99, 0, 1), tick(records.TICK_STATUS, 0, 1, n1=3),
        tick(records.TICK_LULD, 0, 1, a=11, b=10),
    ]  # fmt: skip
    floor.run(*bad, until=2)
    assert floor.head["refused_tick"] == len(bad) and floor.head["ticks"] == 0
    assert math.isnan(floor.row()["last"]) and floor.row()["tick_event_ns"] == 0


def test_a_blank_side_of_a_quote_stays_as_it_was() -> None:
    floor = Floor()
    floor.run(quote(0, 1, 10, 11), until=2)
    floor.run(quote(0, 2, math.nan, 12, n1=records.SIZE_BLANK, n2=7), until=3)
    row = floor.row()
    assert (row["bid"], row["bid_size"], row["ask"], row["ask_size"]) == (10, 1, 12, 7)
    assert row["quote_event_ns"] == at(2) == row["tick_event_ns"]
    floor.run(quote(0, 3, 0, math.nan, n1=0, n2=records.SIZE_BLANK), until=4)
    assert math.isnan(floor.row()["bid"]) and floor.row()["ask"] == 12


def test_halt_and_bands_are_kept_in_the_row() -> None:
    floor = Floor()
    halt = tick(records.TICK_STATUS, 0, 1, n1=records.STATUS_HALTED, n2=77)
    floor.run(halt, tick(records.TICK_LULD, 0, 1, a=9, b=11), until=2)
    row = floor.row()
    assert (row["halted"], row["halt_reason"], row["status_event_ns"]) == (1, 77, at(1))
    assert (row["luld_lower"], row["luld_upper"]) == (9, 11)
    floor.run(tick(records.TICK_STATUS, 0, 2, n1=records.STATUS_QUOTE_RESUME), until=3)
    assert floor.row()["halted"] == 1
    floor.run(tick(records.TICK_STATUS, 0, 3, n1=records.STATUS_TRADING), until=4)
    assert floor.row()["halted"] == 0


def test_a_gap_of_the_feed_makes_its_symbols_blind_and_flags_their_minutes() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 1), tick(records.TICK_GAP_START, -1, 2), until=3)
    assert floor.row(0)["blind"] and floor.row(1)["blind"]
    end = tick(records.TICK_GAP_END, -1, 70)
    events = floor.run(end, trade(0, 71, 10, 1), trade(0, 121, 10, 1), until=None)
    assert not floor.row(0)["blind"]
    assert [int(e["bar"]["flags"]) for e in events] == [records.FLAG_GAP, records.FLAG_GAP, 0]


def test_a_gap_of_one_symbol_leaves_the_others_seeing() -> None:
    floor = Floor()
    floor.run(tick(records.TICK_GAP_START, 1, 2), until=3)
    assert [int(floor.row(s)["blind"]) for s in range(3)] == [0, 1, 0]


def gap_of(floor: Floor, sym: int = 0) -> tuple[int, int]:
    """Of the newest gap: its end in whole seconds after T_0, and the first bar behind it."""
    word = int(floor.row(sym)["gap"])
    return (word & records.GAP_SECOND) - 1 - T0 // SECOND, word >> records.GAP_BAR_SHIFT


def test_a_row_knows_when_its_newest_gap_ended_and_which_bar_lies_behind_it() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 1), trade(0, 61, 10, 1), until=62)
    assert int(floor.row(0)["gap"]) == 0
    # bar 0 is final, minute 1 open: bars 0 to 2 belong to minutes that began before the end
    start, end = tick(records.TICK_GAP_START, -1, 70), tick(records.TICK_GAP_END, -1, 130.7)
    floor.run(start, end, until=131)
    assert gap_of(floor) == (130, 3)
    assert gap_of(floor, sym=1) == (130, 1)
    floor.run(trade(0, 140, 10, 1), trade(0, 185, 10, 1), trade(0, 245, 10, 1), until=310)
    bars = floor.tables.history.bars[[(M0 + minute) % 208 for minute in range(5)], 0]
    touched = [bool(flags & records.FLAG_GAP) for flags in bars["flags"]]
    assert touched == [False, True, True, False, False]
    assert int(floor.row(0)["bar_index"]) == 5 and gap_of(floor) == (130, 3)


def test_of_two_gaps_the_one_that_ended_later_is_remembered() -> None:
    floor = Floor(build(feeds=2))
    end = records.TICK_GAP_END
    floor.publish(tick(end, -1, 20, recv=30), feed=0)
    floor.publish(tick(end, -1, 10, recv=31), tick(end, 0, 10.5, recv=32), feed=1)
    floor.run(until=33)
    assert gap_of(floor)[0] == gap_of(floor, sym=1)[0] == 20
    floor.publish(tick(end, 0, 40), feed=1)
    floor.run(until=41)
    assert (gap_of(floor)[0], gap_of(floor, sym=1)[0]) == (40, 20)


def test_a_new_session_date_still_knows_the_newest_gap() -> None:
    floor = Floor()
    floor.run(tick(records.TICK_GAP_START, 0, 2), tick(records.TICK_GAP_END, 0, 5), until=6)
    row = np.array([floor.row(0)])
    roll_session(row, int(floor.tables.session[0]["start_ns"]))
    assert int(row[0]["blind"]) == 0 and int(row[0]["gap"]) == int(floor.row(0)["gap"]) != 0


def test_trade_ids_are_not_deduplicated() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 10, 1, id=5), trade(0, 1, 10, 1, id=5), until=2)
    assert floor.row()["volume"][1] == 2


def test_the_event_list_never_grows_beyond_its_bound() -> None:
    floor = Floor(history_bars=4000)
    guard = floor.tables.cell.events[:, 2].copy()
    stage = floor.stage
    stage._works = [w._replace(ev_f=w.ev_f[:2], ev_i=w.ev_i[:2]) for w in stage._works]
    floor.run(*[trade(0, -60 * minute - 1, 10, 1, recv=1) for minute in range(5)], until=2)
    assert floor.head["events_dropped"] == 3 and len(floor.tables.bar_ring.slices(0, 2)[0]) == 2
    assert floor.row()["volume"].sum() == 5
    assert (floor.tables.cell.events[:, 2] == guard).all()


def test_a_slot_of_the_history_taken_by_a_newer_minute_is_too_late() -> None:
    floor = Floor(history_bars=2)
    floor.tables.session["grace_ns"] = 3600 * SECOND
    minutes = [trade(0, 60 * minute + 1, 10 + minute, 1) for minute in range(5)]
    events = floor.run(*minutes, until=242)
    assert [minute for _, minute, _ in kinds(events)] == [0, 1, 2]
    assert floor.run(trade(0, 2, 50, 1, recv=243), until=244) == []
    assert floor.head["too_late"] == 1 and ohlc(floor.bar(2))[:4] == (12, 12, 12, 12)
