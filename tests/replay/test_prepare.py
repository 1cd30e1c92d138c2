"""What a start does: it resumes the open stream, or says why it begins a new one."""

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.config.schema import BarsSection, Config, FeedSection, MarketSection
from engine.config.schema_running import AlertsSection
from engine.domain.records import NS_PER_MINUTE
from engine.domain.stream import StreamInfo
from engine.domain.tables import FLOW_ALERTED_N, FLOW_DURABLE_N, EngineTables
from engine.errors import EngineError
from engine.feeds.registry import open_provider
from engine.feeds.stage import FeedStage
from engine.replay.builder import Builder
from engine.replay.genesis import load, restore
from engine.replay.harness import Harness
from engine.replay.open_stream import forget, recall
from engine.replay.prepare import prepare
from engine.replay.repeat import TooSlowError, repeated
from engine.replay.tape import TapeWriter
from engine.rules.model import Rule
from engine.storage.sqlite import (
    SqliteAlertReader,
    SqliteAlertStore,
    SqliteBarReader,
    SqliteBarStore,
)
from ipc.logs import Log
from ipc.telemetry import create_board
from shm.arena import PrivateArena
from shm.board import Board
from shm.clock import realtime_ns
from shm.engine_clock import EngineClock
from shm.fences import read_word
from shm.words import WORD_STRIDE
from tests.replay.market import (
    FIRST_RULES,
    SECOND_RULES,
    Run,
    calendar_dir,
    compiled,
    config,
    tables_of,
)
from tests.replay.test_recording import DAY, HEADER, rows
from tests.storage.samples import alert, bar

TOLD = config(symbols=10, seed=4, minutes=2)


class Start:
    """Starts over one data directory, and what they logged."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.said: list[dict[str, Any]] = []
        for path in calendar_dir().glob("calendar_*.json"):
            (place / path.name).write_bytes(path.read_bytes())

    def __call__(
        self, told: Config = TOLD, rules: tuple[Rule, ...] = FIRST_RULES, workers: int = 1,
        board: Board | None = None,
    ) -> tuple[StreamInfo, EngineTables]:
        read, write = os.pipe()
        tables = tables_of(told, workers)
        stream = prepare(told, tables, self.place, compiled(rules), Log("test", fd=write),
                         board=board)  # fmt: skip
        os.close(write)
        with os.fdopen(read) as lines:
            self.said = [json.loads(line) for line in lines]
        return stream, tables

    @property
    def reason(self) -> str:
        """Why the stream of before was not gone on with."""
        return str(next(line["reason"] for line in self.said if line["event"] == "new_stream"))


@pytest.fixture
def start(tmp_path: Path) -> Start:
    Builder(TOLD, "", calendar_dir(), compiled())  # exports the calendar
    return Start(tmp_path)


def crash_at(stream: StreamInfo, tables: EngineTables, n: int, told: Config = TOLD) -> list[bytes]:
    """Run and record up to a cycle, then leave everything as it is. The alerts."""
    run = Run(tables, _genesis(stream), Path(stream.directory) / "tape.bin")
    provider = open_provider(told, stream.start_ns, stream.end_ns, session=tables.session)
    feed = FeedStage(tables.ticks.rings[0], tables.feed_names[0], provider, 0.0, lambda: 0)
    run._drain = lambda decision: None  # type: ignore[method-assign]
    while run.n < n and (feed.step() or not feed.ended):
        while run.n < n and (decision := run.bars.decide_replay()) is not None:
            run.cycle(decision)
            while run.recorder.step():
                pass
    run.writer.close()
    return run.alerts


def _genesis(stream: StreamInfo) -> Any:
    class Header:
        header = msgspec.structs.replace(_HEADER, stream_id=stream.stream_id)

    return Header


_HEADER = Builder(TOLD, "", calendar_dir(), compiled()).build().header


def test_a_crashed_stream_is_resumed_where_its_tape_ends(start: Start) -> None:
    first, tables = start()
    assert first.resumed_n == 0
    alerts = crash_at(first, tables, 60)
    again, tables = start(workers=3)
    assert (again.stream_id, again.resumed_n) == (first.stream_id, 60)
    assert again.genesis_sha256 == first.genesis_sha256
    for word in (FLOW_DURABLE_N, FLOW_ALERTED_N):
        assert read_word(tables.flow, word * WORD_STRIDE) == 60
    stored = SqliteAlertReader(start.place / "alerts.db")
    assert list(stored.texts(first.stream_id)) == alerts
    third, _ = start()
    assert third.resumed_n == 60
    assert stored.count() == len(alerts), "once each"
    assert any(SqliteBarReader(start.place / "bars.db").volumes(0, 1 << 62))


def test_every_start_takes_the_wall_clock_as_engine_time(start: Start) -> None:
    first, tables = start()
    anchor_ns = EngineClock(tables.clock).anchor_ns()
    assert EngineClock(tables.clock).move() == 0
    assert abs(EngineClock(tables.clock).skew_ns()) < 10**9
    crash_at(first, tables, 20)
    again, tables = start()
    assert again.resumed_n == 20
    assert abs(EngineClock(tables.clock).anchor_ns() - anchor_ns) < 10**9


def ended(place: Path, directory: Path) -> None:
    writer = TapeWriter(directory / "tape.bin", directory.name)
    writer.end()
    writer.close()


def gapped(place: Path, directory: Path) -> None:
    writer = TapeWriter(directory / "tape.bin", directory.name)
    writer.gap()
    writer.close()


def no_tape(place: Path, directory: Path) -> None:
    (directory / "tape.bin").unlink()


def no_genesis(place: Path, directory: Path) -> None:
    (directory / "genesis.bin").unlink()


def damaged_genesis(place: Path, directory: Path) -> None:
    content = bytearray((directory / "genesis.bin").read_bytes())
    content[-50] ^= 1
    (directory / "genesis.bin").write_bytes(content)


def other_tape(place: Path, directory: Path) -> None:
    (directory / "tape.bin").write_bytes(b"this is something else altogether")


def tape_of_before(place: Path, directory: Path) -> None:
    content = (directory / "tape.bin").read_bytes()
    (directory / "tape.bin").write_bytes(content.replace(b"-TAPE-2\n", b"-TAPE-1\n", 1))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (ended, "it was ended in order"),
        (gapped, "its tape has a gap"),
        (no_tape, "it has no tape"),
        (no_genesis, "cannot be read: No such file or directory."),
        (damaged_genesis, "is not the one its tape was recorded with."),
        (other_tape, "is not a tape: it does not start with the tape's magic bytes."),
        (tape_of_before, "but this version of Tapescan reads and writes format 2 only."),
    ],
)
def test_a_stream_that_cannot_be_resumed_is_named_and_a_new_one_begins(
    start: Start, damage: Callable[[Path, Path], None], reason: str
) -> None:
    first, tables = start()
    crash_at(first, tables, 20)
    damage(start.place, Path(first.directory))
    again, tables = start()
    assert again.stream_id != first.stream_id
    assert again.resumed_n == 0
    assert start.reason.endswith(reason)
    assert tables.cell.cells.published() == 0


@pytest.mark.parametrize("pointer", [b"", b"{", b"[1]", b'{"stream_id": 3}', b"\xff\xfe"])
def test_a_damaged_pointer_begins_a_new_stream(start: Start, pointer: bytes) -> None:
    first, _ = start()
    (start.place / "stream.json").write_bytes(pointer)
    assert start()[0].stream_id != first.stream_id


def test_a_stream_that_was_forgotten_is_not_resumed(start: Start) -> None:
    first, tables = start()
    crash_at(first, tables, 20)
    forget(start.place)
    forget(start.place)
    assert recall(start.place) is None
    assert start()[0].stream_id != first.stream_id


def test_other_settings_begin_a_new_stream_and_other_paces_do_not(start: Start) -> None:
    first, _ = start()
    feed = msgspec.structs.replace(TOLD.feed, speed=3.0, loop=False)
    assert start(msgspec.structs.replace(TOLD, feed=feed))[0].stream_id == first.stream_id
    market = MarketSection(after_close="19:00")
    assert start(msgspec.structs.replace(TOLD, market=market))[0].stream_id != first.stream_id
    assert start.reason == "the configuration has changed"


def test_other_code_begins_a_new_stream(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = start()
    monkeypatch.setattr("engine.replay.prepare.code_fingerprint", lambda: "other")
    assert start()[0].stream_id != first.stream_id
    assert start.reason == "the code has changed"


def test_another_recording_under_the_same_name_begins_a_new_stream(start: Start) -> None:
    file = start.place / "trades.csv"
    file.write_text(HEADER + "\n".join(rows(50)) + "\n")
    told = msgspec.structs.replace(TOLD, feed=FeedSection(trades=str(file), start=""))
    first, tables = start(told)
    assert first.start_ns == DAY
    assert start(told)[0].stream_id == first.stream_id
    file.write_text(HEADER + "\n".join(rows(51)) + "\n")
    assert start(told)[0].stream_id != first.stream_id
    assert start.reason == "the configuration has changed"
    assert np.isnan(tables.reference["prev_close"]).all()


def test_rules_changed_while_it_was_down_are_used_from_the_next_cycle_on(start: Start) -> None:
    first, tables = start()
    crash_at(first, tables, 30)
    again, tables = start(rules=SECOND_RULES)
    assert again.resumed_n == 30
    assert tables.rules.latest() == 2
    assert [line["version"] for line in start.said if line["event"] == "rules_renewed"] == [2]
    assert int(tables.cell.heads[30 % 4]["rules_version"]) == 1
    alerts = crash_at(again, tables, 60)
    assert any(b'"rule_id":"new"' in alert for alert in alerts)
    _, tables = start(rules=SECOND_RULES)
    assert tables.rules.latest() == 2
    assert not [line for line in start.said if line["event"] == "rules_renewed"]


def test_history_bars_are_there_before_the_stream_can_be_resumed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.replay.prepare.remember", die)
    with pytest.raises(KeyboardInterrupt):
        start()
    assert recall(start.place) is None
    assert (start.place / "bars.db").exists()


def test_a_name_given_to_streams_is_numbered_when_one_of_that_name_has_been(start: Start) -> None:
    told = msgspec.structs.replace(
        TOLD, engine=msgspec.structs.replace(TOLD.engine, stream_id="mine")
    )
    first, tables = start(told)
    assert start(told)[0].stream_id == first.stream_id == "mine", "nothing came of it yet"
    crash_at(first, tables, 60, told)
    tape = Path(first.directory) / "tape.bin"
    TapeWriter(tape, "mine").end()
    content = tape.read_bytes()
    assert [start(told)[0].stream_id for _ in range(2)] == ["mine-2", "mine-2"]
    assert tape.read_bytes() == content
    forget(start.place)
    tape.write_bytes(b"TAPESCAN-TAPE-1\n" + content[16:])
    assert start(told)[0].stream_id == "mine-2"
    assert tape.read_bytes() == b"TAPESCAN-TAPE-1\n" + content[16:]


def test_a_stream_whose_tape_is_damaged_is_not_gone_on_with(start: Start) -> None:
    first, tables = start()
    crash_at(first, tables, 60)
    tape = Path(first.directory) / "tape.bin"
    content = bytearray(tape.read_bytes())
    content[len(content) // 2] ^= 1
    tape.write_bytes(content)
    assert start()[0].stream_id != first.stream_id
    assert "is damaged at byte" in start.reason
    assert tape.read_bytes() == content


@pytest.mark.parametrize("where", ["on the tape", "after it"])
def test_the_stores_are_closed_even_when_repeating_a_stream_fails(
    start: Start, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    first, tables = start()
    crash_at(first, tables, 60)
    closed: list[str] = []
    for kind in (SqliteAlertStore, SqliteBarStore):
        real = kind.close

        def close(self: Any, real: Callable[[Any], None] = real) -> None:
            closed.append(type(self).__name__)
            real(self)

        monkeypatch.setattr(kind, "close", close)
    if where == "on the tape":
        monkeypatch.setattr(Harness, "run_tape", broken)
    tables = tables_of(TOLD)
    restore(tables, load(Path(first.directory) / "genesis.bin", first.genesis_sha256))
    with (
        Path(os.devnull).open("wb") as quiet,
        pytest.raises(EngineError, match="broken off"),
        repeated(
            tables, first.stream_id, Path(first.directory), start.place,
            Log("test", fd=quiet.fileno()),
        ),
    ):
        broken()
    assert sorted(closed) == ["SqliteAlertStore", "SqliteBarStore"]
    monkeypatch.undo()
    again, _ = start()
    assert again.resumed_n == 60


def broken(*_: object) -> None:
    raise EngineError("broken off")


def test_what_was_repeated_before_time_ran_out_is_stored(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, tables = start()
    alerts = crash_at(first, tables, 60)
    real = Harness.run_tape

    def late(self: Harness, *given: Any) -> bool:
        real(self, *given)
        raise TooSlowError("its tape could not be repeated in 0 s")

    monkeypatch.setattr(Harness, "run_tape", late)
    tables = tables_of(TOLD)
    directory = Path(first.directory)
    restore(tables, load(directory / "genesis.bin", first.genesis_sha256))
    with (
        Path(os.devnull).open("wb") as quiet,
        pytest.raises(TooSlowError),
        repeated(
            tables, first.stream_id, directory, start.place, Log("test", fd=quiet.fileno())
        ),
    ):
        pass
    assert 0 < len(alerts) < 1000, "fewer than are stored at a time"
    assert list(SqliteAlertReader(start.place / "alerts.db").texts(first.stream_id)) == alerts


def test_old_streams_are_removed_and_what_is_no_stream_of_ours_stops_no_start(
    start: Start,
) -> None:
    first, _ = start()
    streams = start.place / "streams"
    old, odd = streams / "old", streams / "odd"
    for directory in (old, odd / "inner"):
        directory.mkdir(parents=True)
        (directory / "tape.bin").write_bytes(b"")
    (streams / "notes.txt").write_text("mine")
    for path in (old, old / "tape.bin", odd / "inner" / "tape.bin", odd / "inner", odd):
        os.utime(path, (0, 0))
    other = config(symbols=10, seed=5, minutes=2)
    second, _ = start(other)
    assert not old.exists()
    assert not odd.exists()
    assert (streams / "notes.txt").read_text() == "mine"
    assert {path.name for path in streams.iterdir()} == {
        first.stream_id, second.stream_id, "notes.txt",
    }  # fmt: skip


def test_a_start_removes_what_was_kept_too_long_and_nothing_of_the_open_stream(
    start: Start,
) -> None:
    first, tables = start()
    alerts = crash_at(first, tables, 60)
    with closing(SqliteAlertStore(start.place / "alerts.db")) as store:
        store.append([
            alert(1, stream_id="over", stored_ns=1),
            alert(2, stream_id="over", stored_ns=realtime_ns()),
        ])  # fmt: skip
        store.append([
            alert(3 + at, stream_id=first.stream_id, stored_ns=1) for at in range(2)
        ])  # fmt: skip
    with closing(SqliteBarStore(start.place / "bars.db")) as bars:
        bars.upsert([bar(m, stream_id=first.stream_id) for m in range(3)])
        own = len(list(bars.volumes(0, 1 << 62, first.stream_id)))
        bars.upsert([bar(m, stream_id="over") for m in range(5)])
        recent_ns = realtime_ns() // NS_PER_MINUTE * NS_PER_MINUTE
        bars.upsert([bar(0, stream_id="over", minute_ns=recent_ns)])
    kept = {"alerts": AlertsSection(keep_days=0), "bars": BarsSection(keep_days=0)}
    board = create_board(PrivateArena(), ("alerts", "recorder"))
    for settings, over in ((kept, (2, 6)), ({}, (1, 1))):
        again, _ = start(msgspec.structs.replace(TOLD, **settings), board=board)
        assert (again.stream_id, again.resumed_n) == (first.stream_id, 60)
        with closing(SqliteAlertReader(start.place / "alerts.db")) as stored:
            assert stored.count(first.stream_id) == len(alerts) + 2
            assert stored.count("over") == over[0]
        with closing(SqliteBarReader(start.place / "bars.db")) as bars_of:
            assert len(list(bars_of.volumes(0, 1 << 62, first.stream_id))) >= own > 0
            assert len(list(bars_of.volumes(0, 1 << 62, "over"))) == over[1]
    removed = {line["store"]: line["rows"] for line in start.said if line["event"] == "pruned"}
    assert removed == {"alerts": 1, "bars": 5}
    lines = {line.name: line.counters for line in board.snapshot()}
    assert lines["alerts"]["alerts_pruned_total"] == 1
    assert lines["recorder"]["bars_pruned_total"] == 5
