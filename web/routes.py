"""The one table of routes: method, path, handler and one line for the docs."""

from typing import Any

from web.auth.identify import SOCKET
from web.health import get_health, get_live, get_ready
from web.principal import ADMIN
from web.prometheus import get_metrics
from web.rest.alerts import get_alert, list_alerts
from web.rest.bars import BarsAnswer, HistoryBarsQuery, list_bars
from web.rest.catalogue import list_metrics
from web.rest.demo import switch_market
from web.rest.openapi import get_asyncapi, get_docs, get_openapi
from web.rest.routes_auth import ROUTES_AUTH
from web.rest.routes_rules import ROUTES_RULES
from web.rest.settings import SettingList, list_settings
from web.rest.stats import get_stats
from web.rest.status import get_status
from web.rest.symbols import get_symbol, list_symbols
from web.rest.toplists import ToplistQuery, get_system_toplist, list_toplists
from web.route import Route
from web.schemas import AlertsQuery, BarsQuery, DemoMarket, SymbolsQuery
from web.static_files import get_page, get_sign_in, get_static
from web.ws.handler import get_socket

Document = dict[str, Any]

ROUTES = (
    Route("GET", "/", get_page, "The page.", "", described=False),
    Route("GET", "/sign-in", get_sign_in, "The page to sign in on.", "",
          described=False),
    Route("GET", "/static/{path:.+}", get_static, "Files of the page.", "",
          described=False),
    Route("GET", "/health", get_health, "Summary: ok or degraded (200), starting (503).", ""),
    Route("GET", "/live", get_live, "200 while the front's process answers.", ""),
    Route("GET", "/ready", get_ready, "200 after warm-up with every role beating, else 503.", ""),
    Route("GET", "/stats", get_stats, "Every counter by role, as JSON."),
    Route("GET", "/metrics", get_metrics, "Telemetry for Prometheus.", media="text/plain"),
    Route("GET", SOCKET, get_socket, "The WebSocket.", described=False),
    Route("GET", "/api/v1/status", get_status, "Roles, cycle, stream, rates, latencies, refusals."),
    Route("GET", "/api/v1/alerts", list_alerts, "Alerts, newest first, filtered.",
          query=AlertsQuery, answer=Document, problems=(503,)),
    Route("GET", "/api/v1/alerts/{alert_id}", get_alert, "One alert with explanation and stamps.",
          answer=Document, problems=(404, 503)),
    Route("GET", "/api/v1/symbols", list_symbols, "Symbols with their main numbers.",
          query=SymbolsQuery, answer=Document, problems=(503,)),
    Route("GET", "/api/v1/symbols/{symbol}", get_symbol, "All metrics, bars and state of one.",
          query=BarsQuery, answer=Document, problems=(404, 503)),
    Route("GET", "/api/v1/symbols/{symbol}/bars", list_bars, "Bars of one, also of days before.",
          query=HistoryBarsQuery, answer=BarsAnswer, problems=(404, 503)),
    Route("GET", "/api/v1/config", list_settings, "Every setting in force.", ADMIN,
          answer=SettingList),
    Route("GET", "/api/v1/openapi.json", get_openapi, "This API as OpenAPI 3.1.", answer=Document),
    Route("GET", "/api/v1/asyncapi.json", get_asyncapi, "The WebSocket as AsyncAPI 3.",
          answer=Document),
    Route("GET", "/api/docs", get_docs, "This API for people.", media="text/html"),
    *ROUTES_RULES,
    Route("GET", "/api/v1/toplists", list_toplists, "Types of toplists with their windows."),
    Route("GET", "/api/v1/toplists/system/{type}", get_system_toplist, "One of them, ranked now.",
          query=ToplistQuery, problems=(503,)),
    Route("GET", "/api/v1/metrics", list_metrics, "What a rule can name: the metric catalogue."),
    Route("POST", "/api/v1/demo-market", switch_market, "Restart on the other demo market.", ADMIN,
          body=DemoMarket, answer=Document, status=202, problems=(403, 409, 415, 503)),
    *ROUTES_AUTH,
)  # fmt: skip
