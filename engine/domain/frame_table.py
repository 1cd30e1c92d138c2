"""Bars of every kept timeframe, which parameterised indicators are computed from."""

import dataclasses

import numpy as np

from engine.domain.family import KEPT_CLOSES, KEPT_RANGES, timeframes
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
    """Final bars of every kept timeframe, by number: bar i of a symbol stands in slot i % ring.

    closes: float64[timeframes, KEPT_CLOSES, rows]; ranges: float64[timeframes, 3, KEPT_RANGES,
    rows], high, low, volume. marks: int64[2, timeframes, rows], see MARK_SHIFT, by copy; ops:
    uint8[2, timeframes, rows], what the step that built a copy did, see OP_NONE; op_words: int64[2,
    1 + timeframes], the cycle of that step and how many symbols it touched. minute_high and
    minute_low: float64[minutes, rows], extremes of the final bars of a minute, NaN none;
    minute_stamp: int64[minutes], the minute a row holds, -1 none.
    """

    closes: np.ndarray
    ranges: np.ndarray
    marks: np.ndarray
    ops: np.ndarray
    op_words: np.ndarray
    minute_high: np.ndarray
    minute_low: np.ndarray
    minute_stamp: np.ndarray


def make_frames(arena: Arena, sizes: Sizes) -> TimeframeTable:
    """Create them in `arena`, without a bar."""
    rows, count = sizes.rows, len(timeframes(bool(sizes.regular_timeframes)))
    table = TimeframeTable(
        closes=arena.array("frame_closes", (count, KEPT_CLOSES, rows), np.float64),
        ranges=arena.array("frame_ranges", (count, 3, KEPT_RANGES, rows), np.float64),
        marks=arena.array("frame_marks", (2, count, rows), np.int64),
        ops=arena.array("frame_ops", (2, count, rows), np.uint8),
        op_words=arena.array("frame_op_words", (2, 1 + count), np.int64),
        minute_high=arena.array("frame_minute_high", (sizes.minutes, rows), np.float64),
        minute_low=arena.array("frame_minute_low", (sizes.minutes, rows), np.float64),
        minute_stamp=arena.array("frame_minute_stamp", sizes.minutes, np.int64),
    )
    table.minute_high.fill(np.nan)
    table.minute_low.fill(np.nan)
    table.minute_stamp.fill(-1)
    return table
