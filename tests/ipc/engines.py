"""Starting, killing and questioning the little engines of the proofs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ipc import process, status_file
from ipc.control import ask
from ipc.errors import ControlError

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"beat_ms": 400, "stall_ms": 600, "boot_ms": 8000}
PATIENCE_S = 20.0


class Engine:
    """One engine under test in a process of its own."""

    def __init__(self, directory: Path, roles: list[dict[str, Any]], **plan: Any) -> None:
        self.name = plan.pop("engine", f"t{uuid.uuid4().hex[:10]}")
        self.data_dir = directory / "data"
        self.plan = directory / "plan.json"
        content = {"data_dir": str(self.data_dir), "engine": self.name, "roles": roles}
        content |= {"patience": QUICK, **plan}
        self.plan.write_text(json.dumps(content), encoding="utf-8")
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the supervisor; again after an end, on the same data directory."""
        command = [sys.executable, "-m", "tests.ipc.engine_under_test", str(self.plan)]
        self.process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
        return self.process

    def role(self, key: str) -> dict[str, Any]:
        """The role's status by the control socket."""
        roles = ask(self.data_dir, "status")["roles"]
        return next(role for role in roles if role["role"] == key)

    def wait_role(self, key: str, test: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The role's status once `test` holds."""
        found: dict[str, Any] = {}

        def holds() -> bool:
            nonlocal found
            with contextlib.suppress(ControlError):
                found = self.role(key)
                return test(found)
            return False

        wait_until(holds, f"{key} did not get there: {found}")
        return found

    def running(self, key: str, epoch: int = 1) -> dict[str, Any]:
        """The role's status once it runs and has moved in that epoch or a later one."""
        return self.wait_role(
            key, lambda role: role["state"] == "running" and role["epoch"] >= epoch
        )

    def end(self) -> int:
        """The exit code once the engine has ended by itself."""
        return self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        """SIGTERM to the supervisor; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def log(self) -> list[dict[str, Any]]:
        """Every line of the log."""
        lines = (self.data_dir / "log.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def events(self, event: str, child: str = "") -> list[dict[str, Any]]:
        """Lines of one event (about one role)."""
        return [
            line for line in self.log()
            if line["event"] == event and child in {"", line.get("child")}
        ]

    def reason(self) -> str:
        """Why it ended, as the status file says."""
        status = status_file.read(self.data_dir)
        assert status is not None
        return str(status["reason"])

    def pids(self) -> list[int]:
        """Every process that it ever started."""
        return [line["child_pid"] for line in self.events("started")]

    def segments(self) -> list[str]:
        """Its segments in /dev/shm."""
        return [path.name for path in Path("/dev/shm").glob(f"tapescan-{self.name}-*")]

    def assert_nothing_left(self) -> None:
        """No process, no segment, no socket."""
        wait_until(lambda: not any(process.run_state(pid) for pid in self.pids()), "orphans")
        assert self.segments() == []
        assert not (self.data_dir / "control.sock").exists()


def wait_until(test: Callable[[], bool], complaint: str) -> None:
    """Poll until `test` holds; the bound is only there to fail instead of hanging."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not test():
        assert time.monotonic() < deadline_s, complaint
        time.sleep(0.01)


@contextlib.contextmanager
def engine(directory: Path, roles: list[dict[str, Any]], **plan: Any) -> Iterator[Engine]:
    """An engine that is killed with everything it started, should the proof fail."""
    under_test = Engine(directory, roles, **plan)
    try:
        yield under_test
    finally:
        if under_test.process.poll() is None:
            os.killpg(under_test.process.pid, signal.SIGKILL)
            under_test.process.wait()


def only(entry: str, **more: Any) -> list[dict[str, Any]]:
    """A plan with one role."""
    return [{"name": "role", "entry": entry, **more}]
