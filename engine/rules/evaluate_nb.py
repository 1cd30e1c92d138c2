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

_I64, _DOUBLE = ir.IntType(64), ir.DoubleType()
_VECTOR, _MASK = ir.VectorType(_DOUBLE, _LANES), ir.IntType(_LANES)


def _comparer(predicate: str, name: str) -> Any:
    """An intrinsic (columns, row, start, constant) -> uint64: bit i is columns[row, start + i] OP
    constant, false where the column is NaN.

    Written as vector IR because LLVM turns a loop over bits into shifts or, worse, branches. The
    64 elements from `start` on must exist; loads need only the alignment of a double.
    """

    def typed(typingctx: Any, columns: Any, row: Any, start: Any, constant: Any) -> Any:
        if not isinstance(columns, types.Array) or columns.ndim != 2 or columns.layout != "C":
            return None

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            array = context.make_array(sig.args[0])(context, builder, args[0])
            row_bytes = builder.mul(args[1], builder.extract_value(array.strides, 0))
            start_bytes = builder.shl(args[2], ir.Constant(_I64, 3))
            base = builder.ptrtoint(array.data, _I64)
            address = builder.add(base, builder.add(row_bytes, start_bytes))
            undefined = ir.Constant(_VECTOR, ir.Undefined)
            one = builder.insert_element(undefined, args[3], ir.Constant(ir.IntType(32), 0))
            zeros = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
            constants = builder.shuffle_vector(one, undefined, zeros)
            word = ir.Constant(_I64, 0)
            for first in range(0, WORD_BITS, _LANES):
                place = builder.add(address, ir.Constant(_I64, first * 8))
                values = builder.load(builder.inttoptr(place, _VECTOR.as_pointer()), align=8)
                # an ordered comparison is false when a side is NaN, also for "!="
                mask = builder.bitcast(builder.fcmp_ordered(predicate, values, constants), _MASK)
                bits = builder.shl(builder.zext(mask, _I64), ir.Constant(_I64, first))
                word = builder.or_(word, bits)
            return word

        signature = types.uint64(columns, types.int64, types.int64, types.float64)
        return signature, codegen

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


above = _comparer(">", "above")
at_least = _comparer(">=", "at_least")
below = _comparer("<", "below")
at_most = _comparer("<=", "at_most")
equal = _comparer("==", "equal")
unequal = _comparer("!=", "unequal")


@njit(cache=True, nogil=True)
def narrow_nb(columns, col, op, constant, roots, first, end):
    """Keep in words [first, end) of `roots` the bits whose comparison is true; all that is left.

    One loop per operator: choosing it inside the loop costs twice the time.
    """
    left = uint64(0)
    if op == 0:
        for word in range(first, end):
            roots[word] &= above(columns, col, word * WORD_BITS, constant)
            left |= roots[word]
    elif op == 1:
        for word in range(first, end):
            roots[word] &= at_least(columns, col, word * WORD_BITS, constant)
            left |= roots[word]
    elif op == 2:
        for word in range(first, end):
            roots[word] &= below(columns, col, word * WORD_BITS, constant)
            left |= roots[word]
    elif op == 3:
        for word in range(first, end):
            roots[word] &= at_most(columns, col, word * WORD_BITS, constant)
            left |= roots[word]
    elif op == 4:
        for word in range(first, end):
            roots[word] &= equal(columns, col, word * WORD_BITS, constant)
            left |= roots[word]
    else:
        for word in range(first, end):
            roots[word] &= unequal(columns, col, word * WORD_BITS, constant)
            left |= roots[word]
    return left


@njit(cache=True, nogil=True)
def evaluate_nb(columns, first_word, end_word, rule_first, leaf_col, leaf_op, leaf_const, truth):
    """Write the root of every rule for the symbols of words [first_word, end_word).

    columns: float64[metrics, rows], NaN unknown; rows is a multiple of 64. rule_first int32[R + 1],
    leaf_col int32[L], leaf_op uint8[L], leaf_const float64[L]: see CompiledRules. truth:
    uint64[>= R, rows / 64]; bit s % 64 of truth[r, s / 64] becomes 1 when every leaf of rule r is
    true for symbol s. An unknown leaf is not true, so a root is true only when it is known.
    """
    rules = rule_first.shape[0] - 1
    for tile in range(first_word, end_word, TILE_WORDS):
        tile_end = min(tile + TILE_WORDS, end_word)
        for rule in range(rules):
            roots = truth[rule]
            roots[tile:tile_end] = EVERY_BIT
            for leaf in range(rule_first[rule], rule_first[rule + 1]):
                left = narrow_nb(
                    columns, leaf_col[leaf], leaf_op[leaf], leaf_const[leaf], roots, tile, tile_end
                )
                if left == uint64(0):
                    break
