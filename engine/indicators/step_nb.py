"""Kernels of the indicators: one bar forward for one symbol, windows in time for all."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.domain.records import (
    B_CLOSE,
    B_HIGH,
    B_LOW,
    B_MINUTE,
    B_OPEN,
    B_PV,
    B_VOLUME,
    BAR_FINAL,
    BAR_REVISED,
    E_BAR,
    E_BAR_INDEX,
    E_KIND,
    E_SYM,
    MAX_VOLUME_STEP,
)
from engine.indicators.runs_nb import RUN_SLOTS, RUNS, advance_runs

# State slots of one symbol. Sums stand in the slot of a mean until the mean has its seed.
S_COUNT, S_NEWEST, S_WINDOW, S_CLOSE = 0, 1, 2, 3
S_GAIN, S_LOSS, S_TR = 4, 5, 6
S_EMA20, S_EMA50, S_EMA200 = 7, 8, 9
S_FAST, S_SLOW, S_SIGNAL = 10, 11, 12
S_SUM50, S_SUM50_LOW, S_SUM200, S_SUM200_LOW = 13, 14, 15, 16
S_RUNS = 17
SLOTS = S_RUNS + RUN_SLOTS
BEFORE, AFTER = 0, 1

# Value columns.
V_RSI = 0
V_EMA20, V_EMA50, V_EMA200 = 1, 2, 3
V_SMA20, V_SMA50, V_SMA200 = 4, 5, 6
V_ATR = 7
V_MACD, V_SIGNAL, V_HIST = 8, 9, 10
V_BB_UPPER, V_BB_MIDDLE, V_BB_LOWER = 11, 12, 13
BAR_VALUES = 14
V_VWAP, V_AVG_VOL, V_RATIO = 14, 17, 20  # three each: 5, 15, 60 minutes
V_RUNS = 23
OUTPUTS = V_RUNS + RUNS
# Inner columns: the closed minute the windows end with; per window sum of pv (high and low part of
# a compensated sum) and of volume.
W_MINUTE, W_SUMS = OUTPUTS, OUTPUTS + 1
VALUES = W_SUMS + 9

MEAN_WINDOWS, MEAN_WINDOWS_MIN = 20, 5
TILE = 128
MINUTES_0, MINUTES_1, MINUTES_2 = 5, 15, 60


@njit(cache=True, nogil=True, error_model="numpy")
def add_exactly(high, low, x):
    """high + low + x as a sum of two floats whose error is of the order 1e-32 (Knuth, Dekker)."""
    total = high + x
    part = total - high
    low += (high - (total - part)) + (x - part)
    result = total + low
    return result, low - (result - total)


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_forward(mean, close, count, period):
    """An EMA slot one bar on: the sum before the seed, the seed, the EMA after it."""
    if count < period:
        return mean + close
    if count == period:
        return (mean + close) / period
    return (close - mean) * (2.0 / (period + 1)) + mean


@njit(cache=True, nogil=True, error_model="numpy")
def _wilder_forward(mean, x, count):
    """Wilder's mean of 14 one bar on; the first x belongs to bar 2, the seed to bar 15."""
    if count < 15:
        return mean + x
    if count == 15:
        return (mean + x) / 14
    return (mean * 13 + x) / 14


@njit(cache=True, nogil=True, error_model="numpy")
def _window_sum(new, slot, period, index, close, sym, closes):
    """Add `close` to the running sum of `period` closes and take out the one that leaves.

    The ring of closes is a power of two long.
    """
    high, low = add_exactly(new[slot], new[slot + 1], close)
    if new[S_WINDOW] > period:
        left = closes[(index - period) & (closes.shape[0] - 1), sym]
        high, low = add_exactly(high, low, -left)
    new[slot] = high
    new[slot + 1] = low


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(
    old, new, minute, opened, high, low, close, index, sym, closes, fresh_window
):
    """new = old and one more bar; `old` and `new` are float64[SLOTS]. Writes the close ring.

    fresh_window: the close windows start with this bar, in `old` too, so that a revision of this
    bar starts them again.
    """
    if fresh_window:
        old[S_WINDOW] = 0.0
        for slot in range(S_SUM50, S_RUNS):
            old[slot] = 0.0
    for slot in range(SLOTS):
        new[slot] = old[slot]
    count = int(old[S_COUNT]) + 1
    if count > 1 and index != int(old[S_NEWEST]) + 1:
        count = 1  # a bar was missed: nothing that leans on the bars before is known
    if count == 1:
        for slot in range(SLOTS):
            new[slot] = 0.0
    advance_runs(new, S_RUNS, minute, opened, new[S_CLOSE])
    new[S_COUNT] = count
    new[S_NEWEST] = index
    new[S_WINDOW] += 1.0
    if count > 1:
        previous = old[S_CLOSE]
        change = close - previous
        true_range = max(high, previous) - min(low, previous)
        new[S_GAIN] = _wilder_forward(new[S_GAIN], change if change > 0.0 else 0.0, count)
        new[S_LOSS] = _wilder_forward(new[S_LOSS], -change if change < 0.0 else 0.0, count)
        new[S_TR] = _wilder_forward(new[S_TR], true_range, count)
    new[S_CLOSE] = close
    new[S_EMA20] = _mean_forward(new[S_EMA20], close, count, 20)
    new[S_EMA50] = _mean_forward(new[S_EMA50], close, count, 50)
    new[S_EMA200] = _mean_forward(new[S_EMA200], close, count, 200)
    if count >= 15:  # TA-Lib: both EMAs of the MACD have their seed at bar 26
        new[S_FAST] = _mean_forward(new[S_FAST], close, count - 14, 12)
    new[S_SLOW] = _mean_forward(new[S_SLOW], close, count, 26)
    if count >= 26:
        new[S_SIGNAL] = _mean_forward(new[S_SIGNAL], new[S_FAST] - new[S_SLOW], count - 25, 9)
    closes[index & (closes.shape[0] - 1), sym] = close
    _window_sum(new, S_SUM50, 50, index, close, sym, closes)
    _window_sum(new, S_SUM200, 200, index, close, sym, closes)


@njit(cache=True, nogil=True, error_model="numpy")
def _recursive_values(state, sym, values):
    """Values of one symbol that need no look at its closes; state: float64[SLOTS]."""
    count = state[S_COUNT]
    moved = state[S_GAIN] + state[S_LOSS]
    known = count >= 15 and moved > 0.0
    values[V_RSI, sym] = 100.0 * (state[S_GAIN] / moved) if known else np.nan
    values[V_ATR, sym] = state[S_TR] if count >= 15 else np.nan
    values[V_EMA20, sym] = state[S_EMA20] if count >= 20 else np.nan
    values[V_EMA50, sym] = state[S_EMA50] if count >= 50 else np.nan
    values[V_EMA200, sym] = state[S_EMA200] if count >= 200 else np.nan
    macd = state[S_FAST] - state[S_SLOW]
    values[V_MACD, sym] = macd if count >= 34 else np.nan
    values[V_SIGNAL, sym] = state[S_SIGNAL] if count >= 34 else np.nan
    values[V_HIST, sym] = macd - state[S_SIGNAL] if count >= 34 else np.nan
    window = state[S_WINDOW]
    sum50 = state[S_SUM50] + state[S_SUM50_LOW]
    sum200 = state[S_SUM200] + state[S_SUM200_LOW]
    values[V_SMA50, sym] = sum50 / 50 if window >= 50 else np.nan
    values[V_SMA200, sym] = sum200 / 200 if window >= 200 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def outputs(state, closes, values, listed, count):
    """Values over bars of the symbols listed[:count], from their newest state.

    state: float64[rows, 2, SLOTS]; values: float64[VALUES, rows]. Mean and population deviation
    of the last 20 closes take two passes, relative to the newest close, so that nothing cancels;
    a tile of symbols at a time, so that their scattered reads overlap.
    """
    mask = closes.shape[0] - 1
    differences, means = np.empty((19, TILE)), np.empty(TILE)
    for first in range(0, count, TILE):
        size = min(TILE, count - first)
        means[:] = 0.0
        for i in range(19):
            for j in range(size):
                sym = listed[first + j]
                slot = (int(state[sym, AFTER, S_NEWEST]) - 1 - i) & mask
                difference = closes[slot, sym] - state[sym, AFTER, S_CLOSE]
                differences[i, j] = difference
                means[j] += difference
        for j in range(size):
            sym = listed[first + j]
            _recursive_values(state[sym, AFTER], sym, values)
            mean = means[j] / 20
            squares = mean * mean
            for i in range(19):
                squares += (differences[i, j] - mean) * (differences[i, j] - mean)
            known = state[sym, AFTER, S_WINDOW] >= 20
            deviation = np.sqrt(squares / 20)
            middle = state[sym, AFTER, S_CLOSE] + mean
            values[V_SMA20, sym] = middle if known else np.nan
            values[V_BB_MIDDLE, sym] = middle if known else np.nan
            values[V_BB_UPPER, sym] = middle + 2.0 * deviation if known else np.nan
            values[V_BB_LOWER, sym] = middle - 2.0 * deviation if known else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def copy_changed(state, values, old, new, changed, count, whole_windows):
    """Bring copy `new` level with `old`: the `count` symbols that the build of `old` touched.

    whole_windows: that build moved the windows in time of every symbol.
    """
    for i in range(count):
        sym = changed[old, i]
        for part in range(2):
            for slot in range(SLOTS):
                state[new, sym, part, slot] = state[old, sym, part, slot]
    for column in range(BAR_VALUES):
        for i in range(count):
            sym = changed[old, i]
            values[new, column, sym] = values[old, column, sym]
    if whole_windows:
        values[new, BAR_VALUES:] = values[old, BAR_VALUES:]
    else:
        for column in range(BAR_VALUES, VALUES):
            for i in range(count):
                sym = changed[old, i]
                values[new, column, sym] = values[old, column, sym]


@njit(cache=True, nogil=True, error_model="numpy")
def step_events(
    events_f, events_i, count, state, closes, old, new, changed, seen, dirty, closed, bars_max
):
    """Apply `count` bar events to copy `new`, which holds what copy `old` does; returns changed.

    events_f, events_i: words of BAR_EVENT [any, 12]. seen: uint8[rows], zero, set for symbols in
    `changed[new]`. dirty: uint8[rows], zero, set for symbols whose rolling sums cannot just move
    on: an event of a minute up to `closed`, which their windows hold already. bars_max: a symbol
    with more new bars in one step starts its close windows again, because the ring would no
    longer hold what a repetition of this step needs.
    """
    touched = 0
    for e in range(count):
        sym = events_i[e, E_SYM]
        if events_i[e, E_BAR + B_MINUTE] <= closed:
            dirty[sym] = 1
        kind = events_i[e, E_KIND]
        index = events_i[e, E_BAR_INDEX]
        close = events_f[e, E_BAR + B_CLOSE]
        before, after = state[new, sym, BEFORE], state[new, sym, AFTER]
        known = after[S_COUNT] > 0.0
        final = kind == BAR_FINAL and index >= 0 and (not known or index > after[S_NEWEST])
        revised = kind == BAR_REVISED and known and index == after[S_NEWEST]
        final = final and close > 0.0
        revised = revised and close > 0.0
        if not seen[sym] and (final or revised or dirty[sym]):
            seen[sym] = 1
            changed[new, touched] = sym
            touched += 1
        if final:
            for slot in range(SLOTS):
                before[slot] = after[slot]
        if final or revised:
            had_bars = state[old, sym, AFTER, S_COUNT] > 0.0
            new_bars = index - state[old, sym, AFTER, S_NEWEST]
            fresh = had_bars and new_bars == bars_max + 1
            high, low = events_f[e, E_BAR + B_HIGH], events_f[e, E_BAR + B_LOW]
            if not high >= low:  # trades that set the close and no extreme: a range of nothing
                high, low = close, close
            minute, opened = events_i[e, E_BAR + B_MINUTE], events_f[e, E_BAR + B_OPEN]
            _advance(
                before, after, minute, opened, high, low, close, index, sym, closes, fresh
            )
    return touched


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_minute(bars_f, bars_i, minute, pv, volume):
    """pv and volume (float64[rows], scratch) of the final bars of one minute, 0 where no bar."""
    slot = minute % bars_i.shape[0]
    for sym in range(pv.shape[0]):
        here = bars_i[slot, sym, B_MINUTE] == minute
        pv[sym] = bars_f[slot, sym, B_PV] if here else 0.0
        volume[sym] = bars_f[slot, sym, B_VOLUME] if here else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _move_window(high, low, total, vwap, pv_in, volume_in, pv_out, volume_out):
    """One minute into the rolling sums of one window, one out; every argument is float64[rows]."""
    for sym in range(total.shape[0]):
        a, b = add_exactly(high[sym], low[sym], pv_in[sym])
        a, b = add_exactly(a, b, -pv_out[sym])
        volume = total[sym] + volume_in[sym] - volume_out[sym]
        some = volume > 0.0
        high[sym] = a if some else 0.0
        low[sym] = b if some else 0.0
        total[sym] = volume
        vwap[sym] = (a + b) / volume if some else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_windows(bars_f, bars_i, closed, values, sym):
    """The rolling sums of one symbol, added up anew, newest minute first."""
    high, low, total = 0.0, 0.0, 0.0
    window = 0
    for back in range(MINUTES_2):
        minute = closed - back
        slot = minute % bars_i.shape[0]
        if bars_i[slot, sym, B_MINUTE] == minute:
            high, low = add_exactly(high, low, bars_f[slot, sym, B_PV])
            total += bars_f[slot, sym, B_VOLUME]
        if back + 1 == MINUTES_0 or back + 1 == MINUTES_1 or back + 1 == MINUTES_2:
            column = W_SUMS + 3 * window
            values[column, sym] = high if total > 0.0 else 0.0
            values[column + 1, sym] = low if total > 0.0 else 0.0
            values[column + 2, sym] = total
            values[V_VWAP + window, sym] = (high + low) / total if total > 0.0 else np.nan
            window += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _is_whole(values, sym):
    """True if the three windows of a symbol hold whole numbers of shares."""
    for column in range(W_SUMS + 2, W_SUMS + 9, 3):
        if values[column, sym] != np.floor(values[column, sym]):
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def roll_windows(bars_f, bars_i, closed, values, dirty):
    """Rolling VWAP of every symbol over the final bars of the 5, 15, 60 minutes up to `closed`.

    bars_f, bars_i: words of BAR [history_bars, rows, 8]; values: float64[VALUES, rows] of the
    copy that is being built, which holds the state before. Sums that end a minute earlier move
    on (whole shares, compensated sums of price * size: nothing drifts); those that end elsewhere,
    those of `dirty` symbols and those of fractions of shares, which would leave a rest, are added
    up anew. Symbol 0 says where the sums end.
    """
    rows = values.shape[1]
    stands_at = values[W_MINUTE, 0]
    anew = stands_at != closed and stands_at != closed - 1
    if stands_at == closed - 1:
        pv_in, volume_in = np.empty(rows), np.empty(rows)
        pv_out, volume_out = np.empty(rows), np.empty(rows)
        _gather_minute(bars_f, bars_i, closed, pv_in, volume_in)
        for window in range(3):
            minutes = MINUTES_0 if window == 0 else (MINUTES_1 if window == 1 else MINUTES_2)
            _gather_minute(bars_f, bars_i, closed - minutes, pv_out, volume_out)
            column = W_SUMS + 3 * window
            _move_window(
                values[column], values[column + 1], values[column + 2], values[V_VWAP + window],
                pv_in, volume_in, pv_out, volume_out,
            )  # fmt: skip
    for sym in range(rows):
        moved = values[W_MINUTE, sym] == stands_at and _is_whole(values, sym)
        if anew or dirty[sym] or not moved:
            _sum_windows(bars_f, bars_i, closed, values, sym)
        values[W_MINUTE, sym] = closed


@njit(cache=True, nogil=True, error_model="numpy")
def _volume_row(minute, stamps):
    """Row of the cumulative volumes as of whole minute `minute`, -1 if it is not held."""
    if minute < 0:
        return -1
    row = minute % stamps.shape[0]
    return row if stamps[row] == minute else -1


@njit(cache=True, nogil=True, error_model="numpy")
def _volume_between(volumes, earlier, later, sym):
    """Volume of a window from two rows modulo 2**32; 0 if a cancel of an older trade took away
    more than came."""
    volume = np.uint32(volumes[later, sym] - volumes[earlier, sym])
    return np.uint32(volume if volume <= MAX_VOLUME_STEP else 0)


@njit(cache=True, nogil=True, error_model="numpy")
def volume_ratios(volumes, stamps, closed, session_start, values):
    """avg_vol_Nm and vol_ratio_Nm of every symbol for N = 5, 15, 60.

    volumes: uint32[session_minutes, rows], volume of the session date as of whole minutes, modulo
    2**32; stamps: the minute a row holds. With E = closed + 1 (the instant at which the newest
    closed minute ended; its row was written when T reached E, before `closed` could advance), the
    latest window is V(E) - V(E - N); the mean is that of the K windows of N minutes before it. K
    is how many of them, newest first and at most 20, lie in the session date and have their rows
    held; fewer than 5: unknown. Volume stands in the minute in which the engine took a trade in.
    Each window is a difference modulo 2**32, so that only a window, not the day, has to fit.
    """
    end, rows = closed + 1, values.shape[1]
    newest = _volume_row(end, stamps)
    for window in range(3):
        minutes = MINUTES_0 if window == 0 else (MINUTES_1 if window == 1 else MINUTES_2)
        mean, ratio = values[V_AVG_VOL + window], values[V_RATIO + window]
        first = _volume_row(end - minutes, stamps)
        later, complete = first, 0
        mean[:] = 0.0
        for k in range(MEAN_WINDOWS if newest >= 0 and first >= 0 else 0):
            start = end - (k + 2) * minutes
            row = _volume_row(start, stamps)
            if start < session_start or row < 0:
                break
            for sym in range(rows):
                mean[sym] += _volume_between(volumes, row, later, sym)
            later, complete = row, complete + 1
        if complete < MEAN_WINDOWS_MIN:
            mean[:] = np.nan
            ratio[:] = np.nan
            continue
        for sym in range(rows):
            mean[sym] /= complete
            latest = _volume_between(volumes, first, newest, sym)
            ratio[sym] = latest / mean[sym] if mean[sym] > 0.0 else np.nan
