"""A live recorder that is overtaken: the tape says where the hole begins, whenever who dies, and
the next stream is on tape again."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.config.schema import Config
from engine.domain import records
from engine.replay import tape as tape_module
from engine.replay.backtest import backtest_tape
from engine.replay.open_stream import TAPE_NAME, forget
from engine.replay.tape import CYCLES, TapeReader
from engine.storage.sqlite import ALERTS_NAME, SqliteAlertStore
from tests.replay.lives import MINUTE, SECOND, Life, Machine, live_config
from tests.storage.samples import alert


def busy() -> Config:
    """A market that fills its small ring in a few seconds."""
    told = live_config(minutes=3, ticks_per_s=400)
    engine = msgspec.structs.replace(told.engine, ring_ticks=1 << 13)
    return msgspec.structs.replace(told, engine=engine)


def stall(life: Life, seconds: float) -> None:
    """The market goes on while the recorder stands still."""
    record, life.run.record = life.run.record, lambda: None  # type: ignore[method-assign]
    for _ in range(round(seconds * SECOND / life.STEP_NS)):
        life.turn()
    life.run.record = record  # type: ignore[method-assign]


def on_tape(life: Life) -> np.ndarray:
    with TapeReader(life.directory / TAPE_NAME) as reader:
        found = [block.decisions for block in reader.blocks() if block.kind == CYCLES]
    return np.concatenate(found)


def fire(life: Life, n: int) -> None:
    """An alert of a cycle, stored as the alerts role does."""
    store = SqliteAlertStore(life.place / ALERTS_NAME)
    store.append([alert(1, stream_id=life.stream.stream_id, n=n)])
    store.close()


def state(life: Life) -> str:
    return str(tape_module.info(life.directory / TAPE_NAME)["state"])


def new_stream(life: Life) -> str:
    return str(life.told_of("new_stream")[0]["reason"])


def test_the_tape_holds_every_cycle_up_to_the_hole_and_none_behind_it(tmp_path: Path) -> None:
    life = Machine(tmp_path, busy()).start().live(0.5)
    recorded_n = life.run.recorder.durable_n
    assert recorded_n == life.run.n
    stall(life, 30)
    life.live(0.1)
    recorder = life.run.recorder
    assert recorder.unrecorded
    assert "overtaken" in recorder.failures[0]
    numbers = on_tape(life)["n"]
    assert list(numbers) == list(range(1, recorded_n + 1))
    assert not (on_tape(life)["flags"] & records.DECISION_UNRECORDED).any()
    assert life.bars.stage.head["flags"] & records.DECISION_UNRECORDED, "it is said to users"
    assert state(life) == "has a gap"
    out = tmp_path / "alerts.jsonl"
    backtest_tape(life.directory / TAPE_NAME, out, 2)
    before = out.read_bytes().splitlines()
    assert before == life.run.alerts[: len(before)], "the recording is good up to its hole"
    assert len(before) < len(life.run.alerts), "alerts go on"


def test_a_shorter_stall_leaves_no_trace(tmp_path: Path) -> None:
    life = Machine(tmp_path, busy()).start().live(0.5)
    stall(life, 2)
    life.live(0.5)
    assert not life.run.recorder.unrecorded
    assert list(on_tape(life)["n"]) == list(range(1, life.run.n + 1))
    assert state(life) == "open"


def test_the_next_session_of_an_overtaken_stream_is_recorded_whole(tmp_path: Path) -> None:
    machine = Machine(tmp_path, busy())
    first = machine.start().live(0.5)
    stall(first, 30)
    first.live(0.1)
    forget(tmp_path)  # as the role does when its stage has given up
    first.end()
    machine.hand.run(3 * SECOND)
    second = machine.start().live(0.5)
    assert [line["stream_id"] for line in second.told_of("carried")] == [first.stream.stream_id]
    assert not second.run.recorder.unrecorded
    assert list(on_tape(second)["n"]) == list(range(1, second.run.n + 1))
    assert not second.bars.stage.head["flags"] & records.DECISION_UNRECORDED
    out = tmp_path / "alerts.jsonl"
    backtest_tape(second.directory / TAPE_NAME, out, 2)
    assert out.read_bytes().splitlines() == second.run.alerts


def test_a_restart_after_the_hole_begins_a_recorded_stream_at_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path, busy())
    first = machine.start().live(0.5)
    stall(first, 30)
    first.live(0.1)  # and the engine dies before the pointer is gone
    second = machine.start().live(0.5)
    assert new_stream(second) == "its tape has a gap"
    assert second.stream.stream_id != first.stream.stream_id
    assert list(on_tape(second)["n"]) == list(range(1, second.run.n + 1))


def killed_in_the_stall(machine: Machine, ahead: int) -> Life:
    """Cut off while the recorder waits for the disk: the newest alert is so many cycles ahead of
    the tape, which knows of no hole."""
    life = machine.start().live(0.5)
    fire(life, life.run.recorder.durable_n + ahead)
    assert state(life) == "open"
    return life


def test_a_machine_that_dies_in_the_stall_does_not_go_on_from_a_tape_its_alerts_have_outrun(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path, busy())
    first = killed_in_the_stall(machine, 3)
    n = first.run.n
    second = machine.start()
    assert new_stream(second) == (
        f"its tape ends with cycle {n}, but cycle {n + 3} has fired alerts"
    )
    assert second.stream.resumed_n == 0
    assert state(first) == "has a gap"


def test_a_tape_as_far_as_its_alerts_is_resumed(tmp_path: Path) -> None:
    machine = Machine(tmp_path, busy())
    first = killed_in_the_stall(machine, 0)
    second = machine.start()
    assert second.stream.stream_id == first.stream.stream_id
    assert second.stream.resumed_n == first.run.n


@pytest.mark.parametrize("kept", [False, True])
def test_such_a_tape_is_not_told_to_be_whole_when_its_session_is_over(
    tmp_path: Path, kept: bool
) -> None:
    machine = Machine(tmp_path, busy())
    first = machine.start()
    if kept:  # the end state is there, the tape was not told of the end
        first.to_the_roll()
        end: Callable[[], None] = lambda: None  # noqa: E731
        first.run.recorder.end = end  # type: ignore[method-assign]
        first.run.record()
        fire(first, first.run.n + 1)
    else:
        first = killed_in_the_stall(machine, 3)
        machine.hand.run(5 * MINUTE)
    second = machine.start()
    assert state(first) == "has a gap"
    assert not second.told_of("finishing")
    if not kept:
        assert "has fired alerts" in second.told_of("not_carried")[0]["reason"]
    second.live(0.2)
    assert list(on_tape(second)["n"]) == list(range(1, second.run.n + 1))
