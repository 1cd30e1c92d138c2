"""Starts a front on a hand-made market for the length of one test, on a free loopback port."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse, web
from aiohttp.test_utils import unused_port

from tests.web.market import Market, limits
from web.app import make_app
from web.app_state import STATE, AppState
from web.deps import Front
from web.ws.hub import HUB, Hub


class RunningFront:
    """A front that serves: `get`, `post` and `socket` speak to it as its own page would."""

    def __init__(self, market: Market, app: web.Application, port: int) -> None:
        self.market, self.app, self.port = market, app, port
        self.url = f"http://127.0.0.1:{port}"
        self.session = ClientSession()
        self.runner: web.AppRunner | None = None

    @property
    def state(self) -> AppState:
        return self.app[STATE]

    @property
    def hub(self) -> Hub:
        return self.app[HUB]

    async def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON document of a GET."""
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.json(content_type=None)

    async def post(self, path: str, document: object, origin: str = "") -> tuple[int, Any]:
        """Status and JSON document of a POST from the page's own origin."""
        headers = {"Origin": origin or self.url}
        async with self.session.post(self.url + path, json=document, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    @contextlib.asynccontextmanager
    async def socket(self, origin: str = "") -> AsyncIterator["Socket"]:
        """An open WebSocket."""
        async with self.session.ws_connect(self.url + "/ws", origin=origin or self.url) as raw:
            yield Socket(raw)


class Socket:
    """A client: `ask` sends a message, `next` waits for one of a type and skips the others."""

    def __init__(self, raw: ClientWebSocketResponse) -> None:
        self.raw = raw

    async def ask(self, **message: object) -> None:
        await self.raw.send_str(json.dumps(message))

    async def next(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                message: dict[str, Any] = json.loads(await self.raw.receive_str())
                if message["type"] == kind:
                    return message


def idle_front(**changes: Any) -> Front:
    """A front that serves nobody, for what is built on one."""
    deps = Market().deps(0, limits=limits(**changes))
    return Front(deps, ThreadPoolExecutor(1), ThreadPoolExecutor(1))


@contextlib.asynccontextmanager
async def running(market: Market, **changes: Any) -> AsyncIterator[RunningFront]:
    """Serve a market until the block ends."""
    port = unused_port()
    app = make_app(market.deps(port, **changes))
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.3)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    front = RunningFront(market, app, port)
    front.runner = runner
    try:
        yield front
    finally:
        await front.session.close()
        await runner.cleanup()


def serve(
    market: Market, scenario: Callable[[RunningFront], Awaitable[None]], **changes: Any
) -> None:
    """Run a scenario against a front on this market."""

    async def whole() -> None:
        async with running(market, **changes) as front:
            await scenario(front)

    asyncio.run(whole())


def warm_market(**arguments: Any) -> Market:
    """A market that has decided three cycles and has bars behind it."""
    market = Market(**arguments)
    market.history()
    for _ in range(3):
        market.step()
    return market
