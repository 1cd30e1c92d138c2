"""The book of a date, from a store in memory."""

import datetime
import math

import numpy as np
import pytest

from engine.domain import records
from engine.domain.levels import LEVEL, group_code, list_bits
from engine.domain.market_hours import TradingDay, date_number
from engine.reference.book import Book, build_book
from engine.storage.reference_ports import (
    DAY_MINUTES,
    DailyBar,
    DayVolume,
    FloatShares,
    Listing,
    Split,
)
from engine.storage.reference_stub import MemoryReferenceStore

TODAY = datetime.date(2025, 7, 7)
EARLY = {datetime.date(2025, 7, 3)}


def calendar(days: int = 400) -> list[TradingDay]:
    found = []
    for back in range(days, -1, -1):
        date = TODAY - datetime.timedelta(days=back)
        if date.weekday() < 5 and date != datetime.date(2025, 7, 4):
            found.append(TradingDay(date, 0, 0, date in EARLY))
    return found


CALENDAR = calendar()
DATES = [date_number(day.date) for day in CALENDAR[:-1]]


def history(ticker: str, prices: list[float], volume: float = 1000.0) -> list[DailyBar]:
    """Daily bars of the last sessions."""
    dates = DATES[len(DATES) - len(prices) :]
    return [
        DailyBar(ticker=ticker, date=date, open=price, high=price + 1, low=price - 1, close=price,
                 volume=volume)
        for date, price in zip(dates, prices, strict=True)
    ]  # fmt: skip


def volumes(ticker: str, count: int) -> list[DayVolume]:
    minutes = np.full(DAY_MINUTES, 10.0, np.float32)
    return [
        DayVolume(ticker=ticker, date=date, regular_only=False, minutes=minutes)
        for date in DATES[-count:]
    ]


@pytest.fixture
def store() -> MemoryReferenceStore:
    return MemoryReferenceStore()


def book_of(store: MemoryReferenceStore, room: int = 10) -> Book:
    return build_book(store, CALENDAR[-1], CALENDAR, room)


def listing(ticker: str, **changes: object) -> Listing:
    fields: dict = {"sector": "Energy", "exchange": "NYSE", "as_of": 20250101, "source": "d.csv"}
    return Listing(ticker=ticker, **(fields | changes))


def test_a_book_holds_what_listing_float_history_and_volumes_say(
    store: MemoryReferenceStore,
) -> None:
    store.put_listings([listing("NA", shares=500.0), listing("ZZT", test_issue=True)])
    store.put_floats([FloatShares(ticker="NA", float_shares=400.0, as_of=20250101, source="f.csv")])
    store.put_daily(history("NA", [20.0] * 30))
    store.put_day_volumes(volumes("NA", 25))
    store.put_list("mine", ["NA"])
    store.put_list("yours", ["ZZT", "OTHER"])
    book = book_of(store)
    assert book.tickers == ["NA", "ZZT"]
    one, test = book.reference
    assert (one["prev_close"], one["flags"]) == (20.0, records.REF_SSR_KNOWN)
    assert one["atr14_day"] == pytest.approx(2.0)
    assert one["sector"] == group_code(" energy ") and one["exchange"] == group_code("nyse")
    assert test["flags"] == records.REF_TEST_ISSUE and math.isnan(test["prev_close"])
    levels = book.levels[:, 0]
    assert (levels[LEVEL["shares"]], levels[LEVEL["float"]]) == (500, 400)
    assert levels[LEVEL["adv_20"]] == 1000 and levels[LEVEL["pdh"]] == 21
    codes = np.zeros(64, np.int64)
    codes[: len(book.lists)] = book.lists
    assert one["lists"] == list_bits(["MINE"], codes) != list_bits(["yours"], codes)
    assert test["lists"] & list_bits(["mine", "yours"], codes) == list_bits(["yours"], codes)
    assert list_bits(["nobody's"], codes) == 0


def test_a_half_day_is_no_full_session(store: MemoryReferenceStore) -> None:
    assert date_number(datetime.date(2025, 7, 3)) == DATES[-1], "yesterday closed early"
    store.put_day_volumes(volumes("A", 21))
    book = book_of(store)
    assert book.levels[LEVEL["sessions_all"], 0] == 20
    assert book.baseline[959, 0] == 9600
    store.put_listings([listing("B")])
    store.put_day_volumes(volumes("B", 5))
    book = book_of(store)
    assert book.levels[LEVEL["sessions_all"], 1] == 0, "four full sessions are too few"
    assert book.levels[LEVEL["sessions_rth"], 1] == 4


def test_history_before_a_jump_like_a_split_is_not_used(store: MemoryReferenceStore) -> None:
    store.put_daily(history("A", [100.0] * 20 + [10.0] * 10))
    book = book_of(store)
    (jump,) = book.jumps
    assert (jump.ticker, jump.date, jump.ratio) == ("A", DATES[-10], 10.0)
    levels = book.levels[:, 0]
    assert levels[LEVEL["close_5d"]] == 10.0 and math.isnan(levels[LEVEL["close_20d"]])
    assert math.isnan(levels[LEVEL["adv_20"]]) and math.isnan(book.reference["atr14_day"][0])
    store.put_splits([Split(ticker="A", date=DATES[-10], ratio=10.0)])
    book = book_of(store)
    assert book.jumps == [] and book.levels[LEVEL["close_20d"], 0] == 10.0
    assert book.levels[LEVEL["adv_20"], 0] == (10 * 10_000 + 10 * 1000) / 20
    store.put_splits([Split(ticker="A", date=DATES[-10], ratio=1.0)])
    book = book_of(store)
    assert book.jumps == [] and book.levels[LEVEL["close_20d"], 0] == 100.0


def test_a_split_of_today_is_in_every_number(store: MemoryReferenceStore) -> None:
    store.put_listings([listing("A", shares=100.0, as_of=DATES[-3])])
    store.put_daily(history("A", [100.0] * 30))
    store.put_day_volumes(volumes("A", 25))
    today = date_number(TODAY)
    store.put_splits([Split(ticker="A", date=today, ratio=4.0)])
    book = book_of(store)
    assert book.reference["prev_close"][0] == 25.0
    assert book.levels[LEVEL["shares"], 0] == 400 and book.levels[LEVEL["adv_5"], 0] == 4000
    assert book.baseline[959, 0] == 38_400
    store.put_splits([Split(ticker="A", date=today, ratio=1.0)])
    book = book_of(store)
    assert book.reference["prev_close"][0] == 100.0
    assert book.reference["flags"][0] & records.REF_GAP_REAL


def test_when_there_is_no_room_for_all_those_stay_that_traded_most(
    store: MemoryReferenceStore,
) -> None:
    store.put_listings([listing(ticker) for ticker in ("A", "B", "QUIET")])
    store.put_daily(history("B", [5.0] * 5, 10.0) + history("BIG", [5.0] * 5, 900.0))
    store.put_daily(history("NEW", [5.0], 20_000.0))
    assert book_of(store, 3).tickers == ["B", "BIG", "NEW"]
    assert book_of(store, 4).tickers == ["A", "B", "BIG", "NEW"]
    store.put_day_volumes(volumes("QUIET", 3))
    assert book_of(store, 4).tickers == ["B", "BIG", "NEW", "QUIET"]


def test_an_empty_store_makes_an_empty_book(store: MemoryReferenceStore) -> None:
    book = book_of(store)
    assert book.tickers == [] and book.levels.shape[1] == 0 and book.jumps == []
