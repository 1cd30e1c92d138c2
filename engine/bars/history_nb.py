"""Kernels that write the histories: final bars, prices and volumes by second and minute."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.bars.layout import R_SEEN
from engine.domain.records import B_MINUTE, E_BAR, E_SYM, R_CUMULATIVE, R_LAST, R_TRADES

BAR_WORDS = 8


@njit(cache=True, nogil=True)
def write_bars(ev_i, count, bars_i):
    """Store the first `count` events' bars; a slot keeps the newest minute that ever came.

    ev_i: int64[events, 12]; bars_i: int64[history_bars, rows, 8]. Writing twice changes nothing.
    """
    for e in range(count):
        minute = ev_i[e, E_BAR + B_MINUTE]
        slot = minute % bars_i.shape[0]
        s = ev_i[e, E_SYM]
        if bars_i[slot, s, B_MINUTE] <= minute:
            for word in range(BAR_WORDS):
                bars_i[slot, s, word] = ev_i[e, E_BAR + word]


@njit(cache=True, nogil=True)
def write_second(rows_f, rows_i, prices, volumes, trades):
    """The rows of a second in one pass: see `write_prices` and `write_volumes`; trades:
    uint32[rows], volume-eligible trades of the session date."""
    for s in range(rows_f.shape[0]):
        counted = rows_i[s, R_TRADES] + rows_i[s, R_TRADES + 1] + rows_i[s, R_TRADES + 2]
        trades[s] = np.uint32(counted & 0xFFFFFFFF)
        prices[s] = rows_f[s, R_LAST] if rows_i[s, R_SEEN] else np.nan
        volumes[s] = np.uint32(np.int64(rows_f[s, R_CUMULATIVE]) & 0xFFFFFFFF)


@njit(cache=True, nogil=True)
def write_prices(rows_f, rows_i, prices):
    """prices: float64[rows], last price of the session date, NaN where none was eligible yet."""
    for s in range(rows_f.shape[0]):
        prices[s] = rows_f[s, R_LAST] if rows_i[s, R_SEEN] else np.nan


@njit(cache=True, nogil=True)
def write_volumes(rows_f, volumes):
    """volumes: uint32[rows], cumulative volume of the session date modulo 2**32."""
    for s in range(rows_f.shape[0]):
        volumes[s] = np.uint32(np.int64(rows_f[s, R_CUMULATIVE]) & 0xFFFFFFFF)
