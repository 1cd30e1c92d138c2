"""One body of tests over the SQLite store of reference data and the one in memory."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.storage.errors import StoreError
from engine.storage.reference_ports import (
    DAY_MINUTES,
    DailyBar,
    DayVolume,
    FloatShares,
    Listing,
    Split,
)
from engine.storage.reference_sqlite import SqliteReferenceReader, SqliteReferenceStore
from engine.storage.reference_stub import MemoryReferenceStore

Store = MemoryReferenceStore | SqliteReferenceStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: Any, tmp_path: Path) -> Iterator[Store]:
    made: Store
    if request.param == "memory":
        made = MemoryReferenceStore()
    else:
        made = SqliteReferenceStore(tmp_path / "reference.db")
    yield made
    made.close()


def listing(ticker: str, **changes: Any) -> Listing:
    fields: dict = {
        "name": f"{ticker} Inc.",
        "exchange": "Q",
        "sector": "Energy",
        "as_of": 20250721,
        "source": "directory.csv",
        "shares": 1000.0,
    }
    return Listing(ticker=ticker, **(fields | changes))


def volumes(ticker: str, date: int, first: float, regular_only: bool = False) -> DayVolume:
    minutes = np.zeros(DAY_MINUTES, np.float32)
    minutes[330] = first
    return DayVolume(ticker=ticker, date=date, regular_only=regular_only, minutes=minutes)


def bar(ticker: str, date: int, close: float, **changes: float) -> DailyBar:
    return DailyBar(ticker=ticker, date=date, close=close, **changes)


def test_a_company_is_put_together_from_both_sources(store: Store) -> None:
    assert store.company("AAA") is None and store.companies() == []
    assert store.put_listings([listing("AAA"), listing("NA", sector="", shares=math.nan)]) == 2
    told = {"shares": 70.0, "float_shares": 50.0, "as_of": 20230811, "source": "float.csv"}
    free = FloatShares(ticker="NA", sector="Finance", **told)
    assert store.put_floats([free]) == 1
    found = store.company("NA")
    assert found is not None and found.sector == "Finance" and found.name == "NA Inc."
    assert (found.shares, found.shares_as_of, found.float_shares) == (70.0, 20230811, 50.0)
    assert found.float_source == "float.csv" and not found.test_issue
    assert [one.ticker for one in store.companies()] == ["AAA", "NA"]
    newer = listing("NA", shares=80.0)
    assert store.put_listings([newer]) == 1
    found = store.company("NA")
    assert found is not None and (found.shares, found.shares_source) == (80.0, "directory.csv")


def test_what_comes_again_changes_nothing_and_what_is_older_is_ignored(store: Store) -> None:
    assert store.put_listings([listing("AAA")]) == 1
    assert store.put_listings([listing("AAA")]) == 0
    assert store.put_listings([listing("AAA", exchange="N", as_of=20240101)]) == 0
    assert store.put_listings([listing("AAA", exchange="N", as_of=20260101)]) == 1
    found = store.company("AAA")
    assert found is not None and found.exchange == "N"


def test_a_list_holds_exactly_what_it_was_given_last(store: Store) -> None:
    assert store.put_list("mine", ["NAN", "AAA"]) == 2
    assert store.put_list("mine", ["NAN", "BBB"]) == 2
    assert store.put_list("other", ["AAA"]) == 1
    assert store.lists() == {"mine": ["BBB", "NAN"], "other": ["AAA"]}
    assert store.put_list("other", []) == 1
    assert store.lists() == {"mine": ["BBB", "NAN"]}


def test_daily_bars_come_back_in_order_and_before_a_date(store: Store) -> None:
    whole = bar("AAA", 20250102, 11.0, open=10.0, high=12.0, low=9.0, volume=500.0)
    assert store.put_daily([bar("AAA", 20250103, 12.0, volume=7.0), whole, bar("B", 20250102, 1)])
    found = store.daily("AAA", 20250104)
    assert found["date"].tolist() == [20250102, 20250103]
    assert found["close"].tolist() == [11.0, 12.0] and found["high"][0] == 12.0
    assert math.isnan(found["open"][1]) and found["volume"].tolist() == [500.0, 7.0]
    assert store.daily("AAA", 20250103)["date"].tolist() == [20250102]
    assert len(store.daily("ZZZ", 20250103)) == 0
    assert store.traded(20250101, 20250102) == {"AAA": 500.0, "B": 0.0}


def test_a_bar_that_knows_less_never_replaces_one_that_knows_more(store: Store) -> None:
    whole = bar("AAA", 20250102, 11.0, open=10.0, high=12.0, low=9.0, volume=500.0)
    assert store.put_daily([whole]) == 1
    assert store.put_daily([bar("AAA", 20250102, 110.0, volume=50.0)]) == 0
    assert store.daily("AAA", 20260101)["close"].tolist() == [11.0]
    corrected = bar("AAA", 20250102, 11.5, open=10.0, high=12.0, low=9.0, volume=500.0)
    assert store.put_daily([corrected, corrected]) == 1
    assert store.daily("AAA", 20260101)["close"].tolist() == [11.5]


def test_volumes_of_a_whole_day_are_not_replaced_by_those_of_regular_hours(store: Store) -> None:
    assert store.put_day_volumes([volumes("AAA", 20250102, 5.0, regular_only=True)]) == 1
    assert store.put_day_volumes([volumes("AAA", 20250102, 6.0)]) == 1
    assert store.put_day_volumes([volumes("AAA", 20250102, 6.0)]) == 0
    assert store.put_day_volumes([volumes("AAA", 20250102, 7.0, regular_only=True)]) == 0
    store.put_day_volumes([volumes("AAA", 20250103, 8.0), volumes("AAA", 20250106, 9.0)])
    store.put_day_volumes([volumes("ZZZ", 20250107, 1.0)])
    assert store.counted(20250102, 20250106) == ["AAA"]
    assert store.counted(20250107, 20250108) == ["ZZZ"]
    found = store.day_volumes("AAA", 20250102, 20250103)
    assert [(one.date, float(one.minutes[330])) for one in found] == [(20250102, 6), (20250103, 8)]
    assert not found[0].regular_only and found[0].minutes.sum() == 6


def test_splits_and_what_there_is_of_everything(store: Store) -> None:
    assert store.coverage() == []
    split = Split(ticker="NFLX", date=20251117, ratio=10.0)
    assert (store.put_splits([split]), store.put_splits([split])) == (1, 0)
    assert store.put_splits([Split(ticker="NFLX", date=20251117, ratio=1.0)]) == 1
    assert store.splits() == [Split(ticker="NFLX", date=20251117, ratio=1.0)]
    store.put_daily([bar("A", 20250102, 1), bar("A", 20250103, 1), bar("B", 20250103, 1)])
    store.put_day_volumes([volumes("A", 20250102, 1)])
    told = [(c.kind, c.symbols, c.rows, c.first, c.last) for c in store.coverage()]
    assert told == [
        ("daily bars", 2, 3, 20250102, 20250103),
        ("minute volumes", 1, 1, 20250102, 20250102),
        ("splits", 1, 1, 20251117, 20251117),
    ]
    assert [(c.kind, c.rows) for c in store.coverage("B")] == [("daily bars", 1)]


def test_a_reader_sees_what_was_stored_and_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "reference.db"
    with pytest.raises(StoreError, match=r"reference\.db"):
        SqliteReferenceReader(path)
    store = SqliteReferenceStore(path)
    store.put_listings([listing("AAA")])
    store.close()
    reader = SqliteReferenceReader(path)
    assert [one.ticker for one in reader.companies()] == ["AAA"]
    reader.close()
