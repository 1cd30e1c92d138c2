"""The lock of the data directory: held by the supervisor, inherited by every role."""

import fcntl
import os
import time
from pathlib import Path

from ipc.errors import LockedError

LOCK_NAME = "lock"
RETRY_S = 0.02


class DataLock:
    """An exclusive flock on data_dir/lock.

    The lock belongs to the open file that all forks share: it is free only when the last process
    of the engine has gone, so a new start never meets a survivor of the old one.
    """

    def __init__(self, data_dir: Path, wait_s: float = 3.0) -> None:
        """Take the lock, waiting for dying processes of a killed engine; raises LockedError."""
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = data_dir / LOCK_NAME
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline_s:
                    holder = _holder(self._fd)
                    os.close(self._fd)
                    raise LockedError(str(data_dir), holder) from None
                time.sleep(RETRY_S)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back (the last of its holders does)."""
        os.close(self._fd)


def _holder(fd: int) -> int:
    text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else 0


def holder(data_dir: Path) -> int | None:
    """The process that holds the directory, 0: one that has not said so yet, None: nobody.

    Reads /proc/locks: taking the lock, if only for a moment, could refuse an engine's start.
    """
    path = data_dir / LOCK_NAME
    try:
        place = path.stat()
        locks = Path("/proc/locks").read_text(encoding="ascii")
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    number = f":{place.st_ino} "
    held = any(" FLOCK " in line and number in line for line in locks.splitlines())
    if not held:
        return None
    return int(text) if text.isdecimal() else 0
