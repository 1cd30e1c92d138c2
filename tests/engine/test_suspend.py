"""A live engine on a machine that sleeps: it goes on in time, says so, and its tape repeats it.

No test can suspend the machine. To the engine a suspend is CLOCK_BOOTTIME having gone on without
CLOCK_MONOTONIC, and it compares the two by a word in shared memory: here that word is moved.
"""

import dataclasses
import json
import mmap
import os
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.domain import records
from engine.replay.tape import CYCLES, TapeReader
from shm.engine_clock import ORIGIN
from shm.header import PAGE
from tests.engine.commands import events, status, tape_info, tapescan, told, until
from tests.kills.rig import Rig, rig

SLEEP_NS = 4_000_000_000
INTERVAL_NS = 100_000_000
SIMULATOR = {"symbols": 12, "ticks_per_s": 300, "clock": "live"}


@dataclasses.dataclass
class Night:
    """What was seen on the way."""

    before: dict[str, Any] = dataclasses.field(default_factory=dict)
    after: dict[str, Any] = dataclasses.field(default_factory=dict)
    shown: str = ""
    ready: tuple[int, dict[str, Any]] = (0, {})
    metrics: str = ""
    noticed: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    resumed: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    stopped_tape: dict[str, Any] = dataclasses.field(default_factory=dict)
    decisions: np.ndarray = dataclasses.field(
        default_factory=lambda: np.empty(0, records.DECISION)
    )
    alerts: list[bytes] = dataclasses.field(default_factory=list)
    repeated: list[bytes] = dataclasses.field(default_factory=list)


def sleep(engine: Rig) -> None:
    """Let the engine believe that the machine was suspended."""
    (segment,) = Path("/dev/shm").glob(f"tapescan-{engine.name}-*-clock")
    with segment.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        words = np.frombuffer(memory, np.int64, offset=PAGE)
        words[ORIGIN] += SLEEP_NS
        del words


def fetch(engine: Rig, path: str) -> tuple[int, str]:
    until(lambda: events(engine, "listening"), engine)
    url = events(engine, "listening")[-1]["url"]
    with urllib.request.urlopen(f"{url}{path}", timeout=5) as answer:
        return answer.status, answer.read().decode()


def more_alerts(engine: Rig, count: int = 3) -> None:
    until(engine.alerts, engine)
    before = len(engine.alerts())
    until(lambda: len(engine.alerts()) >= before + count, engine)


def two_sleeps(engine: Rig, night: Night) -> None:
    """Noticed by bars in the first, by its successor in the second."""
    engine.start()
    more_alerts(engine)
    night.before = status(engine)[1]
    sleep(engine)
    until(lambda: events(engine, "reanchored"), engine)
    more_alerts(engine)
    bars = engine.role_pids()["bars"]
    os.kill(bars, signal.SIGSTOP)
    sleep(engine)
    os.kill(bars, signal.SIGKILL)
    until(lambda: len(events(engine, "reanchored")) == 2, engine)
    more_alerts(engine)
    night.noticed = events(engine, "reanchored")
    night.after = status(engine)[1]
    night.shown = told(engine, "status").stdout
    code, text = fetch(engine, "ready")
    night.ready = code, json.loads(text)
    night.metrics = fetch(engine, "metrics")[1]


def decisions_of(tape: Path) -> np.ndarray:
    with TapeReader(tape) as reader:
        return np.concatenate(
            [block.decisions for block in reader.blocks() if block.kind == CYCLES]
        )


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    seen = Night()
    place = tmp_path_factory.mktemp("night")
    with rig(
        place, "night", provider="simulator", history_dates=[], start="", end="",
        simulator=SIMULATOR, scan_workers=1,
    ) as engine:  # fmt: skip
        stream = engine.data_dir / "streams" / "under-test"
        two_sleeps(engine, seen)
        assert engine.stop() == 0
        seen.stopped_tape = tape_info(stream)
        engine.start()
        seen.resumed = events(engine, "resumed")
        more_alerts(engine)
        assert engine.stop() == 0
        seen.decisions = decisions_of(stream / "tape.bin")
        seen.alerts = engine.alerts()
        out = engine.place / "again.jsonl"
        done = tapescan("backtest", "--tape", str(stream), "--out", str(out))
        assert done.returncode == 0, done.stderr
        seen.repeated = out.read_bytes().splitlines()
        assert engine.leftovers() == []
        yield seen


def test_each_suspend_is_noticed_once(night: Night) -> None:
    assert [round(one["slept_s"], 3) for one in night.noticed] == [4.0, 4.0]


def test_a_suspend_is_one_decision_with_the_new_anchor_and_a_resume_is_another(
    night: Night,
) -> None:
    decisions = night.decisions
    flagged = np.nonzero(decisions["flags"] & records.DECISION_REANCHORED)[0]
    moves = np.nonzero(np.diff(decisions["anchor_ns"]))[0] + 1
    assert flagged.tolist() == moves.tolist()
    assert len(flagged) == 3
    assert night.stopped_tape["reanchored"] == 2
    grown = np.diff(decisions["anchor_ns"])[moves - 1]
    assert (abs(grown[:2] - SLEEP_NS) < 1_000_000).all()
    assert (decisions["absent"][flagged[:2]] >= SLEEP_NS // INTERVAL_NS - 1).all()


def test_engine_time_never_goes_back_and_no_grid_point_is_uncounted(night: Night) -> None:
    steps = np.diff(night.decisions["t_ns"])
    assert (steps > 0).all()
    assert (steps // INTERVAL_NS - 1 == night.decisions["absent"][1:]).all()


def test_an_orderly_stop_leaves_a_live_stream_open_and_it_is_resumed(night: Night) -> None:
    assert night.stopped_tape["state"] == "open"
    (resumed,) = night.resumed
    assert resumed["stream_id"] == "under-test"
    assert resumed["n"] == night.stopped_tape["last_n"] < night.decisions["n"][-1]


def test_engine_time_that_left_the_wall_clock_is_told_by_every_probe(night: Night) -> None:
    """The wall clock did not sleep with it: to the engine it now is eight seconds behind."""
    assert not any("wall clock" in reason for reason in night.before["degraded"])
    (reason,) = [one for one in night.after["degraded"] if "wall clock" in one]
    assert reason.startswith("The wall clock is 8.0")
    assert "behind engine time, more than clock.max_skew_ms = 250:" in reason
    assert "Degraded: The wall clock is 8.0" in night.shown
    assert night.ready[0] == 200
    assert any("The wall clock is 8.0" in reason for reason in night.ready[1]["degraded"])
    (line,) = [
        line for line in night.metrics.splitlines() if line.startswith("clock_skew_seconds{")
    ]
    assert float(line.split()[-1]) == pytest.approx(-8.0, abs=0.1)


def test_a_backtest_of_its_tape_gives_what_the_engine_stored(night: Night) -> None:
    assert len(night.alerts) > 10
    assert night.repeated == night.alerts
