"""Live only: when cycles are absent for lack of time, symbols that may wait are looked at less
often.

What is found here is written into the decisions; a repetition of the tape reads it there.
"""

from typing import NamedTuple

from engine.config.schema_running import OverloadSection
from engine.domain.records import NS_PER_SECOND


class Stride(NamedTuple):
    """What a decision says: symbols that may wait are looked at in every `every`-th cycle; those
    that fired in the last recent_ns do not wait."""

    every: int = 1
    recent_ns: int = 0


EVERY_CYCLE = Stride()


class Overload:
    """Follows the cycles of a live stream. every: of the decision to come.

    A strain begins with an absent cycle, and ends after a whole second without. When it has lasted
    overload.after_s, the stride doubles; after overload.calm_s in which no cycle was absent and
    none took more than overload.calm_load_pct of the interval, it is halved.
    """

    def __init__(self, settings: OverloadSection, interval_ns: int, every: int) -> None:
        self.every = min(max(1, every), settings.max_stride)
        self._max = settings.max_stride
        self._recent_ns = settings.recent_alert_s * NS_PER_SECOND
        self._after_ns = settings.after_s * NS_PER_SECOND
        self._calm_ns = settings.calm_s * NS_PER_SECOND
        self._calm_load_ns = interval_ns * settings.calm_load_pct // 100
        self._strain_ns: int | None = None
        self._absent_ns = self._busy_ns = 0

    @property
    def stride(self) -> Stride:
        """For the decision to come."""
        return Stride(self.every, self._recent_ns) if self.every > 1 else EVERY_CYCLE

    def note_decision(self, t_ns: int, absent: int) -> bool:
        """A cycle at t_ns was decided, before which so many were absent. True when the stride
        changes with the next."""
        if not self._busy_ns:
            self._busy_ns = t_ns
        if absent:
            self._absent_ns = self._busy_ns = t_ns
            self._strain_ns = t_ns if self._strain_ns is None else self._strain_ns
        elif t_ns - self._absent_ns >= NS_PER_SECOND:
            self._strain_ns = None
        if self._strain_ns is not None and t_ns - self._strain_ns >= self._after_ns:
            return self._change(min(self._max, 2 * self.every), t_ns)
        if self.every > 1 and t_ns - self._busy_ns >= self._calm_ns:
            return self._change(self.every // 2, t_ns)
        return False

    def note_done(self, t_ns: int, took_ns: int) -> None:
        """The cycle at t_ns was applied by every role took_ns after it was decided."""
        if took_ns > self._calm_load_ns:
            self._busy_ns = max(self._busy_ns, t_ns)

    def forgive(self) -> None:
        """The clock was moved: what is absent now is no sign of strain."""
        self._strain_ns = None

    def _change(self, every: int, t_ns: int) -> bool:
        changed = every != self.every
        self.every, self._busy_ns = every, t_ns
        if self._strain_ns is not None:
            self._strain_ns = t_ns
        return changed
