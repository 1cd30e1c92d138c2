"""ENOSPC and EIO at the first, second, third, ... call: nothing acknowledged is lost or doubled."""

import errno
from pathlib import Path

import pytest

from engine.storage.errors import SpoolError, StorageError, StoreError
from engine.storage.spool import Spool, Syscalls
from engine.storage.sqlite import SqliteAlertStore, SqliteBarStore
from tests.storage.failing_disk import FailingCalls, FailingDisk, Trap
from tests.storage.samples import alert, bar, span

NUMBERS = [errno.ENOSPC, errno.EIO]
BATCHES = 8

# An injected failure that SQLite swallows, say while closing, has no Python caller to go to.
swallowed = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def _spool_run(path: Path, trap: Trap) -> list[bytes]:
    """Append and drop until a failure. Returns what was acknowledged and not dropped."""
    acked: list[bytes] = []
    spool = Spool(path, calls=FailingCalls(trap))
    for batch in range(BATCHES):
        payloads = [b"%d.%d" % (batch, i) * 20 for i in range(3)]
        try:
            end = spool.append(payloads)
            acked += payloads
            if batch == BATCHES // 2:
                spool.drop(end)
                acked = []
        except SpoolError as error:
            assert error.errno == trap.number
            with pytest.raises(SpoolError, match="closed"):
                spool.append([b"never again"])
            break
    spool.close()
    return acked


@pytest.mark.parametrize("number", NUMBERS)
def test_a_spool_that_fails_at_any_call_keeps_what_it_acknowledged(
    tmp_path: Path, number: int
) -> None:
    runs = 0
    for at in range(1, 10_000):
        path = tmp_path / f"{at}.spool"
        trap = Trap(at, number)
        try:
            acked = _spool_run(path, trap)
        except SpoolError as error:
            assert error.errno == number
            acked = []
        spool = Spool(path)
        found = [payload for _, payload in spool.read(spool.base)]
        spool.close()
        assert trap.fired == (at <= trap.calls)
        if trap.fired and trap.at == trap.calls and found[: len(acked)] != acked:
            # Only a failed drop may already have taken effect: then everything is gone.
            assert found == []
        if not trap.fired:
            break
        runs += 1
    assert runs > 30


class _SyncFails(Syscalls):
    """Writes work, syncs do not; remembers the files it was asked to sync."""

    def __init__(self) -> None:
        self.synced: list[int] = []

    def fdatasync(self, fd: int) -> None:
        """The error that the kernel reports once and then forgets."""
        self.synced.append(fd)
        raise OSError(errno.EIO, "injected")


def test_a_sync_that_failed_is_never_tried_again_on_the_same_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.spool")
    calls = _SyncFails()
    spool._calls = calls
    for _ in range(3):
        with pytest.raises(SpoolError):
            spool.append([b"x"])
    assert len(calls.synced) == 1


def test_frames_whose_sync_failed_are_written_anew_before_anyone_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "a.spool"
    spool = Spool(path)
    inode = path.stat().st_ino
    spool._calls = _SyncFails()
    with pytest.raises(SpoolError, match=r"a.spool: append failed: injected"):
        spool.append([b"xyz"])
    spool = Spool(path)
    assert path.stat().st_ino != inode
    assert [payload for _, payload in spool.read(0)] == [b"xyz"]


@swallowed
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("sticky", [False, True])
def test_an_alert_store_that_fails_at_any_call_keeps_what_it_acknowledged(
    tmp_path: Path, number: int, sticky: bool
) -> None:
    runs = 0
    for at in range(1, 10_000):
        path = tmp_path / f"{at}.db"
        trap = Trap(at, number, sticky=sticky)
        disk = FailingDisk("failing", trap)
        acked: list[str] = []
        try:
            store = SqliteAlertStore(path, vfs="failing")
            for batch in range(4):
                alerts = [alert(batch * 20 + i) for i in range(20)]
                assert store.append(alerts) == 20
                acked += [a.alert_id for a in alerts]
            store.close()
        except StoreError as error:
            assert trap.fired
            if error.final and number == errno.EIO and acked:
                with pytest.raises(StoreError):
                    store.append([alert(999)])
        disk.unregister()
        _check_alerts(path, acked)
        if not trap.fired:
            break
        runs += 1
    assert runs > 20


def _check_alerts(path: Path, acked: list[str]) -> None:
    """Open on a good disk: acknowledged alerts are there, the rest goes in once, none twice."""
    store = SqliteAlertStore(path)
    assert store._database.rows("check", "PRAGMA integrity_check") == [("ok",)]
    assert all(store.get(alert_id) is not None for alert_id in acked)
    assert store.count() in (len(acked), len(acked) + 20)
    store.append([alert(i) for i in range(80)])
    assert store.count() == 80
    store.close()


@swallowed
@pytest.mark.parametrize("number", NUMBERS)
def test_a_bar_store_that_fails_at_any_call_stores_whole_calls_only(
    tmp_path: Path, number: int
) -> None:
    runs = 0
    for at in range(1, 10_000):
        path = tmp_path / f"{at}.db"
        disk = FailingDisk("failing", Trap(at, number))
        acked = 0
        try:
            store = SqliteBarStore(path, vfs="failing")
            for minute in range(3):
                store.upsert([bar(minute, symbol) for symbol in "ABCDE"])
                acked += 1
            store.close()
        except StorageError:
            assert disk.trap.fired
        disk.unregister()
        store = SqliteBarStore(path)
        stored = [len(store.range(symbol, *span(0, 9))) for symbol in "ABCDE"]
        assert len(set(stored)) == 1 and acked <= stored[0] <= acked + 1
        store.close()
        if not disk.trap.fired:
            break
        runs += 1
    assert runs > 20
