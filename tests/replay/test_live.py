"""A live stream over suspends equals its repetition: the jumps are on the tape, and only there."""

import random
from pathlib import Path

import msgspec
import numpy as np

from engine.config.schema import Config
from engine.domain import records
from engine.feeds.registry import open_provider
from engine.feeds.role import Stamps
from engine.feeds.stage import FeedStage
from engine.replay import tape as tape_module
from engine.replay.builder import Builder
from engine.replay.genesis import Genesis, restore
from engine.replay.tape import CYCLES, TapeReader
from shm.engine_clock import EngineClock
from tests.replay.lives import LiveRoles
from tests.replay.market import (
    STREAM,
    Run,
    calendar_dir,
    compiled,
    config,
    repeated,
    tables_of,
)
from tests.shm.clocks import HandClocks

SECOND = records.NS_PER_SECOND
WALL = 1_767_623_370 * SECOND
STEP = SECOND // 20


class LiveRun(LiveRoles):
    """The roles over a recorded run, which kills them one by one and sends the machine to sleep."""

    STEP_NS = STEP

    def __init__(self, told: Config, genesis: Genesis, tape: Path, workers: int) -> None:
        self.told = told
        self.tables = tables_of(told, workers)
        restore(self.tables, genesis)
        self.run = Run(self.tables, genesis, tape)
        self.hand = HandClocks(WALL)
        self.clock = EngineClock(self.tables.clock, self.hand.clocks)
        self.clock.start()
        self.slept_ns = 0
        self.kill_bars()
        self.kill_feed()

    def kill_bars(self) -> None:
        """Another process takes over."""
        self.bars = self.bars_role()

    def kill_feed(self) -> None:
        """Another process takes over."""
        self.stamps = Stamps(self.clock)
        provider = open_provider(self.told, WALL, None, session=self.tables.session)
        self.feed = FeedStage(
            self.tables.ticks.rings[0], self.tables.feed_names[0], provider, 1.0,
            self.stamps.now_ns,
        )  # fmt: skip
        self.feed.recover()

    def sleep(self, ns: int) -> None:
        self.hand.sleep(ns)
        self.slept_ns += ns


def live_config() -> Config:
    told = config(symbols=12, seed=9, interval_ms=100)
    simulator = msgspec.structs.replace(told.simulator, clock="live", start="", minutes=600)
    return msgspec.structs.replace(told, simulator=simulator)


def decisions_of(tape: Path) -> np.ndarray:
    with TapeReader(tape) as reader:
        return np.concatenate(
            [block.decisions for block in reader.blocks() if block.kind == CYCLES]
        )


def test_a_live_run_with_suspends_and_kills_equals_the_backtest_of_its_tape(
    tmp_path: Path,
) -> None:
    told = live_config()
    genesis = Builder(told, STREAM, calendar_dir(), compiled(), now_ns=WALL).build()
    assert genesis.header.start_ns == WALL
    tape = tmp_path / "tape"
    live = LiveRun(told, genesis, tape, workers=2)
    chance = random.Random(7)
    sleeps = 0
    for turn in range(60 * SECOND // STEP):
        if turn % 171 == 170:
            live.sleep(chance.choice((SECOND // 3, 45 * SECOND, 700 * SECOND)))
            sleeps += 1
            if sleeps % 2:
                live.clock.move()  # as bars does, killed before it decides
                live.kill_bars()
        if chance.random() < 0.01:
            chance.choice((live.kill_bars, live.kill_feed))()
        live.turn()
    assert sleeps == 7
    live.sleep(13 * 3600 * SECOND)  # beyond the roll
    while not live.bars.stage.ended:
        live.turn()
    live.run.writer.close()

    decisions = decisions_of(tape)
    times = np.concatenate([[WALL], decisions["t_ns"]])
    assert (np.diff(times) > 0).all()
    assert decisions["absent"].sum() + len(decisions) == (times[-1] - WALL) // (SECOND // 10)
    flagged = decisions["flags"] & records.DECISION_REANCHORED != 0
    assert times[-1] == int(live.tables.session["roll_ns"][0]), "the roll is not slept over"
    assert flagged.sum() == sleeps + 1 == tape_module.info(tape)["reanchored"]
    assert decisions["absent"][~flagged].max() < 5, "a suspend is one decision"
    assert (flagged[1:] == (np.diff(decisions["anchor_ns"]) != 0)).all()
    assert decisions["anchor_ns"][-1] - decisions["anchor_ns"][0] == live.slept_ns
    assert not (decisions["flags"] & records.DECISION_LAGGING).any(), "no feed lagged"

    alerts = live.run.alerts
    assert len(alerts) > 50
    for workers in (1, 2, 3):
        assert repeated(told, genesis, tape, workers) == (alerts, True)
