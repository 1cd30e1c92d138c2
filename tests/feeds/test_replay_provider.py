"""The replay provider: merging, ranges, positions; the bundled recording against polars."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.records import COND_HILO, COND_VOLUME, TICK_QUOTE, TICK_TRADE
from engine.feeds.port import BEFORE_ALL
from engine.feeds.providers.replay import ReplayProvider
from tests.feeds.conftest import BUNDLED, all_ticks, equal_ticks

TRADES = "ts_ns,symbol,price,size,conditions,exchange\n"
QUOTES = "ts_ns,symbol,bid,bid_size,ask,ask_size,exchange\n"


def provider(conditions, trades, quotes=None, start_ns=None, end_ns=None, said=None):
    report = (said if said is not None else []).append
    return ReplayProvider(trades, quotes, conditions, report, start_ns, end_ns)


def test_trades_and_quotes_are_merged_by_time_trades_first(write, conditions):
    trades = write(TRADES + "5,A,1,1,,Q\n5,B,2,1,,Q\n9,A,3,1,,Q\n", "t.csv")
    quotes = write(QUOTES + "4,A,1,1,2,1,Q\n5,A,1,1,2,1,Q\n9,C,1,1,2,1,Q\n", "q.csv.gz")
    source = provider(conditions, trades, quotes)
    assert source.start_ns == 3
    ticks = all_ticks(source, 2)
    assert ticks["kind"].tolist() == [TICK_QUOTE, *[TICK_TRADE] * 2, TICK_QUOTE, TICK_TRADE, 2]
    assert ticks["recv_ns"].tolist() == [4, 5, 5, 5, 9, 9]
    assert [source.name(n) for n in ticks["sym"]] == ["A", "A", "B", "A", "A", "C"]
    assert ticks["src_pos"].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_range_holds_its_start_and_not_its_end_and_keeps_positions(write, conditions):
    trades = write(TRADES + "".join(f"{t},A,1,1,,Q\n" for t in (1, 2, 2, 3, 4, 4, 5)))
    history = all_ticks(provider(conditions, trades, end_ns=2))
    stream = all_ticks(provider(conditions, trades, start_ns=2, end_ns=5))
    assert history["src_pos"].tolist() == [0]
    assert stream["src_pos"].tolist() == [1, 2, 3, 4, 5]
    assert stream["recv_ns"].tolist() == [2, 2, 3, 4, 4]


def test_the_order_is_that_of_receiving_when_the_recording_knows_it(write, conditions):
    trades = write(
        "ts_ns,symbol,price,size,conditions,exchange,recv_ns\n7,A,1,1,,Q,10\n2,A,2,1,,Q,12\n"
    )
    ticks = all_ticks(provider(conditions, trades))
    assert ticks["event_ns"].tolist() == [7, 2]
    assert ticks["recv_ns"].tolist() == [10, 12]


def test_a_file_without_rows_has_no_ticks(write, conditions):
    source = provider(conditions, write(TRADES), write(QUOTES, "q.csv"))
    assert len(source.read(10)) == 0
    assert source.start_ns == 0


def test_bad_rows_take_no_position_and_are_told_once(write, conditions):
    said = []
    trades = write(TRADES + "1,A,1,1,,Q\njunk\n2,A,1,1,,Q\n3,A,1,1,,Q\n")
    source = provider(conditions, trades, said=said)
    assert all_ticks(source)["src_pos"].tolist() == [0, 1, 2]
    assert source.rows_bad == 1
    source.seek(1)
    assert all_ticks(source)["recv_ns"].tolist() == [3]
    assert len(said) == 1


def test_who_goes_on_elsewhere_counts_every_row_before_it_and_tells_of_none_again(
    write, conditions
):
    rng = random.Random(7)
    lines, at_ns = [], 100
    for row in range(40_000):
        at_ns += rng.randrange(3)
        late = rng.random() < 0.01
        words = "Nonsense" if rng.random() < 0.01 else ""
        lines.append("junk" if row % 997 == 5 else f"{at_ns - 50 * late},A,1,1,{words},Q")
    trades = write(TRADES + "\n".join(lines) + "\n")
    first = provider(conditions, trades)
    shown = [(BEFORE_ALL, 0, 0, 0)]
    while len(ticks := first.read(1000)):
        position = int(ticks["src_pos"][-1])
        shown.append((position, first.rows_bad, first.rows_late, first.unknown_conditions))
    assert shown[-1][1:] == (41, first.rows_late, first.unknown_conditions)
    assert min(shown[-1]) > 0
    for position, *before in shown[:: len(shown) // 8]:
        said: list[str] = []
        successor = provider(conditions, trades, said=said)
        successor.seek(position)
        successor.read(1)
        after = (successor.rows_bad, successor.rows_late, successor.unknown_conditions)
        assert all(new >= old for new, old in zip(after, before, strict=True)), position
        all_ticks(successor)
        after = (successor.rows_bad, successor.rows_late, successor.unknown_conditions)
        assert after == shown[-1][1:]
        told = [sentence for sentence in said if "left out" in sentence]
        assert len(told) <= 41 - before[0]


times = st.lists(st.integers(0, 30), max_size=40).map(sorted)


@settings(deadline=None, max_examples=60)
@given(times, times, st.integers(BEFORE_ALL, 85), st.integers(1, 9), st.integers(0, 31))
def test_reading_goes_on_after_any_position_exactly(
    tmp_path_factory, conditions, trade_times, quote_times, after, limit, start
):
    place = tmp_path_factory.mktemp("merge")
    trades, quotes = place / "t.csv", place / "q.csv"
    trades.write_text(
        TRADES + "".join(f"{t},S{i % 5},{i + 1},1,,Q\n" for i, t in enumerate(trade_times))
    )
    quotes.write_text(
        QUOTES + "".join(f"{t},S{i % 7},1,1,{i + 2},1,Z\n" for i, t in enumerate(quote_times))
    )
    source = provider(conditions, trades, quotes, start_ns=start)
    whole = all_ticks(source, 1000)
    names = [source.name(n) for n in whole["sym"]]
    source.seek(after)
    rest = all_ticks(source, limit)
    expected = whole[whole["src_pos"] > after]
    renamed = [source.name(n) for n in rest["sym"]]
    assert renamed == names[len(whole) - len(expected) :]
    rest["sym"] = expected["sym"]
    assert equal_ticks(rest, expected)
    source.reset()
    again = all_ticks(source, limit)
    assert equal_ticks(again, whole)


@pytest.fixture(scope="module")
def recording(conditions):
    source = provider(conditions, BUNDLED)
    ticks = all_ticks(source, 1 << 15)
    return source, ticks


def by_minute(source, ticks, bit):
    """Polars frame of the ticks that have a bit: symbol, minute, price, size."""
    ticks = ticks[(ticks["cond"] & bit) != 0]
    return pl.DataFrame(
        {
            "symbol": [source.name(n) for n in ticks["sym"]],
            "minute": ticks["event_ns"] // 60_000_000_000,
            "price": ticks["a"].copy(),
            "size": ticks["b"].astype("i8"),
        }
    )


def straight(words):
    """The recording as polars reads it, without the trades that have one of the words."""
    frame = pl.read_csv(
        BUNDLED,
        schema_overrides={"symbol": pl.String, "conditions": pl.String, "price": pl.Float64},
        null_values=[],
    ).with_columns(pl.col("ts_ns") // 60_000_000_000)
    parts = pl.col("conditions").str.split("|")
    return frame.filter(parts.list.set_intersection(list(words)).list.len() == 0)


def test_volume_per_minute_equals_an_independent_query(recording):
    source, ticks = recording
    assert (source.rows_bad, source.rows_late, source.unknown_conditions) == (0, 0, 0)
    assert len(ticks) == 1_042_557
    keys = ["symbol", "minute"]
    ours = by_minute(source, ticks, COND_VOLUME).group_by(keys).agg(
        pl.col("size").sum(), pl.len().alias("trades")
    )
    theirs = (
        straight({"OfficialOpen", "OfficialClose"})
        .rename({"ts_ns": "minute"})
        .group_by(keys)
        .agg(pl.col("size").sum(), pl.len().alias("trades"))
    )
    assert ours.height > 3000
    assert ours.sort(keys).equals(theirs.sort(keys))


def test_highs_and_lows_per_minute_equal_an_independent_query(recording):
    source, ticks = recording
    keys = ["symbol", "minute"]
    aggregates = [pl.col("price").max().alias("high"), pl.col("price").min().alias("low")]
    ours = by_minute(source, ticks, COND_HILO).group_by(keys).agg(aggregates)
    barred = {"OfficialOpen", "OfficialClose", "ExtendedHours", "AveragePrice", "Cash", "NextDay"}
    theirs = (
        straight(barred | {"Seller"}).rename({"ts_ns": "minute"}).group_by(keys).agg(aggregates)
    )
    assert ours.height > 3000
    assert ours.sort(keys).equals(theirs.sort(keys))
