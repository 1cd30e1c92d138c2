"""One scan worker on private memory, for benchmarks: a market of made-up numbers."""

import numpy as np

from engine.domain import records, tables
from engine.domain.sizes import Sizes
from engine.indicators import registry as indicators
from engine.metrics.registry import COLUMNS
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.model import Rule
from engine.rules.pack import pack
from engine.rules.program_nb import evaluate_rules_nb
from engine.scan.stage import ScanStage
from shm.arena import PrivateArena
from tools.bench.figures import elapsed_ms

STEP_NS = 100_000_000
START_NS = 1_381_217_400_000_000_000


class Engine:
    """One worker on private memory; cells do not change, time does."""

    def __init__(self, symbols: int, rules: int, share: float) -> None:
        """share: of the pairs that are true in a cycle, so many at most."""
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
        self.stride = 1
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
        compiled = compile_rules(rules)
        self.publish(pack(compiled))
        return compiled

    def publish(self, content: bytes) -> None:
        """Decide on packed rules from the next cycle on."""
        self.version += 1
        self.tables.rules.set_floor(self.version - 1)
        self.tables.rules.publish(self.version, content)

    def prepare(self) -> int:
        """Publish the next cell and forget what the lane holds."""
        self.n += 1
        head = self.tables.cell.heads[self.n % tables.CELL_SLOTS]
        head["n"], head["t_ns"] = self.n, START_NS + self.n * STEP_NS
        head["stride"] = self.stride
        head["rules_version"], head["symbol_count"][0] = self.version, self.symbols
        self.tables.indicators.words[0] = self.n * 2
        self.stage.lane.set_head(self.stage.lane.tail())
        return self.n

    def cycle_ms(self) -> float:
        """One whole cycle: metrics, rules, cooldowns, commit, apply."""
        n = self.prepare()
        return elapsed_ms(lambda: self.stage.run(n))

    def rules_ms(self) -> float:
        """What the evaluation of all rules takes, of the cycle that was run last."""
        evaluator, truth = self.stage.evaluator, self.tables.scan.truth[self.n & 1]
        return elapsed_ms(lambda: evaluate_rules_nb(
            evaluator.program.code, evaluator.past, evaluator.cycle, evaluator.room, truth,
            truth.shape[1],
        ))  # fmt: skip

    def finish_ms(self) -> float:
        """One whole cycle, of which what follows the evaluation of the rules is measured."""
        n = self.prepare()
        self.stage.judge(n)
        return elapsed_ms(lambda: self.stage.finish(n))

    def columns(self) -> np.ndarray:
        """float64[metrics, symbols] of the newest cycle."""
        whole: np.ndarray = self.tables.scan.columns[self.n & 1][:, : self.symbols]
        return whole
