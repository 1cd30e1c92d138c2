"""SIGKILL of writers and readers at random moments, then a successor: nothing torn, lost, doubled,
unreadable. Each proof kills 500 times in a soak."""

import random

import numpy as np
import pytest

from shm.blob import Blob
from shm.cells import Cells
from shm.fences import read_word
from shm.lane import Lane
from shm.names import Names
from shm.ring import Ring
from shm.ring_nb import GATES, INTENT
from shm.seqlock import SeqRows
from tests.shm import hammer_nb as hammer
from tests.shm.hammer_nb import ACCEPTED, TORN
from tests.shm.processes import ForkArena, kill_at_random, share
from tests.shm.test_races import blob_content, publish_blobs

pytestmark = pytest.mark.soak

KILLS = 500
LONGEST_US = 1500
LONGEST_PYTHON_US = 5000  # a writer in Python first has to copy the pages it inherited
FOREVER = 1 << 60
BIG = np.dtype([("words", "i8", (256,))])  # a large record: most kills hit the payload


@pytest.fixture
def moments() -> random.Random:
    """Seeded source of the moments of the kills."""
    return random.Random(20131008)


def expected(position: int, size: int) -> np.ndarray:
    """What `fill_nb` writes for a position."""
    row = np.empty(size, np.int64)
    hammer.fill_nb(row, position)
    return row


def test_a_killed_ring_writer_loses_doubles_and_tears_nothing(soak, moments):
    arena = ForkArena()
    ring = Ring.create(arena, "ring", BIG, 2048, ("reader",))
    stop, acked = arena.array("stop", 1, np.int64), arena.array("acked", 1, np.int64)
    batch, result = np.zeros((32, 256), np.int64), np.zeros(4, np.int64)
    hammer.feed_ring_nb(ring.ctl, ring.words, batch, 0, stop, acked)
    hammer.drain_ring_nb(ring.ctl, ring.words, GATES, 0, result)
    inside = 0
    for _ in range(share(soak, KILLS)):
        kill_at_random(
            lambda: hammer.feed_ring_nb(ring.ctl, ring.words, batch, FOREVER, stop, acked),
            moments, LONGEST_US,
        )  # fmt: skip
        assert ring.tail() >= acked[0]
        inside += read_word(ring.ctl, INTENT) > ring.tail()
        until = moments.randint(ring.gate("reader"), ring.tail())
        hammer.drain_ring_nb(ring.ctl, ring.words, GATES, until, result)
    assert result[TORN] == 0
    assert result[ACCEPTED] == ring.gate("reader") > 0
    assert inside > 0 or not soak


def test_slots_that_a_dead_ring_writer_left_dirty_stay_refused(soak, moments):
    arena = ForkArena()
    ring = Ring.create(arena, "ring", BIG, 64, ())
    stop, acked = arena.array("stop", 1, np.int64), arena.array("acked", 1, np.int64)
    batch = np.zeros((32, 256), np.int64)
    hammer.feed_ring_nb(ring.ctl, ring.words, batch, 64, stop, acked)
    dirty = 0
    for _ in range(share(soak, KILLS)):
        kill_at_random(
            lambda: hammer.feed_ring_nb(ring.ctl, ring.words, batch, FOREVER, stop, acked),
            moments, LONGEST_US,
        )  # fmt: skip
        small = np.zeros((1, 256), np.int64)  # the successor publishes less than the dead one began
        hammer.feed_ring_nb(ring.ctl, ring.words, small, ring.tail() + 1, stop, acked)
        tail = ring.tail()
        for position in range(tail - ring.capacity, tail):
            copied = ring.copy(position, position + 1)
            dirty += copied is None
            assert copied is None or (copied["words"][0] == expected(position, 256)).all()
    assert dirty > 0 or not soak


def work_cells(cells: Cells, rows: np.ndarray, history: np.ndarray) -> None:
    """The writer's protocol, with a state that follows from the cell before: never ends."""
    n = cells.published()
    if cells.sealed() == n + 1:
        publish_with_history(cells, rows, history, n + 1)
    while True:
        n = cells.published() + 1
        rows[n % 4] = rows[(n - 1) % 4] + np.arange(rows.shape[1]) % 7
        cells.seal(n)
        publish_with_history(cells, rows, history, n)


def publish_with_history(cells, rows, history, n) -> None:
    """Histories are addressed by n and come from the sealed cell only."""
    history[n % len(history)] = rows[n % 4]
    cells.publish(n)


def test_a_successor_goes_on_from_the_last_cell_as_if_nobody_had_died(soak, moments):
    arena = ForkArena()
    cells = Cells.create(arena, "cells")
    rows, history = arena.array("rows", (4, 4096), int), arena.array("history", (16, 4096), int)
    cells.seal(0)
    cells.publish(0)
    step, sealed_only = np.arange(4096) % 7, 0
    for _ in range(share(soak, KILLS)):
        kill_at_random(lambda: work_cells(cells, rows, history), moments, LONGEST_PYTHON_US)
        n = cells.published()
        assert cells.sealed() - n in (0, 1)
        sealed_only += cells.sealed() - n
        for whole in range(max(0, n - 2), cells.sealed() + 1):
            assert (rows[whole % 4] == whole * step).all()
        for past in range(max(0, n - 14), n + 1):
            assert (history[past % 16] == past * step).all()
    assert cells.published() > share(soak, KILLS)
    assert sealed_only > 0 or not soak


def test_a_killed_lane_writer_leaves_whole_bursts_only(soak, moments):
    arena = ForkArena()
    lane, stop = Lane.create(arena, "lane", 1024), arena.array("stop", 1, np.int64)
    result, store = np.zeros(4, np.int64), np.zeros(1 << 22, np.int64)
    hammer.feed_lane_nb(lane.ctl, lane.data, 100, 0, stop)
    hammer.drain_lane_nb(lane.ctl, lane.data, store, 0, stop, result)
    for _ in range(share(soak, KILLS)):
        kill_at_random(
            lambda: hammer.feed_lane_nb(lane.ctl, lane.data, 100, FOREVER, stop),
            moments, LONGEST_US,
        )  # fmt: skip
        assert lane.tail() % 100 == 0
        hammer.drain_lane_nb(lane.ctl, lane.data, store, lane.tail(), stop, result)
    assert (store[: lane.tail()] == 1).all()
    assert result[TORN] == 0 < result[ACCEPTED] == lane.tail()


def test_a_killed_lane_reader_takes_at_most_its_last_slot_again(soak, moments):
    arena = ForkArena()
    lane, stop = Lane.create(arena, "lane", 1 << 16), arena.array("stop", 1, np.int64)
    result, store = arena.array("result", 4, np.int64), arena.array("store", 1 << 24, np.int64)
    hammer.feed_lane_nb(lane.ctl, lane.data, 64, 0, stop)
    hammer.drain_lane_nb(lane.ctl, lane.data, store, 0, stop, result)
    kills = share(soak, KILLS)
    for _ in range(kills):
        until = min(lane.tail() + lane.free(), lane.tail() + (1 << 14))
        hammer.feed_lane_nb(lane.ctl, lane.data, 64, until, stop)
        kill_at_random(
            lambda: hammer.drain_lane_nb(lane.ctl, lane.data, store, FOREVER, stop, result),
            moments, 200,
        )  # fmt: skip
        assert lane.head() <= lane.tail()
    hammer.drain_lane_nb(lane.ctl, lane.data, store, lane.tail(), stop, result)
    taken = store[: lane.tail()]
    assert result[TORN] == 0
    assert (taken >= 1).all()
    assert (taken - 1).sum() <= kills  # the effect was durable, the head not yet stored


def test_a_killed_blob_writer_leaves_the_versions_before_readable(soak, moments):
    arena = ForkArena()
    blob, acked = Blob.create(arena, "blob", 4, 1024), arena.array("acked", 1, np.int64)
    blob.publish(1, blob_content(1))
    acked[0] = 1
    for _ in range(share(soak, KILLS)):
        kill_at_random(lambda: publish_blobs(blob, acked), moments, LONGEST_PYTHON_US)
        newest = blob.latest()
        assert newest in (acked[0], acked[0] + 1)
        for version in range(max(1, newest - 2), newest + 1):
            assert blob.read(version) == blob_content(version)


def name_of(step: int) -> str:
    """The text that step gives its row; every seventh frees it."""
    return "" if step % 7 == 0 else str(step * 1_000_003).rjust(step % 20 + 4, "N")[-24:]


def rename(names: Names, acked: np.ndarray) -> None:
    """Step k names row k % 8; goes on from the last acknowledged step, for ever."""
    step = int(acked[0])
    while True:
        step += 1
        names.set(step % 8, name_of(step))
        acked[0] = step


def test_a_killed_namer_leaves_each_name_old_or_new_and_never_blocks(soak, moments):
    arena = ForkArena()
    names, acked = Names.create(arena, "names", 8), arena.array("acked", 1, np.int64)
    acked[0] = 8
    for step in range(1, 9):
        names.set(step % 8, name_of(step))
    for _ in range(share(soak, KILLS)):
        kill_at_random(lambda: rename(names, acked), moments, LONGEST_PYTHON_US)
        done = int(acked[0])
        found = dict(names.all())
        for row in range(8):
            step = done - (done - row) % 8
            allowed = {name_of(step)} | ({name_of(done + 1)} if (done + 1) % 8 == row else set())
            assert names.get(row) in allowed
            assert found.get(row, "") == names.get(row)
        names.recover()
        assert dict(names.all()) == found
        assert [text.decode() for text in names.raw] == [found.get(row, "") for row in range(8)]


def test_a_row_left_odd_by_a_dead_writer_is_refused_until_it_is_written_again(soak, moments):
    arena = ForkArena()
    table = SeqRows.create(arena, "table", BIG, 2)
    rows, stop = table.data.view(np.int64).reshape(2, 256), arena.array("stop", 1, np.int64)
    hammer.write_rows_nb(table.ctl, rows, np.ones(1, np.int64))
    for i in range(2):
        hammer.fill_nb(rows[i], 0)
    odd = 0
    for _ in range(share(soak, KILLS)):
        kill_at_random(
            lambda: hammer.write_rows_nb(table.ctl, rows, stop), moments, LONGEST_US
        )
        left = table.odd()
        odd += len(left)
        for i in range(2):
            if i in left:
                assert table.read(i) is None
                table.write(i, np.array([(expected(5, 256),)], BIG))
            words = table.read(i)["words"][0]
            assert (words - words[0] == np.arange(256)).all()
        assert table.odd() == []
    assert odd > 0 or not soak
    assert table.gave_up >= odd
