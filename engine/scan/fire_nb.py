"""Which true (rule, symbol) pairs fire in a cycle: scope, edge, cooldown, order.

Only set bits are looked at, and nothing shared is written.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit, uint64

from engine.domain.records import R_BLIND, R_HALTED, REF_TEST_ISSUE, REFERENCE
from engine.rules.compiler import FLAG_EDGE, FLAG_HALT
from engine.rules.evaluate_nb import WORD_BITS
from engine.scan.cooldown_nb import BUCKET_WORDS, COOLING, STAMPED, bucket_nb, probe_nb
from engine.scan.machine_nb import lowest_bit, ones, prefetch

REF_WORDS = REFERENCE.itemsize // 8
REF_FLAGS = int(REFERENCE.fields["flags"][1]) // 8  # type: ignore[index]

# Words of `counts`
ALERTS, FIRED, STAMPS, COOLED, FULL, TRUE_PAIRS = 0, 1, 2, 3, 4, 5
COUNTS = 6

# A found pair: rank of the symbol << 6 | places free in its bucket << 1 | stamped in this cycle
_RANK_SHIFT, _FREE_MASK = 6, 31
_FEW = 24  # up to here an insertion sort beats the bitmap


@njit(cache=True, nogil=True)
def scope_nb(rows, reference, first, count, known, halted):
    """Which symbols of a slice may fire at all.

    rows: int64[rows, 64] words of ROW; reference: int64[rows, 8]; the slice starts at row `first`
    and has `count` admitted symbols. known, halted: uint64[slice / 64]; bit set: admitted, neither
    blind nor a test issue; of those: halted.
    """
    known[:] = uint64(0)
    halted[:] = uint64(0)
    for i in range(count):
        row = first + i
        seen = (rows[row, R_BLIND] == 0) & (reference[row, REF_FLAGS] & REF_TEST_ISSUE == 0)
        stopped = seen & (rows[row, R_HALTED] != 0)
        known[i // WORD_BITS] |= uint64(seen) << uint64(i % WORD_BITS)
        halted[i // WORD_BITS] |= uint64(stopped) << uint64(i % WORD_BITS)


@njit(cache=True, nogil=True)
def order_nb(found, count, places, marks):
    """Sort found[:count] ascending; ranks are distinct. places int64[slice], marks uint64[slice/64]
    (zero before and after) are room to work in."""
    if count <= _FEW:
        for i in range(1, count):
            value, j = found[i], i
            while j > 0 and found[j - 1] > value:
                found[j] = found[j - 1]
                j -= 1
            found[j] = value
        return
    for i in range(count):
        rank = found[i] >> _RANK_SHIFT
        places[rank] = found[i]
        marks[rank // WORD_BITS] |= uint64(1) << uint64(rank % WORD_BITS)
    at = 0
    for word in range(marks.shape[0]):
        bits = marks[word]
        marks[word] = uint64(0)
        while bits != uint64(0):
            found[at] = places[word * WORD_BITS + lowest_bit(bits)]
            at += 1
            bits &= bits - uint64(1)


@njit(cache=True, nogil=True)
def gather_nb(bits, word, uid, table, first, found, places, count):
    """Append the symbols of one word (local numbers) to found, their buckets to places; new count.

    The buckets lie anywhere in megabytes: all of a rule are on their way before one is looked at.
    """
    buckets = table.shape[0] // BUCKET_WORDS
    while bits != uint64(0):
        local = word * WORD_BITS + lowest_bit(bits)
        bits &= bits - uint64(1)
        bucket = bucket_nb(uid, first + local, buckets)
        prefetch(table, bucket * BUCKET_WORDS)
        found[count], places[count] = local, bucket
        count += 1
    return count


@njit(cache=True, nogil=True)
def drop_cooling_nb(uid, cooldown_ms, table, t_ns, first, rank, found, places, count):
    """Turn gathered symbols into found pairs, without those that cool; how many are left."""
    left = 0
    for i in range(count):
        local, answer = found[i], 0
        if cooldown_ms > 0:
            answer = probe_nb(table, places[i], uid, first + local, t_ns)
        if answer != COOLING:
            free = 1 if answer == STAMPED else answer << 1
            found[left] = rank[local] << _RANK_SHIFT | free
            left += 1
    return left


@njit(cache=True, nogil=True)
def fire_nb(
    roots, before, before_slot, rule_uid, cooldown_ms, flags, known, halted, known_before,
    table, t_ns, first_word, rank, by_rank, taken, found, places, marks, alerts, stamps, counts,
):  # fmt: skip
    """Decide the firings of a cycle from the state before it.

    roots, before: uint64[>= R, rows / 64], truth of this cycle and of the one before; the slice
    starts at word first_word. before_slot int64[R]: slot of the same rule in `before`, -1 if it
    was not there.
    rule_uid, cooldown_ms int64[R], flags uint8[R]: see CompiledRules. known, halted: see scope_nb;
    known_before: known in the cycle before. table: int64[:], see cooldown_nb. rank,
    by_rank: int64[slice], place of a symbol among the tickers and back. taken: uint8[buckets],
    all zero. found, places: int64[slice]; marks: uint64[slice / 64], zero.

    Results: alerts int64[cap] and stamps int64[:], rule << 32 | symbol id, in order of (rule,
    ticker); stamps are the firings whose rule has a cooldown. counts int64[COUNTS]: alerts
    committed (at most cap), fired in all, stamps, suppressed by cooldown, suppressed because
    their bucket is full of live entries, pairs true.
    """
    counts[:] = 0
    first = first_word * WORD_BITS
    buckets = table.shape[0] // BUCKET_WORDS
    for rule in range(rule_uid.shape[0]):
        uid, cool = rule_uid[rule], cooldown_ms[rule]
        edge, names_halt = flags[rule] & FLAG_EDGE != 0, flags[rule] & FLAG_HALT != 0
        slot = before_slot[rule]
        if edge and slot < 0:
            for word in range(known.shape[0]):
                counts[TRUE_PAIRS] += ones(roots[rule, first_word + word])
            continue
        gathered = 0
        for word in range(known.shape[0]):
            bits = roots[rule, first_word + word]
            if bits == uint64(0):
                continue
            counts[TRUE_PAIRS] += ones(bits)
            bits &= known[word]
            if not names_halt:
                bits &= ~halted[word]
            if edge:
                bits &= known_before[word] & ~before[slot, first_word + word]
            gathered = gather_nb(bits, word, uid, table, first, found, places, gathered)
        count = drop_cooling_nb(uid, cool, table, t_ns, first, rank, found, places, gathered)
        counts[COOLED] += gathered - count
        order_nb(found, count, places, marks)
        for i in range(count):
            symbol = first + by_rank[found[i] >> _RANK_SHIFT]
            pair = np.int64(rule) << 32 | symbol
            if cool > 0:
                if found[i] & 1 == 0:
                    bucket = bucket_nb(uid, symbol, buckets)
                    if taken[bucket] >= found[i] >> 1 & _FREE_MASK:
                        counts[FULL] += 1
                        continue
                    taken[bucket] += 1
                stamps[counts[STAMPS]] = pair
                counts[STAMPS] += 1
            if counts[ALERTS] < alerts.shape[0]:
                alerts[counts[ALERTS]] = pair
                counts[ALERTS] += 1
            counts[FIRED] += 1


@njit(cache=True, nogil=True)
def release_taken_nb(stamps, count, rule_uid, taken):
    """Set `taken` back to zero where the firings of a cycle changed it."""
    for i in range(count):
        uid, symbol = rule_uid[stamps[i] >> 32], stamps[i] & 0xFFFFFFFF
        taken[bucket_nb(uid, symbol, taken.shape[0])] = 0
