"""Atomic loads, stores and fences for kernels: the only place where memory ordering is spelled out.

Why plain `@njit` code is broken here: LLVM sees ordinary loads and stores and may assume that no
other process touches them. In a plain seqlock it removes the store of the odd version (the even
one overwrites it) and the second load (nothing in between wrote to the array), so a reader accepts
torn copies (measured: 3.5 million of 12.4 million), and `while a[0] == last: pass` becomes a jump
to itself. On ARM the processor reorders as well. These intrinsics emit LLVM atomics, which neither
the compiler nor the processor reorders against their meaning.

The arrays are int64, one-dimensional and C-contiguous; `i` is a flat index, not checked, never
negative. Loads also take read-only arrays. The pairs that work:

    writer of a versioned copy      reader of it
    store_relaxed(v, odd)           v0 = load_acquire(v)
    fence_release()                 copy the data (plain)
    write the data (plain)          fence_acquire()
    store_release(v, even)          v1 = load_relaxed(v); accept if v0 == v1 and v0 is even

    writer of a ring                reader of it
    write the record (plain)        end = load_acquire(tail)
    store_release(tail, end)        read the records below `end` (plain)

A kernel makes one bounded pass; waiting belongs to Python.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_WORD = ir.IntType(64)


def _is_words(a: Any, writable: bool) -> bool:
    return (
        isinstance(a, types.Array)
        and a.dtype == types.int64
        and a.ndim == 1
        and a.layout == "C"
        and (a.mutable or not writable)
    )


def _pointer(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    """Address of word i of array a, the first two arguments of every intrinsic below."""
    array = context.make_array(sig.args[0])(context, builder, args[0])
    index = context.cast(builder, args[1], sig.args[1], types.intp)
    return cgutils.gep_inbounds(builder, array.data, index)


def _loader(ordering: str) -> Any:
    def typed(typingctx: Any, a: Any, i: Any) -> Any:
        if not _is_words(a, writable=False) or not isinstance(i, types.Integer):
            return None

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.load_atomic(_pointer(context, builder, sig, args), ordering, 8)

        return types.int64(a, i), codegen

    return typed


def _storer(ordering: str) -> Any:
    def typed(typingctx: Any, a: Any, i: Any, v: Any) -> Any:
        integers = isinstance(i, types.Integer) and isinstance(v, types.Integer)
        if not _is_words(a, writable=True) or not integers:
            return None

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            value = context.cast(builder, args[2], sig.args[2], types.int64)
            builder.store_atomic(value, _pointer(context, builder, sig, args), ordering, 8)
            return context.get_dummy_value()

        return types.void(a, i, v), codegen

    return typed


def _fencer(ordering: str) -> Any:
    def typed(typingctx: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            builder.fence(ordering)
            return context.get_dummy_value()

        return types.void(), codegen

    return typed


def _named(function: Any, name: str, doc: str) -> Any:
    """An intrinsic under its public name: numba caches kernels by module and qualified name."""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return intrinsic(function)


load_acquire = _named(
    _loader("acquire"), "load_acquire", "load_acquire(a, i) -> int64: later accesses stay after it."
)
load_relaxed = _named(
    _loader("monotonic"), "load_relaxed", "load_relaxed(a, i) -> int64: really loaded, no order."
)
store_release = _named(
    _storer("release"), "store_release", "store_release(a, i, v): earlier accesses stay before it."
)
store_relaxed = _named(
    _storer("monotonic"), "store_relaxed", "store_relaxed(a, i, v): really stored, no order."
)
fence_acquire = _named(
    _fencer("acquire"), "fence_acquire", "fence_acquire(): earlier loads stay before what follows."
)
fence_release = _named(
    _fencer("release"), "fence_release", "fence_release(): what precedes stays before later stores."
)
fence_seq_cst = _named(
    _fencer("seq_cst"), "fence_seq_cst", "fence_seq_cst(): a full fence, stores before later loads."
)


def _compare_swap(typingctx: Any, a: Any, i: Any, expected: Any, v: Any) -> Any:
    if not _is_words(a, writable=True):
        return None

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, sig, args)
        old = context.cast(builder, args[2], sig.args[2], types.int64)
        new = context.cast(builder, args[3], sig.args[3], types.int64)
        pair = builder.cmpxchg(pointer, old, new, "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(a, i, expected, v), codegen


compare_swap = _named(
    _compare_swap,
    "compare_swap",
    "compare_swap(a, i, expected, v) -> bool: stores v if word i is `expected`, in one step.",
)


@njit(cache=True, nogil=True)
def _read_word(a, i):
    return load_acquire(a, i)


@njit(cache=True, nogil=True)
def _write_word(a, i, v):
    store_release(a, i, v)


@njit(cache=True, nogil=True)
def _acquire():
    fence_acquire()


@njit(cache=True, nogil=True)
def _release():
    fence_release()


def read_word(a: np.ndarray, i: int) -> int:
    """Word i of int64[:] `a`, load-acquire: what was stored before it is visible after it."""
    return _read_word(a, i)  # type: ignore[no-any-return]


def write_word(a: np.ndarray, i: int, v: int) -> None:
    """Store v in word i of int64[:] `a`, store-release: publishes everything stored before it."""
    _write_word(a, i, v)


def acquire() -> None:
    """An acquire fence, for Python that copied shared data and is about to check a version word."""
    _acquire()


def release() -> None:
    """A release fence, for Python that marked data as changing and is about to change it."""
    _release()
