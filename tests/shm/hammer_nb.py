"""Kernels of the race and kill proofs: writers that never pause, readers that check every word."""

from numba import njit

from shm.cells_nb import PUBLISHED, publish_cell_nb, seal_cell_nb, valid_cell_nb
from shm.fences import load_acquire, load_relaxed, store_relaxed, store_release
from shm.lane import HEAD as LANE_HEAD
from shm.lane import TAIL as LANE_TAIL
from shm.ring_nb import TAIL, copy_nb, publish_nb
from shm.seqlock_nb import begin_write_nb, end_write_nb, read_row_nb

MIX = 0x9E3779B97F4A7C1  # words of one record differ, so that a shifted copy is found, too
ACCEPTED, REFUSED, TORN, NEWEST = 0, 1, 2, 3


@njit(nogil=True)
def fill_nb(row, value):
    """Give every word of a row a value of its own that follows from `value`."""
    for w in range(row.size):
        row[w] = value * MIX + w


@njit(nogil=True)
def is_whole_nb(row, value):
    """True if all words of the row follow from `value`."""
    wrong = 0
    for w in range(row.size):
        wrong |= row[w] ^ (value * MIX + w)
    return wrong == 0


@njit(nogil=True)
def write_rows_nb(versions, rows, stop):
    """Rewrite all rows in place, again and again, until word 0 of `stop` is set."""
    value = 0
    while load_relaxed(stop, 0) == 0:
        value += 1
        for i in range(rows.shape[0]):
            begin_write_nb(versions, i * 16)
            fill_nb(rows[i], value)
            end_write_nb(versions, i * 16)
    return value


@njit(nogil=True)
def read_rows_nb(versions, rows, out, reads, result):
    """Copy rows `reads` times and count whole, refused and torn copies."""
    for k in range(reads):
        i = k % rows.shape[0]
        version = read_row_nb(versions, i * 16, rows, i, out)
        if version < 0:
            result[REFUSED] += 1
        elif is_whole_nb(out, version // 2):
            result[ACCEPTED] += 1
        else:
            result[TORN] += 1


@njit(nogil=True)
def write_cells_nb(ctl, rows, stop, last):
    """Fill, seal, publish cells after the newest published until told to stop or `last`."""
    n = load_acquire(ctl, PUBLISHED)
    while load_relaxed(stop, 0) == 0 and n < last:
        n += 1
        fill_nb(rows[n % 4], n)
        seal_cell_nb(ctl, n)
        publish_cell_nb(ctl, n)


@njit(nogil=True)
def read_cells_nb(ctl, rows, out, reads, result):
    """Copy the newest cell `reads` times; whole, refused, torn; NEWEST counts steps back."""
    newest = -1
    for _ in range(reads):
        n = load_acquire(ctl, PUBLISHED)
        if n < newest:
            result[NEWEST] += 1
        newest = n
        for w in range(out.size):
            out[w] = rows[n % 4, w]
        if not valid_cell_nb(ctl, n):
            result[REFUSED] += 1
        elif is_whole_nb(out, n):
            result[ACCEPTED] += 1
        else:
            result[TORN] += 1


@njit(nogil=True)
def feed_ring_nb(ctl, data, batch, end, stop, acked):
    """Publish records that follow from their position until `end`, batch after batch."""
    while load_relaxed(stop, 0) == 0:
        tail = load_relaxed(ctl, TAIL)
        if tail >= end:
            break
        count = min(batch.shape[0], end - tail)
        for k in range(count):
            fill_nb(batch[k], tail + k)
        store_relaxed(acked, 0, tail + publish_nb(ctl, data, batch[:count]))


@njit(nogil=True)
def drain_ring_nb(ctl, data, word, end, result):
    """Read in place as a gating reader until `end`; whole and wrong records are counted."""
    position = load_relaxed(ctl, word)
    while position < end:
        tail = load_acquire(ctl, TAIL)
        while position < tail:
            slot = position & (data.shape[0] - 1)
            result[ACCEPTED if is_whole_nb(data[slot], position) else TORN] += 1
            position += 1
        store_release(ctl, word, position)


@njit(nogil=True)
def spy_ring_nb(ctl, data, out, reads, result):
    """Copy from the oldest end, where the writer overtakes, and check what was accepted."""
    for k in range(reads):
        tail = load_acquire(ctl, TAIL)
        start = max(0, tail - data.shape[0] + k % 64 * 4)
        rows = out[: min(out.shape[0], tail - start)]
        if not copy_nb(ctl, data, start, rows):
            result[REFUSED] += 1
            continue
        result[ACCEPTED] += 1
        for r in range(rows.shape[0]):
            if not is_whole_nb(rows[r], start + r):
                result[TORN] += 1


@njit(nogil=True)
def feed_lane_nb(ctl, data, burst, end, stop):
    """Write bursts in place and publish each with one store, until `end`."""
    tail = load_relaxed(ctl, LANE_TAIL)
    while tail < end and load_relaxed(stop, 0) == 0:
        count = min(burst, end - tail)
        if data.shape[0] - (tail - load_acquire(ctl, LANE_HEAD)) < count:
            continue
        for k in range(count):
            fill_nb(data[(tail + k) & (data.shape[0] - 1)], tail + k)
        tail += count
        store_release(ctl, LANE_TAIL, tail)


@njit(nogil=True)
def drain_lane_nb(ctl, data, store, end, stop, result):
    """Take slots into `store` (the durable effect), then move the head; until `end`."""
    head = load_relaxed(ctl, LANE_HEAD)
    while head < end and load_relaxed(stop, 0) == 0:
        tail = load_acquire(ctl, LANE_TAIL)
        while head < tail:
            slot = head & (data.shape[0] - 1)
            whole = is_whole_nb(data[slot], head)
            result[ACCEPTED if whole else TORN] += 1
            store[head] += 1 if whole else 1 << 32
            head += 1
            store_release(ctl, LANE_HEAD, head)
