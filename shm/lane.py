"""One-to-one ring of 64-byte slots: the writer fills slots in place, then stores the tail once.

Everything between two tails appears at once or, if the writer dies, not at all. The reader moves
the head when the effect of what it read is durable; the writer never passes head + slots.
"""

import numpy as np

from shm.arena import Arena
from shm.errors import RingError
from shm.fences import read_word, write_word
from shm.ring import check_capacity
from shm.words import WORD_STRIDE, words

TAIL = 0 * WORD_STRIDE
HEAD = 1 * WORD_STRIDE
SLOT_WORDS = 8


class Lane:
    """ctl: int64[2 * 16] (TAIL, HEAD); data: int64[slots, 8], record p in data[p & (slots - 1)]."""

    def __init__(self, name: str, ctl: np.ndarray, data: np.ndarray) -> None:
        self.name = name
        self.ctl = ctl
        self.data = data
        self.slots = len(data)

    @classmethod
    def create(cls, arena: Arena, name: str, slots: int) -> "Lane":
        """A new empty lane in arrays `<name>_ctl` and `<name>_data`."""
        check_capacity(name, slots)
        ctl = words(arena, f"{name}_ctl", 2)
        return cls(name, ctl, arena.array(f"{name}_data", (slots, SLOT_WORDS), np.int64))

    def tail(self) -> int:
        """Slots published since creation."""
        return read_word(self.ctl, TAIL)

    def head(self) -> int:
        """Slots the reader is done with."""
        return read_word(self.ctl, HEAD)

    def free(self) -> int:
        """Slots the writer may fill from the tail on."""
        return self.slots - (self.tail() - self.head())

    def publish(self, tail: int) -> None:
        """Publish all slots below `tail`, in one store-release; they were filled in place before.

        Raises RingError for a tail that goes back or passes the free room: the caller checks
        `free()` before it writes.
        """
        if not 0 <= tail - self.tail() <= self.free():
            raise RingError(f"lane {self.name!r} has no room up to {tail}")
        write_word(self.ctl, TAIL, tail)

    def set_head(self, pos: int) -> None:
        """Give the slots below `pos` back to the writer."""
        if not self.head() <= pos <= self.tail():
            raise RingError(f"head of lane {self.name!r} cannot be at {pos}")
        write_word(self.ctl, HEAD, pos)

    def reset(self, pos: int) -> None:
        """Start at position `pos`, empty: before any use."""
        write_word(self.ctl, TAIL, pos)
        write_word(self.ctl, HEAD, pos)
