"""The alerts role on a failing disk: loud every second, nothing lost, mended by itself."""

import errno
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import engine.alerts.role as role_module
from engine.alerts.role import Desk
from engine.config.schema import Config
from engine.storage.errors import SpoolError, StoreError
from engine.storage.pruning import FIRST_NS, PAUSE_NS, RUNNING_ALERTS, Pruner
from engine.storage.spool import Spool
from engine.storage.sqlite import SqliteAlertReader, SqliteAlertStore
from shm.engine_clock import EngineClock
from tests.alerts.floor import STREAM, Floor, market
from tests.shm.clocks import HandClocks
from tests.storage.failing_disk import FailingCalls, FailingDisk, Trap
from tests.storage.samples import alert

CYCLES = 4


class Context:
    """What the role says and counts."""

    def __init__(self, floor: Floor, place: Path) -> None:
        self.shared = SimpleNamespace(
            tables=floor.tables, stream=STREAM, alerts_path=place / "alerts.db",
            spool_path=place / "alerts.spool", config=Config(),
            clock=EngineClock(floor.tables.clock),
        )  # fmt: skip
        self.errors: list[str] = []
        self.counted: Counter[str] = Counter()
        self.number = 0
        self.beats = 0
        self.waits_for = ""
        self.refused_with: list[int] = []
        self.refused = self.refused_with.append
        self.log = SimpleNamespace(
            error=lambda event, **told: self.errors.append(f"{event}: {told['reason']}"),
            warning=lambda event, **told: None,
        )
        self.telemetry = SimpleNamespace(count=self._count, set=self._set, observe=self._count)
        self.wake = SimpleNamespace(notify=lambda key: None, wait=lambda seconds: None)

    def _count(self, name: str, amount: int = 1) -> None:
        self.counted[name] += amount

    def _set(self, name: str, value: int) -> None:
        self.counted[name] = value

    def progress(self, number: int) -> None:
        self.number = number
        self.waits("")

    def waits(self, key: str) -> None:
        self.waits_for = key

    def beat(self) -> None:
        self.beats += 1


class Place:
    """A floor with cycles to take, a desk over it, and a clock that the test moves."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.floor = Floor(2)
        for seed in range(CYCLES):
            self.floor.commit(market(seed))
        self.floor.record(CYCLES)
        self.ctx = Context(self.floor, place)
        self.now_ns = 10**9
        monkeypatch.setattr(role_module, "monotonic_ns", lambda: self.now_ns)
        monkeypatch.setattr("engine.alerts.service.clock.monotonic_ns", lambda: self.now_ns)
        context: Any = self.ctx
        self.desk = Desk(context)

    def stored(self) -> int:
        return SqliteAlertReader(self.ctx.shared.alerts_path).count("stream")

    def run(self, seconds: int) -> None:
        """So many seconds of the role's loop, ten turns each."""
        for _ in range(10 * seconds):
            self.desk.step()
            self.now_ns += 100_000_000


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


def test_a_healthy_disk_stores_everything_and_says_nothing(place: Place) -> None:
    place.run(1)
    assert place.stored() == place.ctx.counted["alerts_emitted_total"] > 10
    assert place.ctx.number == CYCLES
    assert place.ctx.errors == []
    assert place.desk.idle


def test_a_full_disk_under_the_spool_is_told_once_a_second_until_it_is_mended(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(1, errno.ENOSPC, sticky=True)
    calls = FailingCalls(trap)
    monkeypatch.setattr(role_module, "Spool", lambda path: Spool(path, calls=calls))
    place.run(3)
    assert not place.floor.lanes_empty(), "the lanes hold what nobody could make durable"
    assert 2 <= len(place.ctx.errors) <= 4
    assert all("No space left on device" in sentence for sentence in place.ctx.errors)
    assert place.ctx.counted["errors_total"] == len(place.ctx.errors)
    assert not place.desk.idle
    assert set(place.ctx.refused_with) == {errno.ENOSPC}, "it stands on the board all the while"
    trap.at, trap.sticky = 0, False
    place.run(2)
    assert place.desk.idle
    assert place.floor.lanes_empty()
    assert place.stored() > 10
    assert place.ctx.refused_with[-1] == 0
    assert place.ctx.refused_with.count(0) == 1


def texts(place: Place) -> list[bytes]:
    return list(SqliteAlertReader(place.ctx.shared.alerts_path).texts("stream"))


@pytest.fixture
def calm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is stored on a disk that works."""
    folder = tmp_path / "calm"
    folder.mkdir()
    calm = Place(folder, monkeypatch)
    calm.run(1)
    return texts(calm)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_whichever_call_a_full_disk_refuses_no_alert_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calm: list[bytes], number: int
) -> None:
    assert len(calm) > 10
    for at in range(1, 1000):
        trap = Trap(at, number, sticky=True)
        calls = FailingCalls(trap)
        monkeypatch.setattr(
            role_module, "Spool", lambda path, calls=calls: Spool(path, calls=calls)
        )
        folder = tmp_path / f"{at}"
        folder.mkdir()
        place = Place(folder, monkeypatch)
        place.run(2)
        if not trap.fired:
            break
        assert place.ctx.refused_with[-1] == number
        trap.at, trap.sticky = 0, False
        place.run(2)
        assert place.desk.idle
        assert texts(place) == calm, f"refused from call {at} on"
        assert place.ctx.refused_with[-1] == 0
    assert at > 6


def test_a_full_disk_under_the_store_is_told_until_it_has_taken_the_last_alert(
    calm: list[bytes], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(1 << 30, errno.ENOSPC, sticky=True)
    disk = FailingDisk("full-store", trap)
    monkeypatch.setattr(
        role_module, "SqliteAlertStore", lambda path: SqliteAlertStore(path, vfs="full-store")
    )
    place.floor.record(1)
    place.run(1)
    assert place.ctx.refused_with == []
    trap.at = trap.calls + 1
    place.floor.record(CYCLES)
    place.run(3)
    assert place.floor.lanes_empty(), "the spool took them"
    assert set(place.ctx.refused_with) == {errno.ENOSPC}
    assert "recorder" not in place.ctx.waits_for
    trap.at = 1 << 30
    place.run(2)
    assert place.ctx.refused_with[-1] == 0
    assert texts(place) == calm
    disk.unregister()


def test_a_full_spool_names_what_the_store_refused_with(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: SqliteAlertStore, alerts: Any) -> int:
        raise StoreError(self._database.path, "attempt to write", final=False, errno=errno.EROFS)

    monkeypatch.setattr(SqliteAlertStore, "append", refuse)
    monkeypatch.setattr(role_module, "Spool", lambda path: Spool(path, max_bytes=9000))
    place.run(3)
    assert not place.floor.lanes_empty(), "the spool is full"
    assert set(place.ctx.refused_with) == {errno.EROFS}


def test_on_a_failing_disk_nobody_else_is_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.floor.record(1)
    place.run(1)
    assert place.ctx.waits_for == "recorder"
    trap = Trap(1, errno.ENOSPC, sticky=True)
    assert place.desk._spool is not None
    place.desk._spool._calls = FailingCalls(trap)
    place.floor.record(2)
    place.run(1)
    assert place.ctx.refused_with[-1] == errno.ENOSPC
    assert place.ctx.waits_for == ""


def test_a_database_that_fails_for_good_is_opened_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = SqliteAlertStore.append, [True, True]

    def failing(self: SqliteAlertStore, alerts: Any) -> int:
        if failures:
            raise StoreError(self._database.path, "disk I/O error", final=failures.pop())
        return real(self, alerts)

    monkeypatch.setattr(SqliteAlertStore, "append", failing)
    place.run(4)
    assert place.stored() > 10
    assert len(place.ctx.errors) == 2
    assert place.floor.lanes_empty()


def test_a_file_that_is_no_spool_ends_the_process_with_its_name(place: Place) -> None:
    place.ctx.shared.spool_path.write_bytes(b"something else")
    with pytest.raises(SpoolError, match=r"alerts\.spool: it does not begin like a spool"):
        place.desk.step()


def test_on_a_stop_it_waits_for_the_tape_and_says_what_is_left(place: Place) -> None:
    place.floor.record(0)
    place.ctx.wake.wait = lambda seconds: setattr(place, "now_ns", place.now_ns + 50_000_000)
    place.desk.finish(within_ms=1000)
    assert place.ctx.errors == ["alerts_left: they are stored after the next start"]
    assert place.ctx.beats > 10
    place.floor.record(CYCLES)
    place.desk.finish(within_ms=1000)
    assert place.desk.idle
    assert place.stored() > 10
    place.desk.close()


def test_alerts_that_are_not_on_the_tape_yet_wait_for_the_recorder(place: Place) -> None:
    place.floor.record(0)
    place.run(1)
    assert place.ctx.waits_for == "recorder"
    place.floor.record(CYCLES)
    place.run(1)
    assert place.ctx.waits_for == ""
    assert place.desk.idle


def test_old_alerts_go_a_few_at_a_time_once_nothing_else_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, monkeypatch)
    old = SqliteAlertStore(place.ctx.shared.alerts_path)
    count = 2 * RUNNING_ALERTS + 7
    old.append([alert(i, stream_id="over", stored_ns=1) for i in range(count)])
    old.close()
    hand = HandClocks(1_800_000_000 * 10**9)
    place.desk._pruner = Pruner(365, STREAM.stream_id, RUNNING_ALERTS, hand.clocks)
    hand.run(FIRST_NS)
    while place.desk.step():
        assert place.ctx.counted["alerts_pruned_total"] == 0, "what is committed comes first"
    stored = place.stored()
    assert stored > 0 and place.desk.idle
    gone = [place.ctx.counted["alerts_pruned_total"]]
    for _ in range(3):
        hand.run(PAUSE_NS)
        assert not place.desk.step()
        gone.append(place.ctx.counted["alerts_pruned_total"])
    assert gone == [RUNNING_ALERTS, 2 * RUNNING_ALERTS, count, count]
    assert place.stored() == stored
    assert SqliteAlertReader(place.ctx.shared.alerts_path).count("over") == 0
    place.desk.close()
