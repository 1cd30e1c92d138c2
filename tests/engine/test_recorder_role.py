"""The recorder role: what it takes over from one that died over a slow disk."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.replay.open_stream import TAPE_NAME, recall
from engine.replay.recorder import GATE
from engine.replay.recorder_role import _Recorder
from engine.replay.tape import info
from tests.replay.lives import Life, Machine


class Board:
    """What a role says of itself."""

    def __init__(self, life: Life) -> None:
        self.numbers: list[int] = []
        self.errors: list[str] = []
        place = life.place
        self.context: Any = SimpleNamespace(
            log=SimpleNamespace(error=lambda event, **told: self.errors.append(told["reason"])),
            telemetry=SimpleNamespace(count=lambda *_: None),
            wake=SimpleNamespace(notify=lambda *_: None),
            progress=self.numbers.append,
            beat=lambda: None,
            shared=SimpleNamespace(
                tables=life.tables, config=life.told, stream=life.stream, data_dir=place,
                stream_dir=life.directory, bars_path=place / "bars.db",
            ),
        )  # fmt: skip


@pytest.fixture
def life(tmp_path: Path) -> Life:
    """A live stream with a recorder that has died: it is up to the test over what."""
    found = Machine(tmp_path).start().live(0.5)
    found.run.record = lambda: None  # type: ignore[method-assign]
    for _ in range(12):
        found.turn()
    return found


def dies_in_its_sync(life: Life) -> None:
    """The block of all that waits is on disk, the gates stand before it."""
    recorder, ring = life.run.recorder, life.tables.decisions
    decisions = np.concatenate(ring.slices(ring.gate(GATE), ring.tail()))
    assert recorder._writer is not None
    recorder._write(recorder._writer, decisions)
    recorder.close()


def test_a_block_that_a_recorder_died_over_counts_as_progress_of_the_next(life: Life) -> None:
    before = life.run.recorder.durable_n
    dies_in_its_sync(life)
    board = Board(life)
    role = _Recorder(board.context)
    assert board.numbers == [life.run.n]
    assert life.run.n > before
    assert not role.stage.unrecorded
    role.stage.close()
    again = Board(life)
    _Recorder(again.context).stage.close()
    assert again.numbers == [life.run.n], "without another block there is no other number"


def test_a_recorder_that_was_overtaken_while_it_died_tells_the_tape_so(life: Life) -> None:
    dies_in_its_sync(life)
    for ring in (*life.tables.ticks.rings, life.tables.decisions, life.tables.bar_ring):
        ring.drop_gate(GATE)
    n = life.run.n
    for _ in range(6):
        life.turn()
    board = Board(life)
    role = _Recorder(board.context)
    role.step()
    assert role.stage.unrecorded
    assert board.errors == [
        "The stream goes on unrecorded: the recorder was too slow and was overtaken."
    ]
    told = info(life.directory / TAPE_NAME)
    assert (told["state"], told["last_n"]) == ("has a gap", n)
    assert recall(life.place) is None, "nothing resumes it"
    role.stage.close()
