"""Seqlock: rows changed in place by one writer, copied by readers who check a version word.

For state that can be computed again. A writer killed inside a row leaves its version odd and the
row torn; nobody may bump such a version to even. The successor writes the whole row again from its
source (`begin_write_nb` keeps an odd version odd), and only that makes it even. What cannot be
computed again belongs in cells.
"""

import numpy as np
from numpy.typing import DTypeLike

from shm.arena import Arena
from shm.errors import ShmError
from shm.fences import read_word
from shm.seqlock_nb import begin_write_nb, end_write_nb, read_row_nb, write_row_nb
from shm.words import WORD_STRIDE, words


class SeqRows:
    """Rows of one dtype under a version word each.

    ctl: int64[rows * 16]; data: dtype[rows]. gave_up counts the reads of this object that found no
    whole copy within the bound.
    """

    def __init__(self, name: str, ctl: np.ndarray, data: np.ndarray) -> None:
        self.name = name
        self.ctl = ctl
        self.data = data
        self.gave_up = 0
        self._words = data.view(np.int64).reshape(len(data), -1)

    @classmethod
    def create(cls, arena: Arena, name: str, dtype: DTypeLike, rows: int) -> "SeqRows":
        """New rows, zero and whole, in arrays `<name>_ctl` and `<name>_data`."""
        if np.dtype(dtype).itemsize % 8:
            raise ShmError(f"row of {name!r} has {np.dtype(dtype).itemsize} bytes, not whole words")
        ctl = words(arena, f"{name}_ctl", rows)
        return cls(name, ctl, arena.array(f"{name}_data", rows, dtype))

    def write(self, i: int, row: np.ndarray) -> None:
        """Replace row i by `row` (one record of the dtype, 0-D or 1-D of length 1)."""
        source = np.ascontiguousarray(row, self.data.dtype).reshape(-1).view(np.int64)
        write_row_nb(self.ctl, i * WORD_STRIDE, self._words, i, source)

    def read(self, i: int) -> np.ndarray | None:
        """A whole copy of row i (dtype[1]); None when there was none within the bound."""
        out = np.empty(1, self.data.dtype)
        target = out.view(np.int64)
        if read_row_nb(self.ctl, i * WORD_STRIDE, self._words, i, target) < 0:
            self.gave_up += 1
            return None
        return out

    def odd(self) -> list[int]:
        """Rows that a dead writer left torn: its successor has to `write` each of them again."""
        return [i for i in range(len(self.data)) if read_word(self.ctl, i * WORD_STRIDE) & 1]


__all__ = ["SeqRows", "begin_write_nb", "end_write_nb", "read_row_nb", "write_row_nb"]
