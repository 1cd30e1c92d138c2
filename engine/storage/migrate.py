"""Brings a database to the schema of this version: numbered SQL files, checksummed, all or nothing.

Files are migrations/<dialect>/NNNN_<database>_<subject>.sql, numbered 1, 2, 3, ... per database.
"""

import hashlib
import importlib.resources
import re
from collections.abc import Sequence
from pathlib import Path

import apsw
import msgspec

from engine.storage.errors import MigrationError

_FILE = re.compile(r"(\d{4})_([a-z]+)_([a-z0-9_]+)\.sql")
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT
"""


class Migration(msgspec.Struct, frozen=True):
    """One numbered change of a schema: its file name and text."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


class Applied(msgspec.Struct, frozen=True):
    """One line of a database's own ledger of migrations."""

    number: int
    name: str
    sha256: str


def load(database: str, dialect: str = "sqlite") -> list[Migration]:
    """The migrations of one database that this version ships, in order.

    Raises MigrationError when a number is missing or there twice.
    """
    folder = importlib.resources.files("migrations") / dialect
    found: list[Migration] = []
    for entry in folder.iterdir():
        match = _FILE.fullmatch(entry.name)
        if match is not None and match[2] == database:
            sql = entry.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), entry.name, sql))
    found.sort(key=lambda migration: (migration.number, migration.name))
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            reason = f"expected number {expected:04d} of {database} but found {migration.name}"
            raise MigrationError(Path(str(folder)), database, expected, reason)
    return found


def pending(
    path: Path, database: str, applied: Sequence[Applied], known: Sequence[Migration]
) -> list[Migration]:
    """What is still to do. path is named in errors.

    Raises MigrationError when the database is newer than this version, or a migration it was
    built with is missing here or reads differently now.
    """
    for line, migration in zip(applied, known, strict=False):
        if line.number != migration.number:
            reason = f"its ledger lacks migration {migration.name}"
            raise MigrationError(path, database, migration.number, reason)
        if line.name != migration.name:
            reason = f"was built with migration {line.name}, which is missing in this version"
            raise MigrationError(path, database, line.number, reason)
        if line.sha256 != migration.sha256:
            reason = (
                f"migration {line.name} was changed after it was applied: SHA-256 then "
                f"{line.sha256[:12]}, now {migration.sha256[:12]}"
            )
            raise MigrationError(path, database, line.number, reason)
    if len(applied) > len(known):
        newest = applied[-1]
        reason = (
            f"was migrated to {newest.number:04d} by a newer version; this one knows "
            f"{len(known):04d}: install the newer version or restore a backup"
        )
        raise MigrationError(path, database, newest.number, reason)
    return list(known[len(applied) :])


def read_ledger(connection: apsw.Connection) -> list[Applied]:
    """Migrations that an open SQLite database says it has, in order; none for an empty file."""
    exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'"
    if not list(connection.execute(exists)):
        return []
    rows = connection.execute("SELECT number, name, sha256 FROM schema_migrations ORDER BY number")
    return [Applied(*row) for row in rows]


def migrate(
    connection: apsw.Connection, path: Path, database: str, known: Sequence[Migration]
) -> list[Migration]:
    """Apply what is pending to an open SQLite database, in one transaction. Returns it.

    A process killed on the way leaves the schema it found. Raises MigrationError.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        todo = pending(path, database, read_ledger(connection), known)
        if todo:
            connection.execute(_LEDGER)
        for migration in todo:
            _apply(connection, path, database, migration)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return todo


def _apply(connection: apsw.Connection, path: Path, database: str, migration: Migration) -> None:
    """Run one migration and enter it in the ledger, inside the open transaction."""
    try:
        connection.execute(migration.sql)
    except apsw.Error as error:
        reason = f"migration {migration.name} failed: {error}"
        raise MigrationError(path, database, migration.number, reason) from error
    if not connection.in_transaction:
        reason = f"migration {migration.name} ends the transaction it runs in"
        raise MigrationError(path, database, migration.number, reason)
    connection.execute(
        "INSERT INTO schema_migrations (number, name, sha256) VALUES (?, ?, ?)",
        (migration.number, migration.name, migration.sha256),
    )
