"""The shared tables of the engine: where feeds, bars, indicators, metrics and scan meet.

The same classes live on shared memory (the running engine) and on private memory (a backtest):
only the arena differs.
"""

import dataclasses

import numpy as np

from engine.domain import records
from engine.domain.book_table import BookTable, make_book
from engine.domain.frame_table import TimeframeTable, make_frames
from engine.domain.sizes import Sizes
from shm.arena import Arena
from shm.blob import Blob
from shm.cells import Cells
from shm.engine_clock import CLOCK_WORDS
from shm.fences import read_word
from shm.lane import Lane
from shm.names import Names
from shm.ring import Ring, RingFamily
from shm.words import WORD_STRIDE, words

CELL_SLOTS = 4
DECISIONS = 1 << 12  # the decision ring holds so many
RULES_SLOTS = 4

# Gates of the rings: a writer never overtakes them.
TICK_GATES = ("bars", "recorder")
DECISION_GATES = ("bars", "recorder")
BAR_GATES = ("recorder",)

# Words of EngineTables.flow: how far the roles behind the gates are.
FLOW_DURABLE_N = 0  # recorder: the tape holds every cycle up to this one on disk
FLOW_ALERTED_N = 1  # alerts: merged and spooled up to this cycle
FLOW_ALERTED_RULES = 2  # rules version of that cycle: older ones are no longer needed
FLOW_STORED = 3  # alerts stored so far (changes wake the front)
FLOW_ENDED = 4  # 1 when the stream's last cycle is on disk and its alerts are stored
FLOW_UNRECORDED = 5  # 1 when the recorder gave up: the tape has a gap, the stream goes on
FLOW_WORDS = 6

# Cooldown entry words: rule uid (0: never used), symbol id | cooldown_ms << 32, T_k of last firing
COOL_WORDS = 3


# Words of ScanTable.held, by rule slot: what fired, and why what was true did not fire: it cools
# down, there was no room for more to cool, once a session, not armed again yet. The last one counts
# what fired beyond the alerts that a worker commits in a cycle.
HELD_FIRED, HELD_COOLING, HELD_ROOM, HELD_ONCE, HELD_DISARMED, HELD_CAPPED, HELD_WORDS = range(7)


# A row of EngineTables.kept_back: what the alert service did not pass on, by rule uid (0: free).
# The counts as of before cycle KEPT_N stand beside those after it: to count a cycle again is
# harmless.
KEPT_UID, KEPT_N, KEPT_LIMITED_BEFORE, KEPT_LIMITED, KEPT_CAPPED_BEFORE, KEPT_CAPPED = range(6)
KEPT_WORDS = 6


@dataclasses.dataclass
class CellTable:
    """Four snapshot slots of all mutable state of bars; slot n % 4 holds cycle n.

    rows: ROW[4, rows]; heads: CELL_HEAD[4]; events: BAR_EVENT[4, bar_events]
    (heads[slot].event_count are valid).
    """

    cells: Cells
    rows: np.ndarray
    heads: np.ndarray
    events: np.ndarray


@dataclasses.dataclass
class Histories:
    """What bars writes from a sealed cell, addressed by absolute time [time][symbol].

    bars: BAR[history_bars, rows], slot minute % history_bars. second_price: float64[seconds,
    rows], the last
    eligible price as of a whole second, NaN unknown; second_volume: uint32, cumulative volume of
    the session date
    modulo 2**32 as of that second; second_stamp: int64[seconds], the absolute second a slot holds,
    -1 none.
    minute_price and minute_stamp: the same per whole minute (the instant the minute starts).
    session_volume:
    uint32[session_minutes, rows] with session_stamp, cumulative volume as of whole minutes.
    second_trades: uint32[trade_seconds, rows] with trades_stamp, trades of the session date as of
    whole seconds.
    """

    bars: np.ndarray
    second_price: np.ndarray
    second_volume: np.ndarray
    second_stamp: np.ndarray
    minute_price: np.ndarray
    minute_stamp: np.ndarray
    session_volume: np.ndarray
    session_stamp: np.ndarray
    second_trades: np.ndarray
    trades_stamp: np.ndarray
    pool: np.ndarray


@dataclasses.dataclass
class IndicatorTable:
    """Two whole copies of indicator state; word STATE of `words` is state_n * 2 + current copy.

    state: float64[2, rows, 2, slots]: copy, symbol, (before the newest bar, after it), slot.
    values: float64[2, columns, rows]: the outputs of each copy, NaN unknown.
    closes: float64[ring, rows]: close of bar number i in slot i % ring.
    changed: int64[2, rows]: symbols touched by the step that built that copy; count in words 1 and
    2.
    """

    words: np.ndarray
    state: np.ndarray
    values: np.ndarray
    closes: np.ndarray
    changed: np.ndarray

    STATE = 0


# How many states of a family a symbol has: after its newest bar, and after the two before.
STATE_PLANES = 3


@dataclasses.dataclass
class ScanTable:
    """State of the scan workers, by slice.

    columns: float64[2, columns, rows] by parity of n, NaN unknown: metrics, then max_families that
    are computed while rules name them, then max_derived that the rule program fills; memory of
    these is reserved as far as rules go.
    family_state: float64[family_rows, STATE_PLANES, rows], what families remember; the state after
    bar i is in plane i % STATE_PLANES. family_since: int64[workers, max_families], the cycle in
    which a slot was given to the family that has it, 0 none.
    truth: uint64[2, max_rules, rows // 64], root of every rule by parity.
    op_bits: uint64[2, op_bit_slots, rows // 64], planes that operators and firing remember, by
    parity; op_rows: int64[op_row_slots, rows], rows that operators remember, in place.
    held: int64[2, workers, max_rules, HELD_WORDS], firings and what kept rules from firing, counted
    by parity since the stream began.
    cooldowns: int64[workers, max_cooling, COOL_WORDS]. Every worker has room for all pairs that may
    cool: where symbols lie decides nothing.
    fired_ns: int64[rows], T of the cycle in which a symbol fired last, 0 never. looked_ns,
    looked_bars: int64[2, rows] by parity, T of the cycle that looked at it last and its bars closed
    then; of cycles with a stride only.
    words: state_n of worker w at w * WORD_STRIDE.
    """

    columns: np.ndarray
    family_state: np.ndarray
    family_since: np.ndarray
    truth: np.ndarray
    op_bits: np.ndarray
    op_rows: np.ndarray
    held: np.ndarray
    cooldowns: np.ndarray
    fired_ns: np.ndarray
    looked_ns: np.ndarray
    looked_bars: np.ndarray
    words: np.ndarray


@dataclasses.dataclass
class EngineTables:
    """Everything the roles share; built once by the supervisor, inherited by every role.

    reference: REFERENCE[rows]. closes: CLOSE[rows], official closes of the session date so far,
    written in place by bars: a cycle done again changes nothing. session: SESSION[1].
    """

    sizes: Sizes
    arena: Arena
    ticks: RingFamily
    decisions: Ring
    bar_ring: Ring
    flow: np.ndarray
    clock: np.ndarray
    cell: CellTable
    history: Histories
    indicators: IndicatorTable
    frames: TimeframeTable
    scan: ScanTable
    kept_back: np.ndarray
    lanes: list[Lane]
    rules: Blob
    names: Names
    feed_names: list[Names]
    reference: np.ndarray
    book: BookTable
    closes: np.ndarray
    session: np.ndarray

    def laggard(self, n: int) -> str:
        """The first role that has not applied cycle n, indicators before scan; empty: none."""
        if read_word(self.indicators.words, IndicatorTable.STATE * WORD_STRIDE) >> 1 != n:
            return "indicators"
        for worker in range(self.sizes.workers):
            if read_word(self.scan.words, worker * WORD_STRIDE) != n:
                return f"scan{worker}"
        return ""

    def applied(self, n: int) -> bool:
        """True when indicators and every scan worker have applied cycle n."""
        return not self.laggard(n)

    def waiting(self, key: str) -> int:
        """How much input waits for a role: with it and without progress, the role is stalled.

        Cycles; of alerts slots of a lane. A feed has none by this measure (its pace is that of its
        input), web neither.
        """
        if key == "bars":
            return self.decisions.tail() - self.cell.cells.published()
        if key == "alerts":
            return min(lane.tail() - lane.head() for lane in self.lanes)
        if key == "recorder":
            return self.decisions.tail() - self.decisions.gate("recorder")
        return self.behind(key)

    def behind(self, key: str) -> int:
        """How many published cycles a role has not finished; 0 for one that follows no cycles."""
        published = self.cell.cells.published()
        if key == "indicators":
            return published - (read_word(self.indicators.words, 0) >> 1)
        worker = key.removeprefix("scan")
        if worker != key:
            return published - read_word(self.scan.words, int(worker) * WORD_STRIDE)
        word = {"alerts": FLOW_ALERTED_N, "recorder": FLOW_DURABLE_N}.get(key)
        return 0 if word is None else published - read_word(self.flow, word * WORD_STRIDE)


@dataclasses.dataclass(frozen=True)
class Columns:
    """How many columns and slots the registries ask for; the tables floor does not know the
    registries."""

    indicator_slots: int
    indicator_values: int
    indicator_ring: int
    metrics: int


def _histories(arena: Arena, sizes: Sizes) -> Histories:
    rows = sizes.rows
    history = Histories(
        bars=arena.array("bars", (sizes.history_bars, rows), records.BAR),
        second_price=arena.array("second_price", (sizes.seconds, rows), np.float64),
        second_volume=arena.array("second_volume", (sizes.seconds, rows), np.uint32),
        second_stamp=arena.array("second_stamp", sizes.seconds, np.int64),
        minute_price=arena.array("minute_price", (sizes.minutes, rows), np.float64),
        minute_stamp=arena.array("minute_stamp", sizes.minutes, np.int64),
        session_volume=arena.array("session_volume", (sizes.session_minutes, rows), np.uint32),
        session_stamp=arena.array("session_stamp", sizes.session_minutes, np.int64),
        second_trades=arena.array("second_trades", (sizes.trade_seconds, rows), np.uint32),
        trades_stamp=arena.array("trades_stamp", sizes.trade_seconds, np.int64),
        pool=arena.array("pool", sizes.pool_trades, records.POOL_TRADE),
    )
    history.bars["minute"] = -1
    history.second_price.fill(np.nan)
    history.minute_price.fill(np.nan)
    for stamp in (
        history.second_stamp, history.minute_stamp, history.session_stamp, history.trades_stamp
    ):
        stamp.fill(-1)
    return history


def _indicators(arena: Arena, sizes: Sizes, columns: Columns) -> IndicatorTable:
    rows = sizes.rows
    table = IndicatorTable(
        words=words(arena, "indicator_words", 3),
        state=arena.array("indicator_state", (2, rows, 2, columns.indicator_slots), np.float64),
        values=arena.array("indicator_values", (2, columns.indicator_values, rows), np.float64),
        closes=arena.array("indicator_closes", (columns.indicator_ring, rows), np.float64),
        changed=arena.array("indicator_changed", (2, rows), np.int64),
    )
    table.values.fill(np.nan)
    return table


def _scan(arena: Arena, sizes: Sizes, columns: Columns) -> ScanTable:
    rows, workers = sizes.rows, sizes.workers
    every_column = columns.metrics + sizes.max_families + sizes.max_derived
    table = ScanTable(
        columns=arena.array("metric_columns", (2, every_column, rows), np.float64, later=True),
        family_state=arena.array(
            "family_state", (sizes.family_rows, STATE_PLANES, rows), np.float64, later=True
        ),
        family_since=arena.array("family_since", (workers, sizes.max_families), np.int64),
        truth=arena.array("truth", (2, sizes.max_rules, rows // 64), np.uint64, later=True),
        op_bits=arena.array("op_bits", (2, sizes.op_bit_slots, rows // 64), np.uint64, later=True),
        op_rows=arena.array("op_rows", (sizes.op_row_slots, rows), np.int64, later=True),
        held=arena.array(
            "held", (2, workers, sizes.max_rules, HELD_WORDS), np.int64, later=True
        ),
        cooldowns=arena.array("cooldowns", (workers, sizes.max_cooling, COOL_WORDS), np.int64),
        fired_ns=arena.array("fired_ns", rows, np.int64),
        looked_ns=arena.array("looked_ns", (2, rows), np.int64),
        looked_bars=arena.array("looked_bars", (2, rows), np.int64),
        words=words(arena, "scan_words", workers),
    )
    reserve_columns(arena, table.columns, 0, columns.metrics)
    table.columns[:, : columns.metrics].fill(np.nan)
    return table


def reserve_columns(arena: Arena, columns: np.ndarray, first: int, count: int) -> None:
    """Reserve the memory of some columns in both parities. Raises SegmentError when there is no
    room."""
    size = columns[0, :1].nbytes
    for parity in range(len(columns)):
        begin = parity * columns[0].nbytes + first * size
        arena.reserve("metric_columns", begin, begin + count * size)


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()


def allocate(arena: Arena, sizes: Sizes, columns: Columns) -> EngineTables:
    """Create every table in `arena`, empty: unknown numbers NaN, no symbol, no cycle published."""
    rows = sizes.rows
    cell = CellTable(
        cells=Cells.create(arena, "cells"),
        rows=arena.array("cell_rows", (CELL_SLOTS, rows), records.ROW),
        heads=arena.array("cell_heads", CELL_SLOTS, records.CELL_HEAD),
        events=arena.array("cell_events", (CELL_SLOTS, sizes.bar_events), records.BAR_EVENT),
    )
    return EngineTables(
        sizes=sizes,
        arena=arena,
        ticks=RingFamily.create(
            arena, "ticks", records.TICK, sizes.ring_ticks, TICK_GATES, sizes.feeds
        ),
        decisions=Ring.create(arena, "decisions", records.DECISION, DECISIONS, DECISION_GATES),
        bar_ring=Ring.create(
            arena, "bar_ring", records.BAR_EVENT, _power_of_two(sizes.bar_events), BAR_GATES
        ),
        flow=words(arena, "flow", FLOW_WORDS),
        clock=words(arena, "clock", CLOCK_WORDS),
        cell=cell,
        history=_histories(arena, sizes),
        indicators=_indicators(arena, sizes, columns),
        frames=make_frames(arena, sizes),
        scan=_scan(arena, sizes, columns),
        kept_back=arena.array("kept_back", (sizes.max_rules, KEPT_WORDS), np.int64),
        lanes=[Lane.create(arena, f"lane{w}", sizes.lane_slots) for w in range(sizes.workers)],
        rules=Blob.create(arena, "rules", RULES_SLOTS, sizes.rules_bytes),
        names=Names.create(arena, "names", rows),
        feed_names=[Names.create(arena, f"feed_names{f}", rows) for f in range(sizes.feeds)],
        reference=arena.array("reference", rows, records.REFERENCE),
        book=make_book(arena, rows),
        closes=arena.array("closes", rows, records.CLOSE),
        session=arena.array("session", 1, records.SESSION),
    )


__all__ = [
    "WORD_STRIDE",
    "CellTable",
    "Columns",
    "EngineTables",
    "Histories",
    "IndicatorTable",
    "ScanTable",
    "allocate",
]
