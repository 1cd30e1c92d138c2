"""Whether a living role still does its work; pure, reads no clock and no board."""

import dataclasses
from collections.abc import Mapping, Sequence

_MS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a role may be silent, still, or busy starting; milliseconds."""

    beat_ms: int = 5000
    stall_ms: int = 15_000
    boot_ms: int = 30_000


class Watch:
    """Follows one process from its fork on; all times are CLOCK_MONOTONIC nanoseconds."""

    def __init__(self, patience: Patience, now_ns: int, progress: int) -> None:
        self.patience = patience
        self.begun_ns = now_ns
        self.progress_at_start = progress
        self._since_ns = now_ns      # nothing older than this counts as silence
        self._progress = progress
        self._moved_ns = now_ns
        self._booted = False

    def rebase(self, now_ns: int) -> None:
        """Forget silence up to now: the watcher itself was asleep (stopped, suspended, swapped)."""
        self._since_ns = now_ns
        self._moved_ns = now_ns

    def complaint(
        self, now_ns: int, beat_ns: int, progress: int, waiting: int, waiters: Sequence[str] = ()
    ) -> str:
        """Why the process must be replaced, empty: it is well.

        beat_ns: its last beat, 0 before the first. waiting: input that waits for it, 0 none.
        waiters: roles that cannot go on before it does.
        """
        patience = self.patience
        if progress != self._progress or (waiting <= 0 and not waiters):
            self._progress, self._moved_ns = progress, now_ns
        if beat_ns < self.begun_ns:
            silent_ms = (now_ns - self._since_ns) // _MS
            return f"no first beat for {silent_ms} ms" if silent_ms > patience.boot_ms else ""
        if not self._booted:
            self._booted, self._moved_ns = True, now_ns
        silent_ms = (now_ns - max(beat_ns, self._since_ns)) // _MS
        if silent_ms > patience.beat_ms:
            return f"no beat for {silent_ms} ms"
        still_ms = (now_ns - self._moved_ns) // _MS
        if still_ms > patience.stall_ms:
            held = f"; {' and '.join(waiters)} cannot go on before it does" if waiters else ""
            return f"no progress for {still_ms} ms with {max(waiting, 0)} waiting{held}"
        return ""


def cause(key: str, waits: Mapping[str, str]) -> str:
    """The role that keeps another from going on: the end of the chain of those that wait.

    waits: for each role the one whose gate it waits for, empty or absent: nobody's. Of roles that
    wait for each other in a circle each is its own cause: none of them has an excuse.
    """
    passed = [key]
    while following := waits.get(passed[-1], ""):
        if following in passed:
            return following
        passed.append(following)
    return passed[-1]


def held_up(waits: Mapping[str, str]) -> dict[str, list[str]]:
    """By each role that is the cause of others' waiting, those others."""
    found: dict[str, list[str]] = {}
    for key in waits:
        if (other := cause(key, waits)) != key:
            found.setdefault(other, []).append(key)
    return found
