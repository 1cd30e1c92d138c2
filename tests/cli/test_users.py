"""`tapescan users`: each command on a data directory of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.storage.user_sqlite import SqliteUserStore
from engine.users.passwords import is_password

PASSWORD = "correct horse battery"


def users(tmp_path: Path, *arguments: str, password: str = "") -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    code = "from tools.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "users", *arguments],
        input=password + "\n", capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"TAPESCAN_PATHS__DATA_DIR": str(tmp_path / "data"), "PATH": "/usr/bin:/bin",
             "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_a_user_is_added_listed_given_a_password_exported_and_deleted(tmp_path: Path) -> None:
    code, told, _ = users(tmp_path, "add", "ann", "--role", "admin", "--password-stdin",
                          password=PASSWORD)  # fmt: skip
    assert (code, told) == (0, "added ann, admin\n")
    users(tmp_path, "add", "bob", "--password-stdin", "--one-time", password=PASSWORD)
    assert users(tmp_path, "list")[1] == "ann  admin\nbob  viewer, one-time password\n"
    assert users(tmp_path, "passwd", "bob", "--password-stdin", password=PASSWORD + "2")[0] == 0
    store = SqliteUserStore(tmp_path / "data" / "app.db")
    bob = store.user_named("bob")
    store.close()
    assert bob is not None
    assert is_password(bob.password_hash, PASSWORD + "2")
    lines = [json.loads(line) for line in users(tmp_path, "export")[1].splitlines()]
    assert [line["name"] for line in lines] == ["ann", "bob"]
    assert "argon2" not in json.dumps(lines)
    assert users(tmp_path, "delete", "bob")[:2] == (0, "deleted bob\n")
    assert users(tmp_path, "list")[1] == "ann  admin\n"


@pytest.mark.parametrize(
    ("arguments", "password", "told"),
    [
        (("add", "ann", "--password-stdin"), PASSWORD, "The name ann is taken"),
        (("add", "a b", "--password-stdin"), PASSWORD, "A name has"),
        (("add", "eve", "--password-stdin"), "short", "A password has 12 to 256"),
        (("passwd", "eve", "--password-stdin"), PASSWORD, "There is no user eve"),
        (("delete", "ann"), "", "No admin who may sign in would be left"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], password: str, told: str
) -> None:
    users(tmp_path, "add", "ann", "--role", "admin", "--password-stdin", password=PASSWORD)
    code, _, error = users(tmp_path, *arguments, password=password)
    assert code == 1
    assert told in error
    assert len(error.strip().splitlines()) == 1
    assert users(tmp_path, "list")[1] == "ann  admin\n"
