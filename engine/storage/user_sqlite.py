"""Store of users in an SQLite file: in app.db, beside the rules."""

from pathlib import Path
from typing import Any

import msgspec

from engine.storage.database import Database
from engine.storage.user_ports import (
    DEFAULT_USER_BOUNDS,
    Grant,
    GrantKind,
    Login,
    User,
    UserBounds,
    UserConflictError,
)

_USER = ", ".join(User.__struct_fields__)
_GRANT = ", ".join(Grant.__struct_fields__)
_INSERT_USER = f"INSERT INTO user ({_USER}) VALUES (?,?,?,?,?,?,?,?)"
_INSERT_GRANT = f"INSERT INTO user_grant ({_GRANT}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"
_UPDATE_USER = """
UPDATE user SET name = ?, role = ?, password_hash = ?, created_ns = ?, disabled = ?,
    must_change = ?, credentials = ? WHERE user_id = ?
"""
_OVER_GRANTS = """
DELETE FROM user_grant WHERE user_id = ? AND kind = ? AND secret_hash NOT IN (
    SELECT secret_hash FROM user_grant WHERE user_id = ? AND kind = ?
    ORDER BY created_ns DESC, rowid DESC LIMIT ?
)
"""
_OVER_LOGINS = "DELETE FROM login WHERE position <= (SELECT max(position) FROM login) - ?"


def _row(value: msgspec.Struct) -> list[Any]:
    """The fields of a struct as columns."""
    fields = (getattr(value, name) for name in value.__struct_fields__)
    return [int(field) if isinstance(field, bool) else field for field in fields]


def _user(row: tuple[Any, ...]) -> User:
    return msgspec.convert(dict(zip(User.__struct_fields__, row, strict=True)), User, strict=False)


def _grant(row: tuple[Any, ...]) -> Grant:
    return msgspec.convert(
        dict(zip(Grant.__struct_fields__, row, strict=True)), Grant, strict=False
    )


class SqliteUserStore:
    """UserStore in a file of its own: WAL, synchronous FULL, so durable when a method returns.

    vfs: see Database.writer. Raises StoreError, MigrationError.
    """

    def __init__(
        self, path: Path, bounds: UserBounds = DEFAULT_USER_BOUNDS, vfs: str | None = None
    ) -> None:
        self._database = Database.writer(path, "app", "FULL", vfs)
        self._bounds = bounds

    def users(self) -> list[User]:
        """See UserStore.users."""
        rows = self._database.rows("read of users", f"SELECT {_USER} FROM user ORDER BY name")
        return [_user(row) for row in rows]

    def user(self, user_id: str) -> User | None:
        """See UserStore.user."""
        return self._one("user_id", user_id)

    def user_named(self, name: str) -> User | None:
        """See UserStore.user_named."""
        return self._one("name", name)

    def _one(self, column: str, value: str) -> User | None:
        sql = f"SELECT {_USER} FROM user WHERE {column} = ?"
        rows = self._database.rows("read of a user", sql, (value,))
        return _user(rows[0]) if rows else None

    def add(self, user: User) -> None:
        """See UserStore.add."""
        with self._database.transaction("append of a user"):
            self._refuse_taken(user)
            ((count,),) = self._database.run("SELECT count(*) FROM user")
            if count >= self._bounds.users:
                raise UserConflictError(f"There are {count} users, which is the limit.")
            self._database.run(_INSERT_USER, _row(user))

    def update(self, user: User) -> None:
        """See UserStore.update."""
        with self._database.transaction("update of a user"):
            self._refuse_taken(user)
            had_admin = self._has_admin()
            first, *rest = _row(user)
            if not self._database.run_counted(_UPDATE_USER, (*rest, first)):
                raise UserConflictError(f"There is no user {user.name}.")
            self._refuse_without_admin(had_admin)

    def delete(self, user_id: str) -> None:
        """See UserStore.delete."""
        with self._database.transaction("delete of a user"):
            if not list(self._database.run("SELECT 1 FROM user WHERE user_id = ?", (user_id,))):
                raise UserConflictError(f"There is no user with the id {user_id}.")
            had_admin = self._has_admin()
            self._database.run("DELETE FROM user WHERE user_id = ?", (user_id,))
            self._refuse_without_admin(had_admin)

    def _refuse_taken(self, user: User) -> None:
        sql = "SELECT 1 FROM user WHERE name = ? AND user_id <> ?"
        if list(self._database.run(sql, (user.name, user.user_id))):
            raise UserConflictError(f"The name {user.name} is taken.")

    def _has_admin(self) -> bool:
        sql = "SELECT 1 FROM user WHERE role = 'admin' AND NOT disabled LIMIT 1"
        return bool(list(self._database.run(sql)))

    def _refuse_without_admin(self, had_admin: bool) -> None:
        if had_admin and not self._has_admin():
            raise UserConflictError("No admin who may sign in would be left.")

    def grant(self, secret_hash: str) -> Grant | None:
        """See UserStore.grant."""
        sql = f"SELECT {_GRANT} FROM user_grant WHERE secret_hash = ?"
        rows = self._database.rows("read of a grant", sql, (secret_hash,))
        return _grant(rows[0]) if rows else None

    def grants(self, user_id: str, kind: GrantKind) -> list[Grant]:
        """See UserStore.grants."""
        sql = (
            f"SELECT {_GRANT} FROM user_grant WHERE user_id = ? AND kind = ? AND NOT revoked "
            "ORDER BY created_ns DESC, rowid DESC"
        )
        rows = self._database.rows("read of grants", sql, (user_id, kind))
        return [_grant(row) for row in rows]

    def add_grant(self, grant: Grant) -> None:
        """See UserStore.add_grant."""
        with self._database.transaction("append of a grant"):
            self._insert(grant)

    def _insert(self, grant: Grant) -> None:
        sql = "DELETE FROM user_grant WHERE expires_ns < ?"
        self._database.run(sql, (grant.created_ns,))
        if not list(self._database.run("SELECT 1 FROM user WHERE user_id = ?", (grant.user_id,))):
            raise UserConflictError(f"There is no user with the id {grant.user_id}.")
        self._database.run(_INSERT_GRANT, _row(grant))
        whose = (grant.user_id, grant.kind)
        self._database.run(_OVER_GRANTS, (*whose, *whose, self._bounds.grants))

    def rotate(self, secret_hash: str, fresh: Grant) -> bool:
        """See UserStore.rotate."""
        with self._database.transaction("rotation of a token"):
            sql = (
                "UPDATE user_grant SET used_ns = ? "
                "WHERE secret_hash = ? AND used_ns IS NULL AND NOT revoked"
            )
            if self._database.run_counted(sql, (fresh.created_ns, secret_hash)):
                self._insert(fresh)
                return True
            revoke = "UPDATE user_grant SET revoked = 1 WHERE family = ?"
            self._database.run(revoke, (fresh.family,))
        return False

    def family_is_live(self, family: str) -> bool:
        """See UserStore.family_is_live."""
        sql = "SELECT 1 FROM user_grant WHERE family = ? AND NOT revoked LIMIT 1"
        return bool(self._database.rows("read of a family", sql, (family,)))

    def revoke_family(self, family: str) -> int:
        """See UserStore.revoke_family."""
        sql = "UPDATE user_grant SET revoked = 1 WHERE family = ? AND NOT revoked"
        with self._database.transaction("revocation"):
            return self._database.run_counted(sql, (family,))

    def touch(self, secret_hash: str, used_ns: int) -> None:
        """See UserStore.touch."""
        with self._database.transaction("use of a grant"):
            sql = "UPDATE user_grant SET used_ns = ? WHERE secret_hash = ?"
            self._database.run(sql, (used_ns, secret_hash))

    def note_login(self, login: Login) -> None:
        """See UserStore.note_login."""
        with self._database.transaction("append of a login"):
            self._database.run(
                "INSERT INTO login (at_ns, name, address, how, result) VALUES (?,?,?,?,?)",
                (login.at_ns, login.name, login.address, login.how, login.result),
            )
            self._database.run(_OVER_LOGINS, (self._bounds.logins,))

    def logins(self, limit: int, before: int | None = None) -> list[Login]:
        """See UserStore.logins."""
        sql = (
            "SELECT at_ns, name, address, how, result, position FROM login "
            "WHERE ? IS NULL OR position < ? ORDER BY position DESC LIMIT ?"
        )
        rows = self._database.rows("read of logins", sql, (before, before, max(limit, 0)))
        return [Login(**dict(zip(Login.__struct_fields__, row, strict=True))) for row in rows]

    def preferences(self, user_id: str) -> bytes | None:
        """See UserStore.preferences."""
        sql = "SELECT document FROM user_preferences WHERE user_id = ?"
        rows = self._database.rows("read of preferences", sql, (user_id,))
        return bytes(rows[0][0]) if rows else None

    def set_preferences(self, user_id: str, document: bytes) -> None:
        """See UserStore.set_preferences."""
        sql = (
            "INSERT INTO user_preferences (user_id, document) VALUES (?, ?) "
            "ON CONFLICT (user_id) DO UPDATE SET document = excluded.document"
        )
        with self._database.transaction("write of preferences"):
            if not list(self._database.run("SELECT 1 FROM user WHERE user_id = ?", (user_id,))):
                raise UserConflictError(f"There is no user with the id {user_id}.")
            self._database.run(sql, (user_id, document))

    def close(self) -> None:
        """Close the file."""
        self._database.close()
