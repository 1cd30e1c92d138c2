"""Kernels that apply the ticks of one cycle to the working rows of bars, merged over the rings."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.bars.events_nb import NEWER, fresh_minute, open_slot, revise_event, settle
from engine.bars.layout import (
    ADMIT_PENDING,
    APPLIED,
    C_ADMIT_RING,
    C_CAPACITY,
    C_CLOSE,
    C_CLOSED,
    C_END,
    C_FULL,
    C_FUTURE,
    C_GAPS,
    C_LATE,
    C_N,
    C_OPEN,
    C_POOL_TAIL,
    C_REFUSED,
    C_START,
    C_T,
    C_TICKS,
    C_TOO_LATE,
    FUTURE_NS,
    POOL_LATE,
    R_SEEN,
)
from engine.bars.pool_nb import amend, back_nb, opening_part, pool_put, session_of
from engine.bars.prefetch import prefetch
from engine.domain.records import (
    B_CLOSE,
    B_HIGH,
    B_LOW,
    B_OPEN,
    B_PV,
    B_TRADES_FLAGS,
    B_VOLUME,
    BLOCK_USD,
    COND_BAR,
    COND_EXTENDED,
    COND_HILO,
    COND_LAST,
    COND_LAST_IF_FIRST,
    COND_VOLUME,
    E_BAR,
    FLAG_GAP,
    FLAG_LATE,
    FLAG_TYPICAL,
    GAP_BAR_SHIFT,
    GAP_SECOND,
    HOT_WORDS,
    NS_PER_MINUTE,
    NS_PER_SECOND,
    O_CLOSE,
    O_FLAGS,
    O_HIGH,
    O_LOW,
    O_MINUTE,
    O_OPEN,
    O_PV,
    O_TRADES,
    O_VOLUME,
    OPEN_WORDS,
    OPENING_MINUTES,
    OUTSIDE,
    R_ASK,
    R_ASK_SIZE,
    R_BAR_INDEX,
    R_BID,
    R_BID_SIZE,
    R_BLIND,
    R_BLOCK_SHARES,
    R_BLOCKS,
    R_BLOCKS_USD,
    R_CLOSE_RTH,
    R_CUMULATIVE,
    R_FINAL_MINUTE,
    R_FIRST,
    R_GAP,
    R_HALT_EVENT,
    R_HALT_REASON,
    R_HALTED,
    R_HALTS,
    R_HIGH,
    R_HIGH_BEFORE,
    R_HIGH_EVENT,
    R_LAST,
    R_LAST_EVENT,
    R_LAST_SIZE,
    R_LOW,
    R_LOW_BEFORE,
    R_LOW_EVENT,
    R_LULD_LOWER,
    R_LULD_UPPER,
    R_MAX_PRINT,
    R_MINUTES,
    R_NEW_HIGHS,
    R_NEW_LOWS,
    R_OPEN_RTH,
    R_OPENING_HIGH,
    R_OPENING_LOW,
    R_POOL_HEAD,
    R_PPV,
    R_PV,
    R_QUOTE_EVENT,
    R_RESUME_EVENT,
    R_STATUS_EVENT,
    R_TICK_EVENT,
    R_TICK_RECV,
    R_TRADES,
    R_VOLUME,
    ROW_WORDS,
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

TRADE_BITS = COND_LAST | COND_HILO | COND_VOLUME | COND_BAR
OPENING_NS = OPENING_MINUTES[-1] * NS_PER_MINUTE
AHEAD = 8  # ticks; far enough for a row to come from the last-level cache
UNKNOWN, TOO_EARLY, NO_TIME = -1, -2, -3  # instead of a symbol id
NEVER = np.iinfo(np.int64).max


@njit(cache=True, nogil=True)
def trade_bits(cond, session, seen):
    """What a trade changes, from its conditions, its session and whether last was set today; with
    COND_BAR if it is part of a bar."""
    bits = cond & TRADE_BITS
    if cond & COND_LAST_IF_FIRST:
        bits = bits & ~COND_LAST if seen else bits | COND_LAST
    if session != RTH and cond & COND_EXTENDED:
        bits |= COND_LAST | COND_HILO
    if session == OUTSIDE:
        bits &= (COND_LAST | COND_BAR) if bits & COND_LAST else 0
    return bits


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
        if bits & COND_BAR:
            word |= FLAG_TYPICAL << 32
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
def _priced(price, size):
    """True for a possible trade: price above 0, size not negative, both finite."""
    return 0.0 < price < np.inf and 0.0 <= size < np.inf


@njit(cache=True, nogil=True)
def _side(price):
    """True for a possible side of a quote: not negative, not infinite; NaN is blank."""
    return not (price < 0.0 or price == np.inf)


@njit(cache=True, nogil=True)
def note_gap(rows_i, s, event_ns):
    """A gap of symbol s ended at event_ns: remember it (see ROW.gap) if none ended later.

    Bars not closed yet lie behind the gap from the first one on whose minute began after it: the
    gap's own minute counts as one that does not, opened yet or not.
    """
    second = min(event_ns // NS_PER_SECOND + 1, GAP_SECOND)
    if second <= rows_i[s, R_GAP] & GAP_SECOND:
        return
    minute = event_ns // NS_PER_MINUTE
    bar = rows_i[s, R_BAR_INDEX]
    if minute > rows_i[s, R_FINAL_MINUTE]:
        bar += 1
    for slot in range(2):
        if 0 <= rows_i[s, R_MINUTES + slot * OPEN_WORDS + O_MINUTE] < minute:
            bar += 1
    rows_i[s, R_GAP] = bar << GAP_BAR_SHIFT | second


@njit(cache=True, nogil=True)
def set_blind(w, s, feed, start, event_ns):
    """A gap of a feed starts or ends for one symbol; open minutes it touches are flagged."""
    if start:
        w.rows_i[s, R_BLIND] |= 1 << feed
    else:
        w.rows_i[s, R_BLIND] &= ~(1 << feed)
        note_gap(w.rows_i, s, event_ns)
    for slot in range(2):
        o = R_MINUTES + slot * OPEN_WORDS
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
def open_trade(w, s, tick):
    """A trade whose minute is not open: opens it. If it is final: revises it, returns POOL_LATE."""
    c = w.c
    session = session_of(tick.event_ns, c[C_START], c[C_OPEN], c[C_CLOSE], c[C_END])
    bits = trade_bits(tick.cond, session, w.rows_i[s, R_SEEN])
    minute = tick.event_ns // NS_PER_MINUTE
    if open_slot(w, s, minute):
        return np.int64(0)
    late_trade(w, s, minute, bits, tick.a, tick.b)
    return np.int64(POOL_LATE)


@njit(cache=True, nogil=True)
def set_halted(rows_i, s, halted, event_ns):
    """Trading of symbol s is halted, or goes on; a halt that is told again is still the same."""
    if halted and rows_i[s, R_HALTED] == 0:
        rows_i[s, R_HALTS] += 1
        rows_i[s, R_HALT_EVENT] = event_ns
    elif not halted and rows_i[s, R_HALTED] != 0:
        rows_i[s, R_RESUME_EVENT] = event_ns
    rows_i[s, R_HALTED] = 1 if halted else 0


@njit(cache=True, nogil=True)
def new_extreme(rows_f, rows_i, r, session, a, event_ns):
    """A trade outside the range of a session of the row at word r. In regular hours a new high or
    low is counted once an exchange second, the first trade of the day not at all, and the other
    extreme so far is remembered with it."""
    h = r + session
    high, low = rows_f[h + R_HIGH], rows_f[h + R_LOW]
    second = event_ns // NS_PER_SECOND
    if not a <= high:
        if session == RTH:
            again = np.isnan(high) or rows_i[h + R_HIGH_EVENT] // NS_PER_SECOND == second
            rows_i[r + R_NEW_HIGHS] += 0 if again else 1
            rows_f[r + R_LOW_BEFORE] = a if np.isnan(low) else low
        rows_f[h + R_HIGH] = a
        rows_i[h + R_HIGH_EVENT] = event_ns
    if not a >= low:
        if session == RTH:
            again = np.isnan(low) or rows_i[h + R_LOW_EVENT] // NS_PER_SECOND == second
            rows_i[r + R_NEW_LOWS] += 0 if again else 1
            rows_f[r + R_HIGH_BEFORE] = a if np.isnan(high) else high
        rows_f[h + R_LOW] = a
        rows_i[h + R_LOW_EVENT] = event_ns


@njit(cache=True, nogil=True)
def widen(rows_f, high, low, a):
    """Words `high` and `low` of the flat rows, so that they hold the price a."""
    if not a <= rows_f[high]:
        rows_f[high] = a
    if not a >= rows_f[low]:
        rows_f[low] = a


@njit(cache=True, nogil=True)
def note_print(rows_f, rows_i, r, b, usd):
    """A trade of b shares for usd that is the largest of the date or at least as large as a
    block."""
    if not usd <= rows_f[r + R_MAX_PRINT]:
        rows_f[r + R_MAX_PRINT] = usd
    if b >= rows_f[r + R_BLOCK_SHARES] and usd >= BLOCK_USD:
        rows_i[r + R_BLOCKS] += 1
        rows_f[r + R_BLOCKS_USD] += usd


@njit(cache=True, nogil=True)
def apply_kind(w, s, tick):
    """A rare tick of symbol s by its kind; False: an impossible value."""
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
        set_halted(w.rows_i, s, tick.n1 != STATUS_TRADING, tick.event_ns)
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
def known_symbol(c, idmap, feed, tick):
    """Symbol id of a tick; UNKNOWN number, TOO_EARLY (event_ns beyond the horizon), NO_TIME."""
    if not 0 <= tick.sym < idmap.shape[1] or idmap[feed, tick.sym] < 0:
        return UNKNOWN
    if tick.event_ns > c[C_T] + FUTURE_NS:
        return TOO_EARLY
    return np.int64(idmap[feed, tick.sym]) if tick.event_ns >= 0 else NO_TIME


@njit(cache=True, nogil=True)
def apply_one(w, idmap, feed, s, tick):
    """A tick that `apply_run` left over and that is no possible trade; s: see `known_symbol`.
    What is refused is counted."""
    kind = tick.kind
    if kind in (TICK_GAP_START, TICK_GAP_END):
        done = apply_gap(w, idmap[feed], feed, tick.sym, kind == TICK_GAP_START, tick.event_ns)
        w.c[C_TICKS if done else C_REFUSED] += 1
    elif s == UNKNOWN:
        w.c[C_CAPACITY if w.c[C_FULL] else C_REFUSED] += 1
    elif s == TOO_EARLY:
        w.c[C_FUTURE] += 1
    elif s == NO_TIME or not apply_kind(w, s, tick):
        w.c[C_REFUSED] += 1
    else:
        w.rows_i[s, R_TICK_EVENT] = tick.event_ns
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
def apply_run(rows_f, rows_i, pool, c, data, f, at, end, newest, bound, idmap, late):
    """Apply trades and quotes of ring f from position `at`; returns where it stopped.

    It stops at `end`, at a record whose running maximum exceeds `bound`, at a trade whose minute is
    not open and has no free slot after the older one, and at whatever is refused or rare. late: the
    first record is a trade whose final bar is revised already (POOL_LATE), else 0. rows_f, rows_i:
    the working rows, flat. newest[f] is moved on.
    One loop with few calls: counting references to arrays would cost more than a trade.
    """
    mask, numbers = data.shape[1] - 1, idmap.shape[1]
    latest, full = c[C_T] + FUTURE_NS, pool.shape[0] - 1
    start_ns, open_ns, close_ns, end_ns = c[C_START], c[C_OPEN], c[C_CLOSE], c[C_END]
    closed, high, start, tail, n = c[C_CLOSED], newest[f], at, c[C_POOL_TAIL], c[C_N]
    while at < end:
        ahead = data[f, (at + AHEAD) & mask]
        if 0 <= ahead.sym < numbers:
            row = np.int64(idmap[f, ahead.sym]) * ROW_WORDS
            if row >= 0:
                for word in range(0, HOT_WORDS if ahead.kind == TICK_TRADE else 16, 8):
                    prefetch(rows_i, row + word)
        tick = data[f, at & mask]
        number, event_ns, a, b = tick.sym, tick.event_ns, tick.a, tick.b
        reached = max(high, tick.recv_ns)
        if reached > bound or not 0 <= number < numbers or not 0 <= event_ns <= latest:
            break
        s = np.int64(idmap[f, number])
        if s < 0:
            break
        r = s * ROW_WORDS
        if tick.kind == TICK_QUOTE:
            if not (_side(a) and _side(b)):
                break
            if not np.isnan(a):
                rows_f[r + R_BID] = a if a > 0.0 else np.nan
            if not np.isnan(b):
                rows_f[r + R_ASK] = b if b > 0.0 else np.nan
            if tick.n1 != SIZE_BLANK:
                rows_f[r + R_BID_SIZE] = tick.n1
            if tick.n2 != SIZE_BLANK:
                rows_f[r + R_ASK_SIZE] = tick.n2
            rows_i[r + R_QUOTE_EVENT] = event_ns
        elif tick.kind == TICK_TRADE:
            if not _priced(a, b):
                break
            session = session_of(event_ns, start_ns, open_ns, close_ns, end_ns)
            bits = trade_bits(tick.cond, session, rows_i[r + R_SEEN])
            inside = bits != 0 and session != OUTSIDE
            o = r + R_MINUTES
            if inside and late == 0:
                minute = event_ns // NS_PER_MINUTE
                if rows_i[o + O_MINUTE] != minute:
                    o = r + NEWER
                if rows_i[o + O_MINUTE] != minute:
                    older, newer = rows_i[r + R_MINUTES + O_MINUTE], rows_i[o + O_MINUTE]
                    if minute <= closed or newer >= 0 or minute < older:
                        break
                    o = r + NEWER if older >= 0 else r + R_MINUTES
                    fresh_minute(rows_f, rows_i, r, o, minute)
            if bits & COND_LAST:
                if rows_i[r + R_SEEN] == 0:
                    rows_f[r + R_FIRST] = a
                rows_f[r + R_LAST] = a
                rows_f[r + R_LAST_SIZE] = np.nan if bits & COND_BAR else b
                rows_i[r + R_LAST_EVENT] = event_ns
                rows_i[r + R_SEEN] = 1
            if inside:
                h = r + session
                if bits & COND_VOLUME:
                    rows_f[h + R_VOLUME] += b
                    rows_f[h + R_PV] += a * b
                    rows_i[h + R_TRADES] += 1
                    rows_f[r + R_CUMULATIVE] += b
                    large = a * b >= BLOCK_USD or not a * b <= rows_f[r + R_MAX_PRINT]
                    if large and bits & COND_BAR == 0:
                        note_print(rows_f, rows_i, r, b, a * b)
                if bits & COND_HILO and not rows_f[h + R_LOW] <= a <= rows_f[h + R_HIGH]:
                    new_extreme(rows_f, rows_i, r, session, a, event_ns)
                if session == RTH:
                    if bits & COND_LAST:
                        if np.isnan(rows_f[r + R_OPEN_RTH]):
                            rows_f[r + R_OPEN_RTH] = a
                        rows_f[r + R_CLOSE_RTH] = a
                    if bits & COND_VOLUME:
                        rows_f[r + R_PPV] += a * a * b
                    if bits & COND_HILO and event_ns < open_ns + OPENING_NS:
                        part = r + opening_part(event_ns - open_ns)
                        widen(rows_f, part + R_OPENING_HIGH, part + R_OPENING_LOW, a)
                if late == 0:
                    if bits & COND_LAST:
                        if np.isnan(rows_f[o + O_OPEN]):
                            rows_f[o + O_OPEN] = a
                        rows_f[o + O_CLOSE] = a
                    if bits & (COND_HILO | COND_LAST):
                        widen(rows_f, o + O_HIGH, o + O_LOW, a)
                    if bits & COND_VOLUME:
                        rows_f[o + O_VOLUME] += b
                        rows_f[o + O_PV] += a * b
                        rows_i[o + O_TRADES] += 1
                        if bits & COND_BAR:
                            rows_i[o + O_FLAGS] |= FLAG_TYPICAL
            if bits != 0:
                back = back_nb(tail, rows_i[r + R_POOL_HEAD])
                pool_put(pool[tail & full], tick, back, n, bits, late)
                tail += 1
                rows_i[r + R_POOL_HEAD] = tail
            late = np.int64(0)
        else:
            break
        rows_i[r + R_TICK_EVENT] = event_ns
        rows_i[r + R_TICK_RECV] = tick.recv_ns
        high = reached
        at += 1
    newest[f] = high
    c[C_POOL_TAIL] = tail
    c[C_TICKS] += at - start
    return at


@njit(cache=True, nogil=True)
def apply_ticks(w, data, pos, end, newest, idmap):
    """Apply ticks pos[f]..end[f]-1 of all rings, merged by (running-max recv_ns, ring, position).

    data: TICK[rings, capacity]; pos, end, newest: int64[rings], cursors and running maxima of
    recv_ns, moved on; idmap: int32[rings, numbers], feed number -> symbol id, -1 unknown. Returns
    APPLIED, or ADMIT_PENDING with the cursor of ring c[C_ADMIT_RING] on the ADMIT record, which
    the caller takes in before it calls again.
    """
    mask = data.shape[1] - 1
    rows_f, rows_i = w.rows_f.reshape(-1), w.rows_i.reshape(-1)
    pool, c = w.pool, w.c
    while True:
        f, bound = first_ring(data, pos, end, newest)
        if f < 0:
            return APPLIED
        at, stop, late = pos[f], end[f], np.int64(0)
        while at < stop:
            at = apply_run(
                rows_f, rows_i, pool, c, data, f, at, stop, newest, bound, idmap, late
            )
            pos[f] = at
            late = np.int64(0)
            if at == stop:
                break
            tick = data[f, at & mask]
            if max(newest[f], tick.recv_ns) > bound:
                break
            if tick.kind == TICK_ADMIT:
                c[C_ADMIT_RING] = f
                return ADMIT_PENDING
            s = known_symbol(c, idmap, f, tick)
            if tick.kind == TICK_TRADE and s >= 0 and _priced(tick.a, tick.b):
                late = open_trade(w, s, tick)
            else:
                newest[f] = max(newest[f], tick.recv_ns)
                apply_one(w, idmap, f, s, tick)
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
