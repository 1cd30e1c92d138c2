"""GET /ws: admits a client, reads its messages within limits, answers each with one message."""

import asyncio
import contextlib
import time

import msgspec
from aiohttp import WebSocketError, WSCloseCode, WSMessage, WSMsgType, web

from engine.config.schema_web import WebSection
from shm.errors import ShmError
from web.app_state import STATE, AppState
from web.auth.desk import DESK
from web.deps import Front
from web.principal import PRINCIPAL
from web.problems import Problem
from web.reading import NoCycleError, TornError
from web.schemas import (
    Inbound,
    NoQuery,
    Ping,
    SocketQuery,
    SubscribeAlerts,
    SubscribeMovers,
    UnsubscribeAlerts,
    UnsubscribeMovers,
    decode_message,
    decode_query,
)
from web.ws.connection import CLOSE_POLICY, CLOSE_RESTART, CLOSE_SLOW, Connection, SlowClientError
from web.ws.hub import HUB, Hub, alerts_snapshot_message


class MessageBudget:
    """Token bucket of inbound messages; times in seconds of the monotonic clock."""

    def __init__(self, limits: WebSection, now_s: float) -> None:
        self._rate, self._burst = limits.max_messages_per_s, float(limits.max_burst_messages)
        self._tokens, self._at_s = self._burst, now_s

    def take(self, now_s: float) -> bool:
        """True if one more message is allowed now."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


async def get_socket(request: web.Request) -> web.StreamResponse:
    """The WebSocket; Host and Origin were checked before this runs."""
    state, hub = request.app[STATE], request.app[HUB]
    limits = state.front.deps.limits
    decode_query(request.query, SocketQuery if DESK in request.app else NoQuery)
    socket = web.WebSocketResponse(
        heartbeat=limits.heartbeat_interval_ms / 1e3,
        compress=False,
        max_msg_size=limits.max_message_bytes,
        timeout=limits.close_timeout_ms / 1e3,
        writer_limit=limits.max_unsent_bytes,
    )
    if not socket.can_prepare(request).ok:
        raise Problem(426, "This is a WebSocket: send an Upgrade: websocket handshake.",
                      {"Upgrade": "websocket"})  # fmt: skip
    if len(state.connections) >= limits.max_connections:
        state.front.reached("max_connections")
        raise Problem(429, f"{limits.max_connections} connections are open, which is the limit.",
                      {"Retry-After": "5"})  # fmt: skip
    try:
        await socket.prepare(request)
    except ValueError:
        raise Problem(400, "The WebSocket handshake is malformed.") from None
    await _serve(request, socket, state, hub)
    return socket


async def _serve(
    request: web.Request, socket: web.WebSocketResponse, state: AppState, hub: Hub
) -> None:
    connection = Connection(socket, hub.feed, state.front, request.get(PRINCIPAL))
    state.connections.add(connection)
    state.front.count("websocket_opened_total")
    reader = asyncio.create_task(_read(connection, state, hub))
    writer = asyncio.create_task(connection.write())
    try:
        with contextlib.suppress(NoCycleError, TornError, ShmError):
            connection.reply(hub.status_message())
        done, _ = await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await _end(request, connection, state, task.exception())
    finally:
        state.connections.discard(connection)
        for task in (reader, writer):
            task.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)


async def _end(
    request: web.Request, connection: Connection, state: AppState, error: BaseException | None
) -> None:
    """Close the way that fits the end of one of the two tasks."""
    if isinstance(error, SlowClientError):
        state.front.reached(error.bound)
        await connection.close(CLOSE_SLOW, f"{error}; resume from your last seq")
        if request.transport is not None:
            request.transport.abort()
    elif isinstance(error, Problem):
        await connection.close(CLOSE_POLICY, error.detail)
    elif error is not None and not isinstance(error, ConnectionError):
        raise error


async def _read(connection: Connection, state: AppState, hub: Hub) -> None:
    front, limits = state.front, state.front.deps.limits
    budget = MessageBudget(limits, time.monotonic())
    async for message in connection.socket:
        if message.type is WSMsgType.ERROR:
            _count_error(message.data, front)
            return
        if not budget.take(time.monotonic()):
            front.reached("max_messages_per_s")
            rate, burst = limits.max_messages_per_s, limits.max_burst_messages
            raise Problem(429, f"Too many messages: at most {rate} a second, {burst} at once.")
        try:
            await _handle(_decode(message), connection, hub)
        except Problem as problem:
            front.count("websocket_messages_refused_total")
            connection.reply(error_message(problem.detail))
        except (NoCycleError, TornError, ShmError):
            connection.reply(error_message("The engine is starting; updates follow by themselves."))


def _count_error(error: object, front: Front) -> None:
    """Count why a client was cut off by aiohttp, which has closed it already."""
    if isinstance(error, TimeoutError):
        front.reached("heartbeat_interval_ms")
    elif isinstance(error, WebSocketError) and error.code == WSCloseCode.MESSAGE_TOO_BIG:
        front.reached("max_message_bytes")
    else:
        front.count("websocket_messages_refused_total")


def _decode(message: WSMessage) -> Inbound:
    if message.type is not WSMsgType.TEXT:
        raise Problem(400, "Messages are JSON text; a binary one was sent.")
    return decode_message(str(message.data))


async def _handle(message: Inbound, connection: Connection, hub: Hub) -> None:
    if isinstance(message, Ping):
        connection.reply(b'{"type":"pong"}')
    elif isinstance(message, SubscribeAlerts):
        await _subscribe_alerts(message, connection, hub)
    elif isinstance(message, UnsubscribeAlerts):
        connection.follow_alerts(None)
        connection.reply(b'{"type":"unsubscribed","topic":"alerts"}')
    elif isinstance(message, SubscribeMovers):
        connection.front.refuse_over("max_movers_rows", "limit", message.limit)
        connection.drop("movers")
        connection.movers = (message.sort, message.direction, message.limit)
        connection.offer("movers", hub.movers_message(connection.movers))
    elif isinstance(message, UnsubscribeMovers):
        connection.movers = None
        connection.drop("movers")
        connection.reply(b'{"type":"unsubscribed","topic":"movers"}')


async def _subscribe_alerts(message: SubscribeAlerts, connection: Connection, hub: Hub) -> None:
    """Resume where the client was if that is near and known, else start from a snapshot."""
    after, newest = message.resume_from, hub.feed.newest
    connection.follow_alerts(None)
    if after is not None and newest - after > connection.front.deps.limits.max_resumed_alerts:
        connection.front.reached("max_resumed_alerts")
        after = None
    if after is not None and after <= newest:
        connection.reply(alerts_snapshot_message(after, True, []))
    else:
        after, text = await hub.alerts_snapshot()
        connection.reply(text)
    connection.follow_alerts(after)


def error_message(sentence: str) -> bytes:
    """The `error` message: one sentence."""
    return msgspec.json.encode({"type": "error", "message": sentence})


async def close_all(app: web.Application) -> None:
    """Say goodbye to every client (1012: come back), all at once, within the close timeout."""
    reason = "the engine front is restarting; connect again"
    connections = list(app[STATE].connections)
    await asyncio.gather(*(c.close(CLOSE_RESTART, reason) for c in connections))
