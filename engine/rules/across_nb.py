"""Numbers that compare a symbol with all others of its group: rank, pctile, zscore, breadth.

They read what every worker left of the cycle before, and depend on values only: not on who computed
them, nor on where a symbol stands.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import math

import numpy as np
from numba import njit, uint64

from engine.rules import opcodes as op
from engine.rules.bits_nb import WORD_BITS, lowest_bit

_DIGIT_BITS = 11
_DIGITS = 1 << _DIGIT_BITS
_PASSES = 6
_SIGN = uint64(1 << 63)
_ONE, _NONE = uint64(1), uint64(0)


@njit(cache=True, nogil=True)
def known_nb(column, seen, symbols, values):
    """Gather the symbols that are seen and whose value is known; how many. column: float64[rows];
    seen: uint64[rows / 64]; symbols int32[rows], values float64[rows]: results, zeros without
    sign."""
    count = 0
    for word in range(seen.shape[0]):
        bits = seen[word]
        while bits != _NONE:
            symbol = word * WORD_BITS + lowest_bit(bits)
            bits &= bits - _ONE
            value = column[symbol]
            if not math.isnan(value):
                symbols[count], values[count] = symbol, value + 0.0
                count += 1
    return count


@njit(cache=True, nogil=True)
def sort_nb(symbols, values, count, keys, spare_symbols, spare_keys):
    """Sort symbols[:count] and values[:count] by value, ascending; the rest is room to work in.

    Keys are the bits of the values, negative ones inverted, so that they compare as whole numbers.
    """
    bits = values.view(np.uint64)
    for i in range(count):
        word = bits[i]
        keys[i] = ~word if word & _SIGN != _NONE else word | _SIGN
    counters = np.zeros(_DIGITS, np.int64)
    for turn in range(_PASSES):
        shift = uint64(turn * _DIGIT_BITS)
        counters[:] = 0
        for i in range(count):
            counters[keys[i] >> shift & uint64(_DIGITS - 1)] += 1
        if count == 0 or counters[keys[0] >> shift & uint64(_DIGITS - 1)] == count:
            continue
        place = 0
        for digit in range(_DIGITS):
            counters[digit], place = place, place + counters[digit]
        for i in range(count):
            digit = keys[i] >> shift & uint64(_DIGITS - 1)
            spare_symbols[counters[digit]], spare_keys[counters[digit]] = symbols[i], keys[i]
            counters[digit] += 1
        symbols[:count], keys[:count] = spare_symbols[:count], spare_keys[:count]
    for i in range(count):
        word = keys[i]
        bits[i] = word ^ _SIGN if word & _SIGN != _NONE else ~word


@njit(cache=True, nogil=True)
def standing_nb(function, symbols, values, count, group, groups, sums, out):
    """RANK or PCTILE of sorted symbols within their groups, to out: float64[rows].

    group: int32[rows], code below `groups`, -1 of no group. sums: float64[>= groups, 4] to work in:
    members, those below, those of the same value so far, that value.
    """
    sums[:groups] = 0.0
    for i in range(count):
        if group[symbols[i]] >= 0:
            sums[group[symbols[i]], 0] += 1.0
    for turn in range(2):  # upwards: how many are below; downwards: how many are above
        if turn == 0 and function == op.RANK:
            continue
        sums[:groups, 1:] = 0.0
        for j in range(count):
            i = j if turn == 0 else count - 1 - j
            symbol = symbols[i]
            if group[symbol] < 0:
                continue
            mine = sums[group[symbol]]
            if mine[2] > 0.0 and mine[3] == values[i]:
                mine[2] += 1.0
            else:
                mine[1] += mine[2]
                mine[2], mine[3] = 1.0, values[i]
            if turn == 0:
                out[symbol] = mine[1]
            elif function == op.RANK:
                out[symbol] = mine[1] + 1.0
            else:
                out[symbol] = 50.0 * (mine[0] + out[symbol] - mine[1]) / mine[0]


@njit(cache=True, nogil=True)
def zscore_nb(symbols, values, count, group, groups, sums, out):
    """ZSCORE with the deviation of the whole group, unknown where that is 0; see standing_nb."""
    sums[:groups] = 0.0
    for turn in range(2):
        for i in range(count):
            if group[symbols[i]] < 0:
                continue
            mine = sums[group[symbols[i]]]
            if turn == 0:
                mine[0] += 1.0
                mine[1] += values[i]
            else:
                mine[2] += (values[i] - mine[3]) ** 2
        for code in range(groups):
            if turn == 0 and sums[code, 0] > 0.0:
                sums[code, 3] = sums[code, 1] / sums[code, 0]
    for i in range(count):
        if group[symbols[i]] < 0:
            continue
        mine = sums[group[symbols[i]]]
        spread = math.sqrt(mine[2] / mine[0])
        score = (values[i] - mine[3]) / spread if spread > 0.0 else np.nan
        out[symbols[i]] = score if math.isfinite(score) else np.nan


@njit(cache=True, nogil=True)
def breadth_nb(true, seen, group, groups, sums, out):
    """BREADTH: percent of the seen symbols of a group that are in `true`; uint64[rows / 64]."""
    sums[:groups] = 0.0
    for word in range(seen.shape[0]):
        bits = seen[word]
        while bits != _NONE:
            bit = uint64(lowest_bit(bits))
            bits &= bits - _ONE
            code = group[word * WORD_BITS + bit]
            if code >= 0:
                sums[code, 0] += 1.0
                sums[code, 1] += true[word] >> bit & _ONE
    for word in range(seen.shape[0]):
        bits = seen[word]
        while bits != _NONE:
            symbol = word * WORD_BITS + lowest_bit(bits)
            bits &= bits - _ONE
            if group[symbol] >= 0:
                out[symbol] = 100.0 * sums[group[symbol], 1] / sums[group[symbol], 0]


@njit(cache=True, nogil=True)
def across_nb(
    across, sources, columns, truth, seen, groups, group_counts, room, first, end, to
):
    """Fill the columns that compare symbols for symbols [first, end).

    across, sources: int32[A, ACROSS_WORDS], and by entry the column or slot that was compared in
    the cycle before, -1 where there was none; entries with one source stand together. columns,
    truth, seen: of the cycle before, all symbols. groups: int32[G, rows] with group_counts codes.
    room: across.Room. to: columns of this cycle.
    """
    count, sorted_source = 0, -1
    for entry in range(across.shape[0]):
        function, group = across[entry, op.A_FUNCTION], across[entry, op.A_GROUP]
        codes, source, out = groups[group], sources[entry], room.out
        out[first:end] = np.nan
        if source >= 0:
            if function == op.BREADTH:
                breadth_nb(truth[source], seen, codes, group_counts[group], room.sums, out)
            else:
                if source != sorted_source:
                    count = known_nb(columns[source], seen, room.symbols, room.values)
                    sort_nb(
                        room.symbols, room.values, count, room.keys, room.spare_symbols,
                        room.spare_keys,
                    )  # fmt: skip
                    sorted_source = source
                if function == op.ZSCORE:
                    zscore_nb(
                        room.symbols, room.values, count, codes, group_counts[group], room.sums, out
                    )
                else:
                    standing_nb(
                        function, room.symbols, room.values, count, codes, group_counts[group],
                        room.sums, out,
                    )  # fmt: skip
        to[across[entry, op.A_TO], first:end] = out[first:end]
