"""The recorder: durable before its gates move, bars after the tape, given up in the open."""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import engine.replay.recorder as recorder_module
from engine.bars.stage import BarsStage
from engine.domain import records
from engine.domain.tables import FLOW_DURABLE_N, FLOW_ENDED, FLOW_UNRECORDED
from engine.replay import tape as tape_module
from engine.replay.genesis import Genesis, restore, tape_header
from engine.replay.recorder import GATE, RecorderStage
from engine.replay.tape import TapeError, TapeWriter, create_tape
from engine.storage.errors import StoreError
from engine.storage.ports import BarRow
from engine.storage.pruning import AGAIN_NS, FIRST_NS, PAUSE_NS, Pruner
from engine.storage.stub import MemoryBarStore
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE
from tests.replay.market import (
    STREAM,
    Run,
    bars_of,
    begin,
    config,
    drive,
    feed_of,
    recorded,
    repeated,
    tables_of,
)
from tests.shm.clocks import HandClocks
from tests.storage.samples import bar

TOLD = config(symbols=10, seed=4, minutes=2)


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return begin(TOLD)


@pytest.fixture
def calm(genesis: Genesis, tmp_path: Path) -> Run:
    """The undisturbed run."""
    return recorded(TOLD, genesis, tmp_path / "calm.tape")


def new_run(genesis: Genesis, tape: Path) -> Run:
    tables = tables_of(TOLD)
    restore(tables, genesis)
    return Run(tables, genesis, tape)


def cycles(run: Run) -> Iterator[int]:
    """Run cycle by cycle, the recorder left to the test."""
    run._drain = lambda decision: None  # type: ignore[method-assign]
    feed = feed_of(TOLD, run.tables)
    while True:
        moved = feed.step()
        while (decision := run.bars.decide_replay()) is not None:
            run.cycle(decision)
            yield run.n
            if int(decision["flags"]) & records.DECISION_END:
                return
        assert moved


def go(run: Run, until: int) -> None:
    """Run up to a cycle with a recorder that follows at once."""
    for n in cycles(run):
        run.recorder.step()
        if n == until:
            return


def flow(run: Run, word: int) -> int:
    return int(read_word(run.tables.flow, word * WORD_STRIDE))


class Refusing(MemoryBarStore):
    """A bar store whose disk is full for so many calls."""

    def __init__(self, times: int, *, final: bool = False) -> None:
        super().__init__()
        self.times, self.final = times, final

    def upsert(self, bars: Sequence[BarRow]) -> int:
        if self.times:
            self.times -= 1
            raise StoreError(Path("bars.db"), "upsert of bars failed: full", final=self.final)
        return super().upsert(bars)


def test_no_gate_moves_before_its_cycles_are_on_disk(
    genesis: Genesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(genesis, tmp_path / "tape")
    gates: list[tuple[int, int]] = []
    real = os.fdatasync

    def watched(fd: int) -> None:
        gates.append((run.tables.decisions.gate(GATE), flow(run, FLOW_DURABLE_N)))
        real(fd)

    monkeypatch.setattr("os.fdatasync", watched)
    go(run, 20)
    decisions = [n for n, _ in gates]
    assert decisions[0] == 0
    assert max(decisions) == 19, "at the last sync the gates stood before the last cycle"
    assert all(gate == durable for gate, durable in gates)


def test_bars_reach_the_store_only_when_their_cycle_is_on_the_tape(
    genesis: Genesis, tmp_path: Path
) -> None:
    run = new_run(genesis, tmp_path / "tape")
    for n in cycles(run):
        if n % 20 == 0:
            run.recorder.step()
        assert all(bar.n <= flow(run, FLOW_DURABLE_N) for bar in bars_of(run))
    while run.recorder.step():
        pass
    assert bars_of(run)


@pytest.mark.parametrize("final", [False, True])
def test_old_bars_go_and_a_store_that_refuses_it_is_told_and_harms_no_recording(
    genesis: Genesis, tmp_path: Path, final: bool
) -> None:
    class Keeping(MemoryBarStore):
        """Refuses to remove anything the first time."""

        refusals = 1

        def prune(self, before_ns: int, keep: str, limit: int) -> int:
            if self.refusals:
                self.refusals -= 1
                raise StoreError(Path("bars.db"), "removal of old bars failed: full", final=final)
            return super().prune(before_ns, keep, limit)

    run, store = new_run(genesis, tmp_path / "tape"), Keeping()
    store.upsert([bar(m, stream_id="over") for m in range(30)])
    run.recorder.use_store(store)
    hand = HandClocks(1_800_000_000 * 10**9)
    pruner = Pruner(90, STREAM, 20, hand.clocks)
    hand.run(FIRST_NS)
    go(run, 60)
    assert run.recorder.prune(pruner) == 0
    assert run.recorder.failures == ["bars.db: removal of old bars failed: full"]
    assert run.recorder.store_failed == final
    run.recorder.use_store(store)
    run.recorder._store_again_ns = 0
    removed = []
    for wait_ns in (0, AGAIN_NS, PAUSE_NS):
        hand.run(wait_ns)
        removed.append(run.recorder.prune(pruner))
    assert removed == [0, 20, 10]
    assert not run.recorder.unrecorded
    assert flow(run, FLOW_DURABLE_N) == 60


@pytest.mark.parametrize("behind", [0, 1, 13])
def test_a_killed_recorder_goes_on_after_what_the_tape_holds(
    genesis: Genesis, tmp_path: Path, behind: int, calm: Run
) -> None:
    path = tmp_path / "tape"
    run = new_run(genesis, path)
    stopped = False
    for n in cycles(run):
        if n < 60 - behind:
            run.recorder.step()
        elif n == 60:  # the tape gets the cycles, the gates do not move: killed between the two
            end = run.tables.decisions.tail()
            start = run.tables.decisions.gate(GATE)
            if end > start:
                decisions = np.concatenate(run.tables.decisions.slices(start, end))
                run.recorder._write(run.writer, decisions)
            run.writer.close()
            writer = TapeWriter(path, STREAM)
            run.recorder = RecorderStage(run.tables, writer, run.bars_stored, STREAM)
            run.recorder.recover()
            assert not run.recorder.unrecorded
            assert flow(run, FLOW_DURABLE_N) == 60
            stopped = True
        elif stopped:
            run.recorder.step()
    while run.recorder.step():
        pass
    assert bars_of(run) == bars_of(calm)
    assert repeated(TOLD, genesis, path, 1)[0] == calm.alerts


def test_a_torn_block_is_written_again_by_the_next_recorder(
    genesis: Genesis, tmp_path: Path, calm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tape"
    run = new_run(genesis, path)
    go(run, 30)
    with path.open("ab") as file:
        file.write(b"TBLK" + b"\x01" * 300)
    writer = TapeWriter(path, STREAM)
    assert (writer.last_n, writer.gapped) == (30, False)
    run.recorder = RecorderStage(run.tables, writer, run.bars_stored, STREAM)
    run.recorder.recover()
    assert drive_on(run) == calm.alerts
    assert repeated(TOLD, genesis, path, 1)[0] == calm.alerts


def drive_on(run: Run) -> list[bytes]:
    """To the end, with the normal draining."""
    if "_drain" in vars(run):
        del run._drain
    feed = feed_of(TOLD, run.tables)
    assert drive(run, feed)
    return run.alerts


def test_a_tape_that_cannot_be_written_is_closed_and_the_stream_goes_on_without_it(
    genesis: Genesis, tmp_path: Path, calm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tape"
    run = new_run(genesis, path)
    go(run, 40)
    real, failures = os.fdatasync, [OSError(errno.ENOSPC, "No space left on device")]

    def full_once(fd: int) -> None:
        if failures:
            raise failures.pop()
        real(fd)

    monkeypatch.setattr("os.fdatasync", full_once)
    assert drive_on(run) == calm.alerts
    assert run.recorder.unrecorded
    assert flow(run, FLOW_UNRECORDED) == 1
    assert flow(run, FLOW_ENDED) == 1
    assert run.recorder.failures == [
        f"The stream goes on unrecorded: the tape {path} cannot be written: "
        "No space left on device."
    ]
    assert bars_of(run) == bars_of(calm), "bars do not depend on the tape"
    info = tape_module.info(path)
    assert info["state"] == "has a gap"
    alerts, ended = repeated(TOLD, genesis, path, 1)
    assert not ended
    assert alerts
    assert alerts == calm.alerts[: len(alerts)]


def test_a_disk_that_takes_nothing_at_all_is_said_twice_and_stops_nothing(
    genesis: Genesis, tmp_path: Path, calm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(genesis, tmp_path / "tape")
    go(run, 40)

    def broken(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fdatasync", broken)
    assert drive_on(run) == calm.alerts
    assert len(run.recorder.failures) == 2
    assert all("Input/output error" in sentence for sentence in run.recorder.failures)


def test_a_stage_that_takes_over_an_unrecorded_stream_does_not_write_on(
    genesis: Genesis, tmp_path: Path
) -> None:
    path = tmp_path / "tape"
    run = new_run(genesis, path)
    go(run, 30)
    run.recorder.give_up("for a test")
    size = path.stat().st_size
    writer = TapeWriter(path, STREAM)
    assert writer.gapped
    assert writer.last_n == 30
    successor = RecorderStage(run.tables, writer, run.bars_stored, STREAM)
    successor.recover()
    run.recorder = successor
    drive_on(run)
    assert path.stat().st_size == size
    assert flow(run, FLOW_ENDED) == 1


def test_a_tape_that_lost_cycles_is_given_up_instead_of_gone_on_with(
    genesis: Genesis, tmp_path: Path
) -> None:
    path = tmp_path / "tape"
    run = new_run(genesis, path)
    go(run, 30)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 10)
    run.recorder = RecorderStage(
        run.tables, TapeWriter(path, STREAM), run.bars_stored, STREAM
    )
    run.recorder.recover()
    assert run.recorder.failures[0] == (
        f"The stream goes on unrecorded: the tape {path} ends with cycle 29, "
        "but 30 were recorded."
    )
    drive_on(run)
    assert tape_module.info(path)["last_n"] == 29


def test_nothing_can_be_written_behind_an_end_or_a_gap(genesis: Genesis, tmp_path: Path) -> None:
    for close in (TapeWriter.end, TapeWriter.gap):
        path = tmp_path / close.__name__
        create_tape(path, tape_header(genesis, "00"))
        writer = TapeWriter(path, STREAM)
        close(writer)
        close(writer)
        with pytest.raises(TapeError, match="is closed: nothing follows its last block"):
            writer.rules(2, b"x")
        writer.close()
        again = TapeWriter(path, STREAM)
        assert (again.ended, again.gapped) == (close is TapeWriter.end, close is TapeWriter.gap)


def test_rules_that_are_gone_before_they_were_recorded_cost_the_tape(
    genesis: Genesis, tmp_path: Path
) -> None:
    run = new_run(genesis, tmp_path / "tape")
    run.tables.rules.ctl[:] = 0
    run.writer.rules_versions.clear()
    decision = np.zeros(1, records.DECISION)
    decision["n"] = decision["rules_version"] = 1
    with pytest.raises(TapeError, match="rules version 1 is gone before it was recorded"):
        run.recorder._write(run.writer, decision)


def test_an_overtaken_recorder_closes_the_tape_and_holds_on_again(
    genesis: Genesis, tmp_path: Path, calm: Run
) -> None:
    path = tmp_path / "tape"
    run = new_run(genesis, path)
    tables = run.tables
    for n in cycles(run):
        if n < 40 or n > 70:
            run.recorder.step()
        if n == 60:
            rings = [*tables.ticks.rings, tables.decisions, tables.bar_ring]
            for ring in rings:
                ring.drop_gate(GATE)
    while run.recorder.step():
        pass
    assert run.recorder.failures == [
        "The stream goes on unrecorded: the recorder was too slow and was overtaken."
    ]
    assert not tables.decisions.dropped(GATE)
    assert flow(run, FLOW_DURABLE_N) == run.n
    info = tape_module.info(path)
    assert (info["state"], info["last_n"]) == ("has a gap", 39)
    assert run.alerts == calm.alerts


def test_records_that_were_overtaken_while_being_copied_are_not_written(
    genesis: Genesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tape"
    run = new_run(genesis, path)
    go(run, 30)
    real = recorder_module._records

    def overtaken(ring: object, start: int, end: int) -> np.ndarray:
        run.tables.ticks.rings[0].drop_gate(GATE)
        return real(ring, start, end)  # type: ignore[arg-type]

    feed = feed_of(TOLD, run.tables)
    feed.step()
    decision = run.bars.decide_replay()
    assert decision is not None
    monkeypatch.setattr(recorder_module, "_records", overtaken)
    run.recorder.step()
    assert run.recorder.unrecorded
    assert tape_module.info(path)["last_n"] == 30


def test_a_full_bar_store_is_tried_again_and_loses_no_bar(
    genesis: Genesis, tmp_path: Path, calm: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0]
    monkeypatch.setattr("engine.replay.recorder.clock.monotonic_ns", lambda: now[0])
    run = new_run(genesis, tmp_path / "tape")
    run.bars_stored = Refusing(3)
    run.recorder.use_store(run.bars_stored)
    for _ in cycles(run):
        now[0] += 300_000_000
        run.recorder.step()
    while run.recorder.step():
        now[0] += 2_000_000_000
    assert run.bars_stored.times == 0
    assert run.recorder.bars_lost == 0
    assert len(run.recorder.failures) == 3
    assert bars_of(run) == bars_of(calm)


def test_a_bar_store_that_never_recovers_does_not_stop_the_scan(
    genesis: Genesis, tmp_path: Path, calm: Run
) -> None:
    run = new_run(genesis, tmp_path / "tape")
    store = Refusing(1 << 30, final=True)
    run.recorder.use_store(store)
    ring = run.tables.bar_ring
    room = run.tables.sizes.bar_events
    full = np.zeros(ring.capacity - room, records.BAR_EVENT)
    full["n"] = 1
    ring.publish(full)
    run.tables.cell.heads[0]["bar_tail"] = len(full)
    run.bars.head["bar_tail"] = len(full)
    for _ in cycles(run):
        run.recorder.step()
    assert run.recorder.bars_lost >= len(full) - 20_000
    assert run.recorder.store_failed
    assert "not in the bar store" in " ".join(run.recorder.failures)
    assert run.alerts == calm.alerts


def test_without_a_tape_the_gates_just_move(genesis: Genesis, calm: Run, tmp_path: Path) -> None:
    tables = tables_of(TOLD)
    restore(tables, genesis)
    run = Run(tables, genesis, tmp_path / "unused")
    run.recorder = RecorderStage(tables, None, run.bars_stored, STREAM)
    assert drive_on(run) == calm.alerts
    assert not run.recorder.unrecorded
    assert flow(run, FLOW_ENDED) == 1


def test_the_end_record_waits_for_alerts_and_bars(genesis: Genesis, tmp_path: Path) -> None:
    run = new_run(genesis, tmp_path / "tape")
    for _ in cycles(run):
        run.recorder.step()
    while run.recorder.step():
        pass
    assert flow(run, FLOW_DURABLE_N) == run.n
    assert not run.writer.ended, "its alerts are not stored yet"
    assert not run.recorder.complete
    write_word(run.tables.flow, 1 * WORD_STRIDE, run.n)
    assert run.recorder.step()
    assert run.writer.ended
    assert run.recorder.complete


@pytest.mark.parametrize("flags", [0, records.DECISION_UNRECORDED])
def test_a_decision_says_whether_its_stream_is_recorded(
    genesis: Genesis, tmp_path: Path, flags: int
) -> None:
    run = new_run(genesis, tmp_path / "tape")
    feed = feed_of(TOLD, run.tables)
    feed.step()
    decision = run.bars.decide_replay(flags, 123)
    assert decision is not None
    assert int(decision["flags"]) == flags
    assert int(decision["decided_ns"]) == 123
    run.cycle(decision)
    assert int(run.bars.head["flags"]) & records.DECISION_UNRECORDED == flags
    assert isinstance(run.bars, BarsStage)
