"""Puts the front together: middlewares, routes, push loops, and their end."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

from engine.config.schema_web import listed
from engine.rules.counts import CountsReader
from engine.rules.published import PublishedRules
from web import middlewares, static_files
from web.app_state import STATE, AppState
from web.auth.desk import DESK, Desk
from web.auth.identify import SOCKET
from web.auth.watch import watch_sockets
from web.deps import KEY, Deps, Front, closed_reason
from web.families import FamilyView
from web.principal import NEEDED
from web.reading import SymbolDirectory
from web.rest.openapi import DESCRIBED
from web.routes import ROUTES
from web.ws.handler import close_all
from web.ws.hub import HUB, Hub


def make_app(deps: Deps) -> web.Application:
    """The application for these dependencies; it starts its loops when its runner starts it."""
    app = web.Application(
        middlewares=middlewares.MIDDLEWARES, client_max_size=deps.limits.max_body_bytes
    )
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
    lookout = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lookout")
    front = Front(deps, executor, lookout, closed_reason=closed_reason(deps.host, deps.auth))
    front.answer_to(deps.host, deps.port)
    front.cors_origins = frozenset(listed(deps.limits.cors_origins))
    app[KEY] = front
    if deps.auth == "password":
        app[DESK] = Desk(front)
    rules = PublishedRules(deps.tables.rules)
    app[STATE] = AppState(
        front, SymbolDirectory(deps.tables), rules, FamilyView(deps.tables, rules),
        CountsReader.of(deps.tables),
    )  # fmt: skip
    app[static_files.FILES] = static_files.load()
    app[DESCRIBED] = ROUTES
    needed = app[NEEDED] = {}
    for route in ROUTES:
        resource = app.router.add_resource(route.path)
        resource.add_route(route.method, route.handler)
        if route.method == "GET" and route.path != SOCKET:
            resource.add_route("HEAD", route.handler)
        needed[route.method, resource.canonical] = route.role
    app.on_response_prepare.append(middlewares.set_security_headers)
    if deps.auth == "password":
        app.cleanup_ctx.append(watch_sockets)
    app.cleanup_ctx.append(_push_loops)
    app.on_shutdown.append(close_all)
    return app


async def _push_loops(app: web.Application) -> AsyncIterator[None]:
    hub = Hub(app)
    app[HUB] = hub
    await hub.start()
    yield
    await hub.stop()
    for executor in (app[KEY].executor, app[KEY].lookout):
        executor.shutdown(wait=False, cancel_futures=True)
