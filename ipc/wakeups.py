"""Waking each other: one eventfd per role, made before the fork, inherited by everybody."""

import os
import select
from collections.abc import Iterable


class Wakeups:
    """The eventfds of all roles. A role waits on its own and notifies the others'.

    An eventfd counts: a notification before the wait is not lost, many are one wake-up.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        flags = os.EFD_NONBLOCK | os.EFD_CLOEXEC
        self._fds = {key: os.eventfd(0, flags) for key in keys}
        self._own = -1
        self._poll: select.poll | None = None

    def own(self, key: str) -> None:
        """Say which role this process is; `wait` and `fileno` are about its eventfd."""
        self._own = self._fds[key]
        self._poll = select.poll()
        self._poll.register(self._own, select.POLLIN)

    def fileno(self) -> int:
        """This role's eventfd, for an event loop; `clear` it when it is readable."""
        return self._own

    def notify(self, key: str) -> None:
        """Wake the role; costs one system call, never blocks. KeyError: no such role."""
        self._write(self._fds[key])

    @staticmethod
    def _write(fd: int) -> None:
        try:
            os.eventfd_write(fd, 1)
        except BlockingIOError:
            return  # the counter is at its maximum: the reader has a wake-up waiting already

    def wait(self, timeout_s: float) -> bool:
        """Sleep until notified, a signal or the timeout; True when notified."""
        if self._poll is None:
            raise RuntimeError("Wakeups.own() says which role waits, and was not called")
        if timeout_s > 0:
            self._poll.poll(timeout_s * 1000)
        return self.clear()

    def clear(self) -> bool:
        """Take the notifications that are waiting; True when there was one."""
        try:
            os.eventfd_read(self._own)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Close every eventfd (supervisor, after the last role has gone)."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
