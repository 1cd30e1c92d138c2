"""A live stream on a machine that is too slow equals its repetition: its strides are on the
tape."""

import random
from pathlib import Path

import msgspec
import numpy as np

from engine.domain import records
from engine.replay.builder import Builder
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from tests.kills.operators import OPERATORS
from tests.replay.market import STREAM, calendar_dir, compiled, repeated
from tests.replay.test_live import WALL, LiveRun, decisions_of, live_config

SECOND = records.NS_PER_SECOND
RULES: tuple[Rule, ...] = tuple(read_rule(one) for one in OPERATORS)


def test_a_live_run_that_is_too_slow_equals_the_backtest_of_its_tape(tmp_path: Path) -> None:
    told = live_config()
    overload = msgspec.structs.replace(
        told.overload, after_s=2, calm_s=10, calm_load_pct=60, recent_alert_s=3
    )
    told = msgspec.structs.replace(told, overload=overload)
    genesis = Builder(told, STREAM, calendar_dir(), compiled(RULES), now_ns=WALL).build()
    tape = tmp_path / "tape"
    live = LiveRun(told, genesis, tape, workers=2)
    chance = random.Random(3)
    for step_ns, seconds in ((SECOND // 4, 40), (SECOND // 20, 50), (SECOND // 3, 40)):
        live.STEP_NS = step_ns  # type: ignore[misc]
        for _ in range(seconds * SECOND // step_ns):
            if chance.random() < 0.005:
                chance.choice((live.kill_bars, live.kill_feed))()
            live.turn()
    live.sleep(13 * 3600 * SECOND)  # beyond the roll
    while not live.bars.stage.ended:
        live.turn()
    live.run.writer.close()

    strides = decisions_of(tape)["stride"]
    changes = strides[np.flatnonzero(np.diff(strides, prepend=strides[0]))].tolist()
    assert set(strides.tolist()) == {1, 2, 4} and len(changes) >= 5
    alerts = live.run.alerts
    assert len(alerts) > 100
    for workers in (1, 2, 3):
        assert repeated(told, genesis, tape, workers) == (alerts, True)
