"""Signals of the supervisor as readable bytes, so that one poll waits for everything."""

import contextlib
import os
import signal
from types import FrameType

HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class SignalPipe:
    """Turns signals into bytes of a pipe; the handlers themselves do nothing."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _ignore) for number in HANDLED}

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._read

    def receive(self) -> list[int]:
        """Numbers of the signals that have come, in order."""
        with contextlib.suppress(BlockingIOError):
            return list(os.read(self._read, 4096))
        return []

    def close_in_child(self) -> None:
        """Close the descriptors; the child has handlers of its own."""
        os.close(self._read)
        os.close(self._write)

    def close(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        self.close_in_child()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    return
