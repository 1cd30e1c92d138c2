"""POST /api/v1/demo-market: ask the supervisor to start the engine again on another demo market."""

from aiohttp import web

from web.deps import KEY
from web.problems import Problem, json_response
from web.schemas import DemoMarket, NoQuery, decode_body, decode_query


async def switch_market(request: web.Request) -> web.Response:
    """202 once the supervisor has taken the order; the engine then restarts, this front with it."""
    decode_query(request.query, NoQuery)
    if request.content_type != "application/json":
        raise Problem(415, "The body must be application/json.")
    wanted = decode_body(await request.read(), DemoMarket)
    if request.app[KEY].deps.no_switch:
        raise Problem(409, request.app[KEY].deps.no_switch)
    try:
        request.app[KEY].deps.switch_market(wanted.market)
    except (OSError, ValueError) as error:
        raise Problem(503, f"The supervisor did not take the order: {error}.") from None
    return json_response({"market": wanted.market, "status": "restarting"}, 202)
