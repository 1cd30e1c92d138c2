"""A small simulated market, run by the harness over private tables with a real recorder beside."""

import dataclasses
import functools
import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from engine.alerts.merge import MergedCycle
from engine.config.schema import (
    Config,
    EngineSection,
    FeedSection,
    RulesSection,
    SimulatorSection,
)
from engine.config.sizes import sizes_of
from engine.domain import records
from engine.domain.sizes import Sizes
from engine.domain.tables import FLOW_ALERTED_N, EngineTables, allocate
from engine.feeds.registry import open_provider
from engine.feeds.stage import FeedStage
from engine.replay.builder import Builder, columns
from engine.replay.genesis import Genesis, encode, restore, tape_header
from engine.replay.harness import Harness
from engine.replay.open_stream import GENESIS_NAME, TAPE_NAME
from engine.replay.recorder import RecorderStage
from engine.replay.tape import CYCLES, TapeReader, TapeWriter, create_tape
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.model import Condition, Rule
from engine.rules.pack import pack
from engine.storage.ports import BarRow
from engine.storage.stub import MemoryBarStore
from shm.arena import PrivateArena
from shm.fences import write_word
from shm.words import WORD_STRIDE

START = "2026-01-05T09:29:30-05:00"
STREAM = "stream"
FAR = 1 << 62
BLOCK = 7  # cycles
FIRST_RULES = (
    Rule(id="move", name="Moves", conditions=(Condition("chg_10s_pct", ">", 0.05),),
         cooldown_sec=5),
    Rule(id="fall", name="Falls", conditions=(Condition("chg_1m_pct", "<", -0.1),
         Condition("volume", ">", 1000.0)), trigger="edge", cooldown_sec=3),
    Rule(id="wide", name="Wide", conditions=(Condition("spread_bps", ">", 30.0),), cooldown_sec=30),
    Rule(id="any", name="Any", conditions=(Condition("vol_1m", ">", 500.0),), cooldown_sec=20),
)  # fmt: skip
SECOND_RULES = (
    FIRST_RULES[0],
    Rule(id="any", name="Any", conditions=(Condition("vol_1m", ">", 100.0),), cooldown_sec=7),
    Rule(id="new", name="New", conditions=(Condition("last", ">", 1.0),), cooldown_sec=11),
)


@functools.cache
def calendar_dir() -> Path:
    """Where the exported calendar of this test run lies: exported once, it takes a second."""
    return Path(tempfile.mkdtemp(prefix="tapescan-tests-"))


def compiled(rules: tuple[Rule, ...] = FIRST_RULES) -> CompiledRules:
    return compile_rules(rules)


def config(
    symbols: int = 24, seed: int = 1, interval_ms: int = 1000, minutes: int = 3
) -> Config:
    """A simulator in tape time: late ticks, corrections, halts and gaps in it."""
    return Config(
        engine=EngineSection(capacity=64, interval_ms=interval_ms, ring_ticks=1 << 14),
        feed=FeedSection(provider="simulator", speed=0.0),
        simulator=SimulatorSection(
            symbols=symbols, seed=seed, ticks_per_s=60, start=START, minutes=minutes
        ),
        rules=RulesSection(max_rules=64, max_alerts_per_cycle=32),
    )


def begin(told: Config) -> Genesis:
    """The genesis of a stream of this configuration."""
    return Builder(told, STREAM, calendar_dir(), compiled()).build()


def tables_of(told: Config, workers: int = 1, feeds: int = 1) -> EngineTables:
    """Empty tables of the configuration's sizes, but a small trade pool."""
    sizes = dataclasses.replace(sizes_of(told), workers=workers, feeds=feeds, pool_trades=1 << 12)
    return allocate(PrivateArena(), sizes, columns())


def small(sizes: Sizes) -> Sizes:
    return dataclasses.replace(sizes, pool_trades=1 << 12)


class Run(Harness):
    """The stages in one process, recorded by a real recorder stage: a live run without clocks."""

    def __init__(self, tables: EngineTables, genesis: Genesis, tape: Path) -> None:
        self.alerts: list[bytes] = []
        self.bars_stored = MemoryBarStore()
        stream_id = genesis.header.stream_id
        super().__init__(tables, stream_id, self._keep)
        if not tape.exists():
            create_tape(tape, tape_header(genesis, "00"))
        self.writer = TapeWriter(tape, stream_id)
        self.recorder = RecorderStage(tables, self.writer, self.bars_stored, stream_id)
        self.recorder.recover()

    def _keep(self, cycle: MergedCycle) -> None:
        self.alerts += [alert.document for alert in cycle.alerts]

    def _drain(self, decision: np.void) -> None:
        """A block now and then, as a recorder does that is busy with the disk."""
        n = int(decision["n"])
        write_word(self.tables.flow, FLOW_ALERTED_N * WORD_STRIDE, n)
        if n % BLOCK == 0 or int(decision["flags"]) & records.DECISION_END:
            while self.recorder.step():
                pass


def feed_of(told: Config, tables: EngineTables, symbols: int | None = None) -> FeedStage:
    """The feed of the configuration, unpaced; `symbols`: more than genesis knows of."""
    if symbols is not None:
        simulator = msgspec.structs.replace(told.simulator, symbols=symbols)
        told = msgspec.structs.replace(told, simulator=simulator)
    start_ns = int(tables.cell.heads[0]["t_ns"]) if tables.cell.cells.published() == 0 else None
    start_ns = start_ns or GENESIS_T0
    end_ns = start_ns + told.simulator.minutes * records.NS_PER_MINUTE
    provider = open_provider(told, start_ns, end_ns, session=tables.session)
    return FeedStage(tables.ticks.rings[0], tables.feed_names[0], provider, 0.0, lambda: 0)


GENESIS_T0 = 1_767_623_370_000_000_000  # START in ns


def drive(
    run: Harness, feed: FeedStage, at: dict[int, Callable[[], None]] | None = None
) -> bool:
    """Feed and cycle to the end of the stream; `at`: what to do once a cycle is over. True when
    the stream ended in order."""
    due = sorted((at or {}).items())
    while True:
        moved = feed.step()
        while (decision := run.bars.decide_replay()) is not None:
            run.cycle(decision)
            while due and run.n >= due[0][0]:
                due.pop(0)[1]()
            if int(decision["flags"]) & records.DECISION_END:
                return True
        if not moved and feed.ended:
            return False


def recorded_with_genesis(
    told: Config, genesis: Genesis, place: Path, rules_at: int | None = None
) -> tuple[Path, Run]:
    """A whole stream as a start leaves it: its tape beside the genesis that it knows by hash."""
    content, tape = encode(genesis), place / TAPE_NAME
    (place / GENESIS_NAME).write_bytes(content)
    create_tape(tape, tape_header(genesis, hashlib.sha256(content).hexdigest()))
    return tape, recorded(told, genesis, tape, rules_at=rules_at)


def publish_rules(tables: EngineTables, version: int, rules: tuple[Rule, ...]) -> None:
    """What the front does on a reload."""
    tables.rules.set_floor(version - 1)
    tables.rules.publish(version, pack(compiled(rules)))


def recorded(
    told: Config, genesis: Genesis, tape: Path, workers: int = 1, symbols: int | None = None,
    rules_at: int | None = None,
) -> Run:
    """A whole stream, recorded."""
    tables = tables_of(told, workers)
    restore(tables, genesis)
    run = Run(tables, genesis, tape)
    at = {}
    if rules_at is not None:
        at[rules_at] = lambda: publish_rules(tables, 2, SECOND_RULES)
    assert drive(run, feed_of(told, tables, symbols), at)
    run.writer.close()
    return run


def repeated(told: Config, genesis: Genesis, tape: Path, workers: int) -> tuple[list[bytes], bool]:
    """Alerts of a backtest of the tape, and whether it holds the end of its stream."""
    tables = tables_of(told, workers)
    restore(tables, genesis)
    found: list[bytes] = []
    harness = Harness(
        tables, STREAM, lambda cycle: found.extend(alert.document for alert in cycle.alerts)
    )
    with TapeReader(tape) as reader:
        ended = harness.run_tape(reader.blocks())
    return found, ended


def bars_of(run: Run) -> list[BarRow]:
    """Every final bar that the recorder stored, in order."""
    tickers = sorted(ticker for _, ticker in run.tables.names.all())
    return [bar for ticker in tickers for bar in run.bars_stored.range(ticker, 0, FAR)]


def tape_content(tape: Path) -> tuple[bytes, bytes]:
    """All decisions and ticks of feed 0 of a tape, however they lie in blocks."""
    with TapeReader(tape) as reader:
        blocks = [block for block in reader.blocks() if block.kind == CYCLES]
    return (
        b"".join(block.decisions.tobytes() for block in blocks),
        b"".join(block.ticks[0].tobytes() for block in blocks),
    )
