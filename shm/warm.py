"""Compiles every kernel of this floor by using it once, before the supervisor forks."""

import numpy as np

from shm.arena import PrivateArena
from shm.blob import Blob
from shm.board import Board
from shm.cells import Cells
from shm.lane import Lane
from shm.names import Names
from shm.ring import Ring
from shm.seqlock import SeqRows


def warm() -> None:
    """Run each kernel on private memory; a child forked afterwards compiles nothing of it."""
    arena = PrivateArena()
    ring = Ring.create(arena, "ring", np.int64, 4, ("reader",))
    ring.publish(np.arange(2))
    ring.copy(0, ring.tail())
    ring.set_mark(ring.mark())
    ring.set_gate("reader", ring.tail())
    ring.drop_gate("reader")
    ring.rejoin("reader")
    ring.free()
    cells = Cells.create(arena, "cells")
    cells.seal(0)
    cells.publish(0)
    cells.valid(0)
    lane = Lane.create(arena, "lane", 4)
    lane.publish(1)
    blob = Blob.create(arena, "blob", 4, 8)
    blob.publish(1, b"warm")
    blob.read(1)
    names = Names.create(arena, "names", 1)
    names.set(0, "WARM")
    names.get(0)
    names.all()
    names.recover()
    board = Board.create(arena, "board", ("line",), (), ("histogram",))
    board.record(0, 0, 1)
    board.record_since(0, 0, np.zeros(1, np.int64), 1)
    board.set_word(0, 0, board.word(0, 0))
    rows = SeqRows.create(arena, "rows", np.int64, 1)
    rows.write(0, np.zeros(1, np.int64))
    rows.read(0)
