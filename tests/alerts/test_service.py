"""The alert service: tape before spool, spool before lane, once in the store whatever happens."""

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

import engine.alerts.service as service_module
from engine.alerts.service import AlertService
from engine.domain.tables import (
    FLOW_ALERTED_N,
    FLOW_ALERTED_RULES,
    FLOW_STORED,
    FLOW_UNRECORDED,
)
from engine.storage.errors import SpoolError, SpoolFullError, StoreError
from engine.storage.ports import StoredAlert
from engine.storage.spool import Spool
from engine.storage.sqlite import SqliteAlertStore
from engine.storage.stub import MemoryAlertStore
from shm.engine_clock import EngineClock
from shm.fences import write_word
from shm.lane import Lane
from shm.words import WORD_STRIDE
from tests.alerts.floor import ABOVE, DyingCalls, Floor, Killed, Switch, drain, market
from tests.shm.clocks import HandClocks
from tests.storage.failing_disk import FailingCalls, FailingDisk, Trap

CYCLES = 5


def filled(workers: int = 2, cycles: int = CYCLES) -> Floor:
    floor = Floor(workers)
    for seed in range(cycles):
        floor.commit(market(seed))
    return floor


def undisturbed(tmp_path: Path, workers: int = 2) -> list[bytes]:
    floor, store = filled(workers), MemoryAlertStore()
    floor.record(CYCLES)
    drain(floor.service(Spool(tmp_path / "calm.spool"), store))
    found = list(store.texts("stream"))
    assert len(found) > 10
    return found


class Refusing(MemoryAlertStore):
    """A store that refuses so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def append(self, alerts: Sequence[StoredAlert]) -> int:
        if self.times:
            self.times -= 1
            raise StoreError(Path("alerts.db"), "append failed: disk is full", final=False)
        return super().append(alerts)


def test_nothing_enters_the_spool_before_its_cycle_is_on_the_tape(tmp_path: Path) -> None:
    floor, store = filled(), MemoryAlertStore()
    service = floor.service(Spool(tmp_path / "spool"), store)
    for durable in range(CYCLES + 1):
        floor.record(durable)
        drain(service)
        assert {row.alert.n for row in store.after(0, 999)} <= set(range(durable + 1))
        assert service.last_n == durable == floor.flow(FLOW_ALERTED_N)
    assert floor.lanes_empty()


def test_a_cycle_without_alerts_does_not_wait_for_the_tape(tmp_path: Path) -> None:
    floor = Floor(2)
    for _ in range(3):
        floor.commit({})
    service = floor.service(Spool(tmp_path / "spool"))
    drain(service)
    assert (service.last_n, floor.flow(FLOW_ALERTED_N)) == (3, 3)


def test_an_unrecorded_stream_does_not_hold_its_alerts_back(tmp_path: Path) -> None:
    calm = undisturbed(tmp_path)
    floor, store = filled(), MemoryAlertStore()
    write_word(floor.tables.flow, FLOW_UNRECORDED * WORD_STRIDE, 1)
    drain(floor.service(Spool(tmp_path / "spool"), store))
    assert list(store.texts("stream")) == calm
    floor, store = filled(), MemoryAlertStore()
    floor.tables.decisions.drop_gate("recorder")
    drain(floor.service(Spool(tmp_path / "overtaken"), store))
    assert list(store.texts("stream")) == calm


def test_no_lane_moves_before_the_spool_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor = filled()
    floor.record(CYCLES)
    trap = Trap(1, errno.EIO)
    spool = Spool(tmp_path / "spool")
    spool._calls = FailingCalls(trap)
    service = floor.service(spool)
    heads = [lane.head() for lane in floor.tables.lanes]
    with pytest.raises(SpoolError, match="append failed: Input/output error"):
        service.step()
    assert [lane.head() for lane in floor.tables.lanes] == heads
    assert floor.flow(FLOW_ALERTED_N) == 0


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_kill_at_any_step_gives_each_alert_once(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = undisturbed(tmp_path, workers)
    at = 0
    while True:
        at += 1
        floor, store, switch = filled(workers), MemoryAlertStore(), Switch(at)
        floor.record(CYCLES)
        path = tmp_path / f"{at}.spool"
        with monkeypatch.context() as patch:
            patch.setattr(store, "append", switch.around(store.append))
            patch.setattr(Lane, "set_head", switch.around(Lane.set_head))
            patch.setattr(service_module, "write_word", switch.around(write_word))
            try:
                drain(floor.service(Spool(path, 1 << 16, DyingCalls(switch)), store))
            except Killed:
                died = True
            else:
                died = False
        successor = floor.service(Spool(path, 1 << 16), store)
        drain(successor)
        assert list(store.texts("stream")) == calm, f"killed at step {at}"
        assert floor.lanes_empty()
        assert successor.last_n == CYCLES == floor.flow(FLOW_ALERTED_N)
        assert successor.stored == len(calm)
        if not died:
            break
    assert at > 40


def test_stamps_are_engine_time_and_jump_with_it_over_a_suspend(tmp_path: Path) -> None:
    floor, store, hand = filled(), MemoryAlertStore(), HandClocks(10**18)
    engine_clock = EngineClock(floor.tables.clock, hand.clocks)
    engine_clock.start()
    service = floor.service(Spool(tmp_path / "a.spool"), store, hand.clocks)
    floor.record(CYCLES)
    hand.set_wall(-(10**15))
    stamped = []
    for _ in range(2):
        drain(service)
        alerts = store.after(0, 1000)
        assert len(alerts) > 10
        stamped.append({(one.alert.committed_ns, one.alert.stored_ns) for one in alerts[-1:]})
        hand.sleep(3600 * 10**9)
        assert engine_clock.move() == 3600 * 10**9
        floor.commit(market(3))
        floor.record(CYCLES + 1)
    assert stamped == [{(10**18, 10**18)}, {(10**18 + 3600 * 10**9,) * 2}]


def test_a_successor_never_takes_the_announced_cycle_back(tmp_path: Path) -> None:
    floor, store = filled(), MemoryAlertStore()
    floor.record(CYCLES)
    first = floor.service(Spool(tmp_path / "spool"), store)
    drain(first)
    successor = floor.service(Spool(tmp_path / "spool"), store)
    drain(successor)
    assert floor.flow(FLOW_ALERTED_N) == CYCLES
    assert successor.last_n == CYCLES


def test_alerts_of_the_last_cycle_are_announced_by_a_successor_without_input(
    tmp_path: Path,
) -> None:
    floor, refusing = filled(), Refusing(1)
    floor.record(CYCLES)
    service = floor.service(Spool(tmp_path / "spool"), refusing)
    with pytest.raises(StoreError):
        service.step()
    assert floor.lanes_empty()
    assert floor.flow(FLOW_ALERTED_N) < CYCLES, "they are in the spool, not in the store"
    drain(floor.service(Spool(tmp_path / "spool"), refusing))
    assert floor.flow(FLOW_ALERTED_N) == CYCLES


def test_a_refusing_store_holds_nothing_up_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = undisturbed(tmp_path)
    floor, store = filled(), Refusing(3)
    floor.record(CYCLES)
    now = [0]
    monkeypatch.setattr("engine.alerts.service.clock.monotonic_ns", lambda: now[0])
    service = floor.service(Spool(tmp_path / "spool"), store)
    for _ in range(3):
        with pytest.raises(StoreError, match="disk is full"):
            service.step()
        assert floor.lanes_empty(), "the lanes are free: the spool holds the alerts"
        assert not service.step(), "it does not try again at once"
        assert not service.idle
        now[0] += 2_000_000_000
    drain(service)
    assert service.idle
    assert list(store.texts("stream")) == calm


def test_a_full_database_disk_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = undisturbed(tmp_path)
    floor = filled()
    floor.record(CYCLES)
    now = [0]
    monkeypatch.setattr("engine.alerts.service.clock.monotonic_ns", lambda: now[0])
    trap = Trap(1 << 30, errno.ENOSPC, sticky=True)
    disk = FailingDisk("full-alerts", trap)
    store = SqliteAlertStore(tmp_path / "alerts.db", vfs="full-alerts")
    service = floor.service(Spool(tmp_path / "spool"), store)
    trap.at = trap.calls + 1
    with pytest.raises(StoreError) as caught:
        service.step()
    trap.at = 1 << 30
    now[0] += 2_000_000_000
    if caught.value.final:
        service = floor.service(Spool(tmp_path / "spool"), SqliteAlertStore(tmp_path / "alerts.db"))
    drain(service)
    assert list(SqliteAlertStore(tmp_path / "alerts.db").texts("stream")) == calm
    disk.unregister()


def test_a_full_spool_is_emptied_by_the_store_before_anybody_is_told(tmp_path: Path) -> None:
    calm = undisturbed(tmp_path)
    floor, store = filled(), MemoryAlertStore()
    floor.record(CYCLES)
    service = floor.service(Spool(tmp_path / "spool", max_bytes=9000), store)
    drain(service)
    assert list(store.texts("stream")) == calm
    assert service.capped == 0


def test_a_full_spool_over_a_refusing_store_is_told_and_stops_the_lanes(tmp_path: Path) -> None:
    floor, store = filled(), Refusing(10**6)
    floor.record(CYCLES)
    service = floor.service(Spool(tmp_path / "spool", max_bytes=9000), store)
    with pytest.raises(StoreError):
        service.step()
    with pytest.raises(SpoolFullError, match="it is full"):
        service.step()
    assert not floor.lanes_empty()


def test_the_rules_version_of_the_last_cycle_taken_is_announced(tmp_path: Path) -> None:
    floor = Floor(2)
    service = floor.service(Spool(tmp_path / "spool"))
    for version in (2, 3):
        floor.use([ABOVE] if version == 2 else [])
        n = floor.commit(market(version))
        floor.record(n)
        drain(service)
        assert floor.flow(FLOW_ALERTED_RULES) == version
    assert floor.flow(FLOW_STORED) == service.stored > 0


def test_alerts_of_an_earlier_stream_in_the_spool_reach_the_store(tmp_path: Path) -> None:
    floor, refusing = filled(), Refusing(1)
    floor.record(CYCLES)
    with pytest.raises(StoreError):
        floor.service(Spool(tmp_path / "spool"), refusing).step()
    other = Floor(1)
    service: AlertService = other.service(Spool(tmp_path / "spool"), refusing)
    drain(service)
    assert refusing.count("stream") > 10
    assert other.flow(FLOW_ALERTED_N) == 0
