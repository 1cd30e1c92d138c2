"""Kernels of the kept timeframes: bars of 1 minute put together, new and revised ones entered."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.domain.family import HIGH, KEPT_CLOSES, KEPT_RANGES, LOW
from engine.domain.frame_table import (
    MARK_BUCKET,
    MARK_SHIFT,
    OP_BOTH,
    OP_MANY,
    OP_NEW,
    OP_NONE,
    OP_REVISED,
)
from engine.domain.records import (
    B_CLOSE,
    B_HIGH,
    B_LOW,
    B_MINUTE,
    B_VOLUME,
    E_BAR,
    E_SYM,
)

TILE = 256
R_HIGH, R_LOW, R_VOLUME = HIGH, LOW, 2  # places in TimeframeTable.ranges
CLOSE_MASK, RANGE_MASK = KEPT_CLOSES - 1, KEPT_RANGES - 1


@njit(cache=True, nogil=True)
def put_bar_nb(closes, ranges, index, sym, high, low, close, volume):
    """Enter bar `index` of a symbol; closes: float64[KEPT_CLOSES, rows], ranges: float64[3,
    KEPT_RANGES, rows] of one timeframe."""
    closes[index & CLOSE_MASK, sym] = close
    slot = index & RANGE_MASK
    ranges[R_HIGH, slot, sym] = high
    ranges[R_LOW, slot, sym] = low
    ranges[R_VOLUME, slot, sym] = volume


@njit(cache=True, nogil=True)
def noted_nb(op, new):
    """What a cycle has done to a symbol's bars after a new one (new) or a revision."""
    if new:
        if op == OP_NONE:
            return OP_NEW
        return OP_BOTH if op == OP_REVISED else OP_MANY
    return OP_REVISED if op == OP_NONE else op


@njit(cache=True, nogil=True, error_model="numpy")
def bucket_bar_nb(bars_f, bars_i, first, end, sym):
    """(high, low, close, volume) of the final bars of minutes [first, end); close NaN: no price.

    A bar with a close and no high or low had no trade that could set them: its close stands for
    both.
    """
    high, low, close, volume = -np.inf, np.inf, np.nan, 0.0
    for minute in range(first, end):
        slot = minute % bars_i.shape[0]
        if bars_i[slot, sym, B_MINUTE] != minute:
            continue
        volume += bars_f[slot, sym, B_VOLUME]
        last = bars_f[slot, sym, B_CLOSE]
        if not last > 0.0:
            continue
        close = last
        top, bottom = bars_f[slot, sym, B_HIGH], bars_f[slot, sym, B_LOW]
        if not top >= bottom:
            top, bottom = last, last
        high, low = max(high, top), min(low, bottom)
    return high, low, close, volume


@njit(cache=True, nogil=True, error_model="numpy")
def _add_minute(bars_f, bars_i, minute, a, size, regular, bars):
    """Put a minute before the minutes that bars hold: float64[2, 4, TILE], for all hours and for
    regular ones high, low, close, volume. regular: the minute lies in regular hours."""
    slot = minute % bars_i.shape[0]
    every, some = bars[0], bars[1]
    for j in range(size):
        s = a + j
        if bars_i[slot, s, B_MINUTE] != minute:
            continue
        last, volume = bars_f[slot, s, B_CLOSE], bars_f[slot, s, B_VOLUME]
        top, bottom = bars_f[slot, s, B_HIGH], bars_f[slot, s, B_LOW]
        if not top >= bottom:
            top, bottom = last, last
        every[3, j] += volume
        some[3, j] += volume if regular else 0.0
        if not last > 0.0:
            continue
        every[0, j] = max(every[0, j], top)
        every[1, j] = min(every[1, j], bottom)
        every[2, j] = every[2, j] if every[2, j] > 0.0 else last
        if regular:
            some[0, j] = max(some[0, j], top)
            some[1, j] = min(some[1, j], bottom)
            some[2, j] = some[2, j] if some[2, j] > 0.0 else last


@njit(cache=True, nogil=True, error_model="numpy")
def _enter_nb(bar, a, size, bucket, closes, ranges, marks, ops):
    """Enter a tile's bars of one timeframe, float64[4, TILE]; how many are the first thing done to
    their symbol's bars in this cycle."""
    touched = 0
    for j in range(size):
        sym = a + j
        mark = marks[sym]
        if not bar[2, j] > 0.0 or bucket <= mark & MARK_BUCKET:
            continue
        index = mark >> MARK_SHIFT
        put_bar_nb(closes, ranges, index, sym, bar[0, j], bar[1, j], bar[2, j], bar[3, j])
        marks[sym] = (index + 1) << MARK_SHIFT | bucket
        touched += ops[sym] == OP_NONE
        ops[sym] = noted_nb(ops[sym], True)
    return touched


@njit(cache=True, nogil=True, error_model="numpy")
def close_minute_nb(
    bars_f, bars_i, minute, frames, regular_from, regular_end, closes, ranges, marks, ops, counts
):
    """Enter the bars of every timeframe whose time is over with `minute`, for all symbols.

    bars_f, bars_i: words of BAR [history_bars, rows, 8]; frames: int64[timeframes, 2], minutes (0:
    daily bars, which no minute changes) and 1 for regular hours only; regular hours are the minutes
    [regular_from, regular_end). marks: int64[timeframes, rows], ops: uint8[timeframes, rows],
    counts: int64[timeframes], of the copy that is built. One walk back over the minutes gives every
    timeframe: each ends with this minute.
    """
    rows, longest = marks.shape[1], 0
    for t in range(frames.shape[0]):
        if frames[t, 0] > 0 and (minute + 1) % frames[t, 0] == 0:
            longest = max(longest, frames[t, 0])
    bars = np.empty((2, 4, TILE))
    for a in range(0, rows, TILE):
        size = min(TILE, rows - a)
        bars[:, 0] = -np.inf
        bars[:, 1] = np.inf
        bars[:, 2] = np.nan
        bars[:, 3] = 0.0
        for back in range(longest):
            at = minute - back
            _add_minute(bars_f, bars_i, at, a, size, regular_from <= at < regular_end, bars)
            for t in range(frames.shape[0]):
                if frames[t, 0] == back + 1 and (minute + 1) % (back + 1) == 0:
                    counts[t] += _enter_nb(
                        bars[frames[t, 1]], a, size, minute // frames[t, 0], closes[t], ranges[t],
                        marks[t], ops[t],
                    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def take_events_nb(
    events_i, count, bars_f, bars_i, closed, frames, regular_from, regular_end, closes, ranges,
    marks, ops, counts, minute_high, minute_low, minute_stamp,
):  # fmt: skip
    """Take in bars of minutes up to `closed`, those that were over before this cycle: late and
    corrected ones. They revise the newest bar of a timeframe or, behind it, are a new one; older
    ones change extremes of minutes only. Arguments as in close_minute_nb and TimeframeTable."""
    for e in range(count):
        sym, minute = events_i[e, E_SYM], events_i[e, E_BAR + B_MINUTE]
        if minute > closed or minute < 0:
            continue
        row = minute % minute_stamp.shape[0]
        if minute_stamp[row] == minute:
            put_extremes_nb(bars_f, bars_i, minute, sym, minute_high[row], minute_low[row])
        for t in range(frames.shape[0]):
            minutes, regular = frames[t]
            if minutes == 0:
                continue
            if regular == 1 and not regular_from <= minute < regular_end:
                continue
            bucket = minute // minutes
            first, end = bucket * minutes, (bucket + 1) * minutes
            mark = marks[t, sym]
            if end - 1 > closed or bucket < mark & MARK_BUCKET:
                continue
            if regular == 1:
                first, end = max(first, regular_from), min(end, regular_end)
            high, low, close, volume = bucket_bar_nb(bars_f, bars_i, first, end, sym)
            if not close > 0.0:
                continue
            new = bucket > mark & MARK_BUCKET
            index = (mark >> MARK_SHIFT) - (0 if new else 1)
            put_bar_nb(closes[t], ranges[t], index, sym, high, low, close, volume)
            if new:
                marks[t, sym] = (index + 1) << MARK_SHIFT | bucket
            counts[t] += ops[t, sym] == OP_NONE
            ops[t, sym] = noted_nb(ops[t, sym], new)


@njit(cache=True, nogil=True, error_model="numpy")
def put_extremes_nb(bars_f, bars_i, minute, sym, highs, lows):
    """Enter high and low of a symbol's final bar of a minute, NaN where it has none."""
    slot = minute % bars_i.shape[0]
    close = bars_f[slot, sym, B_CLOSE]
    top, bottom = bars_f[slot, sym, B_HIGH], bars_f[slot, sym, B_LOW]
    if not top >= bottom:
        top, bottom = close, close
    priced = bars_i[slot, sym, B_MINUTE] == minute and close > 0.0
    highs[sym] = top if priced else np.nan
    lows[sym] = bottom if priced else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def minute_extremes_nb(bars_f, bars_i, minute, highs, lows):
    """Enter high and low of all symbols' final bars of a minute."""
    for sym in range(highs.shape[0]):
        put_extremes_nb(bars_f, bars_i, minute, sym, highs, lows)
