"""Whole scan cycles of 10,000 symbols and 1,000 rules, beside numpy masks and polars."""

import dataclasses
import json
import operator
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.domain import records, tables
from engine.domain.sizes import Sizes
from engine.indicators import registry as indicators
from engine.metrics.registry import COLUMNS, METRICS, resolve
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.model import Condition, Op, Rule
from engine.rules.pack import pack
from engine.rules.program_nb import evaluate_rules_nb
from engine.scan.fire_nb import COOLED, FIRED
from engine.scan.stage import ScanStage
from shm.arena import PrivateArena

SYMBOLS, RULES, LEAVES = 10_000, 1_000, 3
CYCLE_MS, SMALL_MS, NUMPY_RATIO, POLARS_RATIO = 12.0, 0.1, 2.0, 3.0
MANY_RULES, FIRE_MS = 10_000, 5.0
SELECTIVE, HALF_COOL_S, LONG_COOL_S = (0.05, 0.14, 0.143), 0.15, 60.0
ROUNDS, FEW_ROUNDS = 60, 14
STEP_NS = 100_000_000
START_NS = 1_381_217_400_000_000_000
OPERATORS: dict[Op, Callable[[Any, Any], Any]] = {">": operator.gt, "<": operator.lt}


class _Engine:
    """One worker on private memory; cells do not change, time does."""

    def __init__(self, symbols: int, rules: int, share: float) -> None:
        self.rng = np.random.default_rng(11)
        self.symbols = symbols
        sizes = Sizes(
            symbols, ring_ticks=1 << 10, pool_trades=1 << 10, max_rules=max(rules, 64),
            max_cooling=max(1 << 18, int(1.1 * share * symbols * rules)), rules_bytes=1 << 24,
        )  # fmt: skip
        columns = tables.Columns(indicators.SLOTS, indicators.VALUES, indicators.RING, COLUMNS)
        self.tables = tables.allocate(PrivateArena(), sizes, columns)
        self.tables.session["start_ns"] = START_NS - 3600 * records.NS_PER_SECOND
        self.tables.session["open_ns"] = START_NS - 1800 * records.NS_PER_SECOND
        self.tables.session["close_ns"] = self.tables.session["end_ns"] = START_NS * 2
        self._fill()
        self.n = self.version = 0
        self.stage = ScanStage(self.tables, 0)
        self.stage.recover()

    def _fill(self) -> None:
        """Numbers without meaning but spread like those of a market: every metric is known."""
        rng, rows = self.rng, self.tables.cell.rows
        count = rows.shape[1]  # also those that no symbol has: they never fire
        last = rng.uniform(5, 500, (count,))
        near = {"last": last, "bid": last - 0.01, "ask": last + rng.uniform(0.01, 0.05, count)}
        spread = {name: rng.uniform(1, 9_000, count) for name in ("bid_size", "ask_size")}
        for name, values in (near | spread).items():
            rows[name][:] = values
        for session in range(3):
            rows["high"][:, :, session] = last * rng.uniform(1, 1.05, count)
            rows["low"][:, :, session] = last * rng.uniform(0.95, 1, count)
            volume = rng.integers(1, 10**7, count)
            rows["volume"][:, :, session] = volume
            rows["pv"][:, :, session] = volume * last * rng.uniform(0.98, 1.02, count)
            rows["trades"][:, :, session] = rng.integers(1, 10**5, count)
        rows["open_rth"][:] = last * rng.uniform(0.95, 1.05, count)
        rows["tick_event_ns"], rows["last_event_ns"] = START_NS, START_NS
        self.tables.reference["prev_close"] = last * rng.uniform(0.9, 1.1, count)
        self.tables.reference["atr14_day"] = last * rng.uniform(0.01, 0.1, count)
        values = self.tables.indicators.values
        values[:] = last * rng.uniform(0.95, 1.05, values.shape)
        values[:, : values.shape[1] // 2] = rng.uniform(0, 100, (values.shape[1] // 2, count))
        self._fill_histories(last)
        for number in range(self.symbols):
            self.tables.names.raw[number] = f"S{number * 7919 % self.symbols:05}".encode()

    def _fill_histories(self, last: np.ndarray) -> None:
        history, second = self.tables.history, START_NS // records.NS_PER_SECOND
        count = len(history.second_stamp)
        stamps = second - count + 60 + np.arange(count)
        history.second_stamp[stamps % count] = stamps
        history.second_price[:] = last * self.rng.uniform(0.98, 1.02, last.shape)
        history.second_volume[:] = self.rng.integers(0, 10**6, last.shape)

    def use(self, rules: list[Rule]) -> CompiledRules:
        """Decide on these rules from the next cycle on."""
        self.version += 1
        compiled = compile_rules(rules)
        self.tables.rules.set_floor(self.version - 1)
        self.tables.rules.publish(self.version, pack(compiled))
        return compiled

    def prepare(self) -> int:
        """Publish the next cell and forget what the lane holds."""
        self.n += 1
        head = self.tables.cell.heads[self.n % tables.CELL_SLOTS]
        head["n"], head["t_ns"] = self.n, START_NS + self.n * STEP_NS
        head["rules_version"], head["symbol_count"][0] = self.version, self.symbols
        self.tables.indicators.words[0] = self.n * 2
        self.stage.lane.set_head(self.stage.lane.tail())
        return self.n

    def cycle_ms(self) -> float:
        """One whole cycle: metrics, rules, cooldowns, commit, apply."""
        n = self.prepare()
        return _ms(lambda: self.stage.run(n))

    def rules_ms(self) -> float:
        """What the evaluation of all rules takes, of the cycle that was run last."""
        evaluator, truth = self.stage.evaluator, self.tables.scan.truth[self.n & 1]
        return _ms(lambda: evaluate_rules_nb(
            evaluator.program.code, evaluator.past, evaluator.cycle, evaluator.room, truth,
            truth.shape[1],
        ))  # fmt: skip

    def finish_ms(self) -> float:
        """One whole cycle, of which what follows the evaluation of the rules is measured."""
        n = self.prepare()
        self.stage.judge(n)
        return _ms(lambda: self.stage.finish(n))

    def columns(self) -> np.ndarray:
        """float64[metrics, symbols] of the newest cycle."""
        whole: np.ndarray = self.tables.scan.columns[self.n & 1][:, : self.symbols]
        return whole


def _ms(work: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / 1e6


def _steady_columns(engine: _Engine) -> list[int]:
    """Columns that are known, spread and do not move while only the time moves."""
    seen = []
    for _ in range(2):
        engine.stage.metrics.compute(engine.prepare())
        seen.append(engine.columns().copy())
    engine.n = 0
    return [
        column
        for column in range(COLUMNS)
        if (seen[0][column] == seen[1][column]).all() and len(np.unique(seen[0][column])) > 1000
    ]


def make_rules(
    columns: np.ndarray, usable: list[int], count: int, shares: tuple[float, ...], cooldown: float
) -> list[Rule]:
    """Rules whose leaf i is true for shares[i] of the symbols that its predecessors left."""
    rng = np.random.default_rng(5)
    rules = []
    for number in range(count):
        left = np.arange(columns.shape[1])
        conditions = []
        for column, share in zip(rng.permutation(usable)[: len(shares)], shares, strict=True):
            keep = max(1, round(len(left) * share))
            op: Op = ">" if rng.random() < 0.5 else "<"
            order = np.sort(columns[column, left])
            bound = order[-keep - 1] if op == ">" else order[min(keep, len(order) - 1)]
            left = left[OPERATORS[op](columns[column, left], bound)]
            conditions.append(Condition(METRICS[column].name, op, float(bound)))
        rules.append(
            Rule(
                id=f"r{number:05}", name="bench", conditions=tuple(conditions),
                cooldown_sec=cooldown,
            )
        )  # fmt: skip
    return rules


@dataclasses.dataclass
class _Figures:
    """Best times in ms of one load and what its last cycle did."""

    cycle: float
    metrics: float
    rules: float
    numpy_masks: float
    numpy_scan: float
    counts: np.ndarray
    columns: np.ndarray
    compiled: CompiledRules


def _numpy_leaves(rules: CompiledRules) -> list[list[tuple[Callable[..., Any], int, float]]]:
    return [
        [(OPERATORS[c.op], resolve(c.metric).column, c.value) for c in rule.conditions]
        for rule in rules.rules
    ]


class _NumpyScan:
    """The same with arrays: one mask a comparison, a dense table of last firings."""

    def __init__(self, columns: np.ndarray, rules: CompiledRules) -> None:
        self.columns = [np.ascontiguousarray(column) for column in columns]
        self.leaves = _numpy_leaves(rules)
        self.cooldown_ns = rules.cooldown_ms * 1_000_000
        self.last_ns = np.zeros((len(rules), columns.shape[1]), np.int64)
        self.t_ns = START_NS
        self.fired = 0

    def _mask(self, number: int) -> np.ndarray:
        columns = self.columns
        compare, column, value = self.leaves[number][0]
        mask: np.ndarray = compare(columns[column], value)
        for compare, column, value in self.leaves[number][1:]:
            mask &= compare(columns[column], value)
        return mask

    def masks(self) -> None:
        """Evaluation only: one boolean array a rule."""
        for number in range(len(self.leaves)):
            self._mask(number)

    def scan(self) -> None:
        """Evaluation, cooldown, stamps: no order, no alert records."""
        self.t_ns += STEP_NS
        self.fired = 0
        for number in range(len(self.leaves)):
            true = np.flatnonzero(self._mask(number))
            last_ns = self.last_ns[number]
            fired = true[self.t_ns - last_ns[true] >= self.cooldown_ns[number]]
            last_ns[fired] = self.t_ns
            self.fired += len(fired)


def _start(
    symbols: int, rules: int, shares: tuple[float, ...], cooldown: float
) -> tuple[_Engine, CompiledRules]:
    """An engine some cycles into its rules. Half of them began one cycle later: with a cooldown of
    one and a half cycles, half of the true pairs cool at any time."""
    engine = _Engine(symbols, rules, float(np.prod(shares)))
    usable = _steady_columns(engine)
    made = make_rules(engine.columns(), usable, rules, shares, cooldown)
    engine.use(made[::2])
    engine.cycle_ms()
    compiled = engine.use(made)
    for _ in range(4):
        engine.cycle_ms()
    return engine, compiled


def _measure(
    symbols: int, rules: int, shares: tuple[float, ...], cooldown: float, rounds: int
) -> _Figures:
    engine, compiled = _start(symbols, rules, shares, cooldown)
    peer = _NumpyScan(engine.columns(), compiled)
    best = dict.fromkeys(("cycle", "metrics", "rules", "numpy_masks", "numpy_scan"), float("inf"))

    def note(name: str, ms: float) -> None:
        best[name] = min(best[name], ms)

    for number in range(rounds):
        note("cycle", engine.cycle_ms())
        if number % 2:
            note("metrics", _ms(lambda: engine.stage.metrics.compute(engine.n)))
        note("rules", engine.rules_ms())
        note("numpy_masks", _ms(peer.masks))
        note("numpy_scan", _ms(peer.scan))
    return _Figures(
        counts=engine.stage.counts.copy(), columns=engine.columns().copy(), compiled=compiled,
        **best,
    )  # fmt: skip


def _check(
    counts: np.ndarray, pairs: int, share: float, cooling: tuple[float, float]
) -> None:
    """The load is the one promised: this share of the pairs true, that share of those cooling."""
    cooled, fired = int(counts[COOLED]), int(counts[FIRED])
    if not 0.9 * share <= (cooled + fired) / pairs <= 1.1 * share:
        raise ArithmeticError(f"{cooled + fired} of {pairs} pairs are true, not {share:.1%}")
    if not cooling[0] <= cooled / (cooled + fired) <= cooling[1]:
        raise ArithmeticError(f"{cooled} pairs cool and {fired} fire, which is not as promised")


def _firing_ms() -> float:
    """Best time of what follows the evaluation of 10,000 rules: 50,000 pairs fire, as many cool."""
    engine, _ = _start(SYMBOLS, MANY_RULES, SELECTIVE, HALF_COOL_S)
    best = min(engine.finish_ms() for _ in range(ROUNDS))
    _check(engine.stage.counts, SYMBOLS * MANY_RULES, 0.001, (0.4, 0.6))
    return best


def _polars_ms(figures: _Figures) -> float:
    """Best time of polars in a process of its own: its threads are set before its import."""
    with tempfile.TemporaryDirectory() as directory:
        np.save(Path(directory) / "columns.npy", figures.columns)
        leaves = [
            [[column, condition.op, condition.value] for (_, column, _), condition in zip(
                per_rule, rule.conditions, strict=True)]
            for per_rule, rule in zip(
                _numpy_leaves(figures.compiled), figures.compiled.rules, strict=True)
        ]  # fmt: skip
        (Path(directory) / "rules.json").write_text(json.dumps(leaves))
        done = subprocess.run(
            [sys.executable, "-m", "tools.bench.scan", directory],
            env=os.environ | {"POLARS_MAX_THREADS": "1"},
            cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=True,
        )  # fmt: skip
    return float(done.stdout)


def polars_main(directory: Path) -> float:
    """Milliseconds of one select of all rules, NaN not true as with us; best of ROUNDS."""
    columns = np.load(directory / "columns.npy")
    leaves = json.loads((directory / "rules.json").read_text())
    # null is unknown in polars as NaN is here; its NaN would be greater than everything
    frame = pl.DataFrame({f"c{i}": pl.Series(column, nan_to_null=True) for i, column in
                          enumerate(columns)})  # fmt: skip
    rules = [
        pl.all_horizontal(
            OPERATORS[op](pl.col(f"c{column}"), value) for column, op, value in per_rule
        ).alias(f"r{number}")
        for number, per_rule in enumerate(leaves)
    ]
    return min(_ms(lambda: frame.select(rules)) for _ in range(ROUNDS))


def _row(
    name: str, value: float, target: float | None, peer: str, peer_value: float, least: float
) -> dict[str, Any]:
    ratio = peer_value / value if peer else None
    met = (target is None or value <= target) and (ratio is None or ratio >= least)
    return {
        "name": name,
        "value": round(value, 3),
        "unit": "ms",
        "target": target,
        "met": met if target is not None or least else None,
        "peer": peer or None,
        "peer_value": round(peer_value, 3) if peer else None,
        "ratio": round(ratio, 2) if ratio else None,
    }


def run() -> list[dict[str, Any]]:
    """Measure on one core, best of several; raises ArithmeticError if a load is not as promised."""
    selective = _measure(SYMBOLS, RULES, SELECTIVE, HALF_COOL_S, ROUNDS)
    _check(selective.counts, SYMBOLS * RULES, 0.001, (0.4, 0.6))
    polars_ms = _polars_ms(selective)
    many = _measure(SYMBOLS, RULES, (0.4642,) * LEAVES, LONG_COOL_S, FEW_ROUNDS)
    _check(many.counts, SYMBOLS * RULES, 0.1, (1.0, 1.0))
    most = _measure(SYMBOLS, RULES, (0.8434,) * LEAVES, LONG_COOL_S, FEW_ROUNDS)
    _check(most.counts, SYMBOLS * RULES, 0.6, (1.0, 1.0))
    small = _measure(2_000, 10, SELECTIVE, LONG_COOL_S, ROUNDS)
    firing_ms = _firing_ms()
    size = f"{SYMBOLS}x{RULES}x{LEAVES}"
    ours, numpy = selective.cycle, f"numpy {np.__version__}"
    numpy_whole = selective.numpy_scan + selective.metrics
    polars = f"polars {pl.__version__} expressions, 1 thread, and our metrics"
    return [
        _row(f"scan_cycle_{size}", ours, CYCLE_MS,
             f"{numpy} masks, dense cooldown, our metrics", numpy_whole, NUMPY_RATIO),
        _row(f"scan_cycle_{size}_polars", ours, CYCLE_MS,
             polars, polars_ms + selective.metrics, POLARS_RATIO),
        _row(f"scan_rules_{size}", selective.rules, None, f"{numpy} masks",
             selective.numpy_masks, NUMPY_RATIO),
        _row(f"scan_cycle_{size}_10_pct_true", many.cycle, None,
             f"{numpy} masks, dense cooldown, our metrics", many.numpy_scan + many.metrics, 1.0),
        _row(f"scan_cycle_{size}_60_pct_true", most.cycle, None,
             f"{numpy} masks, dense cooldown, our metrics", most.numpy_scan + most.metrics, 1.0),
        _row(f"scan_rules_2000x10x{LEAVES}", small.rules, SMALL_MS, f"{numpy} masks",
             small.numpy_masks, 0),
        _row(f"scan_firing_{SYMBOLS}x{MANY_RULES}x{LEAVES}", firing_ms, FIRE_MS, "", 0, 0),
    ]  # fmt: skip


if __name__ == "__main__":
    print(polars_main(Path(sys.argv[1])))
