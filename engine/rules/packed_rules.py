"""Rules as bytes, decoded one at a time when they are asked for."""

import itertools
from collections.abc import Iterator, Sequence
from typing import overload

import msgspec
import numpy as np

from engine.rules.model import Rule, spelled_out

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Rule).decode


def packed(rule: Rule) -> bytes:
    """The msgpack of a rule: the same bytes for equal rules."""
    return _encode(spelled_out(rule))


class PackedRules(Sequence[Rule]):
    """Rule i is the msgpack in data[ends[i - 1] : ends[i]]; ends: int64[R]."""

    def __init__(self, data: bytes, ends: np.ndarray) -> None:
        self.data = data
        self.ends = ends

    @classmethod
    def of(cls, packed: Sequence[bytes]) -> "PackedRules":
        """From the bytes of each rule."""
        return cls(b"".join(packed), np.cumsum([len(one) for one in packed], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, at: int) -> Rule: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Rule, ...]: ...
    def __getitem__(self, at: int | slice) -> Rule | tuple[Rule, ...]:
        if isinstance(at, slice):
            return tuple(self[place] for place in range(*at.indices(len(self))))
        place = range(len(self))[at]  # also refuses what is out of range
        first = int(self.ends[place - 1]) if place else 0
        return _decode(self.data[first : int(self.ends[place])])

    def __iter__(self) -> Iterator[Rule]:
        edges = itertools.pairwise([0, *self.ends.tolist()])
        return (_decode(self.data[first:end]) for first, end in edges)
