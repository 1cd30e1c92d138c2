"""data_dir/status.json: what the engine was when it last said so, readable after a crash."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from ipc import process

STATUS_NAME = "status.json"


def write(data_dir: Path, status: dict[str, Any]) -> None:
    """Replace the file atomically. OSError: the disk says no."""
    path = data_dir / STATUS_NAME
    fresh = path.with_suffix(".json.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(status, file, indent=1, default=str)
        file.write("\n")
    fresh.replace(path)


def read(data_dir: Path) -> dict[str, Any] | None:
    """The last status, None when there is none.

    A file that says `running` while its supervisor has gone reads `crashed`: nobody was left to
    say so. Process numbers are trusted with start time and boot only.
    """
    try:
        status = json.loads((data_dir / STATUS_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(status, dict):
        return None
    if status.get("state") in {"starting", "running", "stopping"} and not _lives(status):
        status["state"] = "crashed"
    return status


def _lives(status: dict[str, Any]) -> bool:
    with contextlib.suppress(TypeError, ValueError):
        pid, start = int(status["pid"]), int(status["start_ticks"])
        return status.get("boot_id") == process.boot_id() and process.is_alive(pid, start)
    return False
