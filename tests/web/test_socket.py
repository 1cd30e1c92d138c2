"""The WebSocket: snapshots, order, resumption without loss or repeats, slow clients, the end."""

import asyncio
import json
import socket as sockets
from typing import Any

import pytest

from tests.web.front import RunningFront, Socket, idle_front, running, serve, warm_market
from tests.web.market import Market, limits
from web.ws.alert_feed import AlertFeed
from web.ws.connection import Connection, SlowClientError
from web.ws.handler import MessageBudget


async def seqs(socket: Socket, count: int) -> list[int]:
    return [(await socket.next("alert"))["seq"] for _ in range(count)]


def test_status_comes_at_once_and_then_by_itself_with_a_growing_seq() -> None:
    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            first = await socket.next("status")
            second = await socket.next("status")
            assert second["seq"] > first["seq"]
            assert first["data"]["stream"]["stream_id"] == "stream-1"

    serve(warm_market(), scenario)


def test_a_new_subscriber_gets_a_snapshot_and_then_each_alert_once_in_order() -> None:
    market = warm_market()
    for _ in range(3):
        market.alert()

    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            await socket.ask(type="subscribe_alerts")
            snapshot = await socket.next("snapshot")
            assert snapshot["resumed"] is False
            assert [row["seq"] for row in snapshot["data"]] == [3, 2, 1]
            assert snapshot["seq"] == 3
            for _ in range(5):
                market.alert("SPY")
            front.hub.alerts_stored()
            assert await seqs(socket, 5) == [4, 5, 6, 7, 8]
            market.alert("BAC")
            alert = await socket.next("alert")
            assert alert["alert"]["symbol"] == "BAC"
            assert alert["alert"]["explain"][0]["text"] == "chg_1m_pct > 0.3"

    serve(market, scenario)


def test_a_client_resumes_where_it_was_across_a_restart_of_the_front() -> None:
    market = warm_market()

    async def whole() -> None:
        async with running(market) as front, front.socket() as socket:
            await socket.ask(type="subscribe_alerts")
            await socket.next("snapshot")
            for _ in range(3):
                market.alert()
            assert await seqs(socket, 3) == [1, 2, 3]
        for _ in range(400):
            market.alert()
        async with running(market) as front, front.socket() as socket:
            await socket.ask(type="subscribe_alerts", resume_from=3)
            snapshot = await socket.next("snapshot")
            assert (snapshot["resumed"], snapshot["data"], snapshot["seq"]) == (True, [], 3)
            market.alert()
            assert await seqs(socket, 401) == list(range(4, 405))
            market.alert()
            assert await seqs(socket, 1) == [405]

    asyncio.run(whole())


@pytest.mark.parametrize("after", [999, 2])
def test_a_client_from_the_future_or_too_far_behind_starts_from_a_snapshot(after: int) -> None:
    market = warm_market()
    for _ in range(60):
        market.alert()

    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            await socket.ask(type="subscribe_alerts", resume_from=after)
            snapshot = await socket.next("snapshot")
            assert (snapshot["resumed"], snapshot["seq"]) == (False, 60)
            assert len(snapshot["data"]) == 50

    serve(market, scenario, limits=limits(max_resumed_alerts=20))


def test_nothing_more_comes_after_unsubscribing() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            await socket.ask(type="subscribe_alerts")
            await socket.next("snapshot")
            await socket.ask(type="subscribe_movers")
            await socket.next("movers")
            await socket.ask(type="unsubscribe_alerts")
            assert (await socket.next("unsubscribed"))["topic"] == "alerts"
            await socket.ask(type="unsubscribe_movers")
            assert (await socket.next("unsubscribed"))["topic"] == "movers"
            market.alert()
            front.hub.alerts_stored()
            await asyncio.sleep(0.15)
            await socket.ask(type="ping")
            kinds = set()
            while "pong" not in kinds:
                kinds.add(json.loads(await socket.raw.receive_str())["type"])
            assert kinds <= {"status", "pong"}

    serve(market, scenario)


def test_movers_are_ranked_as_asked_and_follow_the_market() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            await socket.ask(type="subscribe_movers", sort="symbol", direction="desc", limit=3)
            data = (await socket.next("movers"))["data"]
            assert [row["symbol"] for row in data["rows"]] == ["SPY", "IBM", "BAC"]
            assert data["total"] == 4
            assert data["rows"][1]["vwap_dist_pct"] is None
            await socket.ask(type="subscribe_movers", sort="last")
            while (data := (await socket.next("movers"))["data"])["sort"] != "last":
                pass
            market.step()
            while data["t"] != "2013-10-08T13:28:00.300Z":
                data = (await socket.next("movers"))["data"]
            prices = [row["last"] for row in data["rows"]]
            assert prices == sorted(market.last, reverse=True)

    serve(market, scenario)


def test_before_the_first_cycle_a_subscriber_is_told_to_wait_and_then_served() -> None:
    market = Market()

    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            await socket.ask(type="subscribe_movers")
            assert "starting" in (await socket.next("error"))["message"]
            market.history()
            market.step()
            market.step()
            assert (await socket.next("movers"))["data"]["total"] == 4

    serve(market, scenario)


def test_a_client_that_never_reads_is_dropped_and_nobody_else_notices() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        deaf = sockets.create_connection(("127.0.0.1", front.port))
        deaf.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        deaf.sendall(
            b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nOrigin: http://127.0.0.1:%d\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" % (front.port, front.port)
        )
        text = b'{"type":"subscribe_alerts"}'
        masked = bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text
        await asyncio.sleep(0.1)
        deaf.sendall(masked)
        async with front.socket() as socket:
            await socket.ask(type="subscribe_alerts")
            await socket.next("snapshot")
            sent = 0
            async with asyncio.timeout(20):
                while len(front.state.connections) == 2:
                    for _ in range(200):
                        market.alert()
                    sent += 200
                    front.hub.alerts_stored()
                    assert len(await seqs(socket, 200)) == 200
            assert sent >= 200
            counts = front.state.front.counts
            lapped = counts["websocket_alerts_lapped_total"]
            assert counts["websocket_sends_timed_out_total"] + lapped == 1
        deaf.close()

    serve(market, scenario)


def test_a_live_client_that_falls_out_of_the_buffer_is_told_how_to_resume() -> None:
    class Stuck:
        async def send_frame(self, _text: bytes, _kind: object) -> None:
            for _ in range(3):
                market.alert()
            await feed.poll()

    market = warm_market()

    async def read_after(after: int, limit: int) -> list:
        return market.store.after(after, limit)

    feed = AlertFeed(read_after, 2, lambda _stored_ns: None)

    async def whole() -> None:
        market.alert()
        await feed.poll()
        connection = Connection(Stuck(), feed, idle_front())  # type: ignore[arg-type]
        connection.follow_alerts(0)
        with pytest.raises(SlowClientError, match="more than 4096 alerts behind"):
            await connection.write()

    asyncio.run(whole())


def test_answers_that_nobody_reads_are_bounded() -> None:
    feed = AlertFeed(None, 2, lambda _stored_ns: None)  # type: ignore[arg-type]
    front = idle_front(max_waiting_replies=2)
    connection = Connection(None, feed, front)  # type: ignore[arg-type]
    connection.reply(b"1")
    connection.reply(b"2")
    with pytest.raises(SlowClientError) as slow:
        connection.reply(b"3")
    assert slow.value.bound == "max_waiting_replies"


def test_only_the_newest_of_a_conflating_topic_waits_and_the_others_are_counted() -> None:
    sent, front = [], idle_front()

    class Fast:
        async def send_frame(self, text: bytes, _kind: object) -> None:
            sent.append(text)

    async def whole() -> None:
        feed = AlertFeed(None, 2, lambda _stored_ns: None)  # type: ignore[arg-type]
        connection = Connection(Fast(), feed, front)  # type: ignore[arg-type]
        for number in range(9):
            connection.offer("movers", b"%d" % number)
        task = asyncio.create_task(connection.write())
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(whole())
    assert sent == [b"8"]
    assert front.counts == {"websocket_updates_replaced_total": 8}


def test_a_stopping_front_closes_its_sockets_with_1012() -> None:
    async def whole() -> None:
        async with running(warm_market()) as front:
            socket = await front.session.ws_connect(front.url + "/ws", origin=front.url)
            await socket.receive()
            reader = asyncio.create_task(_until_closed(socket))
            await front.app.shutdown()
            async with asyncio.timeout(3):
                assert await reader == 1012

    asyncio.run(whole())


async def _until_closed(socket: Any) -> int | None:
    while not socket.closed:
        await socket.receive()
    return int(socket.close_code)


def test_the_message_budget_refills_at_its_rate() -> None:
    budget = MessageBudget(limits(max_messages_per_s=2, max_burst_messages=3), 0.0)
    assert [budget.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert budget.take(0.4) is False
    assert budget.take(0.5) is True
    assert [budget.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_delivered_alerts_are_counted_with_their_latency() -> None:
    market = warm_market()
    counted: list[tuple[str, int]] = []

    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            await socket.ask(type="subscribe_alerts")
            await socket.next("snapshot")
            market.wall_ns += 5_000_000
            market.alert()
            market.wall_ns += 7_000_000
            await socket.next("alert")

    def keep(series: str, value: int) -> None:
        counted.append((series, value))

    serve(market, scenario, count=keep, observe=keep)
    assert ("alerts_delivered_total", 1) in counted
    assert ("alert_delivery_latency_seconds", 7_000_000) in counted
