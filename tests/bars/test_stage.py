"""Deciding, admission, histories, gates, the end of a stream."""

import numpy as np
import pytest

from engine.bars.errors import BarsError
from engine.bars.stage import BarsStage, empty_rows, new_head, roll_session
from engine.domain import records
from shm.fences import write_word
from tests.bars.floor import INTERVAL, M0, SECOND, T0, Floor, admit, at, build, quote, trade


def test_no_grid_point_is_missed_in_replay() -> None:
    floor = Floor()
    floor.publish(trade(0, 5, 10, 1))
    floor.mark(3.05)
    times = []
    while (decision := floor.step()) is not None:
        times.append(int(decision["t_ns"]))
    assert times == [T0 + INTERVAL * (i + 1) for i in range(30)]
    assert floor.head["k"] == floor.head["t_ns"] // INTERVAL and floor.head["n"] == 30


def test_the_lowest_watermark_decides() -> None:
    floor = Floor(feeds=2)
    floor.mark(1, feed=0)
    assert floor.step() is None
    floor.mark(0.2, feed=1)
    assert floor.step() is not None and floor.step() is not None and floor.step() is None


def test_the_end_cursor_is_the_first_record_beyond_t() -> None:
    floor = Floor()
    floor.publish(
        quote(0, 0.05, 1, 2), quote(0, 0.1, 1, 2), quote(0, 0.15, 1, 2), quote(0, 0.02, 1, 2)
    )
    floor.mark(0.2)
    first, second = floor.step(), floor.step()
    assert first is not None and second is not None
    assert (first["tick_end"][0], second["tick_end"][0]) == (2, 4)
    assert floor.head["max_recv_ns"][0] == at(0.15)


def test_rings_merge_by_running_maximum_then_ring_then_position() -> None:
    floor = Floor(feeds=2)
    floor.publish(trade(0, 0.03, 1, 1), trade(0, 0.01, 2, 1), trade(0, 0.05, 3, 1), feed=0)
    floor.publish(trade(0, 0.02, 4, 1), trade(0, 0.03, 5, 1), trade(0, 0.04, 6, 1), feed=1)
    floor.mark(0.1)
    floor.step()
    prices = floor.tables.history.pool["price"][:6].tolist()
    assert prices == [4, 1, 2, 5, 6, 3] and floor.row()["last"] == 3


def test_a_decision_waits_for_indicators_and_every_scan_worker() -> None:
    floor = Floor(workers=2)
    floor.mark(10)
    floor.step()
    write_word(floor.tables.scan.words, 16, 0)
    assert not floor.stage.gates_ready(1) and floor.step() is None
    write_word(floor.tables.scan.words, 16, 1)
    write_word(floor.tables.indicators.words, 0, 1)
    assert floor.step() is None
    write_word(floor.tables.indicators.words, 0, 3)
    assert floor.stage.gates_ready(1) and floor.step() is not None


def test_at_the_end_of_input_the_open_minute_closes_and_the_next_cycle_ends_the_stream() -> None:
    floor = Floor()
    events = floor.run(trade(0, 1, 10, 1), until=None)
    assert len(events) == 1 and floor.stage.ended
    assert floor.head["t_ns"] == at(60.6)
    assert floor.head["flags"] == records.DECISION_END and floor.stage.decide_replay() is None


def test_a_stream_without_ticks_ends_at_once() -> None:
    floor = Floor()
    assert floor.run(until=None) == [] and floor.stage.n == 1 and floor.stage.ended


def test_the_session_roll_ends_a_live_stream_with_the_ticks_up_to_it() -> None:
    floor = Floor()
    floor.tables.session["roll_ns"] = at(0.25)
    floor.publish(trade(0, 0.05, 10, 3), trade(0, 0.27, 11, 4), trade(0, 0.31, 12, 5))
    floor.mark(5)
    before = floor.stage.decide_live(at(0.22), SECOND)
    assert before is not None and floor.stage.execute(before)
    assert not before["flags"] and not floor.stage.ended
    floor.pass_gates()
    last = floor.stage.decide_live(at(4.05), SECOND)
    assert last is not None and floor.stage.execute(last) and floor.stage.ended
    assert (last["t_ns"], last["absent"]) == (at(0.3), 0)
    assert last["flags"] == floor.head["flags"] == records.DECISION_END
    assert floor.row()["last"] == 11
    floor.pass_gates()
    assert floor.stage.decide_live(at(9), SECOND) is None
    successor = BarsStage(floor.tables)
    successor.recover()
    assert successor.ended and successor.decide_live(at(9), SECOND) is None


def test_the_end_of_input_does_not_end_a_live_stream() -> None:
    floor = Floor()
    floor.mark(None)
    decision = floor.stage.decide_live(at(60.6), SECOND)
    assert decision is not None and floor.stage.execute(decision) and not floor.stage.ended
    floor.pass_gates()
    assert floor.stage.decide_live(at(61), SECOND) is not None


def test_the_session_roll_ends_the_stream() -> None:
    floor = Floor()
    floor.tables.session["roll_ns"] = at(0.25)
    floor.run(until=10)
    assert floor.head["t_ns"] == at(0.3) and floor.stage.ended


def test_the_newest_rules_version_goes_into_the_decision() -> None:
    floor = Floor()
    floor.tables.rules.publish(3, b"x")
    floor.mark(10)
    decision = floor.step()
    assert decision is not None and decision["rules_version"] == 3 == floor.head["rules_version"]


def test_live_decides_the_latest_grid_point_and_counts_the_absent_ones() -> None:
    floor = Floor()
    floor.mark(0.55)
    stage = floor.stage
    assert stage.decide_live(at(0.05), SECOND) is None
    decision = stage.decide_live(at(0.57), SECOND)
    assert decision is not None
    assert (decision["t_ns"], decision["absent"], decision["flags"]) == (at(0.5), 4, 0)


def test_live_cuts_a_lagging_ring_at_its_tail_after_the_wait() -> None:
    floor = Floor(feeds=2)
    floor.publish(quote(0, 0.02, 1, 2), feed=1)
    floor.mark(5, feed=0)
    floor.mark(0.02, feed=1)
    wait_ns = SECOND // 4
    assert floor.stage.decide_live(at(0.35), wait_ns) is None
    decision = floor.stage.decide_live(at(0.351), wait_ns, flags=records.DECISION_UNRECORDED)
    assert decision is not None and decision["t_ns"] == at(0.1)
    assert decision["flags"] == records.DECISION_LAGGING | records.DECISION_UNRECORDED
    assert decision["tick_end"][:2].tolist() == [0, 1]
    assert floor.stage.execute(decision)
    floor.pass_gates()
    late = quote(0, 0.03, 5, 6)
    floor.publish(late, feed=1)
    floor.mark(0.3, feed=1)
    decision = floor.stage.decide_live(at(0.36), wait_ns)
    assert decision is not None and decision["t_ns"] == at(0.3) and decision["absent"] == 1
    assert floor.stage.execute(decision) and floor.row()["bid"] == 5


def test_a_decision_is_written_once_and_kept_until_it_is_executed() -> None:
    floor = Floor()
    floor.mark(10)
    first, again = floor.stage.decide_replay(), floor.stage.decide_replay()
    assert first is not None and again is not None and first.tobytes() == again.tobytes()
    assert floor.tables.decisions.tail() == 1


def test_a_damaged_or_foreign_decision_is_refused() -> None:
    floor = Floor()
    floor.mark(10)
    decision = floor.stage.decide_replay()
    assert decision is not None
    damaged = decision.copy()
    damaged["t_ns"] += INTERVAL
    with pytest.raises(BarsError, match="decision 1 does not match its CRC"):
        floor.stage.execute(damaged)
    damaged["n"] = 2
    with pytest.raises(BarsError, match="decision 2 does not follow cycle 0"):
        floor.stage.execute(damaged)


def test_every_word_of_a_decision_is_under_its_crc() -> None:
    floor = Floor()
    floor.mark(10)
    decision = floor.stage.decide_replay()
    assert decision is not None
    for word in range(1, records.DECISION.itemsize // 8):
        damaged = np.array([decision]).view(np.int64)
        damaged[word] ^= 1 << 40
        with pytest.raises(BarsError, match="decision 1 does not match its CRC"):
            floor.stage.execute(damaged.view(records.DECISION)[0])
    assert floor.stage.n == 0 and floor.stage.execute(decision)


def test_a_ring_full_of_records_up_to_t_is_cut_instead_of_waiting_for_ever() -> None:
    floor = Floor(ring_ticks=8)
    ticks = [trade(0, 0.01, 10, 1) for _ in range(12)]
    floor.publish(*ticks[:8])
    floor.mark(0.005)
    decision = floor.step()
    assert decision is not None and decision["flags"] == records.DECISION_LAGGING
    assert floor.head["ticks"] == 8 and floor.tables.ticks.rings[0].free() == 0
    assert floor.step() is not None and floor.step() is None
    floor.publish(*ticks[8:])
    floor.mark(None)
    floor.step()
    assert floor.head["ticks"] == 12 and floor.head["t_ns"] == at(0.3)


def test_the_rings_keep_the_ticks_of_the_newest_cycle() -> None:
    floor = Floor()
    floor.run(quote(0, 0.05, 1, 2), quote(0, 0.15, 1, 2), quote(0, 0.25, 1, 2), until=0.2)
    ring, decisions = floor.tables.ticks.rings[0], floor.tables.decisions
    assert ring.gate("bars") == 1 and decisions.gate("bars") == 1
    floor.run(until=0.3)
    assert ring.gate("bars") == 2 and decisions.gate("bars") == 2


def test_nothing_is_done_while_the_bar_ring_has_no_room() -> None:
    floor = Floor()
    ring = floor.tables.bar_ring
    ring.publish(np.zeros(ring.free(), records.BAR_EVENT))
    floor.mark(10)
    decision = floor.stage.decide_replay()
    assert decision is not None and not floor.stage.execute(decision) and floor.stage.n == 0
    ring.set_gate("recorder", ring.tail())
    assert floor.stage.execute(decision) and floor.stage.n == 1


def test_the_bar_ring_holds_the_events_in_order() -> None:
    floor = Floor()
    events = floor.run(trade(0, 1, 10, 1), trade(1, 2, 11, 1), trade(0, 61, 12, 1), until=None)
    ring = floor.tables.bar_ring
    written = np.concatenate(ring.slices(0, ring.tail()))
    assert written.tobytes() == np.stack(events).tobytes()
    assert floor.head["bar_tail"] == ring.tail() == 3


def test_a_ticker_gets_an_id_in_the_emptiest_slice() -> None:
    floor = Floor(build(capacity=130, workers=2, names=()))
    floor.tables.feed_names[0].set(7, "X")
    floor.run(
        admit(7, 0.01, "X"), admit(2, 0.02, "Y"), admit(9, 0.03, "LONG.TICKER/NAME-24CHARS"),
        trade(9, 0.04, 12, 1), admit(7, 0.05, "X"), until=0.1,
    )  # fmt: skip
    rows = floor.tables.sizes.slice_rows
    assert rows == 128
    assert floor.tables.names.all() == [(0, "X"), (1, "LONG.TICKER/NAME-24CHARS"), (rows, "Y")]
    assert floor.head["symbol_count"][:2].tolist() == [2, 1] and floor.row(1)["last"] == 12


def test_two_feeds_share_the_id_of_a_ticker() -> None:
    floor = Floor(build(names=(), feeds=2))
    floor.publish(admit(4, 0.01, "X"), trade(4, 0.02, 10, 1), feed=0)
    floor.publish(admit(1, 0.03, "X"), trade(1, 0.04, 11, 1), feed=1)
    floor.run(until=0.1)
    assert floor.row(0)["volume"][1] == 2 and floor.head["symbol_count"][0] == 1


def test_beyond_the_capacity_tickers_and_their_ticks_are_refused() -> None:
    floor = Floor(build(capacity=2, names=("A",)))
    floor.run(
        trade(1, 0.01, 10, 1), admit(1, 0.02, "B"), admit(2, 0.03, "C"), trade(2, 0.04, 10, 1),
        trade(1, 0.05, 11, 1), until=0.1,
    )  # fmt: skip
    assert floor.head["refused_tick"] == 1 and floor.head["refused_capacity"] == 2
    assert floor.row(1)["last"] == 11 and floor.tables.names.get(2) == ""


def test_a_ticker_admitted_during_a_gap_is_blind() -> None:
    floor = Floor(build(names=("A",)))
    gap = np.zeros(1, records.TICK)[0]
    gap["kind"], gap["sym"], gap["recv_ns"] = records.TICK_GAP_START, -1, at(0.01)
    floor.run(gap, admit(1, 0.02, "B"), until=0.1)
    assert floor.row(1)["blind"] == 1


def test_a_row_of_a_second_holds_the_state_as_of_it() -> None:
    floor = Floor()
    floor.run(
        trade(0, 0.5, 10, 3), trade(0, 1.0, 11, 4), trade(0, 1.05, 12, 5), trade(1, 2.05, 9, 1),
        until=3.2,
    )  # fmt: skip
    history, base = floor.tables.history, T0 // SECOND
    slots = [(base + second) % 64 for second in range(4)]
    assert history.second_stamp[slots].tolist() == [base + second for second in range(4)]
    prices = history.second_price[slots][:, :2]
    assert np.array_equal(
        prices, [[np.nan, np.nan], [11, np.nan], [12, np.nan], [12, 9]], equal_nan=True
    )
    assert history.second_volume[slots][:, 0].tolist() == [0, 7, 12, 12]
    assert floor.head["second"] == base + 3


def test_a_long_jump_writes_the_state_before_it_and_no_more_rows_than_there_are() -> None:
    floor = Floor()
    floor.publish(trade(0, 0.05, 10, 3), trade(0, 500, 20, 4))
    floor.mark(2000)
    for now in (0.1, 600.05):
        decision = floor.stage.decide_live(at(now), SECOND)
        assert decision is not None and floor.stage.execute(decision)
        floor.pass_gates()
    history, newest = floor.tables.history, at(600) // SECOND
    minutes = len(history.session_stamp)
    assert sorted(history.second_stamp.tolist()) == list(range(newest - 63, newest + 1))
    prices = history.second_price[:, 0]
    assert prices[newest % 64] == 20 and (np.delete(prices, newest % 64) == 10).all()
    assert history.minute_price[(M0 + 10) % 8, 0] == 20
    assert history.session_stamp[[(M0 + i) % minutes for i in range(11)]].tolist() == [
        M0 + i for i in range(11)
    ]
    assert history.session_volume[(M0 + 9) % minutes, 0] == 3


def test_volumes_wrap_at_two_to_the_32() -> None:
    floor = Floor()
    floor.run(trade(0, 0.5, 10, 2**32 + 5), until=1)
    assert floor.tables.history.second_volume[(T0 // SECOND + 1) % 64, 0] == 5


def test_yesterdays_last_is_not_a_price_of_today() -> None:
    rows = empty_rows(64)
    rows["last"][0], rows["last_event_ns"][0], rows["bar_index"][0] = 10, at(-9999), 7
    rows["close_rth"][0] = 9.5
    closes = roll_session(rows, int(build().session[0]["start_ns"]))
    assert closes[0] == 9.5 and np.isnan(closes[1])
    assert (rows["last"][0], rows["bar_index"][0]) == (10, 7) and np.isnan(rows["close_rth"][0])
    tables = build()
    stage = BarsStage(tables)
    stage.init_genesis(rows, new_head(tables, T0))
    assert np.isnan(tables.history.second_price[(T0 // SECOND) % 64, 0])
    assert tables.history.second_stamp[(T0 // SECOND) % 64] == T0 // SECOND


def test_genesis_refuses_a_start_off_the_grid_and_a_second_start() -> None:
    tables = build()
    with pytest.raises(BarsError, match="is not a multiple of the interval"):
        BarsStage(tables).init_genesis(empty_rows(64), new_head(tables, T0 + 1))
    with pytest.raises(BarsError, match="genesis is missing"):
        BarsStage(tables).recover()
    BarsStage(tables).init_genesis(empty_rows(64), new_head(tables, T0))
    with pytest.raises(BarsError, match="genesis comes first"):
        BarsStage(tables).init_genesis(empty_rows(64), new_head(tables, T0))
    with pytest.raises(BarsError, match="power of two"):
        BarsStage(build(pool_trades=1000))


def test_what_waits_for_a_role_and_how_far_it_is_behind_are_read_off_the_tables() -> None:
    floor = Floor()
    tables, followers = floor.tables, ("indicators", "scan0", "alerts", "recorder")
    assert [tables.behind(key) for key in (*followers, "bars", "feed0", "web")] == [0] * 7
    floor.mark(10)
    decision = floor.stage.decide_replay()
    assert decision is not None
    assert tables.waiting("bars") == 1
    assert floor.stage.execute(decision)
    assert [tables.behind(key) for key in followers] == [1, 1, 1, 1]
    assert [tables.waiting(key) for key in ("indicators", "scan0", "recorder")] == [1, 1, 1]
    assert [tables.waiting(key) for key in ("bars", "alerts", "feed0", "web")] == [0, 0, 0, 0]
    floor.pass_gates()
    assert [tables.waiting(key) for key in ("indicators", "scan0", "recorder")] == [0, 0, 0]
