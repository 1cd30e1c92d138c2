"""How long the rings of a live stream outlast a recorder that stands still: a slow disk, a hang."""

import dataclasses

from engine.config.schema import Config
from engine.domain.sizes import RECORDER_SHARE, Sizes
from engine.domain.tables import DECISIONS

_RECORD_NS = 1_100.0   # compress and write one tick, ns; the slower end of what was seen
_RESTART_MS = 1_000    # from the end of a recorder to its successor's first block
_OPENING = 6.0         # times the day's average rate, in the first minute after the open
_LARGEST_RING = 1 << 24


@dataclasses.dataclass(frozen=True)
class Stall:
    """How long a recorder may stand still before a live stream goes on unrecorded.

    seconds: at ticks_per_s, the day's average; opening_s: in the burst at the open. needed_s: what
    it takes to notice a hanging recorder and to replace it. enough_ticks: the smallest
    engine.ring_ticks that lasts so long, 0 when none does.
    """

    seconds: float
    opening_s: float
    ticks_per_s: float
    needed_s: float
    enough_ticks: int

    @property
    def warned(self) -> bool:
        """True when a recorder that hangs once costs the recording."""
        return self.seconds < self.needed_s


def recorder_stall(config: Config, sizes: Sizes) -> Stall:
    """What a live stream of this configuration outlasts, the simulator's rate taken for its own."""
    interval_s, ticks_per_s = config.engine.interval_ms / 1000, float(config.simulator.ticks_per_s)
    supervisor = config.supervisor
    needed_ms = supervisor.beat_timeout_ms + supervisor.abort_wait_ms + _RESTART_MS
    needed_s, larger = needed_ms / 1000, sizes
    while outlasted_s(larger, interval_s, ticks_per_s) < needed_s:
        if larger.ring_ticks >= _LARGEST_RING:
            larger = dataclasses.replace(larger, ring_ticks=0)
            break
        larger = dataclasses.replace(larger, ring_ticks=2 * larger.ring_ticks)
    return Stall(
        seconds=outlasted_s(sizes, interval_s, ticks_per_s),
        opening_s=outlasted_s(sizes, interval_s, _OPENING * ticks_per_s),
        ticks_per_s=ticks_per_s,
        needed_s=needed_s,
        enough_ticks=larger.ring_ticks,
    )


def outlasted_s(sizes: Sizes, interval_s: float, ticks_per_s: float) -> float:
    """Seconds that a recorder may stand still at a rate, in all feeds together.

    What waits is written in one block afterwards, while more comes in: that room is kept. The ring
    of bars does not count, it has room for the bars of minutes.
    """
    room = sizes.feeds * sizes.ring_ticks * RECORDER_SHARE
    ticks_s = room / ticks_per_s / (1 + ticks_per_s * _RECORD_NS / 1e9)
    return min(ticks_s, DECISIONS * RECORDER_SHARE * interval_s)
