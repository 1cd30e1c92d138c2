"""Runs the command line as a person would, beside an engine under test."""

import contextlib
import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.storage.errors import StorageError
from tests.kills.rig import ROOT, Rig


def tapescan(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tools.main", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def told(rig: Rig, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on the engine's configuration."""
    return tapescan(*arguments, "--config", str(rig.config))


def status(rig: Rig) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `status --json`."""
    done = told(rig, "status", "--json")
    return done.returncode, json.loads(done.stdout)


def until(what: Callable[[], object], rig: Rig, timeout_s: float = 90.0) -> None:
    """Wait until something is true; a store that is not there yet is not."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(StorageError):
            if what():
                return
        time.sleep(0.05)
    raise AssertionError(f"it did not come about in {timeout_s} s:\n{rig.tail()}")


def events(rig: Rig, name: str) -> list[dict[str, Any]]:
    """Lines of the engine's log with an event."""
    lines = rig.log.read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in found if line["event"] == name]


def tape_info(path: Path) -> dict[str, Any]:
    """What `tape info --json` says."""
    done = tapescan("tape", "info", str(path), "--json")
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def ask(port: int, method: str, path: str, body: str = "") -> tuple[int, str]:
    """Status and text of a request from the page's own origin."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Origin": f"http://127.0.0.1:{port}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def front_port(engine: Rig) -> int:
    """Where the engine's front listens, by its log."""
    until(lambda: events(engine, "listening"), engine)
    found = re.search(r":(\d+)/$", events(engine, "listening")[-1]["url"])
    assert found is not None
    return int(found[1])
