"""An append-only file of framed records: what append accepted is on disk when it returns.

Header: magic (8), base position u64, CRC-32 u32, zero u32. Frame: length u32, CRC-32 u32, payload;
the CRC covers the frame's position, its length and its payload. All little-endian. A position is
the number of frame bytes before it since the spool began; it survives dropping what was stored.

After a failed fsync the kernel may show bytes that never reached the disk, so opening does not
trust the file it finds: it copies the whole frames to a new file, syncs that and renames it.
"""

import errno
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.storage.errors import SpoolError, SpoolFullError

_MAGIC = b"TSPOOL01"
_HEADER = struct.Struct("<8sQII")
_FRAME = struct.Struct("<II")
_SEED = struct.Struct("<QI")
MAX_FRAME_BYTES = 16 << 20


class Syscalls:
    """The system calls of the spool that can fail; tests put failures in their place."""

    def write(self, fd: int, data: memoryview) -> int:
        """os.write."""
        return os.write(fd, data)

    def fdatasync(self, fd: int) -> None:
        """os.fdatasync."""
        os.fdatasync(fd)

    def rename(self, source: Path, target: Path) -> None:
        """os.replace."""
        source.replace(target)


class Spool:
    """One spool file and its only writer.

    base, end: positions of the oldest frame kept and after the newest; cut_bytes: torn bytes
    that opening found after the last whole frame. Raises SpoolError; then the object is done for.
    """

    def __init__(
        self, path: Path, max_bytes: int = 256 << 20, calls: Syscalls | None = None
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._calls = calls or Syscalls()
        self._fd = -1
        self.base = self.end = self.cut_bytes = 0
        try:
            self._recover()
        except OSError as error:
            raise self._give_up("open", error) from error

    def append(self, payloads: Sequence[bytes]) -> int:
        """Append one frame per payload, durable on return. Returns the new end.

        Raises SpoolFullError (nothing written, the spool stays usable) or SpoolError.
        """
        self._check_open()
        frames, end = _frames(self.path, self.end, payloads)
        if _HEADER.size + end - self.base > self.max_bytes:
            raise SpoolFullError(self.path, self.max_bytes, self.used_bytes)
        if not frames:
            return self.end
        try:
            self._write_all(self._fd, frames)
            self._calls.fdatasync(self._fd)
        except OSError as error:
            raise self._give_up("append", error) from error
        self.end = end
        return end

    @property
    def used_bytes(self) -> int:
        """Bytes of the file."""
        return _HEADER.size + self.end - self.base

    def read(self, position: int) -> Iterator[tuple[int, bytes]]:
        """Frames from a position on, as (position after the frame, payload).

        position: base, end or a position that append or read gave. What is appended while
        reading is read, too; drop must not be called on the way.
        """
        self._check_open()
        if not self.base <= position <= self.end:
            reason = f"position {position} lies outside {self.base}..{self.end}"
            raise SpoolError(self.path, reason)
        while position < self.end:
            offset = _HEADER.size + position - self.base
            head = os.pread(self._fd, _FRAME.size, offset)
            payload = b""
            if len(head) == _FRAME.size:
                size = min(_FRAME.unpack(head)[0], MAX_FRAME_BYTES)
                payload = os.pread(self._fd, size, offset + _FRAME.size)
            if not _is_whole(position, head, payload):
                raise SpoolError(self.path, f"no whole frame at position {position}")
            position += _FRAME.size + len(payload)
            yield position, payload

    def drop(self, position: int) -> None:
        """Forget the frames before a position: they are stored elsewhere. Frees their bytes.

        Atomic: a process killed on the way leaves either all of them or none.
        """
        if position == self.base:
            return
        kept = [payload for _, payload in self.read(position)]
        try:
            self._replace(position, kept)
        except OSError as error:
            raise self._give_up("drop", error) from error

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _recover(self) -> None:
        """Take over the file on disk, cut at its first torn frame; begin one when absent."""
        if not self.path.exists():
            self._replace(0, [])
            return
        data = self.path.read_bytes()
        base = _read_header(self.path, data)
        offset, payloads = _HEADER.size, []
        while offset < len(data):
            head = data[offset : offset + _FRAME.size]
            size = _FRAME.unpack(head)[0] if len(head) == _FRAME.size else 0
            payload = data[offset + _FRAME.size : offset + _FRAME.size + size]
            if not _is_whole(base + offset - _HEADER.size, head, payload):
                break
            payloads.append(payload)
            offset += _FRAME.size + size
        self.cut_bytes = len(data) - offset
        self._replace(base, payloads)

    def _replace(self, base: int, payloads: Sequence[bytes]) -> None:
        """Put a new file with these frames in place of the present one."""
        frames, end = _frames(self.path, base, payloads)
        header = _HEADER.pack(_MAGIC, base, zlib.crc32(_SEED.pack(base, 0)), 0)
        fresh = self.path.with_name(self.path.name + ".new")
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._write_all(fd, header + frames)
            self._calls.fdatasync(fd)
            self._calls.rename(fresh, self.path)
            self._sync_folder()
        except OSError:
            os.close(fd)
            raise
        self.close()
        self._fd, self.base, self.end = fd, base, end

    def _sync_folder(self) -> None:
        """Make the file's name durable."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._calls.fdatasync(folder)
        finally:
            os.close(folder)

    def _write_all(self, fd: int, data: bytes) -> None:
        """Write everything, over short writes."""
        left = memoryview(data)
        while left:
            written = self._calls.write(fd, left)
            if written <= 0:
                raise OSError(errno.EIO, "nothing was written")
            left = left[written:]

    def _check_open(self) -> None:
        if self._fd < 0:
            raise SpoolError(self.path, "the spool is closed")

    def _give_up(self, action: str, error: OSError) -> SpoolError:
        """Close for good: after a failed write or sync nothing about this file is certain."""
        self.close()
        reason = f"{action} failed: {error.strerror or error}"
        return SpoolError(self.path, reason, error.errno or 0)


def _crc(position: int, payload: bytes) -> int:
    """Check sum of a frame: bytes of another position or length never pass for it."""
    return zlib.crc32(payload, zlib.crc32(_SEED.pack(position, len(payload))))


def _is_whole(position: int, head: bytes, payload: bytes) -> bool:
    """True when these are the frame that was written at this position."""
    if len(head) != _FRAME.size:
        return False
    return bool(_FRAME.unpack(head) == (len(payload), _crc(position, payload)))


def _frames(path: Path, position: int, payloads: Sequence[bytes]) -> tuple[bytes, int]:
    """The bytes of frames from a position on, and the position after them."""
    parts: list[bytes] = []
    for payload in payloads:
        if len(payload) > MAX_FRAME_BYTES:
            reason = f"a frame of {len(payload)} bytes passes the bound of {MAX_FRAME_BYTES}"
            raise SpoolError(path, reason)
        parts += (_FRAME.pack(len(payload), _crc(position, payload)), payload)
        position += _FRAME.size + len(payload)
    return b"".join(parts), position


def _read_header(path: Path, data: bytes) -> int:
    """The base position that a spool file names."""
    if len(data) >= _HEADER.size:
        magic, base, crc, _ = _HEADER.unpack_from(data)
        if magic == _MAGIC and crc == zlib.crc32(_SEED.pack(base, 0)):
            return int(base)
    raise SpoolError(path, "it does not begin like a spool")
