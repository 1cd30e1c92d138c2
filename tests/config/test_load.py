"""What a configuration becomes: good ones, golden bad ones, and random bytes."""

import json
import math
import string
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import registry
from engine.config.address import is_loopback, page_url
from engine.config.errors import ConfigError
from engine.config.load import MAX_FILE_BYTES, default_data_dir, find, load, parse, read_values
from engine.config.registry import SETTINGS, instant_ns
from engine.config.schema import Config
from tests.config.places import GOOD, good_place, load_text

CASES = json.loads(Path(__file__).with_name("bad_configs.json").read_text(encoding="utf-8"))
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_a_bad_configuration_is_refused_in_one_sentence(
    case: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        load_text(tmp_path, case["toml"], case.get("env"))
    said = str(refused.value).replace(str(tmp_path), "DIR")
    if case["case"].startswith("broken TOML"):  # the end of these is Python's own, by version
        assert said.startswith("DIR/scanner.toml: is not valid TOML: ")
        assert "line" in said or "end of document" in said
    else:
        assert said == case["says"]
    assert "\n" not in said


def test_the_golden_cases_are_many_and_different() -> None:
    assert len(CASES) >= 80
    assert len({case["case"] for case in CASES}) == len(CASES)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, "")
    defaults = Config()
    assert loaded.config.engine == defaults.engine
    assert loaded.config.supervisor == defaults.supervisor
    assert loaded.sources == {"feed.trades": "TAPESCAN_FEED__TRADES"}


def test_every_default_is_a_value_that_its_setting_accepts() -> None:
    for setting in SETTINGS.values():
        assert setting.accept(setting.default) == setting.default, setting.name


def test_the_schema_and_the_walker_accept_the_same_bounds() -> None:
    for setting in SETTINGS.values():
        if setting.kind not in {"int", "float"}:
            continue
        assert setting.low is not None
        assert setting.high is not None
        for value in (setting.low, setting.high):
            typed = int(value) if setting.kind == "int" else float(value)
            if setting.form != "power of two":
                assert setting.accept(typed) == typed
            tree = {setting.section: {setting.key: typed}}
            assert msgspec.convert(tree, Config)
        for value in (setting.low - 1, setting.high + 1):
            typed = int(value) if setting.kind == "int" else float(value)
            with pytest.raises(registry.Refused):
                setting.accept(typed)
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert({setting.section: {setting.key: typed}}, Config)


def test_relative_paths_start_at_the_file_not_at_the_working_directory(tmp_path: Path) -> None:
    text = GOOD + '[paths]\ndata_dir = "../state"\n[rules]\npath = "./rules.json"\n'
    config = load_text(tmp_path, text).config
    assert config.feed.trades == str(tmp_path / "trades.csv")
    assert config.paths.data_dir == str(tmp_path.parent / "state")
    assert config.rules.path == str(tmp_path / "rules.json")


def test_home_is_expanded_and_the_default_state_is_the_xdg_one(tmp_path: Path) -> None:
    text = GOOD + '[paths]\ndata_dir = "~/scanner"\n'
    assert load_text(tmp_path, text).config.paths.data_dir == str(tmp_path / "scanner")
    assert load_text(tmp_path, GOOD).config.paths.data_dir == (
        f"{tmp_path}/.local/state/tapescan"
    )
    given_state = {"XDG_STATE_HOME": "/var/state", "HOME": "/h/x"}
    assert default_data_dir(given_state) == Path("/var/state/tapescan")
    relative_state = {"XDG_STATE_HOME": "state", "HOME": "/h/x"}
    assert default_data_dir(relative_state) == Path("/h/x/.local/state/tapescan")


def test_the_environment_wins_over_the_file_and_options_over_both(tmp_path: Path) -> None:
    file = good_place(tmp_path)
    file.write_text(GOOD + "speed = 2\n[web]\nport = 1\n")
    environ = {"TAPESCAN_WEB__PORT": "2", "TAPESCAN_FEED__SPEED": "3", "TAPESCAN_SOAK": "1"}
    loaded = load(file, environ=environ, overrides={"feed.speed": ("--speed", "4.5")})
    assert loaded.config.web.port == 2
    assert loaded.config.feed.speed == 4.5
    assert loaded.sources["web.port"] == "TAPESCAN_WEB__PORT"
    assert loaded.sources["feed.speed"] == "--speed"
    with pytest.raises(ConfigError, match=r"^--speed: feed\.speed must be a number from 0"):
        load(file, environ={}, overrides={"feed.speed": ("--speed", "quick")})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("feed.loop", "false", False),
        ("feed.loop", "1", True),
        ("feed.speed", "0", 0.0),
        ("feed.speed", "1e2", 100.0),
        ("web.port", "+80", 80),
        ("feed.history_dates", "2013-10-07, 2013-10-08", ("2013-10-07", "2013-10-08")),
        ("feed.history_dates", '["2013-10-07"]', ("2013-10-07",)),
        ("feed.history_dates", "", ()),
        ("web.host", "::1", "::1"),
    ],
)
def test_an_override_is_read_by_the_type_of_its_setting(
    name: str, text: str, value: object
) -> None:
    assert SETTINGS[name].parse(text) == value


def test_a_toml_date_is_as_good_as_a_text(tmp_path: Path) -> None:
    text = GOOD + "history_dates = [2013-10-07]\nstart = 2013-10-08T09:28:00-04:00\n"
    feed = load_text(tmp_path, text).config.feed
    assert feed.history_dates == ("2013-10-07",)
    assert feed.start == "2013-10-08T09:28:00-04:00"
    assert instant_ns(feed.start) == 1_381_238_880_000_000_000


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "scanner.toml"
    for content, says in (
        (b"\xff\xfe", f"{file}: is not UTF-8 at byte 0."),
        (b"#" * (MAX_FILE_BYTES + 1), f"{file}: has {MAX_FILE_BYTES + 1} bytes; a configuration "
                                       f"has at most {MAX_FILE_BYTES}."),
    ):
        file.write_bytes(content)
        with pytest.raises(ConfigError) as refused:
            load(file, environ={})
        assert str(refused.value) == says
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml", environ={})
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory\.$"):
        load(tmp_path, environ={})


def test_a_file_is_found_by_option_environment_or_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(None, {}) is None
    (tmp_path / "scanner.toml").touch()
    assert find(None, {}) == Path("scanner.toml")
    assert find(None, {"TAPESCAN_CONFIG": "/a"}) == Path("/a")
    assert find("/b", {"TAPESCAN_CONFIG": "/a"}) == Path("/b")


def test_the_demo_configuration_is_good() -> None:
    loaded = load(ROOT / "scanner.toml", environ={"HOME": "/h/x"}, check_files=False)
    assert loaded.config.feed.history_dates == ("2013-10-07",)
    assert loaded.config.feed.speed == 10.0
    assert loaded.config.web.auth == "none"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("::1", "http://[::1]:8080/"),
        ("localhost", "http://localhost:8080/"),
    ],
)
def test_the_page_is_named_as_a_browser_takes_it(host: str, url: str) -> None:
    assert page_url(host, 8080) == url


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_hosts_are_known(host: str) -> None:
    assert is_loopback(host)


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50)
    | st.datetimes() | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(sorted(SETTINGS))


@given(NAMES, HOSTILE)
@settings(max_examples=400, deadline=None)
def test_any_value_is_accepted_by_both_readers_or_refused_in_one_sentence(
    name: str, raw: Any
) -> None:
    section, _, key = name.partition(".")
    try:
        values = read_values({section: {key: raw}}, "x.toml")
    except ConfigError as refused:
        said = str(refused)
        assert said.startswith(f"x.toml: {name} must be ")
        assert said.endswith(".")
        assert said.isprintable()
        assert len(said) < 400
        return
    value = values[name]
    assert not isinstance(value, float) or math.isfinite(value)
    typed = list(value) if isinstance(value, tuple) else value
    assert msgspec.convert({section: {key: typed}}, Config)


@given(st.dictionaries(st.text(max_size=10), HOSTILE, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_document_is_accepted_or_refused_in_one_sentence(document: dict[str, Any]) -> None:
    try:
        read_values(document, "x.toml")
    except ConfigError as refused:
        assert "\n" not in str(refused)
        assert len(str(refused)) < 400


TOML_LIKE = st.text(string.ascii_lowercase + "[]=.\"'#\n {}0123456789-:,", max_size=200)


@given(TOML_LIKE | st.text(max_size=100) | st.just("[" * 5000) | st.just("a=" + "[" * 5000))
@settings(max_examples=400, deadline=None)
def test_any_text_is_toml_or_refused_in_one_sentence(text: str) -> None:
    try:
        read_values(parse(text, "x.toml"), "x.toml")
    except ConfigError as refused:
        assert str(refused).startswith("x.toml: ")
        assert "\n" not in str(refused)


@given(st.dictionaries(NAMES.map(lambda name: SETTINGS[name].variable), st.text(max_size=30)))
@settings(
    max_examples=200, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_environment_is_taken_or_refused_in_one_sentence(environ: dict[str, str]) -> None:
    try:
        load(None, environ=environ | {"HOME": "/h"}, check_files=False)
    except ConfigError as refused:
        assert "\n" not in str(refused)
