"""Slots of shared memory for what a program remembers: kept from version to version by key."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

KEY_BYTES = 16
Slots = tuple[int, ...]


def key_of(*parts: bytes) -> bytes:
    """16 bytes that name what is remembered under `parts`."""
    return hashlib.sha256(b"\0".join(parts)).digest()[:KEY_BYTES]


def assign(
    wishes: Sequence[tuple[bytes, int]], known: Mapping[bytes, Slots], limit: int
) -> list[Slots] | int:
    """Slots below `limit` for each (key, how many); or, if they do not suffice, the place of the
    first wish without.

    A key keeps the slots it is known to have, if they are as many; others get the lowest free ones.
    """
    kept = {
        key: known[key]
        for key, count in wishes
        if len(known.get(key, ())) == count > 0 and max(known[key]) < limit
    }
    taken = {slot for slots in kept.values() for slot in slots}
    free = (slot for slot in range(limit) if slot not in taken)
    given = []
    for place, (key, count) in enumerate(wishes):
        slots = kept.get(key)
        if slots is None:
            slots = tuple(slot for _, slot in zip(range(count), free, strict=False))
        if len(slots) < count:
            return place
        given.append(slots)
    return given


def keys_of(table: np.ndarray) -> list[bytes]:
    """The keys of uint8[count, KEY_BYTES]."""
    return [row.tobytes() for row in table]


def key_table(keys: Sequence[bytes]) -> np.ndarray:
    """uint8[count, KEY_BYTES] of keys."""
    return np.frombuffer(b"".join(keys), np.uint8).reshape(-1, KEY_BYTES)
