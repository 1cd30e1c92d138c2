"""Words that the kernels of bars share: context of a cycle, spare words, bits of the pool."""

from typing import NamedTuple

import numpy as np

from engine.domain import records

_SPARE = int(records.ROW.fields["spare"][1]) // 8  # type: ignore[index]

# Spare word of a row that bars uses for itself.
R_SEEN = _SPARE  # 1: an eligible trade has set last on this session date

# Spare words of the head of a cell.
SPARE_GAPS = 0    # bit per feed: the whole feed has a gap
SPARE_APPROX = 1  # times that extremes could not be rebuilt exactly

# Low byte of POOL_TRADE.cond: what the trade changed (COND_LAST, COND_HILO, COND_VOLUME), whether
# it is part of a bar (COND_BAR) and whether its minute was final already. The bits above: how many
# positions before its own the entry stands in arrival order, because a correction keeps the place
# of the trade it replaces.
POOL_LATE = 32
POOL_BITS = 0xFF
POOL_SHIFT = 8
POOL_SHIFT_MAX = (1 << 22) - 1

FUTURE_NS = 60 * records.NS_PER_SECOND

# Context of one cycle, int64[C_WORDS]: what the kernel is told, then what it counts.
C_N = 0            # number of the cycle
C_T = 1            # T_k
C_CLOSED = 2       # minutes <= this were closed by the cycle before
C_START, C_OPEN, C_CLOSE, C_END = 3, 4, 5, 6  # session bounds, ns
C_FULL = 7         # 1: every id is given away
C_POOL_FLOOR = 8   # entries of earlier cycles below this position must not be looked at
C_EVENTS = 9       # entries of the event list
C_POOL_TAIL = 10
C_GAPS = 11
C_ADMIT_RING = 12  # ring that stopped at an ADMIT record
C_TICKS = 13
C_FUTURE = 14
C_CAPACITY = 15
C_REFUSED = 16
C_LATE = 17
C_TOO_LATE = 18
C_CORRECTIONS = 19
C_CANCELS = 20
C_UNMATCHED = 21
C_DROPPED = 22
C_APPROX = 23
C_WORDS = 24

# Counters of a cell head and the context words that carry them through a cycle.
COUNTERS = (
    ("event_count", C_EVENTS),
    ("pool_tail", C_POOL_TAIL),
    ("ticks", C_TICKS),
    ("refused_future", C_FUTURE),
    ("refused_capacity", C_CAPACITY),
    ("refused_tick", C_REFUSED),
    ("late", C_LATE),
    ("too_late", C_TOO_LATE),
    ("corrections", C_CORRECTIONS),
    ("cancels", C_CANCELS),
    ("unmatched", C_UNMATCHED),
    ("events_dropped", C_DROPPED),
)

# What apply_ticks returns.
APPLIED = 0
ADMIT_PENDING = 1


class Work(NamedTuple):
    """Every array that applying a cycle touches, so that kernels pass one thing.

    rows_f, rows_i: float64 and int64[rows, ROW_WORDS], the private working rows (same memory).
    pool: POOL_TRADE[pool_trades]. bars_f, bars_i: float64 and int64[history_bars, rows, 8], final
    bars as earlier cycles wrote them, only read. ev_f, ev_i: float64 and int64[bar_events, 12], the
    event list of this cycle. ev_prev: int32[bar_events], ev_head: int32[rows]: events of this cycle
    by symbol, index + 1, 0 none. c: int64[C_WORDS]. sf, si: float64 and int64[2, SCRATCH].
    """

    rows_f: np.ndarray
    rows_i: np.ndarray
    pool: np.ndarray
    bars_f: np.ndarray
    bars_i: np.ndarray
    ev_f: np.ndarray
    ev_i: np.ndarray
    ev_prev: np.ndarray
    ev_head: np.ndarray
    c: np.ndarray
    sf: np.ndarray
    si: np.ndarray
