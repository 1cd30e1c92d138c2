"""The engine's log: JSON lines with role, pid and ids, limited per event, short on a terminal."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from shm.clock import monotonic_ns, realtime_ns

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
MAX_EVENTS = 1024
_NS = 1_000_000_000


class Log:
    """Writes one line per call with a single write, so that lines of processes never mix.

    max_per_s: lines of one event in one second; what is left out is counted in the event's next
    line as `suppressed`. human: one short line for a terminal instead of JSON.
    """

    def __init__(
        self, role: str, *, fd: int = 2, level: str = "info", human: bool = False,
        max_per_s: int = 10,
    ) -> None:
        self.role = role
        self._fd = fd
        self._least = LEVELS[level]
        self._level = level
        self._human = human
        self._max_per_s = max_per_s
        self._windows: dict[str, list[int]] = {}  # event -> [window start ns, lines, suppressed]

    def for_role(self, role: str) -> "Log":
        """The same log under another role's name."""
        return Log(
            role, fd=self._fd, level=self._level, human=self._human, max_per_s=self._max_per_s
        )

    def fileno(self) -> int:
        """Where the lines go."""
        return self._fd

    def debug(self, event: str, **ids: object) -> None:
        """Log for who looks for a fault."""
        self.write("debug", event, ids)

    def info(self, event: str, **ids: object) -> None:
        """Log what happens in good order."""
        self.write("info", event, ids)

    def warning(self, event: str, **ids: object) -> None:
        """Log what is not as it should be and taken care of."""
        self.write("warning", event, ids)

    def error(self, event: str, **ids: object) -> None:
        """Log what somebody has to look at."""
        self.write("error", event, ids)

    def write(self, level: str, event: str, ids: Mapping[str, object]) -> None:
        """Write one line unless the level or the event's rate says no; never raises for I/O."""
        if LEVELS[level] < self._least:
            return
        suppressed = self._admit(event)
        if suppressed < 0:
            return
        extra = {"suppressed": suppressed} if suppressed else {}
        line = self._line(level, event, {**ids, **extra})
        try:
            os.write(self._fd, line.encode("utf-8", "replace"))
        except OSError:
            return  # nowhere left to say that the log is full or gone

    def _admit(self, event: str) -> int:
        """Lines of this event suppressed since its last one; -1: suppress this one, too."""
        now_ns = monotonic_ns()
        window = self._windows.get(event)
        if window is None:
            if len(self._windows) >= MAX_EVENTS:
                self._windows.clear()
            window = self._windows[event] = [now_ns, 0, 0]
        if now_ns - window[0] >= _NS:
            window[0], window[1] = now_ns, 0
        if window[1] >= self._max_per_s:
            window[2] += 1
            return -1
        window[1] += 1
        suppressed, window[2] = window[2], 0
        return suppressed

    def _line(self, level: str, event: str, ids: Mapping[str, object]) -> str:
        now_ns = realtime_ns()
        moment = datetime.fromtimestamp(now_ns // _NS, UTC)
        if self._human:
            told = " ".join(f"{key}={_plain(value)}" for key, value in ids.items())
            mark = "" if level == "info" else f"{level.upper()} "
            line = f"{moment.astimezone():%H:%M:%S} {self.role:<11} {mark}{event} {told}"
            return line.rstrip() + "\n"
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ns % _NS // 1_000_000:03d}Z"
        record: dict[str, object] = {"ts": stamp, "level": level, "role": self.role}
        record |= {"pid": os.getpid(), "event": event, **ids}
        return json.dumps(record, default=str, ensure_ascii=False) + "\n"


def _plain(value: object) -> str:
    text = str(value)
    return text if text and " " not in text and text.isprintable() else json.dumps(text)


def open_log(role: str, *, file: str = "", level: str = "info", max_per_s: int = 10) -> Log:
    """The log of a process: `file` (appended, mode 0640), else standard error. OSError: no file."""
    if not file:
        human = sys.stderr.isatty()
        return Log(role, fd=2, level=level, human=human, max_per_s=max_per_s)
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    return Log(role, fd=fd, level=level, max_per_s=max_per_s)
