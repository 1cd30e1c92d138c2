"""GET /api/v1/rules/{rule_id}/explain: why a rule fires for a symbol now, or why not."""

import asyncio
import functools

from aiohttp import web

from engine.alerts.aftermath import with_alerts
from engine.alerts.onlooker import Onlooker
from engine.alerts.sight import BusyError, Sight, UnseenError
from engine.alerts.standing import Standing
from engine.alerts.why import explain_standing
from engine.rules.model import Rule
from web.deps import KEY
from web.problems import Problem, json_response
from web.rest.alerts import in_store
from web.schemas import ExplainQuery, decode_query


async def explain_rule(request: web.Request) -> web.Response:
    """The conditions with their numbers, how far off, since when, and what stands in the way."""
    front = request.app[KEY]
    query = decode_query(request.query, ExplainQuery)
    rule_id = request.match_info["rule_id"]
    deps = front.deps
    sight = Sight.of(deps.tables)
    stored = await in_store(front, functools.partial(deps.stored_rule, rule_id))
    standing = await asyncio.get_running_loop().run_in_executor(
        front.lookout, _look, sight, rule_id, query.symbol, stored
    )
    standing = await in_store(
        front, lambda: with_alerts(sight, standing, deps.alerts, deps.stream.stream_id)
    )
    return json_response(explain_standing(standing))


def _look(sight: Sight, rule_id: str, ticker: str, stored: Rule | None) -> Standing:
    """In a thread of its own: it waits for a moment between two cycles. Raises Problem."""
    try:
        return Onlooker(sight, rule_id, ticker, stored).look()
    except UnseenError as error:
        raise Problem(404, _sentence(error)) from None
    except BusyError as error:
        raise Problem(503, _sentence(error), {"Retry-After": "1"}) from None


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[0].upper() + text[1:]
