"""/api/v1/user: one's own profile, preferences and API tokens."""

from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from engine.storage.user_ports import Grant, User
from engine.users.accounts import rename
from web.auth.desk import Desk, desk_of
from web.auth.tokens import API_PREFIX, NS_PER_S, hash_secret, new_secret
from web.deps import KEY
from web.principal import VIEWER, Principal, principal_of
from web.problems import Problem, json_response
from web.reading import instant
from web.schemas import decode_body

MAX_PREFERENCES_BYTES = 32_768
Role = Literal["viewer", "trader", "admin"]


class ProfileChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PUT /api/v1/user/profile."""

    name: str


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/user/tokens. expires_in_s: None: never."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    role: Role = "viewer"
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=315_360_000)] | None = None


async def get_profile(request: web.Request) -> web.Response:
    """Who asks, and what they may."""
    principal = principal_of(request)
    return json_response(
        {"user_id": principal.user_id, "name": principal.name, "role": principal.role,
         "signed_in_by": principal.how, "auth": request.app[KEY].deps.auth,
         "must_change_password": principal.must_change}
    )  # fmt: skip


async def put_profile(request: web.Request) -> web.Response:
    """Change the name that one signs in with."""
    desk, principal = desk_of(request), _in_person(request)
    name = decode_body(await request.read(), ProfileChange).name
    user = await whole_user(desk, principal.user_id)
    changed = await desk.store(lambda store: rename(store, user, name))
    return json_response({"user_id": changed.user_id, "name": changed.name, "role": changed.role})


async def get_preferences(request: web.Request) -> web.Response:
    """One's own preferences: {} before there are any."""
    user_id = principal_of(request).user_id
    document = await desk_of(request).store(lambda store: store.preferences(user_id))
    return web.Response(body=document or b"{}", content_type="application/json")


async def put_preferences(request: web.Request) -> web.Response:
    """Replace one's own preferences: any JSON object of at most 32 KB."""
    desk, user_id = desk_of(request), principal_of(request).user_id
    try:
        kept = msgspec.json.decode(await request.read(), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Problem(400, "Preferences are one JSON object.") from None
    document = msgspec.json.encode(kept)
    if len(document) > MAX_PREFERENCES_BYTES:
        raise Problem(413, f"Preferences are larger than {MAX_PREFERENCES_BYTES} bytes.")
    await desk.store(lambda store: store.set_preferences(user_id, document))
    return web.Response(body=document, content_type="application/json")


async def list_tokens(request: web.Request) -> web.Response:
    """One's own API tokens, the newest first; never their secrets."""
    user_id = principal_of(request).user_id
    found = await desk_of(request).store(lambda store: store.grants(user_id, "api"))
    return json_response({"data": [_token(one) for one in found], "next_cursor": None})


async def create_token(request: web.Request) -> web.Response:
    """A new API token; its secret is told this once."""
    desk, principal = desk_of(request), _in_person(request)
    body = decode_body(await request.read(), NewToken)
    if not principal.may(body.role):
        raise Problem(403, f"role: you are {principal.role}, and a token may do no more.")
    secret, now_ns = new_secret(API_PREFIX), desk.now_ns()
    hashed = hash_secret(secret)
    grant = Grant(
        secret_hash=hashed, kind="api", user_id=principal.user_id, family=hashed,
        credentials=principal.credentials, name=body.name, role=body.role, created_ns=now_ns,
        expires_ns=None if body.expires_in_s is None else now_ns + body.expires_in_s * NS_PER_S,
    )  # fmt: skip
    await desk.store(lambda store: store.add_grant(grant))
    return json_response({**_token(grant), "token": secret}, 201)


async def delete_token(request: web.Request) -> web.Response:
    """Revoke one of one's own API tokens."""
    desk, principal = desk_of(request), _in_person(request)
    token_id = request.match_info["token_id"]
    found = await desk.store(lambda store: store.grants(principal.user_id, "api"))
    chosen = [one for one in found if one.secret_hash[:16] == token_id]
    if not chosen:
        raise Problem(404, "You have no API token with this id.")
    await desk.store(lambda store: store.revoke_family(chosen[0].family))
    return web.Response(status=204)


def _in_person(request: web.Request) -> Principal:
    """Who asks, when they signed in with a password. Raises Problem 403 for an API token."""
    principal = principal_of(request)
    if principal.how == "api":
        raise Problem(403, "An API token cannot do this: sign in with the password.")
    return principal


async def whole_user(desk: Desk, user_id: str) -> User:
    """A user by id. Raises Problem 404."""
    user = await desk.store(lambda store: store.user(user_id))
    if user is None:
        raise Problem(404, "There is no user with this id.")
    return user


def _token(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.secret_hash[:16], "name": grant.name, "role": grant.role or VIEWER,
        "created_at": instant(grant.created_ns), "expires_at": instant(grant.expires_ns),
        "last_used_at": instant(grant.used_ns),
    }  # fmt: skip
