"""Evaluates all rules over the metric columns of one slice: 64 symbols a word, 512 a tile."""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types, uint64
from numba.extending import intrinsic

WORD_BITS = 64
EVERY_BIT = np.uint64(2**64 - 1)
TILE_WORDS = 8
_LANES = 8  # doubles compared at once: one AVX-512 register, two of AVX2, four of NEON

_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
_DOUBLES, _WORDS = ir.VectorType(ir.DoubleType(), _LANES), ir.VectorType(_I64, _LANES)
_FIRST_LANE = ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES)


def _spread(builder: Any, value: Any, vector: Any) -> Any:
    """`value` in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, undefined, _FIRST_LANE)


def _row_address(context: Any, builder: Any, sig: Any, args: Any, row: Any) -> Any:
    """Address of columns[row, start] as a number; columns and start are the first two arguments."""
    array = context.make_array(sig.args[0])(context, builder, args[0])
    row_bytes = builder.mul(row, builder.extract_value(array.strides, 0))
    start_bytes = builder.shl(args[1], ir.Constant(_I64, 3))
    return builder.add(builder.ptrtoint(array.data, _I64), builder.add(row_bytes, start_bytes))


def _load(builder: Any, address: Any, first: int) -> Any:
    place = builder.add(address, ir.Constant(_I64, first * 8))
    return builder.load(builder.inttoptr(place, _DOUBLES.as_pointer()), align=8)


def _gather_bits(builder: Any, masks: list[Any]) -> Any:
    """One uint64 of eight masks of eight lanes."""
    word = ir.Constant(_I64, 0)
    for number, mask in enumerate(masks):
        byte = builder.zext(builder.bitcast(mask, ir.IntType(_LANES)), _I64)
        word = builder.or_(word, builder.shl(byte, ir.Constant(_I64, number * _LANES)))
    return word


def _is_matrix(columns: Any) -> bool:
    return isinstance(columns, types.Array) and columns.ndim == 2 and columns.layout == "C"


def _above(columns: Any, bounds: int) -> Any:
    """Typing and code of an intrinsic: bit i of its result is set when every value
    columns[col, start + i] with its sign bit flipped by `sign` is above its bound.

    Written as vector IR because LLVM turns a loop over bits into shifts or, worse, branches.
    Masks of one symbol group stay in mask registers until all bounds are compared. The 64
    elements from `start` on must exist; loads need only the alignment of a double.
    """
    if not _is_matrix(columns):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        leaves = [
            (
                _row_address(context, builder, sig, args, args[2 + 3 * leaf]),
                _spread(builder, args[3 + 3 * leaf], _WORDS),
                _spread(builder, args[4 + 3 * leaf], _DOUBLES),
            )
            for leaf in range(bounds)
        ]
        masks = []
        for first in range(0, WORD_BITS, _LANES):
            mask = None
            for address, sign, bound in leaves:
                bits = builder.bitcast(_load(builder, address, first), _WORDS)
                values = builder.bitcast(builder.xor(bits, sign), _DOUBLES)
                above = builder.fcmp_ordered(">", values, bound)
                mask = above if mask is None else builder.and_(mask, above)
            masks.append(mask)
        return _gather_bits(builder, masks)

    leaf = (types.int64, types.int64, types.float64)
    return types.uint64(columns, types.int64, *(leaf * bounds)), codegen


@intrinsic
def above_1(typingctx: Any, columns: Any, start: Any, c0: Any, s0: Any, b0: Any) -> Any:
    """above_1(columns, start, col, sign, bound) -> uint64: see _above."""
    return _above(columns, 1)


@intrinsic
def above_2(
    typingctx: Any, columns: Any, start: Any, c0: Any, s0: Any, b0: Any, c1: Any, s1: Any, b1: Any
) -> Any:
    """above_2: as above_1 with two bounds, both of which must hold."""
    return _above(columns, 2)


@intrinsic
def above_3(
    typingctx: Any, columns: Any, start: Any, c0: Any, s0: Any, b0: Any, c1: Any, s1: Any, b1: Any,
    c2: Any, s2: Any, b2: Any,
) -> Any:  # fmt: skip
    """above_3: as above_1 with three bounds."""
    return _above(columns, 3)


@intrinsic
def unequal(typingctx: Any, columns: Any, start: Any, col: Any, constant: Any) -> Any:
    """unequal(columns, start, col, constant) -> uint64: bit i is columns[col, start + i] !=
    constant, false where the column is NaN."""
    if not _is_matrix(columns):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _row_address(context, builder, sig, args, args[2])
        constants = _spread(builder, args[3], _DOUBLES)
        return _gather_bits(builder, [
            builder.fcmp_ordered("!=", _load(builder, address, first), constants)
            for first in range(0, WORD_BITS, _LANES)
        ])  # fmt: skip

    return types.uint64(columns, types.int64, types.int64, types.float64), codegen


# `_nrt=False`: nothing here allocates, so numba's counting of references (atomic additions on every
# call) is left out. Columns, signs and bounds are read before the loops, or LLVM reads them again
# for every word: truth might be the same memory.
@njit(cache=True, nogil=True, _nrt=False)
def narrow_nb(columns, col, sign, bound, at, count, truth, rule, first, end, keep):
    """Keep in words [first, end) of truth[rule] the bits that are above bounds [at, at + count).

    count: 1 to 3. keep: EVERY_BIT to begin anew, 0 to narrow what is there. Gives all that is left.
    """
    left = uint64(0)
    c0, s0, b0 = col[at], sign[at], bound[at]
    if count == 1:
        for word in range(first, end):
            bits = above_1(columns, word * WORD_BITS, c0, s0, b0)
            bits &= truth[rule, word] | keep
            truth[rule, word] = bits
            left |= bits
        return left
    c1, s1, b1 = col[at + 1], sign[at + 1], bound[at + 1]
    if count == 2:
        for word in range(first, end):
            bits = above_2(columns, word * WORD_BITS, c0, s0, b0, c1, s1, b1)
            bits &= truth[rule, word] | keep
            truth[rule, word] = bits
            left |= bits
        return left
    c2, s2, b2 = col[at + 2], sign[at + 2], bound[at + 2]
    for word in range(first, end):
        bits = above_3(columns, word * WORD_BITS, c0, s0, b0, c1, s1, b1, c2, s2, b2)
        bits &= truth[rule, word] | keep
        truth[rule, word] = bits
        left |= bits
    return left


@njit(cache=True, nogil=True, _nrt=False)
def evaluate_nb(
    columns, first_word, end_word, bound_first, bound_col, bound_sign, bound,
    unequal_first, unequal_col, unequal_to, truth,
):  # fmt: skip
    """Write the root of every rule for the symbols of words [first_word, end_word).

    columns: float64[metrics, rows], NaN unknown; rows is a multiple of 64. bound_first to
    unequal_to: see plan.Plan. truth: uint64[>= R, rows / 64]; bit s % 64 of truth[r, s / 64]
    becomes 1 when every leaf of rule r is true for symbol s. An unknown leaf is not true, so a
    root is true only when it is known.
    """
    rules = bound_first.shape[0] - 1
    for tile in range(first_word, end_word, TILE_WORDS):
        tile_end = min(tile + TILE_WORDS, end_word)
        for rule in range(rules):
            left, keep = EVERY_BIT, EVERY_BIT
            at, last = bound_first[rule], bound_first[rule + 1]
            while at < last and left != uint64(0):
                count = min(last - at, 3)
                left = narrow_nb(
                    columns, bound_col, bound_sign, bound, at, count, truth, rule, tile, tile_end,
                    keep,
                )  # fmt: skip
                keep = uint64(0)
                at += count
            for leaf in range(unequal_first[rule], unequal_first[rule + 1]):
                for word in range(tile, tile_end):
                    truth[rule, word] = (truth[rule, word] | keep) & unequal(
                        columns, word * WORD_BITS, unequal_col[leaf], unequal_to[leaf]
                    )
                keep = uint64(0)
