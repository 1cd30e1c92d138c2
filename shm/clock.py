"""The kernel's clocks: the only module that reads CLOCK_REALTIME.

The wall clock is telemetry and the source of the anchor (see `engine_clock`), nothing else.
"""

import dataclasses
import time
from collections.abc import Callable


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC in ns: the same for all processes since boot, stands still in suspend."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def boottime_ns() -> int:
    """CLOCK_BOOTTIME in ns: CLOCK_MONOTONIC and all the time that the machine was suspended."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def realtime_ns() -> int:
    """CLOCK_REALTIME, ns UTC."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


@dataclasses.dataclass(frozen=True)
class Clocks:
    """The three clocks, ns each; the kernel's unless a test hands in its own."""

    monotonic_ns: Callable[[], int] = monotonic_ns
    boottime_ns: Callable[[], int] = boottime_ns
    realtime_ns: Callable[[], int] = realtime_ns

    def wall_offset_ns(self, samples: int) -> int:
        """Wall clock less CLOCK_MONOTONIC, from the sample with the narrowest bracket: being
        preempted between two readings bends the others."""
        best = (1 << 62, 0)
        for _ in range(samples):
            before = self.monotonic_ns()
            wall = self.realtime_ns()
            after = self.monotonic_ns()
            best = min(best, (after - before, wall - (before + after) // 2))
        return best[1]

    def suspended_ns(self, samples: int) -> int:
        """How long the machine was suspended since boot. Never more than the truth, however long
        this process is preempted between its readings; less by the fastest of them."""
        return max(self.boottime_ns() - self.monotonic_ns() for _ in range(samples))
