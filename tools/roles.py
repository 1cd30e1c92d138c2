"""The composition root: the table of roles, and how a configuration becomes a running engine."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.config.address import page_url
from engine.config.running import Running
from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.domain.sizes import Sizes
from engine.domain.stream import StreamInfo
from engine.domain.tables import EngineTables, allocate
from engine.replay import prepare
from engine.replay.builder import columns
from engine.replay.warm import warm
from engine.rules.compiler import CompiledRules
from engine.rules.stored import open_library, store_path, take_in_source
from engine.storage.user_sqlite import SqliteUserStore
from engine.users.accounts import FIRST_NAME, first_admin
from ipc import errand
from ipc.lock import DataLock
from ipc.logs import Log, open_log
from ipc.policy import Class, Limits
from ipc.roles import RoleSpec
from ipc.supervisor import Parts, Settings, Supervisor
from ipc.telemetry import create_board
from ipc.watch import Patience
from shm import clock
from shm.arena import MeasuringArena
from shm.board import Board
from shm.segments import SharedArena, sweep
from tools.start_checks import refuse_taken_name, refuse_taken_port

PREPARE_TIMEOUT_S = 3600.0
# A new start must not take a directory `tools` for ours because the user stands beside it.
_ELSEWHERE = () if Path.cwd() == Path(__file__).resolve().parent.parent else ("-P",)

_BOARD = ("board_state", "board_counters", "board_histograms")
_HISTORY = (
    "bars", "second_price", "second_volume", "second_stamp", "minute_price", "minute_stamp",
    "session_volume", "session_stamp", "second_trades", "trades_stamp", "pool",
)  # fmt: skip
_BARS = (
    "ticks_ctl", "decisions_ctl", "decisions_data", "bar_ring_ctl", "bar_ring_data", "clock",
    "cells_ctl", "cell_rows", "cell_heads", "cell_events", "names_ctl", "names_raw",
    "reference", "closes", *_HISTORY,
)  # fmt: skip
_INDICATORS = (
    "indicator_words", "indicator_state", "indicator_values", "indicator_closes",
    "indicator_changed", "frame_kept", "frame_closes", "frame_ranges", "frame_marks", "frame_ops",
    "frame_op_words", "frame_minute_high", "frame_minute_low", "frame_minute_stamp",
    "frame_long_price", "frame_long_stamp",
)  # fmt: skip
_SCAN = (
    "metric_columns", "family_state", "family_since", "truth", "op_bits", "op_rows", "held",
    "cooldowns", "fired_ns", "looked_ns", "looked_bars", "scan_words",
)  # fmt: skip
_ALERTS = ("flow", "kept_back")
_RECORDER = ("ticks_ctl", "decisions_ctl", "bar_ring_ctl", "flow")
_WEB = ("rules_ctl", "rules_data")


def role_table(sizes: Sizes) -> list[RoleSpec]:
    """Every role with its entry, its order and the arrays that it may write; the rest is read-only
    to it."""
    lanes = tuple(f"lane{worker}_ctl" for worker in range(sizes.workers))
    found = [
        RoleSpec(
            "feed", "engine.feeds.role:main", feed, Class.CRITICAL, 3, 0,
            ("ticks_ctl", "ticks_data", f"feed_names{feed}_ctl", f"feed_names{feed}_raw"),
        )
        for feed in range(sizes.feeds)
    ]  # fmt: skip
    found += [
        RoleSpec("bars", "engine.bars.role:main", None, Class.CRITICAL, 0, 1, _BARS),
        RoleSpec(
            "indicators", "engine.indicators.role:main", None, Class.CRITICAL, 0, 2, _INDICATORS
        ),
    ]
    found += [
        RoleSpec(
            "scan", "engine.scan.role:main", worker, Class.CRITICAL, 0, 2,
            (*_SCAN, f"lane{worker}_ctl", f"lane{worker}_data"),
        )
        for worker in range(sizes.workers)
    ]  # fmt: skip
    found += [
        RoleSpec(
            "alerts", "engine.alerts.role:main", None, Class.CRITICAL, 1, 3, (*_ALERTS, *lanes)
        ),
        RoleSpec(
            "recorder", "engine.replay.recorder_role:main", None, Class.CRITICAL, 1, 4, _RECORDER
        ),
        RoleSpec("web", "web.role:main", None, Class.RESTARTABLE, 2, 5, _WEB, takes_orders=True),
    ]
    return [
        dataclasses.replace(spec, watch_progress=spec.name not in ("feed", "web")) for spec in found
    ]


def _log(config: Config, role: str) -> Log:
    told = config.log
    return open_log(role, file=told.file, level=told.level, max_per_s=told.max_per_s)


def _settings(config: Config) -> Settings:
    told = config.supervisor
    return Settings(
        patience=Patience(
            beat_ms=told.beat_timeout_ms,
            stall_ms=told.stall_timeout_ms,
            boot_ms=told.boot_timeout_ms,
        ),
        limits=Limits(
            max_deaths=told.max_deaths,
            budget_s=told.budget_s,
            backoff_min_ms=told.backoff_min_ms,
            backoff_max_ms=told.backoff_max_ms,
        ),
        abort_wait_ms=told.abort_wait_ms,
        stop_timeout_ms=told.stop_timeout_ms,
    )


@dataclasses.dataclass(frozen=True)
class _Memory:
    arena: SharedArena
    tables: EngineTables
    board: Board


def _create(config: Config, data_dir: Path) -> _Memory:
    """Reserve and create every table: one epoch more than the engine before."""
    epoch = _next_epoch(data_dir)
    refuse_taken_name(config.engine.name, epoch)
    sizes, asked = sizes_of(config), columns()
    keys = [spec.key for spec in role_table(sizes)]
    measure = MeasuringArena()
    allocate(measure, sizes, asked)
    create_board(measure, keys)
    arena = SharedArena(config.engine.name, epoch, measure.total_bytes)
    return _Memory(arena, allocate(arena, sizes, asked), create_board(arena, keys))


def _next_epoch(data_dir: Path) -> int:
    path = data_dir / "epoch"
    try:
        epoch = int(path.read_text(encoding="ascii")) + 1
    except (OSError, ValueError):
        epoch = 1
    path.write_text(f"{epoch}\n", encoding="ascii")
    return epoch


def _describe(stream: StreamInfo, config: Config) -> dict[str, object]:
    return {
        "stream_id": stream.stream_id,
        "provider": stream.provider,
        "simulated": stream.simulated,
        "resumed_n": stream.resumed_n,
        "interval_ms": stream.interval_ms,
        "max_skew_ms": config.clock.max_skew_ms,
        "url": page_url(config.web.host, config.web.port) if config.web.port else None,
    }


def _take_in_rules(config: Config, data_dir: Path, log: Log) -> CompiledRules:
    """What the engine starts with: the rules of the store, once rules.path is taken in. The store
    is closed again before anything forks."""
    library = open_library(config, data_dir)
    try:
        outcome = take_in_source(library, config)
        compiled = library.program().compiled
    finally:
        library.store.close()
    log.info("rules", enabled=len(compiled.rules), changed=len(outcome.changed))
    return compiled


def _create_first_admin(config: Config, data_dir: Path) -> None:
    """Where users sign in and there are none yet: make the first, and say its password once. The
    store is closed again before anything forks."""
    if config.web.auth != "password":
        return
    store = SqliteUserStore(store_path(data_dir))
    try:
        password = first_admin(store)
    finally:
        store.close()
    if password is not None:
        print(f"Sign in as {FIRST_NAME} with the one-time password {password}", flush=True)


def run_engine(config: Config, arguments: Sequence[str] = (), no_switch: str = "") -> int:
    """Run the engine until it is stopped; returns the exit code.

    arguments: those of `tapescan run`, for a new start after a loop or on the other demo market;
    no_switch: why there is no other. Raises EngineError (bad rules, a port or a name is taken),
    LockedError (another engine holds the data directory), SegmentError (no room).
    """
    data_dir = Path(config.paths.data_dir)
    lock = DataLock(data_dir)
    log = _log(config, "supervisor")
    refuse_taken_port(config)
    compiled = _take_in_rules(config, data_dir, log)
    _create_first_admin(config, data_dir)
    for name in sweep(config.engine.name):
        log.info("swept", segment=name)
    begun_ns = clock.monotonic_ns()
    memory = _create(config, data_dir)
    try:
        simulated = config.feed.provider == "simulator"
        warm(lambda step: log.info("warming", step=step), simulator=simulated)
        log.info("warm", seconds=round((clock.monotonic_ns() - begun_ns) / 1e9, 2))
        answer = errand.run(
            "preparing the stream",
            lambda: msgspec.to_builtins(
                prepare.prepare(
                    config, memory.tables, data_dir, compiled, log, board=memory.board
                )
            ),
            PREPARE_TIMEOUT_S,
        )
        stream = msgspec.convert(answer, StreamInfo)
        log.info("ready", seconds=round((clock.monotonic_ns() - begun_ns) / 1e9, 2),
                 **_describe(stream, config))  # fmt: skip
        running = Running(
            config, stream, memory.tables, memory.board, data_dir, tuple(arguments), no_switch
        )
        return _supervise(running, memory.arena, log)
    finally:
        memory.arena.unlink_all()
        lock.release()


def _supervise(running: Running, arena: SharedArena, log: Log) -> int:
    config, tables = running.config, running.tables
    parts = Parts(
        engine=config.engine.name,
        data_dir=running.data_dir,
        board=running.board,
        log=log,
        shared=running,
        protect=lambda spec: arena.protect((*_BOARD, *spec.writable)),
        forward={"reload": "web", "rules": "web"},
        waiting=tables.waiting,
        describe=lambda: _describe(running.stream, config),
        cleanup=arena.unlink_all,
        relaunch=(sys.executable, *_ELSEWHERE, "-m", "tools.main", "run"),
        arguments=running.arguments,
    )
    return Supervisor(role_table(tables.sizes), _settings(config), parts).run()
