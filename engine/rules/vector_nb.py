"""Arithmetic and comparisons of the rule program, eight doubles at a time, as vector IR.

An operand is an address and a step: the bytes from one group of eight doubles to the next, 64 for
an array, 0 for a constant that stands in one group of its own. Nothing is contracted or reordered:
every lane equals the same operation of Python's floats, bit for bit. NaN is unknown.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 8  # doubles of a group: two AVX2 registers, one of AVX-512, four of NEON
GROUP_BYTES = 8 * LANES
_GROUPS = 8  # groups of one word of 64 symbols

_I1, _I8, _I64, _F64 = ir.IntType(1), ir.IntType(8), ir.IntType(64), ir.DoubleType()
_DOUBLES, _WORDS = ir.VectorType(_F64, LANES), ir.VectorType(_I64, LANES)
_MASK = ir.VectorType(_I1, LANES)


def _splat(vector: Any, value: Any) -> Any:
    return ir.Constant(vector, [value] * LANES)


_NAN, _INFINITY = _splat(_DOUBLES, math.nan), _splat(_DOUBLES, math.inf)
_ZERO = _splat(_DOUBLES, 0.0)
_MAGNITUDE, _SIGN = _splat(_WORDS, 2**63 - 1), _splat(_WORDS, -(2**63))


def _load(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, _DOUBLES.as_pointer()), align=8)


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.inttoptr(address, _DOUBLES.as_pointer()), align=8)


def _bitwise(builder: Any, value: Any, change: Callable[[Any], Any]) -> Any:
    """A change of the bits of doubles."""
    return builder.bitcast(change(builder.bitcast(value, _WORDS)), _DOUBLES)


def _magnitude(builder: Any, value: Any) -> Any:
    return _bitwise(builder, value, lambda bits: builder.and_(bits, _MAGNITUDE))


def _finite(builder: Any, value: Any) -> Any:
    """The value, NaN where it is not finite."""
    known = builder.fcmp_ordered("<", _magnitude(builder, value), _INFINITY)
    return builder.select(known, value, _NAN)


def _named(function: Any, name: str, doc: str) -> Any:
    """An intrinsic under its public name: numba caches kernels by module and qualified name."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return intrinsic(function)


# -- addresses -----------------------------------------------------------------------------------
@intrinsic
def address(typingctx: Any, array: Any, row: Any, column: Any) -> Any:
    """address(array, row, column) -> int64: where array[row, column] lies; 8-byte items."""
    fits = isinstance(array, types.Array) and array.ndim == 2 and array.layout == "C"
    if not fits or array.dtype.bitwidth != 64:
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        found = context.make_array(sig.args[0])(context, builder, args[0])
        row_bytes = builder.mul(args[1], builder.extract_value(found.strides, 0))
        column_bytes = builder.shl(args[2], ir.Constant(_I64, 3))
        base = builder.ptrtoint(found.data, _I64)
        return builder.add(base, builder.add(row_bytes, column_bytes))

    return types.int64(array, types.int64, types.int64), codegen


@intrinsic
def load_number(typingctx: Any, at: Any) -> Any:
    """load_number(address) -> float64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], _F64.as_pointer()), align=8)

    return types.float64(types.int64), codegen


@intrinsic
def store_number(typingctx: Any, at: Any, value: Any) -> Any:
    """store_number(address, float64)."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[1], builder.inttoptr(args[0], _F64.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), codegen


# -- comparisons: 64 symbols to one word ---------------------------------------------------------
def _comparison(op: str) -> Any:
    def typed(typingctx: Any, a: Any, a_step: Any, b: Any, b_step: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            (a, a_step, b, b_step), word = args, ir.Constant(_I64, 0)
            for group in range(_GROUPS):
                left, right = _load(builder, a), _load(builder, b)
                mask = builder.fcmp_ordered(op, left, right)
                byte = builder.zext(builder.bitcast(mask, _I8), _I64)
                word = builder.or_(word, builder.shl(byte, ir.Constant(_I64, LANES * group)))
                a, b = builder.add(a, a_step), builder.add(b, b_step)
            return word

        return types.uint64(*(types.int64,) * 4), codegen

    return typed


_MEANING = "(a, a_step, b, b_step) -> uint64: bit i is set where a[i] {} b[i], both known."
above = _named(_comparison(">"), "above", "above" + _MEANING.format(">"))
at_least = _named(_comparison(">="), "at_least", "at_least" + _MEANING.format(">="))
equal = _named(_comparison("=="), "equal", "equal" + _MEANING.format("=="))
unequal = _named(_comparison("!="), "unequal", "unequal" + _MEANING.format("!="))


# -- arithmetic: one group -----------------------------------------------------------------------
def _binary(compute: Callable[[Any, Any, Any], Any]) -> Any:
    def typed(typingctx: Any, to: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            left, right = _load(builder, args[1]), _load(builder, args[2])
            _store(builder, compute(builder, left, right), args[0])
            return context.get_dummy_value()

        return types.void(*(types.int64,) * 3), codegen

    return typed


def _chosen(op: str) -> Callable[[Any, Any, Any], Any]:
    """The right one where it is `op` the left one, else the left one; NaN where either is."""

    def compute(builder: Any, left: Any, right: Any) -> Any:
        better = builder.fcmp_ordered(op, right, left)
        known = builder.fcmp_ordered("ord", left, right)
        return builder.select(known, builder.select(better, right, left), _NAN)

    return compute


def _divided(builder: Any, left: Any, right: Any) -> Any:
    return _finite(builder, builder.fdiv(left, right))  # x / 0 is infinite or NaN


def _first_known(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.fcmp_ordered("ord", left, left), left, right)


_PLACES = "(to, a, b): to[i] = {} for the eight doubles at those addresses."
add_8 = _named(
    _binary(lambda builder, a, b: _finite(builder, builder.fadd(a, b))),
    "add_8", "add_8" + _PLACES.format("a[i] + b[i], NaN unless finite"),
)  # fmt: skip
subtract_8 = _named(
    _binary(lambda builder, a, b: _finite(builder, builder.fsub(a, b))),
    "subtract_8", "subtract_8" + _PLACES.format("a[i] - b[i], NaN unless finite"),
)  # fmt: skip
multiply_8 = _named(
    _binary(lambda builder, a, b: _finite(builder, builder.fmul(a, b))),
    "multiply_8", "multiply_8" + _PLACES.format("a[i] * b[i], NaN unless finite"),
)  # fmt: skip
divide_8 = _named(
    _binary(_divided), "divide_8", "divide_8" + _PLACES.format("a[i] / b[i], NaN unless finite")
)
least_8 = _named(
    _binary(_chosen("<")), "least_8", "least_8" + _PLACES.format("the least, NaN where either is")
)
most_8 = _named(
    _binary(_chosen(">")), "most_8", "most_8" + _PLACES.format("the greatest, NaN where either is")
)
first_known_8 = _named(
    _binary(_first_known), "first_known_8",
    "first_known_8" + _PLACES.format("a[i] unless it is NaN, else b[i]"),
)  # fmt: skip


def _unary(compute: Callable[[Any, Any], Any]) -> Any:
    def typed(typingctx: Any, to: Any, a: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            _store(builder, compute(builder, _load(builder, args[1])), args[0])
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), codegen

    return typed


def _opposite(builder: Any, value: Any) -> Any:
    return _bitwise(builder, value, lambda bits: builder.xor(bits, _SIGN))


negate_8 = _named(_unary(_opposite), "negate_8", "negate_8(to, a): to[i] = -a[i].")
magnitude_8 = _named(_unary(_magnitude), "magnitude_8", "magnitude_8(to, a): to[i] = abs(a[i]).")
copy_8 = _named(_unary(lambda builder, a: a), "copy_8", "copy_8(to, a): to[i] = a[i].")


@intrinsic
def choose_8(typingctx: Any, to: Any, a: Any, b: Any, true: Any, false: Any) -> Any:
    """choose_8(to, a, b, true, false): to[i] = a[i] where bit i of `true` is set, b[i] where that
    of `false` is, else NaN; the low eight bits count."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        masks = [builder.bitcast(builder.trunc(bits, _I8), _MASK) for bits in args[3:]]
        otherwise = builder.select(masks[1], _load(builder, args[2]), _NAN)
        chosen = builder.select(masks[0], _load(builder, args[1]), otherwise)
        _store(builder, chosen, args[0])
        return context.get_dummy_value()

    return types.void(*(types.int64,) * 3, types.uint64, types.uint64), codegen
