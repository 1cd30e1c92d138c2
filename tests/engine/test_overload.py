"""A live engine on a machine that is too slow for it: it looks at some symbols less often, says so,
and repeats it from its tape, whoever was killed on the way."""

import contextlib
import os
import signal
import time
from pathlib import Path

import numpy as np

from engine.replay.tape import CYCLES, TapeReader
from tests.engine.commands import status, tapescan, until
from tests.kills.operators import OPERATORS
from tests.kills.rig import RULES, Rig, rig

SIMULATOR = {"symbols": 1200, "ticks_per_s": 3000, "clock": "live"}
PATIENCE = {"beat_timeout_ms": 60_000, "stall_timeout_ms": 120_000}
# An alert now and then, or the disk is what is too slow.
QUIET = [one | {"cooldown_sec": 120} for one in RULES + OPERATORS]
SETTINGS = "\n[overload]\nafter_s = 1\ncalm_s = 3600\nrecent_alert_s = 2\n"


def strided(engine: Rig) -> int:
    """Cycles with a stride so far. On any machine cycles are absent: now and then one stands
    still."""
    if pid := engine.role_pids()["scan1"]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.05)
            os.kill(pid, signal.SIGCONT)
    return int(status(engine)[1].get("strided_cycles") or 0)


def test_a_live_engine_that_is_too_slow_equals_the_backtest_of_its_tape(tmp_path: Path) -> None:
    with rig(
        tmp_path, "overload", provider="simulator", simulator=SIMULATOR, history_dates=[],
        start="", end="", interval_ms=5, rules=QUIET, supervisor=PATIENCE,
    ) as engine:  # fmt: skip
        text = engine.config.read_text().replace("[engine]\n", "[engine]\ncapacity = 1200\n")
        engine.config.write_text(text + SETTINGS)
        engine.start()
        until(lambda: strided(engine) > 50, engine)
        assert any("too slow" in reason for reason in status(engine)[1]["degraded"])
        for role in ("scan0", "bars", "scan1"):
            before = strided(engine)
            os.kill(engine.role_pids()[role], signal.SIGKILL)
            until(lambda before=before: strided(engine) > before + 100, engine)
        until(lambda: len(engine.alerts()) > 50, engine)
        assert engine.stop() == 0
        (stream,) = (engine.data_dir / "streams").glob("*/tape.bin")
        with TapeReader(stream) as reader:
            blocks = [block.decisions for block in reader.blocks() if block.kind == CYCLES]
        strides = np.concatenate(blocks)["stride"]
        assert {1, 2, 4} <= set(strides.tolist())
        out = tmp_path / "again.jsonl"
        done = tapescan("backtest", "--tape", str(stream), "--out", str(out))
        assert done.returncode == 0, done.stderr
        assert out.read_bytes().splitlines() == engine.alerts()
        assert engine.leftovers() == []
