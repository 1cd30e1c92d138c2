"""The metric kernel: every column of the registry for a slice of symbols, from shared tables."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.domain import records
from engine.domain.records import OPENING_MINUTES
from engine.metrics.columns_book_nb import (
    level_columns,
    minute_volume_columns,
    reference_columns,
    step_columns,
    strength_columns,
    usual_columns,
)
from engine.metrics.columns_row_nb import (
    extreme_columns,
    opening_columns,
    spread_columns,
    status_columns,
    trade_columns,
)
from engine.metrics.entries.changes import MINUTE_WINDOWS, SECOND_WINDOWS
from engine.metrics.entries.volume import VOLUME_WINDOWS
from engine.metrics.formulas_nb import (
    age_s,
    difference,
    percent,
    position,
    positive,
    ratio,
    slot_of,
)
from engine.metrics.registry import COLUMN, INDICATOR_FIRST, INDICATOR_NAMES

TILE = 256  # symbols at a time: their columns stay in the second-level cache

NS_PER_SECOND, NS_PER_MINUTE = records.NS_PER_SECOND, records.NS_PER_MINUTE
R_LAST, R_LAST_SIZE, R_LAST_EVENT = records.R_LAST, records.R_LAST_SIZE, records.R_LAST_EVENT
R_BID, R_ASK, R_BID_SIZE, R_ASK_SIZE = (
    records.R_BID, records.R_ASK, records.R_BID_SIZE, records.R_ASK_SIZE
)  # fmt: skip
R_QUOTE_EVENT, R_VOLUME, R_PV = records.R_QUOTE_EVENT, records.R_VOLUME, records.R_PV
R_TRADES, R_HIGH, R_LOW = records.R_TRADES, records.R_HIGH, records.R_LOW
R_HIGH_EVENT, R_LOW_EVENT = records.R_HIGH_EVENT, records.R_LOW_EVENT
R_OPEN_RTH, R_CLOSE_RTH, R_HALTED = records.R_OPEN_RTH, records.R_CLOSE_RTH, records.R_HALTED
R_LULD_LOWER, R_LULD_UPPER = records.R_LULD_LOWER, records.R_LULD_UPPER
R_APPROX, APPROX_TRADES = records.R_APPROX, records.APPROX_TRADES
R_CUMULATIVE, PM, RTH, AH = records.R_CUMULATIVE, records.PM, records.RTH, records.AH
MAX_VOLUME_STEP = records.MAX_VOLUME_STEP
START_NS, OPEN_NS, CLOSE_NS, INTERVAL_NS = 1, 2, 3, 6  # words of SESSION

C_LAST, C_LAST_SIZE = COLUMN["last"], COLUMN["last_size"]
C_BID, C_ASK = COLUMN["bid"], COLUMN["ask"]
C_BID_SIZE, C_ASK_SIZE = COLUMN["bid_size"], COLUMN["ask_size"]
C_SPREAD_USD, C_SPREAD_BPS, C_IMB = COLUMN["spread_usd"], COLUMN["spread_bps"], COLUMN["imb"]
C_CHG_USD, C_CHG_PCT, C_CHG_OPEN = COLUMN["chg_usd"], COLUMN["chg_pct"], COLUMN["chg_open_pct"]
C_GAP_USD, C_GAP_PCT, C_GAP_FILL = COLUMN["gap_usd"], COLUMN["gap_pct"], COLUMN["gap_fill_pct"]
C_PM_CHG, C_AH_CHG = COLUMN["pm_chg_pct"], COLUMN["ah_chg_pct"]
C_CHG_SECONDS = COLUMN[f"chg_{SECOND_WINDOWS[0][0]}_pct"]
C_CHG_MINUTES = COLUMN[f"chg_{MINUTE_WINDOWS[0][0]}_pct"]
C_OPEN, C_HOD, C_LOD = COLUMN["open"], COLUMN["hod"], COLUMN["lod"]
C_HOD_ALL, C_LOD_ALL = COLUMN["hod_all"], COLUMN["lod_all"]
C_PMH, C_PML = COLUMN["pmh"], COLUMN["pml"]
C_RANGE_USD, C_RANGE_PCT, C_RANGE_ATR = (
    COLUMN["range_usd"], COLUMN["range_pct"], COLUMN["range_atr"]
)  # fmt: skip
C_SINCE_HOD, C_SINCE_LOD = COLUMN["t_since_hod_s"], COLUMN["t_since_lod_s"]
C_VWAP_RTH, C_VWAP_ALL = COLUMN["vwap_rth"], COLUMN["vwap_all"]
C_VOL_PM, C_VOL_RTH, C_VOL_AH = COLUMN["vol_pm"], COLUMN["vol_rth"], COLUMN["vol_ah"]
C_VOL_ALL, C_DVOL = COLUMN["vol_all"], COLUMN["dvol"]
C_TRADES_RTH, C_TRADES_ALL = COLUMN["trades_rth"], COLUMN["trades_all"]
C_VOL_SECONDS = COLUMN[f"vol_{VOLUME_WINDOWS[0][0]}"]
C_MOVE_ATR, C_GAP_ATR, C_HALTED = COLUMN["move_atr"], COLUMN["gap_atr"], COLUMN["halted"]
C_LULD_UP, C_LULD_DN = COLUMN["luld_up_pct"], COLUMN["luld_dn_pct"]
C_SINCE_OPEN = COLUMN["minutes_since_open"]
C_AGE_TRADE, C_AGE_QUOTE = COLUMN["age_trade_s"], COLUMN["age_quote_s"]
C_BB_UPPER, C_BB_LOWER, C_PCTB = COLUMN["bb_upper"], COLUMN["bb_lower"], COLUMN["bb_pctb"]
INDICATORS = len(INDICATOR_NAMES)


def _table(*rows):
    """Column numbers of rows of metric names, as an array that the kernel has compiled in."""
    return np.array([[COLUMN[name] for name in row] for row in rows], np.int64)


# to = a - b
DIFFERENCES = _table(
    ("spread_usd", "ask", "bid"),
    ("chg_usd", "last", "prev_close"),
    ("gap_usd", "open", "prev_close"),
    ("range_usd", "hod", "lod"),
    ("momo_count", "n_hod", "n_lod"),
)
# to = 100 * (a / b - 1)
PERCENTS = _table(
    ("chg_pct", "last", "prev_close"),
    ("chg_open_pct", "last", "open"),
    ("gap_pct", "open", "prev_close"),
    ("dist_hod_pct", "last", "hod"),
    ("dist_lod_pct", "last", "lod"),
    ("dist_pmh_pct", "last", "pmh"),
    ("dist_pml_pct", "last", "pml"),
    ("dist_vwap_pct", "last", "vwap_rth"),
    ("luld_up_pct", "luld_up_pct", "last"),  # the band stands there until then
    ("luld_dn_pct", "luld_dn_pct", "last"),
    ("dist_ema20_pct", "last", "ema(20)"),
    ("dist_ema50_pct", "last", "ema(50)"),
    ("dist_ema200_pct", "last", "ema(200)"),
    ("dist_sma20_pct", "last", "sma(20)"),
    ("dist_sma50_pct", "last", "sma(50)"),
    ("dist_sma200_pct", "last", "sma(200)"),
    ("dist_pdh_pct", "last", "pdh"),
    ("dist_pdl_pct", "last", "pdl"),
    ("dist_pivot_pct", "last", "pivot"),
    ("dist_52wh_pct", "last", "high_52w"),
    ("dist_52wl_pct", "last", "low_52w"),
    ("dist_ath_pct", "last", "ath"),
)
# to = scale * a / b
RATIOS = _table(
    ("atr_pct", "atr14", "last"),
    ("range_pct", "range_usd", "lod"),
    ("move_atr", "chg_usd", "atr14"),
    ("gap_atr", "gap_usd", "atr14"),
    ("range_atr", "range_usd", "atr14"),
    ("rvol_flat", "vol_all", "adv_20"),
    ("pm_vol_adv_pct", "vol_pm", "adv_20"),
    ("float_rot", "vol_all", "float"),
)
RATIO_SCALES = np.array([100.0, 100.0, 1.0, 1.0, 1.0, 1.0, 100.0, 1.0])
# to = scale * (last - low) / (high - low)
POSITIONS = _table(
    ("pos_day", "lod", "hod"),
    ("pos_all", "lod_all", "hod_all"),
    ("bb_pctb", "bb_lower", "bb_upper"),
    ("pos_prev", "pdl", "pdh"),
    ("pos_52w", "low_52w", "high_52w"),
    *((f"or{n}_pos", f"or{n}_low", f"or{n}_high") for n in OPENING_MINUTES),
)
POSITION_SCALES = np.array([100.0, 100.0, 1.0, 100.0, 100.0, *(100.0 for _ in OPENING_MINUTES)])
SECONDS_BACK = np.array([seconds for _, seconds in SECOND_WINDOWS], np.int64)
MINUTES_BACK = np.array([minutes for _, minutes in MINUTE_WINDOWS], np.int64)
VOLUME_BACK = np.array([seconds for _, seconds in VOLUME_WINDOWS], np.int64)


@njit(cache=True, nogil=True, error_model="numpy")
def _quote_columns(rows_f, rows_i, t_ns, a, b, out):
    for s in range(a, b):
        bid, ask = positive(rows_f[s, R_BID]), positive(rows_f[s, R_ASK])
        last = positive(rows_f[s, R_LAST])
        out[C_LAST, s] = last
        out[C_LAST_SIZE, s] = rows_f[s, R_LAST_SIZE] if last > 0.0 else np.nan
        out[C_BID, s] = bid
        out[C_ASK, s] = ask
        out[C_BID_SIZE, s] = rows_f[s, R_BID_SIZE] if bid > 0.0 else np.nan
        out[C_ASK_SIZE, s] = rows_f[s, R_ASK_SIZE] if ask > 0.0 else np.nan
        out[C_AGE_TRADE, s] = age_s(t_ns, rows_i[s, R_LAST_EVENT]) if last > 0.0 else np.nan
        quoted = rows_i[s, R_QUOTE_EVENT] > 0
        out[C_AGE_QUOTE, s] = age_s(t_ns, rows_i[s, R_QUOTE_EVENT]) if quoted else np.nan
        out[C_HALTED, s] = 1.0 if rows_i[s, R_HALTED] != 0 else 0.0
        out[C_LULD_UP, s] = positive(rows_f[s, R_LULD_UPPER])
        out[C_LULD_DN, s] = positive(rows_f[s, R_LULD_LOWER])


@njit(cache=True, nogil=True, error_model="numpy")
def _session_columns(rows_f, rows_i, t_ns, a, b, out):
    for s in range(a, b):
        pmh, hod = positive(rows_f[s, R_HIGH + PM]), positive(rows_f[s, R_HIGH + RTH])
        pml, lod = positive(rows_f[s, R_LOW + PM]), positive(rows_f[s, R_LOW + RTH])
        top, bottom = hod, lod
        for high in (pmh, rows_f[s, R_HIGH + AH]):
            top = high if not top >= high and high > 0.0 else top
        for low in (pml, rows_f[s, R_LOW + AH]):
            bottom = low if not bottom <= low and low > 0.0 else bottom
        out[C_PMH, s], out[C_PML, s] = pmh, pml
        out[C_HOD, s], out[C_LOD, s] = hod, lod
        out[C_HOD_ALL, s], out[C_LOD_ALL, s] = top, bottom
        out[C_OPEN, s] = positive(rows_f[s, R_OPEN_RTH])
        since_high = age_s(t_ns, rows_i[s, R_HIGH_EVENT + RTH])
        since_low = age_s(t_ns, rows_i[s, R_LOW_EVENT + RTH])
        out[C_SINCE_HOD, s] = since_high if hod > 0.0 else np.nan
        out[C_SINCE_LOD, s] = since_low if lod > 0.0 else np.nan
        pm, rth, ah = rows_f[s, R_VOLUME], rows_f[s, R_VOLUME + 1], rows_f[s, R_VOLUME + 2]
        every = pm + rth + ah
        dollars = rows_f[s, R_PV] + rows_f[s, R_PV + 1] + rows_f[s, R_PV + 2]
        out[C_VOL_PM, s], out[C_VOL_RTH, s], out[C_VOL_AH, s] = pm, rth, ah
        out[C_VOL_ALL, s], out[C_DVOL, s] = every, dollars
        out[C_VWAP_RTH, s] = rows_f[s, R_PV + RTH] / rth if rth > 0.0 else np.nan
        out[C_VWAP_ALL, s] = dollars / every if every > 0.0 else np.nan
        trades = rows_i[s, R_TRADES] + rows_i[s, R_TRADES + 1] + rows_i[s, R_TRADES + 2]
        counted = rows_i[s, R_APPROX] & APPROX_TRADES == 0
        out[C_TRADES_RTH, s] = rows_i[s, R_TRADES + RTH] if counted else np.nan
        out[C_TRADES_ALL, s] = trades if counted else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _tables(out, a, b):
    """Every column that is one of the four formulas of other columns."""
    for k in range(DIFFERENCES.shape[0]):
        to, x, y = DIFFERENCES[k]
        difference(out[x, a:b], out[y, a:b], out[to, a:b])
    for k in range(PERCENTS.shape[0]):
        to, x, y = PERCENTS[k]
        percent(out[x, a:b], out[y, a:b], out[to, a:b])
    for k in range(RATIOS.shape[0]):
        to, x, y = RATIOS[k]
        ratio(out[x, a:b], out[y, a:b], RATIO_SCALES[k], out[to, a:b])
    for k in range(POSITIONS.shape[0]):
        to, low, high = POSITIONS[k]
        position(
            out[C_LAST, a:b], out[low, a:b], out[high, a:b], POSITION_SCALES[k], out[to, a:b]
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _single_formulas(rows_f, rows_i, session, t_ns, a, b, out):
    """Columns with a formula of their own, after `_tables`."""
    before_open = session[START_NS] <= t_ns < session[OPEN_NS]
    after_close = t_ns >= session[CLOSE_NS]
    since_open = (t_ns - session[OPEN_NS]) / 60e9
    for s in range(a, b):
        out[C_SINCE_OPEN, s] = since_open
        mid = (out[C_ASK, s] + out[C_BID, s]) / 2.0
        out[C_SPREAD_BPS, s] = 10000.0 * out[C_SPREAD_USD, s] / mid
        sizes = out[C_BID_SIZE, s] + out[C_ASK_SIZE, s]
        imbalance = (out[C_BID_SIZE, s] - out[C_ASK_SIZE, s]) / sizes
        out[C_IMB, s] = imbalance if sizes > 0.0 else np.nan
        gap = out[C_GAP_USD, s]
        fill = 100.0 * (out[C_OPEN, s] - out[C_LAST, s]) / gap
        out[C_GAP_FILL, s] = fill if gap != 0.0 else np.nan
        today = before_open and rows_i[s, R_LAST_EVENT] >= session[START_NS]
        out[C_PM_CHG, s] = out[C_CHG_PCT, s] if today else np.nan
        close = rows_f[s, R_CLOSE_RTH]
        change = 100.0 * (out[C_LAST, s] / close - 1.0)
        out[C_AH_CHG, s] = change if after_close and close > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _price_windows(prices, stamps, back, newest, earliest, shortest, first_column, a, b, out):
    """chg_N_pct columns in a row: prices as of instant newest - back[i], NaN before `earliest` and
    for windows under `shortest`: nobody looked within one cycle."""
    for i in range(back.shape[0]):
        instant = newest - back[i]
        slot = slot_of(stamps, instant)
        if slot < 0 or instant < earliest or back[i] < shortest:
            out[first_column + i, a:b] = np.nan
        else:
            percent(out[C_LAST, a:b], prices[slot, a:b], out[first_column + i, a:b])


@njit(cache=True, nogil=True, error_model="numpy")
def _volume_windows(rows_f, volumes, stamps, newest, a, b, out):
    """vol_N columns: volume so far less the volume as of a whole second, modulo 2**32, at least 0:
    a cancel of a trade before the window counts now."""
    for i in range(VOLUME_BACK.shape[0]):
        slot = slot_of(stamps, newest - VOLUME_BACK[i])
        if slot < 0:
            out[C_VOL_SECONDS + i, a:b] = np.nan
            continue
        for s in range(a, b):
            so_far = np.int64(rows_f[s, R_CUMULATIVE])
            volume = (so_far - np.int64(volumes[slot, s])) & 0xFFFFFFFF
            out[C_VOL_SECONDS + i, s] = volume if volume <= MAX_VOLUME_STEP else 0


@njit(cache=True, nogil=True, error_model="numpy")
def compute_columns(
    rows_f, rows_i, known, second_price, second_volume, second_stamp, minute_price, minute_stamp,
    indicators, session, t_ns, lo, hi, out,
):  # fmt: skip
    """Write every metric of symbols [lo, hi) as of T = t_ns into `out`, float64[metrics, rows].

    rows_f, rows_i: the cell's rows as words [rows, ROW_WORDS]; known: see Known; second_price
    float64, second_volume uint32 [seconds, rows] and second_stamp, minute_price and minute_stamp:
    histories; indicators: float64[any, rows], the current copy of the indicator values in the order
    of the registry; session: int64 words of SESSION. NaN: unknown. Nothing of an earlier cycle is
    read: everything is computed again.
    """
    second, minute = t_ns // NS_PER_SECOND, t_ns // NS_PER_MINUTE
    # The first instant of the session date; a date that starts inside one begins with the next.
    first_second = (session[START_NS] + NS_PER_SECOND - 1) // NS_PER_SECOND
    first_minute = (session[START_NS] + NS_PER_MINUTE - 1) // NS_PER_MINUTE
    place = np.empty(TILE, np.int64)
    for a in range(lo, hi, TILE):
        b = min(a + TILE, hi)
        _quote_columns(rows_f, rows_i, t_ns, a, b, out)
        _session_columns(rows_f, rows_i, t_ns, a, b, out)
        opening_columns(rows_f, session, t_ns, a, b, out)
        extreme_columns(rows_f, rows_i, a, b, out)
        reference_columns(rows_f, known, a, b, place, out)
        level_columns(known.levels, a, b, place, out)
        step_columns(known.levels, a, b, place, out)
        spread_columns(rows_f, a, b, out)
        status_columns(rows_i, known.reference_i, t_ns, a, b, out)
        for i in range(INDICATORS):
            out[INDICATOR_FIRST + i, a:b] = indicators[i, a:b]
        _tables(out, a, b)
        _single_formulas(rows_f, rows_i, session, t_ns, a, b, out)
        _price_windows(
            second_price, second_stamp, SECONDS_BACK, second, first_second,
            session[INTERVAL_NS] / NS_PER_SECOND, C_CHG_SECONDS, a, b, out,
        )
        _price_windows(
            minute_price, minute_stamp, MINUTES_BACK, minute, first_minute,
            session[INTERVAL_NS] / NS_PER_MINUTE, C_CHG_MINUTES, a, b, out,
        )
        _volume_windows(rows_f, second_volume, second_stamp, second, a, b, out)
        trade_columns(rows_i, known.second_trades, known.trades_stamp, second, a, b, out)
        minute_volume_columns(rows_f, known, minute, a, b, out)
        usual_columns(known, session, t_ns, a, b, place, out)
        strength_columns(
            rows_f, second_price, second_stamp, known, session, t_ns, a, b, out
        )
