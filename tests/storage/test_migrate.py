"""Migrations: numbered, checksummed, refused when they do not fit, and all or nothing."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from engine.storage import migrate
from engine.storage.database import wal_is_safe
from engine.storage.errors import MigrationError
from engine.storage.migrate import Applied, Migration
from engine.storage.sqlite import SqliteAlertReader, SqliteAlertStore, SqliteBarStore

ONE = Migration(1, "0001_demo_first.sql", "CREATE TABLE first (a INTEGER); CREATE TABLE other (b)")
TWO = Migration(
    2, "0002_demo_second.sql", "ALTER TABLE first ADD COLUMN c; INSERT INTO other VALUES (1)"
)
PATH = Path("/data/demo.db")


def _ledger(*migrations: Migration) -> list[Applied]:
    return [Applied(m.number, m.name, m.sha256) for m in migrations]


def _tables(path: Path) -> set[str]:
    connection = apsw.Connection(str(path))
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    connection.close()
    return {name for name in names if not name.startswith("sqlite_")}


@pytest.mark.parametrize("database", ["alerts", "bars"])
def test_the_shipped_migrations_are_numbered_from_one_and_hashed(database: str) -> None:
    known = migrate.load(database)
    assert [m.number for m in known] == list(range(1, len(known) + 1))
    assert known[0].name.startswith(f"0001_{database}_")
    assert known[0].sha256 == hashlib.sha256(known[0].sql.encode()).hexdigest()


def test_an_empty_database_gets_all_and_then_nothing_more(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / "demo.db"))
    assert migrate.migrate(connection, PATH, "demo", [ONE]) == [ONE]
    assert migrate.migrate(connection, PATH, "demo", [ONE, TWO]) == [TWO]
    assert migrate.migrate(connection, PATH, "demo", [ONE, TWO]) == []
    assert migrate.read_ledger(connection) == _ledger(ONE, TWO)
    assert list(connection.execute("SELECT b FROM other")) == [(1,)]


def test_a_database_newer_than_the_code_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"demo.db: was migrated to 0002 by a newer version"):
        migrate.pending(PATH, "demo", _ledger(ONE, TWO), [ONE])


def test_a_migration_changed_after_it_was_applied_is_refused() -> None:
    changed = Migration(1, ONE.name, ONE.sql + " -- one more remark")
    with pytest.raises(MigrationError, match=r"0001_demo_first.sql was changed after") as caught:
        migrate.pending(PATH, "demo", _ledger(ONE), [changed, TWO])
    assert (caught.value.database, caught.value.number) == ("demo", 1)


def test_a_migration_missing_in_the_code_is_refused() -> None:
    renamed = Migration(1, "0001_demo_other.sql", ONE.sql)
    with pytest.raises(MigrationError, match=r"0001_demo_first.sql, which is missing"):
        migrate.pending(PATH, "demo", _ledger(ONE), [renamed])


def test_a_hole_in_the_ledger_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"its ledger lacks migration 0001_demo_first.sql"):
        migrate.pending(PATH, "demo", _ledger(TWO), [ONE, TWO])


def test_a_hole_in_the_shipped_numbers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sqlite"
    folder.mkdir()
    (folder / "0001_demo_a.sql").write_text("")
    (folder / "0003_demo_c.sql").write_text("")
    (folder / "0002_else_b.sql").write_text("")
    monkeypatch.setattr(migrate.importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(MigrationError, match=r"expected number 0002 of demo but found 0003_demo_c"):
        migrate.load("demo")


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE first (a)", "CREATE TABL", "CREATE TABLE z (a); COMMIT"]
)
def test_a_migration_that_fails_leaves_the_version_before_it(tmp_path: Path, sql: str) -> None:
    path = tmp_path / "demo.db"
    connection = apsw.Connection(str(path))
    migrate.migrate(connection, path, "demo", [ONE])
    bad = Migration(3, "0003_demo_bad.sql", sql)
    with pytest.raises(MigrationError, match=r"migration 0003_demo_bad.sql (failed|ends)"):
        migrate.migrate(connection, path, "demo", [ONE, TWO, bad])
    assert not connection.in_transaction
    if "COMMIT" not in sql:
        assert migrate.read_ledger(connection) == _ledger(ONE)


def test_a_store_refuses_a_database_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "alerts.db"
    SqliteAlertStore(path).close()
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO schema_migrations VALUES (99, '0099_alerts_x.sql', 'f00')")
    connection.close()
    for kind in (SqliteAlertStore, SqliteAlertReader):
        with pytest.raises(MigrationError, match=r"alerts.db: was migrated to 0099 by a newer"):
            kind(path)


def test_a_reader_refuses_a_database_that_is_not_migrated_yet(tmp_path: Path) -> None:
    path = tmp_path / "alerts.db"
    apsw.Connection(str(path)).execute("CREATE TABLE something (a)")
    with pytest.raises(MigrationError, match=r"lacks migration 0001_alerts_store.sql"):
        SqliteAlertReader(path)


def test_a_bar_store_refuses_the_file_of_alerts(tmp_path: Path) -> None:
    SqliteAlertStore(tmp_path / "alerts.db").close()
    with pytest.raises(MigrationError, match=r"0001_alerts_store.sql, which is missing"):
        SqliteBarStore(tmp_path / "alerts.db")


_KILLED = """
import os, signal, sys
from pathlib import Path
import apsw
from engine.storage.sqlite import SqliteAlertStore
left = int(sys.argv[2])
def trace(cursor, statement, bindings):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return True
apsw.connection_hooks.append(lambda connection: setattr(connection, "exec_trace", trace))
SqliteAlertStore(Path(sys.argv[1])).close()
"""


def test_a_kill_at_any_statement_of_a_migration_leaves_nothing_or_all(tmp_path: Path) -> None:
    outcomes = set()
    for statement in range(40):
        path = tmp_path / f"{statement}.db"
        command = [sys.executable, "-c", _KILLED, str(path), str(statement)]
        done = subprocess.run(command, check=False, cwd=Path(__file__).parents[2])
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        tables = _tables(path)
        assert tables == set() or {"alert", "schema_migrations", "alert_by_rule"} <= tables
        outcomes.add(bool(tables))
        store = SqliteAlertStore(path)
        assert store.count() == 0
        store.close()
    else:
        pytest.fail("the migration never ran to its end")
    assert statement >= 9
    assert False in outcomes


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ("3.51.3", True), ("3.54.1", True), ("4.0.0", True), ("3.50.7", True), ("3.50.9", True),
        ("3.44.6", True), ("3.51.2", False), ("3.50.6", False), ("3.44.5", False),
        ("3.49.9", False), ("3.40.1", False),
    ],
)  # fmt: skip
def test_versions_of_sqlite_that_lose_commits_are_known(version: str, safe: bool) -> None:
    assert wal_is_safe(version) is safe
