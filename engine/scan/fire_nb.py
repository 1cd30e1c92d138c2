"""Which true (rule, symbol) pairs fire in a cycle: scope, edge, cooldown, order.

Only set bits are looked at, and nothing shared is written: what cools is marked in private.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit, uint64

from engine.bars.prefetch import prefetch
from engine.domain.records import R_BLIND, R_HALTED, REF_TEST_ISSUE, REFERENCE
from engine.rules.compiler import FLAG_EDGE, FLAG_HALT
from engine.rules.evaluate_nb import WORD_BITS
from engine.scan.bits_nb import clear_bit_nb, lowest_bit, ones

REF_WORDS = REFERENCE.itemsize // 8
REF_FLAGS = int(REFERENCE.fields["flags"][1]) // 8  # type: ignore[index]

# Words of `counts`
ALERTS, FIRED, STAMPS, COOLED, FULL, TRUE_PAIRS = 0, 1, 2, 3, 4, 5
COUNTS = 6

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
def order_nb(ranks, count, marks):
    """Sort the distinct ranks[:count] ascending. marks: uint64[slice / 64] to work in, zero before
    and after."""
    if count <= _FEW:
        for i in range(1, count):
            value, j = ranks[i], i
            while j > 0 and ranks[j - 1] > value:
                ranks[j] = ranks[j - 1]
                j -= 1
            ranks[j] = value
        return
    for i in range(count):
        marks[ranks[i] // WORD_BITS] |= uint64(1) << uint64(ranks[i] % WORD_BITS)
    at = 0
    for word in range(marks.shape[0]):
        bits = marks[word]
        marks[word] = uint64(0)
        while bits != uint64(0):
            ranks[at] = word * WORD_BITS + lowest_bit(bits)
            at += 1
            bits &= bits - uint64(1)


@njit(cache=True, nogil=True)
def gather_nb(bits, word, rank, ranks, count):
    """Append the ranks of the symbols of one word; new count."""
    while bits != uint64(0):
        ranks[count] = rank[word * WORD_BITS + lowest_bit(bits)]
        bits &= bits - uint64(1)
        count += 1
    return count


@njit(cache=True, nogil=True)
def list_words_nb(true, cooling, rule, listed):
    """List the words of true, uint64[slice / 64], that hold a set bit, and ask for the words of
    cooling[rule] that stand beside them, which lie anywhere in megabytes; how many there are."""
    count = 0
    for word in range(true.shape[0]):
        listed[count] = word
        count += true[word] != uint64(0)
    flat, first = cooling.reshape(-1), rule * cooling.shape[1]
    for i in range(count):
        prefetch(flat, first + listed[i])
    return count


@njit(cache=True, nogil=True)
def fire_nb(
    roots, before, before_slot, cooldown_ms, flags, known, halted, known_before, cooling, room,
    first_word, rank, by_rank, listed, ranks, marks, alerts, stamps, counts,
):  # fmt: skip
    """Decide the firings of a cycle from the state before it.

    roots, before: uint64[>= R, rows / 64], truth of this cycle and of the one before; the slice
    starts at word first_word. before_slot int64[R]: slot of the same rule in `before`, -1 if it
    was not there.
    cooldown_ms int64[R], flags uint8[R]: see CompiledRules. known, halted: see scope_nb;
    known_before: known in the cycle before. cooling: uint64[R, slice / 64], pairs that still cool;
    those that fire and have a cooldown are added. room: how many more may cool. rank, by_rank:
    int32[slice], place of a symbol among the tickers and back. To work in: listed int64[2,
    slice / 64], ranks int64[slice]; marks uint64[slice / 64], zero before and after.

    Results: alerts int64[cap] and stamps int64[>= room], rule << 32 | symbol id, in order of (rule,
    ticker); stamps are the firings whose rule has a cooldown. counts int64[COUNTS]: alerts
    committed (at most cap), fired in all, stamps, suppressed by cooldown, suppressed because there
    is no room, pairs true.
    """
    counts[:] = 0
    first = first_word * WORD_BITS
    last_word = first_word + known.shape[0]
    rules, following = cooldown_ms.shape[0], 0
    if rules > 0:
        true = roots[0, first_word:last_word]
        following = list_words_nb(true, cooling, 0, listed[0])
    for rule in range(rules):
        words, left = listed[rule & 1], following
        if rule + 1 < rules:
            true = roots[rule + 1, first_word:last_word]
            following = list_words_nb(true, cooling, rule + 1, listed[1 - (rule & 1)])
        true, cools = roots[rule, first_word:last_word], cooling[rule]
        cool = cooldown_ms[rule] > 0
        edge, names_halt = flags[rule] & FLAG_EDGE != 0, flags[rule] & FLAG_HALT != 0
        slot = before_slot[rule]
        count = 0
        for at in range(left):
            word = words[at]
            bits = true[word]
            counts[TRUE_PAIRS] += ones(bits)
            if edge and slot < 0:
                continue
            bits &= known[word]
            if not names_halt:
                bits &= ~halted[word]
            if edge:
                bits &= known_before[word] & ~before[slot, first_word + word]
            if cool:
                counts[COOLED] += ones(bits & cools[word])
                bits &= ~cools[word]
                if counts[STAMPS] == room:
                    counts[FULL] += ones(bits)
                    continue
                cools[word] |= bits
            count = gather_nb(bits, word, rank, ranks, count)
        order_nb(ranks, count, marks)
        fits = min(count, room - counts[STAMPS]) if cool else count
        for i in range(fits):
            pair = np.int64(rule) << 32 | (first + by_rank[ranks[i]])
            if cool:
                stamps[counts[STAMPS]] = pair
                counts[STAMPS] += 1
            if counts[ALERTS] < alerts.shape[0]:
                alerts[counts[ALERTS]] = pair
                counts[ALERTS] += 1
        for i in range(fits, count):
            clear_bit_nb(cools, by_rank[ranks[i]])
        counts[FIRED] += fits
        counts[FULL] += count - fits
