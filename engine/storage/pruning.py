"""Removes from a store what it has kept for longer than its setting says, a part at a time."""

from typing import Protocol

from shm.clock import Clocks

NS_PER_DAY = 86_400 * 1_000_000_000
START_ROWS = 50_000  # of one transaction while nobody waits for the store
START_PARTS = 5  # some 10 s: a start is not held up for longer, the rest goes while it runs
# Of one transaction while the engine runs, some 25 ms: an alert lies in four indexes.
RUNNING_ALERTS = 500
RUNNING_BARS = 5_000
FIRST_NS = 60 * 1_000_000_000
PAUSE_NS = 1_000_000_000
AGAIN_NS = 60 * 1_000_000_000
EVERY_NS = 3_600 * 1_000_000_000
_KERNEL_CLOCKS = Clocks()


class Prunable(Protocol):
    """A store that can remove what is old, see AlertStore.prune and BarStore.prune."""

    def prune(self, before_ns: int, keep: str, limit: int) -> int:
        """Remove at most `limit` of what is older than before_ns, but nothing of stream `keep`."""

    def close(self) -> None:
        """Close the store."""


def prune_at_start(store: Prunable, before_ns: int, keep: str) -> int:
    """Remove what is older than before_ns (ns UTC) and not of the stream `keep`, at most START_ROWS
    * START_PARTS; how much it was. Raises StoreError; what went before that stays gone."""
    removed = 0
    for _ in range(START_PARTS):
        count = store.prune(before_ns, keep, START_ROWS)
        removed += count
        if count < START_ROWS:
            break
    return removed


class Pruner:
    """Does the same while the engine runs: once an hour, in parts a second apart that are small
    enough for whoever waits for the store. For a role that has nothing else to do just now."""

    def __init__(
        self, keep_days: int, keep: str, rows: int, clocks: Clocks = _KERNEL_CLOCKS
    ) -> None:
        """keep_days: 0 for ever; keep: the open stream; rows: of one part."""
        self._keep_days = keep_days
        self._rows = rows
        self._keep = keep
        self._clocks = clocks
        self._due_ns = clocks.monotonic_ns() + FIRST_NS

    def step(self, store: Prunable) -> int:
        """Remove a part if one is due; how much that was. Raises StoreError; it is tried again in
        a minute."""
        if not self._keep_days or self._clocks.monotonic_ns() < self._due_ns:
            return 0
        self._due_ns = self._clocks.monotonic_ns() + AGAIN_NS
        before_ns = self._clocks.realtime_ns() - self._keep_days * NS_PER_DAY
        removed = store.prune(before_ns, self._keep, self._rows)
        rest_ns = PAUSE_NS if removed == self._rows else EVERY_NS
        self._due_ns = self._clocks.monotonic_ns() + rest_ns
        return removed
