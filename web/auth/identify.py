"""Finds out who a request comes from where users sign in: cookie, bearer token or ticket."""

import time

from aiohttp import web

from web.auth.desk import Desk
from web.auth.origin import address_of
from web.deps import KEY
from web.principal import Principal
from web.problems import Problem

COOKIE = "tapescan_session"
SOCKET = "/ws"
_BEARER = {"WWW-Authenticate": "Bearer"}
# What somebody with a one-time password may ask for until they have changed it.
_CHANGE_ONLY = frozenset({"/api/v1/auth/password", "/api/v1/auth/logout", "/api/v1/user/profile"})


def has_bearer(request: web.Request) -> bool:
    """True when a request says who asks in a way that a browser never does by itself."""
    ticketed = request.path == SOCKET and "ticket" in request.query
    return "Authorization" in request.headers or ticketed


async def find(request: web.Request, desk: Desk) -> Principal | None:
    """Who asks; None: nobody says so. Raises Problem 401 when what is shown is not valid."""
    if "Authorization" in request.headers:
        return await _by_header(request, desk)
    if request.path == SOCKET and "ticket" in request.query:
        found = await desk.by_ticket(request.query["ticket"])
        if found is None:
            raise Problem(401, "The ticket is not valid (any more); ask for a new one.")
        return found
    cookie = request.cookies.get(COOKIE)
    origin = request.headers.get("Origin")
    if not cookie or (origin is not None and origin not in request.app[KEY].origins):
        return None  # another origin's page may not use the cookie, whatever web.cors_origins says
    return await desk.by_secret(cookie, "session")


async def _by_header(request: web.Request, desk: Desk) -> Principal:
    sent = request.headers.getall("Authorization")
    scheme, _, token = sent[0].partition(" ")
    if len(sent) > 1 or scheme.lower() != "bearer" or not token:
        raise Problem(401, "The Authorization header must be one Bearer token.", _BEARER)
    found = await desk.by_bearer(token.strip())
    if found is None:
        raise Problem(401, "The token is not valid (any more).", _BEARER)
    return found


def refuse_before_change(request: web.Request, principal: Principal) -> None:
    """Raise Problem 403 for all but the change of a one-time password."""
    if principal.must_change and request.path not in _CHANGE_ONLY:
        raise Problem(403, "Change the one-time password first: POST /api/v1/auth/password.")


def limit_address(request: web.Request, desk: Desk) -> None:
    """Count a request from an address. Raises Problem 429 over the limit."""
    address = address_of(request, desk.limits)
    _refuse_over(desk, desk.addresses_rate.take(address, time.monotonic()), "address")


def limit_user(principal: Principal, desk: Desk) -> None:
    """Count a request of a user. Raises Problem 429 over the limit."""
    _refuse_over(desk, desk.users_rate.take(principal.user_id, time.monotonic()), "user")


def _refuse_over(desk: Desk, wait_s: int, who: str) -> None:
    if wait_s:
        bound = f"max_{who}_requests_per_min"
        desk.front.reached(bound)
        most: int = getattr(desk.limits, bound)
        raise Problem(429, f"Too many requests: at most {most} a minute for one {who}.",
                      {"Retry-After": str(wait_s)})  # fmt: skip
