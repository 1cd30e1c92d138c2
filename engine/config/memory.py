"""What a configuration takes: the memory of every table, and an estimate of one cycle."""

import dataclasses
from collections.abc import Callable

from engine.config.schema import Config
from engine.domain.sizes import Sizes
from engine.domain.tables import Columns, EngineTables, allocate
from shm.arena import Arena, MeasuringArena

WARN_SHARE = 0.4
REFUSE_SHARE = 1.0
PROCESS_BYTES = 25_000_000  # what a role has for itself, its share of the interpreter included
PAGE = 4096

# Which group of the printed table an array belongs to, by the beginning of its name.
_GROUPS = (
    ("final bars", ("bars",)),
    ("prices and volumes per second", ("second_", "trades_stamp")),
    ("volume baselines", ("baseline",)),
    ("prices and volumes per minute", ("minute_", "session_")),
    ("trade pool", ("pool",)),
    ("snapshot cells", ("cell",)),
    ("indicators", ("indicator_",)),
    ("bars by timeframe", ("frame_",)),
    ("indicators that rules name", ("family_",)),
    ("metric columns", ("metric_",)),
    ("rule truth and cooldowns",
     ("truth", "cooldowns", "scan_", "held", "kept_back", "fired", "looked")),
    ("operators of rules", ("op_",)),
    ("rings", ("ticks", "decisions", "bar_ring", "flow", "clock")),
    ("alert lanes", ("lane",)),
    ("compiled rules", ("rules",)),
    ("names and reference data", ("names", "feed_names", "reference", "book_", "closes",
                                  "session")),
    ("board", ("board",)),
)
_REST = "other"

# Measured costs of the cycle's parts, nanoseconds; the slower end of what was seen.
_ROW_NS = 20.0          # copy one symbol's row into the next cell
_METRIC_NS = 1.5        # one metric of one symbol
_TICK_NS = 20.0         # apply one tick
_REPLAY_TICKS = 2.0     # a second and symbol of a recording: a busy market
_WAKE_NS = 400_000.0    # wake-ups and Python around the kernels of one cycle


@dataclasses.dataclass(frozen=True)
class MemoryRow:
    """One line of the memory table."""

    what: str
    nbytes: int


@dataclasses.dataclass(frozen=True)
class CycleEstimate:
    """How long a cycle takes, and what share of the interval that is.

    assumed: what the figure rests on, in words.
    """

    seconds: float
    share: float
    assumed: str

    @property
    def refused(self) -> bool:
        """True when the cycle cannot keep up."""
        return self.share > REFUSE_SHARE

    @property
    def warned(self) -> bool:
        """True when there is little room for a busy market."""
        return self.share > WARN_SHARE


def measure(
    sizes: Sizes,
    columns: Columns,
    board: Callable[[Arena], object] | None = None,
    rules: Callable[[EngineTables], object] | None = None,
) -> tuple[list[MemoryRow], int]:
    """The memory of every table, by group, from the very code that allocates them; and how many
    bytes more rules could take of it, up to their bounds.

    board: creates the board in an arena, so that it is counted, too. rules: reserves what the
    rules in force take.
    """
    arena = MeasuringArena()
    tables = allocate(arena, sizes, columns)
    if board is not None:
        board(arena)
    if rules is not None:
        rules(tables)
    more = sum(nbytes - arena.sizes[name] for name, nbytes in arena.later.items())
    totals: dict[str, int] = dict.fromkeys((name for name, _ in _GROUPS), 0)
    for name, nbytes in arena.sizes.items():
        group = _group(name)
        totals[group] = totals.get(group, 0) + PAGE + -(-nbytes // PAGE) * PAGE
    return [MemoryRow(name, nbytes) for name, nbytes in totals.items() if nbytes], more


def _group(name: str) -> str:
    if name.startswith("session_"):
        return "prices and volumes per minute"
    matches = [
        (len(prefix), group)
        for group, prefixes in _GROUPS
        for prefix in prefixes
        if name.startswith(prefix)
    ]
    return max(matches)[1] if matches else _REST


def process_bytes(roles: int) -> int:
    """Private memory of the supervisor and so many roles together."""
    return (roles + 1) * PROCESS_BYTES


def estimate_cycle(
    config: Config, sizes: Sizes, metrics: int, rules: int, rules_ns: float
) -> CycleEstimate:
    """The time from decision to commit: bars, then the slowest slice of the scan workers.

    metrics: columns; rules: how many rules; rules_ns: of all of them together for one symbol.
    """
    interval_s = config.engine.interval_ms / 1000
    simulated = config.feed.provider == "simulator"
    per_s = config.simulator.ticks_per_s if simulated else sizes.capacity * _REPLAY_TICKS
    ticks = per_s * (config.feed.speed or 1.0) * interval_s
    bars_ns = sizes.rows * _ROW_NS + ticks * _TICK_NS
    scan_ns = sizes.slice_rows * (metrics * _METRIC_NS + rules_ns)
    seconds = (bars_ns + scan_ns + _WAKE_NS) / 1e9
    assumed = (
        f"{sizes.rows} symbols, {rules} rules of {rules_ns:,.1f} ns a symbol together, "
        f"{ticks:,.0f} ticks a cycle, a core for each scan worker ({sizes.workers})"
    )
    return CycleEstimate(seconds, seconds / interval_s, assumed)
