"""Around every request: security headers, problem documents, Host and Origin checks, counting."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from shm.errors import ShmError
from web.auth.desk import DESK
from web.auth.identify import (
    SOCKET,
    find,
    has_bearer,
    limit_address,
    limit_user,
    refuse_before_change,
)
from web.deps import KEY, Front
from web.principal import ADMIN, LOCAL, NEEDED, PRINCIPAL, demand
from web.problems import Problem, problem_response
from web.reading import NoCycleError, TornError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger("tapescan.web")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; manifest-src 'self'; base-uri 'none'; "
    "object-src 'none'; frame-ancestors 'none'; form-action 'self'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
    "Server": "tapescan",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def set_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal on_response_prepare: headers on every answer, no caching unless already set."""
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    origin = request.headers.get("Origin", "")
    if origin in request.app[KEY].cors_origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers.add("Vary", "Origin")


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request by route, method and status; bound how many run and how long.

    A WebSocket is a request without an end: web.max_connections bounds it instead.
    """
    front = request.app[KEY]
    path = request.match_info.route.resource
    route = path.canonical if path is not None else "unmatched"
    method = request.method if request.method in KNOWN_METHODS else "other"
    if route == SOCKET:
        response = await handler(request)
    elif front.requests_running >= front.deps.limits.max_requests:
        front.reached("max_requests")
        response = problem_response(
            429, "Too many requests are running; try again in a second.", request.path,
            {"Retry-After": "1"},
        )
    else:
        response = await _bounded(request, handler, front)
    front.count_request(method, route, response.status)
    return response


async def _bounded(request: web.Request, handler: Handler, front: Front) -> web.StreamResponse:
    """Answer within web.request_timeout_ms, also when the body does not come."""
    front.requests_running += 1
    timeout_ms = front.deps.limits.request_timeout_ms
    try:
        async with asyncio.timeout(timeout_ms / 1e3):
            return await handler(request)
    except TimeoutError:
        front.reached("request_timeout_ms")
        return problem_response(
            503, f"The answer was not ready after {timeout_ms} ms.", request.path,
            {"Retry-After": "1"},
        )
    except asyncio.CancelledError:  # by the end of the front, nothing else
        front.reached("drain_timeout_ms")
        raise
    finally:
        front.requests_running -= 1


KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every refusal into a problem document; an unexpected error is logged and is a 500."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem_response(
            problem.status, problem.detail, request.path, problem.headers, problem.more
        )
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        return problem_response(error.status, _sentence(request, error), request.path, headers)
    except NoCycleError:
        return problem_response(
            503, "The engine is starting; nothing is known yet.", request.path, {"Retry-After": "1"}
        )
    except (TornError, ShmError):
        return problem_response(
            503, "The engine moved on while its memory was copied; try again.", request.path,
            {"Retry-After": "1"},
        )
    except Exception:  # boundary: one broken handler must not take the front down
        log.exception("unexpected error in %s %s", request.method, request.path)
        request.app[KEY].count_error()
        return problem_response(
            500, "The front failed on this request; its log has the details.", request.path
        )


def _sentence(request: web.Request, error: web.HTTPException) -> str:
    if error.status == 404:
        return f"Nothing is served at {request.path}."
    if error.status == 405:
        allowed = error.headers.get("Allow", "")
        return f"{request.path} does not take {request.method}; it takes {allowed}."
    if error.status == 413:
        front = request.app[KEY]
        front.reached("max_body_bytes")
        limit = front.deps.limits.max_body_bytes
        return f"The body is larger than {limit} bytes."
    return f"{error.reason}."


@web.middleware
async def gate_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Without sign-in serve only /health unless the address is a loopback one; with it, count the
    requests of an address."""
    reason = request.app[KEY].closed_reason
    if reason and request.path != "/health":
        raise Problem(403, reason)
    desk = request.app.get(DESK)
    if desk is not None:
        limit_address(request, desk)
    return await handler(request)


@web.middleware
async def check_host_and_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse foreign Hosts (DNS rebinding) and, on sockets and unsafe methods, foreign Origins.

    Where users sign in, a token may come without an Origin, as browsers never send one by
    themselves; and pages of web.cors_origins may send one.
    """
    front = request.app[KEY]
    if request.headers.get("Host", "").lower() not in front.hosts:
        names = ", ".join(sorted(front.hosts))
        raise Problem(421, f"The Host header is not one of this server's names ({names}).")
    sent = request.headers.getall("Origin", [])
    if request.method == "OPTIONS" and _is_preflight(request, sent):
        return web.Response(status=204, headers=PREFLIGHT)
    is_handshake = request.path == SOCKET
    if (is_handshake or request.method not in SAFE_METHODS) and not _may_send(request, sent):
        origins = ", ".join(sorted(front.origins))
        raise Problem(403, f"The Origin header must be exactly one of {origins}.")
    return await handler(request)


def _is_preflight(request: web.Request, sent: list[str]) -> bool:
    asked = "Access-Control-Request-Method" in request.headers
    return asked and len(sent) == 1 and sent[0] in request.app[KEY].cors_origins


def _may_send(request: web.Request, sent: list[str]) -> bool:
    front = request.app[KEY]
    if len(sent) == 1 and sent[0] in front.origins:
        return True
    tokened = DESK in request.app and has_bearer(request)
    return tokened and (not sent or (len(sent) == 1 and sent[0] in front.cors_origins))


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say who asks, and refuse whoever has not the role that the route takes."""
    desk = request.app.get(DESK)
    found = LOCAL if desk is None else await find(request, desk)
    if found is not None:
        request[PRINCIPAL] = found
    resource = request.match_info.route.resource
    if resource is not None:
        method = "GET" if request.method == "HEAD" else request.method
        role = request.app[NEEDED].get((method, resource.canonical), ADMIN)
        if role:
            principal = demand(request, role)
            if desk is not None:
                refuse_before_change(request, principal)
                limit_user(principal, desk)
    return await handler(request)


MIDDLEWARES = (
    count_requests, answer_problems, gate_strangers, check_host_and_origin, identify
)  # fmt: skip
