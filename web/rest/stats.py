"""GET /stats: every counter of the board by role, and the front's own."""

from aiohttp import web

from ipc.telemetry import BY_NAME
from web.app_state import STATE
from web.deps import KEY
from web.problems import json_response
from web.schemas import NoQuery, decode_query


async def get_stats(request: web.Request) -> web.Response:
    """What every role tells as plain numbers, for people and scripts without Prometheus."""
    decode_query(request.query, NoQuery)
    front = request.app[KEY]
    telemetry = front.deps.telemetry()
    requests = [
        {"method": method, "route": route, "status": status, "count": count}
        for (method, route, status), count in sorted(front.requests.items())
    ]
    return json_response(
        {
            "roles": {
                role: {
                    name: count
                    for name, count in counters.items()
                    if count or BY_NAME[name].is_told_by(role)
                }
                for role, counters in telemetry.counters.items()
            },
            "front": {
                "requests": requests,
                "errors": front.errors,
                "connections": len(request.app[STATE].connections),
            },
        }
    )
