"""Toplists over HTTP from a real front."""

import numpy as np

from engine.metrics.registry import COLUMN
from tests.web.front import RunningFront, serve, warm_market
from tests.web.market import Market


def market_with(values: list[float], metric: str) -> Market:
    """A warm market of AIG, BAC, IBM and SPY whose metric has these values in both copies."""
    market = warm_market()
    ids = [symbol for symbol, _ in sorted(market.tables.names.all(), key=lambda pair: pair[1])]
    for copy in market.tables.scan.columns:
        copy[COLUMN[metric], ids] = values
    return market


def test_every_type_is_listed_and_answers() -> None:
    async def scenario(front: RunningFront) -> None:
        status, document = await front.get("/api/v1/toplists")
        assert status == 200
        kinds = [entry["toplist_type"] for entry in document["data"]]
        assert {"gainers", "losers", "halted"} <= set(kinds)
        for kind in kinds:
            assert (await front.get(f"/api/v1/toplists/system/{kind}"))[0] == 200

    serve(warm_market(), scenario)


def test_gainers_are_ranked_by_change_ties_by_ticker_and_paged() -> None:
    async def scenario(front: RunningFront) -> None:
        path = "/api/v1/toplists/system/gainers?window=5m"
        _, document = await front.get(path)
        assert [(row["symbol"], row["rank"], row["value"]) for row in document["rankings"]] == [
            ("SPY", 1, 3.0), ("AIG", 2, 2.0), ("BAC", 3, 2.0)
        ]
        _, page = await front.get(path + "&limit=1&offset=1")
        assert page["rankings"] == document["rankings"][1:2]

    serve(market_with([2.0, 2.0, np.nan, 3.0], "chg_5m_pct"), scenario)


def test_what_no_list_has_is_refused_in_one_sentence() -> None:
    async def scenario(front: RunningFront) -> None:
        system = "/api/v1/toplists/system"
        assert (await front.get(f"{system}/winners"))[0] == 404
        status, problem = await front.get(f"{system}/gainers?window=2m")
        assert (status, problem["detail"]) == (
            400, "window: gainers has 1m, 5m, 15m, 1h, 1d, not '2m'."
        )
        assert (await front.get(f"{system}/gainers?limit=100&offset=401"))[0] == 400
        assert (await front.get(f"{system}/gainers?limit=0"))[0] == 400
        assert (await front.get(f"{system}/gainers?colour=red"))[0] == 400

    serve(warm_market(), scenario)
