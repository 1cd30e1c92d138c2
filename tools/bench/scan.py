"""Whole scan cycles of 10,000 symbols and 1,000 or 10,000 rules, beside numpy masks, polars and
duckdb."""

import dataclasses
import json
import operator
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from engine.metrics.registry import COLUMNS, METRICS, resolve
from engine.rules.compiler import CompiledRules
from engine.rules.model import Condition, Op, Rule
from engine.scan.fire_nb import COOLED, FIRED
from tools.bench.desk import START_NS, STEP_NS, Engine
from tools.bench.figures import elapsed_ms, figure

SYMBOLS, RULES, LEAVES = 10_000, 1_000, 3
CYCLE_MS, SMALL_MS = 12.0, 0.1
NUMPY_RATIO, POLARS_RATIO, DUCKDB_RATIO = 2.0, 3.0, 3.0
MANY_RULES, TEN_MS, FIRE_MS = 10_000, 80.0, 5.0
SELECTIVE, HALF_COOL_S, LONG_COOL_S = (0.05, 0.14, 0.143), 0.15, 60.0
ROUNDS, FEW_ROUNDS = 60, 14
OPERATORS: dict[Op, Callable[[Any, Any], Any]] = {">": operator.gt, "<": operator.lt}


def steady_columns(engine: Engine) -> list[int]:
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


def start(
    symbols: int, rules: int, shares: tuple[float, ...], cooldown: float
) -> tuple[Engine, CompiledRules]:
    """An engine some cycles into its rules. Half of them began one cycle later: with a cooldown of
    one and a half cycles, half of the true pairs cool at any time."""
    engine = Engine(symbols, rules, float(np.prod(shares)))
    usable = steady_columns(engine)
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
    engine, compiled = start(symbols, rules, shares, cooldown)
    peer = _NumpyScan(engine.columns(), compiled)
    best = dict.fromkeys(("cycle", "metrics", "rules", "numpy_masks", "numpy_scan"), float("inf"))

    def note(name: str, ms: float) -> None:
        best[name] = min(best[name], ms)

    for number in range(rounds):
        note("cycle", engine.cycle_ms())
        if number % 2:
            note("metrics", elapsed_ms(lambda: engine.stage.metrics.compute(engine.n)))
        note("rules", engine.rules_ms())
        note("numpy_masks", elapsed_ms(peer.masks))
        note("numpy_scan", elapsed_ms(peer.scan))
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
    engine, _ = start(SYMBOLS, MANY_RULES, SELECTIVE, HALF_COOL_S)
    best = min(engine.finish_ms() for _ in range(ROUNDS))
    _check(engine.stage.counts, SYMBOLS * MANY_RULES, 0.001, (0.4, 0.6))
    return best


def _peer_ms(name: str, figures: _Figures, rounds: int) -> float:
    """Best time of a peer in a process of its own: its threads are set before its import."""
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
            [sys.executable, "-m", "tools.bench.scan", name, directory, str(rounds)],
            env=os.environ | {"POLARS_MAX_THREADS": "1"},
            cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    return float(done.stdout)


def polars_main(columns: np.ndarray, leaves: list, rounds: int) -> float:
    """Milliseconds of one select of all rules, NaN not true as with us; best of `rounds`."""
    # null is unknown in polars as NaN is here; its NaN would be greater than everything
    frame = pl.DataFrame({f"c{i}": pl.Series(column, nan_to_null=True) for i, column in
                          enumerate(columns)})  # fmt: skip
    rules = [
        pl.all_horizontal(
            OPERATORS[op](pl.col(f"c{column}"), value) for column, op, value in per_rule
        ).alias(f"r{number}")
        for number, per_rule in enumerate(leaves)
    ]
    return min(elapsed_ms(lambda: frame.select(rules)) for _ in range(rounds))


def duckdb_main(columns: np.ndarray, leaves: list, rounds: int) -> float:
    """Milliseconds of prepared queries of up to 1,000 rules each, NaN as NULL; best of `rounds`."""
    base = duckdb.connect(config={"threads": 1})
    base.register("given", {f"c{i}": column for i, column in enumerate(columns)})
    known = ", ".join(f"CASE WHEN isnan(c{i}) THEN NULL ELSE c{i} END AS c{i}"
                      for i in range(len(columns)))  # fmt: skip
    base.execute(f"CREATE TABLE cell AS SELECT {known} FROM given")
    queries = []
    for first in range(0, len(leaves), 1_000):
        wanted = ", ".join(
            " AND ".join(f"c{column} {op} {value!r}" for column, op, value in per_rule)
            + f" AS r{number}"
            for number, per_rule in enumerate(leaves[first : first + 1_000])
        )
        base.execute(f"PREPARE q{first} AS SELECT {wanted} FROM cell")
        queries.append(f"EXECUTE q{first}")

    def scan() -> None:
        for query in queries:
            base.execute(query).fetchnumpy()

    return min(elapsed_ms(scan) for _ in range(rounds))


PEERS = {"polars": polars_main, "duckdb": duckdb_main}


def run() -> list[dict[str, Any]]:
    """Measure on one core, best of several; raises ArithmeticError if a load is not as promised."""
    selective = _measure(SYMBOLS, RULES, SELECTIVE, HALF_COOL_S, ROUNDS)
    _check(selective.counts, SYMBOLS * RULES, 0.001, (0.4, 0.6))
    polars_ms = _peer_ms("polars", selective, ROUNDS)
    duckdb_ms = _peer_ms("duckdb", selective, FEW_ROUNDS)
    many = _measure(SYMBOLS, RULES, (0.4642,) * LEAVES, LONG_COOL_S, FEW_ROUNDS)
    _check(many.counts, SYMBOLS * RULES, 0.1, (1.0, 1.0))
    most = _measure(SYMBOLS, RULES, (0.8434,) * LEAVES, LONG_COOL_S, FEW_ROUNDS)
    _check(most.counts, SYMBOLS * RULES, 0.6, (1.0, 1.0))
    ten = _measure(SYMBOLS, MANY_RULES, SELECTIVE, HALF_COOL_S, FEW_ROUNDS)
    _check(ten.counts, SYMBOLS * MANY_RULES, 0.001, (0.4, 0.6))
    small = _measure(2_000, 10, SELECTIVE, LONG_COOL_S, ROUNDS)
    firing_ms = _firing_ms()
    size = f"{SYMBOLS}x{RULES}x{LEAVES}"
    ours, numpy = selective.cycle, f"numpy {np.__version__}"
    numpy_whole = selective.numpy_scan + selective.metrics
    polars = f"polars {pl.__version__} expressions, 1 thread, and our metrics"
    duck = f"duckdb {duckdb.__version__}, 1 thread, prepared, and our metrics"
    ten_size = f"{SYMBOLS}x{MANY_RULES}x{LEAVES}"
    masks = f"{numpy} masks, dense cooldown, our metrics"
    ten_pct, sixty_pct = f"scan_cycle_{size}_10_pct_true", f"scan_cycle_{size}_60_pct_true"
    return [
        figure(f"scan_cycle_{size}", ours, CYCLE_MS, masks, numpy_whole, least=NUMPY_RATIO),
        figure(f"scan_cycle_{size}_polars", ours, CYCLE_MS, polars, polars_ms + selective.metrics,
               least=POLARS_RATIO),
        figure(f"scan_cycle_{size}_duckdb", ours, CYCLE_MS, duck, duckdb_ms + selective.metrics,
               least=DUCKDB_RATIO),
        figure(f"scan_cycle_{ten_size}", ten.cycle, TEN_MS, masks, ten.numpy_scan + ten.metrics,
               least=NUMPY_RATIO),
        figure(f"scan_cycle_{ten_size}_polars", ten.cycle, TEN_MS, polars,
               _peer_ms("polars", ten, FEW_ROUNDS) + ten.metrics, least=POLARS_RATIO),
        figure(f"scan_cycle_{ten_size}_duckdb", ten.cycle, TEN_MS, duck,
               _peer_ms("duckdb", ten, 3) + ten.metrics, least=DUCKDB_RATIO),
        figure(f"scan_rules_{size}", selective.rules, None, f"{numpy} masks",
               selective.numpy_masks, least=NUMPY_RATIO),
        figure(ten_pct, many.cycle, None, masks, many.numpy_scan + many.metrics, least=1.0),
        figure(sixty_pct, most.cycle, None, masks, most.numpy_scan + most.metrics, least=1.0),
        figure(f"scan_rules_2000x10x{LEAVES}", small.rules, SMALL_MS, f"{numpy} masks",
               small.numpy_masks),
        figure(f"scan_firing_{SYMBOLS}x{MANY_RULES}x{LEAVES}", firing_ms, FIRE_MS),
    ]  # fmt: skip


if __name__ == "__main__":
    _directory = Path(sys.argv[2])
    print(PEERS[sys.argv[1]](
        np.load(_directory / "columns.npy"), json.loads((_directory / "rules.json").read_text()),
        int(sys.argv[3]),
    ))  # fmt: skip
