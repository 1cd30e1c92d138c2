"""Columns of what the book knows of a symbol: levels of earlier days and usual volumes."""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import NamedTuple

import numpy as np
from numba import njit

from engine.domain import records
from engine.domain.levels import (
    ADV_SESSIONS,
    BASELINE_MINUTES,
    BASELINE_OPEN,
    BASELINE_SESSIONS_MIN,
    CLOSES_BACK,
    LEVEL,
    SPLIT_RATIOS,
    SPLIT_TOLERANCES,
    STEPS,
)
from engine.metrics.entries.daily import RELATIVE, SINCE
from engine.metrics.entries.usual import (
    RELATIVE_MINUTES,
    RELATIVE_SECONDS,
    USUAL_LEAST,
    USUAL_WINDOW_LEAST,
)
from engine.metrics.entries.volume import VOLUME_MINUTES
from engine.metrics.formulas_nb import positive, slot_of
from engine.metrics.registry import COLUMN

NS_PER_SECOND, NS_PER_MINUTE = records.NS_PER_SECOND, records.NS_PER_MINUTE
R_FIRST, R_LAST, R_CUMULATIVE = records.R_FIRST, records.R_LAST, records.R_CUMULATIVE
MAX_VOLUME_STEP = records.MAX_VOLUME_STEP
REF_PREV_CLOSE, REF_ATR14, REF_FLAGS, REF_PLACE = 0, 1, 2, 3  # words of REFERENCE
REF_GAP_REAL = records.REF_GAP_REAL
START_NS, OPEN_NS, CLOSE_NS, INTERVAL_NS = 1, 2, 3, 6  # words of SESSION
ENOUGH = BASELINE_SESSIONS_MIN

C_LAST, C_PREV_CLOSE, C_ATR14 = COLUMN["last"], COLUMN["prev_close"], COLUMN["atr14"]
C_SUSPECT, C_MKTCAP, C_SHARES = COLUMN["split_suspect"], COLUMN["mktcap"], COLUMN["shares"]
C_VOL_ALL, C_VOL_PM, C_VOL_RTH = COLUMN["vol_all"], COLUMN["vol_pm"], COLUMN["vol_rth"]
C_TOD, C_TOD_RTH = COLUMN["rvol_tod"], COLUMN["rvol_tod_rth"]
C_PM_RVOL, C_PROJECTED = COLUMN["pm_rvol"], COLUMN["proj_vol"]
C_VOL_MINUTES, C_BURST = COLUMN[f"vol_{VOLUME_MINUTES}m"], COLUMN["vol_burst"]
C_VOL_1M, C_VOL_5M, C_BETA = COLUMN["vol_1m"], COLUMN["vol_5m"], COLUMN["beta60"]
C_HIGHER, C_LOWER = COLUMN["days_since_higher"], COLUMN["days_since_lower"]
L_HIGH, L_HIGH_AGO = LEVEL["high_step_0"], LEVEL["high_step_0_ago"]
L_LOW, L_LOW_AGO = LEVEL["low_step_0"], LEVEL["low_step_0_ago"]
L_ALL, L_RTH = LEVEL["sessions_all"], LEVEL["sessions_rth"]
LAST_ROW = BASELINE_MINUTES - 1

_DIRECT = (
    "pdh", "pdl", "pivot", *(f"adv_{n}" for n in ADV_SESSIONS), "adr20_pct", "high_52w", "low_52w",
    "ath", "inside_day", "nr4", "nr7", "shares", "float", "beta60",
)  # fmt: skip
# (column, level): to = level; to = 100 * (last / level - 1)
DIRECT = np.array([(COLUMN[name], LEVEL[name]) for name in _DIRECT], np.int64)
CHANGES = np.array(
    [(COLUMN[f"chg_{n}d_pct"], LEVEL[f"close_{n}d"]) for n in CLOSES_BACK]
    + [(COLUMN[f"{name}_pct"], LEVEL[f"close_{period}"]) for name, period in SINCE],
    np.int64,
)
# (column of the ratio, column of the volume, ns the window is long, ns of its grid)
WINDOWS = np.array(
    [(COLUMN[f"rvol_{label}"], COLUMN[f"vol_{label}"], seconds * NS_PER_SECOND, NS_PER_SECOND)
     for label, seconds in RELATIVE_SECONDS]
    + [(COLUMN[f"rvol_{label}"], COLUMN[f"vol_{label}"], minutes * NS_PER_MINUTE, NS_PER_MINUTE)
       for label, minutes in RELATIVE_MINUTES],
    np.int64,
)  # fmt: skip
# (column, column of the change, seconds)
STRENGTH = np.array(
    [(COLUMN[f"rs_spy_{label}"], COLUMN[f"chg_{label}_pct"], seconds)
     for label, seconds in RELATIVE],
    np.int64,
)  # fmt: skip


class Known(NamedTuple):
    """What the stream knew before it began, and histories beside prices and volumes per second.

    reference_f, reference_i: words of REFERENCE [rows, 8]; levels: float64[LEVELS, book];
    baseline: float32[BASELINE_MINUTES, book]; second_trades, trades_stamp, session_volume,
    session_stamp: see Histories; benchmark: symbol id of SPY, -1 none.
    """

    reference_f: np.ndarray
    reference_i: np.ndarray
    levels: np.ndarray
    baseline: np.ndarray
    second_trades: np.ndarray
    trades_stamp: np.ndarray
    session_volume: np.ndarray
    session_stamp: np.ndarray
    benchmark: int


@njit(cache=True, nogil=True, error_model="numpy")
def is_split(jump):
    """True for a jump of the price that is nearly the ratio of a split, see looks_like_split."""
    near = jump if jump >= 1.0 else 1.0 / jump
    if not near > SPLIT_RATIOS[0] * (1.0 - SPLIT_TOLERANCES[0]):
        return False
    for k in range(SPLIT_RATIOS.shape[0]):
        if abs(near / SPLIT_RATIOS[k] - 1.0) <= SPLIT_TOLERANCES[k]:
            return True
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def reference_columns(rows_f, known, a, b, place, out):
    """Yesterday's close and ATR of symbols [a, b), and their places in the book plus 1, 0 where
    nothing may be used: not in the book, or the day's first price looks like a split."""
    for s in range(a, b):
        close = positive(known.reference_f[s, REF_PREV_CLOSE])
        first = positive(rows_f[s, R_FIRST])
        suspect = is_split(first / close) and known.reference_i[s, REF_FLAGS] & REF_GAP_REAL == 0
        out[C_SUSPECT, s] = (1.0 if suspect else 0.0) if first > 0.0 and close > 0.0 else np.nan
        out[C_PREV_CLOSE, s] = np.nan if suspect else close
        atr = positive(known.reference_f[s, REF_ATR14])
        out[C_ATR14, s] = np.nan if suspect else atr
        place[s - a] = 0 if suspect else known.reference_i[s, REF_PLACE]


@njit(cache=True, nogil=True, error_model="numpy")
def level_columns(levels, a, b, place, out):
    """Columns that are levels of the book, and changes of the price against one."""
    for k in range(DIRECT.shape[0]):
        column, level = DIRECT[k]
        for s in range(a, b):
            at = place[s - a] - 1
            out[column, s] = levels[level, at] if at >= 0 else np.nan
    for k in range(CHANGES.shape[0]):
        column, level = CHANGES[k]
        for s in range(a, b):
            at = place[s - a] - 1
            base = levels[level, at] if at >= 0 else np.nan
            change = 100.0 * (out[C_LAST, s] / base - 1.0)
            out[column, s] = change if base > 0.0 else np.nan
    for s in range(a, b):
        out[C_MKTCAP, s] = out[C_LAST, s] * out[C_SHARES, s]


@njit(cache=True, nogil=True, error_model="numpy")
def step_columns(levels, a, b, place, out):
    """How many sessions ago a high lay above the price, a low below it."""
    for s in range(a, b):
        at, last, higher, lower = place[s - a] - 1, out[C_LAST, s], np.nan, np.nan
        for k in range(STEPS if at >= 0 and last > 0.0 else 0):
            price = levels[L_HIGH + k, at]
            if not price <= last:
                higher = levels[L_HIGH_AGO + k, at]
                break
        for k in range(STEPS if at >= 0 and last > 0.0 else 0):
            price = levels[L_LOW + k, at]
            if not price >= last:
                lower = levels[L_LOW_AGO + k, at]
                break
        out[C_HIGHER, s], out[C_LOWER, s] = higher, lower


@njit(cache=True, nogil=True, error_model="numpy")
def usual_volume(baseline, at, instant_ns, base_ns):
    """Mean volume of the book's symbol `at` from 04:00 (base_ns) up to an instant, straight within
    a minute."""
    offset = min(max(instant_ns - base_ns, 0), BASELINE_MINUTES * NS_PER_MINUTE)
    minute = min(offset // NS_PER_MINUTE, LAST_ROW)
    part = (offset - minute * NS_PER_MINUTE) / NS_PER_MINUTE
    before = np.float64(baseline[minute - 1, at]) if minute > 0 else 0.0
    return before + part * (np.float64(baseline[minute, at]) - before)


@njit(cache=True, nogil=True, error_model="numpy")
def _against(volume, usual, enough, least):
    """volume / usual; NaN where less than `least` is usual or too few sessions are known."""
    return volume / usual if enough and usual >= least else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def usual_columns(known, session, t_ns, a, b, place, out):
    """Volume against what is usual by this time of day, and in the same minutes as a window."""
    levels, baseline = known.levels, known.baseline
    start_ns, open_ns, close_ns = session[START_NS], session[OPEN_NS], session[CLOSE_NS]
    base_ns = open_ns - BASELINE_OPEN * NS_PER_MINUTE
    pm_ns, rth_ns = min(t_ns, open_ns), min(max(t_ns, open_ns), close_ns)
    for s in range(a, b):
        at = place[s - a] - 1
        every = at >= 0 and levels[L_ALL, at] >= ENOUGH
        regular = at >= 0 and levels[L_RTH, at] >= ENOUGH
        if not regular:
            out[C_TOD, s] = out[C_PROJECTED, s] = out[C_PM_RVOL, s] = out[C_TOD_RTH, s] = np.nan
            for k in range(WINDOWS.shape[0]):
                out[WINDOWS[k, 0], s] = np.nan
            continue
        now = usual_volume(baseline, at, t_ns, base_ns)
        begun = usual_volume(baseline, at, start_ns, base_ns)
        opened = usual_volume(baseline, at, open_ns, base_ns)
        day = np.float64(baseline[LAST_ROW, at]) - begun
        ratio = _against(out[C_VOL_ALL, s], now - begun, every, USUAL_LEAST)
        out[C_TOD, s], out[C_PROJECTED, s] = ratio, ratio * day
        usual = usual_volume(baseline, at, pm_ns, base_ns) - begun
        out[C_PM_RVOL, s] = _against(out[C_VOL_PM, s], usual, every, USUAL_LEAST)
        usual = usual_volume(baseline, at, rth_ns, base_ns) - opened
        out[C_TOD_RTH, s] = _against(out[C_VOL_RTH, s], usual, regular, USUAL_LEAST)
        for k in range(WINDOWS.shape[0]):
            column, volume, length, grid = WINDOWS[k]
            from_ns = t_ns // grid * grid - length
            inside = from_ns >= open_ns and t_ns <= close_ns
            enough = from_ns >= start_ns and (inside or every)
            usual = now - usual_volume(baseline, at, from_ns, base_ns)
            out[column, s] = _against(out[volume, s], usual, enough, USUAL_WINDOW_LEAST)


@njit(cache=True, nogil=True, error_model="numpy")
def minute_volume_columns(rows_f, known, minute, a, b, out):
    """Volume since a whole minute, see `_volume_windows`, and the burst of the newest one."""
    slot = slot_of(known.session_stamp, minute - VOLUME_MINUTES)
    for s in range(a, b):
        burst = 5.0 * out[C_VOL_1M, s] / out[C_VOL_5M, s]
        out[C_BURST, s] = burst if out[C_VOL_5M, s] > 0.0 else np.nan
        if slot < 0:
            out[C_VOL_MINUTES, s] = np.nan
            continue
        so_far = np.int64(rows_f[s, R_CUMULATIVE])
        volume = (so_far - np.int64(known.session_volume[slot, s])) & 0xFFFFFFFF
        out[C_VOL_MINUTES, s] = volume if volume <= MAX_VOLUME_STEP else 0


@njit(cache=True, nogil=True, error_model="numpy")
def strength_columns(rows_f, second_price, second_stamp, known, session, t_ns, a, b, out):
    """Changes beyond what SPY explains. The change of SPY is computed as that of any symbol is."""
    second = t_ns // NS_PER_SECOND
    earliest = (session[START_NS] + NS_PER_SECOND - 1) // NS_PER_SECOND
    for k in range(STRENGTH.shape[0]):
        column, change, seconds = STRENGTH[k]
        slot = slot_of(second_stamp, second - seconds)
        usable = second - seconds >= earliest and seconds * NS_PER_SECOND >= session[INTERVAL_NS]
        market = np.nan
        if known.benchmark >= 0 and slot >= 0 and usable:
            base = second_price[slot, known.benchmark]
            last = positive(rows_f[known.benchmark, R_LAST])
            market = 100.0 * (last / base - 1.0) if base > 0.0 else np.nan
        for s in range(a, b):
            out[column, s] = out[change, s] - out[C_BETA, s] * market
