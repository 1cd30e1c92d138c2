"""When old alerts and bars are removed, and what a kill in the middle of it leaves."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.storage.errors import StoreError
from engine.storage.pruning import (
    AGAIN_NS,
    EVERY_NS,
    FIRST_NS,
    NS_PER_DAY,
    PAUSE_NS,
    START_PARTS,
    START_ROWS,
    Pruner,
    prune_at_start,
)
from engine.storage.sqlite import SqliteAlertStore, SqliteBarStore
from engine.storage.stub import MemoryAlertStore
from tests.shm.clocks import HandClocks
from tests.storage.dying_pruner import ROWS
from tests.storage.samples import alert, bar, span

NOW_NS = 1_800_000_000 * 1_000_000_000
KEEP_DAYS = 30
OLD_NS = NOW_NS - KEEP_DAYS * NS_PER_DAY


def _filled(count: int, stored_ns: int) -> MemoryAlertStore:
    store = MemoryAlertStore()
    store.append([alert(i, stored_ns=stored_ns) for i in range(count)])
    store.append([alert(-1, stored_ns=stored_ns, stream_id="open")])
    return store


def test_a_running_engine_prunes_in_parts_a_second_apart_then_once_an_hour() -> None:
    hand = HandClocks(NOW_NS)
    store = _filled(25, OLD_NS - NS_PER_DAY)
    pruner = Pruner(KEEP_DAYS, "open", 10, hand.clocks)
    removed = []
    for wait_ns in (0, FIRST_NS - 1, 1, PAUSE_NS - 1, 1, PAUSE_NS, PAUSE_NS, EVERY_NS // 2):
        hand.run(wait_ns)
        removed.append(pruner.step(store))
    assert removed == [0, 0, 10, 0, 10, 5, 0, 0]
    store.append([alert(100, stored_ns=OLD_NS - 1), alert(101, stored_ns=OLD_NS + NS_PER_DAY)])
    hand.run(EVERY_NS // 2)
    assert (pruner.step(store), store.count(), store.count("open")) == (1, 2, 1)


def test_a_suspended_machine_prunes_by_the_wall_clock_when_it_wakes() -> None:
    hand = HandClocks(NOW_NS)
    store = _filled(5, NOW_NS)
    pruner = Pruner(KEEP_DAYS, "open", 10, hand.clocks)
    hand.run(FIRST_NS)
    assert pruner.step(store) == 0
    hand.sleep((KEEP_DAYS + 1) * NS_PER_DAY)
    hand.run(EVERY_NS)
    assert pruner.step(store) == 5


def test_what_is_kept_for_ever_is_never_looked_for() -> None:
    hand = HandClocks(NOW_NS)
    store = _filled(5, 0)
    pruner = Pruner(0, "open", 10, hand.clocks)
    hand.run(FIRST_NS + EVERY_NS)
    assert (pruner.step(store), store.count()) == (0, 6)


def test_a_store_that_refuses_is_asked_again_in_a_minute(tmp_path: Path) -> None:
    hand = HandClocks(NOW_NS)
    store = SqliteAlertStore(tmp_path / "alerts.db")
    store.append([alert(0, stored_ns=0)])
    pruner = Pruner(KEEP_DAYS, "open", 10, hand.clocks)
    hand.run(FIRST_NS)
    store._database.run("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="removal of old alerts failed"):
        pruner.step(store)
    store._database.run("PRAGMA query_only = OFF")
    assert pruner.step(store) == 0
    hand.run(AGAIN_NS)
    assert pruner.step(store) == 1
    store.close()


def test_a_start_removes_no_more_than_it_has_time_for() -> None:
    class Endless:
        """Always as many old rows as may go."""

        parts = 0

        def prune(self, before_ns: int, keep: str, limit: int) -> int:
            self.parts += 1
            return limit

        def close(self) -> None:
            """Nothing to close."""

    store = Endless()
    assert prune_at_start(store, OLD_NS, "open") == START_ROWS * START_PARTS
    assert store.parts == START_PARTS
    few = _filled(7, 0)
    assert (prune_at_start(few, OLD_NS, "open"), few.count()) == (7, 1)


def _die(kind: str, path: Path, parts: int) -> int:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.storage.dying_pruner", kind, str(path), str(parts)],
        check=False,
    )
    return ended.returncode


@pytest.mark.parametrize("parts", [0, 1, 3, 99])
def test_a_kill_in_the_middle_of_removing_alerts_leaves_whole_parts_and_loses_none_to_keep(
    tmp_path: Path, parts: int
) -> None:
    path = tmp_path / "alerts.db"
    store = SqliteAlertStore(path)
    store.append([alert(i, stream_id="open" if i % 4 == 0 else "over") for i in range(200)])
    store.append([alert(500, stored_ns=None)])
    last = store.latest(1)[0].position
    store.close()
    assert _die("alerts", path, parts) == (0 if parts == 99 else -signal.SIGKILL)
    store = SqliteAlertStore(path)
    found = [int(row.alert.alert_id[3:]) for row in store.after(0, 999)]
    old = [i for i in range(200) if i % 4]
    gone = old[: parts * ROWS]
    assert found == [*(i for i in range(200) if i not in set(gone)), 500]
    assert list(store._database.run("PRAGMA integrity_check")) == [("ok",)]
    again = [alert(i, stream_id="open") for i in range(0, 200, 4)]
    assert (store.append(again), store.repeats) == (0, 50)
    assert prune_at_start(store, 2**62, "open") == len(old) - len(gone)
    assert (store.count("open"), store.count()) == (50, 51)
    store.append([alert(900)])
    assert store.latest(1)[0].position > last
    store.close()


@pytest.mark.parametrize("parts", [0, 2])
def test_a_kill_in_the_middle_of_removing_bars_leaves_whole_parts_and_loses_none_to_keep(
    tmp_path: Path, parts: int
) -> None:
    path = tmp_path / "bars.db"
    store = SqliteBarStore(path)
    for stream in ("over", "open"):
        store.upsert([bar(m, f"S{s}", stream_id=stream) for m in range(20) for s in range(10)])
    store.close()
    assert _die("bars", path, parts) == -signal.SIGKILL
    store = SqliteBarStore(path)
    for symbol in range(10):
        kept = store.range(f"S{symbol}", *span(0, 20), "open")
        assert kept == [bar(m, f"S{symbol}", stream_id="open") for m in range(20)]
    left = sum(len(store.range(f"S{s}", *span(0, 20), "over")) for s in range(10))
    assert left == 200 - parts * ROWS
    assert prune_at_start(store, 2**62, "open") == left
    store.close()
