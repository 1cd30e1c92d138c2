"""GET /api/v1/status and the status message of the WebSocket: one document about the engine."""

from typing import Any

from aiohttp import web

from engine.domain.tables import FLOW_ALERTED_N, FLOW_DURABLE_N, WORD_STRIDE, EngineTables
from shm.fences import read_word
from web.app_state import STATE
from web.deps import Histogram, Telemetry
from web.health import look
from web.problems import json_response
from web.reading import instant, session_date, session_name
from web.schemas import NoQuery, decode_query

REFUSALS = (
    "refused_future", "refused_capacity", "refused_tick", "late", "too_late", "corrections",
    "cancels", "unmatched", "events_dropped",
)
LATENCIES = {"tick_to_alert": "tick_to_alert_seconds", "cycle": "scan_cycle_seconds",
             "delivery": "alert_delivery_latency_seconds"}


async def get_status(request: web.Request) -> web.Response:
    """Roles, cycle, stream, rates, latencies and refusals of the running engine."""
    decode_query(request.query, NoQuery)
    return json_response(status_document(request.app))


def status_document(app: web.Application) -> dict[str, Any]:
    """Build the document from one look at board and newest cell; unknown is null."""
    state = app[STATE]
    deps, health = state.front.deps, look(state.front)
    tables, head, telemetry = deps.tables, health.head, health.telemetry
    stream = deps.stream
    session = tables.session[0]
    t_ns = int(head["t_ns"]) if head is not None else 0
    return {
        "state": health.state,
        "waiting_for": health.waiting_for,
        "degraded": health.degraded,
        "n": int(head["n"]) if head is not None else None,
        "t": instant(t_ns),
        "session": session_name(session, t_ns) if t_ns else None,
        "session_date": session_date(session) or None,
        "interval_ms": int(session["interval_ns"]) // 1_000_000 or None,
        "stream": {
            "stream_id": stream.stream_id,
            "provider": stream.provider,
            "simulated": stream.simulated,
            "live": stream.live,
            "speed": deps.speed,
            "switchable": not deps.no_switch,
        },
        "roles": _roles(telemetry),
        "recorded_n": read_word(tables.flow, FLOW_DURABLE_N * WORD_STRIDE),
        "alerted_n": read_word(tables.flow, FLOW_ALERTED_N * WORD_STRIDE),
        "rates": state.pace.rates(),
        "latency": {key: _latency(state.pace.window(name)) for key, name in LATENCIES.items()},
        "rings": ring_depths(tables),
        "absent_cycles": total(telemetry, "absent_cycles_total"),
        "strided_cycles": total(telemetry, "strided_cycles_total"),
        "stride": max(1, int(head["stride"])) if head is not None else None,
        "rules_version": int(head["rules_version"]) if head is not None else None,
        "families": state.families.summary(),
        "symbols": int(state.directory.ids().size),
        "capacity": tables.sizes.capacity,
        "ticks": int(head["ticks"]) if head is not None else None,
        "alerts": total(telemetry, "alerts_emitted_total"),
        "splits_suspected": total(telemetry, "splits_suspected"),
        "refusals": {name: int(head[name]) for name in REFUSALS} if head is not None else None,
        "front": {"connections": len(state.connections), **dict(state.front.counts)},
    }


def _roles(telemetry: Telemetry) -> list[dict[str, Any]]:
    return [
        {
            "name": role.name,
            "state": role.state,
            "pid": role.pid,
            "beat_age_ms": None if role.beat_age_ms is None else round(role.beat_age_ms, 1),
            "restarts": role.restarts,
            "beating": role.beating,
            "waits_for": role.waits_for or None,
            "waits_ms": round(role.waits_ms, 1) if role.waits_for else None,
        }
        for role in telemetry.roles
    ]


def _latency(histogram: Histogram | None) -> dict[str, float | int | None]:
    if histogram is None:
        return {"p50_ms": None, "p99_ms": None, "count": 0}
    p50, p99 = histogram.quantile_s(0.5), histogram.quantile_s(0.99)
    return {
        "p50_ms": None if p50 is None else round(p50 * 1e3, 3),
        "p99_ms": None if p99 is None else round(p99 * 1e3, 3),
        "count": histogram.count,
    }


def ring_depths(tables: EngineTables) -> list[dict[str, Any]]:
    """Ticks published but not yet taken by bars, per feed ring."""
    return [
        {"name": f"ticks {feed}", "depth": max(0, ring.tail() - ring.gate("bars")),
         "capacity": ring.capacity}
        for feed, ring in enumerate(tables.ticks.rings)
    ]


def total(telemetry: Telemetry, counter: str) -> int | None:
    """Sum of a counter over all roles; None when no role keeps it."""
    found = [counters[counter] for counters in telemetry.counters.values() if counter in counters]
    return sum(found) if found else None
