"""Every route of the table, asked by everybody: who is let in is what the table says."""

import re
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from engine.storage.user_ports import ROLES as ORDER
from engine.users.accounts import set_access
from tests.auth.signed import KEY, NS, ROLES, Signed, signed_in
from web.auth.tokens import issue_access
from web.principal import ADMIN
from web.route import Route
from web.routes import ROUTES

CLOSED = [route for route in ROUTES if route.role]
# Asking these as somebody ends the sign-in that the next question needs.
ENDS = {"/api/v1/auth/logout"}


def place(route: Route) -> str:
    """The route's path with something that is not there for each part of it."""
    return re.sub(r"\{[^}]+\}", "nothing", route.path)


async def statuses(signed: Signed, routes: list[Route], **who: str) -> dict[str, int]:
    """What each route answers to somebody, by method and path."""
    found = {}
    for route in routes:
        if route.path in ENDS:
            continue
        status, document, _ = await signed.ask(route.method, place(route), **who)
        assert status < 500, (route, document)
        found[f"{route.method} {route.path}"] = status
    return found


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("how", ["session", "access"])
def test_each_role_gets_what_the_table_says(tmp_path: Path, role: str, how: str) -> None:
    async def scenario(signed: Signed) -> None:
        for route in CLOSED:
            if how == "session":
                who = {"cookie": (await signed.login(role))[2]}
            else:
                who = {"bearer": (await signed.tokens(role))["access_token"]}
            status, document, _ = await signed.ask(route.method, place(route), **who)
            allowed = ORDER.index(role) >= ORDER.index(route.role)
            if allowed:
                assert status not in (401, 403), (route, document)
            else:
                assert status == 403, (route, document)
                assert document["detail"].startswith("This needs the role")

    signed_in(tmp_path, scenario)


def test_the_table_knows_routes_of_every_kind() -> None:
    assert len(CLOSED) >= 20
    assert {route.role for route in ROUTES} >= {"", "viewer", ADMIN}


def test_nobody_gets_only_what_is_open_to_anybody(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        assert set((await statuses(signed, CLOSED)).values()) == {401}
        opened = [route for route in ROUTES if not route.role and route.method == "GET"]
        assert not {401, 403} & set((await statuses(signed, opened)).values())

    signed_in(tmp_path, scenario)


Forge = Callable[[Signed], str]
CLAIMS = {"iss": "tapescan", "aud": "tapescan-api", "fam": "f", "jti": "j", "cv": 1}


def claims(signed: Signed, **changes: object) -> dict[str, object]:
    now_s = signed.clock() // NS
    times = {"nbf": now_s, "exp": now_s + 900, "sub": signed.users["admin"].user_id}
    return {**CLAIMS, **times, **changes}


FORGED: dict[str, Forge] = {
    "alg none": lambda signed: jwt.encode(claims(signed), None, algorithm="none"),
    "wrong key": lambda signed: jwt.encode(claims(signed), b"x" * 32, algorithm="HS256"),
    "other algorithm": lambda signed: jwt.encode(claims(signed), KEY * 2, algorithm="HS512"),
    "unknown family": lambda signed: jwt.encode(claims(signed), KEY, algorithm="HS256"),
    "no expiry": lambda signed: jwt.encode(
        {key: value for key, value in claims(signed).items() if key != "exp"}, KEY, "HS256"
    ),
    "other audience": lambda signed: jwt.encode(claims(signed, aud="else"), KEY, "HS256"),
    "other issuer": lambda signed: jwt.encode(claims(signed, iss="else"), KEY, "HS256"),
    "not yet": lambda signed: jwt.encode(claims(signed, nbf=2**33), KEY, "HS256"),
    "text as number": lambda signed: jwt.encode(claims(signed, cv="1"), KEY, "HS256"),
    "not a token": lambda signed: "x.y.z",
    "unknown API token": lambda signed: "tsk_unknown",
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_token_is_refused_by_every_route(tmp_path: Path, kind: str) -> None:
    async def scenario(signed: Signed) -> None:
        found = await statuses(signed, CLOSED, bearer=FORGED[kind](signed))
        assert set(found.values()) == {401}

    signed_in(tmp_path, scenario)


@pytest.mark.parametrize("kind", ["expired", "revoked", "disabled", "deleted", "changed"])
@pytest.mark.parametrize("how", ["session", "access", "api"])
def test_what_has_ended_is_refused_by_every_route(tmp_path: Path, kind: str, how: str) -> None:
    async def scenario(signed: Signed) -> None:
        who, refresh = {}, ""
        secret = (await signed.login("trader"))[2]
        if how == "session":
            who = {"cookie": secret}
        elif how == "access":
            tokens = await signed.tokens("trader")
            who, refresh = {"bearer": tokens["access_token"]}, tokens["refresh_token"]
        else:
            body = {"name": "script", "role": "trader", "expires_in_s": 600}
            made = await signed.ask("POST", "/api/v1/user/tokens", body, cookie=secret)
            who = {"bearer": made[1]["token"]}
        assert (await signed.ask("GET", "/api/v1/user/profile", **who))[0] == 200
        await end(signed, kind, who, refresh)
        assert set((await statuses(signed, CLOSED, **who)).values()) == {401}

    signed_in(tmp_path, scenario)


async def end(signed: Signed, kind: str, who: dict[str, str], refresh: str) -> None:
    """Let what somebody holds end in one of the ways it can."""
    trader = signed.users["trader"]
    if kind == "expired":
        signed.clock.ns += 100_000 * NS
    elif kind == "revoked" and refresh:
        body = {"refresh_token": refresh}
        assert (await signed.ask("POST", "/api/v1/auth/revoke", body))[0] == 204
    elif kind == "revoked":
        assert (await signed.ask("POST", "/api/v1/auth/logout", **who))[0] == 204
    elif kind == "disabled":
        await signed.desk.store(lambda store: set_access(store, trader, "trader", disabled=True))
    elif kind == "deleted":
        await signed.desk.store(lambda store: store.delete(trader.user_id))
    else:
        admin = (await signed.login("admin"))[2]
        path, body = f"/api/v1/users/{trader.user_id}", {"password": "another long one"}
        assert (await signed.ask("PATCH", path, body, cookie=admin))[0] == 200


def test_an_unsafe_request_with_a_foreign_origin_is_refused(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        cookie = (await signed.login("admin"))[2]
        bearer = (await signed.tokens("admin"))["access_token"]
        for route in ROUTES:
            if route.method == "GET" and route.path != "/ws":
                continue
            for who in ({"cookie": cookie}, {"bearer": bearer}):
                for origin in ("https://evil.example", "null", signed.front.url + "0"):
                    status, document, _ = await signed.ask(
                        route.method, place(route), origin=origin, **who
                    )
                    assert status == 403, (route, origin)
                    assert document["detail"].startswith("The Origin header")
            status, _, _ = await signed.ask(
                route.method, place(route), cookie=cookie, origin=""
            )
            assert status == 403, route

    signed_in(tmp_path, scenario)


def test_an_access_token_of_a_live_family_is_let_in(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        await signed.tokens("viewer")
        user = signed.users["viewer"]
        found = await signed.desk.store(lambda store: store.grants(user.user_id, "refresh"))
        token = issue_access(KEY, user.user_id, 1, found[0].family, signed.clock(), 60)
        assert (await signed.ask("GET", "/api/v1/user/profile", bearer=token))[0] == 200

    signed_in(tmp_path, scenario)
