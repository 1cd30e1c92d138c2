"""One body of tests over every bar store."""

import dataclasses
import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.storage.ports import BarRow, BarStore
from engine.storage.sqlite import SqliteBarReader, SqliteBarStore
from engine.storage.stub import MemoryBarStore
from tests.storage.samples import MINUTE_0, bar, same_bar, span


@dataclasses.dataclass
class Stores:
    """What the random test writes to side by side."""

    stub: MemoryBarStore
    sqlite: SqliteBarStore


@pytest.fixture(params=["stub", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BarStore]:
    """An empty store of each kind."""
    made: BarStore
    made = MemoryBarStore() if request.param == "stub" else SqliteBarStore(tmp_path / "bars.db")
    yield made
    made.close()


def test_a_new_store_has_no_bars(store: BarStore) -> None:
    assert store.range("AAPL", *span(0, 1000)) == []
    assert list(store.volumes(*span(0, 1000))) == []
    assert store.upsert([]) == 0


def test_a_range_is_half_open_and_in_order_of_time(store: BarStore) -> None:
    bars = [bar(m, symbol) for m in (5, 1, 4, 2, 3) for symbol in ("AAPL", "NA", "NAN")]
    assert store.upsert(bars) == 15
    assert store.range("NA", *span(2, 5)) == [bar(m, "NA") for m in (2, 3, 4)]
    assert store.range("NA", MINUTE_0 + 1, MINUTE_0 + 1) == []
    assert store.range("MSFT", *span(0, 9)) == []


def test_unknown_comes_back_as_unknown(store: BarStore) -> None:
    nan = math.nan
    sent = bar(1, open=nan, high=nan, low=nan, close=nan, pv=nan, volume=300.0)
    store.upsert([sent])
    [got] = store.range("AAPL", *span(0, 9))
    assert same_bar(got, sent)
    assert math.isnan(got.open)
    store.upsert([bar(2, volume=nan)])
    assert math.isnan(next(iter(store.volumes(*span(2, 3)))).volume)


def test_the_later_cycle_wins_whatever_the_order(store: BarStore) -> None:
    assert store.upsert([bar(1, n=20, close=2.0)]) == 1
    assert store.upsert([bar(1, n=19, close=1.0)]) == 0
    assert store.upsert([bar(1, n=20, close=9.0)]) == 0
    assert store.range("AAPL", *span(0, 9)) == [bar(1, n=20, close=2.0)]
    assert store.upsert([bar(1, n=22, close=4.0, flags=1), bar(1, n=21, close=3.0)]) == 1
    assert store.range("AAPL", *span(0, 9)) == [bar(1, n=22, close=4.0, flags=1)]


def test_without_a_stream_the_newest_stream_shows(store: BarStore) -> None:
    store.upsert([bar(m, stream_id="z-imported") for m in (1, 2, 3)])
    store.upsert([bar(m, stream_id="a-live", volume=7.0, n=0) for m in (2, 4)])
    store.upsert([bar(3, stream_id="z-imported", n=10**6)])
    shown = store.range("AAPL", *span(0, 9))
    assert [b.stream_id for b in shown] == ["z-imported", "a-live", "z-imported", "a-live"]
    assert store.range("AAPL", *span(0, 9), "a-live") == [
        bar(m, stream_id="a-live", volume=7.0, n=0) for m in (2, 4)
    ]
    assert [v.volume for v in store.volumes(*span(0, 9))] == [200.0, 7.0, 400.0, 7.0]
    assert [v.volume for v in store.volumes(*span(0, 9), "z-imported")] == [200.0, 300.0, 400.0]
    assert store.range("AAPL", *span(0, 9), "no such stream") == []
    assert list(store.volumes(*span(0, 9), "no such stream")) == []


def test_volumes_come_by_minute_then_symbol(store: BarStore) -> None:
    store.upsert([bar(m, symbol) for m in (2, 1) for symbol in ("ZZ", "AA", "MM")])
    got = [(v.minute_ns, v.symbol, v.volume) for v in store.volumes(*span(0, 2))]
    at = span(1, 2)[0]
    assert got == [(at, "AA", 200.0), (at, "MM", 200.0), (at, "ZZ", 200.0)]


def test_numpy_scalars_are_accepted(store: BarStore) -> None:
    sent = bar(1, volume=np.float64(5), n=np.int64(3), flags=np.uint32(8), trades=np.int64(2))
    assert store.upsert([sent]) == 1
    assert store.range("AAPL", *span(1, 2)) == [bar(1, volume=5.0, n=3, flags=8, trades=2)]


def test_the_oldest_minutes_go_first_and_the_open_stream_stays(store: BarStore) -> None:
    for stream in ("over", "open"):
        store.upsert([bar(m, s, stream_id=stream) for m in range(6) for s in "BA"])
    before_ns = span(0, 4)[1]
    assert store.prune(before_ns, "open", 3) == 3
    assert [b.minute_ns for b in store.range("A", *span(0, 9), "over")] == [
        bar(m).minute_ns for m in range(1, 6)
    ]
    assert len(store.range("B", *span(0, 9), "over")) == 4
    assert (store.prune(before_ns, "open", 0), store.prune(before_ns, "open", 99)) == (0, 5)
    assert store.prune(before_ns, "open", 99) == 0
    assert len(store.range("A", *span(0, 9), "over")) == 2
    assert len(store.range("A", *span(0, 9), "open")) == 6
    store.upsert([bar(1, "A", stream_id="over", n=1)])
    assert store.prune(before_ns, "open", 99) == 1
    assert store.prune(before_ns, "over", 99) == 8
    assert store.prune(10**19 // 2, "a stream without bars", 99) == 8


def test_a_stream_stays_as_new_as_it_was_when_its_first_bars_go(store: BarStore) -> None:
    store.upsert([bar(0, stream_id="first")])
    store.upsert([bar(5, stream_id="second", volume=2.0)])
    assert store.prune(span(0, 1)[1], "second", 9) == 1
    store.upsert([bar(5, stream_id="first", volume=1.0, n=10**6)])
    assert [b.stream_id for b in store.range("AAPL", *span(0, 9))] == ["second"]


def _random_bar(rng: random.Random) -> BarRow:
    return bar(
        rng.randrange(8),
        rng.choice("ABC"),
        stream_id=rng.choice(["s1", "s2", "s3"]),
        n=rng.randrange(6),
        close=rng.choice([math.nan, rng.random()]),
        volume=float(rng.randrange(1000)),
    )


@pytest.mark.parametrize("seed", range(10))
def test_the_sqlite_store_answers_like_the_stub_after_any_writes(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    stores = Stores(MemoryBarStore(), SqliteBarStore(tmp_path / "bars.db"))
    for _ in range(12):
        batch = [_random_bar(rng) for _ in range(rng.randrange(20))]
        assert stores.stub.upsert(batch) == stores.sqlite.upsert(batch)
        if rng.random() < 0.5:
            before_ns = span(0, rng.randrange(9))[1]
            how = before_ns, rng.choice(["s1", "s2", "none"]), rng.randrange(8)
            assert stores.stub.prune(*how) == stores.sqlite.prune(*how)
        first, last = sorted(rng.sample(range(10), 2))
        stream = rng.choice([None, "s1", "s2"])
        for symbol in "ABC":
            left = stores.stub.range(symbol, *span(first, last), stream)
            right = stores.sqlite.range(symbol, *span(first, last), stream)
            assert len(left) == len(right)
            assert all(same_bar(a, b) for a, b in zip(left, right, strict=True))
        assert list(stores.stub.volumes(*span(first, last), stream)) == list(
            stores.sqlite.volumes(*span(first, last), stream)
        )
    stores.sqlite.close()


def test_a_reader_beside_the_writer_sees_bars(tmp_path: Path) -> None:
    store = SqliteBarStore(tmp_path / "bars.db")
    reader = SqliteBarReader(tmp_path / "bars.db")
    store.upsert([bar(1)])
    assert reader.range("AAPL", *span(0, 9)) == [bar(1)]
    assert store._database.rows("read", "PRAGMA synchronous") == [(1,)]
    store.close()
    reader.close()
