"""One engine from start to stop: status, reload, a second start, a crash, a resume, the end."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.storage.sqlite import SqliteAlertReader
from ipc import process
from tests.engine.commands import (
    ask,
    events,
    front_port,
    status,
    tape_info,
    tapescan,
    told,
    until,
)
from tests.kills.rig import ROOT, RULES, Rig, rig

END_NS = 1_381_239_060_000_000_000  # 09:31 in New York
NEW_RULE = {
    "id": "anything",
    "name": "Anything",
    "conditions": [{"metric": "last", "op": ">", "value": 0}],
    "cooldown_sec": 10,
}


@dataclasses.dataclass
class Life:
    """What was seen on the way."""

    running: tuple[int, dict[str, Any]] = (9, {})
    later: dict[str, Any] = dataclasses.field(default_factory=dict)
    telemetry: str = ""
    second: Any = None
    bad_reload: Any = None
    good_reload: Any = None
    after_bad: dict[str, Any] = dataclasses.field(default_factory=dict)
    after_good: dict[str, Any] = dataclasses.field(default_factory=dict)
    crashed: tuple[int, dict[str, Any]] = (9, {})
    orphans: list[int] = dataclasses.field(default_factory=list)
    resumed: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    exit_code: int = 9
    left: list[str] = dataclasses.field(default_factory=list)
    stopped: tuple[int, dict[str, Any]] = (9, {})
    tape: dict[str, Any] = dataclasses.field(default_factory=dict)
    alerts: list[bytes] = dataclasses.field(default_factory=list)
    repeated: list[bytes] = dataclasses.field(default_factory=list)


def first_half(engine: Rig, life: Life) -> None:
    engine.start()
    life.running = status(engine)
    life.second = told(engine, "run")
    life.later = status(engine)[1]
    rules = engine.place / "rules.json"
    rules.write_text(json.dumps([{**NEW_RULE, "conditions": [{"metric": "lsat", "op": ">"}]}]))
    life.bad_reload = told(engine, "reload")
    life.after_bad = status(engine)[1]
    rules.write_text(json.dumps([*RULES, NEW_RULE]))
    life.good_reload = told(engine, "reload")
    until(lambda: any(b'"anything"' in alert for alert in engine.alerts()), engine)
    life.after_good = status(engine)[1]
    port = front_port(engine)
    assert ask(port, "GET", "/live")[0] == 200
    life.telemetry = ask(port, "GET", "/metrics")[1]


def after(engine: Rig, n: int) -> bool:
    """True once the reloaded rule has fired behind cycle n."""
    alerts = [json.loads(alert) for alert in engine.alerts()]
    return any(alert["n"] > n and alert["rule_id"] == "anything" for alert in alerts)


def second_half(engine: Rig, life: Life) -> None:
    assert engine.process is not None
    pids = [pid for pid in engine.role_pids().values() if pid]
    engine.process.kill()
    engine.process.wait()
    until(lambda: not any(engine.role_pids().values()), engine, 10)
    life.orphans = [pid for pid in pids if process.run_state(pid) not in {"", "Z"}]
    life.crashed = status(engine)
    engine.start()
    life.resumed = events(engine, "resumed")
    until(lambda: after(engine, life.resumed[0]["n"]), engine)
    life.exit_code = engine.stop()
    life.left = engine.leftovers()
    life.stopped = status(engine)
    stream = engine.data_dir / "streams" / "under-test"
    life.tape = tape_info(stream)
    life.alerts = engine.alerts()
    out = engine.place / "again.jsonl"
    done = tapescan("backtest", "--tape", str(stream), "--out", str(out))
    assert done.returncode == 0, done.stderr
    life.repeated = out.read_bytes().splitlines()


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    seen = Life()
    with rig(tmp_path_factory.mktemp("life"), "life", speed=20.0, end="") as engine:
        first_half(engine, seen)
        second_half(engine, seen)
        yield seen


def test_status_tells_of_a_running_engine_without_disturbing_it(life: Life) -> None:
    code, first = life.running
    assert code == 0
    assert first["state"] == "running"
    assert first["stream_id"] == "under-test"
    roles = {role["role"]: role for role in first["roles"]}
    assert {"feed0", "bars", "indicators", "scan0", "scan1", "alerts", "recorder", "web"} == set(
        roles
    )
    assert life.later["n"] > first.get("n", 0)


def test_a_second_engine_on_the_same_data_is_refused_with_one_sentence(life: Life) -> None:
    assert life.second.returncode == 1
    said = life.second.stderr.strip().splitlines()
    assert len(said) == 1
    assert "is in use by process" in said[0]
    assert life.later["state"] == "running"


def test_a_bad_rule_file_leaves_the_old_rules_and_exits_3(life: Life) -> None:
    assert life.bad_reload.returncode == 3
    assert "lsat" in life.bad_reload.stderr
    assert "did you mean" in life.bad_reload.stderr
    assert life.after_bad["rules_version"] == 1


def test_a_good_rule_file_is_taken_into_use(life: Life) -> None:
    assert life.good_reload.returncode == 0
    assert life.after_good["rules_version"] == 2
    assert life.after_good["alerts"] > 0


# What the page of a running engine tells: at least so much, in some role.
LEAST = {
    "scan_cycle_seconds_count": 1, "symbols_scanned_total": 1, "alerts_emitted_total": 1,
    "alerts_delivered_total": 0, "tick_processed_total": 1, "worker_queue_depth": 0,
    "last_tick_timestamp": 1_381_238_000, "tick_processing_latency_seconds_count": 1,
    "tick_to_alert_seconds_count": 1, "alert_delivery_latency_seconds_count": 0,
    "consumer_lag": 0, "http_requests_total": 1, "websocket_connections": 0, "errors_total": 0,
    "absent_cycles_total": 0, "ring_depth": 0, "tick_ring_depth": 0, "rules_active": 4,
    "rules_version": 2, "restarts_total": 0, "cycles_total": 1,
}  # fmt: skip


def test_every_telemetry_name_has_a_value_while_the_engine_runs(life: Life) -> None:
    told: dict[str, float] = {}
    for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", life.telemetry, re.MULTILINE):
        told[name] = max(told.get(name, 0.0), float(value))
    assert {name: told.get(name) for name in LEAST if told.get(name, -1.0) < LEAST[name]} == {}
    assert told["last_tick_timestamp"] < END_NS / 1e9 + 86_400
    for role in ("indicators", "scan0", "scan1", "alerts", "recorder"):
        for name in ("consumer_lag", "worker_queue_depth"):
            assert f'{name}{{role="{role}"}}' in life.telemetry, (name, role)
    assert "clock_skew_seconds{" not in life.telemetry, "a replay has none"


def test_after_a_crash_nothing_runs_and_status_says_so(life: Life) -> None:
    code, found = life.crashed
    assert code == 1
    assert found["state"] == "crashed"
    assert life.orphans == []


def test_the_next_start_resumes_the_stream_with_the_reloaded_rules(life: Life) -> None:
    (resumed,) = life.resumed
    assert resumed["stream_id"] == "under-test"
    assert 0 < resumed["n"] < life.tape["last_n"]
    assert life.stopped[1]["resumed_n"] == resumed["n"]


def test_an_orderly_stop_leaves_nothing_behind_and_ends_the_tape(life: Life) -> None:
    assert life.exit_code == 0
    assert life.left == []
    assert life.stopped[0] == 1
    assert life.stopped[1]["state"] == "stopped"
    assert life.tape["state"] == "ended"
    assert life.tape["rules_versions"] == [1, 2]


def test_a_backtest_of_its_tape_gives_what_the_engine_stored(life: Life) -> None:
    """Through a reload, a crash, a resume and a stop in the middle of the session."""
    assert len(life.alerts) > 10
    assert life.repeated == life.alerts


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("TAPESCAN_ENGINE__INTERVAL_MS", "7", "engine.interval_ms"),
        ("TAPESCAN_ENGINE__NO_SUCH", "1", "engine.no_such"),
        ("TAPESCAN_FEED__START", "yesterday", "feed.start"),
        ("TAPESCAN_FEED__TRADES", "/absent.csv", "/absent.csv"),
        ("TAPESCAN_RULES__PATH", "/absent.json", "/absent.json"),
        ("TAPESCAN_WEB__HOST", "0.0.0.0", "web.host"),
    ],
)
def test_a_bad_configuration_exits_3_with_one_sentence(
    tmp_path: Path, setting: str, value: str, sentence: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.main", "run", "--config", str(ROOT / "scanner.toml")],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "TAPESCAN_PATHS__DATA_DIR": str(tmp_path / "data"), setting: value},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_every_loop_and_every_start_is_a_stream_with_all_its_alerts(tmp_path: Path) -> None:
    with rig(
        tmp_path, "loop", speed=60.0, loop=True, stream_id="", end="2013-10-08T09:31:00-04:00",
        history_dates=[], scan_workers=1,
    ) as engine:  # fmt: skip
        engine.start()

        def streams() -> list[str]:
            return [path.name for path in (engine.data_dir / "streams").iterdir()]

        def complete() -> list[str]:
            reader = SqliteAlertReader(engine.data_dir / "alerts.db")
            counts = [reader.count(stream_id) for stream_id in streams()]
            reader.close()
            return [name for name, count in zip(streams(), counts, strict=True) if count > 0]

        until(lambda: len(complete()) >= 2, engine)
        assert engine.stop() == 0
        looped = set(streams())
        engine.start()
        until(lambda: set(complete()) - looped, engine)
        assert engine.stop() == 0
        assert engine.leftovers() == []
        reader = SqliteAlertReader(engine.data_dir / "alerts.db")
        ended = [
            name for name in streams()
            if tape_info(engine.data_dir / "streams" / name)["last_t_ns"]
            >= END_NS
        ]  # fmt: skip
        assert ended
        assert len({reader.count(name) for name in ended}) == 1
        ids = [alert.alert.alert_id for alert in reader.after(0, 1 << 30)]
        assert len(set(ids)) == len(ids)
