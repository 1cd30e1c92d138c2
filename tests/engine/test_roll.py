"""A live engine over its roll: it begins the next stream by itself, or after being killed in the
middle of it, from what the stream before left."""

import dataclasses
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.domain import records
from engine.replay.backtest import backtest_tape
from engine.replay.carry import session_of
from engine.replay.end_state import load_end_state
from engine.replay.genesis import Genesis, load
from engine.replay.open_stream import GENESIS_NAME, TAPE_NAME
from engine.storage.sqlite import SqliteAlertReader
from tests.engine.commands import events, status, tape_info, until
from tests.kills.rig import RULES, Rig, rig

MINUTES = 1
SIMULATOR = {"symbols": 12, "ticks_per_s": 300, "clock": "live", "minutes": MINUTES}
ONCE = {
    "id": "once",
    "name": "Once",
    "conditions": [{"metric": "last", "op": ">", "value": 0}],
    "cooldown_sec": 3600,
}
WIDE = {
    "id": "wide",
    "name": "Wide",
    "conditions": [{"metric": "spread_bps", "op": ">", "value": 1}],
    "cooldown_sec": 5,
}


@dataclasses.dataclass
class Seen:
    """What an engine left: the genesis, the stored alerts and the tape of its first two streams."""

    genesis: list[Genesis]
    alerts: list[list[bytes]]
    tapes: list[Path]
    info: list[dict[str, Any]]
    state: Genesis
    carried: list[dict[str, Any]]
    segments: tuple[int, int]
    pids: tuple[int, int]
    exit_code: int
    leftovers: list[str]


def streams(engine: Rig) -> list[Path]:
    """Directories of its streams in order of their dates; one without a genesis was not begun."""
    found = [path.parent for path in engine.data_dir.glob(f"streams/*/{GENESIS_NAME}")]
    return sorted(found, key=lambda path: load(path / GENESIS_NAME).header.date)


def alerts_of(engine: Rig, stream_id: str) -> list[bytes]:
    reader = SqliteAlertReader(engine.data_dir / "alerts.db")
    try:
        return list(reader.texts(stream_id))
    finally:
        reader.close()


def segments(engine: Rig) -> int:
    return len(list(Path("/dev/shm").glob(f"tapescan-{engine.name}-*")))


def pid(engine: Rig) -> int:
    assert engine.process is not None
    return engine.process.pid


def life(engine: Rig, *, killed: bool) -> Seen:
    """From the start over the roll to alerts of the second stream, and what is there then."""
    (engine.place / "rules.json").write_text(json.dumps([*RULES, ONCE, WIDE]))
    engine.start()
    before = segments(engine), pid(engine)
    if killed:
        until(lambda: events(engine, "stream_ended"), engine, 120)
        assert engine.process is not None
        engine.process.kill()
        engine.process.wait()
        until(lambda: not any(engine.role_pids().values()), engine, 10)
        engine.start()
    until(lambda: events(engine, "carried"), engine, 180)
    until(lambda: len(alerts_of(engine, "under-test-2")) > 5, engine, 180)
    told = status(engine)[1]
    now = segments(engine)
    exit_code = engine.stop()
    first, second = streams(engine)[:2]
    state = load_end_state(engine.data_dir)
    assert state is not None
    return Seen(
        genesis=[load(path / GENESIS_NAME) for path in (first, second)],
        alerts=[alerts_of(engine, path.name) for path in (first, second)],
        tapes=[path / TAPE_NAME for path in (first, second)],
        info=[tape_info(path) for path in (first, second)],
        state=state,
        carried=events(engine, "carried"),
        segments=(before[0], now),
        pids=(before[1], int(told["pid"])),
        exit_code=exit_code,
        leftovers=engine.leftovers(),
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Seen]]:
    """An engine that is left alone and one that is killed; their minutes pass side by side."""
    place = tmp_path_factory.mktemp("roll")
    common: dict[str, Any] = {
        "provider": "simulator", "history_dates": [], "start": "", "end": "",
    }  # fmt: skip
    with (
        rig(place, "calm", **common, simulator=SIMULATOR, scan_workers=2) as calm,
        rig(place, "killed", **common, simulator=SIMULATOR, scan_workers=1) as killed,
        ThreadPoolExecutor(2) as side_by_side,
    ):
        left_alone = side_by_side.submit(life, calm, killed=False)
        was_killed = side_by_side.submit(life, killed, killed=True)
        yield {"calm": left_alone.result(), "killed": was_killed.result()}


@pytest.fixture(params=["calm", "killed"])
def one(request: pytest.FixtureRequest, seen: dict[str, Seen]) -> Seen:
    found: Seen = seen[request.param]
    return found


def test_the_stream_ends_at_its_roll_and_another_begins(one: Seen) -> None:
    first, second = (genesis.header for genesis in one.genesis)
    assert first.live
    assert second.live
    roll_ns = int(session_of(one.genesis[0])["roll_ns"][0])
    assert roll_ns == first.start_ns + MINUTES * records.NS_PER_MINUTE
    assert one.info[0]["state"] == "ended"
    assert one.info[0]["last_t_ns"] == roll_ns
    assert second.start_ns >= roll_ns
    assert second.date > first.date
    assert (first.stream_id, second.stream_id) == ("under-test", "under-test-2")


def test_the_next_stream_begins_with_what_the_one_before_left(one: Seen) -> None:
    told = one.carried[0]
    first, second = one.genesis
    assert told["stream_id"] == first.header.stream_id
    assert second.header.tickers == first.header.tickers
    assert told["cooldowns"] == len(second.arrays["cooldowns"]) >= len(first.header.tickers)
    assert told["bars"] == len(second.arrays["bars"]) > 0
    assert np.isfinite(second.arrays["rows"]["last"]).all()
    assert not second.arrays["rows"]["volume"].any()


def test_a_rule_that_cools_down_does_not_fire_again_after_the_roll(one: Seen) -> None:
    fired = [[json.loads(alert)["rule_id"] for alert in alerts] for alerts in one.alerts]
    assert fired[0].count("once") == len(one.genesis[0].header.tickers)
    assert "wide" in fired[1]
    assert "once" not in fired[1]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_stored_alerts_of_both_streams_are_those_of_a_backtest_of_their_tapes(
    one: Seen, tmp_path: Path, workers: int
) -> None:
    for tape, alerts in zip(one.tapes, one.alerts, strict=True):
        out = tmp_path / f"{tape.parent.name}.jsonl"
        backtest_tape(tape, out, workers)
        assert len(alerts) > 5
        assert out.read_bytes().splitlines() == alerts


def test_nothing_is_left_of_the_stream_before_or_after_the_stop(one: Seen) -> None:
    assert one.exit_code == 0
    assert one.leftovers == []
    assert one.segments[0] == one.segments[1] > 10, "the memory of one engine"


def test_the_engine_stays_the_same_process_unless_it_is_killed(seen: dict[str, Seen]) -> None:
    assert seen["calm"].pids[0] == seen["calm"].pids[1] != os.getpid()
    assert seen["killed"].pids[0] != seen["killed"].pids[1]
