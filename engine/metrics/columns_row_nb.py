"""Columns of what a row remembers of its session date: opening ranges, extremes, prints, halts."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.domain import records
from engine.domain.levels import SSR_FALL, SSR_ROUNDING
from engine.metrics.formulas_nb import age_s, positive, slot_of
from engine.metrics.registry import COLUMN

OPENING_MINUTES = np.array(records.OPENING_MINUTES, np.int64)
PARTS = len(records.OPENING_MINUTES)
C_OPENING = COLUMN["or1_high"]  # high and low of each range in turn
NS_PER_SECOND, NS_PER_MINUTE = records.NS_PER_SECOND, records.NS_PER_MINUTE
OPEN_NS, GRACE_NS = 2, 7  # words of SESSION
TRADE_SECONDS = 60
PM, RTH, AH = records.PM, records.RTH, records.AH
R_OPENING_HIGH, R_OPENING_LOW = records.R_OPENING_HIGH, records.R_OPENING_LOW
R_NEW_HIGHS, R_NEW_LOWS = records.R_NEW_HIGHS, records.R_NEW_LOWS
R_LOW_BEFORE, R_HIGH_BEFORE = records.R_LOW_BEFORE, records.R_HIGH_BEFORE
R_MAX_PRINT, R_BLOCKS, R_BLOCKS_USD = records.R_MAX_PRINT, records.R_BLOCKS, records.R_BLOCKS_USD
R_HALTED, R_HALTS, R_HALT_EVENT = records.R_HALTED, records.R_HALTS, records.R_HALT_EVENT
R_RESUME_EVENT, R_PPV, R_VOLUME = records.R_RESUME_EVENT, records.R_PPV, records.R_VOLUME
R_TRADES, R_APPROX, APPROX_TRADES = records.R_TRADES, records.R_APPROX, records.APPROX_TRADES
REF_SSR, REF_SSR_KNOWN = records.REF_SSR, records.REF_SSR_KNOWN
REF_FLAGS = 2  # word of REFERENCE

C_LAST, C_HOD, C_LOD = COLUMN["last"], COLUMN["hod"], COLUMN["lod"]
C_PREV_CLOSE, C_VWAP = COLUMN["prev_close"], COLUMN["vwap_rth"]
C_HOD_ALL, C_LOD_ALL = COLUMN["hod_all"], COLUMN["lod_all"]
C_N_HOD, C_N_LOD = COLUMN["n_hod"], COLUMN["n_lod"]
C_PULLBACK, C_RECLIMB = COLUMN["pullback_pct"], COLUMN["reclimb_pct"]
C_MAX_PRINT, C_BLOCKS, C_BLOCKS_USD = (
    COLUMN["max_print_usd"], COLUMN["blocks_n"], COLUMN["blocks_usd"]
)  # fmt: skip
C_HALTS, C_HALT_ELAPSED, C_SINCE_RESUME = (
    COLUMN["halt_n_today"], COLUMN["halt_elapsed_s"], COLUMN["since_resume_s"]
)  # fmt: skip
C_SSR, C_VWAP_SD = COLUMN["ssr"], COLUMN["dist_vwap_sd"]
C_ALLDAY, C_ALLDAY_DN = COLUMN["pos_allday"], COLUMN["pos_allday_dn"]
C_TRADES_1M, C_TRADES_PER_S = COLUMN["trades_1m"], COLUMN["trades_per_s"]
SPREAD_LEAST = 1e-12  # of the squared VWAP: less is what rounding leaves of no spread at all


@njit(cache=True, nogil=True, error_model="numpy")
def opening_columns(rows_f, session, t_ns, a, b, out):
    """orN_high and orN_low of symbols [a, b), NaN until the last minute of the range is closed."""
    since = t_ns - session[OPEN_NS] - session[GRACE_NS]
    for s in range(a, b):
        high, low = np.nan, np.nan
        for part in range(PARTS):
            more, less = rows_f[s, R_OPENING_HIGH + part], rows_f[s, R_OPENING_LOW + part]
            high = more if more > 0.0 and not more <= high else high
            low = less if less > 0.0 and not less >= low else low
            complete = since >= OPENING_MINUTES[part] * NS_PER_MINUTE
            out[C_OPENING + 2 * part, s] = high if complete else np.nan
            out[C_OPENING + 2 * part + 1, s] = low if complete else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def extreme_columns(rows_f, rows_i, a, b, out):
    """New highs and lows, pullback and reclimb, largest print and blocks of symbols [a, b)."""
    for s in range(a, b):
        last, hod, lod = out[C_LAST, s], out[C_HOD, s], out[C_LOD, s]
        out[C_N_HOD, s] = rows_i[s, R_NEW_HIGHS] if hod > 0.0 else np.nan
        out[C_N_LOD, s] = rows_i[s, R_NEW_LOWS] if lod > 0.0 else np.nan
        rise = hod - rows_f[s, R_LOW_BEFORE]
        back = 100.0 * (hod - last) / rise
        out[C_PULLBACK, s] = back if rise > 0.0 else np.nan
        fall = rows_f[s, R_HIGH_BEFORE] - lod
        climb = 100.0 * (last - lod) / fall
        out[C_RECLIMB, s] = climb if fall > 0.0 else np.nan
        counted = rows_i[s, R_APPROX] & APPROX_TRADES == 0
        out[C_MAX_PRINT, s] = positive(rows_f[s, R_MAX_PRINT]) if counted else np.nan
        out[C_BLOCKS, s] = rows_i[s, R_BLOCKS] if counted else np.nan
        out[C_BLOCKS_USD, s] = rows_f[s, R_BLOCKS_USD] if counted else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def spread_columns(rows_f, a, b, out):
    """Deviations from the VWAP, place above and below yesterday's close, of symbols [a, b)."""
    for s in range(a, b):
        last, vwap, close = out[C_LAST, s], out[C_VWAP, s], out[C_PREV_CLOSE, s]
        squares = vwap * vwap
        variance = rows_f[s, R_PPV] / rows_f[s, R_VOLUME + RTH] - squares
        distance = (last - vwap) / np.sqrt(variance)
        out[C_VWAP_SD, s] = distance if variance > SPREAD_LEAST * squares else np.nan
        rise, fall = out[C_HOD_ALL, s] - close, close - out[C_LOD_ALL, s]
        stands = 100.0 * (last - close) / rise
        out[C_ALLDAY, s] = stands if rise > 0.0 else np.nan
        stands = 100.0 * (close - last) / fall
        out[C_ALLDAY_DN, s] = stands if fall > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def status_columns(rows_i, reference_i, t_ns, a, b, out):
    """Halts and the restriction of short sales of symbols [a, b)."""
    for s in range(a, b):
        halted, resumed = rows_i[s, R_HALTED] != 0, rows_i[s, R_RESUME_EVENT]
        out[C_HALTS, s] = rows_i[s, R_HALTS]
        elapsed = age_s(t_ns, rows_i[s, R_HALT_EVENT])
        out[C_HALT_ELAPSED, s] = elapsed if halted else np.nan
        since = age_s(t_ns, resumed)
        out[C_SINCE_RESUME, s] = since if resumed > 0 and not halted else np.nan
        flags, lod, close = reference_i[s, REF_FLAGS], out[C_LOD, s], out[C_PREV_CLOSE, s]
        fallen = lod <= SSR_FALL * close * (1.0 + SSR_ROUNDING)
        known = flags & REF_SSR_KNOWN != 0 and (np.isnan(lod) or close > 0.0)
        restricted = 1.0 if fallen or flags & REF_SSR != 0 else 0.0
        out[C_SSR, s] = restricted if known or restricted == 1.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def trade_columns(rows_i, trades, stamps, second, a, b, out):
    """Trades of the last minute of symbols [a, b); trades: uint32[any, rows] as of seconds."""
    slot = slot_of(stamps, second - TRADE_SECONDS)
    if slot < 0:
        out[C_TRADES_1M, a:b] = np.nan
        out[C_TRADES_PER_S, a:b] = np.nan
        return
    for s in range(a, b):
        now = rows_i[s, R_TRADES] + rows_i[s, R_TRADES + 1] + rows_i[s, R_TRADES + 2]
        count = max(now - np.int64(trades[slot, s]), 0)  # a cancel of an older trade counts now
        counted = rows_i[s, R_APPROX] & APPROX_TRADES == 0
        out[C_TRADES_1M, s] = count if counted else np.nan
        out[C_TRADES_PER_S, s] = count / TRADE_SECONDS if counted else np.nan
