"""`tapescan users`: who may sign in, when web.auth is "password"."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from engine.rules.stored import store_path
from engine.storage.user_ports import ROLES, User, UserConflictError, UserStore
from engine.storage.user_sqlite import SqliteUserStore
from engine.users.accounts import create_user, set_password
from tools.options import config_option, load_config

name_argument = click.argument("name", metavar="NAME")
stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)
once_option = click.option(
    "--one-time", is_flag=True, help="The password must be changed at the next sign-in."
)


@contextmanager
def _opened(config_path: str | None) -> Iterator[UserStore]:
    """The store of users; a running engine sees each change at once."""
    data_dir = Path(load_config(config_path, check_files=False).config.paths.data_dir)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = SqliteUserStore(store_path(data_dir))
    try:
        yield store
    finally:
        store.close()


def _named(store: UserStore, name: str) -> User:
    user = store.user_named(name)
    if user is None:
        raise UserConflictError(f"There is no user {name}.")
    return user


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    found: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return found


def _document(user: User) -> dict[str, Any]:
    """What may be told of a user: never the hash of the password."""
    return {"user_id": user.user_id, "name": user.name, "role": user.role,
            "disabled": user.disabled, "must_change_password": user.must_change}  # fmt: skip


@click.group()
def users() -> None:
    """Add, list and delete those who may sign in, and set their passwords."""


@users.command()
@name_argument
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True,
              help="What they may do.")
@stdin_option
@once_option
@config_option
def add(
    name: str, role: str, password_stdin: bool, one_time: bool, config_path: str | None
) -> None:
    """Add a user."""
    password = _password(password_stdin)
    with _opened(config_path) as store:
        create_user(store, name, role, password, must_change=one_time)
    click.echo(f"added {name}, {role}")


@users.command("list")
@config_option
def list_(config_path: str | None) -> None:
    """List all users."""
    with _opened(config_path) as store:
        found = store.users()
    for user in found:
        told = ", disabled" * user.disabled + ", one-time password" * user.must_change
        click.echo(f"{user.name}  {user.role}{told}")


@users.command()
@name_argument
@stdin_option
@once_option
@config_option
def passwd(name: str, password_stdin: bool, one_time: bool, config_path: str | None) -> None:
    """Set a user's password; all their sessions and tokens end."""
    with _opened(config_path) as store:
        user = _named(store, name)
        set_password(store, user, _password(password_stdin), must_change=one_time)
    click.echo(f"password of {name} set")


@users.command()
@config_option
def export(config_path: str | None) -> None:
    """Write what is kept of all users as JSON, one a line: preferences, too, but no secrets."""
    with _opened(config_path) as store:
        for user in store.users():
            kept = msgspec.Raw(store.preferences(user.user_id) or b"{}")
            line = msgspec.json.encode({**_document(user), "preferences": kept})
            click.echo(line.decode())


@users.command()
@name_argument
@config_option
def delete(name: str, config_path: str | None) -> None:
    """Delete a user with their sessions, tokens and preferences."""
    with _opened(config_path) as store:
        store.delete(_named(store, name).user_id)
    click.echo(f"deleted {name}")
