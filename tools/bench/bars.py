"""Ring to cell on one core for 10,000 symbols, and trades to minute bars beside polars."""

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.bars.stage import BarsStage, empty_rows, new_head
from engine.domain import records
from engine.domain.sizes import Sizes
from engine.domain.tables import Columns, allocate
from shm.arena import PrivateArena
from shm.fences import write_word

SYMBOLS = 10_000
BATCH_TICKS = 16_384         # of one cycle of 100 ms: a very busy tape
CYCLES = 120
TRADE_SHARE = 0.25           # the rest are quotes
TRADES = 1 << 20
TRADE_CYCLES = 16            # four a minute, 65,536 trades each: catching up at full speed
SPAN_NS = 4 * records.NS_PER_MINUTE // TRADE_CYCLES  # of tape time in one of them
ROUNDS = 4
PEER_ROUNDS = 4             # in one process
TARGET_M_PER_S = 25.0
INTERVAL_NS = 100_000_000
START_NS = 28_333_350 * records.NS_PER_MINUTE
PEER = "polars group_by to 1-minute bars, 1 thread"


def _engine(symbols: int) -> BarsStage:
    """A stage after genesis with every symbol admitted, in the regular session."""
    tables = allocate(PrivateArena(), Sizes(symbols), Columns(1, 1, 1, 1))
    hour_ns = 60 * records.NS_PER_MINUTE
    bounds = (START_NS - hour_ns, START_NS, START_NS + 6 * hour_ns, START_NS + 8 * hour_ns)
    tables.session[0] = (20231114, *bounds, 0, INTERVAL_NS, 0)
    for number in range(symbols):
        tables.names.set(number, f"S{number}")
        tables.feed_names[0].set(number, f"S{number}")
    stage = BarsStage(tables)
    for shared in (tables.cell.events, *vars(tables.history).values()):
        shared[...] = shared.copy()  # pages that are there, as in a running engine
    stage.init_genesis(empty_rows(tables.sizes.rows), new_head(tables, START_NS))
    return stage


def _ticks(count: int, share: float, span_ns: int, symbols: int) -> np.ndarray:
    """TICK[count] over `span_ns`, trades in round lots at cent prices, busy symbols first."""
    rng = np.random.default_rng(3)
    ticks = np.zeros(count, records.TICK)
    trade = rng.random(count) < share
    weights = np.arange(1, symbols + 1) ** -0.8
    busy = rng.choice(symbols, count, p=weights / weights.sum())
    ticks["sym"] = rng.permutation(symbols)[busy]
    ticks["kind"] = np.where(trade, records.TICK_TRADE, records.TICK_QUOTE)
    ticks["cond"] = np.where(trade, 7, 0)
    ticks["event_ns"] = np.sort(rng.integers(1, span_ns, count)) + START_NS
    ticks["recv_ns"] = ticks["event_ns"]
    ticks["id"] = rng.integers(1, 1 << 60, count)
    ticks["a"] = np.round(20 + rng.normal(0, 1, count), 2)
    ticks["b"] = np.where(trade, 100.0 * rng.integers(1, 9, count), ticks["a"] + 0.01)
    ticks["n1"] = ticks["n2"] = 100
    return ticks


def _cycle_ns(stage: BarsStage, ticks: np.ndarray, t_ns: int) -> int:
    """Time of deciding and executing one cycle over `ticks`, publishing them not counted."""
    tables, ring = stage.tables, stage.tables.ticks.rings[0]
    if ring.publish(ticks) != len(ticks):
        raise ArithmeticError("the batch does not fit the ring")
    ring.set_mark(t_ns)
    start = time.process_time_ns()
    decision = stage.decide_live(t_ns, 0)
    if decision is None or not stage.execute(decision):
        raise ArithmeticError(f"cycle {stage.n + 1} was not executed")
    spent = time.process_time_ns() - start
    write_word(tables.indicators.words, 0, 2 * stage.n)
    write_word(tables.scan.words, 0, stage.n)
    for gated in (ring, tables.decisions, tables.bar_ring):
        gated.set_gate("recorder", gated.tail())
    return spent


def _ring_to_cell(symbols: int) -> float:
    """Million ticks a second of the best cycle, nothing but open minutes in it."""
    stage = _engine(symbols)
    batch = _ticks(BATCH_TICKS, TRADE_SHARE, INTERVAL_NS, symbols)
    best = 0
    for cycle in range(CYCLES):
        ticks = batch.copy()
        ticks["event_ns"] += cycle * INTERVAL_NS
        ticks["recv_ns"] = ticks["event_ns"]
        spent = _cycle_ns(stage, ticks, START_NS + (cycle + 1) * INTERVAL_NS)
        best = min(best or spent, spent)
    if int(stage.head["ticks"]) != CYCLES * BATCH_TICKS:
        raise ArithmeticError("not every tick was applied")
    return BATCH_TICKS / best * 1e3


def _trades(symbols: int) -> np.ndarray:
    return _ticks(TRADES, 1.0, TRADE_CYCLES * SPAN_NS, symbols)


def _to_bars(stage: BarsStage, trades: np.ndarray) -> tuple[float, int, float]:
    """Million trades a second until every bar is final; how many bars, their volume.

    The trades are moved to the minutes that come next for this stage.
    """
    trades, t_ns = trades.copy(), int(stage.head["t_ns"])
    trades["event_ns"] += t_ns - START_NS
    trades["recv_ns"] = trades["event_ns"]
    spent, done, bars, volume = 0, 0, 0, 0.0
    for _ in range(TRADE_CYCLES):
        t_ns += SPAN_NS
        end = int(np.searchsorted(trades["recv_ns"], t_ns, "right"))
        spent += _cycle_ns(stage, trades[done:end], t_ns)
        done = end
        slot, count = stage.n % 4, int(stage.head["event_count"])
        bars += count
        volume += float(stage.tables.cell.events[slot, :count]["bar"]["volume"].sum())
    return TRADES / spent * 1e3, bars, volume


def _polars(symbols: int) -> tuple[float, int, float]:
    """The same from a process with one polars thread."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "trades.npy"
        np.save(path, _trades(symbols)[["sym", "event_ns", "a", "b"]])
        out = subprocess.run(
            [sys.executable, "-m", "tools.bench.bars", str(path)],
            env={**os.environ, "POLARS_MAX_THREADS": "1"},
            cwd=Path(__file__).parents[2],
            check=True,
            capture_output=True,
            text=True,
        )
    seconds, bars, volume = json.loads(out.stdout)
    return TRADES / seconds / 1e6, int(bars), float(volume)


def _peer_main(path: Path) -> list[float]:
    """What the peer process does: best seconds, bars, volume."""
    trades = np.load(path)
    frame = pl.DataFrame(
        {name: np.ascontiguousarray(trades[name]) for name in ("sym", "event_ns", "a", "b")}
    )
    best, bars = float("inf"), frame
    for _ in range(PEER_ROUNDS):
        start = time.process_time()
        bars = frame.group_by("sym", pl.col("event_ns") // records.NS_PER_MINUTE).agg(
            open=pl.col("a").first(),
            high=pl.col("a").max(),
            low=pl.col("a").min(),
            close=pl.col("a").last(),
            volume=pl.col("b").sum(),
            pv=(pl.col("a") * pl.col("b")).sum(),
            trades=pl.len(),
        )
        best = min(best, time.process_time() - start)
    return [best, bars.height, float(bars["volume"].sum())]


def run(symbols: int = SYMBOLS) -> list[dict[str, Any]]:
    """Measure both, alternating, the best of ROUNDS; ArithmeticError if polars finds other bars."""
    rate = _ring_to_cell(symbols)
    stage, tape, trades, peer = _engine(symbols), _trades(symbols), 0.0, 0.0
    for _ in range(ROUNDS):
        ours, theirs = _to_bars(stage, tape), _polars(symbols)
        if ours[1:] != theirs[1:]:
            raise ArithmeticError(f"bars and volume are {ours[1:]}, of polars {theirs[1:]}")
        trades, peer = max(trades, ours[0]), max(peer, theirs[0])
    ratio = trades / peer
    return [
        {
            "name": "bars_ring_to_cell", "value": round(rate, 1), "unit": "M ticks/s",
            "target": TARGET_M_PER_S, "met": rate >= TARGET_M_PER_S,
            "peer": None, "peer_value": None, "ratio": None,
        },
        {
            "name": "bars_trades_to_minutes", "value": round(trades, 1), "unit": "M trades/s",
            "target": None, "met": ratio >= 1.0,
            "peer": f"{PEER}, polars {importlib.metadata.version('polars')}",
            "peer_value": round(peer, 1), "ratio": round(ratio, 2),
        },
    ]  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(_peer_main(Path(sys.argv[1]))))
