"""GET /api/v1/rules/{rule_id}/explain: why a rule fires for a symbol now, or why not."""

import functools

from aiohttp import web

from engine.alerts.sight import BusyError, Onlooker, Sight, UnseenError, with_alerts
from engine.alerts.why import Why, explain_standing
from web.deps import KEY, Front
from web.problems import Problem, json_response
from web.rest.alerts import in_store
from web.schemas import ExplainQuery, decode_query


async def explain_rule(request: web.Request) -> web.Response:
    """The conditions with their numbers, how far off, since when, and what stands in the way."""
    front = request.app[KEY]
    query = decode_query(request.query, ExplainQuery)
    rule_id = request.match_info["rule_id"]
    answer = await in_store(front, functools.partial(_answer, front, rule_id, query.symbol))
    return json_response(answer)


def _answer(front: Front, rule_id: str, ticker: str) -> Why:
    """Beside the event loop: it waits for a moment between two cycles. Raises Problem,
    StorageError."""
    deps = front.deps
    sight = Sight.of(deps.tables)
    try:
        looker = Onlooker(sight, rule_id, ticker, deps.stored_rule(rule_id))
        standing = looker.look()
    except UnseenError as error:
        raise Problem(404, _sentence(error)) from None
    except BusyError as error:
        raise Problem(503, _sentence(error), {"Retry-After": "1"}) from None
    standing = with_alerts(sight, standing, deps.alerts, deps.stream.stream_id)
    return explain_standing(standing)


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[0].upper() + text[1:]
