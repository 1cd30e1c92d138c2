"""Kernels of the trade pool: recent trades by symbol, corrections and cancels from them."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.bars.events_nb import keep_prices, revise_event, settle
from engine.bars.layout import (
    C_APPROX,
    C_CANCELS,
    C_CLOSE,
    C_CORRECTIONS,
    C_END,
    C_N,
    C_OPEN,
    C_POOL_FLOOR,
    C_POOL_TAIL,
    C_START,
    C_TOO_LATE,
    C_UNMATCHED,
    POOL_BITS,
    POOL_LATE,
    POOL_SHIFT,
    POOL_SHIFT_MAX,
    R_SEEN,
)
from engine.domain.records import (
    AH,
    B_OPEN,
    B_TRADES_FLAGS,
    BLOCK_USD,
    COND_BAR,
    COND_HILO,
    COND_LAST,
    COND_VOLUME,
    E_BAR,
    FLAG_APPROX,
    FLAG_CANCELLED,
    FLAG_CORRECTED,
    NS_PER_MINUTE,
    O_FLAGS,
    O_MINUTE,
    O_OPEN,
    O_TRADES,
    OPEN_WORDS,
    OPENING_MINUTES,
    OUTSIDE,
    PM,
    R_APPROX,
    R_BLOCK_SHARES,
    R_BLOCKS,
    R_BLOCKS_USD,
    R_CLOSE_RTH,
    R_CUMULATIVE,
    R_FIRST,
    R_HIGH,
    R_HIGH_BEFORE,
    R_HIGH_EVENT,
    R_LAST,
    R_LAST_EVENT,
    R_LAST_SIZE,
    R_LOW,
    R_LOW_BEFORE,
    R_LOW_EVENT,
    R_MAX_PRINT,
    R_MINUTES,
    R_OPEN_RTH,
    R_OPENING_HIGH,
    R_OPENING_LOW,
    R_POOL_HEAD,
    R_PPV,
    R_PV,
    R_TRADES,
    R_VOLUME,
    RTH,
    TICK_CANCEL,
)

# Scratch of a walk over the chain of a symbol: sf[k, ...] and si[k, ...], k = 0 before the change,
# 1 after it. Open, high, low, close, volume stand in the order of a bar.
M_OPEN, M_HIGH, M_LOW, M_CLOSE, M_VOLUME = 0, 1, 2, 3, 4
S_OPEN, S_HIGH, S_LOW, S_CLOSE, S_VOLUME = 5, 6, 7, 8, 9
LAST_PRICE, LAST_SIZE, M_LATE_OPEN = 10, 11, 12
PART_HIGH, PART_LOW, MAX_PRINT, FIRST_PRICE = 13, 14, 15, 16
I_M_TRADES, I_S_TRADES, I_HIGH_EVENT, I_LOW_EVENT, I_LAST_EVENT = 0, 1, 2, 3, 4
I_HIGH_KEY, I_LOW_KEY, I_LAST_KEY, I_M_OPEN, I_M_CLOSE = 5, 6, 7, 8, 9
I_S_OPEN, I_S_CLOSE, I_LOST, I_M_LATE = 10, 11, 12, 13
I_TRADES, I_FIRST_KEY = 14, 15
SCRATCH = 17
MAX_BACK = 1 << 31  # of POOL_TRADE.back
NO_KEY = -1
NO_PART = -1
PART_1, PART_2, PART_3, PART_4, PART_END = OPENING_MINUTES
VOLUME_RTOL = 1e-9


@njit(cache=True, nogil=True)
def session_of(event_ns, start_ns, open_ns, close_ns, end_ns):
    """PM, RTH, AH or OUTSIDE of an exchange stamp."""
    if event_ns < open_ns:
        return PM if event_ns >= start_ns else OUTSIDE
    if event_ns < close_ns:
        return RTH
    return AH if event_ns < end_ns else OUTSIDE


@njit(cache=True, nogil=True)
def opening_part(since_open_ns):
    """Which part of the first hour holds an instant of regular hours, NO_PART after it."""
    minute = since_open_ns // NS_PER_MINUTE
    if minute >= PART_END:
        return NO_PART
    return (minute >= PART_1) + (minute >= PART_2) + (minute >= PART_3) + (minute >= PART_4)


@njit(cache=True, nogil=True)
def back_nb(pos, link):
    """What an entry at `pos` says of the symbol's entry before it; link: its position + 1, 0 none.
    One that is further back than any pool is long is as good as none."""
    back = pos + 1 - link
    return back if link > 0 and back < MAX_BACK else 0


@njit(cache=True, nogil=True)
def link_nb(pos, entry):
    """Position + 1 of the symbol's entry before the one at `pos`, 0 none."""
    return pos + 1 - entry.back if entry.back > 0 else 0


@njit(cache=True, nogil=True)
def pool_put(entry, tick, back, n, bits, late):
    """Fill a pool entry with a trade; back: see `back_nb`; late: POOL_LATE or 0."""
    entry.id = tick.id
    entry.event_ns = tick.event_ns
    entry.price = tick.a
    entry.size = tick.b
    entry.back = back
    entry.n = n
    entry.dead_n = 0
    entry.cond = bits | late


@njit(cache=True, nogil=True)
def pool_floor(pool, c):
    """Oldest position that may be looked at: what this cycle overwrites is gone from its start, so
    that executing the cycle a second time sees the same."""
    return max(c[C_POOL_FLOOR], c[C_POOL_TAIL] - pool.shape[0])


@njit(cache=True, nogil=True)
def find_trade(w, s, ident):
    """Position of the live pool entry of symbol s with an id, -1 when it is not there."""
    floor = pool_floor(w.pool, w.c)
    link = w.rows_i[s, R_POOL_HEAD]
    while link > 0:
        pos = link - 1
        if pos < floor:
            break
        entry = w.pool[pos & (w.pool.shape[0] - 1)]
        if entry.id == ident and entry.dead_n == 0:
            return pos
        link = link_nb(pos, entry)
    return -1


@njit(cache=True, nogil=True)
def replace_trade(w, s, pos, price, size, cond):
    """Append an entry like the one at `pos` with another price, size and cond."""
    old, tail = w.pool[pos & (w.pool.shape[0] - 1)], w.c[C_POOL_TAIL]
    ident, event_ns = old.id, old.event_ns  # the two may be one slot
    new = w.pool[tail & (w.pool.shape[0] - 1)]
    new.id = ident
    new.event_ns = event_ns
    new.price = price
    new.size = size
    new.back = back_nb(tail, w.rows_i[s, R_POOL_HEAD])
    new.n = w.c[C_N]
    new.dead_n = 0
    new.cond = cond
    w.rows_i[s, R_POOL_HEAD] = tail + 1
    w.c[C_POOL_TAIL] = tail + 1


@njit(cache=True, nogil=True)
def _minute_walk(f, i, bits, key, price, size):
    if bits & COND_VOLUME:
        i[I_M_TRADES] += 1
        f[M_VOLUME] += size
    if bits & (COND_HILO | COND_LAST):
        if not price <= f[M_HIGH]:
            f[M_HIGH] = price
        if not price >= f[M_LOW]:
            f[M_LOW] = price
    if not bits & COND_LAST:
        return
    if bits & POOL_LATE:
        if i[I_M_LATE] == NO_KEY or key < i[I_M_LATE]:
            i[I_M_LATE] = key
            f[M_LATE_OPEN] = price
        return
    if i[I_M_OPEN] == NO_KEY or key < i[I_M_OPEN]:
        i[I_M_OPEN] = key
        f[M_OPEN] = price
    if key > i[I_M_CLOSE]:
        i[I_M_CLOSE] = key
        f[M_CLOSE] = price


@njit(cache=True, nogil=True)
def _session_walk(f, i, bits, key, price, size, event_ns):
    if bits & COND_VOLUME:
        i[I_S_TRADES] += 1
        f[S_VOLUME] += size
    if bits & COND_HILO:
        if not price <= f[S_HIGH] or (price == f[S_HIGH] and key < i[I_HIGH_KEY]):
            f[S_HIGH] = price
            i[I_HIGH_KEY] = key
            i[I_HIGH_EVENT] = event_ns
        if not price >= f[S_LOW] or (price == f[S_LOW] and key < i[I_LOW_KEY]):
            f[S_LOW] = price
            i[I_LOW_KEY] = key
            i[I_LOW_EVENT] = event_ns
    if bits & COND_LAST:
        if i[I_S_OPEN] == NO_KEY or key < i[I_S_OPEN]:
            i[I_S_OPEN] = key
            f[S_OPEN] = price
        if key > i[I_S_CLOSE]:
            i[I_S_CLOSE] = key
            f[S_CLOSE] = price


@njit(cache=True, nogil=True)
def _date_walk(f, i, bits, key, price, size, inside):
    """First price and largest print of the session date."""
    if bits & COND_LAST and (i[I_FIRST_KEY] == NO_KEY or key < i[I_FIRST_KEY]):
        i[I_FIRST_KEY] = key
        f[FIRST_PRICE] = price
    if bits & COND_VOLUME and inside:
        i[I_TRADES] += 1
        if bits & COND_BAR == 0 and not price * size <= f[MAX_PRINT]:
            f[MAX_PRINT] = price * size


@njit(cache=True, nogil=True)
def _part_walk(f, bits, price):
    """Extremes of a part of the first hour."""
    if bits & COND_HILO:
        if not price <= f[PART_HIGH]:
            f[PART_HIGH] = price
        if not price >= f[PART_LOW]:
            f[PART_LOW] = price


@njit(cache=True, nogil=True)
def extreme_before(w, s, until, low):
    """Lowest (highest) regular price of symbol s up to the trade with the key `until`, NaN none."""
    floor, found = pool_floor(w.pool, w.c), np.nan
    start_ns, open_ns, close_ns, end_ns = w.c[C_START], w.c[C_OPEN], w.c[C_CLOSE], w.c[C_END]
    link = w.rows_i[s, R_POOL_HEAD]
    while link > 0:
        pos = link - 1
        if pos < floor:
            break
        entry = w.pool[pos & (w.pool.shape[0] - 1)]
        link = link_nb(pos, entry)
        key = pos - (entry.cond >> POOL_SHIFT)
        if entry.dead_n != 0 or key > until or entry.cond & COND_HILO == 0:
            continue
        if session_of(entry.event_ns, start_ns, open_ns, close_ns, end_ns) == RTH:
            further = entry.price < found if low else entry.price > found
            found = entry.price if further or np.isnan(found) else found
    return found


@njit(cache=True, nogil=True)
def walk(w, s, minute, session, part, k):
    """Rebuild one minute, one session, a part of the first hour and the last price of symbol s into
    scratch row k."""
    f, i = w.sf[k], w.si[k]
    for word in range(f.shape[0]):
        f[word] = np.nan
        i[word] = NO_KEY
    f[M_VOLUME] = 0.0
    f[S_VOLUME] = 0.0
    i[I_M_TRADES] = 0
    i[I_S_TRADES] = 0
    i[I_TRADES] = 0
    i[I_LOST] = 0
    i[I_HIGH_EVENT] = 0
    i[I_LOW_EVENT] = 0
    floor = pool_floor(w.pool, w.c)
    start_ns, open_ns, close_ns, end_ns = w.c[C_START], w.c[C_OPEN], w.c[C_CLOSE], w.c[C_END]
    link = w.rows_i[s, R_POOL_HEAD]
    while link > 0:
        pos = link - 1
        if pos < floor:
            i[I_LOST] = 1
            break
        entry = w.pool[pos & (w.pool.shape[0] - 1)]
        link = link_nb(pos, entry)
        if entry.dead_n != 0:
            continue
        bits = entry.cond & POOL_BITS
        key = pos - (entry.cond >> POOL_SHIFT)
        if bits & COND_LAST and key > i[I_LAST_KEY]:
            i[I_LAST_KEY] = key
            i[I_LAST_EVENT] = entry.event_ns
            f[LAST_PRICE] = entry.price
            f[LAST_SIZE] = np.nan if bits & COND_BAR else entry.size
        if entry.event_ns // NS_PER_MINUTE == minute:
            _minute_walk(f, i, bits, key, entry.price, entry.size)
        held = session_of(entry.event_ns, start_ns, open_ns, close_ns, end_ns)
        _date_walk(f, i, bits, key, entry.price, entry.size, held != OUTSIDE)
        if held == session:
            _session_walk(f, i, bits, key, entry.price, entry.size, entry.event_ns)
        if part != NO_PART and held == RTH and opening_part(entry.event_ns - open_ns) == part:
            _part_walk(f, bits, entry.price)
    if i[I_M_OPEN] == NO_KEY:
        f[M_OPEN] = f[M_LATE_OPEN]
        f[M_CLOSE] = f[M_LATE_OPEN]


@njit(cache=True, nogil=True)
def _same(a, b):
    return a == b or (np.isnan(a) and np.isnan(b))


@njit(cache=True, nogil=True)
def _same_volume(a, b):
    return abs(a - b) <= VOLUME_RTOL * max(1.0, abs(b))


@njit(cache=True, nogil=True)
def _amend_last(w, s, key):
    """If the changed trade had set last: the newest one that stands sets it; none left: unknown."""
    if w.si[0, I_LAST_KEY] != key:
        return
    w.rows_f[s, R_LAST] = w.sf[1, LAST_PRICE]
    w.rows_f[s, R_LAST_SIZE] = w.sf[1, LAST_SIZE]
    if w.si[1, I_LAST_KEY] != NO_KEY:
        w.rows_i[s, R_LAST_EVENT] = w.si[1, I_LAST_EVENT]
    else:
        w.rows_i[s, R_LAST_EVENT] = 0
        w.rows_i[s, R_SEEN] = w.si[1, I_LOST]


@njit(cache=True, nogil=True)
def _amend_first_hour(w, s, session, part):
    """What leans on the extremes of regular hours, once those are rebuilt."""
    if session != RTH:
        return
    w.rows_f[s, R_LOW_BEFORE] = extreme_before(w, s, w.si[1, I_HIGH_KEY], True)
    w.rows_f[s, R_HIGH_BEFORE] = extreme_before(w, s, w.si[1, I_LOW_KEY], False)
    if part != NO_PART:
        w.rows_f[s, R_OPENING_HIGH + part] = w.sf[1, PART_HIGH]
        w.rows_f[s, R_OPENING_LOW + part] = w.sf[1, PART_LOW]


@njit(cache=True, nogil=True)
def _amend_date(w, s, session, old_usd):
    """First price and largest print, from the pool if it holds every trade of the date; else the
    first price stays, and the session is marked if the largest print may have been the old one.
    Comes before the counts of the sessions are changed."""
    counted = w.rows_i[s, R_TRADES] + w.rows_i[s, R_TRADES + 1] + w.rows_i[s, R_TRADES + 2]
    if w.si[0, I_LOST] == 0 and w.si[0, I_TRADES] == counted:
        w.rows_f[s, R_FIRST] = w.sf[1, FIRST_PRICE]
        w.rows_f[s, R_MAX_PRINT] = w.sf[1, MAX_PRINT]
    elif w.sf[1, MAX_PRINT] > w.rows_f[s, R_MAX_PRINT]:
        w.rows_f[s, R_MAX_PRINT] = w.sf[1, MAX_PRINT]
    elif session != OUTSIDE and old_usd >= w.rows_f[s, R_MAX_PRINT]:
        w.rows_i[s, R_APPROX] |= 1 << session


@njit(cache=True, nogil=True)
def _amend_blocks(w, s, bits, price, size, sign):
    """Take a volume trade into the sum of blocks (sign 1), or out of it (-1)."""
    usd = price * size
    block = size >= w.rows_f[s, R_BLOCK_SHARES] and usd >= BLOCK_USD
    if block and bits & COND_VOLUME and bits & COND_BAR == 0:
        w.rows_i[s, R_BLOCKS] += sign
        w.rows_f[s, R_BLOCKS_USD] = (
            w.rows_f[s, R_BLOCKS_USD] + sign * usd if w.rows_i[s, R_BLOCKS] else 0.0
        )


@njit(cache=True, nogil=True)
def _amend_session(w, s, session, part, bits, key, trades, size, value):
    """Sums of a session by difference; extremes, open and close from the pool if it explains what
    stands there, else marked approximate."""
    complete = w.si[0, I_S_TRADES] == w.rows_i[s, R_TRADES + session] and _same_volume(
        w.sf[0, S_VOLUME], w.rows_f[s, R_VOLUME + session]
    )
    if bits & COND_HILO:
        high, low = w.rows_f[s, R_HIGH + session], w.rows_f[s, R_LOW + session]
        if complete and _same(w.sf[0, S_HIGH], high) and _same(w.sf[0, S_LOW], low):
            w.rows_f[s, R_HIGH + session] = w.sf[1, S_HIGH]
            w.rows_f[s, R_LOW + session] = w.sf[1, S_LOW]
            w.rows_i[s, R_HIGH_EVENT + session] = w.si[1, I_HIGH_EVENT]
            w.rows_i[s, R_LOW_EVENT + session] = w.si[1, I_LOW_EVENT]
            _amend_first_hour(w, s, session, part)
        else:
            w.rows_i[s, R_APPROX] |= 1 << session
            w.c[C_APPROX] += 1
    if bits & COND_LAST and session == RTH:
        if key == w.si[0, I_S_CLOSE]:
            w.rows_f[s, R_CLOSE_RTH] = w.sf[1, S_CLOSE]
        if key == w.si[0, I_S_OPEN] and complete:
            w.rows_f[s, R_OPEN_RTH] = w.sf[1, S_OPEN]
    if bits & COND_VOLUME:
        w.rows_i[s, R_TRADES + session] += trades
        w.rows_f[s, R_VOLUME + session] += size
        w.rows_f[s, R_PV + session] += value
        w.rows_f[s, R_CUMULATIVE] += size
        if w.rows_i[s, R_TRADES + session] == 0:
            w.rows_f[s, R_VOLUME + session] = 0.0
            w.rows_f[s, R_PV + session] = 0.0
        if w.rows_i[s, R_TRADES] + w.rows_i[s, R_TRADES + 1] + w.rows_i[s, R_TRADES + 2] == 0:
            w.rows_f[s, R_CUMULATIVE] = 0.0


@njit(cache=True, nogil=True)
def _amend_bar(w, bar, count, bits, trades, size, value):
    """Change one bar: `bar` is float64[6], open to pv of an open minute or of an event, changed in
    place; `count` its trades before. Returns the trades after, and whether prices are exact."""
    exact = True
    if bits & (COND_LAST | COND_HILO):
        exact = w.si[0, I_M_TRADES] == count and _same_volume(w.sf[0, M_VOLUME], bar[4])
        unpriced = np.isnan(bar[3])
        for word in range(4):
            known = _same(w.sf[0, word], bar[word])
            exact = exact and (known or (unpriced and np.isnan(w.sf[0, M_CLOSE])))
        if exact:
            for word in range(4):
                bar[word] = w.sf[1, word]
    if bits & COND_VOLUME:
        count += trades
        bar[4] += size
        bar[5] += value
        if count == 0:
            bar[4] = 0.0
            bar[5] = 0.0
    return count, exact


@njit(cache=True, nogil=True)
def _amend_minute(w, s, minute, bits, trades, size, value, flag):
    """Change the open minute or the final bar that holds the trade."""
    for slot in range(2):
        o = R_MINUTES + slot * OPEN_WORDS
        if w.rows_i[s, o + O_MINUTE] == minute:
            bar = w.rows_f[s, o + O_OPEN : o + O_OPEN + 6]
            count = w.rows_i[s, o + O_TRADES]
            count, exact = _amend_bar(w, bar, count, bits, trades, size, value)
            w.rows_i[s, o + O_TRADES] = count
            w.rows_i[s, o + O_FLAGS] |= flag if exact else flag | FLAG_APPROX
            return
    e = revise_event(w, s, minute, False)
    if e < 0:
        w.c[C_TOO_LATE] += 1
        return
    b = E_BAR + B_OPEN
    bar = w.ev_f[e, b : b + 6]
    word = w.ev_i[e, E_BAR + B_TRADES_FLAGS]
    before = (bar[0], bar[1], bar[2], bar[3])
    count, exact = _amend_bar(w, bar, word & 0xFFFFFFFF, bits, trades, size, value)
    flags = (word >> 32) | (flag if exact else flag | FLAG_APPROX)
    w.ev_i[e, E_BAR + B_TRADES_FLAGS] = count | (flags << 32)
    if np.isnan(bar[3]):
        for field in range(4):
            bar[field] = np.nan
        keep_prices(w, e, before)
    settle(w, s, e)


@njit(cache=True, nogil=True)
def amend(w, kind, s, ident, price, size):
    """A CORRECTION or CANCEL of the trade `ident` of symbol s; price and size are the new ones."""
    cancel = kind == TICK_CANCEL
    w.c[C_CANCELS if cancel else C_CORRECTIONS] += 1
    pos = find_trade(w, s, ident)
    if pos < 0:
        w.c[C_UNMATCHED] += 1
        w.c[C_APPROX] += 1
        for session in range(3):
            if w.rows_i[s, R_TRADES + session] > 0:
                w.rows_i[s, R_APPROX] |= 1 << session
        return
    entry = w.pool[pos & (w.pool.shape[0] - 1)]
    event_ns, cond = entry.event_ns, entry.cond
    old_price, old_size = entry.price, entry.size
    key = pos - (cond >> POOL_SHIFT)
    bits = cond & POOL_BITS
    minute = event_ns // NS_PER_MINUTE
    c = w.c
    session = session_of(event_ns, c[C_START], c[C_OPEN], c[C_CLOSE], c[C_END])
    part = opening_part(event_ns - c[C_OPEN]) if session == RTH else NO_PART
    walk(w, s, minute, session, part, 0)
    entry.dead_n = w.c[C_N]
    trades, d_size, d_value = -1, -old_size, -old_price * old_size
    if not cancel:
        shift = min(w.c[C_POOL_TAIL] - key, POOL_SHIFT_MAX)
        replace_trade(w, s, pos, price, size, bits | (shift << POOL_SHIFT))
        trades, d_size, d_value = 0, size - old_size, price * size - old_price * old_size
    walk(w, s, minute, session, part, 1)
    _amend_date(w, s, session, old_price * old_size)
    _amend_last(w, s, key)
    if session != OUTSIDE:
        _amend_blocks(w, s, bits, old_price, old_size, -1)
        if not cancel:
            _amend_blocks(w, s, bits, price, size, 1)
        if session == RTH and bits & COND_VOLUME:
            squares = 0.0 if cancel else price * price * size
            w.rows_f[s, R_PPV] += squares - old_price * old_price * old_size
        _amend_session(w, s, session, part, bits, key, trades, d_size, d_value)
        flag = FLAG_CANCELLED if cancel else FLAG_CORRECTED
        _amend_minute(w, s, minute, bits, trades, d_size, d_value, flag)


@njit(cache=True, nogil=True)
def sanitise_pool(pool, n):
    """Undo what cycles after n did to the pool: clear their entries, revive what they killed."""
    for pos in range(pool.shape[0]):
        entry = pool[pos]
        if entry.n > n:
            entry.id = 0
            entry.event_ns = 0
            entry.price = 0.0
            entry.size = 0.0
            entry.back = 0
            entry.n = 0
            entry.dead_n = 0
            entry.cond = 0
        elif entry.dead_n > n:
            entry.dead_n = 0
