"""A full disk under the alerts of a running engine: said everywhere, mended by itself, no alert
lost or doubled."""

import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path

from tests.engine.commands import events, status, tapescan, told, until
from tests.kills.rig import Rig, rig

NO_SPACE = "The disk of alerts refuses what it has to keep (No space left on device)"


def degraded(engine: Rig) -> list[str] | None:
    """What /ready says is wrong; None while it says that the engine is not ready."""
    url = events(engine, "listening")[-1]["url"]
    try:
        with urllib.request.urlopen(f"{url}ready", timeout=30) as answer:
            found: list[str] = json.load(answer)["degraded"]
    except urllib.error.HTTPError:
        return None
    return found


def fill_the_disk(engine: Rig) -> None:
    """The spool is written anew by each process that opens it: let that be /dev/full."""
    (engine.data_dir / "alerts.spool.new").symlink_to("/dev/full")
    os.kill(engine.role_pids()["alerts"], signal.SIGKILL)


def make_room(engine: Rig) -> None:
    (engine.data_dir / "alerts.spool.new").unlink()


def test_alerts_on_a_full_disk_are_held_up_and_said_to_be_until_there_is_room(
    tmp_path: Path,
) -> None:
    with rig(tmp_path, "full", speed=20.0, end="2013-10-08T09:34:00-04:00") as engine:
        engine.start()
        until(lambda: len(engine.alerts()) > 3, engine)
        until(lambda: degraded(engine) == [], engine)
        fill_the_disk(engine)
        until(lambda: degraded(engine), engine)
        before = engine.alerts()
        until(lambda: [one for one in degraded(engine) or [] if one.startswith(NO_SPACE)], engine)
        assert any(one.startswith(NO_SPACE) for one in status(engine)[1]["degraded"])
        assert "Degraded: The disk of alerts refuses" in told(engine, "status").stdout
        assert engine.alerts() == before
        make_room(engine)
        until(lambda: not events(engine, "ending") and degraded(engine) == [], engine)
        assert engine.wait(240) == 0
        assert [line["child"] for line in events(engine, "started")].count("alerts") == 2
        out = engine.place / "again.jsonl"
        stream = engine.data_dir / "streams" / "under-test"
        assert tapescan("backtest", "--tape", str(stream), "--out", str(out)).returncode == 0
        alerts = engine.alerts()
        assert out.read_bytes().splitlines() == alerts
        assert len(alerts) > len(before)
