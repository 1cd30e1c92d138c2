"""Kernels of windows in time, and of the bar that is forming."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.domain.records import (
    B_CLOSE,
    B_HIGH,
    B_LOW,
    B_MINUTE,
    B_VOLUME,
    MAX_VOLUME_STEP,
    O_CLOSE,
    O_HIGH,
    O_LOW,
    O_MINUTE,
    O_VOLUME,
    OPEN_WORDS,
    R_CUMULATIVE,
    R_LAST,
    R_MINUTES,
)
from engine.families.tile_nb import TILE


@njit(cache=True, nogil=True)
def row_of_nb(stamps, instant, earliest):
    """Row of a history that holds `instant`, -1: none does, or it lies before `earliest`."""
    if instant < earliest or instant < 0:
        return -1
    slot = instant % stamps.shape[0]
    return slot if stamps[slot] == instant else -1


@njit(cache=True, nogil=True, error_model="numpy")
def change_nb(rows_f, prices, row, first, end, out):
    """100 * (last / price then - 1) of symbols [first, end); row: of prices, -1 unknown."""
    for s in range(first, end):
        base = prices[row, s] if row >= 0 else np.nan
        change = 100.0 * (rows_f[s, R_LAST] / base - 1.0)
        out[s] = change if base > 0.0 and rows_f[s, R_LAST] > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def volume_nb(rows_f, volumes, row, first, end, out):
    """Volume so far less the volume then, modulo 2**32, at least 0; row: of volumes, -1 unknown."""
    for s in range(first, end):
        if row < 0:
            out[s] = np.nan
            continue
        so_far = np.int64(rows_f[s, R_CUMULATIVE])
        volume = (so_far - np.int64(volumes[row, s])) & 0xFFFFFFFF
        out[s] = volume if volume <= MAX_VOLUME_STEP else 0


@njit(cache=True, nogil=True, error_model="numpy")
def closed_volume_nb(volumes, row, newest, divisor, first, end, out):
    """Volume between two rows of session_volume / divisor; a row of -1: unknown."""
    for s in range(first, end):
        if row < 0 or newest < 0:
            out[s] = np.nan
            continue
        volume = np.int64(np.uint32(volumes[newest, s] - volumes[row, s]))
        out[s] = (volume if volume <= MAX_VOLUME_STEP else 0) / divisor


@njit(cache=True, nogil=True, error_model="numpy")
def volatility_nb(prices, stamps, newest, minutes, earliest, first, end, out):
    """100 * root of the sum of squared logarithms of minute to minute prices, `minutes` of them up
    to minute `newest`; unknown where a price is."""
    for s in range(first, end):
        out[s] = 0.0
    for back in range(minutes):
        now = row_of_nb(stamps, newest - back, earliest)
        then = row_of_nb(stamps, newest - back - 1, earliest)
        if now < 0 or then < 0:
            out[first:end] = np.nan
            return
        for s in range(first, end):
            step = np.log(prices[now, s] / prices[then, s])
            out[s] += step * step
    for s in range(first, end):
        out[s] = 100.0 * np.sqrt(out[s])


@njit(cache=True, nogil=True, error_model="numpy")
def extreme_nb(values, stamps, closed, minutes, earliest, sign, first, end, dirty, out):
    """sign * highest of sign * value over the `minutes` closed minutes up to `closed`.

    values: float64[minutes kept, rows], NaN no bar; unknown where a minute is not held or lies
    before `earliest`, and without any bar. dirty: uint8[tiles], tiles of [first, end) to compute.
    """
    complete = True
    for minute in range(closed - minutes + 1, closed + 1):
        complete = complete and row_of_nb(stamps, minute, earliest) >= 0
    best = np.empty(TILE)
    for tile in range(dirty.shape[0]):
        if dirty[tile] == 0:
            continue
        a = first + tile * TILE
        size = min(TILE, end - a)
        best[:] = -np.inf
        if complete:
            for minute in range(closed - minutes + 1, closed + 1):
                row = values[minute % stamps.shape[0]]
                for j in range(size):
                    x = sign * row[a + j]
                    best[j] = x if x > best[j] else best[j]
        for j in range(size):
            out[a + j] = sign * best[j] if best[j] > -np.inf else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def closed_part_nb(bars_f, bars_i, first_minute, end_minute, first, end, dirty, out):
    """Bars of the closed minutes [first_minute, end_minute) put together: out float64[4, rows],
    high, low, close (NaN none), volume of the symbols in [first, end) whose `dirty` is set."""
    for s in range(first, end):
        if dirty[s]:
            out[0, s], out[1, s], out[2, s], out[3, s] = -np.inf, np.inf, np.nan, 0.0
    for minute in range(first_minute, end_minute):
        slot = minute % bars_i.shape[0]
        for s in range(first, end):
            if not dirty[s] or bars_i[slot, s, B_MINUTE] != minute:
                continue
            out[3, s] += bars_f[slot, s, B_VOLUME]
            close = bars_f[slot, s, B_CLOSE]
            if close > 0.0:
                high, low = bars_f[slot, s, B_HIGH], bars_f[slot, s, B_LOW]
                ranged = high >= low
                out[0, s] = max(out[0, s], high if ranged else close)
                out[1, s] = min(out[1, s], low if ranged else close)
                out[2, s] = close


@njit(cache=True, nogil=True, error_model="numpy")
def forming_nb(rows_f, rows_i, closed_part, first_minute, end_minute, first, end, out):
    """The forming bar: the closed part and the open minutes in [first_minute, end_minute)."""
    for s in range(first, end):
        high, low = closed_part[0, s], closed_part[1, s]
        close, volume = closed_part[2, s], closed_part[3, s]
        for slot in range(2):
            at = R_MINUTES + slot * OPEN_WORDS
            minute = rows_i[s, at + O_MINUTE]
            if not first_minute <= minute < end_minute:
                continue
            volume += rows_f[s, at + O_VOLUME]
            last = rows_f[s, at + O_CLOSE]
            if last > 0.0:
                top, bottom = rows_f[s, at + O_HIGH], rows_f[s, at + O_LOW]
                ranged = top >= bottom
                high = max(high, top if ranged else last)
                low = min(low, bottom if ranged else last)
                close = last
        out[0, s], out[1, s], out[2, s], out[3, s] = high, low, close, volume
