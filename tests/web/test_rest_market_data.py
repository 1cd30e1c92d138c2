"""Alerts by time, stream and as CSV; bars of a symbol in every timeframe."""

import csv
import io
from typing import Any

from engine.domain.records import NS_PER_MINUTE
from engine.storage.ports import BarRow
from tests.web.front import RunningFront, serve, warm_market
from web.reading import instant


def test_alerts_are_filtered_by_time_and_stream_and_paged_by_offset() -> None:
    market = warm_market()
    ids, times = [], []
    for _ in range(4):
        ids.append(market.alert())
        times.append(market.t_ns)
        market.step()

    async def scenario(front: RunningFront) -> None:
        async def found(query: str) -> list[str]:
            status, document = await front.get(f"/api/v1/alerts?{query}")
            assert status == 200, document
            return [one["alert"]["alert_id"] for one in document["data"]]

        assert await found(f"from={instant(times[1])}&to={instant(times[3])}") == ids[2:0:-1]
        assert await found("stream=stream-1&offset=1&limit=2") == ids[2:0:-1]
        assert await found("stream=other") == []
        for bad in ("from=yesterday", "to=2013-10-08", "offset=-1", "format=xml"):
            status, told = await front.get(f"/api/v1/alerts?{bad}")
            assert status == 400 and told["detail"].startswith(bad.split("=")[0]), told

    serve(market, scenario)


def test_alerts_as_csv_have_no_formulas_and_a_link_to_the_older_ones() -> None:
    market = warm_market()
    market.alert(rule="=cmd")
    market.alert()

    async def scenario(front: RunningFront) -> None:
        place = front.url + "/api/v1/alerts?format=csv&limit=1"
        async with front.session.get(place) as answer:
            assert answer.content_type == "text/csv"
            (first,) = csv.DictReader(io.StringIO(await answer.text()))
            assert first["symbol"] == "AIG" and '"chg_1m_pct"' in first["values"]
            older = answer.links["next"]["url"]
        async with front.session.get(older) as answer:
            (second,) = csv.DictReader(io.StringIO(await answer.text()))
            assert second["rule_id"] == "'=cmd" and "next" not in answer.links

    serve(market, scenario)


def test_bars_join_history_memory_and_the_forming_minute() -> None:
    market = warm_market()
    newest_ns = market.t_ns // NS_PER_MINUTE * NS_PER_MINUTE

    def bar(minute_ns: int, price: float) -> BarRow:
        return BarRow(
            symbol="AIG", minute_ns=minute_ns, open=price, high=price + 1, low=price - 1,
            close=price, volume=100.0, pv=100 * price, trades=3, flags=0, n=1, stream_id="old",
        )  # fmt: skip

    old = [bar(newest_ns - (1_500 - i) * NS_PER_MINUTE, 40.0 + i) for i in range(4)]

    def stored(symbol: str, from_ns: int, to_ns: int) -> list[BarRow]:
        return [one for one in old if symbol == "AIG" and from_ns <= one.minute_ns < to_ns]

    async def scenario(front: RunningFront) -> None:
        async def bars(query: str) -> list[dict[str, Any]]:
            status, document = await front.get(f"/api/v1/symbols/AIG/bars?{query}")
            assert status == 200, document
            found: list[dict[str, Any]] = document["data"]
            return found

        minutes = await bars("limit=1000")
        assert len(minutes) >= 94 and minutes[0]["open"] == 40.0
        assert [one["t"] for one in minutes] == sorted(one["t"] for one in minutes)
        assert not any(one["forming"] for one in minutes[:-1])
        five = await bars("timeframe=5m&limit=1000")
        assert sum(one["volume"] for one in five) == sum(one["volume"] for one in minutes)
        assert five[-1]["forming"] and not five[0]["forming"]
        days = await bars("timeframe=D")
        assert [(one["t"], one["forming"]) for one in days] == [
            ("2013-10-07", False), ("2013-10-08", True),
        ]  # fmt: skip
        assert (days[0]["high"], days[0]["low"], days[0]["trades"]) == (44.0, 39.0, 12)
        span = f"from={instant(old[1].minute_ns)}&to={instant(old[3].minute_ns)}"
        assert [one["open"] for one in await bars(span)] == [41.0, 42.0]
        for bad in ("timeframe=7m", "limit=0", "limit=1025", "from=x", "x=1",
                    "from=2013-10-08T00:00:00Z&to=2013-10-07T00:00:00Z",
                    "from=2001-10-08T00:00:00Z"):  # fmt: skip
            status, told = await front.get(f"/api/v1/symbols/AIG/bars?{bad}")
            assert status == 400 and told["detail"].endswith("."), bad
        assert (await front.get("/api/v1/symbols/NOPE/bars"))[0] == 404

    serve(market, scenario, bars=stored)
