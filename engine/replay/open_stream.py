"""Which stream a data directory works on: a small file that the next start reads."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

_POINTER = "stream.json"
GENESIS_NAME = "genesis.bin"  # the two files of a stream, in its directory
TAPE_NAME = "tape.bin"
_SYNC_BYTES = 32 << 20  # written between two waits for the disk: none of them may take long


def tape_file(path: Path) -> Path:
    """The tape that a path stands for: the file itself, or the one in a stream's directory."""
    return path / TAPE_NAME if path.is_dir() else path


class OpenStream(msgspec.Struct, frozen=True):
    """The stream that was begun last; genesis_sha256 is the hash of its genesis file."""

    stream_id: str
    genesis_sha256: str


def stream_directory(data_dir: Path, stream_id: str) -> Path:
    """Where genesis and tape of a stream lie."""
    return data_dir / "streams" / stream_id


def remember(data_dir: Path, stream: OpenStream) -> None:
    """Make a stream the one that the next start resumes; durable on return."""
    write_durably(data_dir / _POINTER, msgspec.json.encode(stream))


def recall(data_dir: Path) -> OpenStream | None:
    """The stream to resume, None when there is none or the file is damaged."""
    try:
        return msgspec.json.decode((data_dir / _POINTER).read_bytes(), type=OpenStream)
    except (OSError, msgspec.DecodeError):
        return None


def forget(data_dir: Path) -> None:
    """Let the next start begin a new stream, even if the tape could not be told so."""
    with contextlib.suppress(FileNotFoundError):
        (data_dir / _POINTER).unlink()


class _Paced(io.FileIO):
    """A file whose writer shows between two pieces that it is alive, and has the disk keep up."""

    def __init__(self, path: Path, beat: Callable[[], None]) -> None:
        super().__init__(path, "wb")
        self._beat = beat
        self._unsynced = 0

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        done = 0
        while done < len(view):
            done += super().write(view[done:])
        self._unsynced += done
        if self._unsynced > _SYNC_BYTES:
            os.fdatasync(self.fileno())
            self._unsynced = 0
        self._beat()
        return done


def _silent() -> None:
    """Nobody waits for a sign of life."""


@contextlib.contextmanager
def replaced(path: Path, beat: Callable[[], None] = _silent) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` whole; content and name are on disk at the
    end. beat: called with every piece that is written. Raises OSError."""
    temporary = path.with_suffix(".new")
    with _Paced(temporary, beat) as file:
        yield cast(BinaryIO, file)
        os.fsync(file.fileno())
    temporary.rename(path)
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file whole; content and name are on disk on return."""
    with replaced(path) as file:
        file.write(content)
