"""Opens SQLite files the one way we do: version gate, WAL, one writer a file, errors named."""

import errno
import math
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from engine.storage.errors import MigrationError, StorageError, StoreError
from engine.storage.migrate import load, migrate, pending, read_ledger

# The first releases without the WAL reset bug, which loses commits (https://sqlite.org/wal.html).
_FIXED = (3, 51, 3)
_BACKPORTS = ((3, 50, 7), (3, 44, 6))

# After these the pages in memory and on disk may differ: the connection is not used again.
_FINAL = (apsw.IOError, apsw.CorruptError, apsw.NotADBError)

# What else can be wrong, as the system would say it; anything else is an input/output error.
_ERRNO = {
    apsw.FullError: errno.ENOSPC,
    apsw.BusyError: errno.EBUSY,
    apsw.LockedError: errno.EBUSY,
    apsw.ReadOnlyError: errno.EROFS,
}


def wal_is_safe(version: str) -> bool:
    """True when this SQLite version, like "3.51.3", keeps WAL commits with several connections."""
    number = tuple(int(part) for part in version.split("."))
    if number >= _FIXED:
        return True
    return any(number[:2] == fixed[:2] and number >= fixed for fixed in _BACKPORTS)


def logs_of(path: Path) -> tuple[Path, Path]:
    """The logs that lie beside a file which is open, or was not closed in order."""
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-journal")


class Database:
    """One SQLite file. A writer creates and migrates it, a reader only looks.

    path: the file; name: whose migrations (alerts, bars, app); synchronous: FULL (durable after
    power loss) or NORMAL (after the death of the process). Open it after fork, never before.
    """

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self.path = path
        self._connection = connection
        self._failed = False

    @classmethod
    def writer(cls, path: Path, name: str, synchronous: str, vfs: str | None = None) -> "Database":
        """Open for writing, create when absent, apply pending migrations.

        vfs: name of a registered file layer, for tests that inject failures.
        Raises StoreError, MigrationError.
        """
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        database = cls._open(path, flags, vfs)
        with database.closing_on_error(), database.guard("open"):
            mode = list(database.run("PRAGMA journal_mode = WAL"))
            if mode != [("wal",)]:
                raise StoreError(path, "its file system offers no write-ahead log", final=True)
            database.run(f"PRAGMA synchronous = {synchronous}")
            database.run("PRAGMA foreign_keys = ON")
            # 16 MB: a minute of 10,000 bars costs one checkpoint, not forty.
            database.run("PRAGMA wal_autocheckpoint = 4096")
            migrate(database._connection, path, name, load(name))
        return database

    @classmethod
    def reader(cls, path: Path, name: str, *, briefly: bool = False) -> "Database":
        """Open mode=ro. Raises StoreError (absent, unreadable), MigrationError (not our schema).

        briefly: for a look at a file that nobody has open, closed again at once: it makes no log
        beside the file, and would not notice one that is begun meanwhile.
        """
        at_rest = briefly and not any(log.exists() for log in logs_of(path))
        database = cls._open(path, apsw.SQLITE_OPEN_READONLY, None, at_rest)
        with database.closing_on_error(), database.guard("open"):
            todo = pending(path, name, read_ledger(database._connection), load(name))
            if todo:
                reason = f"lacks migration {todo[0].name}: its writer has not opened it yet"
                raise MigrationError(path, name, todo[0].number, reason)
        return database

    @classmethod
    def _open(
        cls, path: Path, flags: int, vfs: str | None, at_rest: bool = False
    ) -> "Database":
        version = apsw.sqlitelibversion()
        if not wal_is_safe(version):
            reason = f"SQLite {version} can lose commits; 3.51.3, 3.50.7 or 3.44.6 is needed"
            raise StoreError(path, reason, final=True)
        uri = "file:" + urllib.parse.quote(str(path.absolute()))
        if flags & apsw.SQLITE_OPEN_READONLY:
            uri += "?mode=ro" + "&immutable=1" * at_rest
        try:
            connection = apsw.Connection(uri, flags=flags | apsw.SQLITE_OPEN_URI, vfs=vfs)
            connection.set_busy_timeout(5000)
        except apsw.Error as error:
            raise StoreError(path, f"open failed: {error}", final=True) from error
        return cls(path, connection)

    @contextmanager
    def closing_on_error(self) -> Iterator[None]:
        """Close the file when opening it ends in a refusal."""
        try:
            yield
        except StorageError:
            self._connection.close(True)
            raise

    @contextmanager
    def guard(self, action: str) -> Iterator[None]:
        """Turn errors of SQLite into StoreError naming the file and the action."""
        if self._failed:
            raise StoreError(self.path, f"{action} refused after an earlier failure", final=True)
        try:
            yield
        except apsw.Error as error:
            self._failed = isinstance(error, _FINAL)
            number = _ERRNO.get(type(error), errno.EIO)
            reason = f"{action} failed: {error}"
            raise StoreError(self.path, reason, final=self._failed, errno=number) from error

    @contextmanager
    def transaction(self, action: str) -> Iterator[None]:
        """One write transaction: committed at the end, rolled back on any error."""
        with self.guard(action):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def run(self, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> apsw.Cursor:
        """Execute; call it inside guard or transaction."""
        return self._connection.execute(sql, values)

    def run_counted(self, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> int:
        """Execute; returns how many rows changed."""
        before = self._connection.total_changes()
        self._connection.execute(sql, values)
        return int(self._connection.total_changes() - before)

    def run_many(self, sql: str, values: Sequence[Sequence[Any]]) -> int:
        """Execute once per row of values; returns how many rows changed."""
        before = self._connection.total_changes()
        self._connection.executemany(sql, values)
        return int(self._connection.total_changes() - before)

    def rows(
        self, action: str, sql: str, values: Sequence[Any] | dict[str, Any] = ()
    ) -> list[tuple]:
        """All rows of a query."""
        with self.guard(action):
            return list(self._connection.execute(sql, values))

    def stream(
        self, action: str, sql: str, values: Sequence[Any] | dict[str, Any] = ()
    ) -> Iterator[tuple]:
        """Rows of a query one by one."""
        with self.guard(action):
            yield from self._connection.execute(sql, values)

    def close(self) -> None:
        """Close the file; the last writer to close folds the log into it. Raises StoreError when
        that fails: nothing is lost, the next one to open reads the log."""
        try:
            self._connection.close()
        except apsw.Error as error:
            self._failed = True
            raise StoreError(self.path, f"close failed: {error}", final=True) from error


def null(value: float) -> float | None:
    """NaN as NULL."""
    return None if math.isnan(value) else float(value)


def nan(value: float | None) -> float:
    """NULL as NaN."""
    return math.nan if value is None else value
