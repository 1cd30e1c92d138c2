"""One WebSocket: reads messages within limits, and one writer task sends in a fixed order.

What waits for a slow client is bounded: answers are counted, movers and status keep only their
newest, alerts are a cursor into the hub's shared buffer. A client that does not take what is sent
within the send timeout, or falls out of the buffer, is closed and can resume by its last seq.
"""

import asyncio
import collections
import contextlib

from aiohttp import WSMsgType, web

from web.deps import Front
from web.principal import Principal
from web.ws.alert_feed import AlertFeed

CLOSE_SLOW = 4008      # cannot keep up; connect again with resume_from
CLOSE_POLICY = 1008    # too many messages
CLOSE_RESTART = 1012   # the server is stopping or starting again


class SlowClientError(Exception):
    """Raised when a client cannot keep up; carries the reason sent in the close frame and the bound
    in [web] that it ran into."""

    def __init__(self, reason: str, bound: str) -> None:
        super().__init__(reason)
        self.bound = bound


class Connection:
    """Outgoing side of a client of `front`. alerts_after: seq of the last alert sent, None: none
    wanted. movers: sort, direction and rows of its subscription. principal: who is there, None:
    whoever it is."""

    def __init__(
        self, socket: web.WebSocketResponse, feed: AlertFeed, front: Front,
        principal: Principal | None = None,
    ) -> None:
        self.socket = socket
        self.principal = principal
        self.front = front
        self.alerts_after: int | None = None
        self.movers: tuple[str, str, int] | None = None
        self._feed = feed
        self._limits = front.deps.limits
        self._live = False
        self._wake = asyncio.Event()
        self._replies: collections.deque[bytes] = collections.deque()
        self._newest: dict[str, bytes] = {}

    def reply(self, text: bytes) -> None:
        """Queue an answer. Raises SlowClientError when too many wait."""
        if len(self._replies) >= self._limits.max_waiting_replies:
            raise SlowClientError("too many answers are waiting to be read", "max_waiting_replies")
        self._replies.append(text)
        self._wake.set()

    def offer(self, topic: str, text: bytes) -> None:
        """Keep the newest message of movers or status; an unsent older one is forgotten."""
        if topic in self._newest:
            self.front.reached(f"{topic}_interval_ms")
        self._newest[topic] = text
        self._wake.set()

    def drop(self, topic: str) -> None:
        """Forget an unsent message of a topic."""
        self._newest.pop(topic, None)

    def follow_alerts(self, after: int | None) -> None:
        """Send alerts with a seq above `after` from now on; None: no more."""
        self.alerts_after, self._live = after, False
        self._wake.set()

    def wake(self) -> None:
        """Let the writer look for new alerts."""
        if self.alerts_after is not None:
            self._wake.set()

    async def write(self) -> None:
        """The writer task: answers, then alerts in order, then the newest of the rest."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._replies:
                await self._send(self._replies.popleft())
            await self._send_alerts()
            for topic in list(self._newest):
                text = self._newest.pop(topic, None)
                if text is not None:
                    await self._send(text)

    async def _send_alerts(self) -> None:
        while (after := self.alerts_after) is not None and after < self._feed.newest:
            buffered = after >= self._feed.oldest_held - 1
            if self._live and not buffered:
                behind = self._limits.max_buffered_alerts
                raise SlowClientError(
                    f"you are more than {behind} alerts behind", "max_buffered_alerts"
                )
            self._live = buffered  # one that resumes from the store may catch up first
            page = await self._feed.page(after)
            if not page:
                return
            for item in page:
                if self.alerts_after != after:
                    return  # subscribed anew or unsubscribed meanwhile; that has set the wake-up
                self.alerts_after = after = item.seq
                await self._send(item.text)
                self._feed.count_sent(item)
            if self._replies:
                self._wake.set()
                return

    async def _send(self, text: bytes) -> None:
        """Send one message within the timeout; the socket's own buffer is bounded."""
        try:
            async with asyncio.timeout(self._limits.send_timeout_ms / 1e3):
                await self.socket.send_frame(text, WSMsgType.TEXT)
        except TimeoutError:
            raise SlowClientError("nothing was read for too long", "send_timeout_ms") from None

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame (reason cut to what fits) without waiting long for the answer."""
        message = reason.encode()[:120].decode(errors="ignore").encode()
        with contextlib.suppress(ConnectionError, RuntimeError):
            try:
                async with asyncio.timeout(self._limits.close_timeout_ms / 1e3):
                    await self.socket.close(code=code, message=message)
            except TimeoutError:
                self.front.reached("close_timeout_ms")
