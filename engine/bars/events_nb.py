"""Kernels of the bar event list: minutes that close and final bars that are revised."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.bars.layout import C_CLOSED, C_DROPPED, C_EVENTS, C_N, R_GAP_MINUTE
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
    R_MINUTES,
)

TOO_LATE = -1   # the minute is older than the bar history
NO_ROOM = -2    # the event list is full
NO_BAR = -3     # that minute has no final bar
EVENT_WORDS = 12
BAR_WORDS = 8
NEWER = R_MINUTES + OPEN_WORDS


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
def close_slot(w, s, o):
    """The open minute at word o of symbol s becomes final: an event, unless nothing came."""
    priced = not np.isnan(w.rows_f[s, o + O_CLOSE])
    trades = w.rows_i[s, o + O_TRADES]
    if not priced and trades == 0:
        return
    e = new_event(w, s)
    if e < 0:
        return
    b = E_BAR
    w.ev_i[e, b + B_MINUTE] = w.rows_i[s, o + O_MINUTE]
    w.ev_f[e, b + B_OPEN] = w.rows_f[s, o + O_OPEN]
    w.ev_f[e, b + B_HIGH] = w.rows_f[s, o + O_HIGH] if priced else np.nan
    w.ev_f[e, b + B_LOW] = w.rows_f[s, o + O_LOW] if priced else np.nan
    w.ev_f[e, b + B_CLOSE] = w.rows_f[s, o + O_CLOSE]
    w.ev_f[e, b + B_VOLUME] = w.rows_f[s, o + O_VOLUME]
    w.ev_f[e, b + B_PV] = w.rows_f[s, o + O_PV]
    w.ev_i[e, b + B_TRADES_FLAGS] = trades | (w.rows_i[s, o + O_FLAGS] << 32)
    settle(w, s, e)


@njit(cache=True, nogil=True)
def clear_slot(w, s, o, minute):
    """An empty open minute at word o; minute -1 frees the slot."""
    w.rows_i[s, o + O_MINUTE] = minute
    w.rows_f[s, o + O_OPEN] = np.nan
    w.rows_f[s, o + O_HIGH] = np.nan
    w.rows_f[s, o + O_LOW] = np.nan
    w.rows_f[s, o + O_CLOSE] = np.nan
    w.rows_f[s, o + O_VOLUME] = 0.0
    w.rows_f[s, o + O_PV] = 0.0
    w.rows_i[s, o + O_TRADES] = 0
    gap = minute >= 0 and (w.rows_i[s, R_BLIND] != 0 or minute < w.rows_i[s, R_GAP_MINUTE])
    w.rows_i[s, o + O_FLAGS] = FLAG_GAP if gap else 0


@njit(cache=True, nogil=True)
def move_slot(w, s, source, target):
    """Copy an open minute from one slot of symbol s to the other."""
    for word in range(OPEN_WORDS):
        w.rows_i[s, target + word] = w.rows_i[s, source + word]


@njit(cache=True, nogil=True)
def open_slot(w, s, minute):
    """Word of the slot for a minute that is not open yet; -1 when the minute is final.

    A third open minute closes the oldest first; a minute before both open ones is final.
    """
    if minute <= w.c[C_CLOSED]:
        return -1
    older, newer = w.rows_i[s, R_MINUTES], w.rows_i[s, NEWER]
    if older < 0:
        clear_slot(w, s, R_MINUTES, minute)
        return R_MINUTES
    if newer < 0 and minute < older:
        move_slot(w, s, R_MINUTES, NEWER)
        clear_slot(w, s, R_MINUTES, minute)
        return R_MINUTES
    if newer >= 0:
        if minute < older:
            return -1
        close_slot(w, s, R_MINUTES)
        if minute < newer:
            clear_slot(w, s, R_MINUTES, minute)
            return R_MINUTES
        move_slot(w, s, NEWER, R_MINUTES)
    clear_slot(w, s, NEWER, minute)
    return NEWER


@njit(cache=True, nogil=True)
def close_minutes(w, closed):
    """Close every open minute <= closed, by symbol, older first."""
    for s in range(w.rows_i.shape[0]):
        while 0 <= w.rows_i[s, R_MINUTES] <= closed:
            close_slot(w, s, R_MINUTES)
            move_slot(w, s, NEWER, R_MINUTES)
            clear_slot(w, s, NEWER, -1)


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
    gap = w.rows_i[s, R_BLIND] != 0 or minute < w.rows_i[s, R_GAP_MINUTE]
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
