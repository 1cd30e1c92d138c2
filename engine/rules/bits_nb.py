"""Bits: machine instructions that numba does not offer, bitmaps of the symbols of a slice."""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import Any

from llvmlite import ir
from numba import njit, types, uint64
from numba.extending import intrinsic

WORD_BITS = 64


@intrinsic
def lowest_bit(typingctx: Any, word: Any) -> Any:
    """lowest_bit(uint64) -> int64: number of the lowest set bit; 64 for 0."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@intrinsic
def ones(typingctx: Any, word: Any) -> Any:
    """ones(uint64) -> int64: how many bits are set."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@njit(cache=True, nogil=True, _nrt=False)
def set_bit_nb(row, number):
    """Set a bit of row, uint64[any]."""
    row[number // WORD_BITS] |= uint64(1) << uint64(number % WORD_BITS)


@njit(cache=True, nogil=True, _nrt=False)
def clear_bit_nb(row, number):
    """Clear a bit of row, uint64[any]."""
    row[number // WORD_BITS] &= ~(uint64(1) << uint64(number % WORD_BITS))


@njit(cache=True, nogil=True, _nrt=False)
def has_bit_nb(row, number):
    """True if a bit of row, uint64[any], is set."""
    return row[number // WORD_BITS] >> uint64(number % WORD_BITS) & uint64(1) != uint64(0)
