"""The clocks of the engine: the only module that reads CLOCK_REALTIME.

Engine time of a live run is CLOCK_MONOTONIC plus an anchor that is on the tape, so that stepping
the wall clock changes nothing; the wall clock itself is telemetry and the source of the anchor.
"""

import dataclasses
import time


def monotonic_ns() -> int:
    """CLOCK_MONOTONIC in ns: the same for all processes since boot, stands still in suspend."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def realtime_ns() -> int:
    """CLOCK_REALTIME, ns UTC."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


@dataclasses.dataclass(frozen=True)
class Anchor:
    """offset_ns: what to add to CLOCK_MONOTONIC to get engine time, ns UTC."""

    offset_ns: int

    @classmethod
    def take(cls, samples: int = 9) -> "Anchor":
        """The present difference of the clocks, from the sample with the narrowest bracket."""
        best = (1 << 62, 0)
        for _ in range(samples):
            before = monotonic_ns()
            wall = realtime_ns()
            after = monotonic_ns()
            best = min(best, (after - before, wall - (before + after) // 2))
        return cls(best[1])

    def skew_ns(self) -> int:
        """How far the wall clock has moved away from engine time since; positive: it is ahead."""
        return Anchor.take(3).offset_ns - self.offset_ns


def engine_now_ns(anchor: Anchor) -> int:
    """Engine time now, ns UTC."""
    return monotonic_ns() + anchor.offset_ns
