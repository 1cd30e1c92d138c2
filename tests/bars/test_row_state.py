"""What a row remembers of its session date: opening ranges, new extremes, prints, halts."""

import math

import numpy as np
import pytest

from engine.bars.genesis import roll_session
from engine.bars.pool_nb import NO_PART, opening_part
from engine.domain import records
from tests.bars.floor import MINUTE, SECOND, T0, Floor, at, cancel, correction, tick, trade

HALTED, TRADING = records.STATUS_HALTED, records.STATUS_TRADING


def status(when: float, code: int) -> np.void:
    return tick(records.TICK_STATUS, 0, when, n1=code)


@pytest.mark.parametrize(
    ("minutes", "part"),
    [(0, 0), (0.99, 0), (1, 1), (4.99, 1), (5, 2), (14.99, 2), (15, 3), (29.9, 3), (30, 4),
     (59.99, 4), (60, NO_PART), (300, NO_PART)],
)  # fmt: skip
def test_a_part_of_the_first_hour_holds_its_first_instant_and_not_its_last(
    minutes: float, part: int
) -> None:
    assert opening_part(int(minutes * MINUTE)) == part


def test_each_trade_of_the_first_hour_widens_the_part_it_falls_into() -> None:
    floor = Floor()
    minutes = ((-1, 5), (0.5, 10), (0.9, 12), (1, 9), (7, 20), (20, 3), (45, 30))
    for minute, price in minutes:
        floor.run(trade(0, minute * 60, price, 1), until=minute * 60 + 1)
    row = floor.row()
    assert row["opening_high"].tolist() == [12, 9, 20, 3, 30]
    assert row["opening_low"].tolist() == [10, 9, 20, 3, 30]
    assert row["first"] == 5, "the first price of the date is that of the pre-market"


def test_new_highs_are_counted_once_a_second_and_not_for_the_first_trade() -> None:
    floor = Floor()
    floor.run(
        trade(0, 1.1, 10, 1), trade(0, 1.3, 11, 1), trade(0, 2.1, 12, 1), trade(0, 2.9, 13, 1),
        trade(0, 3.1, 12.5, 1), trade(0, 4.0, 9, 1), trade(0, 6.2, 14, 1), until=7,
    )  # fmt: skip
    row = floor.row()
    assert (row["new_highs"], row["new_lows"]) == (2, 1)  # 12 (13 in the same second), 14; 9
    assert (row["low_before_high"], row["high_before_low"]) == (9, 13)


def test_a_cancel_rebuilds_the_opening_range_and_what_lay_before_the_high() -> None:
    floor = Floor()
    floor.run(
        trade(0, 1, 10, 1, id=1), trade(0, 2, 8, 1, id=2), trade(0, 3, 15, 1, id=3),
        trade(0, 70, 11, 1, id=4), cancel(0, 80, 3), until=81,
    )  # fmt: skip
    row = floor.row()
    assert (row["opening_high"][0], row["opening_high"][1]) == (10, 11)
    assert row["low_before_high"] == 8 and row["high"][1] == 11
    floor.run(correction(0, 82, 2, 9, 1), until=83)
    row = floor.row()
    assert (row["opening_low"][0], row["low_before_high"], row["high_before_low"]) == (9, 9, 10)


def test_blocks_and_the_largest_print_follow_corrections() -> None:
    floor = Floor()
    floor.run(
        trade(0, 1, 25, 10_000, id=1), trade(0, 2, 50, 5_000, id=2), trade(0, 3, 15, 12_000, id=3),
        trade(0, 4, 30, 20_000, id=4, cond=records.COND_VOLUME), until=5,
    )  # fmt: skip
    row = floor.row()
    assert (row["blocks"], row["blocks_usd"], row["max_print_usd"]) == (2, 850_000, 600_000)
    floor.run(cancel(0, 6, 4), correction(0, 6, 1, 25, 100), until=7)
    row = floor.row()
    assert (row["blocks"], row["blocks_usd"], row["max_print_usd"]) == (0, 0, 250_000)


def test_beyond_the_pool_a_cancelled_largest_print_marks_its_session() -> None:
    floor = Floor(pool_trades=4)
    big = trade(0, 5, 100, 50, id=9, cond=records.COND_VOLUME)
    small = [trade(0, i + 1, 10, 1, id=i) for i in range(4)]
    floor.run(*small, big, until=6)
    floor.run(cancel(0, 7, 9), until=8)
    assert floor.row()["max_print_usd"] == 5000 and floor.row()["approx"] == 1 << records.RTH


def test_halts_are_counted_and_stamped_and_a_repeated_notice_is_the_same_halt() -> None:
    floor = Floor()
    floor.run(status(1, HALTED), status(5, HALTED), until=6)
    row = floor.row()
    assert (row["halted"], row["halts"], row["halt_event_ns"]) == (1, 1, at(1))
    assert row["resume_event_ns"] == 0
    floor.run(status(10, TRADING), status(12, TRADING), status(20, HALTED), until=21)
    row = floor.row()
    assert (row["halts"], row["halt_event_ns"], row["resume_event_ns"]) == (2, at(20), at(10))


def test_a_new_session_date_forgets_all_of_it() -> None:
    floor = Floor()
    floor.run(trade(0, 1, 25, 10_000), trade(0, 3, 26, 1), status(4, HALTED), until=5)
    rows = floor.tables.cell.rows[floor.stage.n % 4].copy()
    rows["block_shares"] = 12_345
    roll_session(rows, T0 + 86_400 * SECOND)
    row = rows[0]
    for name in ("first", "max_print_usd", "low_before_high", "high_before_low"):
        assert math.isnan(row[name]), name
    assert np.isnan(row["opening_high"]).all() and np.isnan(row["opening_low"]).all()
    for name in ("blocks", "blocks_usd", "new_highs", "new_lows", "halts", "ppv"):
        assert row[name] == 0, name
    assert row["block_shares"] == 12_345, "it is no fact of the session"
