"""A front where users sign in, with a store of its own, and clients of every kind."""

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from engine.storage.user_ports import User
from engine.storage.user_sqlite import SqliteUserStore
from engine.users.accounts import create_user
from tests.web.front import RunningFront, serve, warm_market
from tests.web.market import limits
from web.auth.desk import DESK, Desk
from web.auth.identify import COOKIE

PASSWORD = "correct horse battery"
KEY = b"k" * 32
ROLES = ("viewer", "trader", "admin")
NS = 1_000_000_000


@dataclasses.dataclass
class Clock:
    """Wall time that a test moves by hand."""

    ns: int = 1_800_000_000 * NS

    def __call__(self) -> int:
        return self.ns


class Signed:
    """Speaks to the front as nobody in particular: each request says who it is."""

    def __init__(self, front: RunningFront, path: Path, clock: Clock) -> None:
        self.front, self.path, self.clock = front, path, clock
        self.users: dict[str, User] = {}

    @property
    def desk(self) -> Desk:
        return self.front.app[DESK]

    async def ask(
        self, method: str, path: str, body: object = None, *, bearer: str = "", cookie: str = "",
        origin: str | None = None, **headers: str,
    ) -> tuple[int, Any, aiohttp.ClientResponse]:
        """Status, document and answer. origin: None: the page's own, unless a bearer asks."""
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        if cookie:
            sent["Cookie"] = f"{COOKIE}={cookie}"
        if origin is None and not bearer:
            origin = self.front.url
        if origin:
            sent["Origin"] = origin
        data = None if body is None else msgspec.json.encode(body)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, self.front.url + path, data=data, headers=sent, allow_redirects=False
            ) as answer,
        ):
            content = await answer.read()
            is_json = "json" in answer.content_type and bool(content)
            return answer.status, msgspec.json.decode(content) if is_json else None, answer

    async def login(self, name: str, password: str = PASSWORD) -> tuple[int, Any, str]:
        """Status, document and the secret of the session."""
        body = {"name": name, "password": password}
        status, document, answer = await self.ask("POST", "/api/v1/auth/login", body)
        morsel = answer.cookies.get(COOKIE)
        return status, document, morsel.value if morsel is not None else ""

    async def tokens(self, name: str) -> dict[str, Any]:
        """Access and refresh token of a user."""
        body = {"name": name, "password": PASSWORD}
        status, document, _ = await self.ask("POST", "/api/v1/auth/token", body)
        assert status == 200, document
        found: dict[str, Any] = document
        return found


def signed_in(
    tmp_path: Path, scenario: Callable[[Signed], Awaitable[None]], **settings: Any
) -> None:
    """Run a scenario on a front with one user a role, each named like the role."""
    path, clock = tmp_path / "app.db", Clock()
    store = SqliteUserStore(path)
    users = {role: create_user(store, role, role, PASSWORD) for role in ROLES}
    store.close()
    generous = {"max_user_requests_per_min": 10_000, "max_address_requests_per_min": 100_000}

    async def whole(front: RunningFront) -> None:
        made = Signed(front, path, clock)
        made.users = users
        await scenario(made)

    serve(
        warm_market(), whole, auth="password", open_users=lambda: SqliteUserStore(path),
        signing_key=KEY, wall_ns=clock, limits=limits(**{**generous, **settings}),
    )  # fmt: skip
