"""`tapescan run` before there is an engine: what it starts, and what it refuses at once."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.config.schema import Config
from engine.replay.builder import load_compiled_rules
from shm.segments import SHM_DIR, SharedArena
from tests.cli.test_commands import tapescan
from tests.config.places import good_place
from tools import cli_run
from tools.main import call
from tools.start_checks import StartError, refuse_taken_name

SIMULATOR = '[feed]\nprovider = "simulator"\n[engine]\ncapacity = 10000\n'
Started = tuple[Config, list[str], str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a good configuration, and no overrides around."""
    good_place(tmp_path).write_text(
        '[feed]\ntrades = "trades.csv"\n[paths]\ndata_dir = "state"\n', encoding="utf-8"
    )
    for name in [name for name in os.environ if name.startswith("TAPESCAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TAPESCAN_CONFIG", "scanner.toml")  # run sets it: undone with the test
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Started]:
    """What the engine was started with, instead of starting it."""
    found: list[Started] = []

    def start(*given: Any) -> int:
        found.append(given)  # type: ignore[arg-type]
        return 0

    monkeypatch.setattr(cli_run, "entry", lambda _name: start)
    monkeypatch.setattr(cli_run.signal, "signal", lambda *_: None)
    return found


@pytest.fixture
def engine_name() -> Iterator[str]:
    """An engine name of this test alone; its segments are removed afterwards."""
    name = f"run-{os.getpid()}-{time.monotonic_ns() % 10**9}"
    yield name
    for path in SHM_DIR.glob(f"tapescan-{name}-*"):
        path.unlink()


def test_the_demo_market_has_rules_of_its_own_and_keeps_the_other_arguments(
    place: Path, starts: list[Started]
) -> None:
    assert call(["run", "--demo-market", "--speed", "3", "--port", "0"]) == 0
    ((config, arguments, no_switch),) = starts
    assert (config.feed.provider, config.feed.speed, config.web.port) == ("simulator", 3.0, 0)
    assert config.engine.capacity >= config.simulator.symbols == 10_000
    assert len(load_compiled_rules(config).rules) > 5
    assert arguments == ["--demo-market", "--speed", "3", "--port", "0"]
    assert no_switch == "", "the recording of the configuration is there to switch back to"


def test_rules_that_the_environment_names_win_over_the_demo_market_s_own(
    place: Path, starts: list[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPESCAN_RULES__PATH", str(place / "rules.json"))
    assert call(["run", "--demo-market"]) == 0
    assert starts[0][0].rules.path == str(place / "rules.json")


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        (SIMULATOR, ["run"], 'There is no recording to switch to: feed.provider is "simulator".'),
        ("", ["run", "--demo-market"], 'There is no recording to switch to: feed.trades is "".'),
        (
            '[feed]\nprovider = "simulator"\n', ["run", "--demo-market"],
            "Without --demo-market this configuration is refused: scanner.toml: "
            "simulator.symbols = 10000 does not fit into engine.capacity = 64.",
        ),
    ],
)  # fmt: skip
def test_a_configuration_without_a_recording_cannot_switch_and_says_why(
    place: Path, starts: list[Started], text: str, arguments: list[str], says: str
) -> None:
    (place / "scanner.toml").write_text(text, encoding="utf-8")
    assert call(arguments) == 0
    assert starts[0][2] == says


def test_a_taken_port_is_refused_before_anything_is_compiled(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tapescan("run", "--port", str(port), cwd=place)
    assert (done.returncode, done.stderr) == (
        3,
        f"tapescan: web.host 127.0.0.1, web.port {port}: cannot listen there "
        "(Address already in use); choose another with --port or TAPESCAN_WEB__PORT.\n",
    )


def test_the_name_of_a_living_engine_is_refused(engine_name: str) -> None:
    arena = SharedArena(engine_name, 1)
    arena.array("one", 1, np.int64)
    with pytest.raises(StartError, match="is taken, an engine of this name runs on this machine"):
        refuse_taken_name(engine_name, 2)
    arena.unlink_all()
    refuse_taken_name(engine_name, 2)


def test_segments_that_could_not_be_swept_are_refused_only_where_they_are_in_the_way(
    engine_name: str,
) -> None:
    (SHM_DIR / f"tapescan-{engine_name}-7-one").touch()
    refuse_taken_name(engine_name, 6)
    with pytest.raises(StartError, match=r"another user has .*-7-\*; choose a new one, as in TAP"):
        refuse_taken_name(engine_name, 7)
