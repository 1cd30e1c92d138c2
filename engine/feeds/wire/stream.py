"""Whole lines of a text file, plain or gzip, as byte blocks that end with a newline."""

import zlib
from collections.abc import Iterator
from pathlib import Path

from engine.feeds.errors import FeedError

CHUNK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's way to say: gzip members only


class CutShort(Exception):  # noqa: N818 - it is a state of the input, told to the reader
    """Raised when a gzip stream ends in the middle or is damaged; what came before it was
    delivered."""


def _chunks(path: Path) -> Iterator[bytes]:
    """Decompressed bytes of a file, about CHUNK_BYTES at a time; members of a gzip file joined."""
    with path.open("rb") as file:
        data = file.read(CHUNK_BYTES)
        if not data.startswith(_GZIP_MAGIC):
            while data:
                yield data
                data = file.read(CHUNK_BYTES)
            return
        member = zlib.decompressobj(_GZIP_WINDOW)
        while data or not member.eof:
            if not data:
                raise CutShort("it ends in the middle of a gzip stream")
            try:
                out = member.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise CutShort(f"its gzip stream is damaged ({error})") from error
            if out:
                yield out
            data = member.unconsumed_tail
            if member.eof:
                data = member.unused_data.lstrip(b"\0") or file.read(CHUNK_BYTES).lstrip(b"\0")
                if not data:
                    return
                member = zlib.decompressobj(_GZIP_WINDOW)
            elif not data:
                data = file.read(CHUNK_BYTES)


def line_blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Blocks of whole lines: (bytes ending with a newline, lines too long that were left out after
    it).

    The last line gets its newline if it has none. A line longer than MAX_LINE_BYTES is never held:
    it is left out and counted. Raises CutShort after the last whole block, FeedError when the file
    cannot be read.
    """
    carry = b""
    skipping = False
    cut: CutShort | None = None
    chunks = _chunks(path)
    while True:
        try:
            chunk = next(chunks)
        except StopIteration:
            break
        except CutShort as error:
            cut = error
            break
        except OSError as error:
            raise FeedError(f"{path} cannot be read: {error.strerror}.") from error
        if skipping:
            start = chunk.find(b"\n") + 1
            if not start:
                continue
            chunk, skipping = chunk[start:], False
        end = chunk.rfind(b"\n") + 1
        block = carry + chunk[:end] if end else b""
        carry = chunk[end:] if end else carry + chunk
        skipping = len(carry) > MAX_LINE_BYTES
        if skipping:
            carry = b""
        if block or skipping:
            yield block, int(skipping)
    if carry and cut is None:
        yield carry + b"\n", 0
    if cut is not None:
        raise cut
