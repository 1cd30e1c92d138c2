"""Who asks: what sign-in finds out about a request, and what roles may do."""

import dataclasses

from aiohttp import web

from engine.storage.user_ports import ROLES
from web.problems import Problem

VIEWER, TRADER, ADMIN = ROLES


@dataclasses.dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a request comes from. user_id: the owner of what it creates; role: one of ROLES.

    name: what they sign in with. how: none, session, access (token) or api. grant: hash of the
    session or API token, family of the access token. credentials: see User. must_change: the
    password is a one-time one, so nothing but its change is allowed.
    """

    user_id: str
    role: str
    name: str = ""
    how: str = "none"
    grant: str = ""
    credentials: int = 0
    must_change: bool = False

    def may(self, role: str) -> bool:
        """True when this role, or one above it, is theirs."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def owns(self, owner: str) -> bool:
        """True when what belongs to `owner` is theirs to change: their own, or they are admin."""
        return self.user_id == owner or self.role == ADMIN


LOCAL = Principal("local", ADMIN, "local")  # everybody, where web.auth is none
PRINCIPAL: web.RequestKey[Principal] = web.RequestKey("principal", Principal)


NEEDED: web.AppKey[dict[tuple[str, str], str]] = web.AppKey("needed", dict)  # role by route


def principal_of(request: web.Request) -> Principal:
    """Who asks. Raises Problem 401 when nobody has signed in."""
    found: Principal | None = request.get(PRINCIPAL)
    if found is None:
        raise Problem(401, "Sign in first: this request names nobody.")
    return found


def demand(request: web.Request, role: str) -> Principal:
    """Who asks, if they have this role or one above it. Raises Problem 401 or 403."""
    found = principal_of(request)
    if not found.may(role):
        raise Problem(403, f"This needs the role {role}; yours is {found.role}.")
    return found
