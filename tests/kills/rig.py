"""A real engine under test: started by the real command, watched through shared memory, killed by
pid."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.storage.ports import BarRow
from engine.storage.sqlite import SqliteAlertReader, SqliteBarReader
from ipc import process, status_file
from ipc.line import Line
from ipc.telemetry import BOARD_NAME
from shm.board import Board
from shm.errors import ShmError
from shm.segments import attach, sweep

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "engine/feeds/recordings/trades_lean_20131007_20131008.csv.gz"
START_TIMEOUT_S = 240.0
FAR = 1 << 62
SUPERVISOR: dict[str, object] = {"beat_timeout_ms": 1500, "abort_wait_ms": 100, "budget_s": 30}

RULES = [
    {
        "id": "move",
        "name": "Moves within a minute",
        "conditions": [{"metric": "chg_1m_pct", "op": ">", "value": 0.02}],
        "cooldown_sec": 5,
    },
    {
        "id": "drop",
        "name": "Falls within ten seconds",
        "conditions": [{"metric": "chg_10s_pct", "op": "<", "value": -0.01}],
        "cooldown_sec": 3,
        "trigger": "edge",
    },
    {
        "id": "busy",
        "name": "Busy minute above the average price",
        "conditions": [
            {"metric": "vol_1m", "op": ">", "value": 5000},
            {"metric": "last", "op": ">", "value": 1},
            {"metric": "rsi(14)", "op": ">", "value": 45},
        ],
        "cooldown_sec": 10,
    },
]


class Rig:
    """One engine in `place`; name must be unique on this machine while it runs. feed: settings of
    the feed, a few of others, `supervisor`, a table of its own, and `rules`, documents."""

    def __init__(self, place: Path, name: str, **feed: object) -> None:
        self.place = place
        self.name = name
        self.data_dir = place / "data"
        self.config = place / "scanner.toml"
        self.log = place / "engine.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.workers = int(feed.pop("scan_workers", 2))  # type: ignore[call-overload]
        place.mkdir(parents=True, exist_ok=True)
        rules = feed.pop("rules", RULES)
        (place / "rules.json").write_text(json.dumps(rules))
        self.config.write_text(self._toml(feed))

    def _toml(self, feed: dict[str, object]) -> str:
        settings: dict[str, Any] = {
            "engine": {
                "name": self.name,
                "scan_workers": self.workers,
                "interval_ms": feed.pop("interval_ms", 100),
                "stream_id": feed.pop("stream_id", "under-test"),
            },
            "paths": {"data_dir": str(self.data_dir)},
            "simulator": feed.pop("simulator", {}),
            "supervisor": SUPERVISOR | feed.pop("supervisor", {}),  # type: ignore[operator]
            "feed": {
                "provider": "replay",
                "trades": str(RECORDING),
                "history_dates": ["2013-10-07"],
                "start": "2013-10-08T09:28:00-04:00",
                "end": "2013-10-08T09:45:00-04:00",
                "speed": 50.0,
                "loop": False,
                "stop_at_end": True,
            }
            | feed,
            "rules": {"path": "rules.json"},
            "web": {"port": 0},
        }
        lines = []
        for section, values in settings.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        return "\n".join(lines) + "\n"

    # -- life ------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the engine; returns when every role has begun."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tools.main", "run", "--config", str(self.config)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            told = status_file.read(self.data_dir)
            if told and told["pid"] == self.process.pid and told["state"] == "running":
                return
            if self.process.poll() is not None:
                raise AssertionError(f"the engine did not start:\n{self.tail()}")
            time.sleep(0.05)
        raise AssertionError(f"the engine was not ready in {START_TIMEOUT_S} s:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log, for a failing test."""
        return self.log.read_text()[-6000:]

    def running(self) -> bool:
        """True while the supervisor lives."""
        return self.process is not None and self.process.poll() is None

    def wait(self, timeout_s: float) -> int:
        """Wait for its own end."""
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the engine did not end:\n{self.tail()}") from error

    def stop(self) -> int:
        """An orderly stop."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.wait(60)

    def clean(self) -> None:
        """Leave nothing: processes, segments, files."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and any(self.role_pids().values()):
            time.sleep(0.05)
        sweep(self.name)
        shutil.rmtree(self.place, ignore_errors=True)

    # -- looking ---------------------------------------------------------------------------------
    def board(self) -> Board | None:
        """Its board, read-only; None when there is none."""
        with contextlib.suppress(ShmError, OSError):
            return Board.open(BOARD_NAME, lambda array: attach(self.name, array))
        return None

    def role_pids(self) -> dict[str, int]:
        """Living processes of the roles by key, 0: none."""
        told = status_file.read(self.data_dir)
        if not told:
            return {}
        found = {}
        for role in told["roles"]:
            pid = int(role["pid"])
            alive = pid > 0 and process.run_state(pid) not in {"", "Z"}
            found[str(role["role"])] = pid if alive else 0
        return found

    def progress(self, board: Board, key: str) -> int:
        """How far a role is."""
        return Line(board, key).get(Line.PROGRESS)

    def pid(self, board: Board, key: str) -> int:
        """Process of a role by the board."""
        return Line(board, key).get(Line.PID)

    # -- results ---------------------------------------------------------------------------------
    def alerts(self) -> list[bytes]:
        """Canonical JSON of every stored alert of the stream, in order."""
        return list(SqliteAlertReader(self.data_dir / "alerts.db").texts("under-test"))

    def bars(self) -> dict[str, list[BarRow]]:
        """Every stored final bar of the stream by symbol."""
        reader = SqliteBarReader(self.data_dir / "bars.db")
        return {
            symbol: reader.range(symbol, 0, FAR, "under-test")
            for symbol in ("AIG", "BAC", "IBM", "SPY")
        }

    def leftovers(self) -> list[str]:
        """Segments and processes that the engine left behind."""
        segments = [path.name for path in Path("/dev/shm").glob(f"tapescan-{self.name}-*")]
        return segments + [f"{key} {pid}" for key, pid in self.role_pids().items() if pid]


@contextlib.contextmanager
def rig(place: Path, label: str, **feed: object) -> Iterator[Rig]:
    """A rig that is cleaned up whatever happens."""
    made = Rig(place / label, f"kill-{label}-{os.getpid()}", **feed)
    try:
        yield made
    finally:
        made.clean()
