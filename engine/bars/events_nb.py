"""Kernels of the bar event list: minutes that close and final bars that are revised."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.bars.layout import C_CLOSED, C_DROPPED, C_EVENTS, C_N
from engine.domain.records import (
    B_CLOSE,
    B_HIGH,
    B_LOW,
    B_MINUTE,
    B_OPEN,
    B_PV,
    B_TRADES_FLAGS,
    B_VOLUME,
    BAR_FINAL,
    BAR_REVISED,
    BAR_VOLUME_ONLY,
    E_BAR,
    E_BAR_INDEX,
    E_KIND,
    E_N,
    E_SYM,
    FLAG_APPROX,
    FLAG_GAP,
    GAP_SECOND,
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
    R_BAR_INDEX,
    R_BLIND,
    R_FINAL_MINUTE,
    R_GAP,
    R_MINUTES,
)

TOO_LATE = -1   # the minute is older than the bar history
NO_ROOM = -2    # the event list is full
NO_BAR = -3     # that minute has no final bar
EVENT_WORDS = 12
BAR_WORDS = 8
NEWER = R_MINUTES + OPEN_WORDS
SECONDS_PER_MINUTE = NS_PER_MINUTE // NS_PER_SECOND


@njit(cache=True, nogil=True)
def find_event(w, s, minute):
    """Index of this cycle's event of symbol s and a minute, -1 none."""
    link = w.ev_head[s]
    while link > 0:
        if w.ev_i[link - 1, E_BAR + B_MINUTE] == minute:
            return link - 1
        link = w.ev_prev[link - 1]
    return -1


@njit(cache=True, nogil=True)
def new_event(w, s):
    """Append an event of symbol s without a kind yet; its index, NO_ROOM (counted) if full."""
    e = w.c[C_EVENTS]
    if e >= w.ev_i.shape[0]:
        w.c[C_DROPPED] += 1
        return NO_ROOM
    w.c[C_EVENTS] = e + 1
    w.ev_i[e, E_N] = w.c[C_N]
    w.ev_i[e, E_SYM] = s
    w.ev_i[e, E_KIND] = 0
    w.ev_i[e, E_BAR_INDEX] = -1
    w.ev_prev[e] = w.ev_head[s]
    w.ev_head[s] = e + 1
    return e


@njit(cache=True, nogil=True)
def move_last(w, s, e):
    """Make event e the newest of its symbol, so that bar indices rise along the list."""
    while w.ev_head[s] != e + 1:
        newer = w.ev_head[s] - 1
        while w.ev_prev[newer] != e + 1:
            newer = w.ev_prev[newer] - 1
        for word in range(EVENT_WORDS):
            held = w.ev_i[e, word]
            w.ev_i[e, word] = w.ev_i[newer, word]
            w.ev_i[newer, word] = held
        e = newer
    return e


@njit(cache=True, nogil=True)
def settle(w, s, e):
    """Give event e the kind and the bar number its present values ask for.

    A bar that turns out priced after the newest priced one is FINAL with the next number. A bar of
    an earlier cycle whose prices are all cancelled is VOLUME_ONLY: its number stays used up.
    """
    minute = w.ev_i[e, E_BAR + B_MINUTE]
    kind = w.ev_i[e, E_KIND]
    if kind == BAR_FINAL:
        return
    if np.isnan(w.ev_f[e, E_BAR + B_CLOSE]):
        w.ev_i[e, E_KIND] = BAR_VOLUME_ONLY
        w.ev_i[e, E_BAR_INDEX] = -1
    elif minute > w.rows_i[s, R_FINAL_MINUTE]:
        w.ev_i[e, E_KIND] = BAR_FINAL
        w.ev_i[e, E_BAR_INDEX] = w.rows_i[s, R_BAR_INDEX]
        w.rows_i[s, R_BAR_INDEX] += 1
        w.rows_i[s, R_FINAL_MINUTE] = minute
        move_last(w, s, e)
    elif kind != BAR_REVISED:
        w.ev_i[e, E_KIND] = BAR_REVISED
        newest = minute == w.rows_i[s, R_FINAL_MINUTE]
        w.ev_i[e, E_BAR_INDEX] = w.rows_i[s, R_BAR_INDEX] - 1 if newest else -1


@njit(cache=True, nogil=True)
def close_open(rows_f, rows_i, ev_f, ev_i, ev_prev, ev_head, c, s, o):
    """The open minute at word o of symbol s becomes final: an event, unless nothing came.

    It is newer than every final bar of its symbol. Takes arrays one by one, because a call with
    all of `Work` counts references to each.
    """
    priced = not np.isnan(rows_f[s, o + O_CLOSE])
    trades = rows_i[s, o + O_TRADES]
    if not priced and trades == 0:
        return
    e = c[C_EVENTS]
    if e >= ev_i.shape[0]:
        c[C_DROPPED] += 1
        return
    c[C_EVENTS] = e + 1
    ev_prev[e] = ev_head[s]
    ev_head[s] = e + 1
    ev_i[e, E_N] = c[C_N]
    ev_i[e, E_SYM] = s
    ev_i[e, E_KIND] = BAR_FINAL if priced else BAR_VOLUME_ONLY
    ev_i[e, E_BAR_INDEX] = rows_i[s, R_BAR_INDEX] if priced else -1
    ev_i[e, E_BAR + B_MINUTE] = rows_i[s, o + O_MINUTE]
    ev_f[e, E_BAR + B_OPEN] = rows_f[s, o + O_OPEN]
    ev_f[e, E_BAR + B_HIGH] = rows_f[s, o + O_HIGH] if priced else np.nan
    ev_f[e, E_BAR + B_LOW] = rows_f[s, o + O_LOW] if priced else np.nan
    ev_f[e, E_BAR + B_CLOSE] = rows_f[s, o + O_CLOSE]
    ev_f[e, E_BAR + B_VOLUME] = rows_f[s, o + O_VOLUME]
    ev_f[e, E_BAR + B_PV] = rows_f[s, o + O_PV]
    ev_i[e, E_BAR + B_TRADES_FLAGS] = trades | (rows_i[s, o + O_FLAGS] << 32)
    if priced:
        rows_i[s, R_BAR_INDEX] += 1
        rows_i[s, R_FINAL_MINUTE] = rows_i[s, o + O_MINUTE]


@njit(cache=True, nogil=True)
def in_gap(minute, gap):
    """True for a minute that began before the newest gap ended; gap: word of ROW.gap."""
    return minute * SECONDS_PER_MINUTE < gap & GAP_SECOND


@njit(cache=True, nogil=True)
def fresh_minute(rows_f, rows_i, r, o, minute):
    """An empty open minute at word o of the row that starts at word r of the flat rows."""
    rows_i[o + O_MINUTE] = minute
    rows_f[o + O_OPEN] = np.nan
    rows_f[o + O_HIGH] = np.nan
    rows_f[o + O_LOW] = np.nan
    rows_f[o + O_CLOSE] = np.nan
    rows_f[o + O_VOLUME] = 0.0
    rows_f[o + O_PV] = 0.0
    rows_i[o + O_TRADES] = 0
    gap = rows_i[r + R_BLIND] != 0 or in_gap(minute, rows_i[r + R_GAP])
    rows_i[o + O_FLAGS] = FLAG_GAP if gap and minute >= 0 else 0


@njit(cache=True, nogil=True)
def move_minute(rows_i, s, source, target):
    """Copy an open minute from one slot of symbol s to the other."""
    for word in range(OPEN_WORDS):
        rows_i[s, target + word] = rows_i[s, source + word]


@njit(cache=True, nogil=True)
def open_slot(w, s, minute):
    """True when a minute that has no slot got one; False: it is final.

    A third open minute closes the oldest first; a minute before both open ones is final.
    """
    rows_i = w.rows_i
    older, newer = rows_i[s, R_MINUTES], rows_i[s, NEWER]
    if minute <= w.c[C_CLOSED] or (newer >= 0 and minute < older):
        return False
    o = NEWER
    if newer >= 0:
        close_open(
            w.rows_f, rows_i, w.ev_f, w.ev_i, w.ev_prev, w.ev_head, w.c, s, R_MINUTES
        )
        if minute < newer:
            o = R_MINUTES
        else:
            move_minute(rows_i, s, NEWER, R_MINUTES)
    elif older < 0:
        o = R_MINUTES
    elif minute < older:
        move_minute(rows_i, s, R_MINUTES, NEWER)
        o = R_MINUTES
    r = s * rows_i.shape[1]
    fresh_minute(w.rows_f.reshape(-1), rows_i.reshape(-1), r, r + o, minute)
    return True


@njit(cache=True, nogil=True)
def close_minutes(w, closed):
    """Close every open minute <= closed, by symbol, older first."""
    rows_f, rows_i, ev_f, ev_i, c = w.rows_f, w.rows_i, w.ev_f, w.ev_i, w.c
    ev_prev, ev_head, words = w.ev_prev, w.ev_head, w.rows_i.shape[1]
    flat_f, flat_i = rows_f.reshape(-1), rows_i.reshape(-1)
    for s in range(rows_i.shape[0]):
        while 0 <= rows_i[s, R_MINUTES] <= closed:
            close_open(rows_f, rows_i, ev_f, ev_i, ev_prev, ev_head, c, s, R_MINUTES)
            move_minute(rows_i, s, NEWER, R_MINUTES)
            fresh_minute(flat_f, flat_i, s * words, s * words + NEWER, -1)


@njit(cache=True, nogil=True)
def revise_event(w, s, minute, create):
    """Index of an event that holds the final bar of a minute now, ready to be changed.

    Takes this cycle's event, else the bar an earlier cycle wrote, else (if create) an empty bar.
    Negative: TOO_LATE, NO_ROOM, or NO_BAR. The caller settles the event afterwards.
    """
    e = find_event(w, s, minute)
    if e >= 0:
        return e
    size = w.bars_i.shape[0]
    slot = minute % size
    held = w.bars_i[slot, s, B_MINUTE]
    if minute <= w.c[C_CLOSED] - size or held > minute:
        return TOO_LATE
    if held != minute and not create:
        return NO_BAR
    e = new_event(w, s)
    if e < 0:
        return e
    if held == minute:
        for word in range(BAR_WORDS):
            w.ev_i[e, E_BAR + word] = w.bars_i[slot, s, word]
        return e
    w.ev_i[e, E_BAR + B_MINUTE] = minute
    for word in range(B_OPEN, B_CLOSE + 1):
        w.ev_f[e, E_BAR + word] = np.nan
    w.ev_f[e, E_BAR + B_VOLUME] = 0.0
    w.ev_f[e, E_BAR + B_PV] = 0.0
    gap = w.rows_i[s, R_BLIND] != 0 or in_gap(minute, w.rows_i[s, R_GAP])
    w.ev_i[e, E_BAR + B_TRADES_FLAGS] = FLAG_GAP << 32 if gap else 0
    return e


@njit(cache=True, nogil=True)
def keep_prices(w, e, before):
    """A bar numbered in this very cycle lost its last price: its number is given away, so it keeps
    the prices it had (open, high, low, close), flagged."""
    if w.ev_i[e, E_KIND] == BAR_FINAL and np.isnan(w.ev_f[e, E_BAR + B_CLOSE]):
        for word in range(4):
            w.ev_f[e, E_BAR + B_OPEN + word] = before[word]
        w.ev_i[e, E_BAR + B_TRADES_FLAGS] |= FLAG_APPROX << 32


@njit(cache=True, nogil=True)
def forget_events(w):
    """Empty the per-symbol chains of the event list; the list itself stays."""
    for e in range(w.c[C_EVENTS]):
        w.ev_head[w.ev_i[e, E_SYM]] = 0
