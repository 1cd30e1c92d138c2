"""A live engine in one process, life after life over one data directory, by clocks in the test's
hand: prepared by the real start, recorded by the real recorder, dead whenever the test wants."""

import dataclasses
import json
import os
import weakref
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from engine.alerts.merge import MergedCycle
from engine.bars.role import _Bars
from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.domain import records
from engine.domain.stream import StreamInfo
from engine.domain.tables import FLOW_ALERTED_N, FLOW_ENDED, EngineTables, allocate
from engine.feeds.registry import open_provider
from engine.feeds.role import Stamps
from engine.feeds.stage import FeedStage
from engine.replay.builder import columns
from engine.replay.end_state import keep
from engine.replay.genesis import Genesis, load, tape_header
from engine.replay.harness import Harness
from engine.replay.open_stream import GENESIS_NAME, TAPE_NAME, forget
from engine.replay.prepare import prepare
from engine.replay.recorder import RecorderStage
from engine.replay.tape import TapeWriter, create_tape
from engine.rules.model import Rule
from engine.storage.sqlite import SqliteBarStore
from ipc.logs import Log
from shm.arena import PrivateArena
from shm.engine_clock import EngineClock
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE
from tests.replay.market import FIRST_RULES, calendar_dir, compiled, config
from tests.shm.clocks import HandClocks

SECOND = records.NS_PER_SECOND
MINUTE = records.NS_PER_MINUTE
WALL = 1_767_623_370 * SECOND  # 09:29:30 in New York, 5 January 2026
MINUTES = 20
STEP = SECOND // 2


def live_config(symbols: int = 12, minutes: int = MINUTES, **simulator: Any) -> Config:
    """A simulated session that begins a quarter of an hour before its close, and rolls after
    it."""
    told = config(symbols=symbols, seed=9)
    changed = msgspec.structs.replace(
        told.simulator, clock="live", start="2026-01-05T15:45:00-05:00", minutes=minutes,
        **simulator,
    )  # fmt: skip
    small = msgspec.structs.replace(told.bars, pool_trades=1 << 12)
    return msgspec.structs.replace(told, simulator=changed, bars=small)


class Recorded(Harness):
    """Everybody behind bars; the recorder works once a block of cycles is there."""

    BLOCK = 7

    def __init__(self, tables: EngineTables, stream: StreamInfo, data_dir: Path) -> None:
        self.alerts: list[bytes] = []
        self.directory = Path(stream.directory)
        self.genesis = load(self.directory / GENESIS_NAME, stream.genesis_sha256)
        super().__init__(tables, stream.stream_id, self._take)
        tape = self.directory / TAPE_NAME
        if not tape.exists():
            create_tape(tape, tape_header(self.genesis, stream.genesis_sha256))
        self.store = SqliteBarStore(data_dir / "bars.db")
        self._data_dir, self._stream_id = data_dir, stream.stream_id
        self.open_recorder()

    def open_recorder(self) -> None:
        """A new recorder, which goes on from the tape."""
        self.recorder = RecorderStage(
            self.tables, TapeWriter(self.directory / TAPE_NAME, self._stream_id), self.store,
            self._stream_id, partial(keep, self.tables, self.directory, self._data_dir),
        )  # fmt: skip
        weakref.finalize(self, self.recorder.close)  # the dead leave no open file behind
        self.recorder.recover()

    def _take(self, cycle: MergedCycle) -> None:
        self.alerts += [alert.document for alert in cycle.alerts]

    def _drain(self, decision: np.void) -> None:
        n = int(decision["n"])
        write_word(self.tables.flow, FLOW_ALERTED_N * WORD_STRIDE, n)
        if n % self.BLOCK == 0:
            self.record()

    def record(self) -> None:
        """Let the recorder do what there is to do."""
        while self.recorder.step():
            pass


class LiveRoles:
    """The feed's and the bars role's own code over tables; the clocks are the test's.

    STEP_NS: how far the clocks run between two turns. run: everybody behind bars.
    """

    STEP_NS: int
    told: Config
    hand: HandClocks
    clock: EngineClock
    tables: EngineTables
    stamps: Stamps
    feed: FeedStage
    bars: _Bars
    run: Any

    def bars_role(self) -> _Bars:
        """The bars role of a new process; nobody hears its words."""

        def nothing(*_: object, **__: object) -> None:
            return None

        interval_ns = self.told.engine.interval_ms * 1_000_000
        context: Any = SimpleNamespace(
            log=SimpleNamespace(error=nothing, warning=nothing, info=nothing),
            telemetry=SimpleNamespace(
                count=nothing, set=nothing, observe=nothing, observe_since=nothing
            ),
            wake=SimpleNamespace(notify=nothing),
            progress=nothing,
            shared=SimpleNamespace(
                tables=self.tables, config=self.told, clock=self.clock,
                stream=SimpleNamespace(live=True, interval_ns=interval_ns),
            ),
        )  # fmt: skip
        return _Bars(context)

    def turn(self) -> None:
        """One turn of every role."""
        self.hand.run(self.STEP_NS)
        self.stamps.follow(self.feed)
        self.feed.step()
        if self.bars.step():
            ring = self.tables.decisions
            self.run.follow(ring.data[(ring.tail() - 1) & (ring.capacity - 1)].copy())


class Life(LiveRoles):
    """One engine from its start to its death."""

    STEP_NS = STEP
    run: Recorded

    def __init__(
        self, place: Path, told: Config, hand: HandClocks, rules: tuple[Rule, ...], workers: int
    ) -> None:
        read, write = os.pipe()
        self.told, self.hand = told, hand
        sizes = dataclasses.replace(sizes_of(told), workers=workers)
        self.tables = allocate(PrivateArena(), sizes, columns())
        try:
            self.stream = prepare(
                told, self.tables, place, compiled(rules), Log("test", fd=write), hand.clocks
            )
        finally:
            os.close(write)
            with os.fdopen(read) as lines:
                self.said = [json.loads(line) for line in lines]
        self.place = place
        self.clock = EngineClock(self.tables.clock, hand.clocks)
        self.run = Recorded(self.tables, self.stream, place)
        self.bars = self.bars_role()
        self.stamps = Stamps(self.clock)
        provider = open_provider(
            told, self.stream.start_ns, self.stream.end_ns, session=self.tables.session
        )
        self.feed = FeedStage(
            self.tables.ticks.rings[0], self.tables.feed_names[0], provider, 1.0,
            self.stamps.now_ns,
        )  # fmt: skip
        self.feed.recover()

    @property
    def genesis(self) -> Genesis:
        """What the stream began with."""
        return self.run.genesis

    @property
    def directory(self) -> Path:
        return self.run.directory

    def told_of(self, event: str) -> list[dict[str, Any]]:
        """What the start said about something."""
        return [line for line in self.said if line["event"] == event]

    def live(self, minutes: float) -> "Life":
        """Go on for so long; the recorder catches up at the end."""
        for _ in range(round(minutes * MINUTE / STEP)):
            self.turn()
        self.run.record()
        return self

    def to_the_roll(self) -> "Life":
        """Up to the last cycle, which the recorder has not seen."""
        while not self.bars.stage.ended:
            self.turn()
        return self

    def end(self) -> "Life":
        """The recorder does what it does at the end of a stream."""
        self.to_the_roll().run.record()
        assert read_word(self.tables.flow, FLOW_ENDED * WORD_STRIDE) == 1
        return self

    def unrecord(self) -> None:
        """The recorder gives the tape up, as its role does."""
        self.run.recorder.give_up("the disk is full")
        forget(self.place)


class Machine:
    """A data directory, its clocks, and the engines that live on it."""

    def __init__(self, place: Path, told: Config | None = None) -> None:
        self.place = place
        self.told = live_config() if told is None else told
        self.hand = HandClocks(WALL)
        for path in calendar_dir().glob("calendar_*.json"):
            (place / path.name).write_bytes(path.read_bytes())

    def start(
        self,
        told: Config | None = None,
        *,
        rules: tuple[Rule, ...] = FIRST_RULES,
        workers: int = 1,
    ) -> Life:
        """Another engine."""
        return Life(self.place, self.told if told is None else told, self.hand, rules, workers)
