"""kill -9 of a writer of spool and store: what it acknowledged is durable, nothing is twice."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from engine.storage.spool import Spool
from engine.storage.sqlite import SqliteAlertStore
from tests.storage.samples import alert
from tests.storage.spool_writer import move

ROOT = Path(__file__).parents[2]


def _run_and_kill(folder: Path, seed: int, after_s: float) -> list[int]:
    """Start the writer, kill it some time after it is ready. Returns what it acknowledged."""
    command = [sys.executable, "-m", "tests.storage.spool_writer", str(folder), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(after_s)
        writer.kill()
        lines = writer.stdout.read().split(b"\n")[:-1]
        assert writer.wait() == -signal.SIGKILL
    return [int(line) for line in lines]


def test_a_killed_writer_loses_nothing_it_acknowledged_and_doubles_nothing(
    tmp_path: Path, soak: bool
) -> None:
    rng = random.Random(7)
    acked = 0
    for round_ in range(300 if soak else 20):
        numbers = _run_and_kill(tmp_path, round_, rng.random() * 0.05)
        acked = max([acked, *(n + 1 for n in numbers)])
    assert acked > 100
    spool, store = Spool(tmp_path / "alerts.spool"), SqliteAlertStore(tmp_path / "alerts.db")
    move(spool, store)
    total = store.count()
    assert total >= acked
    assert [row.alert for row in store.after(0, total + 1)] == [alert(n) for n in range(total)]
    assert store._database.rows("check", "PRAGMA integrity_check") == [("ok",)]
