"""GET /api/v1/metrics: every metric a rule can name, with unit, formula and when it is unknown."""

from aiohttp import web

from engine.metrics.registry import METRICS
from web.problems import json_response
from web.schemas import NoQuery, decode_query


async def list_metrics(request: web.Request) -> web.Response:
    """The registry, in column order."""
    decode_query(request.query, NoQuery)
    data = [
        {
            "name": metric.name,
            "unit": metric.unit,
            "formula": metric.formula,
            "unknown": metric.unknown,
            "sessions": metric.sessions,
            "warm_up": metric.warm_up,
            "aliases": metric.aliases,
        }
        for metric in METRICS
    ]
    return json_response({"data": data, "next_cursor": None})
