"""How large the shared tables are: one frozen set of numbers, derived from the configuration."""

import dataclasses

# Of a ring: live, a recorder that is farther behind bars than this is overtaken.
RECORDER_SHARE = 3 / 4


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Numbers that fix every table. Symbol ids run from 0 to rows - 1; worker w owns
    [w * slice_rows, (w + 1) * slice_rows).

    capacity: symbols the user asked for; workers: scan workers N; feeds: tick rings F.
    """

    capacity: int
    workers: int = 1
    feeds: int = 1
    ring_ticks: int = 1 << 18
    history_bars: int = 208  # minutes of final bars kept in memory
    seconds: int = 904  # 15 min + 4 s of prices and cumulative volumes per second
    minutes: int = 72  # 1 h + 12 min of prices per whole minute
    long_minutes: int = 400  # the same, and highs and lows, where rules look back further
    trade_seconds: int = 72  # 1 min + 12 s of trades per second
    session_minutes: int = 968  # cumulative volumes per minute of the session date
    pool_trades: int = 1 << 19
    max_rules: int = 16_384
    max_alerts_per_cycle: int = 1024
    max_cooling: int = 1 << 18  # (rule, symbol) pairs cooling down, all workers together
    max_leaves: int = 16  # conditions of one rule
    max_captures: int = 64  # values one alert carries
    rules_bytes: int = 1 << 22  # one compiled rule set in the blob
    max_nodes: int = 1 << 16  # nodes of the rule program
    op_bit_slots: int = 8192  # planes that operators of rules remember: a bit a symbol
    op_row_slots: int = 1024  # rows that operators of rules remember: a word a symbol
    max_derived: int = 64  # columns that the rule program fills
    max_families: int = 256  # parameterised indicators that the rules name
    family_rows: int = 512  # numbers a symbol that they remember from bar to bar

    @property
    def slice_rows(self) -> int:
        """Rows of one worker: capacity / N rounded up to whole 64-bit truth words."""
        per_worker = -(-self.capacity // self.workers)
        return -(-per_worker // 64) * 64

    @property
    def rows(self) -> int:
        """Rows of every table."""
        return self.slice_rows * self.workers

    @property
    def bar_events(self) -> int:
        """Bars that one cycle can close or revise."""
        return 3 * self.rows + 8192

    @property
    def lane_slots(self) -> int:
        """64-byte slots of one lane: two full cycles of alerts with all their values, as a power
        of two."""
        slots_per_alert = 1 + -(-self.max_captures // 8)
        need = 2 * (slots_per_alert * self.max_alerts_per_cycle + 1)
        return 1 << (need - 1).bit_length()
