"""Rules like those of the templates (crosses, windows, sequences, metric against metric), 10,000
symbols and 1,000 rules, beside numpy, polars and duckdb."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl

from engine.metrics.registry import resolve
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from tools.bench.desk import STEP_NS, Engine, elapsed_ms

SYMBOLS, RULES = 10_000, 1_000
ALL_MS = 25.0
ROUNDS = 24
CELLS = 4  # different ones; they come in turn
NUMPY_RATIO, POLARS_RATIO, DUCKDB_RATIO = 2.0, 2.0, 2.0
COOLDOWN_S = 60.0
LEVELS = ("vwap_rth", "vwap_all", "ema(20)", "ema(50)", "sma(20)", "sma(50)", "sma(200)", "open")
CHANGES = ("chg_pct", "chg_open_pct", "dist_vwap_pct", "pos_day", "move_atr", "dist_ema20_pct")
WINDOWS_MS = (500, 1000, 2000)


# -- rules, said once for us and for the peers -----------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Leaf:
    """left > factor * right, or `left > factor` where right is empty."""

    left: str
    right: str
    factor: float

    def text(self) -> str:
        """As our language says it."""
        return f"{self.left} > {self.right} * {self.factor!r}" if self.right else (
            f"{self.left} > {self.factor!r}")  # fmt: skip

    def value(self, columns: "Columns") -> Any:
        """As any peer says it: operands that know `>` and `*`."""
        right = columns.now(self.right) * self.factor if self.right else self.factor
        return columns.now(self.left) > right


@dataclasses.dataclass(frozen=True)
class Cross:
    """left crosses above right."""

    left: str
    right: str

    def text(self) -> str:
        """As our language says it."""
        return f"crosses_above({self.left}, {self.right})"

    def value(self, columns: "Columns") -> Any:
        """As any peer says it."""
        was = columns.before(self.left) <= columns.before(self.right)
        return was & (columns.now(self.left) > columns.now(self.right))


@dataclasses.dataclass(frozen=True)
class Template:
    """One rule: `leaf and other`, where `other` is a condition with or without a memory.

    kind: plain, within, in_row or sequence (`leaf`, then `other` within the window). A memory is
    one number a symbol: when the condition was last true (false for in_row), in ms.
    """

    leaf: Leaf
    kind: str
    other: Leaf | Cross
    window_ms: int

    def text(self) -> str:
        """As our language says it."""
        window = f"{self.window_ms}ms"
        if self.kind == "sequence":
            return f"sequence({self.leaf.text()}, {self.other.text()} within {window})"
        other = self.other.text()
        if self.kind != "plain":
            other = f"{self.kind}({other}, {window})"
        return f"{self.leaf.text()} and {other}"

    def value(self, columns: "Columns", state: Any, t: Any, where: Callable[..., Any]) -> Any:
        """(the root, what is remembered next) as any peer says it."""
        leaf, other = self.leaf.value(columns), self.other.value(columns)
        if self.kind == "plain":
            return leaf & other, None
        if self.kind == "within":
            after = where(other, t, state)
            return leaf & (after >= t - self.window_ms), after
        if self.kind == "in_row":
            after = where(other, state, t)
            return leaf & (after < t - self.window_ms), after
        root = other & (state >= t - self.window_ms)
        return root, where(root, -1e18, where(leaf, t, state))

    def start(self, t_ms: float) -> float:
        """What is remembered before the first cycle, t_ms."""
        return t_ms - 0.5 if self.kind == "in_row" else -1e18


class Columns:
    """What the peers call the numbers of this cycle and of the one before."""

    def __init__(self, now: Callable[[str], Any], before: Callable[[str], Any]) -> None:
        self.now = now
        self.before = before


def templates(columns: np.ndarray) -> list[Template]:
    """RULES rules: a first leaf that is true for some 5 % of the symbols, of a kind in turn."""
    rng = np.random.default_rng(7)
    last = columns[resolve("last").column]
    found = []
    for number in range(RULES):
        change = CHANGES[number % len(CHANGES)]
        level = LEVELS[int(rng.integers(len(LEVELS)))]
        share = float(rng.uniform(0.93, 0.97))
        leaf = Leaf(change, "", _quantile(columns[resolve(change).column], share))
        ratio = last / columns[resolve(level).column]
        against = Leaf("last", level, _quantile(ratio, float(rng.uniform(0.96, 0.99))))
        kind, other = (
            ("plain", against),
            ("plain", Cross("last", level)),
            ("within", Cross("last", level)),
            ("within", against),
            ("in_row", against),
            ("sequence", Cross("last", level)),
        )[number // len(CHANGES) % 6]
        found.append(Template(leaf, kind, other, WINDOWS_MS[number % len(WINDOWS_MS)]))
    return found


def _quantile(values: np.ndarray, share: float) -> float:
    return float(f"{np.quantile(values, share):.5g}")


def rules_of(made: list[Template]) -> list[Rule]:
    """The same as rules of ours."""
    return [
        read_rule({
            "id": f"t{number:05}", "name": "bench", "where": one.text(),
            "cooldown_sec": COOLDOWN_S,
        })
        for number, one in enumerate(made)
    ]  # fmt: skip


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


def names() -> tuple[str, ...]:
    """The metrics that the rules name."""
    return ("last", *LEVELS, *CHANGES)


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


def _rows(
    ours: float, rules_ms: float, peers: dict[str, tuple[float, float, float]]
) -> Iterator[dict[str, Any]]:
    for peer, (cycle, value, least) in peers.items():
        ratio = value / cycle
        yield {
            "name": f"program_cycle_{SYMBOLS}x{RULES}_templates", "value": round(cycle, 3),
            "unit": "ms", "target": ALL_MS, "met": cycle <= ALL_MS and ratio >= least,
            "peer": peer, "peer_value": round(value, 3), "ratio": round(ratio, 2),
        }  # fmt: skip
    yield {
        "name": f"program_rules_{SYMBOLS}x{RULES}_templates", "value": round(rules_ms, 3),
        "unit": "ms", "target": None, "met": None, "peer": None, "peer_value": None, "ratio": None,
    }  # fmt: skip


def run() -> list[dict[str, Any]]:
    """Measure on one core, best of several; raises ArithmeticError if a peer finds other symbols
    than we do. The peers get our metrics, and neither cooldowns nor alerts."""
    market = Market()
    made = templates(market.cells[1, :, :SYMBOLS])
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
    return list(_rows(ours, best["rules"], {
        f"numpy {np.__version__} {said}": (ours, best["numpy"] + best["metrics"], NUMPY_RATIO),
        f"polars {pl.__version__}, 1 thread, {said}":
            (ours, polars_ms + best["metrics"], POLARS_RATIO),
        f"duckdb {duckdb.__version__}, 1 thread, {said}":
            (ours, duckdb_ms + best["metrics"], DUCKDB_RATIO),
    }))  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(PEERS[sys.argv[1]](Path(sys.argv[2]))))
