"""Named segments: made and removed by one process, read by strangers, safe against both dying."""

import faulthandler
import os
import signal
import subprocess
import sys
import time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest

from shm import segments
from shm.board import Board
from shm.errors import SegmentError
from shm.fences import read_word, write_word
from shm.header import PAGE, describe, rebuild
from shm.identity import is_alive, start_time
from shm.segments import SHM_DIR, SharedArena, attach, epochs, sweep
from tests.shm.processes import finish, start

NESTED = np.dtype([("a", "i8"), ("b", [("x", "f8"), ("y", "u1", (3,))], (2, 2)), ("c", "S5")])
ROOT = Path(__file__).parents[2]


@pytest.fixture
def engine():
    """An engine name of this test alone; its segments are removed afterwards."""
    name = f"test-{os.getpid()}-{time.monotonic_ns()}"
    yield name
    for path in SHM_DIR.glob(f"tapescan-{name}-*"):
        path.unlink()


@pytest.fixture
def arena(engine):
    """An arena of epoch 3 with two arrays, `one` int64[4] and `two` NESTED[2, 5]."""
    made = SharedArena(engine, 3)
    made.array("one", 4, np.int64)
    made.array("two", (2, 5), NESTED)
    yield made
    made.unlink_all()


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run code in a stranger's interpreter."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def reserved(engine: str, array: str) -> int:
    """Bytes that a segment of epoch 3 has of the memory."""
    return (SHM_DIR / f"tapescan-{engine}-3-{array}").stat().st_blocks * 512


def test_an_array_made_for_later_takes_memory_when_it_is_reserved_and_keeps_its_content(engine):
    arena = SharedArena(engine, 3)
    array = arena.array("later", (4, 1 << 15), np.uint8, later=True)
    assert reserved(engine, "later") == PAGE
    arena.reserve("later", 0, 10)
    array[0, :10] = 7
    assert reserved(engine, "later") == 2 * PAGE
    child = start(lambda: arena.reserve("later", 3 << 15, 4 << 15))
    finish(child)
    assert reserved(engine, "later") == 2 * PAGE + (1 << 15)
    arena.reserve("later", 0, 4 << 15)
    assert reserved(engine, "later") == PAGE + array.nbytes
    assert array[0, :11].tolist() == [7] * 10 + [0]
    assert attach(engine, "later")[0, 9] == 7
    arena.unlink_all()


def test_what_there_is_no_room_for_is_not_reserved(engine):
    arena = SharedArena(engine, 3)
    arena.array("later", 1 << 42, np.uint8, later=True)
    with pytest.raises(SegmentError, match=r"segment .*-later' needs 4194304.0 MiB, /dev/shm"):
        arena.reserve("later", 0, 1 << 42)
    assert reserved(engine, "later") == PAGE
    arena.unlink_all()


def test_a_stranger_sees_what_the_engine_writes_and_cannot_write_itself(engine):
    arena = SharedArena(engine, 3)
    array = arena.array("two", (2, 5), NESTED)
    view = attach(engine, "two")
    array["b"]["x"][1, 4] = 2.5
    assert view["b"]["x"][1, 4].tolist() == [[2.5, 2.5], [2.5, 2.5]]
    assert (view.dtype, view.shape) == (NESTED, (2, 5))
    with pytest.raises(ValueError, match="read-only"):
        view["a"] = 1
    arena.unlink_all()


def test_a_stranger_that_attaches_and_exits_destroys_nothing(arena, engine):
    done = run_python(
        "import sys; from shm.segments import attach; print(attach(sys.argv[1], 'one').sum())",
        engine,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("0\n", "", 0)
    assert attach(engine, "one").shape == (4,)
    assert len(list(SHM_DIR.glob(f"tapescan-{engine}-3-*"))) == 2


def test_words_of_an_attached_array_can_be_read_in_order(arena, engine):
    shared = SharedArena(engine, 4)
    word = shared.array("word", 16, np.int64)
    write_word(word, 0, 77)
    assert read_word(attach(engine, "word"), 0) == 77
    shared.unlink_all()


def test_an_orderly_end_removes_everything_without_a_word(engine):
    done = run_python(
        """
import os, sys
from shm.segments import SharedArena
arena = SharedArena(sys.argv[1], 1)
array = arena.array("one", 1 << 16, "i8")
pid = os.fork()
if not pid:
    array[5] = 7
    os._exit(0)
os.waitpid(pid, 0)
print(array[5])
arena.unlink_all()
""",
        engine,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("7\n", "", 0)
    assert epochs(engine) == []


def test_a_killed_supervisor_leaves_segments_until_its_children_are_gone(engine):
    """The resource tracker of the standard library may clean up then, never earlier."""
    code = """
import os, sys, time
from shm.segments import SharedArena
arena = SharedArena(sys.argv[1], 1)
array = arena.array("one", 4, "i8")
pid = os.fork()
if not pid:
    sys.stdin.read()
    os._exit(0)
print(pid, flush=True)
os.kill(os.getpid(), 9)
"""
    engine_process = subprocess.Popen(
        [sys.executable, "-c", code, engine], cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert engine_process.stdout is not None
    child = int(engine_process.stdout.readline())
    assert engine_process.wait(60) == -signal.SIGKILL
    time.sleep(0.3)
    assert start_time(child)
    assert attach(engine, "one").shape == (4,)
    engine_process.communicate()
    for _ in range(600):
        if not epochs(engine):
            return
        time.sleep(0.05)
    assert len(sweep(engine)) == 1


def test_only_segments_of_dead_engines_are_swept(arena, engine):
    pid = start(lambda: os._exit(make_and_leave(engine)))
    assert finish(pid) == 0
    assert epochs(engine) == [3, 9]
    assert not segments.creator_alive(engine, 9)
    assert attach(engine, "one").shape == (4,)  # the living engine's, though the epoch is older
    assert attach(engine, "one", epoch=9).shape == (2,)
    assert sweep(engine) == [f"tapescan-{engine}-9-one"]
    assert epochs(engine) == [3]
    assert segments.creator_alive(engine, 3)


def make_and_leave(engine: str) -> int:
    """What an engine does that dies before its tracker can help: no name is taken back."""
    SharedArena(engine, 9).array("one", 2, np.int64)
    return 0


def test_an_engine_whose_name_begins_like_ours_is_left_alone(engine):
    other = SharedArena(f"{engine}-5", 1)
    other.array("one", 1, np.int64)
    assert epochs(engine) == []
    assert sweep(engine) == []
    assert epochs(f"{engine}-5") == [1]
    other.unlink_all()


def test_a_segment_without_a_header_is_swept_only_when_nobody_has_it_open(engine):
    path = SHM_DIR / f"tapescan-{engine}-1-half"
    with path.open("wb") as file:
        assert sweep(engine) == []
        file.write(b"x")
    assert sweep(engine) == [path.name]


def test_what_may_not_be_removed_is_left_and_what_may_is_swept(engine, monkeypatch):
    assert finish(start(lambda: os._exit(make_and_leave(engine)))) == 0
    theirs = SHM_DIR / f"tapescan-{engine}-4-theirs"
    theirs.touch(mode=0o600)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == theirs:  # what a sticky /dev/shm does for another user's file
            raise PermissionError(1, "Operation not permitted", str(path))
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert sweep(engine) == [f"tapescan-{engine}-9-one"]
    assert epochs(engine) == [4]


def test_a_process_is_told_from_its_successor_with_the_same_number():
    boot = segments.boot_id()
    assert is_alive(os.getpid(), start_time(os.getpid()), boot)
    assert not is_alive(os.getpid(), start_time(os.getpid()) - 1, boot)
    assert not is_alive(os.getpid(), start_time(os.getpid()), "another boot")
    pid = start(lambda: None)
    while start_time(pid):
        time.sleep(0.001)  # it is a zombie soon, and a zombie is dead
    assert not is_alive(pid, 0, boot)
    finish(pid)


def test_too_little_space_is_refused_with_one_sentence(engine, monkeypatch):
    arena = SharedArena(engine, 1)
    huge = 2 * segments.room()[0] // 8
    with pytest.raises(SegmentError, match=r"segment '.*-1-big' needs .* MiB of shared memory, "):
        arena.array("big", huge, np.int64)
    monkeypatch.setattr(segments, "check_room", lambda what, nbytes: None)
    with pytest.raises(SegmentError, match=r"-1-big' needs .* MiB, /dev/shm has .* left"):
        arena.array("big", huge, np.int64)
    assert list(SHM_DIR.glob(f"tapescan-{engine}-*")) == []
    assert arena.array("big", 1, np.int64).tolist() == [0]
    arena.unlink_all()


def test_the_whole_budget_is_checked_before_the_first_segment(engine, monkeypatch):
    monkeypatch.setattr(segments, "room", lambda: (1 << 40, 1 << 20))
    with pytest.raises(SegmentError, match=r"engine '.*' needs 2.0 MiB of memory, .* has 1.0 left"):
        SharedArena(engine, 1, total_bytes=2 << 20)


def test_every_byte_of_a_segment_is_reserved(arena, engine):
    status = (SHM_DIR / f"tapescan-{engine}-3-two").stat()
    assert status.st_blocks * 512 >= status.st_size >= PAGE + 2 * 5 * NESTED.itemsize


def test_names_are_used_once_and_are_well_formed(arena, engine):
    with pytest.raises(SegmentError, match="'one' exists already"):
        arena.array("one", 1, np.int64)
    with pytest.raises(SegmentError, match=r"array name 'Bad-Name' is not"):
        arena.array("Bad-Name", 1, np.int64)
    with pytest.raises(SegmentError, match=r"engine name '\.\./x'"):
        SharedArena("../x", 1)
    with pytest.raises(SegmentError, match="exists already"):
        SharedArena(engine, 3).array("one", 1, np.int64)


def test_a_child_can_neither_create_nor_remove(arena):
    def misbehave():
        for action in (arena.unlink_all, lambda: arena.array("more", 1, np.int64)):
            with pytest.raises(SegmentError, match="only their creator"):
                action()

    assert finish(start(misbehave)) == 0


def test_what_is_not_a_whole_segment_of_ours_is_refused(arena, engine):
    path = SHM_DIR / f"tapescan-{engine}-3-two"
    with pytest.raises(SegmentError, match="no engine"):
        attach(engine, "three")
    with pytest.raises(SegmentError, match="cannot be opened: No such file"):
        attach(engine, "two", epoch=99)
    page = path.read_bytes()[:PAGE]
    with path.open("r+b") as file:
        file.write(page.replace(b'"shape":[2,5]', b'"shape":[2,9]'))
    with pytest.raises(SegmentError, match="does not match its fingerprint"):
        attach(engine, "two")
    with path.open("r+b") as file:
        file.write(b"somebody")
    with pytest.raises(SegmentError, match="has no header of this version"):
        attach(engine, "two")
    with path.open("r+b") as file:
        file.write(page)
    os.truncate(path, PAGE)
    with pytest.raises(SegmentError, match="is not the array 'two' it claims"):
        attach(engine, "two")


def test_a_write_to_a_protected_array_kills_the_offending_child_only(engine):
    arena = SharedArena(engine, 1)
    mine, yours = arena.array("mine", 4, np.int64), arena.array("yours", 4, np.int64)

    def behave():
        arena.protect({"mine"})
        mine[0] = yours[0] + 1

    def misbehave():
        faulthandler.disable()  # pytest's report of a death that is meant to happen
        arena.protect({"mine"})
        yours[0] = 1

    assert finish(start(behave)) == 0
    assert finish(start(misbehave)) == -signal.SIGSEGV
    yours[1] = 5
    assert (mine.tolist(), yours.tolist()) == ([1, 0, 0, 0], [0, 5, 0, 0])
    with pytest.raises(SegmentError, match="has no array 'nobody'"):
        arena.protect({"nobody"})
    arena.unlink_all()


def test_somebody_else_having_cleaned_up_is_no_error(engine):
    arena = SharedArena(engine, 1)
    arena.array("one", 1, np.int64)
    (SHM_DIR / f"tapescan-{engine}-1-one").unlink()
    arena.unlink_all()
    arena.unlink_all()


def test_a_dtype_survives_being_written_down():
    for dtype in (NESTED, np.dtype("<f8"), np.dtype("S24"), np.dtype([("p", "i4", (3,))])):
        assert rebuild(describe(dtype)) == dtype


def test_an_empty_array_has_a_segment_of_one_page(engine):
    arena = SharedArena(engine, 1)
    assert arena.array("none", (2, 0), np.float64).shape == (2, 0)
    assert arena.total_bytes == PAGE
    assert attach(engine, "none").shape == (2, 0)
    arena.unlink_all()


def test_a_stranger_reads_the_board_of_a_running_engine(engine):
    arena = SharedArena(engine, 1)
    board = Board.create(arena, "board", ("bars", "web"), ("ticks",), ("cycle",))
    board.add(board.line("web"), board.counter("ticks"), 4)
    seen = Board.open("board", lambda name: attach(engine, name)).snapshot()
    assert [line.name for line in seen] == ["bars", "web"]
    assert seen[1].counters == {"ticks": 4}
    arena.unlink_all()


def test_the_standard_library_still_finds_nothing_to_complain_about(arena, engine):
    memory = SharedMemory(name=f"tapescan-{engine}-3-one")  # in the creator's own process
    assert memory.size == PAGE * 2
    memory.close()
