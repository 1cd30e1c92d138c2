"""Broadcast ring: one writer, a cursor per reader, records of one dtype.

A gating reader owns a *gate*, a position the writer never overtakes: it reads in place (`slices`)
and moves its gate when the effect of what it read is durable. Other readers `copy` and learn
whether they were lapped. Positions are int64 counts since creation, index = pos & (capacity - 1).

The tail is the only truth about what is published. A writer killed inside a publication leaves the
tail where it was, so its successor just goes on; INTENT stays where the dead writer put it, because
the slots up to it may be dirty and readers that do not gate must go on refusing them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from shm.arena import Arena
from shm.errors import RingError
from shm.fences import read_word, write_word
from shm.ring_nb import (
    DROPPED,
    GATES,
    INTENT,
    MARK,
    STRIDE,
    TAIL,
    copy_nb,
    free_nb,
    move_gate_nb,
    publish_nb,
    rejoin_nb,
)


def check_capacity(name: str, capacity: int) -> None:
    """Raise RingError unless `capacity` is a power of two."""
    if capacity <= 0 or capacity & (capacity - 1):
        raise RingError(f"capacity {capacity} of {name!r} is not a power of two")


def _check_dtype(name: str, dtype: np.dtype) -> None:
    if dtype.itemsize % 8 or dtype.itemsize == 0:
        raise RingError(f"record of ring {name!r} has {dtype.itemsize} bytes, not a multiple of 8")


class Ring:
    """One ring over arrays given to it: ctl int64[(3 + gates) * 16], data dtype[capacity]."""

    def __init__(self, name: str, ctl: np.ndarray, data: np.ndarray, gates: Sequence[str]) -> None:
        self.name = name
        self.ctl = ctl
        self.data = data
        self.capacity = len(data)
        self.gates = tuple(gates)
        self._words: np.ndarray | None = None

    @classmethod
    def create(
        cls, arena: Arena, name: str, dtype: DTypeLike, capacity: int, gates: Sequence[str]
    ) -> "Ring":
        """A new empty ring in arrays `<name>_ctl` and `<name>_data`; every gate holds at 0."""
        check_capacity(name, capacity)
        _check_dtype(name, np.dtype(dtype))
        ctl = arena.array(f"{name}_ctl", GATES + len(gates) * STRIDE, np.int64)
        return cls(name, ctl, arena.array(f"{name}_data", capacity, dtype), gates)

    @property
    def words(self) -> np.ndarray:
        """The records as int64[capacity, words], as the kernels take them."""
        if self._words is None:
            self._words = self.data.view(np.int64).reshape(self.capacity, -1)
        return self._words

    def gate_word(self, gate: str) -> int:
        """Index in `ctl` of a gate's word, for kernels; raises RingError when there is none."""
        if gate not in self.gates:
            raise RingError(f"ring {self.name!r} has no gate {gate!r}")
        return GATES + self.gates.index(gate) * STRIDE

    # -- writer ----------------------------------------------------------------------------------
    def publish(self, recs: np.ndarray) -> int:
        """Publish records (dtype of the ring, one or 1-D); how many the slowest gate let in."""
        if recs.dtype != self.data.dtype:
            raise RingError(f"record of another dtype for ring {self.name!r}: {recs.dtype}")
        whole = np.ascontiguousarray(recs).reshape(-1)
        rows = whole.view(np.int64).reshape(len(whole), self.words.shape[1])
        return int(publish_nb(self.ctl, self.words, rows))

    def free(self) -> int:
        """Records that can be published now."""
        return int(free_nb(self.ctl, self.capacity))

    def set_mark(self, value: int) -> None:
        """Store the writer's word (watermark); what was published before is visible with it."""
        write_word(self.ctl, MARK, value)

    def reset(self, pos: int) -> None:
        """Start at position `pos` instead of 0: before any use, nobody else attached."""
        write_word(self.ctl, INTENT, pos)
        write_word(self.ctl, TAIL, pos)
        for gate in self.gates:
            write_word(self.ctl, self.gate_word(gate), pos)

    # -- readers ---------------------------------------------------------------------------------
    def tail(self) -> int:
        """Records published since creation."""
        return read_word(self.ctl, TAIL)

    def mark(self) -> int:
        """The writer's user word; read the mark before the tail to know what it speaks about."""
        return read_word(self.ctl, MARK)

    def slices(self, a: int, b: int) -> tuple[np.ndarray, ...]:
        """Records a..b-1 in place, as 1 or 2 views; only for a reader whose gate is <= a."""
        if not 0 <= b - a <= self.capacity:
            raise RingError(f"ring {self.name!r} cannot hold positions {a} to {b} at once")
        start = a & (self.capacity - 1)
        first = min(b - a, self.capacity - start)
        head = self.data[start : start + first]
        return (head,) if first == b - a else (head, self.data[: b - a - first])

    def copy(self, a: int, b: int) -> np.ndarray | None:
        """A copy of records a..b-1 (b at most the tail); None when the writer lapped us."""
        if b < a:
            raise RingError(f"ring {self.name!r} cannot copy from {a} back to {b}")
        if b - a > self.capacity:
            return None
        if b > self.tail():
            raise RingError(f"position {b} of ring {self.name!r} is not published")
        out = np.empty(b - a, self.data.dtype)
        rows = out.view(np.int64).reshape(b - a, self.words.shape[1])
        return out if copy_nb(self.ctl, self.words, a, rows) else None

    # -- gates -----------------------------------------------------------------------------------
    def gate(self, name: str) -> int:
        """Position of a gate; DROPPED (2**63 - 1) when it no longer holds the writer back."""
        return read_word(self.ctl, self.gate_word(name))

    def set_gate(self, name: str, pos: int) -> bool:
        """Move a gate: records below `pos` may be overwritten. False when the gate was dropped:
        the reader has to `rejoin` and to count a gap."""
        if pos < 0 or pos > self.tail():
            raise RingError(f"gate {name!r} of ring {self.name!r} cannot be at {pos}")
        return bool(move_gate_nb(self.ctl, self.gate_word(name), pos))

    def slowest(self) -> str:
        """The gate that holds the writer back most; empty when none does."""
        positions = {gate: self.gate(gate) for gate in self.gates}
        slowest = min(positions, key=positions.__getitem__, default="")
        return "" if positions.get(slowest, DROPPED) == DROPPED else slowest

    def drop_gate(self, name: str) -> None:
        """Let the writer overtake this reader from now on (it stalled)."""
        write_word(self.ctl, self.gate_word(name), DROPPED)

    def dropped(self, name: str) -> bool:
        """True when a gate was dropped."""
        return self.gate(name) == DROPPED

    def rejoin(self, name: str) -> int:
        """Make a dropped gate hold again at the tail and return that position, safe to read from.

        Raises RingError if the writer laps the whole ring between two loads, a thousand times.
        """
        position = int(rejoin_nb(self.ctl, self.capacity, self.gate_word(name)))
        if position < 0:
            raise RingError(f"gate {name!r} of ring {self.name!r} is lapped faster than it joins")
        return position


class RingFamily:
    """Several rings of one kind in two arrays, so that one kernel can read them all.

    ctl: int64[count, (3 + gates) * 16]; data: dtype[count, capacity]; rings: the same as `Ring`s.
    """

    def __init__(self, name: str, ctl: np.ndarray, data: np.ndarray, gates: Sequence[str]) -> None:
        self.name = name
        self.ctl = ctl
        self.data = data
        self.capacity = data.shape[1]
        self.gates = tuple(gates)
        self.rings = [
            Ring(f"{name}{f}", ctl[f], data[f], self.gates) for f in range(data.shape[0])
        ]

    @classmethod
    def create(
        cls,
        arena: Arena,
        name: str,
        dtype: DTypeLike,
        capacity: int,
        gates: Sequence[str],
        count: int,
    ) -> "RingFamily":
        """New empty rings in arrays `<name>_ctl` and `<name>_data`."""
        check_capacity(name, capacity)
        _check_dtype(name, np.dtype(dtype))
        ctl = arena.array(f"{name}_ctl", (count, GATES + len(gates) * STRIDE), np.int64)
        return cls(name, ctl, arena.array(f"{name}_data", (count, capacity), dtype), gates)
