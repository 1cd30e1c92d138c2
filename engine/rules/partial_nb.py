"""A cycle that looks at some symbols of a slice only, see program_nb.

What remembers runs where it stands, in tiles with a symbol that is looked at. For the rules the
symbols looked at are moved together, 512 at a time: of few symbols anywhere few words are made. A
symbol that is not looked at keeps its truth and all that is remembered of it.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit, uint64

from engine.rules import opcodes as op
from engine.rules.bits_nb import WORD_BITS, has_bit_nb, lowest_bit, ones, set_bit_nb
from engine.rules.bounds_nb import EVERY_BIT
from engine.rules.program_nb import narrow_parts_nb, narrow_rule_nb, run_always_nb

# `forceinline` as in program_nb: a call copies every array of the tuples.
NONE, ONE = uint64(0), uint64(1)
MOVES = 6  # steps in which the bits of a word move together


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def moves_nb(mask, moves):
    """How to move the bits of `mask` together: moves[i], those that go 1 << i places down (Hacker's
    Delight, 7-4)."""
    behind = ~mask << ONE
    for step in range(MOVES):
        odd = behind
        for shift in range(MOVES):
            odd ^= odd << uint64(1 << shift)
        moves[step] = odd & mask
        mask = (mask ^ moves[step]) | moves[step] >> uint64(1 << step)
        behind &= ~odd


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def together_nb(word, mask, moves):
    """The bits of a word that stand in `mask`, moved together to its lowest places."""
    word &= mask
    for step in range(MOVES):
        moving = word & moves[step]
        word = (word ^ moving) | moving >> uint64(1 << step)
    return word


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def put_nb(plane, at, bits, count):
    """Set `count` bits of a plane that are 0, from place `at` on."""
    word, shift = at // WORD_BITS, at % WORD_BITS
    plane[word] |= bits << uint64(shift)
    if shift + count > WORD_BITS:
        plane[word + 1] |= bits >> uint64(WORD_BITS - shift)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def take_word_nb(chosen, tile_bits, numbers, packed, at, tile, place):
    """Append the `chosen` symbols of word `place` of a tile to the packed ones, of which there are
    `at`; with them go registers that every cycle gives and rules read."""
    count, symbol = ones(chosen), (tile + place) * WORD_BITS
    bits = chosen
    for i in range(count):
        packed.symbols[at + i] = symbol + lowest_bit(bits)
        bits &= bits - ONE
    moves_nb(chosen, packed.moves)
    for i in range(packed.conditions.shape[0]):
        register = packed.conditions[i]
        word = together_nb(tile_bits[register, place], chosen, packed.moves)
        put_nb(packed.bits[register], at, word, count)
    first = tile * WORD_BITS
    for i in range(packed.values.shape[0]):
        register = packed.values[i]
        for j in range(count):
            packed.numbers[register, at + j] = numbers[register, packed.symbols[at + j] - first]
    return at + count


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def begin_packed_nb(packed):
    """Nobody is packed."""
    for i in range(packed.conditions.shape[0]):
        packed.bits[packed.conditions[i]] = NONE


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def rest_nb(word, count):
    """The bits of word number `word` that belong to the first `count` symbols."""
    left = count - word * WORD_BITS
    return EVERY_BIT if left >= WORD_BITS else (ONE << uint64(left)) - ONE


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def spread_nb(plane, words, count, symbols, to):
    """Set the bits of packed symbols in a plane of all."""
    for word in range(words):
        bits = plane[word] & rest_nb(word, count)
        while bits != NONE:
            set_bit_nb(to, symbols[word * WORD_BITS + lowest_bit(bits)])
            bits &= bits - ONE


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def finish_packed_nb(code, extra, past, room, packed, stamp, words, count, seen, first_word):
    """As program_nb.finish_rule_nb, of the packed symbols; the plane holds what stays for others
    already."""
    source, to = code.extras[extra, op.X_FROM], code.extras[extra, op.X_TO]
    rule, deny = code.extras[extra, op.X_RULE], code.extras[extra, op.X_DENY] != 0
    plane, origin, left = packed.plane, packed.origin, NONE
    for word in range(words):
        bits = packed.truth[rule, word]
        if source >= 0:
            bits = NONE
            for i in range(min(WORD_BITS, count - word * WORD_BITS)):
                symbol = packed.symbols[word * WORD_BITS + i]
                bits |= uint64(has_bit_nb(past.before[source], symbol)) << uint64(i)
        bits &= rest_nb(word, count)
        origin[word] = plane[word] = bits
        left |= bits
    if left == NONE:
        return
    narrow_parts_nb(
        code, code.extras[extra, op.X_PART], code.extras[extra, op.X_PARTS], packed.cycle,
        packed.numbers, packed.bits, room.done, stamp, 0, words, plane,
    )  # fmt: skip
    for word in range(words):
        bits = plane[word]
        while bits != NONE:
            place = lowest_bit(bits)
            bits &= bits - ONE
            symbol = packed.symbols[word * WORD_BITS + place] - first_word * WORD_BITS
            if not has_bit_nb(seen, symbol):
                plane[word] &= ~(ONE << uint64(place))
        if deny:
            plane[word] = origin[word] & ~plane[word]
    spread_nb(plane, words, count, packed.symbols, past.now[to])


@njit(cache=True, nogil=True, _nrt=False)
def run_packed_nb(code, past, cycle, room, packed, truth, count):
    """Evaluate all rules for the first `count` packed symbols."""
    words = (count + WORD_BITS - 1) // WORD_BITS
    room.clock[0] += 1
    stamp, columns = room.clock[0], packed.cycle.columns
    for at in range(code.always.shape[0]):
        room.done[code.always[at]] = stamp
    for at in range(packed.columns.shape[0]):
        to, column = columns[packed.columns[at]], cycle.columns[packed.columns[at]]
        for i in range(count):
            to[i] = column[packed.symbols[i]]
    for rule in range(code.bound_first.shape[0] - 1):
        left = narrow_rule_nb(code, columns, rule, packed.bits, packed.truth, 0, words)
        if left != NONE and code.part_first[rule] < code.part_first[rule + 1]:
            left = narrow_parts_nb(
                code, code.part_first[rule], code.part_first[rule + 1], packed.cycle,
                packed.numbers, packed.bits, room.done, stamp, 0, words, packed.truth[rule],
            )  # fmt: skip
        if left != NONE:
            spread_nb(packed.truth[rule], words, count, packed.symbols, truth[rule])
    for extra in range(code.extras.shape[0]):
        finish_packed_nb(
            code, extra, past, room, packed, stamp, words, count, cycle.seen, cycle.first_word
        )


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def keep_truth_nb(code, past, look, truth, first_word, end_word):
    """Begin truth and the planes of firing with what stays of symbols that are not looked at."""
    count = end_word - first_word
    for rule in range(code.bound_first.shape[0] - 1):
        slot, to = look.slots[rule], truth[rule, first_word:end_word]
        if slot < 0:
            to[:] = NONE
            continue
        before = look.truth[slot, first_word:end_word]
        for i in range(count):
            to[i] = before[i] & ~look.due[i]
    for extra in range(code.extras.shape[0]):
        source, to = code.extras[extra, op.X_FROM], code.extras[extra, op.X_TO]
        for word in range(first_word, end_word):
            kept = NONE
            if code.extras[extra, op.X_DENY]:
                kept = past.before[source, word] & ~look.due[word - first_word]
            past.now[to, word] = kept


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def keep_memory_nb(code, past, cycle, look, first_word, end_word):
    """Put back what is remembered of symbols that are not looked at: planes of nodes, and numbers
    that other symbols are compared with."""
    for at in range(look.planes):
        now = past.now[code.planes[at], first_word:end_word]
        before = past.before[code.planes[at], first_word:end_word]
        for i in range(end_word - first_word):
            now[i] = (before[i] & ~look.due[i]) | (now[i] & look.due[i])
    for at in range(code.always.shape[0]):
        node = code.nodes[code.always[at]]
        if node[op.N_OP] != op.STORE:
            continue
        column = node[op.N_B]
        for word in range(first_word, end_word):
            kept = ~look.due[word - first_word]
            while kept != NONE:
                symbol = word * WORD_BITS + lowest_bit(kept)
                kept &= kept - ONE
                cycle.columns[column, symbol] = look.columns[column, symbol]


@njit(cache=True, nogil=True, _nrt=False)
def evaluate_some_nb(code, past, cycle, room, packed, look, truth, end_word):
    """As program_nb.evaluate_rules_nb, for the symbols of look.due, uint64[slice / 64].

    cycle.seen holds none but them. look: evaluator.Look; packed: evaluator.Packed.
    """
    first_word = cycle.first_word
    keep_truth_nb(code, past, look, truth, first_word, end_word)
    at = 0
    begin_packed_nb(packed)
    for tile in range(first_word, end_word, op.TILE_WORDS):
        count, local = min(op.TILE_WORDS, end_word - tile), tile - first_word
        due = NONE
        for place in range(count):
            due |= look.due[local + place]
        if due == NONE:
            continue
        bits = room.bits[local // op.TILE_WORDS]
        room.clock[0] += 1
        stamp = room.clock[0]
        run_always_nb(code, past, cycle, room.numbers, bits, room.done, stamp, tile, count)
        for place in range(count):
            chosen = look.due[local + place]
            if chosen == NONE:
                continue
            if at + ones(chosen) > op.TILE:
                run_packed_nb(code, past, cycle, room, packed, truth, at)
                begin_packed_nb(packed)
                at = 0
            at = take_word_nb(chosen, bits, room.numbers, packed, at, tile, place)
    if at > 0:
        run_packed_nb(code, past, cycle, room, packed, truth, at)
    keep_memory_nb(code, past, cycle, look, first_word, end_word)
