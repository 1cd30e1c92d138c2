"""The commands as a user types them: exit codes, one sentence, help that matches the docs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.config.registry import SETTINGS
from tests.ipc.engines import engine, only, wait_until
from tools import cli_bench, reference_docs
from tools.main import COMMANDS, call

ROOT = Path(__file__).resolve().parents[2]


Done = subprocess.CompletedProcess[str]


def tapescan(*arguments: str, cwd: Path = ROOT, **environ: str) -> Done:
    """Run the program in a process of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TAPESCAN_")}
    return subprocess.run(
        [sys.executable, "-m", "tools.main", *arguments], cwd=cwd, text=True, timeout=120,
        capture_output=True, check=False, env=kept | {"PYTHONPATH": str(ROOT)} | environ,
    )


Capture = pytest.CaptureFixture[str]


def test_the_pages_on_settings_and_commands_are_what_the_registries_say() -> None:
    settings_page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    commands_page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    hint = "run `python -m tools.reference_docs`"
    assert settings_page == reference_docs.settings_page(), hint
    assert commands_page == reference_docs.commands_page(), hint


def test_every_setting_and_every_command_is_documented() -> None:
    settings_page, commands_page = reference_docs.settings_page(), reference_docs.commands_page()
    for setting in SETTINGS.values():
        assert len(setting.doc) > 10
        assert f"| `{setting.key}` |" in settings_page
    for path, command in reference_docs.every_command():
        assert f"## {path}\n" in commands_page
        assert command.help
        for parameter in command.params:
            described = getattr(parameter, "help", None) or parameter.param_type_name == "argument"
            assert described, f"{path}: {parameter.name}"


def test_the_help_is_what_the_page_shows() -> None:
    shown = tapescan("config", "set", "--help", COLUMNS="120").stdout
    assert f"\n## tapescan config set\n\n```\n{shown}```\n" in reference_docs.commands_page()


def test_the_program_itself_says_what_it_can_do() -> None:
    done = tapescan("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"  {command} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["dance"], 2, "No such command"),
        (["run", "--fast"], 2, "No such option"),
        (["config", "get", "web.prot"], 3, "unknown setting web.prot; did you mean web.port?"),
        (["config", "set", "web.port", "x"], 3, "web.port must be a whole number from 0 to 65535"),
        (["check-config", "--config", "none.toml"], 3, "none.toml: cannot be read: No such file"),
        (["run", "--speed", "quick"], 3, "--speed: feed.speed must be a number from 0 to 100000"),
        (["reload"], 1, "no engine runs on"),
        (["backtest", "--out", "a"], 2, "backtest needs one of --trades, --bars and --tape."),
        (["backtest"], 2, "Missing option '--out'"),
        (["backtest", "--bars", "rules.json", "--out", "rules.json"], 2, "the recording itself"),
        (["backtest", "--bars", "rules.json", "--out", "."], 2, "'.' is a directory"),
        (["backtest", "--trades", "none.csv", "--out", "a"], 2, "'none.csv' does not exist"),
        (["backtest", "--tape", ".", "--rules", "rules.json", "--out", "a"], 2, "leave --rules"),
        (["bench", "nothing-like-it"], 2, "no benchmark is named nothing-like-it"),
        (["tape", "info", "none"], 2, "'none' does not exist"),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(
    place: Path, capsys: Capture, arguments: list[str], code: int, says: str
) -> None:
    assert call(arguments) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.startswith("tapescan: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_nothing_shows_a_traceback_unasked(place: Path, capsys: Capture, monkeypatch: Any) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("tools.cli_config.load", broken)
    assert call(["config", "get"]) == 1
    assert capsys.readouterr().err == (
        "tapescan: internal error, ZeroDivisionError: boom; TAPESCAN_TRACE=1 shows where.\n"
    )


def test_settings_are_read_and_changed(place: Path, capsys: Capture) -> None:
    assert call(["config", "get", "web.port"]) == 0
    assert capsys.readouterr().out == "8080\n"
    assert call(["config", "set", "web.port", "9000"]) == 0
    assert capsys.readouterr().out == "scanner.toml: web.port = 9000 (was 8080)\n"
    assert "# recorded" in (place / "scanner.toml").read_text()
    assert call(["config", "get"]) == 0
    shown = capsys.readouterr().out
    assert "web.port = 9000  # scanner.toml\n" in shown
    assert 'feed.provider = "replay"  # default\n' in shown


def test_a_bad_file_is_refused_with_3_by_the_real_program(place: Path) -> None:
    (place / "scanner.toml").write_text("[web]\nprot = 1\n")
    done = tapescan("run", cwd=place)
    assert done.returncode == 3
    assert done.stderr == (
        "tapescan: scanner.toml: unknown setting web.prot; did you mean web.port?\n"
    )


def test_check_config_says_how_long_a_live_stream_outlasts_a_recorder_that_stands_still(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(["check-config"]) == 0
    said = capsys.readouterr()
    assert "outlasted" not in said.out, "a replay waits for its recorder"
    monkeypatch.setenv("TAPESCAN_ENGINE__CAPACITY", "500")
    monkeypatch.setenv("TAPESCAN_FEED__PROVIDER", "simulator")
    monkeypatch.setenv("TAPESCAN_SIMULATOR__SYMBOLS", "500")
    monkeypatch.setenv("TAPESCAN_SIMULATOR__CLOCK", "live")
    assert call(["check-config"]) == 0
    said = capsys.readouterr()
    assert "recorder stall outlasted 9.6 s at 20,000 ticks/s, 1.4 s at the open" in " ".join(
        said.out.split()
    )
    assert "warning" not in said.err
    monkeypatch.setenv("TAPESCAN_SIMULATOR__TICKS_PER_S", "50000")
    assert call(["check-config"]) == 0
    assert capsys.readouterr().err == (
        "warning: a recorder that hangs is replaced within 6.5 s, but engine.ring_ticks lasts "
        "3.7 s: one hang or slow disk ends the recording; 524288 would do.\n"
    )
    monkeypatch.setenv("TAPESCAN_TAPE__RECORD", "false")
    assert call(["check-config"]) == 0
    said = capsys.readouterr()
    assert "outlasted" not in said.out + said.err, "there is no recording to lose"


def test_status_without_an_engine_says_so(place: Path, capsys: Capture) -> None:
    assert call(["status"]) == 1
    assert "No engine has run on" in capsys.readouterr().out
    assert call(["status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["state"] == "never"
    assert not (place / "state").exists(), "looking writes nothing"


def test_status_follows_an_engine_from_start_to_crash(tmp_path: Path) -> None:
    roles = [{"name": "web", "entry": "counter", "takes_orders": True}]
    with engine(tmp_path, roles, forward=True) as under_test:
        under_test.running("web")
        environ = {
            "TAPESCAN_PATHS__DATA_DIR": str(under_test.data_dir),
            "TAPESCAN_ENGINE__NAME": under_test.name,
        }
        running = tapescan("status", "--json", cwd=tmp_path, **environ)
        assert running.returncode == 0
        seen = json.loads(running.stdout)
        assert seen["state"] == "running"
        (web,) = seen["roles"]
        assert web["state"] == "running"
        assert web["beat_age_ms"] is not None
        assert web["progress"] > 0
        assert seen["latency"]["cycle"]["p50_ms"] is None, "unknown is not 0"
        shown = tapescan("status", cwd=tmp_path, **environ).stdout
        assert "is running" in shown
        assert tapescan("reload", cwd=tmp_path, **environ).returncode == 0
        under_test.process.kill()
        under_test.process.wait()
        wait_until(
            lambda: tapescan("status", cwd=tmp_path, **environ).stdout.find("has crashed") > 0,
            "the crash was not told",
        )
        crashed = tapescan("status", "--json", cwd=tmp_path, **environ)
        assert crashed.returncode == 1
        assert json.loads(crashed.stdout)["state"] == "crashed"
        assert json.loads(crashed.stdout)["roles"][0]["role"] == "web"


def test_status_of_a_stopped_engine_gives_the_reason(tmp_path: Path) -> None:
    with engine(tmp_path, only("refuse")) as under_test:
        assert under_test.end() == 3
        done = tapescan(
            "status", cwd=tmp_path, TAPESCAN_PATHS__DATA_DIR=str(under_test.data_dir),
            TAPESCAN_ENGINE__NAME=under_test.name,
        )
    assert done.returncode == 1
    assert "has failed: role refuses its configuration" in " ".join(done.stdout.split())


ROWS = [
    {"name": "scan 10k", "value": 9.5, "unit": "ms", "target": 12, "met": True, "peer": "numpy",
     "peer_value": 30.0, "ratio": 3.16},
    {"name": "ring", "value": 1.0, "unit": "M/s", "target": 25, "met": False, "peer": None,
     "peer_value": None, "ratio": None},
]


def test_bench_prints_every_row_and_fails_on_a_missed_target(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(cli_bench, "modules", lambda: ["scan"])
    monkeypatch.setattr(cli_bench, "rows", lambda _: iter(ROWS))
    assert call(["bench"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert " ".join(first.split()) == "scan 10k 9.5 ms target 12 met numpy 30, ratio 3.16"
    assert "MISSED" in second
    assert call(["bench", "--json", "sca"]) == 1
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS
