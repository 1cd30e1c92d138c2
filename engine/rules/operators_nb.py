"""Operators of the rule program that remember: one cycle of one node over one tile of symbols.

Planes (uint64 words, a bit a symbol) come in two copies by parity of n: `before` is what cycle n-1
left, `now` what this cycle leaves. Rows (a word a symbol) and rings (64 planes in the room of a
row) are written in place, and only so that running the cycle again writes the same bytes: a row is
read only for symbols that this cycle does not write it for, and what a ring forgets is out of reach
of every reader. A symbol that is not `seen` (not admitted, blind) leaves no bit in any plane, so it
comes back without a past; rings hold nothing of symbols without a bit in `carried`.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit, uint64

from engine.rules import opcodes as op
from engine.rules.bits_nb import lowest_bit, ones
from engine.rules.vector_nb import above, address, at_least, copy_8, load_number, store_number

WORD_BITS = 64
RING = 64  # samples that a ring holds
NONE, ONE = uint64(0), uint64(1)
_MINUTE_NS = 60_000_000_000


@njit(cache=True, nogil=True, _nrt=False)
def older_nb(rows, slot, word, bits, limit_ns):
    """Those of `bits` whose time in the row is at or before limit_ns."""
    found = NONE
    while bits != NONE:
        bit = lowest_bit(bits)
        bits &= bits - ONE
        if rows[slot, word * WORD_BITS + bit] <= limit_ns:
            found |= ONE << uint64(bit)
    return found


@njit(cache=True, nogil=True, _nrt=False)
def stamp_nb(rows, slot, word, bits, value):
    """Write `value` into the row for the symbols of `bits`."""
    while bits != NONE:
        bit = lowest_bit(bits)
        bits &= bits - ONE
        rows[slot, word * WORD_BITS + bit] = value


@njit(cache=True, nogil=True, _nrt=False)
def cross_nb(to, back, a, a_step, b, b_step, bits, planes, at, before, now, seen, word, count):
    """CROSS of `count` words from `word` on: left was at most right and is above it.

    bits: uint64[registers, 8] of the tile; to, back: registers of the result and of what arms it
    again, -1: it is armed at once. planes[at]: at most; at + 1: above; at + 2: disarmed.
    """
    low, high, off = planes[at], planes[at + 1], planes[at + 2]
    for i in range(count):
        over = above(a, a_step, b, b_step) & seen[i]
        under = at_least(b, b_step, a, a_step) & seen[i]
        a, b = a + 8 * a_step, b + 8 * b_step
        crossed = over & before[low, word + i]
        if back >= 0:
            disarmed = before[off, word + i] & seen[i] & ~bits[back, i]
            crossed &= ~disarmed
            now[off, word + i] = disarmed | crossed
        now[low, word + i], now[high, word + i] = under, over
        bits[to, i] = crossed


@njit(cache=True, nogil=True, _nrt=False)
def no_cross_nb(to, cross, bits, planes, at, before, now, word, count):
    """NO_CROSS: both sides known in this cycle and the one before, and no cross."""
    low, high = planes[at], planes[at + 1]
    for i in range(count):
        known = (before[low, word + i] | before[high, word + i]) & (
            now[low, word + i] | now[high, word + i]
        )
        bits[to, i] = known & ~bits[cross, i]


@njit(cache=True, nogil=True, _nrt=False)
def within_nb(
    to, part, window_ns, bits, planes, at, row, before, now, rows, when, seen, word, count
):
    """WITHIN: true in this cycle, or last true at or after T - window.

    planes[at]: the part; at + 1: the result. The row holds T of the last cycle in which the part
    was true, written when it no longer is.
    """
    was_plane, kept_plane = planes[at], planes[at + 1]
    limit_ns = when[op.W_T] - window_ns
    for i in range(count):
        true = bits[part, i] & seen[i]
        was = before[was_plane, word + i] & seen[i] & ~true
        kept = before[kept_plane, word + i] & seen[i] & ~true & ~was
        found = true
        if was != NONE:
            stamp_nb(rows, row, word + i, was, when[op.W_BEFORE])
            if when[op.W_BEFORE] >= limit_ns:
                found |= was
        if kept != NONE:
            found |= kept & ~older_nb(rows, row, word + i, kept, limit_ns - 1)
        now[was_plane, word + i], now[kept_plane, word + i] = true, found
        bits[to, i] = found


@njit(cache=True, nogil=True, _nrt=False)
def in_row_word_nb(true, window_ns, running, ripe, row, before, now, rows, when, word):
    """IN_ROW of one word: true in every cycle since one at or before T - window.

    running, ripe: planes of the part and of the result. The row holds T of the first cycle of the
    run.
    """
    went_on = true & before[running, word]
    begun = true & ~went_on
    if begun != NONE:
        stamp_nb(rows, row, word, begun, when[op.W_T])
    found = went_on & before[ripe, word]
    young = went_on & ~found
    if young != NONE:
        found |= older_nb(rows, row, word, young, when[op.W_T] - window_ns)
    now[running, word], now[ripe, word] = true, found
    return found


@njit(cache=True, nogil=True, _nrt=False)
def since_nb(to, part, bits, planes, at, row, before, now, rows, when, seen, word, count):
    """SINCE: seconds since the part was last true, to the doubles from address `to` on.

    planes[at]: the part; at + 1: it ever was. The row is that of WITHIN.
    """
    was_plane, ever_plane = planes[at], planes[at + 1]
    for i in range(count):
        true = bits[part, i] & seen[i]
        was = before[was_plane, word + i] & seen[i] & ~true
        if was != NONE:
            stamp_nb(rows, row, word + i, was, when[op.W_BEFORE])
        ever = true | (before[ever_plane, word + i] & seen[i])
        now[was_plane, word + i], now[ever_plane, word + i] = true, ever
        for bit in range(WORD_BITS):
            value = np.nan
            if true >> uint64(bit) & ONE != NONE:
                value = 0.0
            elif ever >> uint64(bit) & ONE != NONE:
                value = (when[op.W_T] - rows[row, (word + i) * WORD_BITS + bit]) / 1e9
            store_number(to + 8 * (i * WORD_BITS + bit), value)


# -- samples at whole seconds or minutes: ring[instant % 64] is a plane ----------------------------
@njit(cache=True, nogil=True, _nrt=False)
def instants_nb(unit_ns, when):
    """(from, to]: the whole seconds or minutes that this cycle is the first to reach."""
    if unit_ns == _MINUTE_NS:
        return when[op.W_MINUTE_FROM], when[op.W_MINUTE]
    return when[op.W_SECOND_FROM], when[op.W_SECOND]


@njit(cache=True, nogil=True, _nrt=False)
def sample_nb(part, ring, first, last, bits, rings, seen, carried, word, count):
    """Put the condition into the samples of instants (first, last]."""
    for i in range(count):
        fresh = seen[i] & ~carried[i]
        if fresh != NONE:
            for place in range(RING):
                rings[ring, place, word + i] &= ~fresh
    for instant in range(max(first, last - RING) + 1, last + 1):
        for i in range(count):
            rings[ring, instant % RING, word + i] = bits[part, i] & seen[i]


@njit(cache=True, nogil=True, _nrt=False)
def count_word_nb(ring, last, size, least, rings, word):
    """Symbols of a word true in at least `least` of the `size` samples up to instant `last`.

    Plane j of the sums holds bit j of every symbol's count. They begin at 64 - least: who passes
    63 has enough.
    """
    spare = 64 - least
    s0, s1, s2 = -uint64(spare & 1), -uint64(spare >> 1 & 1), -uint64(spare >> 2 & 1)
    s3, s4, s5 = -uint64(spare >> 3 & 1), -uint64(spare >> 4 & 1), -uint64(spare >> 5 & 1)
    enough = NONE
    for age in range(size):
        carry = rings[ring, (last - age) % RING, word]
        s0, carry = s0 ^ carry, s0 & carry
        s1, carry = s1 ^ carry, s1 & carry
        s2, carry = s2 ^ carry, s2 & carry
        s3, carry = s3 ^ carry, s3 & carry
        s4, carry = s4 ^ carry, s4 & carry
        s5, carry = s5 ^ carry, s5 & carry
        enough |= carry
    return enough


@njit(cache=True, nogil=True, _nrt=False)
def sampled_nb(
    operation, to, part, state, bits, planes, row_slots, before, now, rings, when, seen, carried,
    word, count,
):  # fmt: skip
    """AGO and COUNT over seconds or minutes. COUNT keeps its result in its plane: it changes only
    when there is a new sample."""
    ring = row_slots[state[op.S_ROW]]
    first, last = instants_nb(state[op.S_UNIT], when)
    sample_nb(part, ring, first, last, bits, rings, seen, carried, word, count)
    if operation == op.AGO:
        for i in range(count):
            bits[to, i] = rings[ring, (last - state[op.S_COUNT]) % RING, word + i] & seen[i]
        return
    plane, size, least = planes[state[op.S_PLANE]], state[op.S_WINDOW], state[op.S_COUNT]
    for i in range(count):
        if first == last:
            found = before[plane, word + i]
        else:
            found = count_word_nb(ring, last, size, least, rings, word + i)
        now[plane, word + i] = found & seen[i]
        bits[to, i] = found & seen[i]


# -- samples at the closes of the symbol's own bars: bit (number % 64) of its row ------------------
@njit(cache=True, nogil=True, _nrt=False)
def close_nb(operation, state, row, symbol, first, last, true, rows):
    """Put the condition into the samples of closes [first, last) of a symbol; the result."""
    word = uint64(rows[row, symbol])
    for number in range(max(first, last - RING), last):
        place = ONE << uint64(number % RING)
        word = word | place if true else word & ~place
    rows[row, symbol] = np.int64(word)
    if operation == op.BAR_AGO:
        return word >> uint64((last - state[op.S_COUNT]) % RING) & ONE != NONE
    size, newest = state[op.S_WINDOW], (last - 1) % RING
    # turned so that the newest sample stands in the highest bit
    turned = word << uint64(RING - 1 - newest)
    if newest != RING - 1:
        turned |= word >> uint64(newest + 1)
    return ones(turned >> uint64(RING - size)) >= state[op.S_COUNT]


@njit(cache=True, nogil=True, _nrt=False)
def bar_sampled_nb(
    operation, to, part, state, bits, planes, row_slots, before, now, rows, closes, seen, carried,
    closed, word, count,
):  # fmt: skip
    """BAR_AGO and BAR_COUNT. The result stands in the plane until the symbol's next close.

    closes: int64[rows, 2], closes of a symbol before this cycle and after it, valid where the bit
    in `closed` is set.
    """
    row, plane = row_slots[state[op.S_ROW]], planes[state[op.S_PLANE]]
    for i in range(count):
        fresh = seen[i] & ~carried[i]
        if fresh != NONE:
            stamp_nb(rows, row, word + i, fresh, 0)
        found = before[plane, word + i] & seen[i]
        left = closed[i] & seen[i]
        while left != NONE:
            bit = lowest_bit(left)
            left &= left - ONE
            symbol, mark = (word + i) * WORD_BITS + bit, ONE << uint64(bit)
            true = bits[part, i] & mark != NONE
            first, last = closes[symbol, 0], closes[symbol, 1]
            if close_nb(operation, state, row, symbol, first, last, true, rows):
                found |= mark
            else:
                found &= ~mark
        now[plane, word + i] = found
        bits[to, i] = found


# -- numbers of earlier minutes --------------------------------------------------------------------
@njit(cache=True, nogil=True, _nrt=False)
def lag_nb(to, a, a_step, state, row_slots, rows_f, when, seen, carried, word, count):
    """LAG: the operand as of S_COUNT units ago, to the doubles from address `to` on.

    Row instant % S_ROWS holds the samples of an instant; S_ROWS is above S_COUNT.
    """
    size, at = state[op.S_ROWS], state[op.S_ROW]
    first, last = instants_nb(state[op.S_UNIT], when)
    for i in range(count):
        fresh = seen[i] & ~carried[i]
        while fresh != NONE:
            symbol = (word + i) * WORD_BITS + lowest_bit(fresh)
            fresh &= fresh - ONE
            for place in range(size):
                rows_f[row_slots[at + place], symbol] = np.nan
    start = word * WORD_BITS
    for instant in range(max(first, last - size) + 1, last + 1):
        row = row_slots[at + instant % size]
        for j in range(count * WORD_BITS):
            value = load_number(a + (j // 8) * a_step + (j % 8) * 8)
            rows_f[row, start + j] = value
    found = address(rows_f, row_slots[at + (last - state[op.S_COUNT]) % size], start)
    for group in range(count * 8):
        copy_8(to + group * 64, found + group * 64)


# -- sequences -------------------------------------------------------------------------------------
@njit(cache=True, nogil=True, _nrt=False)
def overdue_nb(rows, row, word, bits, within_ns, t_ns):
    """Those of `bits` whose step came longer than within_ns ago (-1: never). A step of this very
    cycle is there only when the cycle runs again: then it had been overdue, or it was renewed and
    the next step is not true."""
    found = NONE
    while bits != NONE:
        bit = lowest_bit(bits)
        bits &= bits - ONE
        age_ns = t_ns - rows[row, word * WORD_BITS + bit]
        if age_ns == 0 or (within_ns >= 0 and age_ns > within_ns):
            found |= ONE << uint64(bit)
    return found


@njit(cache=True, nogil=True, _nrt=False)
def complete_nb(rows, row_slots, at, steps, word, bits, t_ns):
    """Keep the times of a completed attempt: rows at + steps - 1 onwards, one a step."""
    while bits != NONE:
        symbol = word * WORD_BITS + lowest_bit(bits)
        bits &= bits - ONE
        for step in range(steps - 1):
            rows[row_slots[at + steps - 1 + step], symbol] = rows[row_slots[at + step], symbol]
        rows[row_slots[at + 2 * steps - 2], symbol] = t_ns


@njit(cache=True, nogil=True, _nrt=False)
def sequence_nb(
    to, cancel, state, bits, planes, row_slots, steps, before, now, rows, when, seen, word, count
):
    """SEQUENCE: the last step was taken in this cycle.

    Plane j - 1 of the state: j steps are taken; the last plane: an attempt was completed. Row
    j - 1: T of step j; then the times of the last completed attempt. steps: int64[:, 2], register
    of the condition and ns after the step before (-1: any).
    An overdue attempt is given up only when that makes a difference.
    """
    at, row, size, first = state[op.S_PLANE], state[op.S_ROW], state[op.S_STEPS], state[op.S_STEP]
    t_ns = when[op.W_T]
    for i in range(count):
        begin = bits[steps[first, 0], i] & seen[i]
        alive = seen[i] if cancel < 0 else seen[i] & ~bits[cancel, i]
        free, waits, onward = alive, NONE, NONE
        for taken in range(1, size):
            here = before[planes[at + taken - 1], word + i] & alive
            wanted, came = bits[steps[first + taken, 0], i], onward
            judged = here & (wanted if taken == 1 else wanted | begin)
            late = overdue_nb(
                rows, row_slots[row + taken - 1], word + i, judged, steps[first + taken, 1], t_ns
            )
            onward = judged & wanted & ~late
            stays = here & ~late & ~onward
            free &= ~onward
            if taken == 1:
                waits = stays  # the first step again renews its time
            else:
                free &= ~stays
                now[planes[at + taken - 1], word + i] = stays | came
            if taken + 1 < size:
                stamp_nb(rows, row_slots[row + taken], word + i, onward, t_ns)
        done = begun = free & begin
        if size > 1:
            stamp_nb(rows, row_slots[row], word + i, begun, t_ns)
            now[planes[at], word + i] = waits | begun
            done = onward
        now[planes[at + size - 1], word + i] = done | (
            before[planes[at + size - 1], word + i] & seen[i]
        )
        if done != NONE:
            complete_nb(rows, row_slots, row, size, word + i, done, t_ns)
        bits[to, i] = done
