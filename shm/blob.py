"""Versioned bytes: a few slots, each with a version, a length, a CRC; readers copy and check.

Slot words are on their own cache lines. Publishing picks an invalid slot, else the slot with the
oldest version, which must be below the floor: marks it invalid (0), writes content, length and CRC,
then stores the version with release. A writer killed inside leaves one invalid slot and all other
versions readable; its successor takes that slot first.
"""

import zlib
from collections.abc import Callable

import numpy as np

from shm.arena import Arena, PrivateArena
from shm.errors import BlobError, BlobFull
from shm.fences import acquire, read_word, release, write_word
from shm.words import WORD_STRIDE, words

FLOOR = 0
FIRST_SLOT = 1 * WORD_STRIDE
VERSION, LENGTH, CRC = 0, 1, 2  # words of a slot, on one line: they change together
INVALID = 0


def _crc(version: int, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(version.to_bytes(8, "little")))


class Blob:
    """ctl: int64[(1 + slots) * 16]; data: uint8[slots, nbytes], of which memory is reserved as far
    as contents went."""

    def __init__(self, arena: Arena, name: str, ctl: np.ndarray, data: np.ndarray) -> None:
        self._arena = arena
        self.name = name
        self.ctl = ctl
        self.data = data
        self.slots, self.nbytes = data.shape

    @classmethod
    def create(cls, arena: Arena, name: str, slots: int, nbytes: int) -> "Blob":
        """A new blob without versions in arrays `<name>_ctl` and `<name>_data`."""
        ctl = words(arena, f"{name}_ctl", 1 + slots)
        data = arena.array(f"{name}_data", (slots, nbytes), np.uint8, later=True)
        return cls(arena, name, ctl, data)

    @classmethod
    def opened(cls, name: str, array: Callable[[str], np.ndarray]) -> "Blob":
        """A blob to read from, of arrays by the names under which `create` made them."""
        return cls(PrivateArena(), name, array(f"{name}_ctl"), array(f"{name}_data"))

    def _word(self, slot: int, word: int) -> int:
        return FIRST_SLOT + slot * WORD_STRIDE + word

    def versions(self) -> list[int]:
        """Version of each slot; 0: none, or a writer is (or died) inside."""
        return [read_word(self.ctl, self._word(slot, VERSION)) for slot in range(self.slots)]

    def latest(self) -> int:
        """Newest published version, 0 none."""
        return max(self.versions())

    def floor(self) -> int:
        """Versions below it may be overwritten."""
        return read_word(self.ctl, FLOOR)

    def set_floor(self, version: int) -> None:
        """Allow versions below `version` to be overwritten; a floor never goes down."""
        if version > self.floor():
            write_word(self.ctl, FLOOR, version)

    def has_room(self) -> bool:
        """True when a next version can be published: a slot is free or below the floor."""
        oldest = min(self.versions())
        return oldest == INVALID or oldest < self.floor()

    def publish(self, version: int, content: bytes) -> None:
        """Publish `content` as `version`, above all earlier ones; the same again is ignored.

        Raises BlobError when it is too long or the version does not rise, BlobFull when the
        slot to reuse still holds a version at or above the floor, SegmentError when there is no
        memory for it: nothing is changed then.
        """
        if len(content) > self.nbytes:
            raise BlobError(
                f"version {version} of blob {self.name!r} has {len(content)} bytes, "
                f"the slot {self.nbytes}"
            )
        versions = self.versions()
        if version <= max(versions):
            if version >= 1 and self.read(version) == content:
                return
            raise BlobError(
                f"version {version} of blob {self.name!r} is not above {max(versions)}"
            )
        oldest = min(versions)
        if not self.has_room():
            raise BlobFull(self.name, version, oldest, self.floor())
        slot = versions.index(oldest)
        first = slot * self.nbytes
        self._arena.reserve(f"{self.name}_data", first, first + len(content))
        self._fill(slot, version, content)

    def _fill(self, slot: int, version: int, content: bytes) -> None:
        write_word(self.ctl, self._word(slot, VERSION), INVALID)
        release()
        self.data[slot, : len(content)] = np.frombuffer(content, np.uint8)
        self.ctl[self._word(slot, LENGTH)] = len(content)
        self.ctl[self._word(slot, CRC)] = _crc(version, content)
        write_word(self.ctl, self._word(slot, VERSION), version)

    def read(self, version: int) -> bytes | None:
        """A whole copy of a version; None when no slot holds it (any more)."""
        versions = self.versions()
        if version < 1 or version not in versions:
            return None
        slot = versions.index(version)
        length = int(self.ctl[self._word(slot, LENGTH)])
        crc = int(self.ctl[self._word(slot, CRC)])
        content = self.data[slot, : max(0, min(length, self.nbytes))].tobytes()
        acquire()
        if read_word(self.ctl, self._word(slot, VERSION)) != version:
            return None
        if _crc(version, content) != crc:
            raise BlobError(f"version {version} of blob {self.name!r} does not match its CRC")
        return content
