"""The push side: three loops that look once and send to many."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
from aiohttp import web

from engine.storage.ports import AlertAt
from shm.errors import ShmError
from web import movers
from web.app_state import STATE, AppState
from web.pace import Sample
from web.problems import Problem
from web.reading import NoCycleError, TornError, instant, read_head
from web.rest.alerts import document, in_store
from web.rest.status import status_document
from web.ws.alert_feed import AlertFeed

log = logging.getLogger("tapescan.web")


class Hub:
    """Feeds every connection of one application; `alerts_stored` is the wake-up from outside."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._state: AppState = app[STATE]
        self._limits = self._state.front.deps.limits
        self._stored = asyncio.Event()
        self._begun = False
        self._tasks: list[asyncio.Task[None]] = []
        self._seq: dict[str, itertools.count[int]] = {}
        self.feed = AlertFeed(
            self._read_after, self._limits.max_buffered_alerts, self._count_sent
        )

    async def start(self) -> None:
        """Begin behind the newest stored alert (later, if the store fails) and start the loops."""
        with contextlib.suppress(Problem):
            await self._begin()
        for step, interval_ms in (
            (self._push_alerts, self._limits.alerts_interval_ms),
            (self._push_status, self._limits.status_interval_ms),
            (self._push_movers, self._limits.movers_interval_ms),
        ):
            self._tasks.append(asyncio.create_task(self._loop(step, interval_ms)))

    async def stop(self) -> None:
        """End the loops."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def alerts_stored(self) -> None:
        """Somebody says that new alerts are in the store."""
        self._stored.set()

    async def _begin(self) -> None:
        newest = await self.latest(1)
        self.feed.begin_at(newest[0].position if newest else 0)
        self._begun = True

    async def _loop(self, step: Callable[[], Awaitable[None]], interval_ms: int) -> None:
        while True:
            try:
                await step()
            except (NoCycleError, TornError, ShmError, Problem):
                self._state.front.count("pushes_skipped_total")
            except Exception:  # boundary: a push loop must outlive one bad look
                self._state.front.count_error()
                log.exception("a push loop failed and goes on")
            if step == self._push_alerts:
                await self._wait_stored(interval_ms / 1e3)
            else:
                await asyncio.sleep(interval_ms / 1e3)

    async def _wait_stored(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stored.wait()
        except TimeoutError:
            return
        self._stored.clear()

    # -- alerts ----------------------------------------------------------------------------------
    async def latest(self, limit: int) -> list[AlertAt]:
        """The newest stored alerts, newest first."""
        front = self._state.front
        return await in_store(front, lambda: front.deps.alerts.latest(limit))

    async def _read_after(self, after: int, limit: int) -> list[AlertAt]:
        front = self._state.front
        return await in_store(front, lambda: front.deps.alerts.after(after, limit))

    async def _push_alerts(self) -> None:
        self._state.front.deps.gauge("websocket_connections", len(self._state.connections))
        if not self._begun:
            await self._begin()
        if await self.feed.poll():
            for connection in self._state.connections:
                connection.wake()

    def _count_sent(self, stored_ns: int | None) -> None:
        deps = self._state.front.deps
        deps.count("alerts_delivered_total", 1)
        if stored_ns is not None:
            deps.observe("alert_delivery_latency_seconds", max(0, deps.engine_ns() - stored_ns))

    async def alerts_snapshot(self) -> tuple[int, bytes]:
        """Seq to follow from and the `snapshot` message with the newest alerts."""
        rows = await self.latest(self._limits.snapshot_alerts)
        seq = rows[0].position if rows else 0
        return seq, alerts_snapshot_message(seq, False, [document(row) for row in rows])

    # -- status ----------------------------------------------------------------------------------
    async def _push_status(self) -> None:
        self._sample()
        if not self._state.connections:
            return
        text = self._message("status", status_document(self._app))
        for connection in self._state.connections:
            connection.offer("status", text)

    def status_message(self) -> bytes:
        """A `status` message for a client that has just come."""
        return self._message("status", status_document(self._app))

    def _sample(self) -> None:
        deps = self._state.front.deps
        head = read_head(deps.tables)
        telemetry = deps.telemetry()
        self._state.pace.add(
            Sample(deps.now_ns(), int(head["n"]), int(head["t_ns"]), int(head["ticks"]),
                   telemetry.histograms)
        )  # fmt: skip

    # -- movers ----------------------------------------------------------------------------------
    async def _push_movers(self) -> None:
        wanted = {c.movers for c in self._state.connections if c.movers is not None}
        if not wanted:
            return
        board = self._read_board()
        texts = {key: self._movers(board, key) for key in wanted}
        for connection in self._state.connections:
            if connection.movers is not None:
                connection.offer("movers", texts[connection.movers])

    def movers_message(self, key: tuple[str, str, int]) -> bytes:
        """A `movers` message for a client that has just subscribed."""
        return self._movers(self._read_board(), key)

    def _read_board(self) -> movers.Board:
        deps = self._state.front.deps
        return movers.read_board(deps.tables, deps.metrics, self._state.directory)

    def _movers(self, board: movers.Board, key: tuple[str, str, int]) -> bytes:
        tables = self._state.front.deps.tables
        order: np.ndarray = movers.rank(board, *key)
        sort, direction, _ = key
        return self._message(
            "movers",
            {
                "sort": sort,
                "direction": direction,
                "t": instant(int(read_head(tables)["t_ns"])),
                "total": int(board.ids.size),
                "rows": movers.rows_of(tables, board, order),
            },
        )

    def _message(self, topic: str, data: dict[str, Any]) -> bytes:
        seq = next(self._seq.setdefault(topic, itertools.count(1)))
        return msgspec.json.encode({"type": topic, "topic": topic, "seq": seq, "data": data})


def alerts_snapshot_message(seq: int, resumed: bool, data: list[dict[str, Any]]) -> bytes:
    """The `snapshot` of alerts, newest first; resumed: what was missed follows as `alert`s."""
    return msgspec.json.encode(
        {"type": "snapshot", "topic": "alerts", "seq": seq, "resumed": resumed, "data": data}
    )


HUB: web.AppKey[Hub] = web.AppKey("hub", Hub)
