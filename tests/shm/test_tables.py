"""Cells, blobs, names, the board, clocks and arenas, one call at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.sizes import Sizes
from engine.domain.tables import Columns, allocate
from shm import board as boards
from shm.arena import MeasuringArena, PrivateArena
from shm.blob import CRC, LENGTH, VERSION, Blob
from shm.board import Board, bucket_upper_ns, count, cumulative, merge, quantile
from shm.board_nb import BUCKETS, MAX, SUM, bucket_nb
from shm.cells import Cells
from shm.errors import BlobError, BlobFull, BoardError, NamesError, RingError, SegmentError
from shm.fences import read_word, write_word
from shm.names import Names
from shm.names_nb import PENDING
from shm.names_nb import VERSION as NAMES_VERSION
from shm.ring import Ring, RingFamily
from shm.ring_nb import INTENT
from shm.seqlock import SeqRows
from shm.warm import warm
from shm.words import WORD_STRIDE, words

COLUMNS = Columns(indicator_slots=8, indicator_values=4, indicator_ring=32, metrics=16)


# -- arenas --------------------------------------------------------------------------------------
def test_private_arrays_are_zero_and_start_on_their_own_cache_lines():
    arena = PrivateArena()
    for name, shape, dtype in (("a", 3, "i8"), ("b", (2, 5), "f4"), ("c", (0, 4), "u1")):
        array = arena.array(name, shape, dtype)
        assert not array.any()
        assert array.size == 0 or array.ctypes.data % 128 == 0
    assert arena.names() == ("a", "b", "c")
    assert arena.total_bytes == 24 + 40
    with pytest.raises(SegmentError, match="'a' exists already"):
        arena.array("a", 1, "i8")


def test_the_measuring_arena_counts_what_the_private_one_takes():
    private, measured = PrivateArena(), MeasuringArena()
    for arena in (private, measured):
        allocate(arena, Sizes(capacity=500, workers=2, feeds=2), COLUMNS)
    more = sum(nbytes - measured.sizes[name] for name, nbytes in measured.later.items())
    assert measured.total_bytes + more == private.total_bytes
    assert tuple(measured.sizes) == private.names()


def test_words_lie_on_cache_lines_of_their_own():
    assert words(PrivateArena(), "words", 3).shape == (3 * WORD_STRIDE,)
    assert WORD_STRIDE * 8 == 128


def test_every_kernel_of_the_floor_can_be_warmed():
    warm()


# -- rings ---------------------------------------------------------------------------------------
def test_a_ring_needs_a_power_of_two_and_whole_words():
    with pytest.raises(RingError, match="capacity 12 of 'r' is not a power of two"):
        Ring.create(PrivateArena(), "r", np.int64, 12, ())
    with pytest.raises(RingError, match="has 12 bytes, not a multiple of 8"):
        Ring.create(PrivateArena(), "r", "S12", 16, ())


def test_the_rings_of_a_family_share_two_arrays_and_nothing_else():
    family = RingFamily.create(PrivateArena(), "ticks", np.int64, 8, ("bars",), 3)
    family.rings[1].publish(np.arange(5))
    assert [ring.tail() for ring in family.rings] == [0, 5, 0]
    assert family.data[1, :5].tolist() == [0, 1, 2, 3, 4]
    assert family.ctl.shape[0] == 3
    assert not family.data[[0, 2]].any()


def test_the_slowest_gate_of_a_ring_is_named():
    ring = Ring.create(PrivateArena(), "ring", "i8", 8, ("bars", "recorder"))
    ring.publish(np.arange(5))
    ring.set_gate("bars", 3)
    assert ring.slowest() == "recorder"
    ring.set_gate("recorder", 4)
    assert ring.slowest() == "bars"
    ring.drop_gate("bars")
    assert ring.slowest() == "recorder"
    ring.drop_gate("recorder")
    assert ring.slowest() == ""
    assert Ring.create(PrivateArena(), "free", "i8", 8, ()).slowest() == ""


def test_a_successor_leaves_the_slots_declared_dirty_that_a_dead_writer_began():
    ring = Ring.create(PrivateArena(), "r", np.int64, 8, ())
    ring.publish(np.arange(8))
    write_word(ring.ctl, INTENT, 12)  # died inside a publication of four records
    ring.data[:2] = -1
    ring.publish(np.array([8]))  # the successor publishes one
    assert [ring.copy(p, p + 1) is None for p in range(1, 9)] == [True] * 3 + [False] * 5
    assert ring.copy(4, 9).tolist() == [4, 5, 6, 7, 8]
    ring.publish(np.arange(9, 17))
    assert ring.copy(9, 17).tolist() == list(range(9, 17))


def test_a_row_left_odd_is_refused_and_only_writing_it_makes_it_whole():
    rows = SeqRows.create(PrivateArena(), "rows", np.int64, 3)
    rows.write(1, np.array([5]))
    write_word(rows.ctl, WORD_STRIDE, 3)  # died inside its second write
    assert (rows.odd(), rows.read(1), rows.gave_up) == ([1], None, 1)
    assert rows.read(0) == 0
    rows.write(1, np.array([6]))
    assert (rows.odd(), rows.read(1).tolist(), read_word(rows.ctl, WORD_STRIDE)) == ([], [6], 4)


# -- cells ---------------------------------------------------------------------------------------
def test_cells_are_sealed_and_published_in_order():
    cells = Cells.create(PrivateArena(), "cells")
    assert (cells.sealed(), cells.published(), cells.valid(0)) == (-1, -1, False)
    for n in range(7):
        assert cells.slot(n) == n % 4
        cells.seal(n)
        assert (cells.sealed(), cells.published()) == (n, n - 1)
        cells.publish(n)
    assert [cells.valid(n) for n in range(3, 8)] == [False, True, True, True, False]
    with pytest.raises(RingError, match="cell 8 cannot be sealed: cell 6"):
        cells.seal(8)
    with pytest.raises(RingError, match="cell 7 cannot be published: cell 6 is sealed"):
        cells.publish(7)


def test_a_stream_may_begin_at_any_cell():
    cells = Cells.create(PrivateArena(), "cells")
    cells.seal(1000)
    cells.publish(1000)
    assert cells.valid(1000)


# -- blobs ---------------------------------------------------------------------------------------
def test_a_blob_keeps_versions_that_are_still_needed():
    blob = Blob.create(PrivateArena(), "rules", 4, 16)
    assert (blob.latest(), blob.read(0), blob.read(1)) == (0, None, None)
    for version in (1, 2, 5, 6):
        blob.publish(version, b"v%d" % version)
    with pytest.raises(BlobFull, match="oldest version 1 is not below the floor 0") as full:
        blob.publish(7, b"v7")
    assert (full.value.version, full.value.oldest, full.value.floor) == (7, 1, 0)
    blob.set_floor(2)
    blob.set_floor(1)
    blob.publish(7, b"v7")
    assert [blob.read(v) for v in (1, 2, 5, 6, 7)] == [None, b"v2", b"v5", b"v6", b"v7"]
    assert blob.latest() == 7


def test_publishing_a_version_again_is_ignored_and_another_content_is_refused():
    blob = Blob.create(PrivateArena(), "rules", 2, 16)
    blob.publish(3, b"three")
    blob.publish(3, b"three")
    for version, content in ((3, b"other"), (2, b"two"), (0, b"none")):
        with pytest.raises(BlobError, match=f"version {version} of blob 'rules' is not above 3"):
            blob.publish(version, content)
    with pytest.raises(BlobError, match="has 17 bytes, the slot 16"):
        blob.publish(4, b"x" * 17)
    assert blob.read(3) == b"three"


@pytest.mark.parametrize("content", [b"", b"\0\0", bytes(range(16))])
def test_any_bytes_come_back_from_a_blob(content):
    blob = Blob.create(PrivateArena(), "rules", 1, 16)
    blob.publish(1, content)
    assert blob.read(1) == content


def test_a_slot_is_invalid_from_before_its_first_byte_changes():
    class Dying:
        """Bytes whose writer dies at the first one."""

        def __setitem__(self, where, value):
            raise KeyboardInterrupt

    blob = Blob.create(PrivateArena(), "rules", 2, 16)
    blob.publish(1, b"one")
    blob.publish(2, b"two")
    blob.set_floor(2)
    whole, blob.data = blob.data, Dying()
    with pytest.raises(KeyboardInterrupt):
        blob.publish(3, b"three")
    blob.data = whole
    assert (blob.versions(), blob.read(1), blob.read(2)) == ([0, 2], None, b"two")
    blob.publish(3, b"three")
    assert blob.versions() == [3, 2]


def test_a_blob_that_was_damaged_is_not_handed_out():
    blob = Blob.create(PrivateArena(), "rules", 1, 16)
    blob.publish(1, b"whole")
    blob.data[0, 2] ^= 1
    with pytest.raises(BlobError, match="version 1 of blob 'rules' does not match its CRC"):
        blob.read(1)
    assert (VERSION, LENGTH, CRC) == (0, 1, 2)


# -- names ---------------------------------------------------------------------------------------
def test_names_are_set_read_and_freed():
    names = Names.create(PrivateArena(), "names", 4)
    assert (names.all(), names.get(0), names.version()) == ([], "", 0)
    names.set(1, "BRK.B")
    names.set(3, "NÄHE" * 4)
    assert names.all() == [(1, "BRK.B"), (3, "NÄHE" * 4)]
    assert names.raw[1] == b"BRK.B"
    before = names.version()
    names.set(1, "")
    assert names.version() == before + 1
    assert names.all() == [(3, "NÄHE" * 4)]


@pytest.mark.parametrize("text", ["x" * 25, "a\0b", "Ä" * 13])
def test_a_name_that_does_not_fit_is_refused(text):
    names = Names.create(PrivateArena(), "names", 4)
    with pytest.raises(NamesError, match="is not a name of at most 24 bytes"):
        names.set(0, text)
    with pytest.raises(NamesError, match="row 4 of names 'names' is not among 4 rows"):
        names.get(4)


@pytest.mark.parametrize("words_done", range(4))
def test_a_name_whose_writer_died_half_way_is_the_new_one_for_everybody(words_done):
    names = Names.create(PrivateArena(), "names", 3)
    names.set(1, "OLDOLDOLDOLDOLDOLDOLDOLD")
    new = np.frombuffer(b"NEWNEWNEWNEWNEWNEWNEWNEW", np.int64)
    names.ctl[PENDING : PENDING + 4] = [1, *new]
    names.ctl[NAMES_VERSION] += 1
    names.words[1, 3 - words_done :] = new[3 - words_done :]
    assert names.get(1) == "NEW" * 8
    assert names.all() == [(1, "NEW" * 8)]
    version = names.version()
    assert names.recover()
    assert not names.recover()
    assert names.version() == version
    assert names.raw[1] == b"NEW" * 8


def test_the_next_set_finishes_what_a_dead_writer_began():
    names = Names.create(PrivateArena(), "names", 3)
    names.ctl[PENDING : PENDING + 4] = [1, *np.frombuffer(b"NEW".ljust(24, b"\0"), np.int64)]
    names.ctl[NAMES_VERSION] += 1
    names.set(2, "NEXT")
    assert names.raw.tolist() == [b"", b"NEW", b"NEXT"]
    assert names.version() == 2


def test_a_redo_record_that_was_not_committed_is_nothing():
    names = Names.create(PrivateArena(), "names", 3)
    names.set(1, "OLD")
    names.ctl[PENDING : PENDING + 4] = [1, 5, 6, 7]
    assert names.get(1) == "OLD"
    assert not names.recover()


# -- the board -----------------------------------------------------------------------------------
def test_the_board_keeps_what_each_process_says_of_itself():
    board = Board.create(PrivateArena(), "board", ("bars", "scan0"), ("ticks", "late"), ("cycle",))
    line = board.line("scan0")
    board.set_word(line, boards.BEAT_NS, 123)
    board.add(line, board.counter("late"), 3)
    board.add(line, board.counter("late"))
    board.record(line, board.histogram("cycle"), 1000)
    bars, scan = board.snapshot()
    assert (bars.name, scan.name) == ("bars", "scan0")
    assert scan.counters == {"ticks": 0, "late": 4}
    assert (scan.words[boards.BEAT_NS], board.word(line, boards.BEAT_NS)) == (123, 123)
    assert (count(scan.histograms["cycle"]), count(bars.histograms["cycle"])) == (1, 0)
    assert count(board.merged(0)) == 1
    with pytest.raises(BoardError, match="the board has no line 'nobody'"):
        board.line("nobody")


@given(st.integers(-5, 1 << 62))
def test_every_latency_lies_in_its_bucket(ns):
    bucket = bucket_nb(ns)
    assert bucket == BUCKETS - 1 or max(ns, 0) <= bucket_upper_ns(bucket)
    assert bucket == 0 or ns > bucket_upper_ns(bucket - 1)


@given(st.lists(st.integers(0, 1 << 40), min_size=1, max_size=50), st.floats(0, 1))
def test_a_quantile_is_at_most_an_eighth_too_high(values, q):
    board = Board.create(PrivateArena(), "board", ("a", "b"), (), ("h",))
    for k, value in enumerate(values):
        board.record(k % 2, 0, value)
    whole = board.merged(0)
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    assert exact <= quantile(whole, q) <= exact * 1.125 + 1
    assert (count(whole), whole[SUM]) == (len(values), sum(values))
    assert whole[MAX] == max(values)
    assert cumulative(whole, [0, 1 << 50]) == [values.count(0), len(values)]


def test_an_empty_histogram_knows_nothing():
    empty = merge([])
    assert math.isnan(quantile(empty, 0.5))
    assert count(empty) == 0
