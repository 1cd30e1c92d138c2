"""Every bound of [web], set to something small: the front keeps it, says so once, and counts it."""

import asyncio
import json
import socket as sockets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.config.registry import SETTINGS
from engine.storage.sqlite import SqliteAlertStore
from ipc.telemetry import BY_NAME
from tests.web.market import limits
from tests.web.staged import Stage, run, stage

Scenario = Callable[["Client"], Awaitable[None]]
NORMAL = {"http_requests_total", "websocket_opened_total", "websocket_connections",
          "websocket_messages_refused_total", "alerts_delivered_total"}  # fmt: skip
# No bound at which something is refused or lost, so there is nothing to count.
UNCOUNTED = {"keepalive_timeout_ms", "snapshot_alerts", "alerts_interval_ms", "login_window_s",
             "session_lifetime_s", "access_lifetime_s", "refresh_lifetime_s"}  # fmt: skip


class Client:
    """Speaks to a staged role, and stores alerts as the alert service would."""

    def __init__(
        self, made: Stage, session: aiohttp.ClientSession, url: str, store: SqliteAlertStore
    ) -> None:
        self.made, self.session, self.url = made, session, url
        self._store = store

    def alerts(self, count: int) -> None:
        market = self.made.market
        for _ in range(count):
            market.alert()
        rows = reversed(market.store.latest(count))
        self._store.append([row.alert for row in rows])
        self.made.wake.notify("web")

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, body: object) -> tuple[int, Any]:
        headers = {"Origin": self.url, "Content-Type": "application/json"}
        url = self.url + "/api/v1/demo-market"
        async with self.session.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    def socket(self) -> Any:
        return self.session.ws_connect(self.url + "/ws", origin=self.url, max_msg_size=0)

    async def until_counted(self, series: str) -> None:
        while series not in self.made.counters():
            await asyncio.sleep(0.01)

    def deaf(self) -> sockets.socket:
        """A connected WebSocket with a tiny buffer, for a client that does not read."""
        raw = sockets.socket()
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", self.made.port))
        host = b"127.0.0.1:%d" % self.made.port
        raw.sendall(
            b"GET /ws HTTP/1.1\r\nHost: " + host + b"\r\nOrigin: http://" + host + b"\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        return raw


async def next_of(ws: Any, kind: str) -> dict[str, Any]:
    """The next message of a type; the others are passed over."""
    while True:
        message: dict[str, Any] = json.loads(await ws.receive_str())
        if message["type"] == kind:
            return message


async def close_of(ws: Any) -> tuple[int, str]:
    """Code and reason of the close frame; everything before it is passed over."""
    while (message := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    return message.data or ws.close_code, message.extra or ""


def masked(text: bytes) -> bytes:
    """A text frame of a client, its mask all zeros."""
    return bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text


def bounded(tmp_path: Path, scenario: Scenario, **settings: int) -> dict[str, int]:
    """Run a scenario on a role with these settings of [web]; what it counted beside the normal."""
    made = stage(tmp_path, settings=limits(**settings))
    store = SqliteAlertStore(tmp_path / "alerts.db")  # whole before the front looks at it

    async def whole(session: aiohttp.ClientSession, url: str) -> None:
        await scenario(Client(made, session, url, store))

    run(made, whole)
    store.close()
    return {name: count for name, count in made.counters().items() if name not in NORMAL}


def test_every_bound_names_a_counter_that_is_on_the_board() -> None:
    named = {setting.name: setting.counter for setting in SETTINGS.values() if setting.counter}
    assert set(named.values()) <= {name for name in BY_NAME if BY_NAME[name].kind == "counter"}
    for setting in SETTINGS.values():
        if setting.section == "web" and setting.kind == "int" and setting.key != "port":
            assert (setting.name in named) is not (setting.key in UNCOUNTED), setting.name


def test_a_body_over_its_bound_is_refused(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        status, told = await client.post(b'{"market":"' + b"x" * 1024 + b'"}')
        assert (status, told["detail"]) == (413, "The body is larger than 1024 bytes.")

    counted = bounded(tmp_path, scenario, max_body_bytes=1024)
    assert counted == {"http_bodies_refused_total": 1}


async def endless() -> Any:
    """A body that never ends."""
    yield b"{"
    await asyncio.Event().wait()


async def take_the_only_place(client: Client) -> "asyncio.Task[Any]":
    """A request that runs until it is cut off; the next one is refused already."""
    task = asyncio.create_task(client.post(endless()))
    while (await client.get("/live"))[0] == 200:
        await asyncio.sleep(0.01)
    return task


def test_one_request_more_than_may_run_is_refused_but_sockets_do_not_count(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket() as ws:
            await next_of(ws, "status")
            assert (await client.get("/live"))[0] == 200
            task = await take_the_only_place(client)
            status, told = await client.get("/live")
            assert status == 429
            assert "Too many requests are running" in told["detail"]
            task.cancel()

    counted = bounded(tmp_path, scenario, max_requests=1)
    assert counted["http_requests_refused_total"] == 2


def test_a_request_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        status, told = await client.post(endless())
        assert (status, told["detail"]) == (503, "The answer was not ready after 50 ms.")

    counted = bounded(tmp_path, scenario, request_timeout_ms=50)
    assert counted == {"http_requests_timed_out_total": 1}


def test_a_request_that_outlasts_the_front_is_cut_off(tmp_path: Path) -> None:
    tasks = []

    async def scenario(client: Client) -> None:
        tasks.append(await take_the_only_place(client))

    counted = bounded(tmp_path, scenario, drain_timeout_ms=50, max_requests=1)
    assert counted["http_requests_cut_off_total"] == 1


def test_an_idle_connection_is_closed_after_its_time(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.made.port)
        host = f"127.0.0.1:{client.made.port}"
        writer.write(f"GET /live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 200")  # all of it: until it is closed
        writer.close()

    assert bounded(tmp_path, scenario, keepalive_timeout_ms=1000) == {}


@pytest.mark.parametrize(
    ("setting", "path", "key"),
    [("max_page_rows", "/api/v1/alerts?limit=", "limit"),
     ("max_page_rows", "/api/v1/symbols?limit=", "limit"),
     ("max_page_bars", "/api/v1/symbols/AIG?bars=", "bars")],
)  # fmt: skip
def test_a_query_for_more_than_a_page_holds_is_refused(
    setting: str, path: str, key: str, tmp_path: Path
) -> None:
    async def scenario(client: Client) -> None:
        assert (await client.get(f"{path}150"))[0] == 200
        status, told = await client.get(f"{path}151")
        assert (status, told["detail"]) == (400, f"{key}: expected a whole number <= 150.")

    assert bounded(tmp_path, scenario, **{setting: 150}) == {"http_pages_refused_total": 1}


def test_one_socket_more_than_may_be_open_is_refused(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket() as ws:
            await next_of(ws, "status")
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.socket()
            assert refused.value.status == 429

    counted = bounded(tmp_path, scenario, max_connections=1)
    assert counted == {"websocket_connections_refused_total": 1}


def test_a_message_over_its_bound_closes_the_socket(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket() as ws:
            await ws.send_str('{"type":"' + "x" * 256 + '"}')
            assert (await close_of(ws))[0] == aiohttp.WSCloseCode.MESSAGE_TOO_BIG

    counted = bounded(tmp_path, scenario, max_message_bytes=256)
    assert counted == {"websocket_messages_too_large_total": 1}


def test_messages_over_their_rate_close_the_socket_and_the_reason_names_the_rate(
    tmp_path: Path,
) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket() as ws:
            for _ in range(8):
                await ws.send_str('{"type":"ping"}')
            assert await close_of(ws) == (1008, "Too many messages: at most 2 a second, 3 at once.")

    counted = bounded(tmp_path, scenario, max_messages_per_s=2, max_burst_messages=3)
    assert counted == {"websocket_messages_over_rate_total": 1}


def test_answers_that_a_client_does_not_read_close_it(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        client.alerts(100)
        with client.deaf() as raw:
            raw.setblocking(False)
            asks = masked(b'{"type":"subscribe_alerts"}') * 2000
            asking = asyncio.create_task(asyncio.get_running_loop().sock_sendall(raw, asks))
            await client.until_counted("websocket_replies_overflowed_total")
            asking.cancel()

    counted = bounded(
        tmp_path, scenario, max_waiting_replies=2, snapshot_alerts=100, max_unsent_bytes=1024,
        send_timeout_ms=60_000, max_messages_per_s=100_000, max_burst_messages=100_000,
    )  # fmt: skip
    assert counted["websocket_replies_overflowed_total"] == 1


async def flood(client: Client, raw: sockets.socket, series: str) -> None:
    """Store alerts that a deaf client has subscribed to until something is counted."""
    await client.until_counted("websocket_opened_total")
    raw.sendall(masked(b'{"type":"subscribe_alerts"}'))
    while series not in client.made.counters():
        client.alerts(250)
        await asyncio.sleep(0.02)


def test_a_client_that_does_not_read_is_closed_after_the_send_timeout(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        with client.deaf() as raw:
            await flood(client, raw, "websocket_sends_timed_out_total")

    counted = bounded(tmp_path, scenario, send_timeout_ms=50, max_buffered_alerts=1_000_000)
    assert counted["websocket_sends_timed_out_total"] == 1


def test_a_goodbye_that_is_not_answered_is_counted(tmp_path: Path) -> None:
    deaf = []

    async def scenario(client: Client) -> None:
        deaf.append(client.deaf())
        await flood(client, deaf[0], "websocket_updates_replaced_total")

    counted = bounded(
        tmp_path, scenario, send_timeout_ms=60_000, close_timeout_ms=50,
        max_buffered_alerts=1_000_000,
    )  # fmt: skip
    deaf[0].close()
    assert counted["websocket_closes_timed_out_total"] == 1


def test_a_client_that_answers_no_ping_is_dropped(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        with client.deaf():
            await client.until_counted("websocket_heartbeats_missed_total")

    counted = bounded(tmp_path, scenario, heartbeat_interval_ms=100, status_interval_ms=60_000)
    assert counted == {"websocket_heartbeats_missed_total": 1}


def test_a_live_client_that_falls_out_of_the_buffer_is_closed(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket() as ws:
            await ws.send_str('{"type":"subscribe_alerts"}')
            await next_of(ws, "snapshot")
            client.alerts(1)
            await next_of(ws, "alert")
            client.alerts(400)
            code, reason = await close_of(ws)
            assert code == 4008
            assert reason == "you are more than 300 alerts behind; resume from your last seq"

    counted = bounded(tmp_path, scenario, max_buffered_alerts=300, status_interval_ms=60_000)
    assert counted == {"websocket_alerts_lapped_total": 1}


def test_a_client_too_far_behind_starts_from_a_snapshot_of_so_many_alerts(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        client.alerts(10)
        while (await client.get("/api/v1/alerts"))[1]["data"][0]["seq"] != 10:
            pass
        async with client.socket() as ws:
            for after, resumed, rows in ((4, False, 3), (5, True, 0), (11, False, 3)):
                await ws.send_str(json.dumps({"type": "subscribe_alerts", "resume_from": after}))
                snapshot = await next_of(ws, "snapshot")
                assert (snapshot["resumed"], len(snapshot["data"])) == (resumed, rows)

    counted = bounded(tmp_path, scenario, max_resumed_alerts=5, snapshot_alerts=3)
    counted.pop("websocket_updates_replaced_total", None)
    assert counted == {"websocket_resumes_refused_total": 1}


def test_movers_of_more_rows_than_allowed_are_refused(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket() as ws:
            await ws.send_str('{"type":"subscribe_movers","limit":71}')
            told = (await next_of(ws, "error"))["message"]
            assert told == "limit: expected a whole number <= 70."
            await ws.send_str('{"type":"subscribe_movers","limit":70}')
            assert (await next_of(ws, "movers"))["data"]["total"] == 4

    counted = bounded(tmp_path, scenario, max_movers_rows=70)
    counted.pop("websocket_updates_replaced_total", None)
    assert counted == {"websocket_rows_refused_total": 1}


def test_movers_status_and_alerts_come_at_their_own_intervals(tmp_path: Path) -> None:
    async def scenario(client: Client) -> None:
        async with client.socket() as ws:
            await ws.send_str('{"type":"subscribe_alerts"}')
            await next_of(ws, "snapshot")
            await ws.send_str('{"type":"subscribe_movers"}')
            client.alerts(1)  # a wake-up brings it, whatever the interval
            await next_of(ws, "alert")
            kinds = []
            while kinds.count("movers") < 20:
                kinds.append(json.loads(await ws.receive_str())["type"])
            assert set(kinds) == {"movers"}

    bounded(
        tmp_path, scenario, movers_interval_ms=20, status_interval_ms=60_000,
        alerts_interval_ms=60_000,
    )  # fmt: skip
