"""Kernels of the snapshot cells: seal, publish and the check after a copy."""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit

from shm.fences import fence_acquire, fence_release, load_relaxed, store_release

SEALED = 0 * 16
PUBLISHED = 1 * 16
WHOLE_BEHIND = 2  # cells n, n - 1, n - 2 are whole while n is the newest published


@njit(cache=True, nogil=True)
def seal_cell_nb(ctl, n):
    """Store-release of SEALED: the slot was filled before."""
    store_release(ctl, SEALED, n)


@njit(cache=True, nogil=True)
def publish_cell_nb(ctl, n):
    """Store-release of PUBLISHED, then a release fence: filling the next slot stays after it."""
    store_release(ctl, PUBLISHED, n)
    fence_release()


@njit(cache=True, nogil=True)
def valid_cell_nb(ctl, n):
    """True if cell n has not been touched until now: acquire fence, then how far we are behind."""
    fence_acquire()
    behind = load_relaxed(ctl, PUBLISHED) - n
    return 0 <= behind <= WHOLE_BEHIND
