"""What a short-lived child does before the roles start: resume the open stream, or begin a new
one."""

import hashlib
import shutil
import uuid
from pathlib import Path

from engine.config.schema import Config
from engine.domain.stream import StreamInfo
from engine.domain.tables import (
    FLOW_ALERTED_N,
    FLOW_ALERTED_RULES,
    FLOW_DURABLE_N,
    EngineTables,
)
from engine.errors import EngineError
from engine.feeds.registry import is_live
from engine.replay.builder import Builder, alert_config
from engine.replay.fingerprint import code_fingerprint
from engine.replay.genesis import Genesis, encode, load, restore, tape_header
from engine.replay.history_bars import HistoryBars
from engine.replay.left_behind import is_over, left_behind
from engine.replay.open_stream import (
    GENESIS_NAME,
    TAPE_NAME,
    OpenStream,
    recall,
    remember,
    stream_directory,
    write_durably,
)
from engine.replay.outrun import close_outrun
from engine.replay.prune import prune_stores
from engine.replay.repeat import repeated
from engine.replay.tape import TapeError, TapeReader, TapeWriter, create_tape
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.pack import pack, unpack
from engine.rules.publish import publish
from engine.storage.sqlite import ALERTS_NAME, SqliteAlertStore, SqliteBarStore
from ipc.logs import Log
from ipc.telemetry import Telemetry
from shm.board import Board
from shm.clock import Clocks
from shm.engine_clock import EngineClock
from shm.fences import write_word
from shm.words import WORD_STRIDE

KERNEL_CLOCKS = Clocks()


def prepare(
    config: Config,
    tables: EngineTables,
    data_dir: Path,
    compiled: CompiledRules,
    log: Log,
    clocks: Clocks = KERNEL_CLOCKS,
    board: Board | None = None,
) -> StreamInfo:
    """Fill the tables so that the roles can start, and start engine time; board: where what is
    removed from the stores is counted. Raises EngineError when no stream can be begun."""
    now_ns = clocks.realtime_ns()
    found = _resumable(config, data_dir, now_ns, log)
    if found is not None:
        stream = _resume(config, tables, data_dir, *found, log)
        _renew_rules(tables, compiled, log)
    else:
        stream = _begin(config, tables, data_dir, compiled, now_ns, log)
    removed = prune_stores(config, data_dir, stream.stream_id, now_ns, log)
    if board is not None:
        Telemetry(board, "alerts").count("alerts_pruned_total", removed["alerts"])
        Telemetry(board, "recorder").count("bars_pruned_total", removed["bars"])
    EngineClock(tables.clock, clocks).start()
    return stream


# -- resuming ------------------------------------------------------------------------------------
def _resumable(
    config: Config, data_dir: Path, now_ns: int, log: Log
) -> tuple[OpenStream, Genesis] | None:
    """The open stream and its genesis if code, settings and input still match, its session has not
    rolled and its tape has no end."""
    pointer = recall(data_dir)
    if pointer is None:
        return None
    directory = stream_directory(data_dir, pointer.stream_id)
    try:
        genesis = load(directory / GENESIS_NAME, pointer.genesis_sha256)
        if genesis.header.fingerprint != code_fingerprint():
            why = "the code has changed"
        elif is_over(genesis, now_ns):
            why = "its session is over"
        elif genesis.header.config != alert_config(config):
            why = "the configuration has changed"
        else:
            why = _why_closed(directory / TAPE_NAME, pointer.stream_id, data_dir)
            if not why:
                return pointer, genesis
    except EngineError as error:
        why = str(error)
    log.info("new_stream", before=pointer.stream_id, reason=why)
    return None


def _why_closed(path: Path, stream_id: str, data_dir: Path) -> str:
    """Why a tape cannot be gone on with, empty when it can; cuts what a crash left torn. Raises
    TapeError when it is damaged: better now than when half of it is in the tables."""
    if not path.exists():
        return "it has no tape"
    writer = TapeWriter(path, stream_id)
    try:
        outrun = close_outrun(writer, stream_id, data_dir)
    finally:
        writer.close()
    if outrun:
        return outrun
    if writer.ended:
        return "it was ended in order"
    if writer.gapped:
        return "its tape has a gap"
    with TapeReader(path) as reader:
        for _ in reader.blocks():
            continue
    return ""


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
    stream_id = pointer.stream_id
    with repeated(tables, stream_id, directory, data_dir, log) as harness:
        pass
    _set_flow(tables, harness.n)
    log.info("resumed", stream_id=stream_id, n=harness.n)
    return _info(genesis, pointer, directory, harness.n)


def _renew_rules(tables: EngineTables, compiled: CompiledRules, log: Log) -> None:
    """The tape brought the rules of before the crash; those of the file of now come after them."""
    latest = tables.rules.latest()
    known = tables.rules.read(latest)
    before = None if known is None else unpack(known)
    content = pack(compile_rules(compiled.rules, tables.sizes, before))
    if content != known:
        tables.rules.set_floor(latest)
        publish(tables, latest + 1, content)
        log.info("rules_renewed", version=latest + 1, rules=len(compiled))


def _set_flow(tables: EngineTables, n: int) -> None:
    """Say that recorder and alerts have everything up to n."""
    version = int(tables.cell.heads[n % 4]["rules_version"])
    for word, value in (
        (FLOW_DURABLE_N, n), (FLOW_ALERTED_N, n), (FLOW_ALERTED_RULES, version),
    ):  # fmt: skip
        write_word(tables.flow, word * WORD_STRIDE, value)


def _info(
    genesis: Genesis, pointer: OpenStream, directory: Path, resumed_n: int
) -> StreamInfo:
    header = genesis.header
    return StreamInfo(
        stream_id=header.stream_id,
        directory=str(directory),
        genesis_sha256=pointer.genesis_sha256,
        fingerprint=header.fingerprint,
        provider=header.provider,
        simulated=header.simulated,
        live=header.live,
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
    tape, alerts = stream_directory(data_dir, stream_id) / TAPE_NAME, data_dir / ALERTS_NAME
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
    config: Config,
    tables: EngineTables,
    data_dir: Path,
    compiled: CompiledRules,
    now_ns: int,
    log: Log,
) -> StreamInfo:
    """A new stream; a live one goes on from what the one before left. Whoever dies on the way
    leaves the open stream what it was: `remember` is the step."""
    before = left_behind(config, data_dir, now_ns, log) if is_live(config) else None
    stream_id = _new_id(config.engine.stream_id, data_dir)
    history = HistoryBars()
    builder = Builder(
        config,
        stream_id,
        data_dir,
        compiled,
        say=lambda sentence: log.info("genesis", doing=sentence),
        on_bars=history.take,
        now_ns=now_ns,
        before=before,
    )
    genesis = builder.build()
    if genesis.header.jumps:
        log.warning(
            "splits_suspected", jumps=len(genesis.header.jumps), newest=_newest(genesis),
            see="tapescan history check",
        )  # fmt: skip
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
        create_tape(tape, tape_header(genesis, pointer.genesis_sha256))
    remember(data_dir, pointer)
    restore(tables, genesis)
    _set_flow(tables, 0)
    _remove_old(config, data_dir, stream_id, now_ns, log)
    return _info(genesis, pointer, directory, 0)


def _newest(genesis: Genesis) -> str:
    """The latest jump of the daily history that looks like a split nobody told of."""
    ticker, date, ratio = max(genesis.header.jumps, key=lambda jump: (jump[1], jump[0]))
    return f"{ticker} {date} {ratio:g}"


def _remove_old(config: Config, data_dir: Path, keep: str, now_ns: int, log: Log) -> None:
    """Drop the files of streams older than tape.keep_days."""
    if config.tape.keep_days == 0:
        return
    oldest_s = now_ns / 1e9 - config.tape.keep_days * 86_400
    for directory in (data_dir / "streams").iterdir():
        if directory.name == keep or not directory.is_dir():
            continue
        newest_s = max((file.stat().st_mtime for file in directory.iterdir()), default=0.0)
        if newest_s < oldest_s:
            try:
                shutil.rmtree(directory)
            except OSError as error:  # somebody else's files: no reason not to start
                log.warning("not_removed", stream_id=directory.name, error=str(error))
            else:
                log.info("removed_stream", stream_id=directory.name)
