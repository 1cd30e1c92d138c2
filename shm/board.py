"""The board: one line of state, counters and latency histograms per process, read by everybody.

A line has one writer, the process it is named after. Nothing on it is protected by locks: every
word stands for itself, and a dead process leaves its last words and its totals.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence

import numpy as np

from shm.arena import Arena
from shm.board_nb import BUCKETS, HISTOGRAM_WORDS, MAX, SUB, record_nb, record_since_nb
from shm.errors import BoardError
from shm.fences import read_word, write_word

# Words of a line; the rest up to LINE_WORDS is the process's own (AUX + i).
PID, START_TIME, EPOCH, BEAT_NS, PROGRESS, STATE_N, STATE, RESTARTS = range(8)
AUX = 8
LINE_WORDS = 16


@dataclasses.dataclass(frozen=True)
class LineSnapshot:
    """Copy of one line: state words, counters by name, histograms by name (HISTOGRAM_WORDS)."""

    name: str
    words: np.ndarray
    counters: dict[str, int]
    histograms: dict[str, np.ndarray]


class Board:
    """state: int64[lines, 16]; counters: int64[lines, counters padded to 16];
    histograms: int64[lines, histograms, HISTOGRAM_WORDS] (see board_nb)."""

    def __init__(
        self, labels: np.ndarray, state: np.ndarray, counters: np.ndarray, histograms: np.ndarray
    ) -> None:
        named = json.loads(labels.tobytes().rstrip(b"\0"))
        self.lines: tuple[str, ...] = tuple(named["lines"])
        self.counter_names: tuple[str, ...] = tuple(named["counters"])
        self.histogram_names: tuple[str, ...] = tuple(named["histograms"])
        self.state = state
        self.counters = counters
        self.histograms = histograms
        self._line = {line: i for i, line in enumerate(self.lines)}
        self._counter = {counter: i for i, counter in enumerate(self.counter_names)}
        self._histogram = {histogram: i for i, histogram in enumerate(self.histogram_names)}

    @classmethod
    def create(
        cls,
        arena: Arena,
        name: str,
        lines: Sequence[str],
        counters: Sequence[str],
        histograms: Sequence[str],
    ) -> "Board":
        """A new board in arrays `<name>_labels`, `_state`, `_counters`, `_histograms`."""
        text = json.dumps(
            {"lines": list(lines), "counters": list(counters), "histograms": list(histograms)}
        ).encode()
        labels = arena.array(f"{name}_labels", len(text), np.uint8)
        labels[:] = np.frombuffer(text, np.uint8)
        padded = -(-len(counters) // 16) * 16
        histogram_shape = (len(lines), len(histograms), HISTOGRAM_WORDS)
        return cls(
            labels,
            arena.array(f"{name}_state", (len(lines), LINE_WORDS), np.int64),
            arena.array(f"{name}_counters", (len(lines), padded), np.int64),
            arena.array(f"{name}_histograms", histogram_shape, np.int64),
        )

    @classmethod
    def open(cls, name: str, fetch: Callable[[str], np.ndarray]) -> "Board":
        """The board of a running engine for a stranger: fetch(array name) -> array, say by
        `segments.attach`."""
        parts = ("labels", "state", "counters", "histograms")
        return cls(*(fetch(f"{name}_{part}") for part in parts))

    # -- where things are ------------------------------------------------------------------------
    def line(self, name: str) -> int:
        """Number of a line; raises BoardError when there is none."""
        return self._find(self._line, name, "line")

    def counter(self, name: str) -> int:
        """Number of a counter; raises BoardError when there is none."""
        return self._find(self._counter, name, "counter")

    def histogram(self, name: str) -> int:
        """Number of a histogram; raises BoardError when there is none."""
        return self._find(self._histogram, name, "histogram")

    @staticmethod
    def _find(numbers: dict[str, int], name: str, what: str) -> int:
        if name not in numbers:
            raise BoardError(f"the board has no {what} {name!r}")
        return numbers[name]

    # -- the process of the line -----------------------------------------------------------------
    def set_word(self, line: int, word: int, value: int) -> None:
        """Store a state word of a line, with release."""
        write_word(self.state[line], word, value)

    def word(self, line: int, word: int) -> int:
        """A state word of a line, with acquire."""
        return read_word(self.state[line], word)

    def add(self, line: int, counter: int, amount: int = 1) -> None:
        """Count; only the line's process does."""
        self.counters[line, counter] += amount

    def record(self, line: int, histogram: int, ns: int) -> None:
        """Count one latency; kernels call record_nb(board.histograms[line, histogram], ns)."""
        record_nb(self.histograms[line, histogram], ns)

    def record_since(
        self, line: int, histogram: int, stamps_ns: np.ndarray, now_ns: int
    ) -> None:
        """Count the time from each of int64[any] to now_ns."""
        whole = np.ascontiguousarray(stamps_ns)
        record_since_nb(self.histograms[line, histogram], whole, now_ns)

    # -- everybody -------------------------------------------------------------------------------
    def snapshot(self) -> list[LineSnapshot]:
        """A copy of every line, in order."""
        return [self.snapshot_line(line) for line in range(len(self.lines))]

    def snapshot_line(self, line: int) -> LineSnapshot:
        """A copy of one line; a word is always whole, the words may be instants apart."""
        counters = self.counters[line, : len(self.counter_names)].tolist()
        return LineSnapshot(
            self.lines[line],
            self.state[line].copy(),
            dict(zip(self.counter_names, counters, strict=True)),
            dict(zip(self.histogram_names, self.histograms[line].copy(), strict=True)),
        )

    def merged(self, histogram: int) -> np.ndarray:
        """One histogram over all lines."""
        return merge(list(self.histograms[:, histogram]))


def bucket_upper_ns(bucket: int) -> int:
    """The largest latency in ns that counts in a bucket."""
    if bucket < SUB:
        return bucket
    octave, part = divmod(bucket, SUB)
    return ((SUB + part + 1) << (octave - 1)) - 1


def merge(histograms: Sequence[np.ndarray]) -> np.ndarray:
    """Sum of histograms (HISTOGRAM_WORDS each), the maximum being the largest."""
    total = np.zeros(HISTOGRAM_WORDS, np.int64)
    for one in histograms:
        largest = max(total[MAX], one[MAX])
        total += one
        total[MAX] = largest
    return total


def count(histogram: np.ndarray) -> int:
    """How many latencies were recorded."""
    return int(histogram[:BUCKETS].sum())


def quantile(histogram: np.ndarray, q: float) -> float:
    """Latency in ns that a share q (0..1) does not exceed: the upper edge of its bucket, at most
    12.5 % too high and never above the maximum; NaN when nothing was recorded."""
    below = np.cumsum(histogram[:BUCKETS])
    if below[-1] == 0:
        return float("nan")
    bucket = int(np.searchsorted(below, max(1, int(np.ceil(q * below[-1])))))
    return float(min(bucket_upper_ns(bucket), int(histogram[MAX])))


def cumulative(histogram: np.ndarray, bounds_ns: Sequence[int]) -> list[int]:
    """How many latencies lie in whole buckets up to each bound: the `le` rows of a Prometheus
    histogram."""
    uppers = np.array([bucket_upper_ns(bucket) for bucket in range(BUCKETS)])
    below = np.concatenate(([0], np.cumsum(histogram[:BUCKETS])))
    return [int(below[np.searchsorted(uppers, bound, side="right")]) for bound in bounds_ns]


