"""/api/v1/auth and /api/v1/ws-ticket: signing in and out, tokens, and the change of a password."""

from typing import Annotated

import msgspec
from aiohttp import web

from engine.users.accounts import set_password
from web.auth.desk import TICKET_S, Desk, desk_of
from web.auth.identify import COOKIE
from web.auth.origin import address_of, is_secure
from web.auth.tokens import hash_secret
from web.principal import principal_of
from web.problems import Problem, json_response
from web.schemas import decode_body

Password = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Credentials(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a sign-in."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    password: Password


class RefreshBody(msgspec.Struct, forbid_unknown_fields=True):
    """Body with a refresh token."""

    refresh_token: Secret


class PasswordChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of a change of one's own password."""

    current_password: Password
    new_password: Annotated[str, msgspec.Meta(max_length=1024)]


async def log_in(request: web.Request) -> web.Response:
    """Begin a session of a browser."""
    desk = desk_of(request)
    body = decode_body(await request.read(), Credentials)
    address = address_of(request, desk.limits)
    user = await desk.sign_in(body.name, body.password, address, "session")
    response = json_response(
        {"user_id": user.user_id, "name": user.name, "role": user.role,
         "must_change_password": user.must_change}
    )  # fmt: skip
    _set_cookie(request, response, desk, await desk.open_session(user))
    return response


def _set_cookie(request: web.Request, response: web.Response, desk: Desk, secret: str) -> None:
    response.set_cookie(
        COOKIE, secret, max_age=desk.limits.session_lifetime_s, httponly=True, samesite="Strict",
        secure=is_secure(request, desk.limits), path="/",
    )  # fmt: skip


async def log_out(request: web.Request) -> web.Response:
    """End what the request was signed in with."""
    desk, grant = desk_of(request), principal_of(request).grant
    await desk.store(lambda store: store.revoke_family(grant))
    response = web.Response(status=204)
    response.del_cookie(COOKIE, path="/")
    return response


async def give_tokens(request: web.Request) -> web.Response:
    """An access token and a refresh token for a name and a password."""
    desk = desk_of(request)
    body = decode_body(await request.read(), Credentials)
    address = address_of(request, desk.limits)
    user = await desk.sign_in(body.name, body.password, address, "token")
    return json_response(await desk.open_family(user))


async def refresh_tokens(request: web.Request) -> web.Response:
    """New tokens for a refresh token, which is used up; used again, it revokes its family."""
    desk = desk_of(request)
    body = decode_body(await request.read(), RefreshBody)
    return json_response(await desk.refresh(body.refresh_token, address_of(request, desk.limits)))


async def revoke_tokens(request: web.Request) -> web.Response:
    """Revoke a refresh token with its family; 204 whether it was valid or not (RFC 7009)."""
    desk = desk_of(request)
    hashed = hash_secret(decode_body(await request.read(), RefreshBody).refresh_token)
    found = await desk.store(lambda store: store.grant(hashed))
    if found is not None and found.kind == "refresh":
        family = found.family
        await desk.store(lambda store: store.revoke_family(family))
    return web.Response(status=204)


async def change_password(request: web.Request) -> web.Response:
    """Change one's own password; what was granted before ends; a browser gets a new session."""
    desk, principal = desk_of(request), principal_of(request)
    if principal.how == "api":
        raise Problem(403, "An API token cannot change a password.")
    body = decode_body(await request.read(), PasswordChange)
    if body.new_password == body.current_password:
        raise Problem(400, "new_password: this is the current password.")
    address = address_of(request, desk.limits)
    user = await desk.sign_in(principal.name, body.current_password, address, "password")
    changed = await desk.store(lambda store: set_password(store, user, body.new_password))
    response = web.Response(status=204)
    if principal.how == "session":
        _set_cookie(request, response, desk, await desk.open_session(changed))
    return response


async def give_ticket(request: web.Request) -> web.Response:
    """A ticket for one WebSocket handshake: /ws?ticket=..., within 30 s."""
    ticket = desk_of(request).new_ticket(principal_of(request))
    return json_response({"ticket": ticket, "expires_in": int(TICKET_S)}, 201)
