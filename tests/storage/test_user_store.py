"""One body of tests over every store of users."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.storage.user_ports import Grant, Login, User, UserBounds, UserConflictError, UserStore
from engine.storage.user_sqlite import SqliteUserStore
from engine.users.accounts import create_user, first_admin, set_access, set_password
from engine.users.passwords import PasswordError, hash_password, is_password

LONG = "correct horse battery"


@pytest.fixture(params=["sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UserStore]:
    """An empty store with small bounds."""
    made = SqliteUserStore(tmp_path / "app.db", UserBounds(users=4, grants=3, logins=5))
    yield made
    made.close()


def user(name: str, **changes: Any) -> User:
    fields = {"role": "viewer", "password_hash": "x", "created_ns": 5, **changes}
    return User(user_id=f"id-{name}", name=name, **fields)


def grant(secret: str, **changes: Any) -> Grant:
    fields: dict[str, Any] = {
        "kind": "refresh", "user_id": "id-ann", "credentials": 1, "family": "f", "created_ns": 10,
    }  # fmt: skip
    return Grant(secret_hash=secret, **{**fields, **changes})


def test_users_are_found_by_id_and_by_name(store: UserStore) -> None:
    ann, bob = user("ann", role="admin"), user("bob", disabled=True, must_change=True)
    store.add(bob)
    store.add(ann)
    assert store.users() == [ann, bob]
    assert store.user("id-ann") == ann
    assert store.user_named("bob") == bob
    assert store.user("ann") is None


def test_a_name_is_taken_once_and_the_number_of_users_is_bounded(store: UserStore) -> None:
    store.add(user("ann"))
    with pytest.raises(UserConflictError, match="The name ann is taken"):
        store.add(msgspec.structs.replace(user("ann"), user_id="other"))
    for name in ("b", "c", "d"):
        store.add(user(name))
    with pytest.raises(UserConflictError, match="4 users, which is the limit"):
        store.add(user("e"))
    with pytest.raises(UserConflictError, match="is taken"):
        store.update(msgspec.structs.replace(user("b"), name="ann"))


@pytest.mark.parametrize("change", ["delete", "disable", "demote"])
def test_the_last_admin_stays(store: UserStore, change: str) -> None:
    ann = user("ann", role="admin")
    store.add(ann)
    store.add(user("bob"))
    with pytest.raises(UserConflictError, match="No admin"):
        if change == "delete":
            store.delete(ann.user_id)
        else:
            disabled = change == "disable"
            set_access(store, ann, "admin" if disabled else "viewer", disabled=disabled)
    assert store.user("id-ann") == ann


def test_deleting_a_user_deletes_what_was_granted_to_them(store: UserStore) -> None:
    store.add(user("ann"))
    store.add(user("root", role="admin"))
    store.add_grant(grant("one"))
    store.set_preferences("id-ann", b"{}")
    store.delete("id-ann")
    assert store.grant("one") is None
    assert store.preferences("id-ann") is None
    with pytest.raises(UserConflictError):
        store.add_grant(grant("two"))
    with pytest.raises(UserConflictError):
        store.set_preferences("id-ann", b"{}")


def test_a_refresh_token_that_is_used_twice_revokes_its_family(store: UserStore) -> None:
    store.add(user("ann"))
    store.add_grant(grant("one"))
    assert store.rotate("one", grant("two", created_ns=20))
    assert store.family_is_live("f")
    assert not store.rotate("one", grant("three", created_ns=30))
    assert store.grant("three") is None
    found = store.grant("two")
    assert found is not None
    assert found.revoked
    assert not store.family_is_live("f")
    assert not store.rotate("two", grant("four", created_ns=40))


def test_expired_grants_go_and_the_oldest_over_the_bound_go(store: UserStore) -> None:
    store.add(user("ann"))
    store.add_grant(grant("old", expires_ns=15))
    for number in range(5):
        store.add_grant(grant(f"g{number}", created_ns=20 + number))
    assert store.grant("old") is None
    assert [one.secret_hash for one in store.grants("id-ann", "refresh")] == ["g4", "g3", "g2"]
    assert store.grants("id-ann", "api") == []


def test_a_revoked_grant_is_not_listed_and_a_use_is_noted(store: UserStore) -> None:
    store.add(user("ann"))
    store.add_grant(grant("key", kind="api", family="key", name="script", role="viewer"))
    store.touch("key", 77)
    (found,) = store.grants("id-ann", "api")
    assert (found.used_ns, found.name, found.role) == (77, "script", "viewer")
    assert store.revoke_family("key") == 1
    assert store.revoke_family("key") == 0
    assert store.grants("id-ann", "api") == []


def test_tries_to_sign_in_are_kept_newest_first_and_bounded(store: UserStore) -> None:
    for number in range(8):
        store.note_login(
            Login(at_ns=number, name="ann", address="::1", how="session", result="ok")
        )
    assert [one.at_ns for one in store.logins(100)] == [7, 6, 5, 4, 3]
    newest = store.logins(2)
    assert [one.at_ns for one in store.logins(2, newest[-1].position)] == [5, 4]


def test_preferences_are_kept_as_they_were_written(store: UserStore) -> None:
    store.add(user("ann"))
    assert store.preferences("id-ann") is None
    store.set_preferences("id-ann", b'{"theme":"dark"}')
    store.set_preferences("id-ann", b'{"theme":"light"}')
    assert store.preferences("id-ann") == b'{"theme":"light"}'


def test_a_changed_password_ends_what_was_granted(store: UserStore) -> None:
    made = create_user(store, "ann", "trader", LONG)
    assert is_password(made.password_hash, LONG)
    changed = set_password(store, made, LONG + "!")
    assert changed.credentials == made.credentials + 1
    assert store.user(made.user_id) == changed
    assert not is_password(changed.password_hash, LONG)


def test_the_first_admin_is_made_once(store: UserStore) -> None:
    password = first_admin(store)
    assert password is not None
    (admin,) = store.users()
    assert (admin.name, admin.role, admin.must_change) == ("admin", "admin", True)
    assert is_password(admin.password_hash, password)
    assert first_admin(store) is None


def test_a_password_that_is_too_short_or_too_long_is_refused() -> None:
    for password in ("short", "x" * 257):
        with pytest.raises(PasswordError, match="12 to 256"):
            hash_password(password)


def test_nobody_has_a_password_and_a_broken_hash_matches_nothing() -> None:
    assert not is_password(None, LONG)
    assert not is_password("not a hash", LONG)
    assert hash_password(LONG).startswith("$argon2id$")


@pytest.mark.parametrize(("name", "role"), [("", "viewer"), ("a b", "viewer"), ("ann", "root")])
def test_a_bad_name_or_role_is_refused(store: UserStore, name: str, role: str) -> None:
    with pytest.raises(UserConflictError):
        create_user(store, name, role, LONG)
    assert store.users() == []
