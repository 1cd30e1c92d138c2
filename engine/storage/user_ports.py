"""What the front needs from a store of users, of what they were granted, and of who signed in."""

from typing import Literal, Protocol

import msgspec

from engine.errors import EngineError

GrantKind = Literal["session", "refresh", "api"]
ROLES = ("viewer", "trader", "admin")  # each may do what those before it may


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may sign in. role: one of ROLES. created_ns: ns UTC. must_change: the password
    is a one-time one.

    credentials: a number that grows when everything granted to them before stops to count.
    """

    user_id: str
    name: str
    role: str
    password_hash: str
    created_ns: int
    disabled: bool = False
    must_change: bool = False
    credentials: int = 1


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A session, a refresh token or an API token. secret_hash: SHA-256 of its secret, hex.

    credentials: of the user when it was granted. family: what is revoked together. role: the most
    it may do, empty: what its user may. expires_ns: ns UTC, None: never. used_ns: a refresh token
    is used once; of an API token the newest use, None: never used.
    """

    secret_hash: str
    kind: GrantKind
    user_id: str
    credentials: int
    family: str
    name: str = ""
    role: str = ""
    created_ns: int
    expires_ns: int | None = None
    used_ns: int | None = None
    revoked: bool = False


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """One try to sign in. name: as tried; how: session, token or refresh; result: ok, or why not.
    position: grows, 0 before it is stored."""

    at_ns: int
    name: str
    address: str
    how: str
    result: str
    position: int = 0


class UserBounds(msgspec.Struct, frozen=True):
    """How much is kept: users, grants of a kind a user, tries to sign in; the oldest go."""

    users: int = 1000
    grants: int = 100
    logins: int = 10_000


DEFAULT_USER_BOUNDS = UserBounds()


class UserConflictError(EngineError):
    """Raised when a change of users is not possible as they are: nothing was changed."""

    exit_code = 1


class UserStore(Protocol):
    """Keeps users and what they were granted, durably. Every change is one transaction; each method
    raises StoreError, and then nothing was changed."""

    def users(self) -> list[User]:
        """All users in order of name."""

    def user(self, user_id: str) -> User | None:
        """The user with this id, None when there is none."""

    def user_named(self, name: str) -> User | None:
        """The user with this name, None when there is none."""

    def add(self, user: User) -> None:
        """Add a user. Raises UserConflictError: the name is taken, or there are too many."""

    def update(self, user: User) -> None:
        """Replace the user with the same id. Raises UserConflictError: they are not there, the name
        is taken, or the last admin who may sign in would be none any more."""

    def delete(self, user_id: str) -> None:
        """Delete a user with all that was granted to them. Raises UserConflictError as update."""

    def grant(self, secret_hash: str) -> Grant | None:
        """What was granted under this hash, None when nothing was."""

    def grants(self, user_id: str, kind: GrantKind) -> list[Grant]:
        """What a user holds of a kind and was not revoked, the newest first."""

    def add_grant(self, grant: Grant) -> None:
        """Store a grant; what has expired by its created_ns, and what is over a bound, goes."""

    def rotate(self, secret_hash: str, fresh: Grant) -> bool:
        """Use a refresh token up and store its successor. False, and the whole family is revoked,
        when it was used before."""

    def family_is_live(self, family: str) -> bool:
        """True while something of a family is not revoked."""

    def revoke_family(self, family: str) -> int:
        """Revoke all of a family; returns how many were not revoked before."""

    def touch(self, secret_hash: str, used_ns: int) -> None:
        """Note the newest use of a grant."""

    def note_login(self, login: Login) -> None:
        """Store a try to sign in; the oldest over the bound go."""

    def logins(self, limit: int, before: int | None = None) -> list[Login]:
        """The newest tries first, at most limit, below the position `before`."""

    def preferences(self, user_id: str) -> bytes | None:
        """What a user keeps as JSON, None when they never did."""

    def set_preferences(self, user_id: str, document: bytes) -> None:
        """Keep this JSON for a user. Raises UserConflictError when they are not there."""

    def close(self) -> None:
        """Close the store."""
