"""The pairs of one worker that cool down: durable entries, and what is made from them in private.

The shared table is the truth: flat int64 words, three an entry: [rule uid (0: never used), symbol
id | cooldown_ms << 32, T_k of the last firing]. An entry is live while T_k - last < its cooldown;
a dead one is as good as absent, wherever it stands. Places that were never used lie behind all
others.

From it each worker keeps a bitmap with one bit a pair, and a wheel: places by the moment at which
they cease to be live. So a cycle looks at a cooling pair once, when its time is over.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import NamedTuple

import numpy as np
from numba import njit, uint64

from engine.bars.prefetch import prefetch
from engine.domain.tables import COOL_WORDS
from engine.rules.bits_nb import WORD_BITS, clear_bit_nb, set_bit_nb
from shm.fences import store_release

SYMBOL_MASK = (1 << 32) - 1
NS_PER_MS = 1_000_000

# A turn of the wheel is near seven minutes. What cools longer stays in its slot and is looked at
# again once a turn.
WHEEL_SLOTS = 4096
SLOT_NS = 100 * NS_PER_MS
NO_PLACE = -1
_AHEAD = 16  # places; far enough for a word of the bitmap to come from the last-level cache

# Words of Cooling.state: newest of the places given back, how many there are, first place that was
# never used, turn of the wheel up to which everything is taken out.
FREE, FREED, FRESH, TURNED = 0, 1, 2, 3
STATE_WORDS = 4


class Cooling(NamedTuple):
    """Private arrays of one worker, made anew from its table whenever the rules change.

    bits: uint64[R, slice / 64], set: this rule and symbol cool. By place of the table: pair int64,
    rule slot << 32 | number in the slice, slot -1: of a rule that is not in the set; due_ns int64,
    when it ceases to be live; after int32, the next place of its list. heads: int32[WHEEL_SLOTS],
    the lists of the wheel. state: int64[STATE_WORDS].
    """

    bits: np.ndarray
    pair: np.ndarray
    due_ns: np.ndarray
    after: np.ndarray
    heads: np.ndarray
    state: np.ndarray


@njit(cache=True, nogil=True)
def is_live_nb(table, at, t_ns):
    """True if the entry at word `at` still cools at t_ns."""
    return t_ns - table[at + 2] < (table[at + 1] >> 32) * NS_PER_MS


@njit(cache=True, nogil=True)
def turn_nb(ns):
    """The turn of the wheel that takes out what is due at `ns`: the first one not before it."""
    return -(-ns // SLOT_NS)


@njit(cache=True, nogil=True)
def room_nb(cooling):
    """How many places of the table are not live."""
    state = cooling.state
    return state[FREED] + cooling.pair.shape[0] - state[FRESH]


@njit(cache=True, nogil=True)
def give_back_nb(cooling, place):
    """Let a place be used again."""
    state = cooling.state
    cooling.after[place] = state[FREE]
    state[FREE] = place
    state[FREED] += 1


@njit(cache=True, nogil=True)
def hang_nb(cooling, place, pair, due_ns, slot):
    """Hang the place of a pair into a list of the wheel; slot: that of due_ns."""
    cooling.pair[place] = pair
    cooling.due_ns[place] = due_ns
    cooling.after[place] = cooling.heads[slot]
    cooling.heads[slot] = place


@njit(cache=True, nogil=True)
def rebuild_nb(cooling, table, sorted_uid, sorted_slot, sorted_cooldown_ms, first, t_ns):
    """Make bitmap and wheel of the table as it stands before the firings at t_ns.

    sorted_uid int64[R], ascending, with the slot and the cooldown of now of those rules; `first` is
    the first symbol id of the slice. An entry that is live takes its rule's cooldown of now, and
    keeps its own if the rule is not in the set; one that is dead stays dead. An entry stamped with
    t_ns is what a killed worker left of the cycle that is now done again: it becomes absent.
    Every store is one word, and again is harmless.
    """
    cooling.bits[:] = uint64(0)
    cooling.heads[:] = NO_PLACE
    state = cooling.state
    state[FREE], state[FREED], state[TURNED] = NO_PLACE, 0, turn_nb(t_ns)
    used = 0
    while used < cooling.pair.shape[0] and table[used * COOL_WORDS] != 0:
        used += 1
    state[FRESH] = used
    for place in range(used - 1, -1, -1):
        at = place * COOL_WORDS
        if table[at + 2] == t_ns:
            store_release(table, at + 2, 0)
        if not is_live_nb(table, at, t_ns):
            give_back_nb(cooling, place)
            continue
        symbol, rule = table[at + 1] & SYMBOL_MASK, -1
        found = np.searchsorted(sorted_uid, table[at])
        if found < sorted_uid.shape[0] and sorted_uid[found] == table[at]:
            rule = sorted_slot[found]
            store_release(table, at + 1, symbol | sorted_cooldown_ms[found] << 32)
        if is_live_nb(table, at, t_ns):
            due_ns = table[at + 2] + (table[at + 1] >> 32) * NS_PER_MS
            pair = rule << 32 | (symbol - first)
            hang_nb(cooling, place, pair, due_ns, turn_nb(due_ns) % WHEEL_SLOTS)
            if rule >= 0:
                set_bit_nb(cooling.bits[rule], symbol - first)
        else:
            give_back_nb(cooling, place)


@njit(cache=True, nogil=True)
def expire_nb(cooling, t_ns):
    """Take out of bitmap and wheel what no longer cools at t_ns, which never goes back.

    The words of the bitmap lie anywhere in megabytes: they are asked for while others are cleared.
    """
    bits, pair, due, after, heads = (
        cooling.bits, cooling.pair, cooling.due_ns, cooling.after, cooling.heads
    )  # fmt: skip
    flat, words = bits.reshape(-1), bits.shape[1]
    now = turn_nb(t_ns)
    begin = max(cooling.state[TURNED], now - WHEEL_SLOTS + 1)
    for turn in range(begin, now + 1):
        slot = turn % WHEEL_SLOTS
        place = heads[slot]
        heads[slot] = NO_PLACE
        ahead = place
        for _ in range(_AHEAD):
            if ahead != NO_PLACE:
                ahead = after[ahead]
        while place != NO_PLACE:
            if ahead != NO_PLACE:
                if pair[ahead] >= 0:
                    word = (pair[ahead] & SYMBOL_MASK) // WORD_BITS
                    prefetch(flat, (pair[ahead] >> 32) * words + word)
                ahead = after[ahead]
            following = after[place]
            if due[place] <= t_ns:
                rule, local = pair[place] >> 32, pair[place] & SYMBOL_MASK
                if rule >= 0:
                    clear_bit_nb(bits[rule], local)
                give_back_nb(cooling, place)
            else:
                after[place] = heads[slot]
                heads[slot] = place
            place = following
    cooling.state[TURNED] = now


@njit(cache=True, nogil=True)
def stamp_nb(cooling, table, fired, count, rule_uid, cooldown_ms, first, t_ns):
    """Enter the firings of a cycle, for which there is room and whose bits are set: fired
    int64[>= count], rule slot << 32 | symbol id, ascending by rule.

    A kill inside leaves dead entries and entries stamped with t_ns, which rebuild_nb makes absent:
    the stamp of a place is taken away before its keys change and comes back after them.
    """
    state, rule = cooling.state, -1
    uid, cooldown, due_ns, slot = 0, 0, 0, 0
    for i in range(count):
        symbol = fired[i] & SYMBOL_MASK
        if fired[i] >> 32 != rule:
            rule = fired[i] >> 32
            uid, cooldown = rule_uid[rule], cooldown_ms[rule]
            due_ns = t_ns + cooldown * NS_PER_MS
            slot = turn_nb(due_ns) % WHEEL_SLOTS
        place = state[FREE]
        if place != NO_PLACE:
            state[FREE] = cooling.after[place]
            state[FREED] -= 1
        else:
            place = state[FRESH]
            state[FRESH] += 1
        at = place * COOL_WORDS
        store_release(table, at + 2, 0)
        store_release(table, at + 1, symbol | cooldown << 32)
        store_release(table, at, uid)
        store_release(table, at + 2, t_ns)
        hang_nb(cooling, place, rule << 32 | (symbol - first), due_ns, slot)
