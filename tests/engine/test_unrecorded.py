"""A tape that cannot be gone on with: the engine says so, alerts flow, the next start is new."""

import json
import os
import signal
import urllib.request
from pathlib import Path

from tests.engine.commands import events, status, until
from tests.kills.rig import Rig, rig


def health(engine: Rig) -> dict[str, object]:
    until(lambda: events(engine, "listening"), engine)
    url = events(engine, "listening")[-1]["url"]
    with urllib.request.urlopen(f"{url}health", timeout=5) as answer:
        found: dict[str, object] = json.load(answer)
    return found


def lose_the_tape(engine: Rig) -> None:
    """Put a directory in the place of the tape and kill the recorder: its successor cannot open."""
    tape = engine.data_dir / "streams" / "under-test" / "tape.bin"
    tape.rename(tape.with_name("aside"))
    tape.mkdir()
    os.kill(engine.role_pids()["recorder"], signal.SIGKILL)


def bring_it_back(engine: Rig) -> None:
    """The tape as it was: open, without a word of what followed."""
    tape = engine.data_dir / "streams" / "under-test" / "tape.bin"
    tape.rmdir()
    tape.with_name("aside").rename(tape)


def test_a_lost_tape_degrades_the_engine_but_stops_nothing(tmp_path: Path) -> None:
    with rig(tmp_path, "untaped", speed=30.0, end="", history_dates=[]) as engine:
        engine.start()
        until(lambda: len(engine.alerts()) > 3, engine)
        assert health(engine)["status"] == "ok"
        lose_the_tape(engine)
        until(lambda: events(engine, "recording_failed"), engine)
        before = len(engine.alerts())
        until(lambda: len(engine.alerts()) > before + 3, engine)
        found = health(engine)
        assert found["status"] == "degraded"
        assert "no longer recorded" in str(found["reasons"])
        code, told = status(engine)
        assert code == 0
        assert told["errors"] > 0
        assert "no longer recorded" in str(told["degraded"])
        assert "goes on unrecorded" in events(engine, "recording_failed")[0]["reason"]
        assert events(engine, "unrecorded")
        ids = [json.loads(alert)["alert_id"] for alert in engine.alerts()]
        assert len(set(ids)) == len(ids)
        assert engine.process is not None
        engine.process.kill()
        engine.process.wait()
        until(lambda: not any(engine.role_pids().values()), engine, 10)
        bring_it_back(engine)
        engine.start()
        assert status(engine)[1]["resumed_n"] == 0
        assert not events(engine, "resumed")
        assert engine.stop() == 0
        assert engine.leftovers() == []
