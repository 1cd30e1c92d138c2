"""Kernels of the broadcast ring: publish, copy with a check for having been lapped, gates.

`_nrt=False`: nothing here allocates or keeps an array, so numba's reference counting (atomic
additions on every call) is left out; publishing a single record takes 25 ns instead of 75.
"""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit

from shm.fences import (
    compare_swap,
    fence_acquire,
    fence_release,
    fence_seq_cst,
    load_acquire,
    load_relaxed,
    store_relaxed,
    store_release,
)

STRIDE = 16                  # words.WORD_STRIDE, repeated: a kernel module imports kernels only
TAIL = 0 * STRIDE            # records published since creation
INTENT = 1 * STRIDE          # records that may have been begun; never goes back
MARK = 2 * STRIDE            # the writer's user word (watermark)
GATES = 3 * STRIDE           # first gate; one word each STRIDE from here to the end of ctl
DROPPED = 0x7FFF_FFFF_FFFF_FFFF  # a gate that no longer holds the writer back


@njit(cache=True, nogil=True, _nrt=False)
def slowest_gate_nb(ctl, tail):
    """(position of the slowest gate, 1 if some gate is dropped); no gate at all: `tail`."""
    slowest = tail
    dropped = 0
    for word in range(GATES, ctl.size, STRIDE):
        position = load_acquire(ctl, word)
        if position == DROPPED:
            dropped = 1
        elif position < slowest:
            slowest = position
    return slowest, dropped


@njit(cache=True, nogil=True, _nrt=False)
def free_nb(ctl, capacity):
    """Records that can be published now."""
    tail = load_relaxed(ctl, TAIL)
    slowest, _ = slowest_gate_nb(ctl, tail)
    return capacity - (tail - slowest)


@njit(cache=True, nogil=True, _nrt=False)
def _admit_nb(ctl, capacity, tail, wanted):
    """How many of `wanted` records fit; declares them in INTENT before any of their bytes."""
    slowest, dropped = slowest_gate_nb(ctl, tail)
    count = min(wanted, capacity - (tail - slowest))
    if count > 0:
        if tail + count > load_relaxed(ctl, INTENT):
            store_relaxed(ctl, INTENT, tail + count)
        if dropped:
            # A reader that re-joins stores its gate and then looks at INTENT: of the two of us,
            # at least one sees what the other stored (see rejoin_nb).
            fence_seq_cst()
            slowest, dropped = slowest_gate_nb(ctl, tail)
            count = min(count, capacity - (tail - slowest))
        fence_release()
    return count


@njit(cache=True, nogil=True, _nrt=False)
def _fill_nb(data, tail, records, count):
    capacity, width = data.shape
    for k in range(count):
        slot = (tail + k) & (capacity - 1)
        for w in range(width):
            data[slot, w] = records[k, w]


@njit(cache=True, nogil=True, _nrt=False)
def publish_nb(ctl, data, records):
    """Publish rows of `records` (int64[n, words]) into `data` (int64[capacity, words]).

    Writes as many as the slowest gate leaves room for and returns that number. Order: INTENT,
    release fence, payload, store-release of TAIL. INTENT only grows: after a writer died inside
    the payload its slots stay declared as dirty until the successor has overwritten them.
    """
    tail = load_relaxed(ctl, TAIL)
    count = max(_admit_nb(ctl, data.shape[0], tail, records.shape[0]), 0)
    _fill_nb(data, tail, records, count)
    store_release(ctl, TAIL, tail + count)
    return count


@njit(cache=True, nogil=True, _nrt=False)
def copy_nb(ctl, data, start, out):
    """Copy records from position `start` into `out`; True if none was overwritten meanwhile."""
    capacity = data.shape[0]
    width = data.shape[1]
    for k in range(out.shape[0]):
        slot = (start + k) & (capacity - 1)
        for w in range(width):
            out[k, w] = data[slot, w]
    fence_acquire()
    return load_relaxed(ctl, INTENT) - start <= capacity


@njit(cache=True, nogil=True, _nrt=False)
def move_gate_nb(ctl, word, position):
    """Set a gate unless it is dropped (perhaps at this moment, by another process)."""
    for _ in range(1000):
        old = load_relaxed(ctl, word)
        if old == DROPPED:
            return False
        if compare_swap(ctl, word, old, position):
            return True
    return False


@njit(cache=True, nogil=True, _nrt=False)
def rejoin_nb(ctl, capacity, word):
    """Make a dropped gate hold again at the tail; the position, or -1 if lapped 1000 times."""
    for _ in range(1000):
        position = load_acquire(ctl, TAIL)
        store_release(ctl, word, position)
        fence_seq_cst()
        if load_acquire(ctl, INTENT) - position <= capacity:
            return position
    store_release(ctl, word, DROPPED)
    return -1
