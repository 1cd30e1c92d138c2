"""How fast the engine goes lately: rates and latency quantiles over a sliding window of samples."""

import collections
import dataclasses
from collections.abc import Mapping

from web.deps import Histogram

STEP_NS = 1_000_000_000
RATE_SAMPLES = 5
QUANTILE_NS = 60 * STEP_NS


@dataclasses.dataclass(frozen=True)
class Sample:
    """One look at the engine. at_ns: monotonic; t_ns: engine time; the rest are running totals."""

    at_ns: int
    n: int
    t_ns: int
    ticks: int
    histograms: Mapping[str, Histogram]


class Pace:
    """Keeps the last minute of samples, at most one a second and the newest, however often one
    comes."""

    def __init__(self) -> None:
        self._samples: collections.deque[Sample] = collections.deque()

    def add(self, sample: Sample) -> None:
        """Add a sample; one that runs backwards (a new stream) starts the window afresh."""
        kept = self._samples
        if kept and sample.n < kept[-1].n:
            kept.clear()
        if len(kept) > 1 and kept[-1].at_ns - kept[-2].at_ns < STEP_NS:
            kept.pop()
        kept.append(sample)
        while len(kept) > 2 and sample.at_ns - kept[1].at_ns >= QUANTILE_NS:
            kept.popleft()

    def rates(self) -> dict[str, float | None]:
        """Cycles and ticks per second and engine seconds per second; None before two samples."""
        recent = list(self._samples)[-(RATE_SAMPLES + 1) :]
        if len(recent) < 2 or recent[-1].at_ns <= recent[0].at_ns:
            return {"cycles_per_s": None, "ticks_per_s": None, "pace": None}
        first, last = recent[0], recent[-1]
        seconds = (last.at_ns - first.at_ns) / 1e9
        return {
            "cycles_per_s": (last.n - first.n) / seconds,
            "ticks_per_s": (last.ticks - first.ticks) / seconds,
            "pace": (last.t_ns - first.t_ns) / 1e9 / seconds,
        }

    def window(self, name: str) -> Histogram | None:
        """What a histogram gained over the last minute, everything while the window is shorter;
        None when it is not kept."""
        if not self._samples:
            return None
        newest, oldest = self._samples[-1], self._samples[0]
        last, first = newest.histograms.get(name), oldest.histograms.get(name)
        if last is None or first is None or newest.at_ns - oldest.at_ns < QUANTILE_NS:
            return last
        gained = tuple(b - a for a, b in zip(first.counts, last.counts, strict=True))
        return dataclasses.replace(last, counts=gained)
