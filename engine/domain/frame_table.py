"""Bars of the timeframes that rules name: parameterised indicators are computed from them."""

import dataclasses

import numpy as np

from engine.domain.family import KEEP_EXTREMES, KEEP_PRICES, KEPT_CLOSES, KEPT_RANGES, TIMEFRAMES
from engine.domain.sizes import Sizes
from shm.arena import Arena

# A word of TimeframeTable.marks: how many bars there were so far, and which minute (of UTC) divided
# by the timeframe the newest one stands in.
MARK_SHIFT = 32
MARK_BUCKET = (1 << MARK_SHIFT) - 1
# What a cycle did to a symbol's bars of one timeframe: nothing; a new bar; the newest one revised;
# first revised, then a new one; more than that.
OP_NONE, OP_NEW, OP_REVISED, OP_BOTH, OP_MANY = range(5)


@dataclasses.dataclass
class TimeframeTable:
    """Final bars of every timeframe that is kept, by number: bar i of a symbol stands in slot
    i % ring. Memory of what is not kept is not reserved, see `reserve_kept`.

    kept: int64[2], by copy, the bits of what is kept: see engine.domain.family. Once kept, it is
    kept to the end of the stream.
    closes: float64[timeframes, KEPT_CLOSES, rows]; ranges: float64[timeframes, 3, KEPT_RANGES,
    rows], high, low, volume. marks: int64[2, timeframes, rows], see MARK_SHIFT, by copy; ops:
    uint8[2, timeframes, rows], what the step that built a copy did, see OP_NONE; op_words: int64[2,
    1 + timeframes], the cycle of that step and how many symbols it touched. minute_high and
    minute_low: float64[long_minutes, rows], extremes of the final bars of a minute, NaN none;
    minute_stamp: int64[long_minutes], the minute a row holds, -1 none. long_price and long_stamp:
    as Histories.minute_price, of long_minutes.
    """

    kept: np.ndarray
    closes: np.ndarray
    ranges: np.ndarray
    marks: np.ndarray
    ops: np.ndarray
    op_words: np.ndarray
    minute_high: np.ndarray
    minute_low: np.ndarray
    minute_stamp: np.ndarray
    long_price: np.ndarray
    long_stamp: np.ndarray


def make_frames(arena: Arena, sizes: Sizes) -> TimeframeTable:
    """Create them in `arena`, without a bar."""
    rows, count, minutes = sizes.rows, len(TIMEFRAMES), sizes.long_minutes
    table = TimeframeTable(
        kept=arena.array("frame_kept", 2, np.int64),
        closes=arena.array("frame_closes", (count, KEPT_CLOSES, rows), np.float64, later=True),
        ranges=arena.array("frame_ranges", (count, 3, KEPT_RANGES, rows), np.float64, later=True),
        marks=arena.array("frame_marks", (2, count, rows), np.int64),
        ops=arena.array("frame_ops", (2, count, rows), np.uint8),
        op_words=arena.array("frame_op_words", (2, 1 + count), np.int64),
        minute_high=arena.array("frame_minute_high", (minutes, rows), np.float64, later=True),
        minute_low=arena.array("frame_minute_low", (minutes, rows), np.float64, later=True),
        minute_stamp=arena.array("frame_minute_stamp", minutes, np.int64),
        long_price=arena.array("frame_long_price", (minutes, rows), np.float64, later=True),
        long_stamp=arena.array("frame_long_stamp", minutes, np.int64),
    )
    table.minute_stamp.fill(-1)
    table.long_stamp.fill(-1)
    return table


def reserve_kept(arena: Arena, table: TimeframeTable, kept: int) -> None:
    """Reserve the memory of what is to be kept, before it is. Raises SegmentError when there is no
    room."""
    for place in range(len(TIMEFRAMES)):
        if kept >> place & 1:
            for name, array in (("frame_closes", table.closes), ("frame_ranges", table.ranges)):
                size = array[0].nbytes
                arena.reserve(name, place * size, (place + 1) * size)
    whole = []
    if kept & KEEP_EXTREMES:
        whole += [("frame_minute_high", table.minute_high), ("frame_minute_low", table.minute_low)]
    if kept & KEEP_PRICES:
        whole += [("frame_long_price", table.long_price)]
    for name, array in whole:
        arena.reserve(name, 0, array.nbytes)
