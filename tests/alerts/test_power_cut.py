"""A power cut at any moment: an alert that a client was shown is in the store afterwards, and one
that has left its lane is in the store or in the spool."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.alerts.role import Desk
from engine.storage.database import Database
from engine.storage.errors import StorageError
from engine.storage.ports import StoredAlert
from engine.storage.spool import Spool
from engine.storage.sqlite import SqliteAlertReader, SqliteAlertStore
from tests.alerts.floor import Floor, market
from tests.alerts.test_role import Context
from tests.storage.power_cut import CutCalls, CutDisk

CYCLES = 24
STORE, SPOOL = "alerts.db", "alerts.spool"
FAR = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[CutDisk]:
    left = tmp_path / "left"
    left.mkdir()
    made = CutDisk("power-cut", left)
    yield made
    made.unregister()


def ids_in(path: Path) -> set[str]:
    """The alerts that a client beside the engine is shown; none while there is no store."""
    try:
        reader = SqliteAlertReader(path)
    except StorageError:
        return set()
    try:
        return {row.alert.alert_id for row in reader.after(0, FAR)}
    finally:
        reader.close()


class Cut:
    """What a start after the cut finds."""

    def __init__(self, left: Path, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(left, place)
        self.stored = ids_in(place / STORE)
        spool = Spool(place / SPOOL)
        decode = msgspec.msgpack.Decoder(StoredAlert).decode
        self.spooled = {decode(payload).alert_id for _, payload in spool.read(spool.base)}
        spool.close()


def lost_in_a_cut(disk: CutDisk, place: Path) -> set[str]:
    """Alerts that were shown at some moment at which a cut of the power would have lost them."""
    floor = Floor(2)
    spool = Spool(place / SPOOL, calls=CutCalls(disk.left))
    store = SqliteAlertStore(place / STORE, vfs=disk.name)
    store._database.run("PRAGMA wal_autocheckpoint = 6")
    service = floor.service(spool, store)
    lost: set[str] = set()
    looked = 0

    def look() -> None:
        nonlocal looked
        looked += 1
        lost.update(ids_in(place / STORE) - Cut(disk.left, place / "found").stored)

    disk.before_sync = look
    for seed in range(CYCLES):
        floor.commit(market(seed))
        floor.record(seed + 1)
        while service.step():
            look()
            found = Cut(disk.left, place / "found")
            assert floor.lanes_empty()
            assert len(found.stored | found.spooled) == service.fired
        assert service.idle
    assert service.fired > 3 * CYCLES
    assert looked > CYCLES
    store.close()
    spool.close()
    return lost


def test_no_alert_that_was_shown_is_lost_when_the_power_goes(tmp_path: Path, disk: CutDisk) -> None:
    assert lost_in_a_cut(disk, tmp_path) == set()


def test_with_less_than_full_synchronous_some_would_be(
    tmp_path: Path, disk: CutDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Database.writer

    def lax(path: Path, name: str, synchronous: str, vfs: str | None = None) -> Any:
        assert synchronous == "FULL"
        return real(path, name, "NORMAL", vfs)

    monkeypatch.setattr(Database, "writer", lax)
    assert lost_in_a_cut(disk, tmp_path), "or this file could not tell the two apart"


def test_the_role_itself_opens_its_store_so(tmp_path: Path) -> None:
    floor = Floor(2)
    floor.commit(market(0))
    floor.record(1)
    desk = Desk(Context(floor, tmp_path))  # type: ignore[arg-type]
    assert desk.step()
    assert desk._store is not None
    assert desk._store._database.rows("read", "PRAGMA synchronous") == [(2,)]
    assert desk._store._database.rows("read", "PRAGMA journal_mode") == [("wal",)]
    desk.close()
