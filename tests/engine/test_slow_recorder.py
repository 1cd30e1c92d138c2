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


@contextmanager
def live(place: Path, name: str, ring_ticks: int) -> Iterator[Rig]:
    """A live engine whose recorder has begun to record alerts."""
    with rig(
        place, name, provider="simulator", simulator=SIMULATOR, supervisor=PATIENCE,
        history_dates=[], start="", end="",
    ) as engine:  # fmt: skip
        text = engine.config.read_text()
        ring = f"[engine]\nring_ticks = {ring_ticks}\n"
        engine.config.write_text(text.replace("[engine]\n", ring))
        engine.start()
        until(lambda: len(engine.alerts()) > 3, engine)
        yield engine


def test_a_stall_that_the_ring_holds_leaves_no_trace(tmp_path: Path) -> None:
    with live(tmp_path, "slow", 1 << 20) as engine:
        with still(engine):
            go_on(engine, 20)
        before = len(engine.alerts())
        until(lambda: len(engine.alerts()) > before, engine)
        assert not status(engine)[1]["degraded"]
        assert engine.stop() == 0
        (tape,) = tapes(engine)
        told = tape_info(tape)
        assert (told["state"], told["cycles"]) == ("open", told["last_n"])
        assert same_alerts(engine, tape) == engine.alerts()
        assert not events(engine, "recording_failed")


def test_a_longer_stall_is_told_and_marked_where_it_begins_and_the_next_stream_is_recorded(
    tmp_path: Path,
) -> None:
    with live(tmp_path, "slower", 1 << 15) as engine:
        with still(engine):
            until(lambda: events(engine, "unrecorded"), engine)
            overtaken_n = cycle(engine)
            until(lambda: "no longer recorded" in str(status(engine)[1]["degraded"]), engine)
            before = len(engine.alerts())
            until(lambda: len(engine.alerts()) > before, engine)
        until(lambda: events(engine, "recording_failed"), engine)
        (first,) = tapes(engine)
        told = tape_info(first)
        assert told["state"] == "has a gap"
        assert told["cycles"] == told["last_n"] < overtaken_n
        assert 0 < len(same_alerts(engine, first)) < len(engine.alerts())
        assert not events(engine, "replacing")
        assert engine.stop() == 0
        text = engine.config.read_text()
        engine.config.write_text(text.replace("ring_ticks = 32768", "ring_ticks = 1048576"))
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
