"""Words of state that processes share: int64, each on its own pair of cache lines."""

import numpy as np

from shm.arena import Arena

WORD_STRIDE = 16  # int64 words, 128 bytes: adjacent-line prefetch couples two 64-byte lines


def words(arena: Arena, name: str, count: int) -> np.ndarray:
    """A new int64[count * WORD_STRIDE], zero; word i lives at index i * WORD_STRIDE."""
    return arena.array(name, count * WORD_STRIDE, np.dtype(np.int64))
