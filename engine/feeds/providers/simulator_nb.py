"""Kernels of the simulated market: a tick is a function of key, second, index and fixed tables.

Nothing is carried from tick to tick: prices are sums of noise on lattices of several periods, so
that any second can be made without those before it, and the original of a correction can be made
again. Only +, -, *, / and floor are used: the same numbers on every machine.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.domain.records import (
    TICK_CANCEL,
    TICK_CORRECTION,
    TICK_LULD,
    TICK_QUOTE,
    TICK_TRADE,
)

NS = 1_000_000_000
INDEX_BITS = 24  # src_pos = second << INDEX_BITS | index within the second
WINDOW_S = 300   # activity is constant within a window; corrections look back within it
OPENING_S = 30   # opening and closing prints spread over so many seconds
SCALES = 6
FIRST_PERIOD_S = 8.0
PRICE_KEYS = 16  # keys of a symbol's random numbers

# Columns of the market table, a row a symbol; times are seconds since the session's start.
BASE, GAP, GAP_AT, VOLATILITY, SPREAD, HALT_AT, HALT_END, BAND = 0, 1, 2, 3, 4, 5, 6, 7
MARKET_COLUMNS = 8

# Places of `plan`: int64 numbers that fix the day.
SECONDS, OPEN_S, CLOSE_S, START_NS, FIRST_NS, END_NS = 0, 1, 2, 3, 4, 5
QUOTES, LATE, FIXES, BANDS, GAPS_FROM = 6, 7, 8, 9, 10
MAX_GAPS = 4
PLAN_WORDS = GAPS_FROM + 2 * MAX_GAPS

# Places of `bits`: COND_* bits by kind of trade.
REGULAR, ODD_LOT, AVERAGE_PRICE, OPENING, CLOSING, EXTENDED, EXTENDED_ODD_LOT = 0, 1, 2, 3, 4, 5, 6

# Places of `state`.
SECOND, INDEX, COUNT = 0, 1, 2
STATE_WORDS = 3

GOLDEN = np.uint64(0x9E37_79B9_7F4A_7C15)
_M1, _M2 = np.uint64(0xBF58_476D_1CE4_E5B9), np.uint64(0x94D0_49BB_1331_11EB)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
VENUES = np.frombuffer(b"QNPZKDBY", np.uint8).copy()

BURST_SHARE = 0.004
ODD_LOT_SHARE, AVERAGE_PRICE_SHARE, LATE_SHARE, FIX_SHARE = 0.3, 0.004, 0.002, 0.001
QUOTE_SHARE, BAND_SHARE = 0.55, 0.004


@njit(cache=True, nogil=True)
def mix_nb(x):
    """A well mixed 64-bit number (splitmix64)."""
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@njit(cache=True, nogil=True)
def draw_nb(key, a, b):
    """A random number in [0, 1) that belongs to (key, a, b)."""
    h = mix_nb(key + np.uint64(a) * GOLDEN)
    h = mix_nb(h ^ (np.uint64(b) * _M1 + GOLDEN))
    return np.float64(np.int64(h >> _S11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def draws_nb(key, a, out):
    """Fill float64[n] with the numbers of (key, a, 0..n - 1)."""
    for b in range(out.shape[0]):
        out[b] = draw_nb(key, a, b)


@njit(cache=True, nogil=True)
def ramp_nb(x):
    """0 below 0, 1 above 1, smooth between."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


@njit(cache=True, nogil=True)
def burst_nb(key, symbol, window):
    """Share of its price that a symbol runs in a window, 0.0 for most."""
    if window < 0 or draw_nb(key, symbol * PRICE_KEYS + 8, window) >= BURST_SHARE:
        return 0.0
    size = draw_nb(key, symbol * PRICE_KEYS + 9, window) - 0.4
    return 0.12 * size + (0.015 if size > 0 else -0.015)


@njit(cache=True, nogil=True)
def price_nb(market, key, symbol, t):
    """Unrounded mid price of a symbol t seconds after the session's start."""
    noise = 0.0
    period, weight = FIRST_PERIOD_S, market[symbol, VOLATILITY] / 40.0
    for scale in range(SCALES):
        place = np.floor(t / period)
        left = draw_nb(key, symbol * PRICE_KEYS + scale, place) - 0.5
        right = draw_nb(key, symbol * PRICE_KEYS + scale, place + 1.0) - 0.5
        noise += weight * (left + (right - left) * ramp_nb(t / period - place))
        period, weight = 4.0 * period, 2.0 * weight
    gap = market[symbol, GAP] * ramp_nb((t - market[symbol, GAP_AT]) / 60.0)
    window = int(t // WINDOW_S)
    into = t - window * WINDOW_S
    run = burst_nb(key, symbol, window) * ramp_nb((into - 30.0) / 120.0)
    run += burst_nb(key, symbol, window - 1) * (1.0 - ramp_nb(into / WINDOW_S))
    return market[symbol, BASE] * (1.0 + gap) * (1.0 + max(noise, -0.5)) * (1.0 + run)


@njit(cache=True, nogil=True)
def cents_nb(price):
    """A price in whole cents, at least one."""
    return max(np.floor(price * 100.0 + 0.5), 1.0) / 100.0


@njit(cache=True, nogil=True)
def ticks_nb(plan, key, rate, second):
    """How many drawn ticks a second has: a burst at the open, a U over the day, little outside."""
    opens, closes = plan[OPEN_S], plan[CLOSE_S]
    if second < opens:
        share = 0.02 + 0.18 * ramp_nb(second / max(opens, 1))
    elif second < closes:
        x = 2.0 * (second - opens) / (closes - opens) - 1.0
        share = 0.58 + 1.2 * x * x + 4.0 * (1.0 - ramp_nb((second - opens) / 90.0))
    else:
        share = 0.02 + 0.18 * (1.0 - ramp_nb((second - closes) / 3600.0))
    wanted = rate * share * (0.75 + 0.5 * draw_nb(key, 1, second)) + draw_nb(key, 2, second)
    return min(int(wanted), 1 << (INDEX_BITS - 1))


@njit(cache=True, nogil=True)
def weights_nb(market, popularity, key, window, cumulative):
    """Cumulative activity of the symbols in a window: popularity, and much more in a burst."""
    total = 0.0
    for symbol in range(market.shape[0]):
        burst = burst_nb(key, symbol, window) != 0.0
        total += popularity[symbol] * (20.0 if burst else 1.0)
        cumulative[symbol] = total


@njit(cache=True, nogil=True)
def pick_nb(cumulative, u):
    """Symbol at share u of the cumulative activity."""
    wanted = u * cumulative[-1]
    low, high = 0, cumulative.shape[0] - 1
    while low < high:
        middle = (low + high) >> 1
        if cumulative[middle] > wanted:
            high = middle
        else:
            low = middle + 1
    return low


@njit(cache=True, nogil=True)
def in_gap_nb(plan, second):
    """True in a second of which the feed sees nothing."""
    for g in range(MAX_GAPS):
        if plan[GAPS_FROM + 2 * g] <= second < plan[GAPS_FROM + 2 * g + 1]:
            return True
    return False


@njit(cache=True, nogil=True)
def head_nb(tick, kind, symbol, recv_ns, event_ns, second, index):
    """Fields that every tick has; the rest is emptied."""
    tick.kind, tick.cond, tick.exchange, tick.tape = kind, 0, 0, 0
    tick.sym = symbol
    tick.recv_ns, tick.event_ns = recv_ns, event_ns
    tick.src_pos = (second << INDEX_BITS) | index
    tick.id, tick.a, tick.b, tick.n1, tick.n2 = 0, 0.0, 0.0, 0, 0


@njit(cache=True, nogil=True)
def trade_nb(tick, market, key, bits, plan, symbol, second, index, u, late_s):
    """Fill a trade; u in [0, 1) is where in its second it is, late_s how long ago it happened."""
    t = second + u - late_s
    tick.event_ns -= int(late_s * 1e9)
    mid = price_nb(market, key, symbol, max(t, 0.0))
    row = (second << INDEX_BITS) | index
    side, size = draw_nb(key, 11, row), draw_nb(key, 12, row)
    mid += mid * market[symbol, SPREAD] * (0.5 if side < 0.4 else (-0.5 if side < 0.8 else 0.0))
    regular = plan[OPEN_S] <= t < plan[CLOSE_S]
    lot = draw_nb(key, 13, row)
    if lot < ODD_LOT_SHARE:
        tick.b = 1.0 + np.floor(99.0 * size * size)
        tick.cond = bits[ODD_LOT] if regular else bits[EXTENDED_ODD_LOT]
    else:
        tick.b = 100.0 * (1.0 + np.floor(1.0 / (0.02 + size) - 0.98))
        tick.cond = bits[REGULAR] if regular else bits[EXTENDED]
        if lot > 1.0 - AVERAGE_PRICE_SHARE:
            tick.cond = bits[AVERAGE_PRICE]
    tick.a = cents_nb(mid)
    tick.id = row + 1
    tick.exchange = VENUES[int(side * 100.0) % VENUES.shape[0]]


@njit(cache=True, nogil=True)
def drawn_nb(tick, market, cumulative, key, bits, plan, second, index, place, count, plain):
    """Fill the drawn tick number `place` of `count` in a second; False if nothing is sent there.

    plain: only trades that are neither late nor corrections (the originals of corrections).
    """
    row = (second << INDEX_BITS) | index
    u = (place + draw_nb(key, 3, row)) / count
    recv_ns = plan[START_NS] + second * NS + min(int(u * 1e9), NS - 1)
    what = draw_nb(key, 4, row)
    symbol = pick_nb(cumulative, draw_nb(key, 5, row))
    if market[symbol, HALT_AT] <= second < market[symbol, HALT_END]:
        return False
    event_ns = recv_ns - 200_000 - int(draw_nb(key, 6, row) * 2e7)
    tick_kind = TICK_QUOTE if plan[QUOTES] and what < QUOTE_SHARE else TICK_TRADE
    if plan[BANDS] and what > 1.0 - BAND_SHARE:
        tick_kind = TICK_LULD
    if plain and tick_kind != TICK_TRADE:
        return False
    head_nb(tick, tick_kind, symbol, recv_ns, event_ns, second, index)
    if tick_kind == TICK_TRADE:
        rare = draw_nb(key, 7, row)
        late_s = 0.0
        if plan[LATE] and rare < LATE_SHARE:
            late_s = 2.0 + 28.0 * draw_nb(key, 8, row)
            if rare < 0.2 * LATE_SHARE:
                late_s = 60.0 + 2.0 * late_s
        fix = plan[FIXES] and rare > 1.0 - FIX_SHARE
        if plain and (late_s > 0.0 or fix):
            return False
        trade_nb(tick, market, key, bits, plan, symbol, second, index, u, late_s)
        return True
    mid = price_nb(market, key, symbol, second + u)
    if tick_kind == TICK_LULD:
        tick.a = cents_nb(mid * (1.0 - market[symbol, BAND]))
        tick.b = cents_nb(mid * (1.0 + market[symbol, BAND]))
        return True
    half = max(0.5 * mid * market[symbol, SPREAD], 0.005)
    tick.a, tick.b = cents_nb(mid - half), cents_nb(mid + half)
    tick.n1 = 100 * (1 + int(20.0 * draw_nb(key, 9, row)))
    tick.n2 = 100 * (1 + int(20.0 * draw_nb(key, 10, row)))
    return True


@njit(cache=True, nogil=True)
def is_fix_nb(plan, key, second, index):
    """True if the trade drawn there is to be replaced by a correction or cancel."""
    row = (second << INDEX_BITS) | index
    return plan[FIXES] and draw_nb(key, 7, row) > 1.0 - FIX_SHARE


@njit(cache=True, nogil=True)
def fix_nb(tick, market, cumulative, key, bits, plan, rate, events_at, second, index):
    """Turn a trade into a correction or cancel of an earlier one of its window, if one is found."""
    recv_ns, event_ns = tick.recv_ns, tick.event_ns
    row = (second << INDEX_BITS) | index
    first = second - second % WINDOW_S
    back = int(draw_nb(key, 14, row) * (second - first)) + 1
    earlier = second - back
    if earlier < first or in_gap_nb(plan, earlier):
        return True
    count = ticks_nb(plan, key, rate, earlier)
    if count == 0:
        return True
    place = int(draw_nb(key, 15, row) * count)
    at = events_at[earlier + 1] - events_at[earlier] + prints_nb(plan, earlier, market) + place
    if not drawn_nb(tick, market, cumulative, key, bits, plan, earlier, at, place, count, True):
        return False
    if tick.recv_ns < plan[FIRST_NS]:
        return False
    tick.kind = TICK_CORRECTION
    tick.src_pos = row
    tick.recv_ns, tick.event_ns = recv_ns, event_ns
    change = draw_nb(key, 16, row)
    if change < 0.4:
        tick.kind, tick.a, tick.b = TICK_CANCEL, 0.0, 0.0
    else:
        tick.a = cents_nb(tick.a * (0.98 + 0.04 * change))
    return True


@njit(cache=True, nogil=True)
def prints_nb(plan, second, market):
    """How many places of a second belong to opening or closing prints: every symbol one, or
    none."""
    for begin in (plan[OPEN_S], plan[CLOSE_S]):
        if begin <= second < begin + OPENING_S:
            return market.shape[0]
    return 0


@njit(cache=True, nogil=True)
def print_nb(tick, market, popularity, key, bits, plan, symbol, second, index):
    """The opening or closing print of a symbol, in the one second drawn for it; False in others."""
    opening = second < plan[CLOSE_S]
    begin = plan[OPEN_S] if opening else plan[CLOSE_S]
    if begin + int(draw_nb(key, 17, symbol) * OPENING_S) != second:
        return False
    if market[symbol, HALT_AT] <= second < market[symbol, HALT_END]:
        return False
    now_ns = plan[START_NS] + second * NS
    head_nb(tick, TICK_TRADE, symbol, now_ns, now_ns, second, index)
    tick.a = cents_nb(price_nb(market, key, symbol, float(second)))
    tick.b = 100.0 * (1.0 + np.floor(4000.0 * popularity[symbol]))
    tick.cond = bits[OPENING] if opening else bits[CLOSING]
    tick.id = tick.src_pos + 1
    tick.exchange = VENUES[symbol % 2]
    return True


@njit(cache=True, nogil=True)
def fill_nb(
    market, popularity, cumulative, events, events_at, events_f, key, bits, plan, rate, window,
    out, state,
):  # fmt: skip
    """Make ticks from (state[SECOND], state[INDEX]) on until `out` is full or the window ends.

    events int64[n, 4] (kind, symbol, n1, n2) with events_f float64[n, 2] (a, b): what is scheduled;
    those of second s are events_at[s]..events_at[s + 1]. Ticks outside FIRST_NS..END_NS are left
    out.
    """
    second, index, count = state[SECOND], state[INDEX], 0
    last = min((window + 1) * WINDOW_S, plan[SECONDS])
    while second < last and count < out.shape[0]:
        scheduled = events_at[second + 1] - events_at[second]
        prints = prints_nb(plan, second, market)
        drawn = ticks_nb(plan, key, rate, second)
        blind = in_gap_nb(plan, second)
        total = scheduled + (0 if blind else prints + drawn)
        while index < total and count < out.shape[0]:
            tick = out[count]
            sent = True
            if index < scheduled:
                e = events_at[second] + index
                now_ns = plan[START_NS] + second * NS
                head_nb(tick, events[e, 0], events[e, 1], now_ns, now_ns, second, index)
                tick.n1, tick.n2 = events[e, 2], events[e, 3]
                tick.a, tick.b = events_f[e, 0], events_f[e, 1]
            elif index < scheduled + prints:
                symbol = index - scheduled
                sent = print_nb(tick, market, popularity, key, bits, plan, symbol, second, index)
            else:
                place = index - scheduled - prints
                sent = drawn_nb(
                    tick, market, cumulative, key, bits, plan, second, index, place, drawn, False
                )
                if sent and tick.kind == TICK_TRADE and is_fix_nb(plan, key, second, index):
                    sent = fix_nb(
                        tick, market, cumulative, key, bits, plan, rate, events_at, second, index
                    )
            index += 1
            if sent and plan[FIRST_NS] <= tick.recv_ns < plan[END_NS]:
                count += 1
        if index >= total:
            second, index = second + 1, 0
    state[SECOND], state[INDEX], state[COUNT] = second, index, count
