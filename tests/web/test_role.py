"""The role around the front: beats, wake-ups, orders, an end within a bound."""

import asyncio
import logging
import socket
from pathlib import Path

import aiohttp
import pytest

from engine.storage.sqlite import SqliteAlertStore
from ipc.line import Line
from ipc.messages import Order
from tests.web.staged import run, stage
from web import role

RULE = '[{"id":"r1","name":"Up","conditions":[{"metric":"chg_1m_pct","op":">","value":0.5}]}]'


def test_the_role_beats_serves_and_stops_when_told(tmp_path: Path) -> None:
    made = stage(tmp_path)

    async def scenario(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(url + "/live") as answer:
            assert answer.status == 200
        before = made.ctx.line.get(Line.BEAT_NS)
        await asyncio.sleep(0.4)
        assert made.ctx.line.get(Line.BEAT_NS) > before
        async with session.ws_connect(url + "/ws", origin=url) as ws:
            await ws.receive()

    run(made, scenario)
    assert made.market.board.snapshot_line(made.ctx.line.number).counters["http_requests_total"]


def test_alerts_appear_when_their_store_does_and_a_wake_up_brings_them(tmp_path: Path) -> None:
    made = stage(tmp_path)
    made.market.alert()
    (row,) = made.market.store.latest(1)

    async def scenario(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(url + "/api/v1/alerts") as answer:
            assert (await answer.json())["data"] == []
        store = SqliteAlertStore(tmp_path / "alerts.db")
        store.append([row.alert])
        made.wake.notify("web")
        async with session.get(url + "/api/v1/alerts") as answer:
            document = await answer.json()
        assert document["data"][0]["alert"]["alert_id"] == row.alert.alert_id
        store.close()

    run(made, scenario)


def test_a_reload_order_is_carried_out_and_a_faulty_file_changes_nothing(tmp_path: Path) -> None:
    made = stage(tmp_path)
    path = tmp_path / "rules.json"
    answers = []

    async def scenario(_session: aiohttp.ClientSession, _url: str) -> None:
        for number, text in enumerate((RULE, '[{"id":"r1"}]')):
            path.write_text(text)
            made.inboxes.send("web", Order(number, "reload", {}))
            while not (found := made.upward.receive()):
                await asyncio.sleep(0.02)
            answers.extend(found)

    run(made, scenario)
    good, bad = (request.payload for request in answers)
    assert good["result"] == {"rules": 1, "version": 1}
    assert (bad["exit_code"], bad["result"]) == (3, None)
    assert str(path) in bad["error"]
    assert made.market.tables.rules.latest() == 1


def test_the_switch_of_the_page_asks_for_a_new_start_with_the_same_arguments(
    tmp_path: Path,
) -> None:
    made = stage(tmp_path, arguments=("--demo-market", "--speed", "50", "--port", "9000"))

    async def scenario(session: aiohttp.ClientSession, url: str) -> None:
        for market in ("simulator", "replay"):
            body = {"market": market}
            headers = {"Origin": url}
            async with session.post(
                url + "/api/v1/demo-market", json=body, headers=headers
            ) as answer:
                assert answer.status == 202

    run(made, scenario)
    requests = made.upward.receive()
    assert [request.kind for request in requests] == ["restart", "restart"]
    kept = ["--speed", "50", "--port", "9000"]
    assert [request.payload["arguments"] for request in requests] == [
        ["--demo-market", *kept], kept,
    ]  # fmt: skip


def test_a_taken_port_is_refused_in_one_sentence_with_exit_code_3(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made = stage(tmp_path, taken.getsockname()[1])
        with pytest.raises(role.ListenError, match=r"choose another web\.port") as caught:
            asyncio.run(role.serve(made.ctx, role.make_deps(made.ctx)))
    assert caught.value.exit_code == 3


def test_what_the_front_logs_goes_to_the_role_s_log(tmp_path: Path) -> None:
    lines: list[tuple[str, str, dict]] = []

    class Kept:
        def write(self, level: str, event: str, ids: dict) -> None:
            lines.append((level, event, ids))

    made = stage(tmp_path)
    made.ctx.log = Kept()  # type: ignore[assignment]
    record = logging.LogRecord("aiohttp", logging.ERROR, "", 0, "failed %s", ("here",), None)
    role.LogBridge(made.ctx).emit(record)
    assert lines == [("error", "front", {"message": "failed here"})]
