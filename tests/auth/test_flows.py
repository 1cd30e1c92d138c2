"""Signing in over HTTP, from the first password to the last socket."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from engine.users.accounts import create_user
from tests.auth.signed import NS, PASSWORD, Signed, signed_in
from web.auth.bounds import Window
from web.auth.tokens import signing_key
from web.auth.watch import CLOSE_REVOKED

PROFILE = "/api/v1/user/profile"


def test_a_session_cookie_is_kept_from_scripts_and_other_sites(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        body = {"name": "viewer", "password": PASSWORD}
        _, _, answer = await signed.ask("POST", "/api/v1/auth/login", body)
        told = answer.headers["Set-Cookie"]
        assert "HttpOnly" in told
        assert "SameSite=Strict" in told
        assert "Secure" not in told

    signed_in(tmp_path, scenario)


def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        body = {"name": "viewer", "password": PASSWORD}
        _, _, answer = await signed.ask(
            "POST", "/api/v1/auth/login", body, X_Forwarded_Proto="https",
            X_Forwarded_For="1.1.1.1, 203.0.113.9",
        )  # fmt: skip
        assert "Secure" in answer.headers["Set-Cookie"]
        (login,) = await signed.desk.store(lambda store: store.logins(1))
        assert login.address == "203.0.113.9"

    signed_in(tmp_path, scenario, trusted_proxies="127.0.0.1")


def test_a_stranger_cannot_say_that_they_come_from_elsewhere(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        body = {"name": "viewer", "password": PASSWORD}
        await signed.ask("POST", "/api/v1/auth/login", body, X_Forwarded_For="203.0.113.9")
        (login,) = await signed.desk.store(lambda store: store.logins(1))
        assert login.address == "127.0.0.1"

    signed_in(tmp_path, scenario)


def test_unknown_name_wrong_password_and_disabled_user_get_one_answer(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        found = [await signed.login("nobody"), await signed.login("viewer", "wrong password")]
        assert found[0] == found[1]
        assert found[0][0] == 401
        results = await signed.desk.store(lambda store: store.logins(5))
        assert [one.result for one in results] == ["refused", "refused"]

    signed_in(tmp_path, scenario)


def test_too_many_failures_of_a_name_wait_and_others_do_not(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        for _ in range(3):
            assert (await signed.login("viewer", "wrong password"))[0] == 401
        body = {"name": "viewer", "password": PASSWORD}
        status, _, answer = await signed.ask("POST", "/api/v1/auth/login", body)
        assert status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 300
        assert (await signed.login("trader"))[0] == 200

    signed_in(tmp_path, scenario, max_login_failures=3)


@pytest.mark.parametrize("who", ["user", "address"])
def test_requests_over_the_rate_get_429(tmp_path: Path, who: str) -> None:
    async def scenario(signed: Signed) -> None:
        secret = (await signed.login("viewer"))[2]
        found = [await signed.ask("GET", PROFILE, cookie=secret) for _ in range(8)]
        assert found[0][0] == 200
        assert found[-1][0] == 429
        assert int(found[-1][2].headers["Retry-After"]) >= 1

    signed_in(tmp_path, scenario, **{f"max_{who}_requests_per_min": 5})


def test_a_one_time_password_allows_nothing_but_its_change(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        await signed.desk.store(
            lambda store: create_user(store, "new", "admin", PASSWORD, must_change=True)
        )
        status, document, secret = await signed.login("new")
        assert (status, document["must_change_password"]) == (200, True)
        assert (await signed.ask("GET", "/api/v1/users", cookie=secret))[0] == 403
        _, _, page = await signed.ask("GET", "/", cookie=secret)
        assert (page.status, page.headers["Location"]) == (303, "/sign-in")
        body = {"current_password": PASSWORD, "new_password": "my very own password"}
        status, _, answer = await signed.ask("POST", "/api/v1/auth/password", body, cookie=secret)
        assert status == 204
        fresh = answer.cookies["tapescan_session"].value
        assert (await signed.ask("GET", "/api/v1/users", cookie=fresh))[0] == 200
        assert (await signed.ask("GET", "/", cookie=fresh))[0] == 200
        assert (await signed.ask("GET", PROFILE, cookie=secret))[0] == 401

    signed_in(tmp_path, scenario)


def test_whoever_is_not_signed_in_is_sent_to_the_page_for_it(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        _, _, page = await signed.ask("GET", "/")
        assert (page.status, page.headers["Location"]) == (303, "/sign-in")
        _, _, page = await signed.ask("GET", "/sign-in")
        assert (page.status, page.content_type) == (200, "text/html")

    signed_in(tmp_path, scenario)


def test_a_reused_refresh_token_ends_its_whole_family(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        first = await signed.tokens("trader")
        body = {"refresh_token": first["refresh_token"]}
        status, second, _ = await signed.ask("POST", "/api/v1/auth/refresh", body)
        assert status == 200
        who = {"bearer": second["access_token"]}
        assert (await signed.ask("GET", PROFILE, **who))[0] == 200
        assert (await signed.ask("POST", "/api/v1/auth/refresh", body))[0] == 401
        assert (await signed.ask("GET", PROFILE, **who))[0] == 401
        body = {"refresh_token": second["refresh_token"]}
        assert (await signed.ask("POST", "/api/v1/auth/refresh", body))[0] == 401

    signed_in(tmp_path, scenario)


def test_a_ticket_opens_one_socket_and_only_a_socket(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        secret = (await signed.login("viewer"))[2]
        _, made, _ = await signed.ask("POST", "/api/v1/ws-ticket", cookie=secret)
        place = f"?ticket={made['ticket']}"
        assert (await signed.ask("GET", PROFILE + place))[0] == 401
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(signed.front.url + "/ws" + place) as socket:
                assert not socket.closed
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(signed.front.url + "/ws" + place)
            assert refused.value.status == 401

    signed_in(tmp_path, scenario)


@pytest.mark.parametrize("how", ["logout", "disable", "delete", "password"])
def test_a_socket_closes_when_its_sign_in_ends(tmp_path: Path, how: str) -> None:
    async def scenario(signed: Signed) -> None:
        secret, admin = (await signed.login("viewer"))[2], (await signed.login("admin"))[2]
        place = f"/api/v1/users/{signed.users['viewer'].user_id}"
        async with aiohttp.ClientSession() as session:
            headers = {"Cookie": f"tapescan_session={secret}"}
            url = signed.front.url
            async with session.ws_connect(url + "/ws", origin=url, headers=headers) as socket:
                await socket.receive()
                began_s = time.monotonic()
                changes: dict[str, tuple[str, str, Any, str]] = {
                    "logout": ("POST", "/api/v1/auth/logout", None, secret),
                    "disable": ("PATCH", place, {"disabled": True}, admin),
                    "delete": ("DELETE", place, None, admin),
                    "password": ("PATCH", place, {"password": "another long one"}, admin),
                }
                method, path, body, cookie = changes[how]
                assert (await signed.ask(method, path, body, cookie=cookie))[0] in (200, 204)
                async with asyncio.timeout(5):
                    while not socket.closed:
                        await socket.receive()
                assert socket.close_code == CLOSE_REVOKED
                assert time.monotonic() - began_s < 4

    signed_in(tmp_path, scenario)


def test_an_api_token_can_do_no_more_than_its_role_and_cannot_make_others(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        admin = (await signed.login("admin"))[2]
        body = {"name": "script", "role": "viewer"}
        _, made, _ = await signed.ask("POST", "/api/v1/user/tokens", body, cookie=admin)
        who = {"bearer": made["token"]}
        assert made["token"].startswith("tsk_")
        assert (await signed.ask("GET", "/api/v1/users", **who))[0] == 403
        assert (await signed.ask("POST", "/api/v1/user/tokens", body, **who))[0] == 403
        _, listed, _ = await signed.ask("GET", "/api/v1/user/tokens", cookie=admin)
        (token,) = listed["data"]
        assert token["last_used_at"] is not None
        assert "token" not in token
        place = f"/api/v1/user/tokens/{token['id']}"
        assert (await signed.ask("DELETE", place, cookie=admin))[0] == 204
        assert (await signed.ask("GET", PROFILE, **who))[0] == 401
        viewer = (await signed.login("viewer"))[2]
        body["role"] = "admin"
        assert (await signed.ask("POST", "/api/v1/user/tokens", body, cookie=viewer))[0] == 403

    signed_in(tmp_path, scenario)


def test_preferences_and_names_are_ones_own(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        ann, bob = (await signed.login("viewer"))[2], (await signed.login("trader"))[2]
        path = "/api/v1/user/preferences"
        assert (await signed.ask("PUT", path, {"theme": "dark"}, cookie=ann))[0] == 200
        assert (await signed.ask("GET", path, cookie=ann))[1] == {"theme": "dark"}
        assert (await signed.ask("GET", path, cookie=bob))[1] == {}
        assert (await signed.ask("PUT", path, [1], cookie=ann))[0] == 400
        assert (await signed.ask("PUT", PROFILE, {"name": "trader"}, cookie=ann))[0] == 409
        assert (await signed.ask("PUT", PROFILE, {"name": "carol"}, cookie=ann))[0] == 200
        assert (await signed.login("carol"))[0] == 200

    signed_in(tmp_path, scenario)


def test_only_listed_origins_may_call_and_only_with_tokens(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        secret = (await signed.login("viewer"))[2]
        bearer = (await signed.tokens("viewer"))["access_token"]
        here, there = "https://app.example", "https://evil.example"
        asked = {"Access_Control_Request_Method": "POST"}
        _, _, answer = await signed.ask("OPTIONS", "/api/v1/ws-ticket", origin=here, **asked)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, here)
        _, _, answer = await signed.ask("OPTIONS", "/api/v1/ws-ticket", origin=there, **asked)
        assert "Access-Control-Allow-Origin" not in answer.headers
        path = "/api/v1/ws-ticket"
        assert (await signed.ask("POST", path, bearer=bearer, origin=here))[0] == 201
        assert (await signed.ask("POST", path, cookie=secret, origin=here))[0] == 403
        assert (await signed.ask("GET", PROFILE, cookie=secret, origin=here))[0] == 401

    signed_in(tmp_path, scenario, cors_origins="https://app.example")


def test_a_session_ends_after_its_lifetime(tmp_path: Path) -> None:
    async def scenario(signed: Signed) -> None:
        secret = (await signed.login("viewer"))[2]
        signed.clock.ns += 59 * NS
        assert (await signed.ask("GET", PROFILE, cookie=secret))[0] == 200
        signed.clock.ns += NS
        assert (await signed.ask("GET", PROFILE, cookie=secret))[0] == 401

    signed_in(tmp_path, scenario, session_lifetime_s=60)


def test_a_window_counts_by_key_and_begins_anew() -> None:
    window = Window(2, 10.0)
    assert [window.take("a", now_s) for now_s in (0.0, 1.0, 2.0)] == [0, 0, 8]
    assert window.take("b", 2.0) == 0
    assert window.take("a", 10.0) == 0
    window.forget("a")
    assert [window.take("a", 10.5) for _ in range(3)] == [0, 0, 10]
    window.give_back("a")
    assert window.take("a", 11.0) == 0


def test_the_signing_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    assert len(key) == 32
    assert signing_key(tmp_path) == key
    assert (tmp_path / "signing.key").stat().st_mode & 0o777 == 0o600
