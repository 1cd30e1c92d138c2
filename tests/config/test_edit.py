"""Changing single settings: comments stay, a refused value changes nothing."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import edit
from engine.config.errors import ConfigError
from engine.config.load import load
from engine.config.registry import SETTINGS
from engine.config.secrets_file import resolve
from tests.config.places import good_place

TEXT = """# a comment at the top
[web]  # the page
port = 8080   # of the page
host = "127.0.0.1"

[feed]
trades = "trades.csv"

# the last word
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = good_place(tmp_path)
    file.write_text(TEXT)
    return file


def test_a_change_touches_its_value_only(file: Path) -> None:
    assert edit.set_value(file, "web.port", "9000") == (8080, 9000)
    assert file.read_text() == TEXT.replace("8080", "9000")


def test_a_new_key_joins_its_section_and_a_new_section_the_file(file: Path) -> None:
    assert edit.set_value(file, "feed.history_dates", "2013-10-07") == ((), ("2013-10-07",))
    assert edit.set_value(file, "log.level", "debug") == ("info", "debug")
    text = file.read_text()
    for line in TEXT.splitlines():
        assert line in text
    config = load(file, environ={}).config
    assert config.feed.history_dates == ("2013-10-07",)
    assert config.log.level == "debug"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("web.port", "eighty", 'config set: web.port must be a whole number from 0 to 65535, '
                               'not "eighty".'),
        ("web.prot", "1", "config set: unknown setting web.prot; did you mean web.port?"),
        ("web.host", "0.0.0.0", 'config set: web.auth = "none" is allowed on a loopback host '
                                'only, and web.host is "0.0.0.0".'),
        ("engine.interval_ms", "70", "config set: engine.interval_ms must divide 1000 or be a "
                                     "multiple of it, and 70 does not."),
        ("market.roll", "05:00", 'config set: market.roll = "05:00" must be before '
                                 'market.pre_open = "04:00".'),
    ],
)
def test_a_refused_change_leaves_the_file_as_it_was(
    file: Path, name: str, value: str, says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        edit.set_value(file, name, value)
    assert str(refused.value) == says
    assert file.read_text() == TEXT
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


def test_a_file_that_is_bad_already_is_not_touched(file: Path) -> None:
    file.write_text("[web]\nport = true\n")
    with pytest.raises(ConfigError, match=r"web\.port must be a whole number"):
        edit.set_value(file, "log.level", "debug")
    assert file.read_text() == "[web]\nport = true\n"


def test_a_file_that_is_not_there_is_made(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    edit.set_value(file, "web.port", "9000")
    assert load(file, environ={}, check_files=False).config.web.port == 9000


def test_mode_and_link_are_kept(file: Path) -> None:
    file.chmod(0o640)
    link = file.with_name("link.toml")
    link.symlink_to(file.name)
    edit.set_value(link, "web.port", "9000")
    assert link.is_symlink()
    assert "9000" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_directory_that_cannot_be_written_is_said(file: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    file.parent.chmod(0o500)
    try:
        with pytest.raises(ConfigError, match=r"cannot be written: Permission denied\.$"):
            edit.set_value(file, "web.port", "9000")
    finally:
        file.parent.chmod(0o700)


def test_get_tells_the_value_in_force(file: Path) -> None:
    assert edit.get(file, "web.port", environ={}) == 8080
    assert edit.get(file, "web.port", environ={"TAPESCAN_WEB__PORT": "1"}) == 1
    with pytest.raises(ConfigError, match=r"unknown setting web\.prot; did you mean web\.port\?"):
        edit.get(file, "web.prot", environ={})


WAYS = ('[web]\nport = 1 # c\n', 'web.port = 1 # c\n', 'web = {port = 1} # c\n', '# c\n')


@given(st.sampled_from(WAYS), st.sampled_from(sorted(SETTINGS)), st.text(max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_change_is_made_or_refused_whole(
    tmp_path_factory: pytest.TempPathFactory, text: str, name: str, value: str
) -> None:
    file = tmp_path_factory.mktemp("edit") / "scanner.toml"
    file.write_text(text)
    try:
        _, after = edit.set_value(file, name, value)
    except ConfigError as refused:
        assert "\n" not in str(refused)
        assert file.read_text() == text
        return
    changed = file.read_text()
    assert "# c" in changed
    loaded = load(file, environ={"HOME": "/h"}, check_files=False)
    if not SETTINGS[name].path:
        assert loaded.values[name] == after


def test_secrets_come_from_environment_or_file_and_are_never_told(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff")
    assert resolve("env:KEY", "feed.api_key", tmp_path, {"KEY": "s3cret"}) == "s3cret"
    assert resolve("file:key", "feed.api_key", tmp_path, {}) == "s3cret"
    for reference, says in (
        ("env:KEY", "feed.api_key: environment variable KEY is not set or empty."),
        ("s3cret", "feed.api_key: must be env:NAME or file:PATH, never the secret itself."),
        ("file:none", f"feed.api_key: {tmp_path}/none cannot be read: No such file or directory."),
        ("file:empty", f"feed.api_key: {tmp_path}/empty is empty or longer than 65536 bytes."),
        ("file:binary", f"feed.api_key: {tmp_path}/binary is not UTF-8."),
    ):
        with pytest.raises(ConfigError) as refused:
            resolve(reference, "feed.api_key", tmp_path, {})
        assert str(refused.value) == says
