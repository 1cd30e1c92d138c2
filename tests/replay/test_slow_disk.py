"""A disk that stalls under the recorder of a live market: how long a stall the recording outlasts,
and that check-config says so."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.bars.stage import GATE as BARS
from engine.config.schema import Config, EngineSection
from engine.config.sizes import sizes_of
from engine.config.stall import outlasted_s
from engine.domain import records
from engine.domain.tables import FLOW_ALERTED_N, FLOW_DURABLE_N, allocate
from engine.replay import tape as tape_module
from engine.replay.builder import columns
from engine.replay.genesis import Genesis, restore
from engine.replay.recorder import GATE
from engine.replay.tape import CYCLES, TapeReader
from shm.arena import PrivateArena
from shm.engine_clock import EngineClock
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE
from tests.replay.lives import LiveRoles
from tests.replay.market import Run, begin, config
from tests.shm.clocks import HandClocks

SECOND = records.NS_PER_SECOND
PER_S = 50_000
SYMBOLS = 24
SMALL = config(symbols=SYMBOLS)
DEFAULT = EngineSection().ring_ticks


def told(interval_ms: int, ring_ticks: int) -> Config:
    engine = EngineSection(capacity=64, interval_ms=interval_ms, ring_ticks=ring_ticks)
    return msgspec.structs.replace(SMALL, engine=engine)


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return begin(SMALL)


class Market(LiveRoles):
    """PER_S trades a second come in, bars decides when a cycle is due, and the recorder takes its
    turn after each one. `stall` puts so many seconds of that market into the next sync."""

    def __init__(
        self, genesis: Genesis, tape: Path, interval_ms: int = 100, ring_ticks: int = DEFAULT
    ) -> None:
        self.told = told(interval_ms, ring_ticks)
        self.sizes = dataclasses.replace(sizes_of(self.told), pool_trades=1 << 12)
        self.tables = allocate(PrivateArena(), self.sizes, columns())
        restore(self.tables, genesis)
        self.STEP_NS = interval_ms * 1_000_000
        self.tables.session["interval_ns"] = self.STEP_NS
        self.run: Run = Run(self.tables, genesis, tape)
        self.run._drain = lambda decision: None  # type: ignore[method-assign]
        self.hand = HandClocks(genesis.header.start_ns)
        self.clock = EngineClock(self.tables.clock, self.hand.clocks)
        self.clock.start()
        self.bars = self.bars_role()
        self.widest = self.syncs = self.published = 0
        self.waiting_s = 0.0

    def turn(self) -> None:
        """One cycle of the market, without the recorder."""
        self.hand.run(self.STEP_NS)
        ring = self.tables.ticks.rings[0]
        count = PER_S * self.STEP_NS // SECOND
        ticks = np.zeros(count, records.TICK)
        ticks["kind"], ticks["cond"] = records.TICK_TRADE, 7
        ticks["sym"] = np.arange(count) % SYMBOLS
        ticks["recv_ns"] = ticks["event_ns"] = self.hand.wall_ns
        ticks["a"], ticks["b"] = 100.0, 10.0
        ticks["id"] = ticks["src_pos"] = self.published + np.arange(count)
        assert ring.publish(ticks) == count, "the feed never has to drop a tick"
        self.published += count
        ring.set_mark(self.hand.wall_ns)
        assert self.bars.step()
        decisions = self.tables.decisions
        newest = decisions.data[(decisions.tail() - 1) & (decisions.capacity - 1)].copy()
        self.run.follow(newest)
        self.run.n = int(newest["n"])
        write_word(self.tables.flow, FLOW_ALERTED_N * WORD_STRIDE, self.run.n)
        if not ring.dropped(GATE):
            self.widest = max(self.widest, ring.gate(BARS) - ring.gate(GATE))

    def go(self, seconds: float) -> None:
        """So many seconds with a recorder that is never late by itself."""
        for _ in range(round(seconds * SECOND / self.STEP_NS)):
            self.turn()
            self.run.recorder.step()

    def stall(self, seconds: float) -> None:
        """Let the next sync take so long."""
        self.waiting_s = seconds

    def sync(self, real: Callable[[int], None], fd: int) -> None:
        """In the place of fdatasync."""
        self.syncs += 1
        seconds, self.waiting_s = self.waiting_s, 0.0
        for _ in range(round(seconds * SECOND / self.STEP_NS)):
            self.turn()
        real(fd)

    @property
    def durable_n(self) -> int:
        return int(read_word(self.tables.flow, FLOW_DURABLE_N * WORD_STRIDE))


@pytest.fixture
def market(
    genesis: Genesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Market]:
    def build(**sizes: int) -> Market:
        made = Market(genesis, tmp_path / "tape", **sizes)
        real = os.fdatasync
        monkeypatch.setattr("os.fdatasync", lambda fd: made.sync(real, fd))
        return made

    return build


def ticks_on_tape(tape: Path) -> int:
    with TapeReader(tape) as reader:
        return sum(len(block.ticks[0]) for block in reader.blocks() if block.kind == CYCLES)


@pytest.mark.parametrize("interval_ms", [100, 10])
def test_a_sync_of_two_seconds_at_50000_ticks_a_second_costs_no_tick_of_the_recording(
    market: Callable[..., Market], tmp_path: Path, interval_ms: int
) -> None:
    live = market(interval_ms=interval_ms)
    live.go(1)
    live.stall(2)
    live.go(1)
    assert 0.37 < live.widest / DEFAULT < 0.42, "of the ring, as large as it is by default"
    assert not live.run.recorder.unrecorded
    assert live.durable_n == live.run.n == 4000 // interval_ms
    assert ticks_on_tape(tmp_path / "tape") == live.published == 4 * PER_S
    assert tape_module.info(tmp_path / "tape")["state"] == "open"


def test_what_came_in_during_a_slow_sync_is_one_block_with_one_sync(
    market: Callable[..., Market], tmp_path: Path
) -> None:
    live = market()
    live.go(1)
    live.stall(2)
    live.go(0.1)
    before = live.syncs
    assert live.run.recorder.step()
    assert live.syncs == before + 1
    assert live.durable_n == live.run.n
    with TapeReader(tmp_path / "tape") as reader:
        assert max(len(block.decisions) for block in reader.blocks()) == 20


def test_a_disk_whose_every_sync_takes_half_a_second_keeps_up(
    market: Callable[..., Market], tmp_path: Path
) -> None:
    live = market()
    for _ in range(8):
        live.stall(0.5)
        live.turn()
        live.run.recorder.step()
    live.run.recorder.step()
    assert live.widest < 0.25 * DEFAULT, "a slow sync makes the next block larger, not later"
    assert not live.run.recorder.unrecorded
    assert ticks_on_tape(tmp_path / "tape") == live.published


@pytest.mark.parametrize("ring_ticks", [1 << 17, DEFAULT])
def test_a_stall_as_long_as_check_config_says_is_outlasted_and_a_longer_one_is_not(
    market: Callable[..., Market], tmp_path: Path, ring_ticks: int
) -> None:
    live = market(ring_ticks=ring_ticks)
    seconds = outlasted_s(live.sizes, 0.1, PER_S)
    assert seconds > 1.5
    live.go(0.5)
    live.stall(seconds)
    live.go(0.5)
    assert not live.run.recorder.unrecorded
    assert ticks_on_tape(tmp_path / "tape") == live.published
    live.stall(1.15 * seconds)
    live.go(0.5)
    assert live.run.recorder.unrecorded
    assert tape_module.info(tmp_path / "tape")["state"] == "has a gap"
    assert live.durable_n == live.run.n, "the stream goes on"
