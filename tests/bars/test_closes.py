"""The official close: the largest closing record of every symbol, whoever looks how often."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bars.closes import enter_closes
from engine.domain import records
from tests.bars.floor import REGULAR, SECOND, Floor, at, build, trade

CLOSING = records.COND_CLOSE
BELL = 100.0  # seconds after T_0


def floor_with_bell(feeds: int = 1) -> Floor:
    tables = build(feeds=feeds)
    tables.session["close_ns"] = at(BELL)
    tables.session["end_ns"] = at(BELL + 3600)
    return Floor(tables)


def closes(floor: Floor) -> list[tuple[float, float]]:
    """(price, size) of the first three symbols."""
    return [(float(close["price"]), float(close["size"])) for close in floor.tables.closes[:3]]


def test_the_largest_closing_record_is_the_official_close_also_after_the_bell() -> None:
    floor = floor_with_bell()
    floor.run(
        trade(0, 99, 10.0, 900),
        trade(0, 101, 10.5, 300, CLOSING),
        trade(0, 103, 10.6, 700, REGULAR | CLOSING),
        trade(0, 105, 10.7, 700, CLOSING),
        trade(1, 130, 20.0, 5, CLOSING),
        until=200,
    )
    assert closes(floor) == [(10.6, 700), (20.0, 5), (0, 0)]


def test_a_closing_record_of_long_before_the_bell_is_another_days() -> None:
    floor = floor_with_bell()
    floor.run(
        trade(0, 30, 10.0, 900, CLOSING, recv=101),
        trade(0, 39.9, 10.1, 800, CLOSING, recv=102),
        trade(0, 40, 10.2, 100, CLOSING, recv=103),
        trade(1, 41, 20.0, 7, CLOSING),
        until=200,
    )
    assert closes(floor) == [(10.2, 100), (20.0, 7), (0, 0)]


def test_what_cannot_be_a_close_is_none() -> None:
    floor = floor_with_bell()
    floor.run(
        trade(0, 101, 0.0, 100, CLOSING),
        trade(0, 101, -1.0, 100, CLOSING),
        trade(0, 101, np.nan, 100, CLOSING),
        trade(0, 101, np.inf, 100, CLOSING),
        trade(0, 101, 10.0, 0, CLOSING),
        trade(0, 101, 10.0, np.nan, CLOSING),
        trade(0, 101, 10.0, np.inf, CLOSING),
        trade(0, 400, 10.0, 100, CLOSING, recv=102),
        trade(63, 101, 10.0, 100, CLOSING),
        trade(-1, 101, 10.0, 100, CLOSING),
        trade(70_000, 101, 10.0, 100, CLOSING),
        until=200,
    )
    assert closes(floor) == [(0, 0), (0, 0), (0, 0)]
    assert not floor.tables.closes["size"].any()


def test_of_several_feeds_the_largest_counts_and_of_equals_the_first() -> None:
    floor = floor_with_bell(feeds=2)
    floor.publish(trade(0, 101, 10.0, 100, CLOSING), feed=0)
    floor.publish(
        trade(0, 101, 11.0, 100, CLOSING), trade(1, 101, 21.0, 9, CLOSING), feed=1
    )
    floor.run(until=110)
    floor.publish(trade(1, 111, 22.0, 10, CLOSING), feed=0)
    floor.run(until=200)
    assert closes(floor) == [(10.0, 100), (22.0, 10), (0, 0)]


def test_closes_survive_the_end_of_the_ring() -> None:
    floor = floor_with_bell()
    for start in range(60, 180, 20):
        floor.run(
            *(trade(2, start + i / 50, 30.0, 1) for i in range(490)),
            trade(2, start + 15, 31.0 + start, start, CLOSING),
            until=start + 18,
        )
    assert floor.tables.ticks.rings[0].tail() > 2 * floor.tables.ticks.rings[0].capacity
    assert closes(floor)[2] == (191.0, 160)


RECORDS = st.lists(
    st.tuples(
        st.integers(-1, 4),  # number
        st.sampled_from([0.0, 1.0, 2.0, 3.0]),  # size
        st.floats(0.5, 9.5),  # price
        st.booleans(),  # a closing record
        st.integers(-3, 5),  # event, seconds
    ),
    max_size=30,
)


@given(given_records=RECORDS, cuts=st.lists(st.integers(0, 30), max_size=3), torn=st.booleans())
@pytest.mark.filterwarnings("error")
def test_any_cut_and_any_repetition_gives_the_largest(
    given_records: list[tuple[int, float, float, bool, int]], cuts: list[int], torn: bool
) -> None:
    ids = np.array([2, 0, -1, 5], np.int32)
    ticks = np.zeros(len(given_records), records.TICK)
    best: dict[int, tuple[float, float]] = {}
    for tick, (number, size, price, closing, second) in zip(ticks, given_records, strict=True):
        tick["kind"], tick["sym"], tick["b"], tick["a"] = records.TICK_TRADE, number, size, price
        tick["cond"], tick["event_ns"] = CLOSING if closing else REGULAR, second * SECOND
        symbol = int(ids[number]) if 0 <= number < 4 else -1
        if closing and symbol >= 0 and 0 <= second <= 4 and size > best.get(symbol, (0.0, 0.0))[1]:
            best[symbol] = price, size
    table = np.zeros(6, records.CLOSE)
    bounds = [0, *sorted(min(cut, len(ticks)) for cut in cuts), len(ticks)]
    for start, end in itertools.pairwise(bounds):
        sizes = table["size"].copy()
        enter_closes(table, ticks[start:end], ids, 0, 4 * SECOND)
        if torn:  # killed after the prices: done again
            table["size"] = sizes
            enter_closes(table, ticks[start:end], ids, 0, 4 * SECOND)
        enter_closes(table, ticks[start:end], ids, 0, 4 * SECOND)
    found = {
        symbol: (float(close["price"]), float(close["size"]))
        for symbol, close in enumerate(table) if close["size"] > 0
    }  # fmt: skip
    assert found == best
