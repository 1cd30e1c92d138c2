"""Reads the state of an engine without disturbing it: status file, and the board read-only."""

import dataclasses
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from engine.domain.degraded import CLOCK_SKEW, reasons
from ipc import status_file
from ipc.line import Line, State, waits_for
from ipc.lock import holder
from ipc.telemetry import BOARD_NAME, SUPERVISOR
from shm.board import Board, count, quantile
from shm.board_nb import MAX
from shm.clock import monotonic_ns, realtime_ns
from shm.errors import ShmError
from shm.segments import attach
from tools.families_read import running_families

LIVE_STATES = ("starting", "running", "stopping")
LATENCIES = {
    "cycle": "scan_cycle_seconds",
    "tick_to_alert": "tick_to_alert_seconds",
    "delivery": "alert_delivery_latency_seconds",
}
COUNTERS = {
    "alerts": "alerts_emitted_total",
    "absent_cycles": "absent_cycles_total",
    "strided_cycles": "strided_cycles_total",
    "malformed_rows": "rows_malformed_total",
    "errors": "errors_total",
    "websocket_connections": "websocket_connections",
    "splits_suspected": "splits_suspected",
}


@dataclasses.dataclass
class Attached:
    """The board and the heads of the cells of one engine, mapped read-only."""

    pid: int
    board: Board
    heads: np.ndarray | None


class StatusReader:
    """Reads again and again; the mappings are kept while the same supervisor lives."""

    def __init__(self, data_dir: Path, engine: str, capacity: int = 1) -> None:
        """capacity: symbols that the engine has room for."""
        self.data_dir = data_dir
        self.engine = engine
        self._capacity = capacity
        self._attached: Attached | None = None

    def read(self) -> dict[str, Any]:
        """The whole status; unknown is None. `state`: never, starting, running, stopping,
        stopped, failed or crashed."""
        told = status_file.read(self.data_dir)
        held_by = holder(self.data_dir)
        if told is None or (held_by is not None and told["state"] not in LIVE_STATES):
            told = {"state": "never" if held_by is None else "starting", "roles": []}
            told["pid"] = held_by
        self.engine = told.get("engine", self.engine)  # it may have been overridden at its start
        status: dict[str, Any] = {
            "engine": self.engine,
            "state": told["state"],
            "data_dir": str(self.data_dir),
            "pid": told.get("pid"),
            "started": instant(told.get("started_ns")),
            "written": instant(told.get("written_ns")),
            "exit_code": told.get("exit_code"),
            "reason": told.get("reason", ""),
        }
        keys = ("stream_id", "provider", "simulated", "resumed_n", "interval_ms", "url")
        status |= {key: told.get(key) for key in keys}
        started_ns = told.get("started_ns")
        if told["state"] in LIVE_STATES and isinstance(started_ns, int):
            status["uptime_s"] = (realtime_ns() - started_ns) // 1_000_000_000
        roles = {role["role"]: dict(role) for role in told["roles"]}
        attached = self._attach(int(told.get("pid") or 0), told["state"])
        if attached is not None:
            status |= _cycle(attached.heads) | _numbers(attached.board)
            status["degraded"] = _degraded(attached, told.get("max_skew_ms"))
            families = running_families(self.engine, self._capacity)
            warming = [one.name for one in families if one.filled < 1.0]
            status["families"] = {"count": len(families), "warming": warming}
            _add_lines(roles, attached.board)
        status["roles"] = list(roles.values())
        return status

    def _attach(self, pid: int, state: str) -> Attached | None:
        if state not in LIVE_STATES or not pid:
            self._attached = None
        elif self._attached is None or self._attached.pid != pid:
            self._attached = self._open(pid)
        return self._attached

    def _open(self, pid: int) -> Attached | None:
        """Map the newest board of the engine, if it is this supervisor's."""
        try:
            board = Board.open(BOARD_NAME, lambda name: attach(self.engine, name))
            if board.word(board.line(SUPERVISOR), Line.PID) != pid:
                return None
        except ShmError:
            return None
        try:
            return Attached(pid, board, attach(self.engine, "cell_heads"))
        except ShmError:
            return Attached(pid, board, None)


def _cycle(heads: np.ndarray | None) -> dict[str, Any]:
    """What the newest published cell says; its words may be instants apart."""
    if heads is None:
        return {}
    head = heads[int(np.argmax(heads["n"]))].copy()
    if not head["t_ns"]:
        return {}
    refused = ("refused_future", "refused_capacity", "refused_tick")
    return {
        "n": int(head["n"]),
        "t": instant(int(head["t_ns"])),
        "ticks": int(head["ticks"]),
        "symbols": int(head["symbol_count"].sum()),
        "rules_version": int(head["rules_version"]),
        "refused_ticks": sum(int(head[name]) for name in refused),
        "late_trades": int(head["late"]),
    }


def _degraded(attached: Attached, max_skew_ms: object) -> list[str]:
    """What is wrong although cycles go on: the reasons that the page tells."""
    if attached.heads is None or not isinstance(max_skew_ms, int):
        return []
    head = attached.heads[int(np.argmax(attached.heads["n"]))]
    board = attached.board
    skew_ns = int(board.counters[board.line("bars"), board.counter(CLOCK_SKEW)])
    refused = {key: Line(board, key).get(Line.REFUSED) for key in board.lines}
    return reasons(int(head["flags"]), skew_ns, max_skew_ms, refused, int(head["stride"]))


def _numbers(board: Board) -> dict[str, Any]:
    """Counters over all lines, depths of the rings by reader, latencies."""
    lines = board.snapshot()
    found: dict[str, Any] = {
        key: sum(line.counters[name] for line in lines) for key, name in COUNTERS.items()
    }
    depths = {line.name: line.counters["ring_depth"] for line in lines}
    found["ring_depth"] = {name: depth for name, depth in depths.items() if depth}
    found["latency"] = {
        key: _latency(board.merged(board.histogram(name))) for key, name in LATENCIES.items()
    }
    return found


def _latency(histogram: np.ndarray) -> dict[str, float | int | None]:
    return {
        "count": count(histogram),
        "p50_ms": _ms(quantile(histogram, 0.5)),
        "p99_ms": _ms(quantile(histogram, 0.99)),
        "max_ms": _ms(float(histogram[MAX])) if count(histogram) else None,
    }


def _ms(ns: float) -> float | None:
    return None if math.isnan(ns) else round(ns / 1e6, 3)


def _add_lines(roles: dict[str, dict[str, Any]], board: Board) -> None:
    """The board is fresher than the status file: state, beat, progress, restarts, waiting."""
    now_ns = monotonic_ns()
    for line in board.snapshot():
        if line.name == SUPERVISOR:
            continue
        words = line.words
        beat_ns = int(words[Line.BEAT_NS])
        state = int(words[Line.STATE])
        other = waits_for(board, int(words[Line.WAITS]))
        waits_ms = max(0, (now_ns - int(words[Line.WAITS_NS])) // 1_000_000)
        known = state in State._value2member_map_
        roles.setdefault(line.name, {"role": line.name, "last_end": ""}).update(
            pid=int(words[Line.PID]),
            state=State(state).name.lower() if known else str(state),
            epoch=int(words[Line.EPOCH]),
            restarts=int(words[Line.RESTARTS]),
            progress=int(words[Line.PROGRESS]),
            beat_age_ms=max(0, (now_ns - beat_ns) // 1_000_000) if beat_ns else None,
            waits_for=other or None,
            waits_ms=waits_ms if other else None,
        )


def instant(ns: object) -> str | None:
    """RFC 3339 with milliseconds, UTC."""
    if not isinstance(ns, int) or ns <= 0:
        return None
    moment = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ns // 1_000_000 % 1000:03d}Z"
