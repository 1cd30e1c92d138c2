"""Store of rules in an SQLite file, and its read-only view for other processes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.storage.database import Database
from engine.storage.rule_ports import (
    DEFAULT_BOUNDS,
    SOURCE_AUTHOR,
    Answer,
    Bounds,
    RuleVersion,
    VersionConflictError,
)

FILE_NAME = "app.db"
_FIELDS = "rule_id, version, action, document, content_hash, owner, author, at_ns, note"
_INSERT = f"INSERT INTO rule_version ({_FIELDS}) VALUES (?,?,?,?,?,?,?,?,?)"
_HEAD = """
INSERT INTO rule (rule_id, position, version, deleted) VALUES (?, last_insert_rowid(), ?, ?)
ON CONFLICT (rule_id) DO UPDATE SET
    position = excluded.position, version = excluded.version, deleted = excluded.deleted
"""
_NEWEST = f"""
SELECT {_FIELDS} FROM rule_version
WHERE position IN (SELECT position FROM rule) ORDER BY rule_id
"""
_NEWEST_BY = f"""
SELECT {_FIELDS} FROM rule_version AS mine WHERE author = :author AND version = (
    SELECT max(version) FROM rule_version
    WHERE author = :author AND rule_id = mine.rule_id
) ORDER BY rule_id
"""
_DROP_VERSIONS = """
DELETE FROM rule_version WHERE rule_id = :rule_id AND version <= :oldest AND version IS NOT (
    SELECT max(version) FROM rule_version WHERE author = :source AND rule_id = :rule_id
)
"""
_OVER_DELETED = """
SELECT rule_id FROM rule WHERE deleted ORDER BY position DESC LIMIT -1 OFFSET ?
"""
_DROP_ANSWERS = """
DELETE FROM rule_answer WHERE position <= (
    SELECT position FROM rule_answer ORDER BY position DESC LIMIT 1 OFFSET ?
)
"""


def _version(row: tuple[Any, ...]) -> RuleVersion:
    """The columns of _FIELDS as a value."""
    return RuleVersion(**dict(zip(RuleVersion.__struct_fields__, row, strict=True)))


class SqliteRuleReader:
    """RuleReader on a file that another process writes, opened mode=ro.

    briefly: see Database.reader.
    """

    def __init__(self, path: Path, *, briefly: bool = False) -> None:
        self._database = Database.reader(path, "app", briefly=briefly)

    def newest(self) -> list[RuleVersion]:
        """See RuleReader.newest."""
        return [_version(row) for row in self._database.rows("read", _NEWEST)]

    def get(self, rule_id: str, version: int | None = None) -> RuleVersion | None:
        """See RuleReader.get."""
        sql = (
            f"SELECT {_FIELDS} FROM rule_version WHERE rule_id = ? "
            "AND version = coalesce(?, (SELECT version FROM rule WHERE rule_id = ?))"
        )
        rows = self._database.rows("read", sql, (rule_id, version, rule_id))
        return _version(rows[0]) if rows else None

    def history(
        self, rule_id: str, limit: int, before: int | None = None
    ) -> list[RuleVersion]:
        """See RuleReader.history."""
        sql = (
            f"SELECT {_FIELDS} FROM rule_version WHERE rule_id = ? AND (? IS NULL OR version < ?) "
            "ORDER BY version DESC LIMIT ?"
        )
        rows = self._database.rows("read", sql, (rule_id, before, before, max(limit, 0)))
        return [_version(row) for row in rows]

    def newest_by(self, author: str) -> list[RuleVersion]:
        """See RuleReader.newest_by."""
        rows = self._database.rows("read", _NEWEST_BY, {"author": author})
        return [_version(row) for row in rows]

    def answer(self, request_id: str) -> bytes | None:
        """See RuleReader.answer."""
        sql = "SELECT answer FROM rule_answer WHERE request_id = ?"
        rows = self._database.rows("read", sql, (request_id,))
        return bytes(rows[0][0]) if rows else None

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class SqliteRuleStore(SqliteRuleReader):
    """RuleStore in a file of its own: WAL, synchronous FULL, so durable when append returns.

    vfs: see Database.writer. Raises StoreError, MigrationError.
    """

    def __init__(self, path: Path, bounds: Bounds = DEFAULT_BOUNDS, vfs: str | None = None) -> None:
        self._database = Database.writer(path, "app", "FULL", vfs)
        self._bounds = bounds
        self.dropped = 0

    def append(self, versions: Sequence[RuleVersion], answer: Answer | None = None) -> None:
        """See RuleStore.append."""
        dropped = 0
        with self._database.transaction("append of rules"):
            for one in versions:
                self._insert(one)
            for rule_id in {one.rule_id: one for one in versions}:
                dropped += self._drop_versions(rule_id)
            dropped += self._drop_deleted()
            if answer is not None:
                self._keep(answer)
        self.dropped += dropped

    def _insert(self, one: RuleVersion) -> None:
        heads = list(
            self._database.run("SELECT version FROM rule WHERE rule_id = ?", (one.rule_id,))
        )
        found = heads[0][0] if heads else 0
        if one.version != found + 1:
            raise VersionConflictError(one.rule_id, one.version - 1, found)
        values = [getattr(one, field) for field in RuleVersion.__struct_fields__]
        self._database.run(_INSERT, values)
        self._database.run(_HEAD, (one.rule_id, one.version, int(one.deleted)))

    def _drop_versions(self, rule_id: str) -> int:
        (head,) = self._database.run("SELECT version FROM rule WHERE rule_id = ?", (rule_id,))
        oldest = head[0] - self._bounds.versions
        values = {"rule_id": rule_id, "oldest": oldest, "source": SOURCE_AUTHOR}
        return self._database.run_counted(_DROP_VERSIONS, values)

    def _drop_deleted(self) -> int:
        over = list(self._database.run(_OVER_DELETED, (self._bounds.deleted,)))
        self._database.run_many("DELETE FROM rule WHERE rule_id = ?", over)
        return self._database.run_many("DELETE FROM rule_version WHERE rule_id = ?", over)

    def _keep(self, answer: Answer) -> None:
        self._database.run(
            "INSERT INTO rule_answer (request_id, answer) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (answer.request_id, answer.text),
        )
        self._database.run(_DROP_ANSWERS, (self._bounds.answers,))
