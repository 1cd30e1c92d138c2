"""Rules like those of the templates (crosses, windows, sequences, metric against metric), 10,000
symbols and 1,000 rules, beside numpy, polars and duckdb."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from engine.metrics.registry import resolve
from tools.bench.desk import STEP_NS, Engine
from tools.bench.figures import elapsed_ms, figure
from tools.bench.templates import Columns, Cross, Leaf, Template, names, rules_of, templates

SYMBOLS, RULES = 10_000, 1_000
ALL_MS = 25.0
ROUNDS = 24
CELLS = 4  # different ones; they come in turn
NUMPY_RATIO, POLARS_RATIO, DUCKDB_RATIO = 2.0, 2.0, 2.0


# -- ours ------------------------------------------------------------------------------------------
class Market(Engine):
    """Cells in turn, in each of which every price is another."""

    def __init__(self) -> None:
        super().__init__(SYMBOLS, RULES, 0.05)
        last = self.tables.cell.rows["last"]
        last *= self.rng.normal(1.0, 0.002, last.shape)
        self.cells = np.empty((CELLS, *self.tables.scan.columns.shape[1:]))
        for _ in range(CELLS):
            self.stage.metrics.compute(self.prepare())
            self.cells[self.n % CELLS] = self.tables.scan.columns[self.n & 1]
        self.n = 0

    def true_counts(self) -> np.ndarray:
        """Symbols for which each rule is true in the newest cycle: int64[RULES]."""
        truth = self.tables.scan.truth[self.n & 1][:RULES].view(np.uint8)
        bits = np.unpackbits(truth, axis=1, bitorder="little")[:, :SYMBOLS]
        counts: np.ndarray = bits.sum(axis=1, dtype=np.int64)
        return counts


# -- numpy -----------------------------------------------------------------------------------------
class NumpyScan:
    """The same with arrays: no order, no cooldown, no alert."""

    def __init__(self, made: list[Template], cells: np.ndarray) -> None:
        self.made = made
        self.cells = [
            {name: np.ascontiguousarray(cell[resolve(name).column, :SYMBOLS]) for name in names()}
            for cell in cells
        ]
        self.n = 0
        self.states = [np.full(SYMBOLS, one.start(_t_ms(1))) for one in made]
        self.counts = np.zeros(RULES, np.int64)

    def cycle(self) -> None:
        """Evaluate every rule in the next cycle."""
        self.n += 1
        now, before = self.cells[self.n % CELLS], self.cells[_before(self.n) % CELLS]
        columns = Columns(now.__getitem__, before.__getitem__)
        t_ms = _t_ms(self.n)
        for number, one in enumerate(self.made):
            root, after = one.value(columns, self.states[number], t_ms, np.where)
            if after is not None:
                self.states[number] = after
            self.counts[number] = np.count_nonzero(root)


def _before(n: int) -> int:
    """The cycle before n; the first has none, and nothing crosses in it."""
    return max(n - 1, 1)


def _t_ms(n: int) -> float:
    return n * (STEP_NS / 1e6)


# -- polars and duckdb, each in a process of its own: threads are set before their import ----------
def _save(directory: Path, made: list[Template], cells: np.ndarray) -> None:
    (directory / "rules.json").write_text(json.dumps([dataclasses.asdict(one) for one in made]))
    of_names = [resolve(name).column for name in names()]
    np.save(directory / "cells.npy", cells[:, of_names, :SYMBOLS])


def _load(directory: Path) -> tuple[list[Template], np.ndarray]:
    made = []
    for one in json.loads((directory / "rules.json").read_text()):
        other = one["other"]
        made.append(Template(
            Leaf(**one["leaf"]), one["kind"],
            Leaf(**other) if "factor" in other else Cross(**other), one["window_ms"],
        ))  # fmt: skip
    return made, np.load(directory / "cells.npy")


def _peer_name(name: str, when: str) -> str:
    return f"{when}{names().index(name)}"


def _frame(cells: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Columns of cycle n and of the one before, as the peers get them."""
    return {
        _peer_name(name, when): cells[at % CELLS, number]
        for number, name in enumerate(names())
        for when, at in (("n", n), ("b", _before(n)))
    }


def polars_main(directory: Path) -> tuple[float, list[int]]:
    """Best ms of one cycle in polars, and how many symbols each rule was true for in the last."""
    made, cells = _load(directory)
    columns = Columns(lambda n: pl.col(_peer_name(n, "n")), lambda n: pl.col(_peer_name(n, "b")))
    states = pl.DataFrame({f"s{i}": np.full(SYMBOLS, one.start(_t_ms(1)))
                           for i, one in enumerate(made) if one.kind != "plain"})  # fmt: skip
    wanted = []
    for number, one in enumerate(made):
        root, after = one.value(
            columns, pl.col(f"s{number}"), pl.col("t"),
            lambda c, x, y: pl.when(c).then(x).otherwise(y),
        )  # fmt: skip
        wanted.append(root.alias(f"r{number}"))
        if after is not None:
            wanted.append(after.alias(f"s{number}"))
    best, roots = float("inf"), [f"r{number}" for number in range(len(made))]
    for n in range(1, ROUNDS + 1):
        frame = pl.DataFrame(_frame(cells, n)).hstack(states)
        frame = frame.with_columns(pl.lit(_t_ms(n)).alias("t"))
        begun = time.perf_counter_ns()
        done = frame.select(wanted)
        best = min(best, (time.perf_counter_ns() - begun) / 1e6)
        states = done.drop(roots)
    return best, [int(done[name].sum()) for name in roots]


class Sql:
    """An operand in SQL."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _with(self, operator: str, other: object) -> "Sql":
        right = other.text if isinstance(other, Sql) else repr(other)
        return Sql(f"({self.text} {operator} {right})")

    def __gt__(self, other: object) -> "Sql":
        return self._with(">", other)

    def __ge__(self, other: object) -> "Sql":
        return self._with(">=", other)

    def __lt__(self, other: object) -> "Sql":
        return self._with("<", other)

    def __le__(self, other: object) -> "Sql":
        return self._with("<=", other)

    def __and__(self, other: object) -> "Sql":
        return self._with("AND", other)

    def __mul__(self, other: object) -> "Sql":
        return self._with("*", other)

    def __sub__(self, other: object) -> "Sql":
        return self._with("-", other)


def _case(condition: Sql, then: object, otherwise: object) -> Sql:
    texts = [part.text if isinstance(part, Sql) else repr(part) for part in (then, otherwise)]
    return Sql(f"CASE WHEN {condition.text} THEN {texts[0]} ELSE {texts[1]} END")


def duckdb_main(directory: Path) -> tuple[float, list[int]]:
    """Best ms of one cycle in duckdb: a prepared statement over a table, into a table."""
    made, cells = _load(directory)
    columns = Columns(
        lambda n: Sql(_peer_name(n, "n")), lambda n: Sql(_peer_name(n, "b"))
    )
    wanted = []
    for number, one in enumerate(made):
        root, after = one.value(columns, Sql(f"s{number}"), Sql("t"), _case)
        wanted.append(f"{root.text} AS r{number}")
        if after is not None:
            wanted.append(f"{after.text} AS s{number}")
    base = duckdb.connect(config={"threads": 1})
    states = {f"s{i}": np.full(SYMBOLS, one.start(_t_ms(1)))
              for i, one in enumerate(made) if one.kind != "plain"}  # fmt: skip
    best = float("inf")
    done: dict[str, Any] = {}
    for n in range(1, ROUNDS // 2 + 1):
        base.register("frame", _frame(cells, n) | states | {"t": np.full(SYMBOLS, _t_ms(n))})
        base.execute("CREATE OR REPLACE TABLE cell AS SELECT * FROM frame")
        base.execute(f"PREPARE scan AS SELECT {', '.join(wanted)} FROM cell")
        begun = time.perf_counter_ns()
        done = base.execute("EXECUTE scan").fetchnumpy()
        best = min(best, (time.perf_counter_ns() - begun) / 1e6)
        states = {name: done[name] for name in states}
    return best, [int(np.count_nonzero(done[f"r{number}"])) for number in range(len(made))]


PEERS = {"polars": polars_main, "duckdb": duckdb_main}


def _peer(name: str, made: list[Template], cells: np.ndarray) -> tuple[float, list[int]]:
    with tempfile.TemporaryDirectory() as directory:
        _save(Path(directory), made, cells)
        done = subprocess.run(
            [sys.executable, "-m", "tools.bench.program", name, directory],
            env=os.environ | {"POLARS_MAX_THREADS": "1"},
            cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    best, counts = json.loads(done.stdout)
    return best, counts


# -- the figures -----------------------------------------------------------------------------------
def _same(peer: str, ours: np.ndarray, theirs: list[int] | np.ndarray) -> None:
    """A peer that does something else is none."""
    differ = np.flatnonzero(ours != np.asarray(theirs))
    if len(differ):
        raise ArithmeticError(
            f"{peer} finds {theirs[differ[0]]} symbols for rule {differ[0]}, not {ours[differ[0]]}"
        )


def run() -> list[dict[str, Any]]:
    """Measure on one core, best of several; raises ArithmeticError if a peer finds other symbols
    than we do. The peers get our metrics, and neither cooldowns nor alerts."""
    market = Market()
    made = templates(market.cells[1, :, :SYMBOLS], RULES)
    market.use(rules_of(made))
    peer = NumpyScan(made, market.cells)
    best = dict.fromkeys(("cycle", "metrics", "rules", "numpy"), float("inf"))
    at_rounds: dict[int, np.ndarray] = {}
    for number in range(1, ROUNDS + 1):
        taken = {"cycle": market.cycle_ms(), "numpy": elapsed_ms(peer.cycle)}
        _same("numpy", market.true_counts(), peer.counts)
        at_rounds[number] = market.true_counts()
        taken["rules"] = market.rules_ms()
        taken["metrics"] = elapsed_ms(lambda: market.stage.metrics.compute(market.n))
        best = {name: min(ms, taken.get(name, ms)) for name, ms in best.items()}
    polars_ms, counts = _peer("polars", made, market.cells)
    _same("polars", at_rounds[ROUNDS], counts)
    duckdb_ms, counts = _peer("duckdb", made, market.cells)
    _same("duckdb", at_rounds[ROUNDS // 2], counts)
    share = at_rounds[ROUNDS].sum() / (SYMBOLS * RULES)
    said = f"and our metrics, {share:.2%} of the pairs true"
    ours = best["cycle"]
    load = f"{SYMBOLS}x{RULES}_templates"
    cycle = f"program_cycle_{load}"
    return [
        figure(cycle, ours, ALL_MS, f"numpy {np.__version__} {said}",
               best["numpy"] + best["metrics"], least=NUMPY_RATIO),
        figure(cycle, ours, ALL_MS, f"polars {pl.__version__}, 1 thread, {said}",
               polars_ms + best["metrics"], least=POLARS_RATIO),
        figure(cycle, ours, ALL_MS, f"duckdb {duckdb.__version__}, 1 thread, {said}",
               duckdb_ms + best["metrics"], least=DUCKDB_RATIO),
        figure(f"program_rules_{load}", best["rules"]),
    ]  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](Path(sys.argv[2]))))
