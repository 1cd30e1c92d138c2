"""Snapshot cells: four slots, slot n % 4 holds cycle n, two words say which are whole.

The writer fills slot n % 4, seals n, writes its histories from the sealed cell, publishes n. While
n is the newest published cell it fills n + 1, whose slot held n - 3: cells n, n - 1, n - 2 stay
intact. A reader copies from slot n % 4 and keeps the copy if valid(n) says so afterwards.

A successor of a dead writer takes n0 = published(). If sealed() == n0 + 1, that cell is whole: load
it, write the histories again, publish. Otherwise slot (n0 + 1) % 4 is dirty: execute n0 + 1 again.
"""

import numpy as np

from shm.arena import Arena
from shm.cells_nb import PUBLISHED, SEALED, publish_cell_nb, seal_cell_nb, valid_cell_nb
from shm.errors import RingError
from shm.fences import read_word, write_word
from shm.words import words

SLOTS = 4
NONE = -1


class Cells:
    """The two words of a cell table. ctl: int64[2 * 16]; both -1 until genesis seals cell 0."""

    SLOTS = SLOTS

    def __init__(self, ctl: np.ndarray) -> None:
        self.ctl = ctl

    @classmethod
    def create(cls, arena: Arena, name: str) -> "Cells":
        """New cells in array `<name>_ctl`; nothing is sealed or published (-1)."""
        cells = cls(words(arena, f"{name}_ctl", 2))
        write_word(cells.ctl, SEALED, NONE)
        write_word(cells.ctl, PUBLISHED, NONE)
        return cells

    @staticmethod
    def slot(n: int) -> int:
        """Where cycle n lives."""
        return n % SLOTS

    def seal(self, n: int) -> None:
        """Say that cell n is whole: n is published() + 1, or anything when nothing is published."""
        before = self.published()
        if before not in (NONE, n - 1) or n < 0:
            raise RingError(f"cell {n} cannot be sealed: cell {before} is the newest published")
        seal_cell_nb(self.ctl, n)

    def sealed(self) -> int:
        """Newest whole cell, -1 none; its histories may be incomplete."""
        return read_word(self.ctl, SEALED)

    def publish(self, n: int) -> None:
        """Say that cell n and its histories are whole; n must be the sealed one."""
        if n != self.sealed():
            raise RingError(f"cell {n} cannot be published: cell {self.sealed()} is sealed")
        publish_cell_nb(self.ctl, n)

    def published(self) -> int:
        """Newest published cell, -1 none."""
        return read_word(self.ctl, PUBLISHED)

    def valid(self, n: int) -> bool:
        """True if what was copied from cell n before this call is whole."""
        return bool(valid_cell_nb(self.ctl, n))
