"""Where tables take their memory from: private memory, a measuring dummy, or shared segments."""

import math
import re
from typing import Protocol

import numpy as np
from numpy.typing import DTypeLike

from shm.errors import SegmentError

Shape = int | tuple[int, ...]

ALIGN = 128
_ARRAY_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class Arena(Protocol):
    """Gives out named, zeroed, C-contiguous arrays; a name is used once."""

    def array(
        self, name: str, shape: Shape, dtype: DTypeLike, *, later: bool = False
    ) -> np.ndarray:
        """A new zeroed array; raises SegmentError when the name is bad, taken, or has no room.

        later: its memory is not reserved yet. What of it `reserve` has not named must not be
        touched.
        """
        ...

    def reserve(self, name: str, first: int, end: int) -> None:
        """Reserve bytes [first, end) of an array made with `later`; what is reserved stays as it
        is. Raises SegmentError when there is no room."""
        ...


def as_shape(shape: Shape) -> tuple[int, ...]:
    """`shape` as a tuple of ints; an int means one dimension."""
    dimensions = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return tuple(int(size) for size in dimensions)


def check_array_name(name: str, taken: dict[str, object] | dict[str, int]) -> None:
    """Raise SegmentError unless `name` is new, lower case letters, digits and underscores."""
    if not _ARRAY_NAME.fullmatch(name):
        raise SegmentError(f"array name {name!r} is not of the form [a-z][a-z0-9_]*")
    if name in taken:
        raise SegmentError(f"array {name!r} exists already in this arena")


def count_bytes(shape: Shape, dtype: DTypeLike) -> int:
    """Bytes of an array."""
    return math.prod(as_shape(shape)) * np.dtype(dtype).itemsize


class PrivateArena:
    """Arrays in this process's own memory, for backtests and tests; aligned to 128 bytes."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    @property
    def total_bytes(self) -> int:
        """Bytes of all arrays given out."""
        return sum(self._sizes.values())

    def names(self) -> tuple[str, ...]:
        """Names of all arrays given out, in order."""
        return tuple(self._sizes)

    def reserve(self, name: str, first: int, end: int) -> None:
        """Nothing: private memory is there when it is touched."""

    def array(
        self, name: str, shape: Shape, dtype: DTypeLike, *, later: bool = False
    ) -> np.ndarray:
        """A new zeroed array; pages are only touched when written."""
        check_array_name(name, self._sizes)
        dtype = np.dtype(dtype)
        nbytes = count_bytes(shape, dtype)
        self._sizes[name] = nbytes
        if nbytes == 0:
            return np.zeros(as_shape(shape), dtype)
        memory = np.zeros(nbytes + ALIGN, np.uint8)
        start = -memory.ctypes.data % ALIGN
        return memory[start : start + nbytes].view(dtype).reshape(as_shape(shape))


class MeasuringArena:
    """Counts what tables would take without taking it: every array is one element, repeated.

    What `check-config` prints and what the supervisor compares with the free memory before it
    creates the first segment. The arrays accept assignments and hold nothing. later: bytes of the
    arrays whose memory is reserved later; `sizes` has what is reserved of them.
    """

    _REAL_BYTES = 1 << 16

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.later: dict[str, int] = {}

    @property
    def total_bytes(self) -> int:
        """Bytes reserved of all arrays asked for."""
        return sum(self.sizes.values())

    def reserve(self, name: str, first: int, end: int) -> None:
        """Count so many bytes more of an array; named again, they are counted again."""
        self.sizes[name] += end - first

    def array(
        self, name: str, shape: Shape, dtype: DTypeLike, *, later: bool = False
    ) -> np.ndarray:
        """An array of that shape; a large one has all strides zero."""
        check_array_name(name, self.sizes)
        dtype = np.dtype(dtype)
        nbytes = count_bytes(shape, dtype)
        self.sizes[name] = 0 if later else nbytes
        if later:
            self.later[name] = nbytes
        if nbytes <= self._REAL_BYTES:
            return np.zeros(as_shape(shape), dtype)
        dimensions = as_shape(shape)
        return np.lib.stride_tricks.as_strided(
            np.zeros(1, dtype), dimensions, (0,) * len(dimensions), writeable=True
        )
