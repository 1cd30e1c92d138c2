"""Compile every kernel before the first fork: groups of them in short-lived children, all at once,
then the whole tiny market in this process, which only loads what they left in the cache."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.bars.overload import Stride
from engine.bars.stage import BarsStage
from engine.domain import records
from engine.domain.frame_table import OP_NEW
from engine.domain.sizes import Sizes
from engine.domain.tables import EngineTables, allocate
from engine.feeds import warm as feeds
from engine.indicators.stage import IndicatorsStage
from engine.replay.builder import columns
from engine.replay.genesis import Genesis, GenesisHeader, empty_arrays, restore
from engine.replay.harness import Harness
from engine.rules.compiler import compile_rules
from engine.rules.pack import pack
from engine.rules.validate import read_rule
from engine.scan.stage import ScanStage
from ipc import errand, process
from ipc.telemetry import HISTOGRAMS, SUPERVISOR, Telemetry, create_board
from shm.arena import PrivateArena
from shm.fences import write_word

COMPLETE = "complete"  # in the kernels' directory: every group was compiled
TIMEOUT_S = 1800.0

_START_NS = 1_381_238_880 * records.NS_PER_SECOND  # 08 Oct 2013 13:28 UTC
_INTERVAL_NS = 1_000_000_000
_TICKERS = ["AAA", "BBB"]
_CYCLES = 130


def _genesis(tables: EngineTables) -> Genesis:
    minute = records.NS_PER_MINUTE
    session = (
        20131008, _START_NS - 300 * minute, _START_NS + minute, _START_NS + 391 * minute,
        _START_NS + 631 * minute, _START_NS + 1102 * minute, _INTERVAL_NS, 500_000_000,
    )  # fmt: skip
    header = GenesisHeader(
        stream_id="warm",
        provider="warm",
        simulated=True,
        date=20131008,
        start_ns=_START_NS,
        end_ns=None,
        interval_ns=_INTERVAL_NS,
        feeds=1,
        tickers=_TICKERS,
        session=list(session),
        rules_version=1,
        config={},
        conditions_sha256="",
        fingerprint="",
    )
    reference = records.unknown_reference(len(_TICKERS))
    return Genesis(header, _rules(), empty_arrays(tables, _TICKERS, reference))


def _rules() -> bytes:
    """Rules that fire, and between them ask every kernel."""
    texts = (
        "last > 0",
        "rank(last) < 9 or since(last > 0) < 9 or crosses(last, bid)",
        "ema(34) > 0 or sma(9, 5m, live) > 0 or chg_7m_pct > 0 or chg_20m_pct > 0",
        "vol_7m > 0 or vol_20m > 0 or range_20m > 0 or rv(30m) > 0 or sum(volume, 30m) > 0",
    )
    rules = [
        read_rule({"id": f"r{number}", "name": "warm", "where": text})
        for number, text in enumerate(texts)
    ]
    return pack(compile_rules(rules))


def _ticks() -> np.ndarray:
    """Trades and quotes a second apart, a correction and a cancel among them: every branch of the
    apply kernel."""
    ticks = np.zeros(4 * _CYCLES, records.TICK)
    place = np.arange(len(ticks))
    kinds = np.array([records.TICK_TRADE, records.TICK_QUOTE, records.TICK_TRADE, 0], np.uint8)
    ticks["kind"] = kinds[place % 4]
    rare = [records.TICK_CORRECTION, records.TICK_CANCEL, records.TICK_STATUS, records.TICK_LULD]
    ticks["kind"][3::4] = np.array(rare, np.uint8)[np.arange(_CYCLES) % 4]
    ticks["cond"] = records.COND_LAST | records.COND_HILO | records.COND_VOLUME
    ticks["sym"] = place % len(_TICKERS)
    ticks["event_ns"] = _START_NS + (place // 4) * _INTERVAL_NS + 1
    ticks["recv_ns"] = ticks["event_ns"]
    ticks["src_pos"] = ticks["id"] = place
    ticks["a"] = 10 + place % 7
    ticks["b"] = 100
    return ticks


def _tables() -> EngineTables:
    sizes = Sizes(capacity=64, ring_ticks=1 << 12, pool_trades=1 << 10, max_cooling=1 << 12)
    return allocate(PrivateArena(), sizes, columns())


def _cell(tables: EngineTables, n: int) -> None:
    """The cell of cycle n as a stage behind bars finds it: one bar closed."""
    slot, minute = n % len(tables.cell.heads), _START_NS // records.NS_PER_MINUTE
    tables.session[0] = tuple(_genesis(tables).header.session)
    head, event = tables.cell.heads[slot], tables.cell.events[slot][0]
    head["n"], head["t_ns"], head["closed_minute"] = n, _START_NS + n * _INTERVAL_NS, minute
    head["symbol_count"][0], head["event_count"], head["rules_version"] = len(_TICKERS), 1, 1
    event["kind"], event["bar"]["minute"], event["bar"]["close"] = records.BAR_FINAL, minute, 10.0


# -- groups, each in a process of its own ----------------------------------------------------------
def _bars() -> None:
    tables = _tables()
    restore(tables, _genesis(tables))
    stage, ring = BarsStage(tables), tables.ticks.rings[0]
    stage.recover()
    ring.publish(_ticks())
    ring.set_mark(_START_NS + _CYCLES * _INTERVAL_NS)
    while (decision := stage.decide_replay()) is not None and stage.execute(decision):
        write_word(tables.indicators.words, 0, 2 * stage.n)
        write_word(tables.scan.words, 0, stage.n)


def _indicators() -> None:
    tables = _tables()
    _cell(tables, 1)
    tables.rules.publish(1, _rules())
    stage = IndicatorsStage(tables)
    stage.recover()
    stage.step(1)


def _scan() -> None:
    tables = _tables()
    _cell(tables, 1)
    tables.rules.publish(1, _rules())
    write_word(tables.indicators.words, 0, 2)
    tables.frames.ops[0], tables.frames.op_words[0] = OP_NEW, 1
    stage = ScanStage(tables, 0)
    stage.recover()
    stage.run(1)
    _cell(tables, 2)
    write_word(tables.indicators.words, 0, 4)
    tables.cell.heads[2]["stride"] = 2
    stage.run(2)


def _shared() -> None:
    """What roles do now and then only: readers that do not gate, a gate given up, telemetry."""
    tables = _tables()
    for ring in (tables.decisions, tables.ticks.rings[0]):
        ring.publish(np.zeros(2, ring.data.dtype))
        ring.copy(0, 1)
        ring.drop_gate("recorder")
        ring.rejoin("recorder")
    tables.bar_ring.free()
    tables.cell.cells.valid(0)
    board = create_board(PrivateArena(), ["warm"])
    telemetry = Telemetry(board, SUPERVISOR)
    telemetry.observe(HISTOGRAMS[0], 1)
    telemetry.observe_since(HISTOGRAMS[0], np.zeros(1, np.int64), 1)


GROUPS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("ticks and bars", _bars),  # the longest first: the last one runs alone
    ("metrics and rules", _scan),
    ("feeds", feeds.warm),
    ("indicators", _indicators),
    ("shared memory", _shared),
)


def compile_groups(report: Callable[[str], None], cache: Path) -> None:
    """Bring every kernel to the disk cache, as many groups at a time as there are processors."""
    if (cache / COMPLETE).exists():
        return
    done = 0

    def told(name: str) -> None:
        nonlocal done
        done += 1
        report(f"compiled {name}: {done} of {len(GROUPS)} groups of kernels")

    report(f"compiling the kernels, once for this version and machine: 0 of {len(GROUPS)} groups")
    parallel = max(1, len(os.sched_getaffinity(0)))
    errand.run_all(GROUPS, parallel, TIMEOUT_S, told)
    (cache / COMPLETE).touch()


def warm(report: Callable[[str], None], *, simulator: bool = True) -> None:
    """Load every kernel that a role can need; on an empty cache compile them first.

    simulator=False: the simulator's are not loaded. A role that called a kernel not met here would
    compile it after the fork and be taken for dead.
    """
    cache = os.environ.get("NUMBA_CACHE_DIR")
    if cache:
        compile_groups(report, Path(cache))
    _shared()
    feeds.warm(simulator)
    tables = _tables()
    restore(tables, _genesis(tables))
    harness = Harness(tables, "warm")
    harness.run_ticks([_ticks()], _START_NS + _CYCLES * _INTERVAL_NS)
    harness.bars.tables.ticks.rings[0].set_mark(_START_NS + (_CYCLES + 1) * _INTERVAL_NS)
    overloaded = harness.bars.decide_replay(stride=Stride(2))
    assert overloaded is not None
    harness.cycle(overloaded)
    del tables, harness
    gc.collect()  # what is left when the roles are forked stays in all of them
    process.trim_heap()
    process.drop_code("libllvmlite")  # 30 MB that nobody runs while nothing is compiled
