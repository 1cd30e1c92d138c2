"""Signs users in and finds out who asks. The store has a thread of its own, passwords have two."""

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiohttp import web

from engine.storage.errors import StorageError
from engine.storage.user_ports import ROLES, Grant, Login, User, UserConflictError, UserStore
from engine.users.passwords import PasswordError, is_password
from web.auth.bounds import Window
from web.auth.tokens import (
    API_PREFIX,
    NS_PER_S,
    hash_secret,
    issue_access,
    new_secret,
    read_access,
)
from web.deps import Front
from web.principal import Principal
from web.problems import Problem

_Result = TypeVar("_Result")

MAX_PASSWORDS = 32
MAX_TICKETS = 4096
TICKET_S = 30.0
WRONG = "The name or the password is wrong."


class Desk:
    """Sign-in of one front. What waits is awaited; the rest is quick."""

    def __init__(self, front: Front) -> None:
        limits = front.deps.limits
        self.front, self.limits = front, limits
        self.users_rate = Window(limits.max_user_requests_per_min, 60.0)
        self.addresses_rate = Window(limits.max_address_requests_per_min, 60.0)
        self._names = Window(limits.max_login_failures, limits.login_window_s)
        self._addresses = Window(3 * limits.max_login_failures, limits.login_window_s)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="users")
        self._hashers = ThreadPoolExecutor(2, thread_name_prefix="passwords")
        self._hashing = 0
        self._tickets: dict[str, tuple[Principal, float]] = {}
        self._store: UserStore | None = None

    async def store(self, work: Callable[[UserStore], _Result]) -> _Result:
        """Do something with the store in its thread. Raises Problem 409 and 503."""

        def call() -> _Result:
            if self._store is None:
                assert self.front.deps.open_users is not None
                self._store = self.front.deps.open_users()
            return work(self._store)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except (UserConflictError, PasswordError) as error:
            raise Problem(409, str(error)) from None
        except StorageError as error:
            raise Problem(503, f"The store of users failed: {error}.") from None

    def close(self) -> None:
        """Close the store when what runs in its thread has ended."""
        if self._store is not None:
            self._thread.submit(self._store.close)
        self._thread.shutdown(wait=True)
        self._hashers.shutdown(wait=False, cancel_futures=True)

    def now_ns(self) -> int:
        """ns UTC."""
        return self.front.deps.wall_ns()

    async def matches(self, user: User | None, password: str) -> bool:
        """True when it is their password; as slow for nobody. Raises Problem 429 when too many
        passwords wait to be checked."""
        if self._hashing >= MAX_PASSWORDS:
            raise Problem(429, "Too many sign-ins at a time; try again.", {"Retry-After": "1"})
        self._hashing += 1
        try:
            stored = None if user is None or user.disabled else user.password_hash
            return await asyncio.get_running_loop().run_in_executor(
                self._hashers, is_password, stored, password
            )
        finally:
            self._hashing -= 1

    async def sign_in(self, name: str, password: str, address: str, how: str) -> User:
        """The user with this name and password. Raises Problem 401: wrong; 429: too often."""
        self._throttle(name, address)
        user = await self.store(lambda store: store.user_named(name))
        good = await self.matches(user, password)
        await self.note(name, address, how, "ok" if good else "refused")
        if user is None or not good:
            self.front.count("logins_refused_total")
            raise Problem(401, WRONG)
        self._names.forget(name)
        self._addresses.give_back(address)
        return user

    def _throttle(self, name: str, address: str) -> None:
        """Count a try as failed before it is one, so that many at a time gain nothing."""
        now_s = time.monotonic()
        wait_s = self._names.take(name, now_s) or self._addresses.take(address, now_s)
        if wait_s:
            self.front.reached("max_login_failures")
            raise Problem(429, f"Too many failed sign-ins; try again in {wait_s} s.",
                          {"Retry-After": str(wait_s)})  # fmt: skip

    async def note(self, name: str, address: str, how: str, result: str) -> None:
        """Keep a try to sign in for the audit."""
        login = Login(at_ns=self.now_ns(), name=name, address=address, how=how, result=result)
        await self.store(lambda store: store.note_login(login))

    async def open_session(self, user: User) -> str:
        """The secret of a new session of a browser."""
        secret = new_secret()
        now_ns = self.now_ns()
        hashed = hash_secret(secret)
        grant = Grant(
            secret_hash=hashed, kind="session", user_id=user.user_id, family=hashed,
            credentials=user.credentials, created_ns=now_ns,
            expires_ns=now_ns + self.limits.session_lifetime_s * NS_PER_S,
        )  # fmt: skip
        await self.store(lambda store: store.add_grant(grant))
        return secret

    def _refresh_grant(self, user: User, secret: str, family: str) -> Grant:
        now_ns = self.now_ns()
        return Grant(
            secret_hash=hash_secret(secret), kind="refresh", user_id=user.user_id, family=family,
            credentials=user.credentials, created_ns=now_ns,
            expires_ns=now_ns + self.limits.refresh_lifetime_s * NS_PER_S,
        )  # fmt: skip

    async def open_family(self, user: User) -> dict[str, Any]:
        """An access token, and the first refresh token of a family."""
        family, secret = uuid.uuid4().hex, new_secret()
        grant = self._refresh_grant(user, secret, family)
        await self.store(lambda store: store.add_grant(grant))
        return self._tokens(user, family, secret)

    def _tokens(self, user: User, family: str, secret: str) -> dict[str, Any]:
        lifetime_s = self.limits.access_lifetime_s
        key = self.front.deps.signing_key
        access = issue_access(
            key, user.user_id, user.credentials, family, self.now_ns(), lifetime_s
        )
        return {"access_token": access, "token_type": "Bearer", "expires_in": lifetime_s,
                "refresh_token": secret}  # fmt: skip

    async def refresh(self, secret: str, address: str) -> dict[str, Any]:
        """New tokens for a refresh token that was not used before. Raises Problem 401."""
        hashed, fresh = hash_secret(secret), new_secret()

        def rotate(store: UserStore) -> tuple[User, str] | None:
            old = store.grant(hashed)
            if old is None or old.kind != "refresh":
                return None
            user = store.user(old.user_id)
            expired = old.expires_ns is not None and old.expires_ns <= self.now_ns()
            if user is None or user.disabled or expired or user.credentials != old.credentials:
                return None
            if store.rotate(hashed, self._refresh_grant(user, fresh, old.family)):
                return user, old.family
            reuse = Login(at_ns=self.now_ns(), name=user.name, address=address, how="refresh",
                          result="reused")  # fmt: skip
            store.note_login(reuse)
            return None

        found = await self.store(rotate)
        if found is None:
            raise Problem(401, "The refresh token is not valid (any more).")
        return self._tokens(*found, fresh)

    async def by_secret(self, secret: str, how: str) -> Principal | None:
        """Who holds a session or an API token; None: nobody (any more)."""
        hashed = hash_secret(secret)
        return await self.store(lambda store: self._holder(store, hashed, how))

    async def by_bearer(self, token: str) -> Principal | None:
        """Who holds an API token or an access token; None: nobody (any more)."""
        if token.startswith(API_PREFIX):
            return await self.by_secret(token, "api")
        access = read_access(self.front.deps.signing_key, token, self.now_ns())
        if access is None:
            return None
        return await self.store(
            lambda store: self._member(store, access.sub, access.fam, access.cv)
        )

    def _holder(self, store: UserStore, hashed: str, how: str) -> Principal | None:
        """In the store's thread."""
        now_ns = self.now_ns()
        grant = store.grant(hashed)
        if grant is None or grant.kind != how or grant.revoked:
            return None
        if grant.expires_ns is not None and grant.expires_ns <= now_ns:
            return None
        if how == "api" and now_ns - (grant.used_ns or 0) > 60 * NS_PER_S:
            store.touch(hashed, now_ns)  # to the minute: a write a request would be too many
        return _principal(store, grant.user_id, how, hashed, grant.credentials, grant.role)

    def _member(
        self, store: UserStore, user_id: str, family: str, credentials: int
    ) -> Principal | None:
        """In the store's thread."""
        if not store.family_is_live(family):
            return None
        return _principal(store, user_id, "access", family, credentials, "")

    async def gone(self, held: set[Principal]) -> set[Principal]:
        """Those who may no longer do what they might when they were found."""

        def look(store: UserStore) -> set[Principal]:
            return {one for one in held if self._again(store, one) != one}

        return await self.store(look)

    def _again(self, store: UserStore, one: Principal) -> Principal | None:
        if one.how == "access":
            return self._member(store, one.user_id, one.grant, one.credentials)
        return self._holder(store, one.grant, one.how)

    def new_ticket(self, principal: Principal) -> str:
        """A ticket for one WebSocket handshake within 30 s."""
        now_s = time.monotonic()
        for old in [key for key, (_, until_s) in self._tickets.items() if until_s <= now_s]:
            del self._tickets[old]
        if len(self._tickets) >= MAX_TICKETS:
            raise Problem(429, "Too many tickets wait to be used.", {"Retry-After": "30"})
        ticket = new_secret()
        self._tickets[hash_secret(ticket)] = (principal, now_s + TICKET_S)
        return ticket

    async def by_ticket(self, ticket: str) -> Principal | None:
        """Who was given a ticket, which is used up by this; None: it is not valid (any more)."""
        principal, until_s = self._tickets.pop(hash_secret(ticket), (None, 0.0))
        if principal is None or until_s <= time.monotonic():
            return None
        return None if await self.gone({principal}) else principal


def _principal(
    store: UserStore, user_id: str, how: str, grant: str, credentials: int, role: str
) -> Principal | None:
    """Who a grant lets in; role: the most it may do, empty: what its user may."""
    user = store.user(user_id)
    if user is None or user.disabled or user.credentials != credentials:
        return None
    capped = min(user.role, role or user.role, key=ROLES.index)
    return Principal(user_id, capped, user.name, how, grant, credentials, user.must_change)


DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)


def desk_of(request: web.Request) -> Desk:
    """The desk. Raises Problem 409 where nobody signs in."""
    desk = request.app.get(DESK)
    if desk is None:
        raise Problem(409, 'web.auth is "none": there are no users here.')
    return desk
