"""Golden bad input: every case gets its one sentence, no 5xx, and changes nothing."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.web.front import RunningFront, running, serve, warm_market
from tests.web.market import Market, limits

CASES = json.loads((Path(__file__).parent / "bad_requests.json").read_text())
BODIES = {"LARGE BODY": '{"market":"' + "x" * 70_000 + '"}'}
TEXTS = {"REPEAT [ 5000": "[" * 5000}


def test_there_are_more_than_a_hundred_bad_requests() -> None:
    assert len(CASES["http"]) + len(CASES["messages"]) >= 100


def test_every_bad_http_request_gets_its_sentence_and_changes_nothing() -> None:
    market = warm_market()
    market.alert()

    async def scenario(front: RunningFront) -> None:
        for case in CASES["http"]:
            status, document = await _send(front, case)
            told = document["detail"].replace(str(front.port), "{port}")
            assert (status, told) == (case["status"], case["detail"]), case
            assert status < 500
            assert document["title"]
            assert document["status"] == status
        assert market.switched == []
        assert front.state.front.errors == 0
        assert (await front.get("/ready"))[0] == 200

    serve(market, scenario)


async def _send(front: RunningFront, case: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    headers = {
        key: value.replace("{origin}", front.url).replace("{port}", str(front.port))
        for key, value in case["headers"].items()
    }
    body = BODIES.get(case["body"], case["body"])
    url = front.url + case["path"]
    async with front.session.request(case["method"], url, headers=headers, data=body) as answer:
        assert answer.content_type == "application/problem+json"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        return answer.status, await answer.json(content_type=None)


def test_every_bad_message_gets_its_sentence_and_the_socket_stays_open() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            for case in CASES["messages"]:
                await socket.raw.send_str(TEXTS.get(case["text"], case["text"]))
                assert (await socket.next("error"))["message"] == case["error"], case
            await socket.raw.send_bytes(b"\x00\x01")
            told = (await socket.next("error"))["message"]
            assert told == "Messages are JSON text; a binary one was sent."
            (connection,) = front.state.connections
            assert connection.alerts_after is None
            assert connection.movers is None
            await socket.ask(type="ping")
            await socket.next("pong")

    serve(market, scenario)


def test_a_message_over_the_size_limit_closes_the_socket_with_1009() -> None:
    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            await socket.raw.send_str('{"type":"' + "x" * 70_000 + '"}')
            async with asyncio.timeout(5):
                while not socket.raw.closed:
                    await socket.raw.receive()
            assert socket.raw.close_code == 1009

    serve(warm_market(), scenario)


def test_too_many_messages_close_the_socket_with_1008() -> None:
    async def scenario(front: RunningFront) -> None:
        async with front.socket() as socket:
            for _ in range(10):
                await socket.ask(type="ping")
            async with asyncio.timeout(5):
                while not socket.raw.closed:
                    await socket.raw.receive()
            assert socket.raw.close_code == 1008

    few = limits(max_messages_per_s=1, max_burst_messages=5)
    serve(warm_market(), scenario, limits=few)


def test_a_socket_over_the_connection_limit_is_refused_with_429() -> None:
    async def scenario(front: RunningFront) -> None:
        async with front.socket():
            headers = {
                "Origin": front.url, "Upgrade": "websocket", "Connection": "Upgrade",
                "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            }  # fmt: skip
            async with front.session.get(front.url + "/ws", headers=headers) as answer:
                assert answer.status == 429
                document = await answer.json(content_type=None)
                assert document["detail"] == "1 connections are open, which is the limit."

    serve(warm_market(), scenario, limits=limits(max_connections=1))


@pytest.mark.parametrize(
    ("host", "auth", "word"),
    [("0.0.0.0", "none", "web.host"), ("scanner.example", "none", "web.host")],
)
def test_without_sign_in_only_health_is_served(host: str, auth: str, word: str) -> None:
    market = warm_market()

    async def whole() -> None:
        async with running(market, host=host, auth=auth) as front:
            headers = {"Host": f"{host}:{front.port}", "Origin": f"http://{host}:{front.port}"}
            for path in ("/", "/live", "/ready", "/metrics", "/api/v1/status", "/ws", "/nope"):
                async with front.session.get(front.url + path, headers=headers) as answer:
                    assert answer.status == 403
                    assert word in (await answer.json(content_type=None))["detail"]
            async with front.session.get(front.url + "/health", headers=headers) as answer:
                document = await answer.json()
                assert answer.status == 503
                assert document["status"] == "closed"
                assert "only /health is served" in document["reasons"][0]

    asyncio.run(whole())


def test_an_engine_without_a_cycle_answers_503_with_a_sentence() -> None:
    async def scenario(front: RunningFront) -> None:
        for path in ("/api/v1/symbols/AIG", "/ready"):
            status, document = await front.get(path)
            assert status == 503
            assert document["detail"].endswith(".")

    serve(Market(), scenario)
