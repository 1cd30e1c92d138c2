"""GET /metrics: the board and the front's own counts in Prometheus' text form, read afresh."""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from ipc.telemetry import SERIES, Series
from shm.errors import ShmError
from web.app_state import STATE, AppState
from web.deps import Telemetry
from web.health import Health, look
from web.problems import Problem
from web.reading import TornError
from web.rest.rules import read_counts
from web.rest.status import REFUSALS, ring_depths
from web.schemas import NoQuery, decode_query

BOUNDS_S = (
    1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
# Answered from the front's own memory instead, with labels or afresh.
OWN = frozenset({"http_requests_total", "websocket_connections"})


class BoardCollector:
    """Yields every telemetry family from one look at the engine."""

    def __init__(self, state: AppState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """One family after another; counters per role, histograms over all roles."""
        front = self._state.front
        health = look(front)
        for series in SERIES:
            if series.kind == "histogram":
                yield _histogram(series, health.telemetry)
            elif series.name not in OWN:
                yield _plain(series, health.telemetry)
        yield from _engine(self._state, health)
        yield from _rules(self._state)
        yield from _roles(health.telemetry)
        requests = CounterMetricFamily(
            "http_requests", "Answered HTTP requests.", labels=("method", "route", "status")
        )
        for (method, route, status), count in front.requests.items():
            requests.add_metric((method, route, str(status)), count)
        yield requests
        sockets = len(self._state.connections)
        yield GaugeMetricFamily("websocket_connections", "Open WebSockets.", sockets)


def _plain(series: Series, telemetry: Telemetry) -> Metric:
    """A counter or gauge with one sample per role that tells it."""
    family: CounterMetricFamily | GaugeMetricFamily
    if series.kind == "counter":
        family = CounterMetricFamily(
            series.name.removesuffix("_total"), series.doc, labels=("role",)
        )
    else:
        family = GaugeMetricFamily(series.name, series.doc, labels=("role",))
    scale = 1e9 if series.unit == "ns" else 1
    for role, counters in telemetry.counters.items():
        if series.is_told_by(role) or counters.get(series.name):
            family.add_metric((role,), counters[series.name] / scale)
    return family


def _histogram(series: Series, telemetry: Telemetry) -> Metric:
    """A latency histogram over all roles, in seconds."""
    family = HistogramMetricFamily(series.name, series.doc)
    histogram = telemetry.histograms.get(series.name)
    if histogram is not None:
        buckets = [(repr(bound), float(histogram.at_most(bound))) for bound in BOUNDS_S]
        buckets.append(("+Inf", float(histogram.count)))
        family.add_metric((), buckets, sum_value=histogram.sum_s)
    return family


def _engine(state: AppState, health: Health) -> Iterator[Metric]:
    depth = GaugeMetricFamily("tick_ring_depth", "Ticks not yet taken.", labels=("ring",))
    for ring in ring_depths(state.front.deps.tables):
        depth.add_metric((ring["name"],), ring["depth"])
    yield depth
    if health.head is None:
        return
    head = health.head
    yield GaugeMetricFamily("engine_cycle", "Number n of the newest cycle.", int(head["n"]))
    yield GaugeMetricFamily("engine_time_seconds", "T_k, Unix time.", int(head["t_ns"]) / 1e9)
    refusals = CounterMetricFamily("tick_refusals", "Ticks refused or revised.", labels=("kind",))
    for name in REFUSALS:
        refusals.add_metric((name,), int(head[name]))
    yield refusals
    yield GaugeMetricFamily("engine_degraded", "1 while degraded.", float(bool(health.degraded)))


def _rules(state: AppState) -> Iterator[Metric]:
    """Totals over the rules in force: gauges, because they fall when a rule goes."""
    try:
        fired, held = read_counts(state).totals()
    except (TornError, Problem, ShmError):
        return  # the next look has them
    yield GaugeMetricFamily("rule_firings", "Firings of the rules in force.", fired)
    back = GaugeMetricFamily(
        "rule_firings_held_back", "True but held back, rules in force.", labels=("reason",)
    )
    for reason, count in held.items():
        back.add_metric((reason,), count)
    yield back


def _roles(telemetry: Telemetry) -> Iterator[Metric]:
    age = GaugeMetricFamily("role_beat_age_seconds", "Age of the last beat.", labels=("role",))
    up = GaugeMetricFamily("role_up", "1 while the role beats.", labels=("role",))
    restarts = CounterMetricFamily("role_restarts", "Restarts of the role.", labels=("role",))
    for role in telemetry.roles:
        up.add_metric((role.name,), float(role.beating))
        restarts.add_metric((role.name,), role.restarts)
        if role.beat_age_ms is not None:
            age.add_metric((role.name,), role.beat_age_ms / 1e3)
    yield age
    yield up
    yield restarts


async def get_metrics(request: web.Request) -> web.Response:
    """Everything, in the text exposition format."""
    decode_query(request.query, NoQuery)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoardCollector(request.app[STATE]))
    body = generate_latest(registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
