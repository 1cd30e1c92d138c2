"""Kernels of the seqlock: a version word per row, even when the row is whole."""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit

from shm.fences import (
    fence_acquire,
    fence_release,
    load_acquire,
    load_relaxed,
    store_relaxed,
    store_release,
)

TRIES = 1000


@njit(cache=True, nogil=True)
def begin_write_nb(versions, i):
    """Mark row i as changing. A row found odd (a dead writer's) stays odd: its new writer is about
    to write all of it again."""
    store_relaxed(versions, i, load_relaxed(versions, i) | 1)
    fence_release()


@njit(cache=True, nogil=True)
def end_write_nb(versions, i):
    """Mark row i as whole, under a version it never had."""
    store_release(versions, i, (load_relaxed(versions, i) | 1) + 1)


@njit(cache=True, nogil=True)
def write_row_nb(versions, i, rows, row, source):
    """Write `source` (int64[words]) over rows[row] under version word i."""
    begin_write_nb(versions, i)
    for w in range(source.size):
        rows[row, w] = source[w]
    end_write_nb(versions, i)


@njit(cache=True, nogil=True)
def read_row_nb(versions, i, rows, row, out):
    """Copy rows[row] into `out` (int64[words]) under version word i.

    Returns the even version of the copy, or -1 after TRIES tries: then `out` holds nothing to use.
    """
    for _ in range(TRIES):
        before = load_acquire(versions, i)
        if before & 1:
            continue
        for w in range(out.size):
            out[w] = rows[row, w]
        fence_acquire()
        if load_relaxed(versions, i) == before:
            return before
    return -1
