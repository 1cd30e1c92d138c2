"""Formulas that many columns share, over arrays of one length; NaN is unknown."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def positive(x):
    """A price, or NaN where there is none (zero in a row that was never used)."""
    return x if x > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def age_s(t_ns, event_ns):
    """Seconds from an exchange stamp to T, 0 where the exchange's clock is ahead of T."""
    return max(t_ns - event_ns, 0) / 1e9


@njit(cache=True, nogil=True, error_model="numpy")
def percent(x, base, to):
    """to = 100 * (x / base - 1), NaN unless base > 0; float64 arrays of one length."""
    for i in range(to.shape[0]):
        change = 100.0 * (x[i] / base[i] - 1.0)
        to[i] = change if base[i] > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def ratio(x, base, scale, to):
    """to = scale * x / base, NaN unless base > 0."""
    for i in range(to.shape[0]):
        found = scale * x[i] / base[i]
        to[i] = found if base[i] > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def difference(x, y, to):
    """to = x - y."""
    for i in range(to.shape[0]):
        to[i] = x[i] - y[i]


@njit(cache=True, nogil=True, error_model="numpy")
def position(last, low, high, scale, to):
    """Where `last` stands between low (0) and high (scale), NaN unless high > low."""
    for i in range(to.shape[0]):
        width = high[i] - low[i]
        place = scale * (last[i] - low[i]) / width
        to[i] = place if width > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def slot_of(stamps, instant):
    """Row of a history that holds `instant`, -1 if none does."""
    if instant < 0:
        return -1
    slot = instant % stamps.shape[0]
    return slot if stamps[slot] == instant else -1
