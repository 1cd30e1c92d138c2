"""The kernel's clocks in a test's hand: time runs, the machine sleeps, somebody sets the clock."""

from collections.abc import Callable

from shm.clock import Clocks

UP_NS = 77_000_000_000_000  # since boot, not counting what it slept before
SLEPT_NS = 5_000_000_000


class HandClocks:
    """Three clocks of one machine. pause: what each reading takes, 0 unless told."""

    def __init__(self, wall_ns: int, pause: Callable[[], int] = lambda: 0) -> None:
        self.mono_ns = UP_NS
        self.slept_ns = SLEPT_NS
        self.wall_offset_ns = wall_ns - UP_NS - SLEPT_NS
        self.pause = pause
        self.clocks = Clocks(
            monotonic_ns=lambda: self._read(0),
            boottime_ns=lambda: self._read(self.slept_ns),
            realtime_ns=lambda: self._read(self.slept_ns + self.wall_offset_ns),
        )

    def _read(self, offset_ns: int) -> int:
        self.mono_ns += self.pause()
        return self.mono_ns + offset_ns

    @property
    def wall_ns(self) -> int:
        """The wall clock, without the cost of reading it."""
        return self.mono_ns + self.slept_ns + self.wall_offset_ns

    def run(self, ns: int) -> None:
        """Time goes by."""
        self.mono_ns += ns

    def sleep(self, ns: int) -> None:
        """The machine is suspended for so long."""
        self.slept_ns += ns

    def set_wall(self, by_ns: int) -> None:
        """Somebody sets the wall clock."""
        self.wall_offset_ns += by_ns
