"""Which stream a data directory works on: a small file that the next start reads."""

import contextlib
import os
from pathlib import Path

import msgspec

_POINTER = "stream.json"
GENESIS_NAME = "genesis.bin"  # the two files of a stream, in its directory
TAPE_NAME = "tape.bin"


class OpenStream(msgspec.Struct, frozen=True):
    """The stream that was begun last; genesis_sha256 is the hash of its genesis file."""

    stream_id: str
    genesis_sha256: str


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


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file whole; content and name are on disk on return."""
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
