"""Which true (rule, symbol) pairs fire in a cycle: scope, edge, cooldown, order.

Only set bits are looked at, and nothing shared is written: what cools is marked in private.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit, uint64

from engine.bars.prefetch import prefetch
from engine.domain.records import LANE_EXIT, R_BLIND, R_HALTED, REF_TEST_ISSUE, REFERENCE
from engine.domain.tables import (
    HELD_CAPPED,
    HELD_COOLING,
    HELD_DISARMED,
    HELD_FIRED,
    HELD_ONCE,
    HELD_ROOM,
)
from engine.rules.bits_nb import (
    WORD_BITS,
    clear_bit_nb,
    has_bit_nb,
    lowest_bit,
    ones,
    set_bit_nb,
)
from engine.rules.compiler import FLAG_EDGE, FLAG_HALT
from engine.rules.opcodes import R_DISARMED, R_ENTERED, R_LEFT, R_ONCE, R_SCOPED

REF_WORDS = REFERENCE.itemsize // 8
REF_FLAGS = int(REFERENCE.fields["flags"][1]) // 8  # type: ignore[index]

# Words of `counts`
ALERTS, FIRED, STAMPS, COOLED, FULL, TRUE_PAIRS = 0, 1, 2, 3, 4, 5
COUNTS = 6

_FEW = 24  # up to here an insertion sort beats the bitmap

# `_nrt=False`: nothing here allocates, and numba would count references to every array of a tuple
# (atomic additions) in each call. `forceinline`: a call would copy the tuples' arrays.


@njit(cache=True, nogil=True, _nrt=False)
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


@njit(cache=True, nogil=True, _nrt=False)
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


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def gather_nb(bits, word, rank, ranks, count):
    """Append the ranks of the symbols of one word; new count."""
    while bits != uint64(0):
        ranks[count] = rank[word * WORD_BITS + lowest_bit(bits)]
        bits &= bits - uint64(1)
        count += 1
    return count


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
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


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def ready_nb(rules, rule, word, bits, scene, planes, held):
    """Those of `bits`, true in a word of the slice, that nothing but a cooldown can hold back."""
    at, flags, slot = scene.first_word + word, rules.flags[rule], rules.same_slot[rule]
    bits &= scene.known[word]
    if flags & FLAG_HALT == 0:
        bits &= ~scene.halted[word]
    if rules.universe[rule] >= 0:
        bits &= scene.members[rules.universe[rule], word]
    if flags & FLAG_EDGE != 0:
        bits &= scene.known_before[word] & ~scene.true_before[slot, at]
    entered = rules.repeats[rule, R_ENTERED]
    if entered >= 0:
        bits &= ~planes.before[entered, at]
    once = rules.repeats[rule, R_ONCE]
    if once >= 0:
        held[HELD_ONCE] += ones(bits & planes.before[once, at])
        bits &= ~planes.before[once, at]
    disarmed = rules.repeats[rule, R_DISARMED]
    if disarmed >= 0:
        held[HELD_DISARMED] += ones(bits & planes.now[disarmed, at])
        bits &= ~planes.now[disarmed, at]
    return bits


@njit(cache=True, nogil=True, _nrt=False)
def carry_planes_nb(rules, rule, scene, planes):
    """Begin the planes of this cycle that say what a rule has fired for; those that it was known
    false for after they entered have left, if they may fire at all."""
    once, entered = rules.repeats[rule, R_ONCE], rules.repeats[rule, R_ENTERED]
    left = rules.repeats[rule, R_LEFT]
    for word in range(scene.known.shape[0]):
        at = scene.first_word + word
        if once >= 0:
            planes.now[once, at] = planes.before[once, at]
        if entered >= 0:
            gone = planes.now[left, at] & scene.known[word]
            if rules.flags[rule] & FLAG_HALT == 0:
                gone &= ~scene.halted[word]
            planes.now[left, at] = gone
            planes.now[entered, at] = planes.before[entered, at] & ~gone


@njit(cache=True, nogil=True, _nrt=False)
def mark_planes_nb(repeats, rule, number, planes):
    """Note in the planes of this cycle that a rule has fired for a symbol."""
    for kind in (R_ONCE, R_DISARMED, R_ENTERED):
        if repeats[rule, kind] >= 0:
            set_bit_nb(planes.now[repeats[rule, kind]], number)


@njit(cache=True, nogil=True, _nrt=False)
def emit_nb(rules, rule, count, cools, room, scene, planes, work, held):
    """Fire for work.ranks[:count], in their order: alerts, stamps and planes."""
    first, left = scene.first_word * WORD_BITS, rules.repeats[rule, R_LEFT]
    cool, counts = rules.cooldown_ms[rule] > 0, work.counts
    for i in range(count):
        local = work.by_rank[work.ranks[i]]
        pair = np.int64(rule) << 32 | (first + local)
        if left >= 0 and has_bit_nb(planes.now[left], first + local):
            pair |= LANE_EXIT
        elif cool and counts[STAMPS] == room:
            clear_bit_nb(cools, local)
            held[HELD_ROOM] += 1
            continue
        else:
            mark_planes_nb(rules.repeats, rule, first + local, planes)
            if cool:
                work.stamps[counts[STAMPS]] = pair
                counts[STAMPS] += 1
        held[HELD_FIRED] += 1
        if counts[ALERTS] < work.alerts.shape[0]:
            work.alerts[counts[ALERTS]] = pair
            counts[ALERTS] += 1
        else:
            held[HELD_CAPPED] += 1


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def fire_rule_nb(rules, rule, words, some, scene, planes, cools, room, work, held):
    """Fire one rule, see fire_nb. words[:some]: words of the slice in which it is true for some;
    cools: its row of `cooling`; held: its counts."""
    cool, counts, count = rules.cooldown_ms[rule] > 0, work.counts, 0
    left, scoped = rules.repeats[rule, R_LEFT], rules.repeats[rule, R_SCOPED]
    if left >= 0 or rules.repeats[rule, R_ONCE] >= 0:
        carry_planes_nb(rules, rule, scene, planes)
    if left >= 0:
        for word in range(scene.known.shape[0]):
            gone = planes.now[left, scene.first_word + word]
            count = gather_nb(gone, word, work.rank, work.ranks, count)
    new_edge = rules.flags[rule] & FLAG_EDGE != 0 and rules.same_slot[rule] < 0
    for at in range(some):
        word = words[at]
        bits = scene.true[rule, scene.first_word + word]
        counts[TRUE_PAIRS] += ones(bits)
        if new_edge:
            continue
        if scoped >= 0:
            bits = planes.now[scoped, scene.first_word + word]
        bits = ready_nb(rules, rule, word, bits, scene, planes, held)
        if cool:
            held[HELD_COOLING] += ones(bits & cools[word])
            bits &= ~cools[word]
            if counts[STAMPS] == room:
                held[HELD_ROOM] += ones(bits)
                continue
            cools[word] |= bits
        count = gather_nb(bits, word, work.rank, work.ranks, count)
    if count == 0:
        return
    order_nb(work.ranks, count, work.marks)
    emit_nb(rules, rule, count, cools, room, scene, planes, work, held)


@njit(cache=True, nogil=True, _nrt=False)
def fire_nb(rules, scene, planes, cooling, room, work, held_before, held_now):
    """Decide the firings of a cycle from the state before it.

    rules: stage.Rules; scene: stage.Scene; planes: evaluator.Past; work: stage.Work. cooling:
    uint64[R, slice / 64], pairs that still cool; those that fire and have a cooldown are added.
    room: how many more may cool. held_before, held_now: int64[>= R, HELD_WORDS], counts of this
    worker since the stream began, of the cycle before and of this one.

    Results in work: alerts int64[cap] and stamps int64[>= room], rule << 32 | symbol id (in alerts
    with LANE_EXIT: it left), in order of (rule, ticker); stamps are the firings whose rule has a
    cooldown. counts int64[COUNTS]: alerts committed (at most cap), fired in all, stamps, suppressed
    by cooldown, suppressed because there is no room, pairs true.
    """
    counts, last_word = work.counts, scene.first_word + scene.known.shape[0]
    counts[:] = 0
    count, following = rules.cooldown_ms.shape[0], 0
    if count > 0:
        true = scene.true[0, scene.first_word : last_word]
        following = list_words_nb(true, cooling, 0, work.listed[0])
    for rule in range(count):
        words, some = work.listed[rule & 1], following
        if rule + 1 < count:
            true = scene.true[rule + 1, scene.first_word : last_word]
            following = list_words_nb(true, cooling, rule + 1, work.listed[1 - (rule & 1)])
        held, slot = held_now[rule], rules.own_slot[rule]
        for reason in range(held.shape[0]):
            held[reason] = held_before[slot, reason] if slot >= 0 else 0
        fired, cooled, full = held[HELD_FIRED], held[HELD_COOLING], held[HELD_ROOM]
        fire_rule_nb(rules, rule, words, some, scene, planes, cooling[rule], room, work, held)
        counts[FIRED] += held[HELD_FIRED] - fired
        counts[COOLED] += held[HELD_COOLING] - cooled
        counts[FULL] += held[HELD_ROOM] - full
