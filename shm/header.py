"""The first page of a segment: who made it, and what the bytes after it are."""

import dataclasses
import hashlib
import json
import struct
from typing import Any

import numpy as np

from shm.errors import SegmentError

PAGE = 4096
MAGIC = b"TAPESCN1"
# magic, fingerprint, boot id, epoch, creator pid, its start time, bytes of data, length of the JSON
_FIXED = struct.Struct("<8s32s36s4xqqqqq")


@dataclasses.dataclass(frozen=True)
class Header:
    """What a segment says about itself. start_time: clock ticks since boot."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    boot: str
    epoch: int
    pid: int
    start_time: int

    @property
    def nbytes(self) -> int:
        """Bytes of the array after the page."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the layout: name, dtype, shape."""
        return hashlib.sha256(self._layout()).digest()

    def _layout(self) -> bytes:
        layout = {"name": self.name, "shape": self.shape, "dtype": describe(self.dtype)}
        return json.dumps(layout, separators=(",", ":")).encode()

    def pack(self) -> bytes:
        """The page; raises SegmentError when the layout does not fit in it or would not survive."""
        layout = self._layout()
        if _FIXED.size + len(layout) > PAGE:
            raise SegmentError(f"the dtype of array {self.name!r} is too long for its header page")
        if rebuild(json.loads(layout)["dtype"]) != self.dtype:
            raise SegmentError(f"the dtype of array {self.name!r} cannot be written down")
        fixed = _FIXED.pack(
            MAGIC, self.fingerprint, self.boot.encode(), self.epoch, self.pid, self.start_time,
            self.nbytes, len(layout),
        )  # fmt: skip
        return (fixed + layout).ljust(PAGE, b"\0")


def unpack(page: bytes, segment: str) -> Header:
    """The header in a page; raises SegmentError when it is not one of ours or was changed."""
    if len(page) < PAGE or not page.startswith(MAGIC):
        raise SegmentError(f"segment {segment!r} has no header of this version of Tapescan")
    _, fingerprint, boot, epoch, pid, started, nbytes, length = _FIXED.unpack_from(page)
    try:
        layout = json.loads(page[_FIXED.size : _FIXED.size + length])
        header = Header(
            layout["name"], tuple(layout["shape"]), rebuild(layout["dtype"]),
            boot.decode().rstrip("\0"), epoch, pid, started,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise SegmentError(f"segment {segment!r} has a damaged header") from error
    if header.fingerprint != fingerprint or header.nbytes != nbytes:
        raise SegmentError(f"the header of segment {segment!r} does not match its fingerprint")
    return header


def describe(dtype: np.dtype) -> Any:
    """A dtype as plain JSON: its code, or a list of [field, dtype, shape...]."""
    if dtype.names is None:
        return dtype.str
    return [_describe_field(field) for field in dtype.descr]


def _describe_field(field: tuple[Any, ...]) -> list[Any]:
    name, kind, *shape = field
    inner = [_describe_field(part) for part in kind] if isinstance(kind, list) else kind
    return [name, inner, *(list(size) for size in shape)]


def rebuild(description: Any) -> np.dtype:
    """The dtype that `describe` wrote down."""
    if isinstance(description, str):
        return np.dtype(description)
    return np.dtype([_rebuild_field(field) for field in description])


def _rebuild_field(field: list[Any]) -> tuple[Any, ...]:
    name, kind, *shape = field
    inner = [_rebuild_field(part) for part in kind] if isinstance(kind, list) else kind
    return (name, inner, *(tuple(size) for size in shape))
