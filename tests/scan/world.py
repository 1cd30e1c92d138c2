"""A small engine around scan workers: cells, columns and rules are set by the test itself."""

import dataclasses

import numpy as np

from engine.alerts.merge import MergedCycle, MergeStage
from engine.domain.records import GAP_BAR_SHIFT, REF_TEST_ISSUE
from engine.domain.sizes import Sizes
from engine.domain.tables import Columns, EngineTables, allocate
from engine.metrics.registry import COLUMN, METRICS
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.model import Rule
from engine.rules.pack import pack
from engine.rules.publish import publish
from engine.scan.stage import ScanStage
from shm.arena import Arena, PrivateArena

START_NS = 1_381_217_400_000_000_000
SECOND_NS = 1_000_000_000


@dataclasses.dataclass
class Symbol:
    """What a test says of one ticker in a cycle."""

    values: dict[str, float] = dataclasses.field(default_factory=dict)
    blind: bool = False
    halted: bool = False
    test_issue: bool = False
    gap_end_ns: int = 0  # of the newest gap of its feed, 0 none
    gap_bar: int = 0     # first bar behind it
    bars: int = 0


class _SetColumns:
    """Stands for the metrics: writes what the world says."""

    def __init__(self, world: "World", worker: int) -> None:
        self.world = world
        self.worker = worker

    def compute(self, n: int) -> None:
        sizes = self.world.tables.sizes
        low = self.worker * sizes.slice_rows
        columns = self.world.tables.scan.columns[n & 1]
        columns[:, low : low + sizes.slice_rows] = np.nan
        for ticker, symbol in self.world.symbols.items():
            at = self.world.ids[ticker]
            if low <= at < low + sizes.slice_rows:
                for name, value in symbol.values.items():
                    columns[COLUMN[name], at] = value


class World:
    """Tables, workers and a merge. `cycle` runs one cycle and admits tickers it has not seen."""

    def __init__(
        self, workers: int = 1, capacity: int = 192, arena: Arena | None = None, **sizes: int
    ) -> None:
        self.sizes = Sizes(
            capacity=capacity, workers=workers, ring_ticks=16, history_bars=1, seconds=1, minutes=1,
            session_minutes=1, pool_trades=1, **sizes,
        )  # fmt: skip
        self.tables: EngineTables = allocate(
            arena or PrivateArena(), self.sizes, Columns(1, 1, 1, len(METRICS))
        )
        self.tables.session["start_ns"] = START_NS
        self.tables.session["end_ns"] = START_NS + 10_000 * SECOND_NS
        self.tables.cell.heads["n"] = -1
        self.tables.cell.heads[0]["n"] = 0
        self.symbols: dict[str, Symbol] = {}
        self.ids: dict[str, int] = {}
        self.version = 0
        self.compiled: CompiledRules | None = None
        self.n = 0
        self.merge = MergeStage(self.tables, "stream")
        self.stages = [self.new_stage(worker) for worker in range(workers)]

    def new_stage(self, worker: int) -> ScanStage:
        """A worker that knows nothing but the tables: also the successor of a killed one."""
        stage = ScanStage(self.tables, worker)
        stage.metrics = _SetColumns(self, worker)  # type: ignore[assignment]
        stage.recover()
        return stage

    def use(self, rules: list[Rule]) -> None:
        """Publish rules, decided from the next cycle on."""
        self.version += 1
        self.compiled = compile_rules(rules, self.sizes, self.compiled)
        self.tables.rules.set_floor(self.version - 1)
        publish(self.tables, self.version, pack(self.compiled))

    def _admit(self, ticker: str) -> None:
        sizes = self.sizes
        number = len(self.ids)
        at = number % sizes.workers * sizes.slice_rows + number // sizes.workers
        self.ids[ticker] = at
        self.tables.names.set(at, ticker)

    def prepare(self, t_ns: int, symbols: dict[str, Symbol]) -> int:
        """Publish the cell of the next cycle; the workers have not run yet."""
        self.n += 1
        self.symbols = symbols
        for ticker in symbols:
            if ticker not in self.ids:
                self._admit(ticker)
        slot = self.n % 4
        head = self.tables.cell.heads[slot]
        head["n"], head["t_ns"], head["rules_version"] = self.n, t_ns, self.version
        head["closed_minute"] = t_ns // (60 * SECOND_NS) - 1
        count, workers = len(self.ids), self.sizes.workers
        head["symbol_count"], head["event_count"] = 0, 1
        for worker in range(workers):
            head["symbol_count"][worker] = (count - worker + workers - 1) // workers
        rows = self.tables.cell.rows[slot]
        for ticker, at in self.ids.items():
            symbol = symbols.get(ticker, Symbol())
            rows[at]["blind"], rows[at]["halted"] = symbol.blind, symbol.halted
            rows[at]["last"] = symbol.values.get("last", np.nan)
            gap = symbol.gap_bar << GAP_BAR_SHIFT | symbol.gap_end_ns // SECOND_NS + 1
            rows[at]["gap"] = gap if symbol.gap_end_ns else 0
            rows[at]["bar_index"] = symbol.bars
            rows[at]["tick_event_ns"], rows[at]["tick_recv_ns"] = t_ns - 7, t_ns - 5
            self.tables.reference[at]["flags"] = REF_TEST_ISSUE if symbol.test_issue else 0
        return self.n

    def take(self) -> MergedCycle:
        """The merged alerts of the cycle that every worker has run."""
        merged = self.merge.peek()
        assert merged is not None
        self.merge.release(merged)
        return merged

    def cycle(self, t_ns: int, symbols: dict[str, Symbol]) -> MergedCycle:
        """One whole cycle."""
        n = self.prepare(t_ns, symbols)
        for stage in self.stages:
            assert stage.run(n)
        return self.take()

    def fired(self, t_ns: int, symbols: dict[str, Symbol]) -> list[tuple[str, str]]:
        """(rule id, ticker) of the alerts of one whole cycle."""
        return [(alert.rule_id, alert.symbol) for alert in self.cycle(t_ns, symbols).alerts]
