"""Writers that never pause against readers in other processes: nothing torn, lost or doubled."""

import os
import signal

import numpy as np
import pytest

from shm.blob import Blob
from shm.cells import Cells
from shm.lane import Lane
from shm.names import Names
from shm.ring import Ring
from shm.ring_nb import GATES
from shm.seqlock import SeqRows
from tests.shm import hammer_nb as hammer
from tests.shm.hammer_nb import ACCEPTED, NEWEST, REFUSED, TORN
from tests.shm.processes import ForkArena, finish, share, start

pytestmark = pytest.mark.soak

RECORD = np.dtype([("words", "i8", (32,))])


def run_beside(writer, reader):
    """Run the reader here while the writer runs in a child; the writer is killed afterwards."""
    pid = start(writer)
    try:
        reader()
    finally:
        os.kill(pid, signal.SIGKILL)
        finish(pid)


@pytest.mark.parametrize("size", [4, 512])
def test_a_seqlock_reader_never_accepts_a_torn_row(soak, size):
    arena = ForkArena()
    table = SeqRows.create(arena, "table", np.dtype([("words", "i8", (size,))]), 4)
    stop, result = arena.array("stop", 1, np.int64), np.zeros(4, np.int64)
    rows = table.data.view(np.int64).reshape(4, size)
    hammer.write_rows_nb(table.ctl, rows, np.ones(1, np.int64))
    for i in range(4):  # version 0 goes with value 0
        hammer.fill_nb(rows[i], 0)
    reads, out = share(soak, 10_000_000 if size == 4 else 2_000_000), np.zeros(size, np.int64)
    run_beside(
        lambda: hammer.write_rows_nb(table.ctl, rows, stop),
        lambda: hammer.read_rows_nb(table.ctl, rows, out, reads, result),
    )
    assert result[TORN] == 0
    assert result[ACCEPTED] + result[REFUSED] == reads
    assert result[ACCEPTED] > 0


def test_a_cell_reader_never_accepts_a_torn_cell_and_never_goes_back(soak):
    arena = ForkArena()
    cells, rows = Cells.create(arena, "cells"), arena.array("rows", (4, 512), np.int64)
    stop, result = arena.array("stop", 1, np.int64), np.zeros(4, np.int64)
    hammer.write_cells_nb(cells.ctl, rows, stop, 0)
    reads, out = share(soak, 2_000_000), np.zeros(512, np.int64)
    run_beside(
        lambda: hammer.write_cells_nb(cells.ctl, rows, stop, 1 << 60),
        lambda: hammer.read_cells_nb(cells.ctl, rows, out, reads, result),
    )
    assert result[TORN] == 0
    assert result[NEWEST] == 0
    assert result[ACCEPTED] > 0


def test_gating_readers_get_every_record_of_a_ring_exactly_once(soak):
    arena = ForkArena()
    ring = Ring.create(arena, "ring", RECORD, 4096, ("bars", "recorder"))
    end, stop = share(soak, 4_000_000), arena.array("stop", 1, np.int64)
    acked, results = arena.array("acked", 1, np.int64), arena.array("results", (2, 4), np.int64)
    batch = np.zeros((37, 32), np.int64)
    hammer.feed_ring_nb(ring.ctl, ring.words, batch, 0, stop, acked)
    hammer.drain_ring_nb(ring.ctl, ring.words, GATES, 0, results[0])
    pids = [
        start(lambda: hammer.feed_ring_nb(ring.ctl, ring.words, batch, end, stop, acked)),
        start(lambda: hammer.drain_ring_nb(ring.ctl, ring.words, GATES, end, results[0])),
        start(lambda: hammer.drain_ring_nb(ring.ctl, ring.words, GATES + 16, end, results[1])),
    ]
    assert [finish(pid) for pid in pids] == [0, 0, 0]
    assert results[:, ACCEPTED].tolist() == [end, end]
    assert results[:, TORN].tolist() == [0, 0]


def test_a_reader_without_a_gate_never_accepts_a_copy_it_was_lapped_in(soak):
    arena = ForkArena()
    ring = Ring.create(arena, "ring", RECORD, 256, ())
    stop, acked = arena.array("stop", 1, np.int64), arena.array("acked", 1, np.int64)
    batch, out, result = np.zeros((16, 32), np.int64), np.zeros((8, 32), np.int64), np.zeros(4, int)
    hammer.feed_ring_nb(ring.ctl, ring.words, batch, 1024, stop, acked)
    reads = share(soak, 20_000_000)
    run_beside(
        lambda: hammer.feed_ring_nb(ring.ctl, ring.words, batch, 1 << 60, stop, acked),
        lambda: hammer.spy_ring_nb(ring.ctl, ring.words, out, reads, result),
    )
    assert result[TORN] == 0
    assert result[ACCEPTED] > 0
    assert result[REFUSED] > 0 or not soak


def test_a_reader_that_joins_a_running_ring_again_is_never_overtaken(soak):
    arena = ForkArena()
    ring = Ring.create(arena, "ring", RECORD, 64, ("recorder",))
    stop, acked = arena.array("stop", 1, np.int64), arena.array("acked", 1, np.int64)
    batch, result = np.zeros((16, 32), np.int64), np.zeros(4, np.int64)
    ring.drop_gate("recorder")
    hammer.feed_ring_nb(ring.ctl, ring.words, batch, 64, stop, acked)
    hammer.drain_ring_nb(ring.ctl, ring.words, GATES, 0, result)

    def join_and_leave():
        for _ in range(share(soak, 20_000)):
            position = ring.rejoin("recorder")
            hammer.drain_ring_nb(ring.ctl, ring.words, GATES, position + 200, result)
            ring.drop_gate("recorder")

    run_beside(
        lambda: hammer.feed_ring_nb(ring.ctl, ring.words, batch, 1 << 60, stop, acked),
        join_and_leave,
    )
    assert result[TORN] == 0
    assert result[ACCEPTED] >= 200 * share(soak, 20_000)


def test_a_lane_delivers_every_slot_exactly_once(soak):
    arena = ForkArena()
    lane, stop = Lane.create(arena, "lane", 256), arena.array("stop", 1, np.int64)
    end, result = share(soak, 20_000_000), arena.array("result", 4, np.int64)
    store = arena.array("store", end, np.int64)
    hammer.feed_lane_nb(lane.ctl, lane.data, 1, 0, stop)
    hammer.drain_lane_nb(lane.ctl, lane.data, store, 0, stop, result)
    pids = [
        start(lambda: hammer.feed_lane_nb(lane.ctl, lane.data, 11, end, stop)),
        start(lambda: hammer.drain_lane_nb(lane.ctl, lane.data, store, end, stop, result)),
    ]
    assert [finish(pid) for pid in pids] == [0, 0]
    assert (store == 1).all()
    assert result[TORN] == 0


def blob_content(version: int) -> bytes:
    """Content that follows from its version, of varying length."""
    return str(version).encode() * (version % 97 + 1)


def publish_blobs(blob: Blob, acked: np.ndarray) -> None:
    """Publish rising versions for ever; the floor leaves three versions in place."""
    while True:
        version = blob.latest() + 1
        blob.set_floor(version - 2)
        blob.publish(version, blob_content(version))
        acked[0] = version


def test_a_blob_reader_gets_whole_versions_or_none(soak):
    arena = ForkArena()
    blob, acked = Blob.create(arena, "blob", 4, 1024), arena.array("acked", 1, np.int64)
    blob.publish(1, blob_content(1))
    found = {True: 0, False: 0}

    def read_newest():
        for _ in range(share(soak, 200_000)):
            version = blob.latest()
            content = blob.read(version)
            assert content in (None, blob_content(version))
            found[content is not None] += 1

    run_beside(lambda: publish_blobs(blob, acked), read_newest)
    assert found[True] > 0


def test_a_name_is_read_whole_while_it_changes(soak):
    names = Names.create(ForkArena(), "names", 2)
    texts = ("A" * 24, "B" * 24, "CC", "")
    names.set(0, texts[0])

    def rename():
        while True:
            for text in texts:
                names.set(0, text)

    def read():
        for _ in range(share(soak, 300_000)):
            assert names.get(0) in texts
            assert names.get(1) == ""

    run_beside(rename, read)
