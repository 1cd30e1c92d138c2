"""Failures on demand: the n-th write or sync fails, for the spool and for SQLite files."""

import errno
import os
from pathlib import Path

import apsw

from engine.storage.spool import Syscalls


class Trap:
    """Counts calls; the n-th (from 1) raises OSError(number), and all later ones when sticky. A
    failing write leaves half of its bytes behind.
    """

    def __init__(self, at: int, number: int, *, sticky: bool = False) -> None:
        self.at, self.number, self.sticky = at, number, sticky
        self.calls = self.fired = 0

    def spring(self) -> bool:
        """True when this call is to fail."""
        self.calls += 1
        hit = self.calls == self.at or (self.sticky and self.calls > self.at)
        self.fired += hit
        return hit

    def error(self) -> OSError:
        """What the failing call raises."""
        return OSError(self.number, os.strerror(self.number))


class FailingCalls(Syscalls):
    """System calls of a spool over a trap."""

    def __init__(self, trap: Trap) -> None:
        self.trap = trap

    def write(self, fd: int, data: memoryview) -> int:
        """Half of the bytes, then the error; without a failure a short write now and then."""
        if self.trap.spring():
            os.write(fd, data[: len(data) // 2])
            raise self.trap.error()
        return os.write(fd, data[: max(len(data) * 2 // 3, 1)])

    def fdatasync(self, fd: int) -> None:
        """The error instead of a sync."""
        if self.trap.spring():
            raise self.trap.error()
        super().fdatasync(fd)

    def rename(self, source: Path, target: Path) -> None:
        """The error instead of the new name."""
        if self.trap.spring():
            raise self.trap.error()
        super().rename(source, target)


class FailingDisk(apsw.VFS):
    """A file layer of SQLite over a trap: writes, syncs, truncations. End it with unregister."""

    def __init__(self, name: str, trap: Trap) -> None:
        self.trap = trap
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_File":  # noqa: N802
        """Every file goes through the trap."""
        return _File(self.trap, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, trap: Trap, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self.trap = trap
        super().__init__("", name, flags)

    def _fail(self, code: type[apsw.Error]) -> None:
        raise (apsw.FullError if self.trap.number == errno.ENOSPC else code)("injected")

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Half of the bytes, then the error."""
        if self.trap.spring():
            super().xWrite(data[: len(data) // 2], offset)
            self._fail(apsw.IOError)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """The error instead of a sync."""
        if self.trap.spring():
            self._fail(apsw.IOError)
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        """The error instead of a shorter file."""
        if self.trap.spring():
            self._fail(apsw.IOError)
        super().xTruncate(size)
