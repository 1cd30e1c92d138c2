"""Alerts on their way to clients: serialised once, in one bounded buffer, older ones from store.

The seq of an alert is its position in the alert store: it grows, has holes, and survives restarts
of the front, so a client resumes by it whatever was killed meanwhile.
"""

import collections
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from engine.storage.ports import AlertAt
from web.rest.alerts import document

PAGE = 256


class Outgoing(NamedTuple):
    """One alert ready to send; stored_ns: when it was stored, None for one sent late on resume."""

    seq: int
    text: bytes
    stored_ns: int | None


ReadAfter = Callable[[int, int], Awaitable[list[AlertAt]]]


class AlertFeed:
    """newest: seq of the newest alert known; the buffer holds what came since the front started."""

    def __init__(
        self, read_after: ReadAfter, capacity: int, on_sent: Callable[[int | None], None]
    ) -> None:
        self.newest = 0
        self._read_after = read_after
        self._held: collections.deque[Outgoing] = collections.deque(maxlen=capacity)
        self._start = 0  # everything after this seq went through the buffer
        self._on_sent = on_sent

    @property
    def oldest_held(self) -> int:
        """The smallest seq for which the buffer is complete from there on."""
        full = len(self._held) == self._held.maxlen
        return self._held[0].seq if full and self._held else self._start + 1

    def begin_at(self, newest: int) -> None:
        """Start with an empty buffer behind the newest alert of the store."""
        self.newest = self._start = newest
        self._held.clear()

    async def poll(self) -> bool:
        """Take what was stored since; True if there was anything."""
        found = False
        while rows := await self._read_after(self.newest, PAGE):
            for row in rows:
                self._held.append(outgoing(row, row.alert.stored_ns))
            self.newest = rows[-1].position
            found = True
            if len(rows) < PAGE:
                break
        return found

    async def page(self, after: int) -> Sequence[Outgoing]:
        """The next alerts behind a seq, oldest first: from the buffer, or else from the store."""
        if after >= self.oldest_held - 1:
            return self._from_buffer(after)
        rows = await self._read_after(after, PAGE)
        return [outgoing(row, None) for row in rows if row.position <= self.newest]

    def _from_buffer(self, after: int) -> list[Outgoing]:
        fresh: list[Outgoing] = []
        for item in reversed(self._held):
            if item.seq <= after:
                break
            fresh.append(item)
        fresh.reverse()
        return fresh[:PAGE]

    def count_sent(self, item: Outgoing) -> None:
        """Say that one client was sent this alert."""
        self._on_sent(item.stored_ns)


def outgoing(row: AlertAt, stored_ns: int | None) -> Outgoing:
    """The `alert` message of a stored alert; the canonical JSON goes through verbatim."""
    text = msgspec.json.encode({"type": "alert", "topic": "alerts", **document(row)})
    return Outgoing(row.position, text, stored_ns)
