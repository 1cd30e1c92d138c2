"""The rule program: evaluates all rules over one slice, 64 symbols a word, 8 words a tile.

A tile first runs the nodes that every cycle needs (operators that remember, and what they look at),
then rule after rule: conditions that are already there, comparisons of a column with a constant,
and last the nodes that only this rule or a few need, each at most once a tile and only while some
symbol is left.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import math

import numpy as np
from numba import njit, uint64

from engine.rules import opcodes as op
from engine.rules.bits_nb import WORD_BITS
from engine.rules.bounds_nb import EVERY_BIT, narrow_nb
from engine.rules.bounds_nb import unequal as unequal_to
from engine.rules.operators_nb import (
    bar_sampled_nb,
    cross_nb,
    in_row_word_nb,
    lag_nb,
    no_cross_nb,
    sampled_nb,
    sequence_nb,
    since_nb,
    within_nb,
)  # fmt: skip
from engine.rules.vector_nb import (
    GROUP_BYTES,
    above,
    add_8,
    address,
    at_least,
    choose_8,
    copy_8,
    divide_8,
    equal,
    first_known_8,
    least_8,
    load_number,
    magnitude_8,
    most_8,
    multiply_8,
    negate_8,
    store_number,
    subtract_8,
    unequal,
)  # fmt: skip

GROUPS = WORD_BITS // 8  # groups of eight doubles in a word of symbols

# `forceinline` where a function is called for every rule or node with the tuples `code`, `past` and
# `cycle`: their arrays are some three hundred words that each call would copy.


@njit(cache=True, nogil=True, _nrt=False)
def operand_nb(code, columns, constants, numbers, start):
    """Address and step of an operand for the symbols from `start` on, see vector_nb."""
    at, kind = np.int64(code >> op.KIND_BITS), code & op.KIND_MASK
    if kind == op.COLUMN:
        return address(columns, at, start), np.int64(GROUP_BYTES)
    if kind == op.CONSTANT:
        return address(constants, at, np.int64(0)), np.int64(0)
    return address(numbers, at, np.int64(0)), np.int64(GROUP_BYTES)


@njit(cache=True, nogil=True, _nrt=False)
def compare_nb(operation, to, a, a_step, b, b_step, bits, count):
    """A comparison of `count` words of symbols."""
    for i in range(count):
        if operation == op.ABOVE:
            bits[to, i] = above(a, a_step, b, b_step)
        elif operation == op.AT_LEAST:
            bits[to, i] = at_least(a, a_step, b, b_step)
        elif operation == op.EQUAL:
            bits[to, i] = equal(a, a_step, b, b_step)
        else:
            bits[to, i] = unequal(a, a_step, b, b_step)
        a, b = a + GROUPS * a_step, b + GROUPS * b_step


@njit(cache=True, nogil=True, _nrt=False)
def combine_nb(operation, to, a, a_step, b, b_step, groups):
    """A number of two numbers, for `groups` times eight symbols."""
    if operation == op.ADD:
        for i in range(groups):
            add_8(to + i * GROUP_BYTES, a + i * a_step, b + i * b_step)
    elif operation == op.SUBTRACT:
        for i in range(groups):
            subtract_8(to + i * GROUP_BYTES, a + i * a_step, b + i * b_step)
    elif operation == op.MULTIPLY:
        for i in range(groups):
            multiply_8(to + i * GROUP_BYTES, a + i * a_step, b + i * b_step)
    elif operation == op.DIVIDE:
        for i in range(groups):
            divide_8(to + i * GROUP_BYTES, a + i * a_step, b + i * b_step)
    elif operation == op.MIN:
        for i in range(groups):
            least_8(to + i * GROUP_BYTES, a + i * a_step, b + i * b_step)
    elif operation == op.MAX:
        for i in range(groups):
            most_8(to + i * GROUP_BYTES, a + i * a_step, b + i * b_step)
    else:
        for i in range(groups):
            first_known_8(to + i * GROUP_BYTES, a + i * a_step, b + i * b_step)


@njit(cache=True, nogil=True, _nrt=False)
def log_nb(to, a, a_step, count):
    """Natural logarithms of `count` doubles, NaN for what is not above 0 or not finite."""
    for i in range(count):
        value = load_number(a + (i >> 3) * a_step + (i & 7) * 8)
        known = value > 0.0 and value < np.inf
        store_number(to + i * 8, math.log(value) if known else np.nan)


@njit(cache=True, nogil=True, _nrt=False)
def choose_nb(to, a, a_step, b, b_step, true, false, bits, groups):
    """SELECT: A where condition `true` is, B where condition `false` is, else NaN."""
    for i in range(groups):
        shift = uint64(8 * (i % GROUPS))
        word = i // GROUPS
        choose_8(
            to + i * GROUP_BYTES, a + i * a_step, b + i * b_step, bits[true, word] >> shift,
            bits[false, word] >> shift,
        )  # fmt: skip


@njit(cache=True, nogil=True, _nrt=False)
def node_nb(node, columns, constants, numbers, bits, moments, start, count):
    """Evaluate a node without a past for `count` words of symbols from symbol `start` on."""
    operation, to = node[op.N_OP], np.int64(node[op.N_TO])
    if operation == op.AND:
        for i in range(count):
            bits[to, i] = bits[node[op.N_C], i] & bits[node[op.N_D], i]
        return
    if operation == op.OR:
        for i in range(count):
            bits[to, i] = bits[node[op.N_C], i] | bits[node[op.N_D], i]
        return
    if operation == op.MOMENT:
        for i in range(count):
            bits[to, i] = moments[node[op.N_A]]
        return
    a, a_step = operand_nb(node[op.N_A], columns, constants, numbers, start)
    if operation in (op.NEGATE, op.ABS, op.LOG):
        to = address(numbers, to, np.int64(0))
        if operation == op.LOG:
            log_nb(to, a, a_step, count * WORD_BITS)
        elif operation == op.ABS:
            for i in range(count * GROUPS):
                magnitude_8(to + i * GROUP_BYTES, a + i * a_step)
        else:
            for i in range(count * GROUPS):
                negate_8(to + i * GROUP_BYTES, a + i * a_step)
        return
    if operation == op.STORE:
        to = address(columns, np.int64(node[op.N_B]), start)
        for i in range(count * GROUPS):
            copy_8(to + i * GROUP_BYTES, a + i * a_step)
        return
    b, b_step = operand_nb(node[op.N_B], columns, constants, numbers, start)
    if operation >= op.ABOVE:
        compare_nb(operation, to, a, a_step, b, b_step, bits, count)
    elif operation == op.SELECT:
        to, true, false = address(numbers, to, np.int64(0)), node[op.N_C], node[op.N_D]
        choose_nb(to, a, a_step, b, b_step, true, false, bits, count * GROUPS)
    else:
        to = address(numbers, to, np.int64(0))
        combine_nb(operation, to, a, a_step, b, b_step, count * GROUPS)


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def remember_nb(node, code, past, cycle, numbers, bits, tile, count):
    """Run a node that remembers for the `count` words of a tile whose first word is `tile`."""
    operation, to, part = node[op.N_OP], np.int64(node[op.N_TO]), node[op.N_C]
    state = code.states[node[op.N_STATE]]
    local = tile - cycle.first_word
    seen = cycle.seen[local : local + count]
    if operation == op.WITHIN:
        within_nb(
            to, part, state[op.S_WINDOW], bits, code.planes, state[op.S_PLANE],
            code.row_slots[state[op.S_ROW]], past.before, past.now, past.rows, cycle.when, seen,
            tile, count,
        )  # fmt: skip
    elif operation == op.IN_ROW:
        running, ripe = code.planes[state[op.S_PLANE]], code.planes[state[op.S_PLANE] + 1]
        for i in range(count):
            bits[to, i] = in_row_word_nb(
                bits[part, i] & seen[i], state[op.S_WINDOW], running, ripe,
                code.row_slots[state[op.S_ROW]], past.before, past.now, past.rows, cycle.when,
                tile + i,
            )  # fmt: skip
    elif operation == op.SEQUENCE:
        sequence_nb(
            to, node[op.N_D], state, bits, code.planes, code.row_slots, code.steps, past.before,
            past.now, past.rows, cycle.when, seen, tile, count,
        )  # fmt: skip
    elif operation == op.NO_CROSS:
        no_cross_nb(
            to, part, bits, code.planes, state[op.S_PLANE], past.before, past.now, tile, count
        )
    elif operation == op.SINCE:
        since_nb(
            address(numbers, to, np.int64(0)), part, bits, code.planes, state[op.S_PLANE],
            code.row_slots[state[op.S_ROW]], past.before, past.now, past.rows, cycle.when, seen,
            tile, count,
        )  # fmt: skip
    elif operation in (op.BAR_AGO, op.BAR_COUNT):
        bar_sampled_nb(
            operation, to, part, state, bits, code.planes, code.row_slots, past.before, past.now,
            past.rows, cycle.closes, seen, cycle.carried[local : local + count],
            cycle.closed[local : local + count], tile, count,
        )  # fmt: skip
    else:
        sampled_nb(
            operation, to, part, state, bits, code.planes, code.row_slots, past.before, past.now,
            past.rings, cycle.when, seen, cycle.carried[local : local + count], tile, count,
        )  # fmt: skip


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def remember_number_nb(node, code, past, cycle, numbers, bits, tile, count):
    """Run a node that remembers numbers, see remember_nb."""
    to, state = np.int64(node[op.N_TO]), code.states[node[op.N_STATE]]
    local, start = tile - cycle.first_word, tile * WORD_BITS
    seen, carried = cycle.seen[local : local + count], cycle.carried[local : local + count]
    a, a_step = operand_nb(node[op.N_A], cycle.columns, code.constants, numbers, start)
    if node[op.N_OP] == op.LAG:
        lag_nb(
            address(numbers, to, np.int64(0)), a, a_step, state, code.row_slots, past.rows_f,
            cycle.when, seen, carried, tile, count,
        )  # fmt: skip
        return
    b, b_step = operand_nb(node[op.N_B], cycle.columns, code.constants, numbers, start)
    cross_nb(
        to, node[op.N_D], a, a_step, b, b_step, bits, code.planes, state[op.S_PLANE], past.before,
        past.now, seen, tile, count,
    )  # fmt: skip


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def run_always_nb(code, past, cycle, numbers, bits, done, stamp, tile, count):
    """The nodes of one tile that every cycle needs, in their order."""
    local = tile - cycle.first_word
    for at in range(code.always.shape[0]):
        number = code.always[at]
        node = code.nodes[number]
        if node[op.N_OP] == op.NOT_TRUE:
            for i in range(count):
                bits[node[op.N_TO], i] = cycle.seen[local + i] & ~bits[node[op.N_C], i]
        elif node[op.N_STATE] < 0:
            node_nb(
                node, cycle.columns, code.constants, numbers, bits, cycle.moments,
                tile * WORD_BITS, count,
            )  # fmt: skip
        elif node[op.N_OP] == op.CROSS or node[op.N_OP] == op.LAG:
            remember_number_nb(node, code, past, cycle, numbers, bits, tile, count)
        else:
            remember_nb(node, code, past, cycle, numbers, bits, tile, count)
        done[number] = stamp


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def narrow_parts_nb(code, first, end, cycle, numbers, bits, done, stamp, tile, count, plane):
    """Keep in plane[:count] the symbols for which all conditions of parts [first, end) are true.

    A part is a node << 1, + 1 where its result is one of the conditions. It ends when no symbol is
    left. Gives what is left.
    """
    left = EVERY_BIT
    for at in range(first, end):
        number = code.parts[at] >> 1
        node = code.nodes[number]
        if done[number] != stamp:
            node_nb(
                node, cycle.columns, code.constants, numbers, bits, cycle.moments,
                tile * WORD_BITS, count,
            )  # fmt: skip
            done[number] = stamp
        if code.parts[at] & 1:
            left = uint64(0)
            for i in range(count):
                plane[i] &= bits[node[op.N_TO], i]
                left |= plane[i]
            if left == uint64(0):
                return left
    return left


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def begin_rule_nb(code, rule, bits, truth, tile, count):
    """Begin truth[rule] of a tile with conditions that are there already. Gives what is left."""
    first, end = code.gate_first[rule], code.gate_first[rule + 1]
    left = uint64(0)
    for i in range(count):
        word = EVERY_BIT
        for at in range(first, end):
            word &= bits[code.gates[at], i]
        truth[rule, tile + i] = word
        left |= word
    return left


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def narrow_rule_nb(code, columns, rule, bits, truth, tile, count):
    """Gates, then columns against constants: truth[rule] of a tile. Gives what is left."""
    left, keep, tile_end = EVERY_BIT, EVERY_BIT, tile + count
    at, last = code.bound_first[rule], code.bound_first[rule + 1]
    other, others = code.unequal_first[rule], code.unequal_first[rule + 1]
    if code.gate_first[rule] < code.gate_first[rule + 1] or (at == last and other == others):
        left, keep = begin_rule_nb(code, rule, bits, truth, tile, count), uint64(0)
    while at < last and left != uint64(0):
        some = min(last - at, 3)
        left = narrow_nb(
            columns, code.bound_col, code.bound_sign, code.bound, at, some, truth, rule, tile,
            tile_end, keep,
        )  # fmt: skip
        keep = uint64(0)
        at += some
    while other < others and left != uint64(0):
        left = uint64(0)
        for word in range(tile, tile_end):
            found = (truth[rule, word] | keep) & unequal_to(
                columns, word * WORD_BITS, code.unequal_col[other], code.unequal_to[other]
            )
            truth[rule, word] = found
            left |= found
        keep = uint64(0)
        other += 1
    return left


@njit(cache=True, nogil=True, _nrt=False, forceinline=True)
def finish_rule_nb(code, extra, past, cycle, room, bits, stamp, truth, tile, count):
    """A plane that firing needs of a rule for a tile: those of its truth, or of a plane of the
    cycle before, for which a condition is true (or, with X_DENY, is not)."""
    from_plane, to, plane = code.extras[extra, op.X_FROM], code.extras[extra, op.X_TO], past.now
    rule = code.extras[extra, op.X_RULE]
    left = uint64(0)
    for i in range(count):
        word = truth[rule, tile + i] if from_plane < 0 else past.before[from_plane, tile + i]
        plane[to, tile + i] = word
        left |= word
    if left == uint64(0):
        return
    narrow_parts_nb(
        code, code.extras[extra, op.X_PART], code.extras[extra, op.X_PARTS], cycle, room.numbers,
        bits, room.done, stamp, tile, count, plane[to, tile : tile + count],
    )  # fmt: skip
    local = tile - cycle.first_word
    for i in range(count):
        word = plane[to, tile + i] & cycle.seen[local + i]
        if code.extras[extra, op.X_DENY]:
            word = past.before[from_plane, tile + i] & ~word
        plane[to, tile + i] = word


@njit(cache=True, nogil=True, _nrt=False)
def evaluate_rules_nb(code, past, cycle, room, truth, end_word):
    """Write the root of every rule for the symbols of words [cycle.first_word, end_word).

    code: program.Code; past: program.Past; cycle: program.Cycle; room: program.Room. truth:
    uint64[>= R, rows / 64]; bit s % 64 of truth[r, s / 64] becomes 1 when rule r is true for symbol
    s; it is never 1 where the rule is unknown. Symbols that are not seen have any truth.
    """
    rules = code.bound_first.shape[0] - 1
    for tile in range(cycle.first_word, end_word, op.TILE_WORDS):
        count = min(op.TILE_WORDS, end_word - tile)
        bits = room.bits[(tile - cycle.first_word) // op.TILE_WORDS]
        room.clock[0] += 1
        stamp = room.clock[0]
        run_always_nb(code, past, cycle, room.numbers, bits, room.done, stamp, tile, count)
        for rule in range(rules):
            left = narrow_rule_nb(code, cycle.columns, rule, bits, truth, tile, count)
            if left != uint64(0) and code.part_first[rule] < code.part_first[rule + 1]:
                narrow_parts_nb(
                    code, code.part_first[rule], code.part_first[rule + 1], cycle, room.numbers,
                    bits, room.done, stamp, tile, count, truth[rule, tile : tile + count],
                )  # fmt: skip
        for extra in range(code.extras.shape[0]):
            finish_rule_nb(code, extra, past, cycle, room, bits, stamp, truth, tile, count)


@njit(cache=True, nogil=True, _nrt=False)
def moments_nb(table, session, weekday, minute, out):
    """What is the same for every symbol in a cycle: out[i] = all ones where entry i holds.

    table: int32[K, 4]: M_SESSION: bit `session` of word 1 (0 to 2 pre, regular, after, 3 none of
    them); M_WEEKDAY: bit `weekday` (0 Monday, 7 none); M_TIME: minute in [word 1, word 2). Word 3:
    1 for the opposite.
    """
    for i in range(table.shape[0]):
        kind = table[i, 0]
        if kind == op.M_TIME:
            holds = table[i, 1] <= minute < table[i, 2]
        else:
            holds = table[i, 1] >> (session if kind == op.M_SESSION else weekday) & 1 != 0
        out[i] = EVERY_BIT if holds != (table[i, 3] != 0) else uint64(0)
