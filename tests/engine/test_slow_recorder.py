"""A live engine whose recorder stands still: what its ring lasts for is recorded whole, a longer
stall is told, marked on the tape where it begins, and over with the next stream."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.commands import events, status, tape_info, tapescan, until
from tests.kills.rig import Rig, rig

SIMULATOR = {"symbols": 12, "ticks_per_s": 2000, "clock": "live"}
PATIENCE = {"beat_timeout_ms": 120_000, "stall_timeout_ms": 120_000}


@contextmanager
def still(engine: Rig) -> Iterator[None]:
    """The recorder makes no step, as if it waited for its disk."""
    pid = engine.role_pids()["recorder"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def cycle(engine: Rig) -> int:
    board = engine.board()
    return engine.progress(board, "bars") if board is not None else 0


def go_on(engine: Rig, cycles: int) -> None:
    goal = cycle(engine) + cycles
    until(lambda: cycle(engine) >= goal, engine)


def tapes(engine: Rig) -> list[Path]:
    """The tapes of all streams, the oldest first."""
    found = (engine.data_dir / "streams").glob("*/tape.bin")
    return sorted(found, key=lambda path: path.parent.stat().st_ctime_ns)


def same_alerts(engine: Rig, tape: Path) -> list[bytes]:
    """Those that a backtest of a tape fires, all of which the engine has stored in this order."""
    out = engine.place / "again.jsonl"
    done = tapescan("backtest", "--tape", str(tape), "--out", str(out))
    assert done.returncode == 0, done.stderr
    again = out.read_bytes().splitlines()
    assert again == engine.alerts()[: len(again)]
    return again


def test_a_live_recorder_outlasts_a_stall_is_overtaken_by_a_longer_one_and_begins_anew(
    tmp_path: Path,
) -> None:
    with rig(
        tmp_path, "slow", provider="simulator", simulator=SIMULATOR, supervisor=PATIENCE,
        history_dates=[], start="", end="",
    ) as engine:  # fmt: skip
        text = engine.config.read_text()
        engine.config.write_text(text.replace("[engine]\n", "[engine]\nring_ticks = 32768\n"))
        engine.start()
        until(lambda: len(engine.alerts()) > 3, engine)
        with still(engine):
            go_on(engine, 20)
        until(lambda: len(engine.alerts()) > 6, engine)
        assert not status(engine)[1]["degraded"]
        (first,) = tapes(engine)
        assert tape_info(first)["state"] == "open"
        with still(engine):
            until(lambda: events(engine, "unrecorded"), engine)
            overtaken_n = cycle(engine)
            until(lambda: "no longer recorded" in str(status(engine)[1]["degraded"]), engine)
            before = len(engine.alerts())
            until(lambda: len(engine.alerts()) > before, engine)
        until(lambda: events(engine, "recording_failed"), engine)
        told = tape_info(first)
        assert told["state"] == "has a gap"
        assert told["cycles"] == told["last_n"] < overtaken_n
        assert 0 < len(same_alerts(engine, first)) < len(engine.alerts())
        assert not events(engine, "replacing")
        assert engine.stop() == 0
        engine.start()
        go_on(engine, 20)
        assert not status(engine)[1]["degraded"]
        assert engine.stop() == 0
        second = tapes(engine)[-1]
        assert second != first
        told = tape_info(second)
        assert (told["state"], told["cycles"]) == ("open", told["last_n"])
        assert told["cycles"] >= 20
        assert engine.leftovers() == []
