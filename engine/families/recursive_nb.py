"""Kernels of the families that carry a state from bar to bar, for a tile of symbols.

Each takes what it remembers as of the bar before from `before` and leaves what it remembers as of
the newest bar in `after`; slot 0, the number of bars, is the caller's. All follow TA-Lib: sums
stand in the slot of a mean until the mean has its seed.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def mean_nb(old, x, count, period, new, m):
    """EMA of `period`: slot `new` from slot `old` with value x, of m symbols; count: int64[TILE],
    values so far, x included. Below 1: nothing yet."""
    alpha = 2.0 / (period + 1.0)
    for j in range(m):
        total = old[j] + x[j]
        later = (x[j] - old[j]) * alpha + old[j]
        k = count[j]
        new[j] = later if k > period else (total / period if k == period else total)
        new[j] = new[j] if k > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def wilder_nb(old, x, seen, period, new, m):
    """Wilder's mean of `period` values, the first of which belongs to bar 2."""
    for j in range(m):
        total = old[j] + x[j]
        later = (old[j] * (period - 1.0) + x[j]) / period
        k = seen[j] - 1
        new[j] = later if k > period else (total / period if k == period else total)
        new[j] = new[j] if k > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def true_range_nb(w, c, r, out):
    """True range of the newest bar, NaN without its high and low; c, r: how many rows of closes and
    of the rest are filled."""
    high, low, previous = w.high[r - 1], w.low[r - 1], w.close[c - 2]
    for j in range(w.size[0]):
        top = previous[j] if previous[j] > high[j] else high[j]
        bottom = previous[j] if previous[j] < low[j] else low[j]
        out[j] = top - bottom


@njit(cache=True, nogil=True, error_model="numpy")
def ema_nb(p, w, c, r):
    """ema(period)."""
    period = p[0]
    mean_nb(w.before[1], w.close[c - 1], w.seen, period, w.after[1], w.size[0])
    for j in range(w.size[0]):
        w.value[j] = w.after[1, j] if w.seen[j] >= period else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def rsi_nb(p, w, c, r):
    """rsi(period): 100 * gains / (gains + losses)."""
    period = p[0]
    now, previous = w.close[c - 1], w.close[c - 2]
    for j in range(w.size[0]):
        change = now[j] - previous[j]
        w.a[j] = change if change > 0.0 else 0.0
        w.b[j] = -change if change < 0.0 else 0.0
    wilder_nb(w.before[1], w.a, w.seen, period, w.after[1], w.size[0])
    wilder_nb(w.before[2], w.b, w.seen, period, w.after[2], w.size[0])
    for j in range(w.size[0]):
        moved = w.after[1, j] + w.after[2, j]
        known = w.seen[j] > period and moved > 0.0
        w.value[j] = 100.0 * (w.after[1, j] / moved) if known else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def atr_nb(p, w, c, r):
    """atr(period)."""
    true_range_nb(w, c, r, w.a)
    wilder_nb(w.before[1], w.a, w.seen, p[0], w.after[1], w.size[0])
    for j in range(w.size[0]):
        w.value[j] = w.after[1, j] if w.seen[j] > p[0] else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def macd_nb(p, w, c, r, line):
    """macd(fast, slow, signal); line 0: macd, 1: signal, 2: their difference."""
    fast, slow, signal, count = p[0], p[1], p[2], w.counts
    close = w.close[c - 1]
    for j in range(w.size[0]):
        count[j] = w.seen[j] - np.int64(slow - fast)  # both have their seed at the slow one's bar
    mean_nb(w.before[1], close, count, fast, w.after[1], w.size[0])
    mean_nb(w.before[2], close, w.seen, slow, w.after[2], w.size[0])
    for j in range(w.size[0]):
        w.a[j] = w.after[1, j] - w.after[2, j]
        count[j] = w.seen[j] - np.int64(slow) + 1
    mean_nb(w.before[3], w.a, count, signal, w.after[3], w.size[0])
    for j in range(w.size[0]):
        result = w.a[j] if line == 0 else w.after[3, j]
        result = w.a[j] - w.after[3, j] if line == 2 else result
        w.value[j] = result if w.seen[j] >= slow + signal - 1 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _fade_nb(old, x, seen, period, new, m):
    """Wilder's sum: plain over the first period - 1 values, then fading by a share a bar."""
    for j in range(m):
        k = seen[j]
        faded = old[j] - old[j] / period + x[j] if k > period else old[j] + x[j]
        new[j] = faded if k > 1 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _directions_nb(p, w, c, r):
    """Slots 1 to 3: Wilder sums of true ranges, upward and downward moves."""
    true_range_nb(w, c, r, w.a)
    _fade_nb(w.before[1], w.a, w.seen, p[0], w.after[1], w.size[0])
    for j in range(w.size[0]):
        up = w.high[r - 1, j] - w.high[r - 2, j]
        down = w.low[r - 2, j] - w.low[r - 1, j]
        w.a[j] = up if up > 0.0 and up > down else 0.0
        w.b[j] = down if down > 0.0 and down > up else 0.0
    _fade_nb(w.before[2], w.a, w.seen, p[0], w.after[2], w.size[0])
    _fade_nb(w.before[3], w.b, w.seen, p[0], w.after[3], w.size[0])


@njit(cache=True, nogil=True, error_model="numpy")
def direction_nb(p, w, c, r, slot):
    """plus_di(period) with slot 2, minus_di(period) with slot 3."""
    _directions_nb(p, w, c, r)
    for j in range(w.size[0]):
        known = w.seen[j] > p[0] and w.after[1, j] > 0.0
        w.value[j] = 100.0 * (w.after[slot, j] / w.after[1, j]) if known else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def adx_nb(p, w, c, r):
    """adx(period): the mean of DX begins with period + 1 bars and is known with twice as many."""
    period = p[0]
    _directions_nb(p, w, c, r)
    for j in range(w.size[0]):
        old, ranged = w.before[4, j], w.after[1, j]
        plus, minus = 100.0 * (w.after[2, j] / ranged), 100.0 * (w.after[3, j] / ranged)
        both = plus + minus
        directed = ranged > 0.0 and both > 0.0
        dx = 100.0 * (abs(minus - plus) / both) if directed else 0.0
        k = w.seen[j] - np.int64(period)  # values of DX so far
        total = old + dx
        later = (old * (period - 1.0) + dx) / period if directed else old
        new = later if k > period else (total / period if k == period else total)
        w.after[4, j] = new if k > 0 else 0.0
        w.value[j] = w.after[4, j] if k >= period and ranged > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def supertrend_nb(p, w, c, r, direction):
    """supertrend(period, multiplier): the line or, with direction, 1 and -1."""
    period, multiplier = p[0], p[1]
    true_range_nb(w, c, r, w.a)
    wilder_nb(w.before[1], w.a, w.seen, period, w.after[1], w.size[0])
    for j in range(w.size[0]):
        middle = (w.high[r - 1, j] + w.low[r - 1, j]) / 2.0
        reach = multiplier * w.after[1, j]
        lower, upper = middle - reach, middle + reach
        close, previous = w.close[c - 1, j], w.close[c - 2, j]
        first = w.seen[j] == np.int64(period) + 1
        old_lower, old_upper, trend = w.before[2, j], w.before[3, j], w.before[4, j]
        lower = lower if first or lower > old_lower or previous < old_lower else old_lower
        upper = upper if first or upper < old_upper or previous > old_upper else old_upper
        rising = close > upper if trend < 0.0 else not close < lower
        rising = rising or first
        known = w.seen[j] > period
        w.after[2, j] = lower if known else 0.0
        w.after[3, j] = upper if known else 0.0
        w.after[4, j] = (1.0 if rising else -1.0) if known else 0.0
        result = lower if rising else upper
        result = w.after[4, j] if direction else result
        w.value[j] = result if known and not np.isnan(middle) else np.nan
