"""A recorder that hangs longer than the watch is patient: it alone is blamed, and replaced."""

import os
import signal
from pathlib import Path

from ipc.line import Line
from tests.engine.commands import events, tape_info, tapescan, until
from tests.kills.rig import Rig, rig

# The recorder is given away by its stillness alone: it may be silent for a minute.
PATIENCE = {"beat_timeout_ms": 60_000, "stall_timeout_ms": 8000}
INNOCENT = {"bars", "indicators", "scan0", "scan1", "alerts", "feed0", "web"}


def waits_for(engine: Rig, key: str) -> str:
    board = engine.board()
    return Line(board, key).waits_for() if board is not None else ""


def test_nobody_but_a_hanging_recorder_is_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    with rig(
        tmp_path, "hang", speed=50.0, end="2013-10-08T09:40:00-04:00", supervisor=PATIENCE
    ) as engine:
        engine.start()
        until(lambda: len(engine.alerts()) > 3, engine)
        hanging = engine.role_pids()["recorder"]
        os.kill(hanging, signal.SIGSTOP)
        until(lambda: waits_for(engine, "alerts") == "recorder", engine)
        until(lambda: events(engine, "replacing"), engine)
        assert engine.wait(240) == 0
        (replaced,) = events(engine, "replacing")
        assert (replaced["child"], replaced["child_pid"]) == ("recorder", hanging)
        assert "no progress for" in replaced["reason"]
        assert "alerts cannot go on before it does" in replaced["reason"]
        started = [line["child"] for line in events(engine, "started")]
        assert sorted(started) == sorted([*INNOCENT, "recorder", "recorder"])
        stream = engine.data_dir / "streams" / "under-test"
        assert tape_info(stream)["state"] == "ended"
        out = engine.place / "again.jsonl"
        assert tapescan("backtest", "--tape", str(stream), "--out", str(out)).returncode == 0
        assert out.read_bytes().splitlines() == engine.alerts()
