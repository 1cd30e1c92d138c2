"""Kernels of the name table: 24-byte names as three words, changed under a redo record."""
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

VERSION = 0 * 16   # odd: row PENDING_ROW is being changed to the pending name
PENDING = 1 * 16   # row, then the three words of its new name: one line
NAME_WORDS = 3
TRIES = 1000


@njit(cache=True, nogil=True)
def finish_nb(ctl, names):
    """Bring a change that was begun to its end; True if there was one (a dead writer's)."""
    version = load_relaxed(ctl, VERSION)
    if version & 1 == 0:
        return False
    row = ctl[PENDING]
    for w in range(NAME_WORDS - 1, -1, -1):
        names[row, w] = ctl[PENDING + 1 + w]
    store_release(ctl, VERSION, version + 1)
    fence_release()
    return True


@njit(cache=True, nogil=True)
def set_name_nb(ctl, names, row, name):
    """Give `row` the name (int64[3]): the redo record, then VERSION odd (the commit), then the row.

    The tail of the name goes first, so that a row that was free turns from free to whole.
    """
    finish_nb(ctl, names)
    version = load_relaxed(ctl, VERSION)
    ctl[PENDING] = row
    for w in range(NAME_WORDS):
        ctl[PENDING + 1 + w] = name[w]
    store_release(ctl, VERSION, version + 1)
    fence_release()
    for w in range(NAME_WORDS - 1, 0, -1):
        names[row, w] = name[w]
    fence_release()
    store_relaxed(names[row], 0, name[0])
    store_release(ctl, VERSION, version + 2)
    fence_release()


@njit(cache=True, nogil=True)
def get_name_nb(ctl, names, row, out):
    """Copy the name of `row` into `out` (int64[3]); False if it changed under all our tries.

    With an odd version the row being changed is read from the redo record, so a writer that
    died inside blocks nobody.
    """
    for _ in range(TRIES):
        version = load_acquire(ctl, VERSION)
        if version & 1 and ctl[PENDING] == row:
            for w in range(NAME_WORDS):
                out[w] = ctl[PENDING + 1 + w]
        else:
            for w in range(NAME_WORDS):
                out[w] = names[row, w]
        fence_acquire()
        if load_relaxed(ctl, VERSION) == version:
            return True
    return False


@njit(cache=True, nogil=True)
def all_names_nb(ctl, names, out):
    """Copy every name into `out` (int64[rows, 3]), each row whole; the first row that failed, or
    -1."""
    for row in range(names.shape[0]):
        if not get_name_nb(ctl, names, row, out[row]):
            return row
    return -1
