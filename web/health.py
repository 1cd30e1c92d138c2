"""/live, /ready and /health: does the process answer, is the engine warm, is it degraded."""

import dataclasses
from typing import Any

import numpy as np
from aiohttp import web

from engine.domain.degraded import CLOCK_SKEW, reasons
from web.deps import KEY, Front, Telemetry
from web.problems import Problem, json_response
from web.reading import NoCycleError, TornError, read_head


@dataclasses.dataclass(frozen=True)
class Health:
    """One look: state is starting, ok, degraded or closed; the lists hold sentences for people.

    waiting_for: why it is not ready. degraded: what is wrong although cycles go on.
    """

    state: str
    waiting_for: list[str]
    degraded: list[str]
    head: np.void | None
    telemetry: Telemetry


def look(front: Front) -> Health:
    """Read board and newest head once and judge them."""
    telemetry = front.deps.telemetry()
    waiting: list[str] = []
    degraded: list[str] = []
    head = _head(front)
    cold = head is None or int(head["n"]) < 1
    if cold:
        waiting.append("No cycle has been decided yet: the engine is warming up.")
    silent = [role for role in telemetry.roles if not role.beating]
    for role in silent:
        age = "yet" if role.beat_age_ms is None else f"for {role.beat_age_ms / 1e3:.1f} s"
        sentence = f"{role.name} is {role.state} and has not beaten {age}."
        waiting.append(sentence)
        if not cold:
            degraded.append(sentence)
    if not telemetry.roles:
        waiting.append("No role has started yet.")
    if head is not None:
        skew_ns = telemetry.counters.get("bars", {}).get(CLOCK_SKEW, 0)
        refused = {role.name: role.refused for role in telemetry.roles}
        degraded += reasons(
            int(head["flags"]), skew_ns, front.deps.max_skew_ms, refused, int(head["stride"])
        )
    if front.closed_reason:
        state = "closed"
    elif cold or not telemetry.roles:
        state = "starting"
    else:
        state = "degraded" if degraded else "ok"
    return Health(state, waiting, degraded, head, telemetry)


def _head(front: Front) -> np.void | None:
    try:
        return read_head(front.deps.tables)
    except (NoCycleError, TornError):
        return None


async def get_live(request: web.Request) -> web.Response:
    """200 as long as this process answers at all."""
    return json_response({"status": "live"})


async def get_ready(request: web.Request) -> web.Response:
    """200 after warm-up with every role beating, with what degrades it, else 503 and one reason."""
    health = look(request.app[KEY])
    if health.waiting_for:
        raise Problem(503, health.waiting_for[0], {"Retry-After": "1"})
    return json_response({"status": "ready", "n": _n(health), "degraded": health.degraded})


async def get_health(request: web.Request) -> web.Response:
    """The summary for people and probes: 200 for ok and degraded, 503 for starting and closed."""
    front = request.app[KEY]
    health = look(front)
    told = list(dict.fromkeys(health.waiting_for + health.degraded))
    if front.closed_reason:
        told = [front.closed_reason]
    document: dict[str, Any] = {"status": health.state, "n": _n(health), "reasons": told}
    return json_response(document, 200 if health.state in {"ok", "degraded"} else 503)


def _n(health: Health) -> int | None:
    return int(health.head["n"]) if health.head is not None else None
