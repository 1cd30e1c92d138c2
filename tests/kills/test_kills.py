"""A replay at 50x with every role killed at random moments equals the undisturbed one, byte for
byte."""

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from engine.rules import opcodes as op
from engine.rules.compiler import compile_rules
from engine.rules.validate import read_rule
from tests.kills.operators import OPERATORS
from tests.kills.rig import RULES, Rig, rig

SEED = 20131008
EVERYTHING = [*RULES, *OPERATORS]
ROLES = ("feed0", "bars", "indicators", "scan0", "scan1", "alerts", "recorder", "web")
RECOVERY_TIMEOUT_S = 20.0


def undisturbed(place: Path, **feed: object) -> tuple[list[bytes], object]:
    """Alerts and bars of a run in which nothing happens, as fast as it goes."""
    with rig(place, "calm", speed=0.0, rules=EVERYTHING, **feed) as engine:
        engine.start()
        assert engine.wait(300) == 0, engine.tail()
        assert engine.leftovers() == []
        return engine.alerts(), engine.bars()


class Killer:
    """Kills roles one after another and measures how long each needs to go on."""

    def __init__(self, engine: Rig, seed: int) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        self.recovery_s: list[tuple[float, str]] = []
        board = engine.board()
        assert board is not None
        self.board = board

    def kill_one(self, number: int) -> bool:
        """One kill (every tenth a SIGSTOP that has to be noticed). False: the engine has ended."""
        time.sleep(self.random.uniform(0.02, 0.25))
        role = self.random.choice(ROLES)
        stopped = number % 10 == 9
        pid, before = self.hit(role, signal.SIGSTOP if stopped else signal.SIGKILL)
        if pid == 0:
            return False
        begin = time.monotonic()
        deadline = begin + RECOVERY_TIMEOUT_S
        while time.monotonic() < deadline:
            if not self.engine.running():
                return False
            fresh = self.engine.pid(self.board, role) not in (0, pid)
            if fresh and self.engine.progress(self.board, role) != before:
                if not stopped:
                    self.recovery_s.append((time.monotonic() - begin, role))
                return True
            time.sleep(0.002)
        raise AssertionError(f"{role} did not recover from kill {number}:\n{self.engine.tail()}")

    def hit(self, role: str, number: signal.Signals) -> tuple[int, int]:
        """Signal the role as soon as it lives: its pid and progress; pid 0: the engine ended."""
        while self.engine.running():
            pid = self.engine.pid(self.board, role)
            before = self.engine.progress(self.board, role)
            if pid != 0:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                    return pid, before
            time.sleep(0.002)
        return 0, 0

    def p99_s(self) -> float:
        """99th percentile of the recoveries from SIGKILL."""
        ordered = sorted(seconds for seconds, _ in self.recovery_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def test_these_rules_use_every_operation_of_the_program() -> None:
    nodes = compile_rules([read_rule(one) for one in EVERYTHING]).program.code.nodes
    assert set(nodes[:, op.N_OP].tolist()) == op.NUMERIC | set(range(op.ABOVE, op.STORE + 1))


@pytest.mark.soak
def test_a_replay_with_killed_roles_equals_the_undisturbed_one(tmp_path: Path, soak: bool) -> None:
    kills = 200 if soak else 20
    end = "2013-10-08T11:20:00-04:00" if soak else "2013-10-08T09:55:00-04:00"
    alerts, bars = undisturbed(tmp_path, end=end)
    assert {json.loads(alert)["rule_id"] for alert in alerts} == {one["id"] for one in EVERYTHING}
    with rig(tmp_path, "kills", end=end, rules=EVERYTHING) as engine:
        engine.start()
        killer = Killer(engine, SEED)
        done = 0
        while done < kills and killer.kill_one(done):
            done += 1
        assert engine.wait(1200) == 0, engine.tail()
        assert engine.leftovers() == []
        found = engine.alerts()
        assert len(set(found)) == len(found)
        assert found == alerts
        assert engine.bars() == bars
    print(f"\nkills {done}, alerts {len(alerts)}, recovery p99 {killer.p99_s() * 1e3:.0f} ms, "
          f"worst {max(killer.recovery_s)}")  # fmt: skip
    assert done == kills, f"the replay ended after {done} kills"


@pytest.mark.soak
def test_an_engine_killed_whole_resumes_its_stream(tmp_path: Path, soak: bool) -> None:
    deaths = 10 if soak else 2
    end = "2013-10-08T09:42:00-04:00"
    alerts, bars = undisturbed(tmp_path, end=end)
    chance = random.Random(SEED)
    with rig(tmp_path, "whole", end=end, rules=EVERYTHING) as engine:
        for _ in range(deaths):
            engine.start()
            time.sleep(chance.uniform(0.3, 2.5))
            assert engine.process is not None
            engine.process.kill()
            engine.process.wait()
        engine.start()
        assert "resumed" in engine.tail()
        assert engine.wait(300) == 0, engine.tail()
        assert engine.alerts() == alerts
        assert engine.bars() == bars
        assert engine.leftovers() == []


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_scan_workers_changes_no_byte(tmp_path: Path, workers: int) -> None:
    end = "2013-10-08T09:33:00-04:00"
    alerts, bars = undisturbed(tmp_path / "two", end=end)
    assert undisturbed(tmp_path / "other", end=end, scan_workers=workers) == (alerts, bars)
