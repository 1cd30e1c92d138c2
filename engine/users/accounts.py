"""Changes of users, each one checked: what the front and `tapescan users` have in common."""

import re
import uuid

import msgspec

from engine.storage.user_ports import ROLES, User, UserConflictError, UserStore
from engine.users.passwords import hash_password, one_time_password
from shm.clock import realtime_ns

FIRST_NAME = "admin"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def create_user(
    store: UserStore, name: str, role: str, password: str, *, must_change: bool = False
) -> User:
    """Add a user. Raises UserConflictError, PasswordError, StoreError."""
    user = User(
        user_id=uuid.uuid4().hex, name=known_name(name), role=known_role(role),
        password_hash=hash_password(password), created_ns=realtime_ns(), must_change=must_change,
    )  # fmt: skip
    store.add(user)
    return user


def known_name(name: str) -> str:
    """The name itself. Raises UserConflictError when it cannot be one."""
    if not _NAME.fullmatch(name):
        raise UserConflictError(
            "A name has 1 to 64 letters, digits, dots, hyphens, underscores or @ signs."
        )
    return name


def known_role(role: str) -> str:
    """The role itself. Raises UserConflictError when there is none of that name."""
    if role not in ROLES:
        raise UserConflictError(f"role: expected one of {', '.join(ROLES)}.")
    return role


def set_password(
    store: UserStore, user: User, password: str, *, must_change: bool = False
) -> User:
    """Give a user a password; all that was granted before stops to count. Raises as create_user."""
    changed = msgspec.structs.replace(
        _as_it_is(store, user), password_hash=hash_password(password), must_change=must_change,
        credentials=user.credentials + 1,
    )  # fmt: skip
    store.update(changed)
    return changed


def set_access(store: UserStore, user: User, role: str, *, disabled: bool) -> User:
    """Change a user's role and whether they may sign in; all that was granted before stops to
    count when either changes. Raises UserConflictError, StoreError."""
    user = _as_it_is(store, user)
    if (role, disabled) == (user.role, user.disabled):
        return user
    changed = msgspec.structs.replace(
        user, role=known_role(role), disabled=disabled, credentials=user.credentials + 1
    )
    store.update(changed)
    return changed


def _as_it_is(store: UserStore, user: User) -> User:
    """The user as stored now: a change that began before another one must not undo it."""
    found = store.user(user.user_id)
    if found is None or found.credentials != user.credentials:
        raise UserConflictError(f"The user {user.name} was changed meanwhile; try again.")
    return found


def first_admin(store: UserStore) -> str | None:
    """Create the first admin where there are no users; the one-time password, None: there are some.
    Raises StoreError."""
    if store.users():
        return None
    password = one_time_password()
    create_user(store, FIRST_NAME, "admin", password, must_change=True)
    return password


def rename(store: UserStore, user: User, name: str) -> User:
    """Give a user another name to sign in with. Raises UserConflictError, StoreError."""
    changed = msgspec.structs.replace(_as_it_is(store, user), name=known_name(name))
    store.update(changed)
    return changed
