"""Moves families one bar on, fills new ones from the bars in memory, shows them the forming bar."""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import NamedTuple

import numpy as np
from numba import njit

from engine.domain.family import (
    CLOSE,
    CODES,
    F_FIELD,
    F_KIND,
    F_RANGES,
    F_ROW,
    F_ROWS,
    FIRST_WINDOWED,
    HIGH,
    KEPT_CLOSES,
    KEPT_RANGES,
    LOW,
)
from engine.domain.frame_table import MARK_SHIFT
from engine.domain.tables import STATE_PLANES
from engine.families.recursive_nb import (
    adx_nb,
    atr_nb,
    direction_nb,
    ema_nb,
    macd_nb,
    rsi_nb,
    supertrend_nb,
)
from engine.families.tile_nb import COUNT, MAX_SLOTS, TILE, Tile
from engine.families.window_nb import (
    BAND_DEVIATION,
    BAND_LOWER,
    BAND_PLACE,
    BAND_UPPER,
    BAND_WIDTH,
    bands_nb,
    cci_nb,
    highest_nb,
    known_nb,
    line_nb,
    lowest_nb,
    mfi_nb,
    roc_nb,
    sma_nb,
    stochastic_nb,
    total_nb,
    vwma_nb,
    williams_nb,
)

CLOSE_MASK, RANGE_MASK = KEPT_CLOSES - 1, KEPT_RANGES - 1
FILL_CLOSES, FILL_RANGES = KEPT_CLOSES - 2, KEPT_RANGES - 2  # bars that a fill begins with, at most

K_EMA, K_RSI, K_ATR = CODES["ema"], CODES["rsi"], CODES["atr"]
K_MACD, K_MACD_HIST = CODES["macd"], CODES["macd_hist"]
K_ADX, K_PLUS, K_MINUS = CODES["adx"], CODES["plus_di"], CODES["minus_di"]
K_SUPER, K_SUPER_DIR = CODES["supertrend"], CODES["supertrend_dir"]
K_SMA, K_STDDEV, K_UPPER = CODES["sma"], CODES["stddev"], CODES["bb_upper"]
K_MIDDLE, K_LOWER, K_WIDTH = CODES["bb_middle"], CODES["bb_lower"], CODES["bb_width"]
K_PCTB, K_ROC, K_SLOPE, K_R2 = CODES["bb_pctb"], CODES["roc"], CODES["linreg_slope"], CODES["r2"]
K_VWMA, K_HIGHEST, K_LOWEST = CODES["vwma"], CODES["highest"], CODES["lowest"]
K_SUM, K_AVG, K_CCI, K_MFI = CODES["sum"], CODES["avg"], CODES["cci"], CODES["mfi"]
K_WILLIAMS, K_STOCH_K = CODES["williams_r"], CODES["stoch_k"]


class Frame(NamedTuple):
    """Bars of one timeframe, see TimeframeTable, slot after slot: closes float64[KEPT_CLOSES *
    rows], high, low, volume float64[KEPT_RANGES * rows]; marks int64[rows] of the current copy."""

    closes: np.ndarray
    high: np.ndarray
    low: np.ndarray
    volume: np.ndarray
    marks: np.ndarray


class Plan(NamedTuple):
    """F families. words: int64[F, FAMILY_WORDS]; params: float64[F, MAX_PERIODS]; rows: int32,
    slots of state; column: int64[F], where values go; bound: int64[F], symbols with a place in the
    order of admission below it are filled."""

    words: np.ndarray
    params: np.ndarray
    rows: np.ndarray
    column: np.ndarray
    bound: np.ndarray


class Room(NamedTuple):
    """What the kernels of one worker work in and on. tile: Tile; of each symbol of a tile, int64
    [TILE]: sym, its id; bar, the number of its bar; was, now, the planes of the states after the
    bar before and after this one. state: float64[family rows, STATE_PLANES, rows]; columns:
    float64[any, rows], of the cycle; order: int64[rows], place in the order of admission."""

    tile: Tile
    sym: np.ndarray
    bar: np.ndarray
    was: np.ndarray
    now: np.ndarray
    state: np.ndarray
    columns: np.ndarray
    order: np.ndarray


def new_tile() -> Tile:
    """Room for a tile."""
    closes, ranges = (KEPT_CLOSES, TILE), (KEPT_RANGES, TILE)
    return Tile(
        size=np.zeros(1, np.int64), close=np.zeros(closes), high=np.zeros(ranges),
        low=np.zeros(ranges), volume=np.zeros(ranges), before=np.zeros((MAX_SLOTS, TILE)),
        after=np.zeros((MAX_SLOTS, TILE)), seen=np.zeros(TILE, np.int64),
        there=np.zeros(TILE, np.int64), value=np.zeros(TILE), a=np.zeros(TILE), b=np.zeros(TILE),
        d=np.zeros(TILE), rows=np.zeros(ranges), counts=np.zeros(TILE, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _recursive_nb(kind, p, w, c, r):
    if kind == K_EMA:
        ema_nb(p, w, c, r)
    elif kind == K_RSI:
        rsi_nb(p, w, c, r)
    elif kind == K_ATR:
        atr_nb(p, w, c, r)
    elif kind <= K_MACD_HIST:
        macd_nb(p, w, c, r, kind - K_MACD)
    elif kind == K_ADX:
        adx_nb(p, w, c, r)
    elif kind == K_PLUS:
        direction_nb(p, w, c, r, 2)
    elif kind == K_MINUS:
        direction_nb(p, w, c, r, 3)
    else:
        supertrend_nb(p, w, c, r, kind == K_SUPER_DIR)


@njit(cache=True, nogil=True, error_model="numpy")
def _of_field_nb(kind, field, p, w, c, r):
    """highest, lowest, sum, avg of one value of the bars."""
    rows, end = w.close, c
    if field != CLOSE:
        rows = w.high if field == HIGH else (w.low if field == LOW else w.volume)
        end = r
    n = np.int64(p[0])
    if kind == K_HIGHEST:
        highest_nb(rows, end - n, end, w.value, w.size[0])
    elif kind == K_LOWEST:
        lowest_nb(rows, end - n, end, w.value, w.size[0])
    else:
        total_nb(rows, end - n, end, w.value, w.size[0])
        if kind == K_AVG:
            for j in range(w.size[0]):
                w.value[j] /= n
    known_nb(w, n)


@njit(cache=True, nogil=True, error_model="numpy")
def _windowed_nb(kind, field, p, w, c, r):
    if kind in (K_SMA, K_MIDDLE):
        sma_nb(p, w, c)
    elif kind == K_STDDEV:
        bands_nb(p, w, c, BAND_DEVIATION)
    elif kind == K_UPPER:
        bands_nb(p, w, c, BAND_UPPER)
    elif kind == K_LOWER:
        bands_nb(p, w, c, BAND_LOWER)
    elif kind == K_WIDTH:
        bands_nb(p, w, c, BAND_WIDTH)
    elif kind == K_PCTB:
        bands_nb(p, w, c, BAND_PLACE)
    elif kind == K_ROC:
        roc_nb(p, w, c)
    elif kind in (K_SLOPE, K_R2):
        line_nb(p, w, c, kind == K_R2)
    elif kind == K_VWMA:
        vwma_nb(p, w, c, r)
    elif kind <= K_AVG:
        _of_field_nb(kind, field, p, w, c, r)
    elif kind == K_CCI:
        cci_nb(p, w, c, r)
    elif kind == K_MFI:
        mfi_nb(p, w, c, r)
    elif kind == K_WILLIAMS:
        williams_nb(p, w, c, r)
    else:
        stochastic_nb(p, w, c, r, kind != K_STOCH_K)


@njit(cache=True, nogil=True, error_model="numpy")
def compute_nb(words, p, w, c, r):
    """The value of one family for a tile whose windows hold c closes and r other values."""
    kind = words[F_KIND]
    if kind < FIRST_WINDOWED:
        _recursive_nb(kind, p, w, c, r)
    else:
        _windowed_nb(kind, words[F_FIELD], p, w, c, r)


@njit(cache=True, nogil=True, error_model="numpy")
def gather_nb(w, frame, sym, index, size, c, r):
    """Fill the windows of a tile: c closes and r other values up to bar index[j] of sym[j]."""
    w.size[0] = size
    rows = frame.marks.shape[0]
    for k in range(c):
        back, row = c - 1 - k, w.close[k]
        for j in range(size):  # an unsigned place is not looked at for a sign
            row[j] = frame.closes[np.uint64(((index[j] - back) & CLOSE_MASK) * rows + sym[j])]
    for k in range(r):
        back, high, low, volume = r - 1 - k, w.high[k], w.low[k], w.volume[k]
        for j in range(size):
            at = np.uint64(((index[j] - back) & RANGE_MASK) * rows + sym[j])
            high[j] = frame.high[at]
            low[j] = frame.low[at]
            volume[j] = frame.volume[at]
    for j in range(size):
        w.there[j] = index[j] + 1


@njit(cache=True, nogil=True)
def place_nb(room, size):
    """Find the planes of a tile's states from the numbers of its bars."""
    for j in range(size):
        room.was[j] = (room.bar[j] - 1) % STATE_PLANES
        room.now[j] = room.bar[j] % STATE_PLANES


@njit(cache=True, nogil=True, error_model="numpy")
def load_nb(words, plan, room, size):
    """Take up what a family remembers as of the bar before index[j]; no state: nothing."""
    w, first, rows = room.tile, words[F_ROW], words[F_ROWS]
    was, sym = room.was, room.sym
    for slot in range(rows):
        state, before = room.state[plan.rows[first + slot]], w.before[slot]
        for j in range(size):
            before[j] = state[was[j], sym[j]]
    if rows > 0:
        for j in range(size):
            w.seen[j] = np.int64(w.before[COUNT, j]) + 1


@njit(cache=True, nogil=True, error_model="numpy")
def store_nb(words, plan, room, size, bound, planes):
    """Leave what a family remembers in planes (int64[TILE]), of filled symbols."""
    w, first, rows = room.tile, words[F_ROW], words[F_ROWS]
    sym, order, everybody = room.sym, room.order, bound >= room.order.shape[0]
    for slot in range(rows):
        state, after = room.state[plan.rows[first + slot]], w.after[slot]
        for j in range(size):
            if everybody or order[sym[j]] < bound:
                state[planes[j], sym[j]] = after[j]


@njit(cache=True, nogil=True, error_model="numpy")
def show_nb(column, room, size, bound):
    """Write the values of a tile to a column, of filled symbols."""
    out, value, sym = room.columns[column], room.tile.value, room.sym
    everybody = bound >= room.order.shape[0]
    for j in range(size):
        if everybody or room.order[sym[j]] < bound:
            out[sym[j]] = value[j]


@njit(cache=True, nogil=True, error_model="numpy")
def step_bars_nb(chosen, plan, frame, room, symbols, count, back, c, r):
    """Move the families `chosen` of one timeframe on by the bar `back` bars before the newest.

    symbols[:count]: those that have a new or revised bar; c, r: rows of the largest windows.
    Whatever is read is of bars before this one, so that doing it again gives the same bits.
    """
    w = room.tile
    for a in range(0, count, TILE):
        size = min(TILE, count - a)
        for j in range(size):
            room.sym[j] = symbols[a + j]
            room.bar[j] = (frame.marks[symbols[a + j]] >> MARK_SHIFT) - 1 - back
        place_nb(room, size)
        gather_nb(w, frame, room.sym, room.bar, size, c, r)
        for i in range(chosen.shape[0]):
            f = chosen[i]
            words, bound = plan.words[f], plan.bound[f]
            if bound == 0:
                continue
            load_nb(words, plan, room, size)
            compute_nb(words, plan.params[f], w, c, r)
            if words[F_ROWS] > 0:
                for j in range(size):
                    w.after[COUNT, j] = w.seen[j]
                store_nb(words, plan, room, size, bound, room.now)
            show_nb(plan.column[f], room, size, bound)


@njit(cache=True, nogil=True, error_model="numpy")
def _run_nb(words, p, plan, room, size, bound):
    """Begin a family that remembers with the oldest bars in memory and run it up to the newest."""
    w = room.tile
    most = FILL_RANGES if words[F_RANGES] > 0 else FILL_CLOSES
    longest = 1
    w.before[:] = 0.0
    w.after[:] = 0.0
    for j in range(size):
        longest = max(longest, min(w.there[j], most))
    store_nb(words, plan, room, size, bound, room.was)
    for back in range(longest - 1, -1, -1):
        for j in range(size):
            w.seen[j] = min(w.there[j], most) - back
        compute_nb(words, p, w, KEPT_CLOSES - 1 - back, KEPT_RANGES - 1 - back)
        for j in range(size):
            w.after[COUNT, j] = max(w.seen[j], 0)
        if back <= 1:
            store_nb(words, plan, room, size, bound, room.now if back == 0 else room.was)
        for slot in range(words[F_ROWS]):
            for j in range(size):
                w.before[slot, j] = w.after[slot, j]


@njit(cache=True, nogil=True, error_model="numpy")
def fill_nb(chosen, plan, frame, room, symbols, count):
    """Compute the families `chosen` of one timeframe anew from the bars in memory.

    symbols[:count]: for whom; those beyond plan.bound are left alone.
    """
    w = room.tile
    c, r = KEPT_CLOSES - 1, KEPT_RANGES - 1
    for a in range(0, count, TILE):
        size = min(TILE, count - a)
        for j in range(size):
            room.sym[j] = symbols[a + j]
            room.bar[j] = (frame.marks[symbols[a + j]] >> MARK_SHIFT) - 1
        place_nb(room, size)
        gather_nb(w, frame, room.sym, room.bar, size, c, r)
        for i in range(chosen.shape[0]):
            f = chosen[i]
            words, p, bound = plan.words[f], plan.params[f], plan.bound[f]
            if words[F_ROWS] > 0:
                _run_nb(words, p, plan, room, size, bound)
            else:
                compute_nb(words, p, w, c, r)
            show_nb(plan.column[f], room, size, bound)


@njit(cache=True, nogil=True, error_model="numpy")
def live_nb(chosen, plan, frame, room, forming, first, end, c, r):
    """Values of the families `chosen` for symbols [first, end) with the forming bar as the newest.

    forming: float64[4, rows], high, low, close, volume of the bar that forms, close NaN where
    there is none: the newest final bar stands for it. Nothing is remembered.
    """
    w = room.tile
    for a in range(first, end, TILE):
        size = min(TILE, end - a)
        for j in range(size):
            room.sym[j] = a + j
            final = (frame.marks[a + j] >> MARK_SHIFT) - 1
            room.bar[j] = final + 1 if forming[2, a + j] > 0.0 else final
        place_nb(room, size)
        gather_nb(w, frame, room.sym, room.bar, size, c, r)
        for j in range(size):
            if forming[2, a + j] > 0.0:
                w.close[c - 1, j] = forming[2, a + j]
                if r > 0:
                    w.high[r - 1, j] = forming[0, a + j]
                    w.low[r - 1, j] = forming[1, a + j]
                    w.volume[r - 1, j] = forming[3, a + j]
        for i in range(chosen.shape[0]):
            f = chosen[i]
            load_nb(plan.words[f], plan, room, size)
            compute_nb(plan.words[f], plan.params[f], w, c, r)
            for j in range(size):
                if room.bar[j] < 0:
                    w.value[j] = np.nan
            show_nb(plan.column[f], room, size, plan.bound[f])


@njit(cache=True, nogil=True)
def carry_nb(columns, slots, now, before, first, end, dirty, whole):
    """Bring columns of families level with the cycle before: of every symbol of [first, end), or of
    those in whom dirty (uint8[rows]) is set. columns: float64[2, any, rows]."""
    for i in range(slots.shape[0]):
        to, source = columns[now, slots[i]], columns[before, slots[i]]
        if whole:
            to[first:end] = source[first:end]
            continue
        for sym in range(first, end):
            if dirty[sym]:
                to[sym] = source[sym]
