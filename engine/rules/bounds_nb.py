"""Compares columns with constants: 64 symbols a word."""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types, uint64
from numba.extending import intrinsic

from engine.rules.bits_nb import WORD_BITS

EVERY_BIT = np.uint64(2**64 - 1)
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
