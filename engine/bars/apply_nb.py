"""Kernels that apply the ticks of one cycle to the working rows of bars, merged over the rings."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.bars.events_nb import NEWER, open_slot, revise_event, settle
from engine.bars.layout import (
    ADMIT_PENDING,
    APPLIED,
    C_ADMIT_RING,
    C_CAPACITY,
    C_FULL,
    C_FUTURE,
    C_GAPS,
    C_LATE,
    C_REFUSED,
    C_T,
    C_TICKS,
    C_TOO_LATE,
    FUTURE_NS,
    POOL_LATE,
    R_GAP_MINUTE,
    R_SEEN,
)
from engine.bars.pool_nb import amend, pool_append, session_of
from engine.domain.records import (
    B_CLOSE,
    B_HIGH,
    B_LOW,
    B_OPEN,
    B_PV,
    B_TRADES_FLAGS,
    B_VOLUME,
    COND_EXTENDED,
    COND_HILO,
    COND_LAST,
    COND_LAST_IF_FIRST,
    COND_VOLUME,
    E_BAR,
    FLAG_GAP,
    FLAG_LATE,
    NS_PER_MINUTE,
    O_CLOSE,
    O_FLAGS,
    O_HIGH,
    O_LOW,
    O_MINUTE,
    O_OPEN,
    O_PV,
    O_TRADES,
    O_VOLUME,
    OUTSIDE,
    R_ASK,
    R_ASK_SIZE,
    R_BID,
    R_BID_SIZE,
    R_BLIND,
    R_CLOSE_RTH,
    R_CUMULATIVE,
    R_HALT_REASON,
    R_HALTED,
    R_HIGH,
    R_HIGH_EVENT,
    R_LAST,
    R_LAST_EVENT,
    R_LAST_SIZE,
    R_LOW,
    R_LOW_EVENT,
    R_LULD_LOWER,
    R_LULD_UPPER,
    R_MINUTES,
    R_OPEN_RTH,
    R_PV,
    R_QUOTE_EVENT,
    R_STATUS_EVENT,
    R_TICK_EVENT,
    R_TICK_RECV,
    R_TRADES,
    R_VOLUME,
    RTH,
    SIZE_BLANK,
    STATUS_QUOTE_RESUME,
    STATUS_TRADING,
    TICK_ADMIT,
    TICK_CANCEL,
    TICK_CORRECTION,
    TICK_GAP_END,
    TICK_GAP_START,
    TICK_LULD,
    TICK_QUOTE,
    TICK_STATUS,
    TICK_TRADE,
)

TRADE_BITS = COND_LAST | COND_HILO | COND_VOLUME
NEVER = np.iinfo(np.int64).max


@njit(cache=True, nogil=True)
def trade_bits(cond, session, seen):
    """What a trade changes, from its conditions, its session and whether last was set today."""
    bits = cond & TRADE_BITS
    if cond & COND_LAST_IF_FIRST:
        bits = bits & ~COND_LAST if seen else bits | COND_LAST
    if session != RTH and cond & COND_EXTENDED:
        bits |= COND_LAST | COND_HILO
    return bits & COND_LAST if session == OUTSIDE else bits


@njit(cache=True, nogil=True)
def late_trade(w, s, minute, bits, price, size):
    """A trade whose minute is final: sums and extremes of that bar, all prices if it had none."""
    e = revise_event(w, s, minute, True)
    if e < 0:
        w.c[C_TOO_LATE] += 1
        return
    w.c[C_LATE] += 1
    b = E_BAR
    word = w.ev_i[e, b + B_TRADES_FLAGS] | (FLAG_LATE << 32)
    if bits & COND_VOLUME:
        w.ev_f[e, b + B_VOLUME] += size
        w.ev_f[e, b + B_PV] += price * size
        word += 1
    w.ev_i[e, b + B_TRADES_FLAGS] = word
    if np.isnan(w.ev_f[e, b + B_CLOSE]):
        if bits & COND_LAST:
            w.ev_f[e, b + B_OPEN] = price
            w.ev_f[e, b + B_HIGH] = price
            w.ev_f[e, b + B_LOW] = price
            w.ev_f[e, b + B_CLOSE] = price
    elif bits & (COND_HILO | COND_LAST):
        w.ev_f[e, b + B_HIGH] = max(w.ev_f[e, b + B_HIGH], price)
        w.ev_f[e, b + B_LOW] = min(w.ev_f[e, b + B_LOW], price)
    settle(w, s, e)


@njit(cache=True, nogil=True)
def _session_trade(rows_f, rows_i, s, session, bits, event_ns, price, size):
    if bits & COND_VOLUME:
        rows_f[s, R_VOLUME + session] += size
        rows_f[s, R_PV + session] += price * size
        rows_i[s, R_TRADES + session] += 1
        rows_f[s, R_CUMULATIVE] += size
    if bits & COND_HILO:
        if not price <= rows_f[s, R_HIGH + session]:
            rows_f[s, R_HIGH + session] = price
            rows_i[s, R_HIGH_EVENT + session] = event_ns
        if not price >= rows_f[s, R_LOW + session]:
            rows_f[s, R_LOW + session] = price
            rows_i[s, R_LOW_EVENT + session] = event_ns
    if session == RTH and bits & COND_LAST:
        if np.isnan(rows_f[s, R_OPEN_RTH]):
            rows_f[s, R_OPEN_RTH] = price
        rows_f[s, R_CLOSE_RTH] = price


@njit(cache=True, nogil=True)
def _minute_trade(rows_f, rows_i, s, o, bits, price, size):
    if bits & COND_LAST:
        if np.isnan(rows_f[s, o + O_OPEN]):
            rows_f[s, o + O_OPEN] = price
        rows_f[s, o + O_CLOSE] = price
    if bits & (COND_HILO | COND_LAST):
        if not price <= rows_f[s, o + O_HIGH]:
            rows_f[s, o + O_HIGH] = price
        if not price >= rows_f[s, o + O_LOW]:
            rows_f[s, o + O_LOW] = price
    if bits & COND_VOLUME:
        rows_f[s, o + O_VOLUME] += size
        rows_f[s, o + O_PV] += price * size
        rows_i[s, o + O_TRADES] += 1


@njit(cache=True, nogil=True)
def apply_trade(w, s, cond, ident, event_ns, price, size):
    """One trade of symbol s: last, session, minute, pool."""
    rows_f, rows_i = w.rows_f, w.rows_i
    session = session_of(event_ns, w.c)
    bits = trade_bits(cond, session, rows_i[s, R_SEEN])
    if bits & COND_LAST:
        rows_f[s, R_LAST] = price
        rows_f[s, R_LAST_SIZE] = size
        rows_i[s, R_LAST_EVENT] = event_ns
        rows_i[s, R_SEEN] = 1
    if bits == 0:
        return
    pooled = bits
    if session != OUTSIDE:
        _session_trade(rows_f, rows_i, s, session, bits, event_ns, price, size)
        minute = event_ns // NS_PER_MINUTE
        o = R_MINUTES
        if rows_i[s, o + O_MINUTE] != minute:
            o = NEWER
            if rows_i[s, o + O_MINUTE] != minute:
                o = open_slot(w, s, minute)
        if o >= 0:
            _minute_trade(rows_f, rows_i, s, o, bits, price, size)
        else:
            late_trade(w, s, minute, bits, price, size)
            pooled |= POOL_LATE
    pool_append(w.pool, rows_i, w.c, s, ident, event_ns, price, size, pooled)


@njit(cache=True, nogil=True)
def _priced(price, size):
    """True for a possible trade: price above 0, size not negative, both finite."""
    return 0.0 < price < np.inf and 0.0 <= size < np.inf


@njit(cache=True, nogil=True)
def apply_quote(rows_f, rows_i, s, tick):
    """A quote; NaN and SIZE_BLANK leave their field; a price of 0 means: no quote on that side."""
    if not np.isnan(tick.a):
        rows_f[s, R_BID] = tick.a if tick.a > 0.0 else np.nan
    if not np.isnan(tick.b):
        rows_f[s, R_ASK] = tick.b if tick.b > 0.0 else np.nan
    if tick.n1 != SIZE_BLANK:
        rows_f[s, R_BID_SIZE] = tick.n1
    if tick.n2 != SIZE_BLANK:
        rows_f[s, R_ASK_SIZE] = tick.n2
    rows_i[s, R_QUOTE_EVENT] = tick.event_ns


@njit(cache=True, nogil=True)
def set_blind(w, s, feed, start, event_ns):
    """A gap of a feed starts or ends for one symbol; open minutes it touches are flagged."""
    if start:
        w.rows_i[s, R_BLIND] |= 1 << feed
    else:
        w.rows_i[s, R_BLIND] &= ~(1 << feed)
        gap_minute = event_ns // NS_PER_MINUTE + 1
        w.rows_i[s, R_GAP_MINUTE] = max(w.rows_i[s, R_GAP_MINUTE], gap_minute)
    for o in (R_MINUTES, NEWER):
        if w.rows_i[s, o + O_MINUTE] >= 0:
            w.rows_i[s, o + O_FLAGS] |= FLAG_GAP


@njit(cache=True, nogil=True)
def apply_gap(w, ids, feed, sym, start, event_ns):
    """GAP_START or GAP_END of one symbol of a feed or, sym < 0, of all; False: no such symbol."""
    if sym < 0:
        if start:
            w.c[C_GAPS] |= 1 << feed
        else:
            w.c[C_GAPS] &= ~(1 << feed)
        for number in range(ids.shape[0]):
            if ids[number] >= 0:
                set_blind(w, ids[number], feed, start, event_ns)
        return True
    if sym >= ids.shape[0] or ids[sym] < 0:
        return False
    set_blind(w, ids[sym], feed, start, event_ns)
    return True


@njit(cache=True, nogil=True)
def apply_rare(w, s, tick):
    """Every kind but trades, quotes and gaps; False: an impossible value."""
    kind = tick.kind
    if kind == TICK_CANCEL:
        amend(w, kind, s, tick.id, 0.0, 0.0)
    elif kind == TICK_CORRECTION:
        if not _priced(tick.a, tick.b):
            return False
        amend(w, kind, s, tick.id, tick.a, tick.b)
    elif kind == TICK_STATUS:
        if tick.n1 > STATUS_QUOTE_RESUME:
            return False
        w.rows_i[s, R_HALTED] = 0 if tick.n1 == STATUS_TRADING else 1
        w.rows_i[s, R_HALT_REASON] = tick.n2
        w.rows_i[s, R_STATUS_EVENT] = tick.event_ns
    elif kind == TICK_LULD:
        lower, upper = tick.a, tick.b
        if lower < 0.0 or upper <= 0.0 or lower > upper or np.isinf(lower + upper):
            return False
        w.rows_f[s, R_LULD_LOWER] = lower
        w.rows_f[s, R_LULD_UPPER] = upper
    else:
        return False
    return True


@njit(cache=True, nogil=True)
def apply_tick(w, ids, feed, tick, latest):
    """One tick of a feed; `latest` is the newest event_ns accepted. Counts what it refuses."""
    kind = tick.kind
    event_ns = tick.event_ns
    if kind in (TICK_GAP_START, TICK_GAP_END):
        done = apply_gap(w, ids, feed, tick.sym, kind == TICK_GAP_START, event_ns)
        w.c[C_TICKS if done else C_REFUSED] += 1
        return
    number = tick.sym
    s = ids[number] if 0 <= number < ids.shape[0] else -1
    if s < 0:
        w.c[C_CAPACITY if w.c[C_FULL] else C_REFUSED] += 1
        return
    if event_ns > latest:
        w.c[C_FUTURE] += 1
        return
    if event_ns < 0:
        w.c[C_REFUSED] += 1
        return
    if kind == TICK_QUOTE:
        a, b = tick.a, tick.b
        if a < 0.0 or b < 0.0 or np.isinf(a) or np.isinf(b):
            w.c[C_REFUSED] += 1
            return
        apply_quote(w.rows_f, w.rows_i, s, tick)
    elif kind == TICK_TRADE:
        if not _priced(tick.a, tick.b):
            w.c[C_REFUSED] += 1
            return
        apply_trade(w, s, tick.cond, tick.id, event_ns, tick.a, tick.b)
    elif not apply_rare(w, s, tick):
        w.c[C_REFUSED] += 1
        return
    w.rows_i[s, R_TICK_EVENT] = event_ns
    w.rows_i[s, R_TICK_RECV] = tick.recv_ns
    w.c[C_TICKS] += 1


@njit(cache=True, nogil=True)
def first_ring(data, pos, end, newest):
    """Ring whose next record comes first by (running-max recv_ns, ring), -1 when all are done, and
    the largest running maximum up to which it stays first."""
    mask = data.shape[1] - 1
    first, key, bound = -1, NEVER, NEVER
    for f in range(data.shape[0]):
        if pos[f] >= end[f]:
            continue
        mine = max(newest[f], data[f, pos[f] & mask].recv_ns)
        if first < 0:
            first, key = f, mine
        elif mine < key:
            bound = min(bound, key - 1)
            first, key = f, mine
        else:
            bound = min(bound, mine)
    return first, bound


@njit(cache=True, nogil=True)
def apply_ticks(w, data, pos, end, newest, idmap):
    """Apply ticks pos[f]..end[f]-1 of all rings, merged by (running-max recv_ns, ring, position).

    data: TICK[rings, capacity]; pos, end, newest: int64[rings], cursors and running maxima of
    recv_ns, moved on; idmap: int32[rings, numbers], feed number -> symbol id, -1 unknown. Returns
    APPLIED, or ADMIT_PENDING with the cursor of ring c[C_ADMIT_RING] on the ADMIT record, which
    the caller takes in before it calls again.
    """
    mask = data.shape[1] - 1
    latest = w.c[C_T] + FUTURE_NS
    while True:
        f, bound = first_ring(data, pos, end, newest)
        if f < 0:
            return APPLIED
        ids = idmap[f]
        at, stop, high = pos[f], end[f], newest[f]
        while at < stop:
            tick = data[f, at & mask]
            high = max(high, tick.recv_ns)
            if high > bound:
                break
            if tick.kind == TICK_ADMIT:
                pos[f] = at
                w.c[C_ADMIT_RING] = f
                return ADMIT_PENDING
            apply_tick(w, ids, f, tick, latest)
            newest[f] = high
            at += 1
        pos[f] = at


@njit(cache=True, nogil=True)
def end_cursor(data, f, pos, tail, newest, t_ns):
    """First position of ring f from `pos` whose running-max recv_ns exceeds T_k, at most `tail`."""
    mask = data.shape[1] - 1
    if newest > t_ns:
        return pos
    while pos < tail and data[f, pos & mask].recv_ns <= t_ns:
        pos += 1
    return pos
