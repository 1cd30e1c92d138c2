"""/api/v1/users and /api/v1/audit/logins: what an admin does."""

from typing import Any

import msgspec
from aiohttp import web

from engine.storage.user_ports import User, UserStore
from engine.users.accounts import create_user, set_access, set_password
from web.auth.desk import desk_of
from web.deps import KEY
from web.problems import json_response
from web.reading import instant
from web.rest.user import Role, whole_user
from web.schemas import Positive, RowId, decode_body, decode_query


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /api/v1/users; the password has to be changed at the first sign-in."""

    name: str
    password: str
    role: Role = "viewer"


class UserChange(msgspec.Struct, forbid_unknown_fields=True):
    """Body of PATCH /api/v1/users/{user_id}; what is left out stays. password: a one-time one."""

    role: Role | None = None
    disabled: bool | None = None
    password: str | None = None


class LoginsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Query of GET /api/v1/audit/logins."""

    limit: Positive = 100
    cursor: RowId | None = None


async def list_users(request: web.Request) -> web.Response:
    """All users in order of name."""
    found = await desk_of(request).store(lambda store: store.users())
    return json_response({"data": [_document(one) for one in found], "next_cursor": None})


async def add_user(request: web.Request) -> web.Response:
    """Create a user with a one-time password."""
    body = decode_body(await request.read(), NewUser)
    user = await desk_of(request).store(
        lambda store: create_user(store, body.name, body.role, body.password, must_change=True)
    )
    return json_response(_document(user), 201)


async def change_user(request: web.Request) -> web.Response:
    """Change role, access or password of a user; what they were granted before ends."""
    desk = desk_of(request)
    user = await whole_user(desk, request.match_info["user_id"])
    body = decode_body(await request.read(), UserChange)

    def change(store: UserStore) -> User:
        disabled = user.disabled if body.disabled is None else body.disabled
        changed = set_access(store, user, body.role or user.role, disabled=disabled)
        if body.password is not None:
            changed = set_password(store, changed, body.password, must_change=True)
        return changed

    return json_response(_document(await desk.store(change)))


async def delete_user(request: web.Request) -> web.Response:
    """Delete a user with all that was granted to them."""
    desk = desk_of(request)
    user = await whole_user(desk, request.match_info["user_id"])
    await desk.store(lambda store: store.delete(user.user_id))
    return web.Response(status=204)


async def list_logins(request: web.Request) -> web.Response:
    """Tries to sign in, the newest first."""
    query = decode_query(request.query, LoginsQuery)
    request.app[KEY].refuse_over("max_page_rows", "limit", query.limit)
    found = await desk_of(request).store(lambda store: store.logins(query.limit, query.cursor))
    data = [
        {"at": instant(one.at_ns), "name": one.name, "address": one.address, "how": one.how,
         "result": one.result}
        for one in found
    ]  # fmt: skip
    more = str(found[-1].position) if len(found) == query.limit else None
    return json_response({"data": data, "next_cursor": more})


def _document(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id, "name": user.name, "role": user.role, "disabled": user.disabled,
        "must_change_password": user.must_change, "created_at": instant(user.created_ns),
    }  # fmt: skip
