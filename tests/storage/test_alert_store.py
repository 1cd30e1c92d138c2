"""One body of tests over every alert store."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.storage.errors import StoreError
from engine.storage.ports import AlertStore
from engine.storage.sqlite import SqliteAlertReader, SqliteAlertStore
from engine.storage.stub import MemoryAlertStore
from tests.storage.samples import alert


@pytest.fixture(params=["stub", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AlertStore]:
    """An empty store of each kind."""
    made: AlertStore
    made = MemoryAlertStore() if request.param == "stub" else SqliteAlertStore(tmp_path / "a.db")
    yield made
    made.close()


def _ids(rows: list) -> list[str]:
    return [row.alert.alert_id for row in rows]


def test_a_new_store_is_empty(store: AlertStore) -> None:
    assert store.count() == 0
    assert store.latest(10) == []
    assert store.after(0, 10) == []
    assert store.get("id-1") is None
    assert list(store.texts("s1")) == []
    assert store.last_n("s1") == 0
    assert store.append([]) == 0


def test_an_alert_comes_back_as_it_was_with_its_stamps_and_bytes(store: AlertStore) -> None:
    text = '{"symbol":"NA","price":null,"name":"Über €"}'.encode() + b"\x00\xff"
    sent = alert(1, symbol="NA", json=text, recv_ns=None, decided_ns=2**62)
    assert store.append([sent]) == 1
    row = store.get("id-1")
    assert row is not None
    assert row.alert == sent
    assert row.alert.json == text
    assert store.latest(1) == [row]


def test_a_repeat_is_ignored_and_counted(store: AlertStore) -> None:
    assert store.append([alert(1), alert(2)]) == 2
    assert store.append([alert(2, json=b"other"), alert(3), alert(3)]) == 1
    assert store.repeats == 2
    assert store.count() == 3
    row = store.get("id-2")
    assert row is not None and row.alert.json == b'{"alert":2}'


def test_latest_pages_backwards_without_a_gap_or_a_double(store: AlertStore) -> None:
    store.append([alert(i) for i in range(10)])
    seen: list[str] = []
    before: int | None = None
    while rows := store.latest(3, before=before):
        seen += _ids(rows)
        before = rows[-1].position
    assert seen == [f"id-{i}" for i in reversed(range(10))]


def test_latest_after_a_cursor_shows_only_what_is_newer(store: AlertStore) -> None:
    store.append([alert(i) for i in range(4)])
    newest = store.latest(1)[0].position
    assert store.latest(10, after=newest) == []
    store.append([alert(i) for i in range(4, 7)])
    assert _ids(store.latest(10, after=newest)) == ["id-6", "id-5", "id-4"]
    assert _ids(store.latest(2, after=newest)) == ["id-6", "id-5"]


def test_latest_filters_by_symbol_rule_and_stream(store: AlertStore) -> None:
    store.append([alert(i) for i in range(15)])
    store.append([alert(20, stream_id="s2")])
    assert _ids(store.latest(10, symbol="SYM4")) == ["id-14", "id-9", "id-4"]
    assert _ids(store.latest(2, rule_id="r1")) == ["id-13", "id-10"]
    assert _ids(store.latest(9, symbol="SYM4", rule_id="r2")) == ["id-14"]
    assert _ids(store.latest(9, stream_id="s2")) == ["id-20"]
    assert store.latest(9, symbol="sym4") == []
    assert store.latest(0) == []


def test_a_resuming_reader_sees_every_alert_once_in_order(store: AlertStore) -> None:
    position, seen = 0, []
    for start in range(0, 20, 5):
        store.append([alert(i) for i in range(start, start + 5)])
        store.append([alert(start)])
        while rows := store.after(position, 2):
            seen += _ids(rows)
            assert position < rows[0].position
            position = rows[-1].position
    assert seen == [f"id-{i}" for i in range(20)]


def test_the_newest_cycle_of_a_stream_is_that_of_its_alerts_alone(store: AlertStore) -> None:
    store.append([alert(1, n=7), alert(2, n=12), alert(3, n=9), alert(4, n=40, stream_id="s2")])
    assert (store.last_n("s1"), store.last_n("s2"), store.last_n("s3")) == (12, 40, 0)


def test_alerts_of_a_rule_are_found_by_cycle_and_time(store: AlertStore) -> None:
    store.append([
        alert(number, stream_id=stream, rule_id=rule, n=number, t_ns=number * 10)
        for number, (stream, rule) in enumerate(
            [("s1", "a"), ("s1", "a"), ("s1", "b"), ("s2", "a"), ("s1", "a")]
        )
    ])  # fmt: skip
    assert sorted(store.ids_of("s1", "a", range(5), 0)) == ["id-0", "id-1", "id-4"]
    assert store.ids_of("s1", "a", range(1, 4), 0) == ["id-1"]
    assert store.ids_of("s1", "a", range(5), 20) == ["id-4"]
    assert store.ids_of("s2", "b", range(5), 0) == []


def test_texts_come_in_canonical_order_of_cycle_rule_and_symbol(store: AlertStore) -> None:
    keys = [(2, "a", "B"), (1, "b", "A"), (10, "a", "A"), (1, "B", "A"), (1, "b", "A.B")]
    keys += [(1, "é", ""), (1, "\U0001f600", "A"), (1, "\uffee", "A")]
    store.append(
        [
            alert(i, n=n, rule_id=rule, symbol=symbol, json=repr((n, rule, symbol)).encode())
            for i, (n, rule, symbol) in enumerate(keys)
        ]
    )
    store.append([alert(90, stream_id="s2")])
    assert list(store.texts("s1")) == [repr(key).encode() for key in sorted(keys)]
    assert (store.count("s1"), store.count("s2"), store.count(), store.count("s3")) == (8, 1, 9, 0)


def test_what_was_stored_first_goes_first_and_the_open_stream_stays(store: AlertStore) -> None:
    store.append([alert(i, stream_id="open" if i % 3 == 0 else "over") for i in range(9)])
    store.append([alert(9, stream_id="over", stored_ns=None)])
    last = store.latest(1)[0].position
    assert store.prune(alert(7).stored_ns or 0, "open", 3) == 3
    assert _ids(store.after(0, 99)) == [f"id-{i}" for i in (0, 3, 5, 6, 7, 8, 9)]
    assert store.prune(10**18, "open", 0) == 0
    assert store.prune(10**18, "open", 99) == 3
    assert _ids(store.after(0, 99)) == ["id-0", "id-3", "id-6", "id-9"]
    assert store.prune(10**18, "open", 99) == 0
    assert store.append([alert(0, stream_id="open"), alert(3, stream_id="open")]) == 0
    assert store.repeats == 2
    assert store.append([alert(20)]) == 1
    assert store.latest(1)[0].position > last
    assert store.prune(10**18, "none of them", 99) == 4


def test_cursors_go_on_over_what_was_removed(store: AlertStore) -> None:
    store.append([alert(i) for i in range(40)])
    cursor = store.after(0, 11)[-1].position
    before = store.latest(10)[-1].position
    assert store.prune(alert(17).stored_ns or 0, "open", 99) == 17
    assert _ids(store.after(cursor, 3)) == ["id-17", "id-18", "id-19"]
    assert _ids(store.latest(99, before=before))[-1] == "id-17"
    assert store.prune(10**18, "open", 99) == 23
    assert (store.after(cursor, 9), store.latest(9), store.count()) == ([], [], 0)
    newest = store.append([alert(40)]) and store.latest(1)[0].position
    assert newest > before
    assert _ids(store.after(cursor, 9)) == ["id-40"]


@pytest.mark.parametrize("seed", range(8))
def test_the_sqlite_store_prunes_like_the_stub(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    stub, sqlite = MemoryAlertStore(), SqliteAlertStore(tmp_path / "a.db")
    for _ in range(20):
        batch = [
            alert(
                rng.randrange(200), stream_id=rng.choice(["s1", "s2", "s3"]),
                stored_ns=rng.choice([None, *range(0, 100, 10)]),
            )
            for _ in range(rng.randrange(30))
        ]  # fmt: skip
        assert stub.append(batch) == sqlite.append(batch)
        how = rng.randrange(110), rng.choice(["s1", "s2", "gone"]), rng.randrange(25)
        assert stub.prune(*how) == sqlite.prune(*how)
        # A repeat may take a number and leave it: the order is the same, the holes need not be.
        assert _ids(stub.after(0, 999)) == _ids(sqlite.after(0, 999))
        assert [row.alert for row in stub.latest(9)] == [row.alert for row in sqlite.latest(9)]
    sqlite.close()


def test_a_reader_beside_the_writer_sees_commits_and_cannot_write(tmp_path: Path) -> None:
    store = SqliteAlertStore(tmp_path / "alerts.db")
    reader = SqliteAlertReader(tmp_path / "alerts.db")
    assert reader.count() == 0
    store.append([alert(1)])
    assert _ids(reader.after(0, 9)) == ["id-1"]
    with pytest.raises(StoreError, match="readonly"), reader._database.transaction("write"):
        reader._database.run("DELETE FROM alert")
    store.close()
    assert reader.count() == 1
    reader.close()


def test_an_alert_survives_closing_and_opening(tmp_path: Path) -> None:
    store = SqliteAlertStore(tmp_path / "alerts.db")
    store.append([alert(1)])
    first = store.latest(1)[0].position
    store.close()
    store = SqliteAlertStore(tmp_path / "alerts.db")
    assert store.append([alert(1), alert(2)]) == 1
    assert store.latest(1)[0].position > first
    store.close()


def test_alerts_are_written_with_full_synchronous_and_a_write_ahead_log(tmp_path: Path) -> None:
    store = SqliteAlertStore(tmp_path / "alerts.db")
    assert store._database.rows("read", "PRAGMA journal_mode") == [("wal",)]
    assert store._database.rows("read", "PRAGMA synchronous") == [(2,)]
    store.close()


@pytest.mark.parametrize("action", ["absent", "not a database", "a folder"])
def test_a_file_that_cannot_be_read_is_named_in_one_sentence(tmp_path: Path, action: str) -> None:
    path = tmp_path / "alerts?.db"
    if action == "not a database":
        path.write_bytes(b"not a database, but long enough to be looked at" * 50)
    elif action == "a folder":
        path.mkdir()
    with pytest.raises(StoreError, match=r"alerts\?\.db: open failed") as caught:
        SqliteAlertReader(path)
    assert caught.value.path == path
    if action != "absent":
        with pytest.raises(StoreError, match="open failed"):
            SqliteAlertStore(path)
