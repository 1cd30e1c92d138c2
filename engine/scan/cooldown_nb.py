"""The cooldown table of one worker: which (rule, symbol) fired when, hashed into buckets of 16.

Flat int64 words, three an entry: [rule uid (0: never used), symbol id | cooldown_ms << 32, T_k of
the last firing]. An entry is live while T_k - last < its cooldown; a dead one is as good as absent,
wherever it stands, so a reused place never changes an answer. Places are used from the front of a
bucket: behind the first never used one there is nothing. Probing stays inside the bucket.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.domain.tables import COOL_BUCKET, COOL_WORDS
from shm.fences import store_release

BUCKET_WORDS = COOL_BUCKET * COOL_WORDS
SYMBOL_MASK = (1 << 32) - 1
NS_PER_MS = 1_000_000
COOLING, STAMPED = -1, -2  # answers of probe_nb; from 0 on: places a new entry could take

_MIX_1 = np.uint64(0x9E3779B97F4A7C15)
_MIX_2 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_3 = np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)


@njit(cache=True, nogil=True)
def bucket_nb(uid, symbol, buckets):
    """Bucket of (rule uid, symbol id); buckets is a power of two (SplitMix64 finaliser)."""
    mixed = np.uint64(uid) + np.uint64(symbol + 1) * _MIX_1
    mixed = (mixed ^ (mixed >> _SHIFT_1)) * _MIX_2
    mixed = (mixed ^ (mixed >> _SHIFT_2)) * _MIX_3
    mixed ^= mixed >> _SHIFT_3
    return np.int64(mixed & np.uint64(buckets - 1))


@njit(cache=True, nogil=True)
def is_live_nb(table, at, t_ns):
    """True if the entry at word `at` still cools at t_ns."""
    return t_ns - table[at + 2] < (table[at + 1] >> 32) * NS_PER_MS


@njit(cache=True, nogil=True)
def probe_nb(table, bucket, uid, symbol, t_ns):
    """COOLING: fired earlier and still cools. STAMPED: fired in this very cycle (a redo).
    Otherwise how many places of the bucket a new entry could take, 0 to 16."""
    free = 0
    first = bucket * BUCKET_WORDS
    for at in range(first, first + BUCKET_WORDS, COOL_WORDS):
        if table[at] == 0:
            return free + (first + BUCKET_WORDS - at) // COOL_WORDS
        if not is_live_nb(table, at, t_ns):
            free += 1
        elif table[at] == uid and (table[at + 1] & SYMBOL_MASK) == symbol:
            return STAMPED if table[at + 2] == t_ns else COOLING
    return free


@njit(cache=True, nogil=True)
def stamp_nb(table, bucket, uid, symbol, cooldown_ms, last_ns, t_ns):
    """Enter a firing at last_ns into a place dead at t_ns; again is harmless. False: no place.

    A kill inside leaves a dead entry: the stamp is taken away before the keys change and comes
    back after them.
    """
    first = bucket * BUCKET_WORDS
    place = -1
    for at in range(first, first + BUCKET_WORDS, COOL_WORDS):
        if table[at] == 0 or not is_live_nb(table, at, t_ns):
            if place < 0:
                place = at
            if table[at] == 0:
                break
        elif table[at] == uid and (table[at + 1] & SYMBOL_MASK) == symbol:
            return True
    if place < 0:
        return False
    store_release(table, place + 2, 0)
    store_release(table, place + 1, symbol | cooldown_ms << 32)
    store_release(table, place, uid)
    store_release(table, place + 2, last_ns)
    return True


@njit(cache=True, nogil=True)
def stamp_all_nb(table, fired, count, rule_uid, cooldown_ms, t_ns):
    """Enter the firings of a cycle: fired int64[>= count], rule slot << 32 | symbol id."""
    buckets = table.shape[0] // BUCKET_WORDS
    for i in range(count):
        rule, symbol = fired[i] >> 32, fired[i] & SYMBOL_MASK
        uid = rule_uid[rule]
        bucket = bucket_nb(uid, symbol, buckets)
        stamp_nb(table, bucket, uid, symbol, cooldown_ms[rule], t_ns, t_ns)


@njit(cache=True, nogil=True)
def retune_nb(table, sorted_uid, sorted_cooldown_ms, t_ns):
    """Give live entries the cooldown their rule has now; sorted_uid int64[R] ascending.

    Entries of rules that are not in the set keep theirs. One word each, and again is harmless.
    """
    for at in range(0, table.shape[0], COOL_WORDS):
        uid = table[at]
        if uid == 0 or not is_live_nb(table, at, t_ns):
            continue
        slot = np.searchsorted(sorted_uid, uid)
        if slot < sorted_uid.shape[0] and sorted_uid[slot] == uid:
            symbol = table[at + 1] & SYMBOL_MASK
            store_release(table, at + 1, symbol | sorted_cooldown_ms[slot] << 32)
