"""A recorder that hangs longer than the watch is patient: it alone is blamed, and replaced."""

import os
import signal
from pathlib import Path
from typing import Any

from tests.engine.commands import events, status, tape_info, tapescan, told, until
from tests.kills.rig import Rig, rig

# The recorder is given away by its stillness alone: it may be silent for a minute.
PATIENCE = {"beat_timeout_ms": 60_000, "stall_timeout_ms": 4000}
INNOCENT = {"bars", "indicators", "scan0", "scan1", "alerts", "feed0", "web"}


def waiting(engine: Rig) -> dict[str, Any]:
    return {role["role"]: role["waits_for"] for role in status(engine)[1]["roles"]}


def test_nobody_but_a_hanging_recorder_is_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    with rig(
        tmp_path, "hang", speed=50.0, end="2013-10-08T09:40:00-04:00", supervisor=PATIENCE
    ) as engine:
        engine.start()
        until(lambda: len(engine.alerts()) > 3, engine)
        hanging = engine.role_pids()["recorder"]
        os.kill(hanging, signal.SIGSTOP)
        until(lambda: waiting(engine)["alerts"] == "recorder", engine)
        until(lambda: " recorder, " in told(engine, "status").stdout, engine, 20)
        until(lambda: events(engine, "replacing"), engine)
        assert engine.wait(120) == 0
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
