"""GET /api/v1/metrics: every metric a rule can name, what it is and when it is unknown."""

from aiohttp import web

from engine.metrics.entry import SAME
from engine.metrics.registry import METRICS
from web.problems import json_response
from web.schemas import NoQuery, decode_query


async def list_metrics(request: web.Request) -> web.Response:
    """The registry, in column order."""
    decode_query(request.query, NoQuery)
    data = [
        {
            "name": metric.name,
            "group": metric.group,
            "brief": metric.brief,
            "unit": metric.unit,
            "formula": metric.formula,
            "unknown": metric.unknown,
            "sessions": metric.sessions,
            "warm_up": metric.warm_up,
            "reach": metric.reach.text,
            "aliases": metric.aliases,
            "inputs": metric.inputs,
            "source": metric.source,
            "flip": metric.name if metric.flip == SAME else metric.flip or f"-{metric.name}",
            "up": metric.up,
            "about_halt": metric.about_halt,
        }
        for metric in METRICS
    ]
    return json_response({"data": data, "next_cursor": None})
