"""Engine time: CLOCK_MONOTONIC plus an anchor in a word that all processes share.

Stepping the wall clock changes nothing. CLOCK_MONOTONIC stands still while the machine is suspended
and CLOCK_BOOTTIME does not, so by what their difference has grown one process moves the anchor
forward; everybody's engine time jumps over the suspend with its next reading.
"""

import numpy as np

from shm.clock import Clocks
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE

CLOCK_WORDS = 2
ANCHOR = 0 * WORD_STRIDE  # engine time less CLOCK_MONOTONIC
ORIGIN = 1 * WORD_STRIDE  # engine time less CLOCK_BOOTTIME, the same from `start` on
_SAMPLES = 9
SUSPEND_MIN_NS = 1_000_000  # a suspend takes longer than this, two readings take less


class EngineClock:
    """Engine time, ns UTC, over int64[CLOCK_WORDS * WORD_STRIDE].

    What `move` does is one store, computed from the origin: killed before or after it, the next
    process moves the anchor by what is missing, never twice. The anchor only grows, so engine time
    of a process never goes back.
    """

    def __init__(self, words: np.ndarray, clocks: Clocks | None = None) -> None:
        self._words = words
        self.clocks = Clocks() if clocks is None else clocks

    def start(self) -> None:
        """Let engine time be the wall clock's of now; before anybody reads it."""
        anchor_ns = self.clocks.wall_offset_ns(_SAMPLES)
        write_word(self._words, ORIGIN, anchor_ns - self.clocks.suspended_ns(_SAMPLES))
        write_word(self._words, ANCHOR, anchor_ns)

    def anchor_ns(self) -> int:
        """What is added to CLOCK_MONOTONIC."""
        return int(read_word(self._words, ANCHOR))

    def now_ns(self) -> int:
        """Engine time now."""
        return self.clocks.monotonic_ns() + self.anchor_ns()

    def move(self) -> int:
        """Move the anchor over the time suspended since it was taken or moved; that time, 0 for
        none. Only one process does, beside no other."""
        before_ns, due_ns = self.anchor_ns(), self._due_ns(1)
        if due_ns - before_ns < SUSPEND_MIN_NS:
            return 0
        anchor_ns = max(due_ns, self._due_ns(_SAMPLES))
        write_word(self._words, ANCHOR, anchor_ns)
        return anchor_ns - before_ns

    def _due_ns(self, samples: int) -> int:
        """The anchor that the time suspended so far asks for."""
        return int(read_word(self._words, ORIGIN)) + self.clocks.suspended_ns(samples)

    def skew_ns(self) -> int:
        """Wall clock less engine time, positive: the wall clock is ahead. It was stepped, or the
        machine stood still without counting it as a suspend."""
        return self.clocks.wall_offset_ns(3) - self.anchor_ns()
