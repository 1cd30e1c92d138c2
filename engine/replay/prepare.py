"""What a short-lived child does before the roles start: resume the open stream, or begin a new
one."""

import hashlib
import uuid
from pathlib import Path

import numpy as np

from engine.alerts.merge import MergedCycle
from engine.config.schema import Config
from engine.domain.stream import StreamInfo
from engine.domain.tables import (
    FLOW_ALERTED_N,
    FLOW_ALERTED_RULES,
    FLOW_DURABLE_N,
    EngineTables,
)
from engine.errors import EngineError
from engine.replay.builder import Builder, alert_config
from engine.replay.fingerprint import code_fingerprint
from engine.replay.genesis import Genesis, encode, load, restore
from engine.replay.harness import Harness
from engine.replay.history_bars import HistoryBars
from engine.replay.open_stream import (
    GENESIS_NAME,
    TAPE_NAME,
    OpenStream,
    recall,
    remember,
    write_durably,
)
from engine.replay.recorder import bar_rows
from engine.replay.tape import TapeError, TapeHeader, TapeReader, TapeWriter
from engine.rules.compiler import CompiledRules
from engine.rules.pack import pack
from engine.storage.ports import StoredAlert
from engine.storage.sqlite import SqliteAlertStore, SqliteBarStore
from ipc.logs import Log
from shm import clock
from shm.engine_clock import EngineClock
from shm.fences import write_word
from shm.words import WORD_STRIDE

_SAY_EVERY_S = 2.0


def stream_directory(data_dir: Path, stream_id: str) -> Path:
    """Where genesis and tape of a stream lie."""
    return data_dir / "streams" / stream_id


def prepare(
    config: Config, tables: EngineTables, data_dir: Path, compiled: CompiledRules, log: Log
) -> StreamInfo:
    """Fill the tables so that the roles can start, and start engine time. Raises EngineError when
    no stream can be begun."""
    found = _resumable(config, data_dir, log)
    if found is not None:
        stream = _resume(config, tables, data_dir, *found, log)
        _renew_rules(tables, compiled, log)
    else:
        stream = _begin(config, tables, data_dir, compiled, log)
    EngineClock(tables.clock).start()
    return stream


# -- resuming ------------------------------------------------------------------------------------
def _resumable(config: Config, data_dir: Path, log: Log) -> tuple[OpenStream, Genesis] | None:
    """The open stream and its genesis if code, settings and input still match and its tape has no
    end."""
    pointer = recall(data_dir)
    if pointer is None:
        return None
    directory = stream_directory(data_dir, pointer.stream_id)
    try:
        genesis = load(directory / GENESIS_NAME, pointer.genesis_sha256)
        if genesis.header.fingerprint != code_fingerprint():
            why = "the code has changed"
        elif genesis.header.config != alert_config(config):
            why = "the configuration has changed"
        else:
            why = _why_closed(directory / TAPE_NAME, genesis, pointer)
            if not why:
                return pointer, genesis
    except EngineError as error:
        why = str(error)
    log.info("new_stream", before=pointer.stream_id, reason=why)
    return None


def _why_closed(path: Path, genesis: Genesis, pointer: OpenStream) -> str:
    """Why a tape cannot be gone on with, empty when it can; cuts what a crash left torn. Raises
    TapeError when it is damaged: better now than when half of it is in the tables."""
    if not path.exists():
        return "it has no tape"
    writer = TapeWriter(path, tape_header(genesis, pointer.genesis_sha256))
    writer.close()
    if writer.ended:
        return "it was ended in order"
    if writer.gapped:
        return "its tape has a gap"
    with TapeReader(path) as reader:
        for _ in reader.blocks():
            continue
    return ""


def tape_header(genesis: Genesis, genesis_sha256: str) -> TapeHeader:
    """The header of the tape that belongs to a genesis."""
    header = genesis.header
    return TapeHeader(
        stream_id=header.stream_id,
        genesis_sha256=genesis_sha256,
        interval_ns=header.interval_ns,
        feeds=header.feeds,
        fingerprint=header.fingerprint,
        simulated=header.simulated,
    )


class _Sinks:
    """Where a resume brings what it makes again: the stores ignore what they hold already."""

    _BATCH = 1000

    def __init__(self, data_dir: Path, stream_id: str, tables: EngineTables) -> None:
        self._alerts = SqliteAlertStore(data_dir / "alerts.db")
        self._bars = SqliteBarStore(data_dir / "bars.db")
        self._stream_id = stream_id
        self._tables = tables
        self._waiting: list[StoredAlert] = []

    def take(self, cycle: MergedCycle) -> None:
        for alert in cycle.alerts:
            self._waiting.append(
                StoredAlert(
                    alert_id=alert.alert_id,
                    stream_id=self._stream_id,
                    n=cycle.n,
                    t_ns=cycle.t_ns,
                    rule_id=alert.rule_id,
                    symbol=alert.symbol,
                    json=alert.document,
                    stored_ns=clock.realtime_ns(),
                )
            )
        if len(self._waiting) >= self._BATCH:
            self._flush()

    def take_bars(self, events: np.ndarray) -> None:
        self._bars.upsert(bar_rows(self._tables, self._stream_id, events))

    def _flush(self) -> None:
        if self._waiting:
            self._alerts.append(self._waiting)
            self._waiting = []

    def close(self) -> None:
        self._flush()
        self._alerts.close()
        self._bars.close()


def _resume(
    config: Config,
    tables: EngineTables,
    data_dir: Path,
    pointer: OpenStream,
    genesis: Genesis,
    log: Log,
) -> StreamInfo:
    """Genesis and tape at full speed; alerts through the normal dedupe; then the roles go on
    live."""
    directory = stream_directory(data_dir, pointer.stream_id)
    restore(tables, genesis)
    sinks = _Sinks(data_dir, pointer.stream_id, tables)
    harness = Harness(tables, pointer.stream_id, sinks.take)
    harness.on_bars = sinks.take_bars
    said = clock.monotonic_ns()

    def progress(n: int) -> None:
        nonlocal said
        if clock.monotonic_ns() - said > _SAY_EVERY_S * 1e9:
            said = clock.monotonic_ns()
            log.info("resuming", n=n)

    with TapeReader(directory / TAPE_NAME) as reader:
        harness.run_tape(reader.blocks(), progress)
    sinks.close()
    _set_flow(tables, harness.n)
    log.info("resumed", stream_id=pointer.stream_id, n=harness.n)
    return _info(config, genesis, pointer, directory, harness.n)


def _renew_rules(tables: EngineTables, compiled: CompiledRules, log: Log) -> None:
    """The tape brought the rules of before the crash; those of the file of now come after them."""
    content, latest = pack(compiled), tables.rules.latest()
    if tables.rules.read(latest) != content:
        tables.rules.set_floor(latest)
        tables.rules.publish(latest + 1, content)
        log.info("rules_renewed", version=latest + 1, rules=len(compiled.rules))


def _set_flow(tables: EngineTables, n: int) -> None:
    """Say that recorder and alerts have everything up to n."""
    version = int(tables.cell.heads[n % 4]["rules_version"])
    for word, value in (
        (FLOW_DURABLE_N, n), (FLOW_ALERTED_N, n), (FLOW_ALERTED_RULES, version),
    ):  # fmt: skip
        write_word(tables.flow, word * WORD_STRIDE, value)


def _info(
    config: Config, genesis: Genesis, pointer: OpenStream, directory: Path, resumed_n: int
) -> StreamInfo:
    header = genesis.header
    return StreamInfo(
        stream_id=header.stream_id,
        directory=str(directory),
        genesis_sha256=pointer.genesis_sha256,
        fingerprint=header.fingerprint,
        provider=header.provider,
        simulated=header.simulated,
        live=header.provider == "simulator" and config.simulator.clock == "live",
        date=header.date,
        start_ns=header.start_ns,
        end_ns=header.end_ns,
        interval_ns=header.interval_ns,
        feeds=header.feeds,
        resumed_n=resumed_n,
    )


# -- beginning -----------------------------------------------------------------------------------
def _new_id(told: str, data_dir: Path) -> str:
    """The id told, with a number if a stream of that name has been: its alerts would be taken for
    those of the new one, its tape would be lost."""
    stream_id, number = told or uuid.uuid4().hex, 1
    while _has_been(stream_id, data_dir):
        number += 1
        stream_id = f"{told}-{number}"
    return stream_id


def _has_been(stream_id: str, data_dir: Path) -> bool:
    """True when a stream of this id has a cycle on tape or an alert in the store. A tape that
    cannot be read, say one in an older format, is not written over."""
    tape, alerts = stream_directory(data_dir, stream_id) / TAPE_NAME, data_dir / "alerts.db"
    if tape.exists() and _holds_something(tape):
        return True
    if not alerts.exists():
        return False
    store = SqliteAlertStore(alerts)
    try:
        return store.count(stream_id) > 0
    finally:
        store.close()


def _holds_something(tape: Path) -> bool:
    try:
        with TapeReader(tape) as reader:
            return next(reader.blocks(), None) is not None
    except TapeError:
        return True


def _begin(
    config: Config, tables: EngineTables, data_dir: Path, compiled: CompiledRules, log: Log
) -> StreamInfo:
    stream_id = _new_id(config.engine.stream_id, data_dir)
    history = HistoryBars()
    builder = Builder(
        config,
        stream_id,
        data_dir,
        compiled,
        say=lambda sentence: log.info("genesis", doing=sentence),
        on_bars=history.take,
        now_ns=clock.realtime_ns(),
    )
    genesis = builder.build()
    bars = SqliteBarStore(data_dir / "bars.db")
    stored = history.store(bars, stream_id)
    bars.close()
    log.info("history", bars=stored)
    directory = stream_directory(data_dir, stream_id)
    directory.mkdir(parents=True, exist_ok=True)
    content = encode(genesis)
    write_durably(directory / GENESIS_NAME, content)
    pointer = OpenStream(stream_id, hashlib.sha256(content).hexdigest())
    tape = directory / TAPE_NAME
    tape.unlink(missing_ok=True)
    if config.tape.record:
        TapeWriter(tape, tape_header(genesis, pointer.genesis_sha256)).close()
    remember(data_dir, pointer)
    restore(tables, genesis)
    _set_flow(tables, 0)
    _remove_old(config, data_dir, stream_id, log)
    return _info(config, genesis, pointer, directory, 0)


def _remove_old(config: Config, data_dir: Path, keep: str, log: Log) -> None:
    """Drop the files of streams older than tape.keep_days."""
    if config.tape.keep_days == 0:
        return
    oldest_s = clock.realtime_ns() / 1e9 - config.tape.keep_days * 86_400
    for directory in (data_dir / "streams").iterdir():
        newest_s = max((file.stat().st_mtime for file in directory.iterdir()), default=0.0)
        if directory.name != keep and newest_s < oldest_s:
            for file in directory.iterdir():
                file.unlink()
            directory.rmdir()
            log.info("removed_stream", stream_id=directory.name)
