"""REST, health and telemetry over a hand-made market."""

import dataclasses
import errno
import re
from pathlib import Path

import numpy as np
import pytest

from engine.alerts.kept_back import KeptBack
from engine.config.schema import Config, RulesSection
from engine.domain.records import APPROX_TRADES, DECISION_UNRECORDED, FLAG_TYPICAL
from engine.domain.tables import (
    HELD_CAPPED,
    HELD_COOLING,
    HELD_DISARMED,
    HELD_FIRED,
    HELD_ONCE,
    HELD_ROOM,
)
from engine.families.plan import filled_a_cycle
from engine.metrics.registry import COLUMNS
from engine.rules.compiler import compile_rules
from engine.rules.counts import REASONS
from engine.rules.limits import limits_of
from engine.rules.pack import pack
from engine.rules.publish import publish
from engine.rules.validate import read_rule
from engine.storage.errors import StoreError
from ipc.line import Line, State
from shm.fences import write_word
from tests.rules.test_library import document
from tests.web.front import RunningFront, serve, warm_market
from tests.web.market import MINUTE, SECOND, Market
from web.middlewares import SECURITY_HEADERS
from web.orders import RuleDesk


def test_status_tells_cycle_stream_roles_and_refusals() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        status, document = await front.get("/api/v1/status")
        assert status == 200
        assert document["state"] == "ok"
        assert document["n"] == 2
        assert document["t"] == "2013-10-08T13:28:00.200Z"
        assert document["session"] == "pre"
        assert document["session_date"] == "2013-10-08"
        assert document["stream"]["provider"] == "replay"
        assert document["stream"]["simulated"] is False
        assert document["stream"]["speed"] == 10.0
        assert {role["name"] for role in document["roles"]} >= {"bars", "scan0", "supervisor"}
        assert document["refusals"]["late"] == 3
        assert document["rings"] == [{"name": "ticks 0", "depth": 0, "capacity": 1024}]
        assert document["latency"]["tick_to_alert"] == {"p50_ms": None, "p99_ms": None, "count": 0}

    serve(market, scenario)


def test_status_tells_who_waits_for_whom() -> None:
    market = warm_market()
    market.waits("scan0", "alerts", 12_000)
    market.waits("alerts", "recorder", 12_500)

    async def scenario(front: RunningFront) -> None:
        _, document = await front.get("/api/v1/status")
        waits = {role["name"]: (role["waits_for"], role["waits_ms"]) for role in document["roles"]}
        assert waits["scan0"] == ("alerts", 12_000.0)
        assert waits["alerts"] == ("recorder", 12_500.0)
        assert waits["recorder"] == (None, None)
        assert document["state"] == "ok", "a wait is no fault of its own"

    serve(market, scenario)


def test_latency_quantiles_come_from_the_board() -> None:
    market = warm_market()
    line, histogram = market.board.line("alerts"), market.board.histogram("tick_to_alert_seconds")
    for ms in range(1, 101):
        market.board.record(line, histogram, ms * 1_000_000)

    async def scenario(front: RunningFront) -> None:
        front.hub._sample()
        _, document = await front.get("/api/v1/status")
        alert = document["latency"]["tick_to_alert"]
        assert 45 <= alert["p50_ms"] <= 57
        assert 98 <= alert["p99_ms"] <= 100
        assert alert["count"] == 100

    serve(market, scenario)


def test_ready_waits_for_a_decided_cycle_and_for_every_role() -> None:
    market = Market()
    market.step()

    async def scenario(front: RunningFront) -> None:
        status, document = await front.get("/ready")
        assert status == 503
        assert "warming up" in document["detail"]
        market.step()
        assert (await front.get("/ready"))[0] == 200
        market.now_ns += 6 * SECOND
        status, document = await front.get("/ready")
        assert status == 503
        assert "has not beaten for 6.1 s" in document["detail"]
        market.beat()
        Line(market.board, "bars").set(Line.STATE, State.BACKOFF)
        status, document = await front.get("/ready")
        assert (status, document["detail"][:15]) == (503, "bars is backoff")
        status, document = await front.get("/health")
        assert (status, document["status"], len(document["reasons"])) == (200, "degraded", 1)
        assert (await front.get("/live"))[0] == 200

    serve(market, scenario)


def test_health_tells_what_is_degraded() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        assert (await front.get("/health"))[1]["status"] == "ok"
        market.tables.cell.heads[market.n % 4]["flags"] = DECISION_UNRECORDED
        status, document = await front.get("/health")
        assert (status, document["status"]) == (200, "degraded")
        assert "no longer recorded" in document["reasons"][0]

    serve(market, scenario)


def test_a_wall_clock_far_from_engine_time_degrades_it_wherever_that_is_told() -> None:
    market = warm_market()
    line, gauge = market.board.line("bars"), market.board.counter("clock_skew_seconds")

    async def scenario(front: RunningFront) -> None:
        for skew_ns, well in ((250_000_000, True), (-250_000_001, False), (3 * SECOND, False)):
            market.board.counters[line, gauge] = skew_ns
            _, health = await front.get("/health")
            status, ready = await front.get("/ready")
            _, document = await front.get("/api/v1/status")
            assert status == 200
            assert ready["status"] == "ready"
            assert health["status"] == document["state"] == ("ok" if well else "degraded")
            assert health["reasons"] == ready["degraded"] == document["degraded"]
            assert bool(ready["degraded"]) is not well
            async with front.session.get(front.url + "/metrics") as answer:
                text = await answer.text()
            assert f'clock_skew_seconds{{role="bars"}} {skew_ns / 1e9}' in text
        assert ready["degraded"] == [
            "The wall clock is 3.000 s ahead of engine time, more than clock.max_skew_ms = 250: "
            "check it, then restart the engine to take it over."
        ]

    serve(market, scenario)


def test_a_disk_that_refuses_the_alerts_is_told_everywhere_until_it_takes_them() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        market.refuse("alerts", errno.ENOSPC)
        sentence = (
            "The disk of alerts refuses what it has to keep (No space left on device): it is held "
            "up until the disk takes it, and nothing is lost."
        )
        status, document = await front.get("/ready")
        assert (status, document["degraded"]) == (200, [sentence])
        status, document = await front.get("/health")
        assert (status, document["status"], document["reasons"]) == (200, "degraded", [sentence])
        document = (await front.get("/api/v1/status"))[1]
        assert (document["state"], document["degraded"]) == ("degraded", [sentence])
        market.refuse("alerts", 0)
        assert (await front.get("/ready"))[1]["degraded"] == []
        assert (await front.get("/health"))[1]["status"] == "ok"

    serve(market, scenario)


def test_alerts_are_paged_newest_first_and_filtered() -> None:
    market = warm_market()
    for number in range(7):
        market.alert("AIG" if number % 2 else "BAC", "r1" if number < 4 else "r2")

    async def scenario(front: RunningFront) -> None:
        _, first = await front.get("/api/v1/alerts?limit=3")
        assert [row["seq"] for row in first["data"]] == [7, 6, 5]
        _, second = await front.get(f"/api/v1/alerts?limit=3&cursor={first['next_cursor']}")
        assert [row["seq"] for row in second["data"]] == [4, 3, 2]
        _, last = await front.get(f"/api/v1/alerts?limit=3&cursor={second['next_cursor']}")
        assert ([row["seq"] for row in last["data"]], last["next_cursor"]) == ([1], None)
        _, found = await front.get("/api/v1/alerts?symbol=AIG&rule_id=r1")
        assert [row["seq"] for row in found["data"]] == [4, 2]
        alert_id = found["data"][0]["alert"]["alert_id"]
        status, one = await front.get(f"/api/v1/alerts/{alert_id}")
        assert status == 200
        assert one["alert"]["explain"][0]["result"] is True
        assert one["stamps"]["stored"].endswith("Z")

    serve(market, scenario)


def test_a_store_that_cannot_be_read_is_a_503_with_its_sentence() -> None:
    class Broken:
        def latest(self, _limit: int, **_filters: object) -> list:
            raise StoreError(Path(__file__), "read failed: disk I/O error", final=True)

        after = get = latest

    async def scenario(front: RunningFront) -> None:
        status, document = await front.get("/api/v1/alerts")
        assert status == 503
        assert "disk I/O error" in document["detail"]

    serve(warm_market(), scenario, alerts=Broken())


def test_symbols_are_listed_in_order_with_a_prefix_and_a_cursor() -> None:
    async def scenario(front: RunningFront) -> None:
        _, page = await front.get("/api/v1/symbols?limit=2")
        assert [row["symbol"] for row in page["data"]] == ["AIG", "BAC"]
        assert (page["total"], page["next_cursor"]) == (4, "BAC")
        _, page = await front.get("/api/v1/symbols?limit=2&cursor=BAC")
        assert [row["symbol"] for row in page["data"]] == ["IBM", "SPY"]
        _, page = await front.get("/api/v1/symbols?search=s")
        assert [row["symbol"] for row in page["data"]] == ["SPY"]

    serve(warm_market(), scenario)


def test_a_symbol_has_every_metric_by_name_with_null_for_unknown() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        status, document = await front.get("/api/v1/symbols/IBM?bars=3")
        assert status == 200
        assert document["metrics"]["last"] == market.last[2]
        assert document["metrics"]["dist_vwap_pct"] is None
        assert len(document["metrics"]) == len(front.state.front.deps.metrics.names)
        assert len(document["bars"]) == 3
        assert document["bar_keys"][0] == "t"
        assert document["bars"][-1][0] == "2013-10-08T13:27:00.000Z"
        assert document["live_minutes"][0][0] == "2013-10-08T13:28:00.000Z"
        assert document["sessions"]["rth"]["vwap"] is None
        assert document["halted"] is False

    serve(market, scenario)


def test_a_symbol_is_found_in_other_letters_only_where_one_can_be_meant() -> None:
    market = Market(("AIG", "BRK.A", "BRKpA", "BRKPA"), (49.0, 1.0, 2.0, 3.0))
    market.history()
    market.step()

    async def scenario(front: RunningFront) -> None:
        for asked, found in (("aig", "AIG"), ("Brk.a", "BRK.A"), ("BRKpA", "BRKpA")):
            status, document = await front.get(f"/api/v1/symbols/{asked}?bars=0")
            assert (status, document["symbol"]) == (200, found)
            assert document["metrics"]["last"] == market.last[market.tickers.index(found)]
        for asked in ("brkpa", "ai", "a\u0131g"):
            status, document = await front.get(f"/api/v1/symbols/{asked}")
            assert (status, repr(asked) in document["detail"]) == (404, True)

    serve(market, scenario)


def test_trades_that_nobody_counted_are_null() -> None:
    market = warm_market()
    market.tables.cell.rows[market.n % 4, 1]["approx"] |= APPROX_TRADES
    minute = market.t_ns // MINUTE - 1
    market.tables.history.bars[minute % market.sizes.history_bars, 1]["flags"] = FLAG_TYPICAL

    async def scenario(front: RunningFront) -> None:
        _, counted = await front.get("/api/v1/symbols/AIG?bars=1")
        _, uncounted = await front.get("/api/v1/symbols/BAC?bars=2")
        assert counted["sessions"]["pm"]["trades"] == 12
        assert uncounted["sessions"]["pm"]["trades"] is None
        trades, flags = (counted["bar_keys"].index(key) for key in ("trades", "flags"))
        assert [bar[trades] for bar in counted["bars"] + uncounted["bars"]] == [40, 40, None]
        assert uncounted["bars"][-1][flags] == FLAG_TYPICAL

    serve(market, scenario)


def test_the_catalogue_explains_every_metric() -> None:
    async def scenario(front: RunningFront) -> None:
        _, document = await front.get("/api/v1/metrics")
        found = {metric["name"]: metric for metric in document["data"]}
        assert "rsi" in found["rsi(14)"]["aliases"]
        for key in ("group", "brief", "formula", "unknown", "flip"):
            assert all(metric[key] for metric in found.values()), key
        assert found["hod"]["flip"] == "-lod"
        assert found["vol_all"]["flip"] == "vol_all"
        assert found["rsi(14)"]["reach"]

    serve(warm_market(), scenario)


RULE = '[{"id":"r1","name":"Up","conditions":[{"metric":"chg_1m_pct","op":">","value":0.5}]}]'


def test_what_rules_fired_and_what_was_held_back_is_told_by_rule_and_in_total() -> None:
    market = warm_market()
    compiled = compile_rules(
        [read_rule(document(rule_id), limits_of(Config())) for rule_id in ("a", "b")]
    )
    publish(market.tables, 1, pack(compiled))
    market.tables.cell.heads[market.n % 4]["rules_version"] = 1
    held = market.tables.scan.held[market.n & 1, 0]
    held[0, [HELD_FIRED, HELD_CAPPED, HELD_COOLING]] = 9, 2, 40
    held[1, [HELD_FIRED, HELD_ROOM, HELD_ONCE, HELD_DISARMED]] = 3, 4, 5, 6
    held[2] = 1000  # a row of rules that are gone
    KeptBack(market.tables.kept_back).add(market.n, compiled.rule_uid, {0: 1}, {0: 3, 1: 1})

    async def scenario(front: RunningFront) -> None:
        status, told = await front.get("/api/v1/rules/counts")
        assert (status, told["version"], told["n"]) == (200, 1, market.n)
        first, second = told["data"]
        assert (first["id"], first["fired"], second["id"], second["fired"]) == ("a", 9, "b", 3)
        assert first["held_back"] == {
            "once_per_session": 0, "rearm": 0, "cooldown": 40, "no_room": 0, "max_per_min": 1,
            "max_alerts_per_cycle": 5,
        }  # fmt: skip
        assert [second["held_back"][reason] for reason in REASONS] == [5, 6, 0, 4, 0, 1]
        async with front.session.get(front.url + "/metrics") as answer:
            text = await answer.text()
        assert "\nrule_firings 12.0\n" in text
        for reason, total in zip(REASONS, (5, 6, 40, 4, 1, 6), strict=True):
            assert f'\nrule_firings_held_back{{reason="{reason}"}} {total}.0\n' in text

    serve(market, scenario)


def test_reload_publishes_a_version_that_the_rules_list_shows(tmp_path: Path) -> None:
    market = warm_market()
    path = tmp_path / "rules.json"
    config = Config(rules=RulesSection(path=str(path)))
    path.write_text(RULE)
    desk = RuleDesk(config, market.tables, tmp_path, lambda series, amount: None)
    assert desk.carry_out("reload", {}).result == {"rules": 1, "version": 1}
    assert desk.carry_out("reload", {}).result == {"rules": 1, "version": 1}
    desk.close()
    market.tables.cell.heads[market.n % 4]["rules_version"] = 1

    async def scenario(front: RunningFront) -> None:
        _, document = await front.get("/api/v1/rules")
        assert document["version"] == 1
        assert document["data"][0]["name"] == "Up"

    serve(market, scenario)


FAMILY_RULE = '[{"id":"r1","name":"Up","where":"ema(34, 5m) > 1 or roc(3) > ema( 34,5m )"}]'


def test_families_of_the_rules_in_force_are_told_with_how_far_they_are_filled(
    tmp_path: Path,
) -> None:
    market = warm_market()
    path = tmp_path / "rules.json"
    path.write_text(FAMILY_RULE)
    config = Config(rules=RulesSection(path=str(path)))
    desk = RuleDesk(config, market.tables, tmp_path, lambda series, amount: None)
    desk.carry_out("reload", {})
    desk.close()
    tables = market.tables
    tables.cell.heads[market.n % 4]["rules_version"] = 1
    a_cycle = filled_a_cycle(tables.sizes.capacity, int(tables.session[0]["interval_ns"]))
    tables.scan.columns[:, COLUMNS:] = np.nan  # as scan workers leave them in their first cycle

    async def scenario(front: RunningFront) -> None:
        _, document = await front.get("/api/v1/rules")
        assert [one["name"] for one in document["families"]] == ["ema(34,5m)", "roc(3)"]
        assert {one["state"] for one in document["families"]} == {"warming"}
        assert {one["filled"] for one in document["families"]} == {0.0}
        tables.scan.family_since[:, :2] = market.n
        _, document = await front.get("/api/v1/rules")
        assert document["families"][0]["filled"] == round(a_cycle / tables.sizes.capacity, 3)
        _, status = await front.get("/api/v1/status")
        assert status["families"] == {
            "count": 2, "capacity": 256, "warming": 2, "warming_names": ["ema(34,5m)", "roc(3)"],
        }  # fmt: skip
        tables.session["interval_ns"] = 60 * SECOND  # one such cycle fills them all
        _, document = await front.get("/api/v1/rules")
        assert {one["state"] for one in document["families"]} == {"ready"}
        assert {one["known"] for one in document["families"]} == {0}

    serve(market, scenario)


def test_switching_the_market_asks_the_supervisor_once() -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        status, document = await front.post("/api/v1/demo-market", {"market": "simulator"})
        assert (status, document["status"]) == (202, "restarting")
        assert market.switched == ["simulator"]

    serve(market, scenario)


def test_a_supervisor_that_does_not_listen_is_a_503() -> None:
    def refuse(_market: str) -> None:
        raise BrokenPipeError("nobody reads")

    async def scenario(front: RunningFront) -> None:
        status, document = await front.post("/api/v1/demo-market", {"market": "replay"})
        assert status == 503
        assert "did not take the order" in document["detail"]

    serve(warm_market(), scenario, switch_market=refuse)


def test_an_engine_without_another_market_says_so_and_its_page_has_no_switch() -> None:
    market, why = warm_market(), 'There is no recording to switch to: feed.trades is "".'

    async def scenario(front: RunningFront) -> None:
        status, document = await front.post("/api/v1/demo-market", {"market": "replay"})
        assert (status, document["detail"]) == (409, why)
        assert not market.switched
        _, document = await front.get("/api/v1/status")
        assert document["stream"]["switchable"] is False

    serve(market, scenario, no_switch=why)


SERIES = (
    "scan_cycle_seconds", "symbols_scanned_total", "alerts_emitted_total", "alerts_delivered_total",
    "tick_processed_total", "worker_queue_depth",
    "tick_processing_latency_seconds", "alert_delivery_latency_seconds", "consumer_lag",
    "http_requests_total", "websocket_connections", "errors_total", "absent_cycles_total",
    "tick_to_alert_seconds", "ring_depth",
)  # fmt: skip


@pytest.mark.parametrize("name", SERIES)
def test_metrics_has_every_promised_name(name: str) -> None:
    market = warm_market()

    async def scenario(front: RunningFront) -> None:
        await front.get("/live")
        async with front.session.get(front.url + "/metrics") as answer:
            text = await answer.text()
        assert re.search(rf"^{name}(_count)?(\{{.*\}})? \S+$", text, re.MULTILINE), name
        assert 'http_requests_total{method="GET",route="/live",status="200"} 1.0' in text
        assert 'role_up{role="bars"} 1.0' in text

    serve(market, scenario)


def test_every_answer_carries_the_security_headers() -> None:
    async def scenario(front: RunningFront) -> None:
        for path in ("/", "/static/js/app.js", "/live", "/nope", "/api/v1/status", "/metrics"):
            async with front.session.get(front.url + path) as answer:
                for header, value in SECURITY_HEADERS.items():
                    assert answer.headers[header] == value, (path, header)
        async with front.session.get(front.url + "/") as answer:
            page = await answer.text()
        assert "style=" not in page
        assert "<script>" not in page

    serve(warm_market(), scenario)


def test_static_files_are_answered_with_304_when_unchanged() -> None:
    async def scenario(front: RunningFront) -> None:
        async with front.session.get(front.url + "/static/css/page.css") as answer:
            assert answer.content_type == "text/css"
            etag = answer.headers["ETag"]
        for sent, expected in ((etag, 304), ('"other"', 200)):
            headers = {"If-None-Match": sent}
            url = front.url + "/static/css/page.css"
            async with front.session.get(url, headers=headers) as answer:
                assert answer.status == expected

    serve(warm_market(), scenario)


def test_stats_counts_requests_and_roles() -> None:
    market = warm_market()
    market.board.add(market.board.line("bars"), market.board.counter("cycles_total"), 12)

    async def scenario(front: RunningFront) -> None:
        await front.get("/live")
        _, document = await front.get("/stats")
        assert document["roles"]["bars"]["cycles_total"] == 12
        assert document["roles"]["web"]["errors_total"] == 0
        assert "cycles_total" not in document["roles"]["web"], "nobody tells it there"
        assert "last_tick_timestamp" not in document["roles"]["bars"], "unknown is not 0"
        routes = {row["route"]: row["count"] for row in document["front"]["requests"]}
        assert routes["/live"] == 1

    serve(market, scenario)


def test_a_broken_handler_is_a_500_without_details_and_is_counted() -> None:
    def explode() -> None:
        raise ValueError("secret")

    async def scenario(front: RunningFront) -> None:
        front.state.front.deps = dataclasses.replace(
            front.state.front.deps, telemetry=explode  # type: ignore[arg-type]
        )
        status, document = await front.get("/stats")
        assert status == 500
        assert "secret" not in document["detail"]
        assert front.state.front.errors >= 1

    serve(warm_market(), scenario)


def test_why_a_rule_fires_or_not_is_told_and_refusals_name_what_is_missing() -> None:
    market = warm_market()
    told = {"id": "up", "name": "Up", "where": "last > 1000000 and not halted"}
    rules = compile_rules([read_rule(told)], market.sizes)
    market.tables.rules.publish(1, pack(rules))
    market.tables.cell.heads["rules_version"] = 1
    market.tables.cell.heads["symbol_count"][:, 0] = len(market.tickers)
    stored = read_rule({"id": "kept", "name": "k", "where": "last > 1", "enabled": False})

    async def scenario(front: RunningFront) -> None:
        status, why = await front.get("/api/v1/rules/up/explain?symbol=AIG")
        assert status == 200, why
        last, halted = why["explain"]
        assert (last["result"], last["needs"], halted["wanted"]) == (False, "> 1000000", False)
        assert last["off_pct"] < -99 and why["fired"] is False and why["result"] is False
        status, why = await front.get("/api/v1/rules/kept/explain?symbol=AIG&at=now")
        assert status == 200 and why["obstacles"][0]["kind"] == "disabled"
        for path, code, said in (
            ("up/explain?symbol=NONE", 404, "No symbol 'NONE' is known in this stream."),
            ("upp/explain?symbol=AIG", 404, "did you mean up?"),
            ("up/explain", 400, "symbol: this key is required"),
            ("up/explain?symbol=AIG&at=09:31", 400, "at: "),
        ):
            status, problem = await front.get(f"/api/v1/rules/{path}")
            assert status == code and said in problem["detail"], problem

    serve(market, scenario, stored_rule=lambda rule_id: stored if rule_id == "kept" else None)


def test_an_engine_that_is_always_in_the_middle_of_a_cycle_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.alerts.onlooker.ATTEMPTS", 3)
    market = warm_market()
    market.tables.rules.publish(1, pack(compile_rules([], market.sizes)))
    market.tables.cell.heads["rules_version"] = 1
    write_word(market.tables.scan.words, 0, market.n - 1)
    stored = read_rule({"id": "kept", "name": "k", "where": "last > 1"})

    async def scenario(front: RunningFront) -> None:
        status, problem = await front.get("/api/v1/rules/kept/explain?symbol=AIG")
        assert status == 503 and "faster than they can be looked at" in problem["detail"]

    serve(market, scenario, stored_rule=lambda _: stored)
