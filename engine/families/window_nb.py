"""Kernels of the families that look at a window of bars, for a tile of symbols.

They remember nothing: a value is computed anew from its bars, the oldest first, so that nothing
drifts and a revision is simply computed again.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def total_nb(rows, first, end, out, m):
    """Sum of rows[first:end], float64[any, TILE], of m symbols."""
    for j in range(m):
        out[j] = 0.0
    for k in range(first, end):
        row = rows[k]
        for j in range(m):
            out[j] += row[j]


@njit(cache=True, nogil=True, error_model="numpy")
def highest_nb(rows, first, end, out, m):
    """Highest of rows[first:end]."""
    for j in range(m):
        out[j] = rows[first, j]
    for k in range(first + 1, end):
        row = rows[k]
        for j in range(m):
            out[j] = row[j] if row[j] > out[j] else out[j]


@njit(cache=True, nogil=True, error_model="numpy")
def lowest_nb(rows, first, end, out, m):
    """Lowest of rows[first:end]."""
    for j in range(m):
        out[j] = rows[first, j]
    for k in range(first + 1, end):
        row = rows[k]
        for j in range(m):
            out[j] = row[j] if row[j] < out[j] else out[j]


@njit(cache=True, nogil=True, error_model="numpy")
def known_nb(w, bars):
    """Values of symbols with fewer bars are unknown."""
    for j in range(w.size[0]):
        w.value[j] = w.value[j] if w.there[j] >= bars else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def moments_nb(w, n, c):
    """Mean of n closes, less the newest one, in a; their population variance in b.

    Both passes are relative to the newest close, so that nothing cancels.
    """
    newest = w.close[c - 1]
    for j in range(w.size[0]):
        w.a[j] = 0.0
        w.b[j] = 0.0
    for k in range(c - n, c):
        row = w.close[k]
        for j in range(w.size[0]):
            w.a[j] += row[j] - newest[j]
    for j in range(w.size[0]):
        w.a[j] /= n
    for k in range(c - n, c):
        row = w.close[k]
        for j in range(w.size[0]):
            off = (row[j] - newest[j]) - w.a[j]
            w.b[j] += off * off
    for j in range(w.size[0]):
        w.b[j] /= n


@njit(cache=True, nogil=True, error_model="numpy")
def sma_nb(p, w, c):
    """sma(period)."""
    n = np.int64(p[0])
    newest = w.close[c - 1]
    for j in range(w.size[0]):
        w.a[j] = 0.0
    for k in range(c - n, c):
        row = w.close[k]
        for j in range(w.size[0]):
            w.a[j] += row[j] - newest[j]
    for j in range(w.size[0]):
        w.value[j] = newest[j] + w.a[j] / n
    known_nb(w, n)


BAND_DEVIATION, BAND_UPPER, BAND_LOWER, BAND_WIDTH, BAND_PLACE = range(5)


@njit(cache=True, nogil=True, error_model="numpy")
def bands_nb(p, w, c, line):
    """stddev(period), and of the bands bb_*(period, deviations) the one that `line` names."""
    n = np.int64(p[0])
    moments_nb(w, n, c)
    newest = w.close[c - 1]
    for j in range(w.size[0]):
        deviation = np.sqrt(w.b[j])
        middle, reach = newest[j] + w.a[j], p[1] * deviation
        if line == BAND_DEVIATION:
            w.value[j] = deviation
        elif line == BAND_UPPER:
            w.value[j] = middle + reach
        elif line == BAND_LOWER:
            w.value[j] = middle - reach
        elif line == BAND_WIDTH:
            w.value[j] = 100.0 * (2.0 * reach) / middle if middle > 0.0 else np.nan
        else:
            w.value[j] = (reach - w.a[j]) / (2.0 * reach) if reach > 0.0 else np.nan
    known_nb(w, n)


@njit(cache=True, nogil=True, error_model="numpy")
def roc_nb(p, w, c):
    """roc(period)."""
    n = np.int64(p[0])
    now, then = w.close[c - 1], w.close[c - 1 - n]
    for j in range(w.size[0]):
        w.value[j] = 100.0 * (now[j] / then[j] - 1.0) if then[j] > 0.0 else np.nan
    known_nb(w, n + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def line_nb(p, w, c, squared):
    """linreg_slope(period) or, squared, r2(period): of closes against the number of the bar."""
    n = np.int64(p[0])
    moments_nb(w, n, c)
    newest = w.close[c - 1]
    centre = (n - 1) / 2.0
    width = n * (n * n - 1.0) / 12.0
    for j in range(w.size[0]):
        w.d[j] = 0.0
    for k in range(n):
        row, x = w.close[c - n + k], k - centre
        for j in range(w.size[0]):
            w.d[j] += x * ((row[j] - newest[j]) - w.a[j])
    for j in range(w.size[0]):
        if squared:
            spread = width * (w.b[j] * n)
            w.value[j] = w.d[j] * w.d[j] / spread if spread > 0.0 else np.nan
        else:
            w.value[j] = w.d[j] / width
    known_nb(w, n)


@njit(cache=True, nogil=True, error_model="numpy")
def vwma_nb(p, w, c, r):
    """vwma(period)."""
    n = np.int64(p[0])
    for j in range(w.size[0]):
        w.a[j] = 0.0
        w.b[j] = 0.0
    for k in range(n):
        close, volume = w.close[c - n + k], w.volume[r - n + k]
        for j in range(w.size[0]):
            w.a[j] += close[j] * volume[j]
            w.b[j] += volume[j]
    for j in range(w.size[0]):
        w.value[j] = w.a[j] / w.b[j] if w.b[j] > 0.0 else np.nan
    known_nb(w, n)


@njit(cache=True, nogil=True, error_model="numpy")
def typical_nb(w, c, r, back, out):
    """Typical price of the bar `back` bars before the newest."""
    high, low, close = w.high[r - 1 - back], w.low[r - 1 - back], w.close[c - 1 - back]
    for j in range(w.size[0]):
        out[j] = (high[j] + low[j] + close[j]) / 3.0


@njit(cache=True, nogil=True, error_model="numpy")
def cci_nb(p, w, c, r):
    """cci(period)."""
    n = np.int64(p[0])
    for j in range(w.size[0]):
        w.a[j] = 0.0
        w.b[j] = 0.0
    for back in range(n):
        price = w.rows[back]
        typical_nb(w, c, r, back, price)
        for j in range(w.size[0]):
            w.a[j] += price[j]
    for j in range(w.size[0]):
        w.a[j] /= n
    for back in range(n):
        price = w.rows[back]
        for j in range(w.size[0]):
            w.b[j] += abs(price[j] - w.a[j])
    for j in range(w.size[0]):
        # sums of equal prices differ from them by rounding alone
        spread = w.b[j] / n
        some = spread > 1e-12 * abs(w.a[j])
        w.value[j] = (w.rows[0, j] - w.a[j]) / (0.015 * spread) if some else np.nan
    known_nb(w, n)


@njit(cache=True, nogil=True, error_model="numpy")
def mfi_nb(p, w, c, r):
    """mfi(period): flow is typical price * volume, up or down as the typical price went."""
    n = np.int64(p[0])
    for j in range(w.size[0]):
        w.a[j] = 0.0
        w.b[j] = 0.0
    typical_nb(w, c, r, n, w.d)
    for k in range(n):
        back = n - 1 - k
        high, low, close = w.high[r - 1 - back], w.low[r - 1 - back], w.close[c - 1 - back]
        volume = w.volume[r - 1 - back]
        for j in range(w.size[0]):
            price = (high[j] + low[j] + close[j]) / 3.0
            flow = price * volume[j]
            # sums of the same prices in another order differ by rounding alone
            moved = price - w.d[j]
            equal = abs(moved) <= 1e-13 * price
            w.a[j] += flow if moved > 0.0 and not equal else 0.0
            w.b[j] += flow if moved < 0.0 and not equal else 0.0
            w.d[j] = price
    for j in range(w.size[0]):
        flow = w.a[j] + w.b[j]
        w.value[j] = 100.0 * (w.a[j] / flow) if flow > 0.0 else np.nan
    known_nb(w, n + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def place_nb(w, n, c, r, back, out):
    """100 * place of a close in the range of n bars up to it, `back` bars before the newest."""
    highest_nb(w.high, r - back - n, r - back, w.a, w.size[0])
    lowest_nb(w.low, r - back - n, r - back, w.b, w.size[0])
    close = w.close[c - 1 - back]
    for j in range(w.size[0]):
        width = w.a[j] - w.b[j]
        out[j] = 100.0 * (close[j] - w.b[j]) / width if width > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def williams_nb(p, w, c, r):
    """williams_r(period)."""
    n = np.int64(p[0])
    highest_nb(w.high, r - n, r, w.a, w.size[0])
    lowest_nb(w.low, r - n, r, w.b, w.size[0])
    close = w.close[c - 1]
    for j in range(w.size[0]):
        width = w.a[j] - w.b[j]
        w.value[j] = -100.0 * (w.a[j] - close[j]) / width if width > 0.0 else np.nan
    known_nb(w, n)


@njit(cache=True, nogil=True, error_model="numpy")
def stochastic_nb(p, w, c, r, signal):
    """stoch_k(period, slow, signal) or, with signal, stoch_d: the mean of its last values."""
    n, slow, last = np.int64(p[0]), np.int64(p[1]), np.int64(p[2])
    for j in range(w.size[0]):
        w.value[j] = 0.0
    # the mean of means: each place counts as often as it stands in one of the windows of `slow`
    windows = last if signal else 1
    for back in range(slow + windows - 1):
        place_nb(w, n, c, r, back, w.d)
        times = min(back + 1, slow, windows, slow + windows - 1 - back)
        for j in range(w.size[0]):
            w.value[j] += times * w.d[j]
    for j in range(w.size[0]):
        w.value[j] /= slow * windows
    known_nb(w, n + slow + last - 2)
