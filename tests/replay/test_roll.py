"""The roll of a live stream: the next one goes on from what it left, whoever dies when."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.domain import records
from engine.domain.tables import allocate
from engine.replay import tape as tape_module
from engine.replay.backtest import backtest_tape
from engine.replay.builder import columns
from engine.replay.end_state import END_STATE_NAME, keep, load_end_state
from engine.replay.genesis import Genesis, restore
from engine.replay.harness import Harness
from engine.replay.left_behind import SET_BACK_NS
from engine.replay.open_stream import TAPE_NAME, recall
from engine.replay.recorder import RecorderStage
from engine.replay.tape import TapeReader
from engine.rules.model import Condition, Rule
from engine.storage.sqlite import SqliteAlertReader, SqliteBarReader
from shm.arena import PrivateArena
from tests.replay.lives import (
    MINUTE,
    MINUTES,
    SECOND,
    WALL,
    Life,
    Machine,
    live_config,
)
from tests.replay.market import FIRST_RULES

HOUR = 60 * MINUTE
ONCE = Rule(
    id="once", name="Once", conditions=(Condition("last", ">", 0.0),), cooldown_sec=3600
)
WARM = Rule(
    id="warm", name="Warm", conditions=(Condition("rsi(14)", ">", 0.0),), cooldown_sec=3600
)
RULES = (*FIRST_RULES, ONCE)


def repeated(life: Life, workers: int) -> list[bytes]:
    """Alerts of a backtest of its tape."""
    out = life.place / f"{life.stream.stream_id}-{workers}.jsonl"
    backtest_tape(life.directory / TAPE_NAME, out, workers)
    return out.read_bytes().splitlines()


@dataclasses.dataclass
class Rolled:
    """Two streams after one another, with nothing between them but the roll."""

    first: Life
    second: Life


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> Rolled:
    machine = Machine(tmp_path_factory.mktemp("rolled"))
    first = machine.start(rules=RULES, workers=2).end()
    machine.hand.run(3 * SECOND)
    second = machine.start(rules=(*RULES, WARM), workers=1).live(3)
    return Rolled(first, second)


# -- the end of a stream -------------------------------------------------------------------------
def test_a_stream_ends_at_the_grid_point_of_its_roll(rolled: Rolled) -> None:
    info = tape_module.info(rolled.first.directory / TAPE_NAME)
    assert info["state"] == "ended"
    assert info["last_t_ns"] == WALL + MINUTES * MINUTE
    assert not rolled.first.run.recorder.failures


def test_the_end_state_is_what_a_repetition_of_the_tape_gives_with_any_number_of_workers(
    rolled: Rolled, tmp_path: Path
) -> None:
    first = rolled.first
    content = (first.place / END_STATE_NAME).read_bytes()
    for workers in (1, 2, 3):
        tables = allocate(
            PrivateArena(), dataclasses.replace(sizes_of(first.told), workers=workers), columns()
        )
        restore(tables, first.genesis)
        with TapeReader(first.directory / TAPE_NAME) as reader:
            assert Harness(tables, first.stream.stream_id).run_tape(reader.blocks())
        keep(tables, first.directory, tmp_path)
        assert (tmp_path / END_STATE_NAME).read_bytes() == content, f"{workers} workers"


# -- what goes on, and what does not -------------------------------------------------------------
def by_symbol(genesis: Genesis) -> dict[str, list[bytes]]:
    """Bars of every symbol in order of their minutes."""
    bars, symbols = genesis.arrays["bars"], genesis.arrays["bar_symbols"]
    found: dict[str, list[bytes]] = {}
    for place, ticker in enumerate(genesis.header.tickers):
        mine = bars[symbols == place]
        found[ticker] = [bar.tobytes() for bar in mine[np.argsort(mine["minute"])]]
    return found


def test_symbols_bars_indicators_and_last_prices_go_on(rolled: Rolled) -> None:
    before, now = load_end_state(rolled.first.place), rolled.second.genesis
    assert before is not None
    assert now.header.tickers == before.header.tickers
    assert len(now.header.tickers) == 12
    assert by_symbol(now) == by_symbol(before)
    assert len(now.arrays["bars"]) > 12 * (MINUTES - 3)
    for name in ("indicator_state", "indicator_values", "indicator_closes"):
        np.testing.assert_array_equal(now.arrays[name], before.arrays[name])
    assert np.isfinite(now.arrays["indicator_values"]).any()
    for field in ("last", "last_size", "last_event_ns", "bar_index", "final_minute"):
        np.testing.assert_array_equal(now.arrays["rows"][field], before.arrays["rows"][field])


def test_what_belongs_to_a_session_begins_anew(rolled: Rolled) -> None:
    rows = rolled.second.genesis.arrays["rows"]
    for field in ("volume", "pv", "trades", "cumulative_volume", "halted", "blind", "approx"):
        assert not rows[field].any(), field
    for field in ("high", "low", "open_rth", "close_rth", "bid", "ask", "luld_lower"):
        assert np.isnan(rows[field]).all(), field
    assert (rows["minutes"]["minute"] == -1).all()
    for name in ("second_stamp", "minute_stamp", "session_stamp"):
        assert not len(rolled.second.genesis.arrays[name])


def test_prev_close_is_the_official_close_of_the_date_before(rolled: Rolled) -> None:
    with TapeReader(rolled.first.directory / TAPE_NAME) as reader:
        ticks = np.concatenate([block.ticks[0] for block in reader.blocks()])
    trades = ticks[ticks["kind"] == records.TICK_TRADE]
    closing = trades[trades["cond"] & records.COND_CLOSE > 0]
    genesis = rolled.second.genesis
    close_ns = int(rolled.first.genesis.header.session[3])
    for place, ticker in enumerate(genesis.header.tickers):
        mine = closing[closing["sym"] == rolled.first.genesis.header.tickers.index(ticker)]
        mine = mine[mine["event_ns"] >= close_ns - MINUTE]
        assert len(mine), "everybody has a closing print"
        official = mine["a"][np.argmax(mine["b"])]
        assert genesis.arrays["reference"]["prev_close"][place] == official
    assert not (genesis.arrays["closes"]["size"] > 0).any()


def test_dates_follow_each_other_and_the_market_is_another(rolled: Rolled) -> None:
    assert (rolled.first.stream.date, rolled.second.stream.date) == (20260105, 20260106)
    assert rolled.second.stream.start_ns == WALL + MINUTES * MINUTE + 3 * SECOND
    assert rolled.second.stream.stream_id != rolled.first.stream.stream_id
    assert rolled.second.stream.live


def test_running_cooldowns_go_on(rolled: Rolled) -> None:
    fired = [json.loads(alert) for alert in rolled.first.run.alerts]
    assert {alert["symbol"] for alert in fired if alert["rule_id"] == "once"} == set(
        rolled.first.genesis.header.tickers
    )
    later = [json.loads(alert) for alert in rolled.second.run.alerts]
    assert len(later) > 20
    assert not [alert for alert in later if alert["rule_id"] == "once"]


def test_indicators_are_known_from_the_first_cycle_on(rolled: Rolled) -> None:
    later = [json.loads(alert) for alert in rolled.second.run.alerts]
    warm = {alert["n"] for alert in later if alert["rule_id"] == "warm"}
    assert min(warm) == 1


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_either_stream_equals_the_backtest_of_its_own_recording(
    rolled: Rolled, workers: int
) -> None:
    assert len(rolled.first.run.alerts) > 100
    assert repeated(rolled.first, workers) == rolled.first.run.alerts
    assert repeated(rolled.second, workers) == rolled.second.run.alerts


# -- killed --------------------------------------------------------------------------------------
class Killed(BaseException):
    """Nobody catches it, as nobody catches a SIGKILL."""


class KillBefore:
    """Kills whatever reaches its `at`-th step that makes something durable, just before it."""

    STEPS = ("fsync", "fdatasync", "rename")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.at = self.seen = 0

    def __call__(self, at: int, work: Callable[[], Any]) -> bool:
        """Do the work; True when it was killed."""
        self.at, self.seen = at, 0
        with self.monkeypatch.context() as patched:
            for name in self.STEPS:
                patched.setattr(os, name, self._counting(getattr(os, name)))
            try:
                work()
            except Killed:
                return True
        return False

    def _counting(self, step: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            self.seen += 1
            if self.seen == self.at:
                raise Killed
            return step(*arguments, **options)

        return counting


@pytest.fixture
def kill_before(monkeypatch: pytest.MonkeyPatch) -> KillBefore:
    return KillBefore(monkeypatch)


SHORT = live_config(symbols=6, minutes=3)


def same_start(life: Life, other: Life) -> None:
    """The streams begin with the same, but for their ids."""
    first, second = life.genesis, other.genesis
    assert msgspec.structs.replace(first.header, stream_id="") == msgspec.structs.replace(
        second.header, stream_id=""
    )
    assert first.arrays.keys() == second.arrays.keys()
    for name, array in first.arrays.items():
        assert array.tobytes() == second.arrays[name].tobytes(), name


def copied(machine: Machine, place: Path) -> Machine:
    """Another machine with the same disk and the same time."""
    shutil.copytree(machine.place, place)
    for path in place.rglob("stream.json"):
        assert path.is_file()
    again = Machine(place, machine.told)
    again.hand.run(machine.hand.wall_ns - again.hand.wall_ns)
    return again


def image(machine: Machine, life: Life, place: Path) -> Machine:
    """What a start finds when the engine is killed now: its files lie elsewhere, its directories
    are asked for relative to them."""
    again = copied(machine, place)
    assert recall(place) is not None
    assert (place / "streams" / life.stream.stream_id / TAPE_NAME).exists()
    return again


def recorder_again(life: Life) -> RecorderStage:
    """The recorder that follows a killed one."""
    run = life.run
    run.recorder.close()
    run.open_recorder()
    return run.recorder


def test_an_engine_killed_at_any_step_of_the_end_rolls_at_its_next_start(
    tmp_path: Path, kill_before: KillBefore
) -> None:
    (tmp_path / "calm").mkdir()
    machine = Machine(tmp_path / "calm", SHORT)
    life = machine.start(workers=2).to_the_roll()
    images = []
    at = 1
    while kill_before(at, life.run.record) or not images:  # the first one kills it in its cycles
        recorder_again(life)
        images.append(image(machine, life, tmp_path / f"killed-{len(images)}"))
        at = len(images)
    assert len(images) == 5, "the cycles; the end state's content, name, directory; the end record"
    assert not life.run.recorder.failures
    calm = copied(machine, tmp_path / "after").start()
    assert not calm.told_of("finishing")
    states = [tape_module.info(one.place / "streams" / life.stream.stream_id / TAPE_NAME)["state"]
              for one in images]  # fmt: skip
    assert "open" in states
    for one in images:
        after = one.start(workers=2)
        same_start(after, calm)
        old = one.place / "streams" / life.stream.stream_id / TAPE_NAME
        assert tape_module.info(old)["state"] == "ended"
        out = one.place / "again.jsonl"
        backtest_tape(old, out)
        assert out.read_bytes().splitlines() == life.run.alerts


@pytest.mark.parametrize("ended", [True, False])
def test_a_start_killed_at_any_step_is_done_again_by_the_next(
    tmp_path: Path, kill_before: KillBefore, ended: bool
) -> None:
    """Whether the stream was ended, or was cut off in mid-session and has to be finished first."""
    (tmp_path / "calm").mkdir()
    machine = Machine(tmp_path / "calm", SHORT)
    life = machine.start()
    if ended:
        life.end()
    else:
        life.live(1.4)
        machine.hand.run(2 * HOUR)
    before = life.stream.stream_id
    calm = copied(machine, tmp_path / "after").start()
    assert len(calm.told_of("finishing")) == (not ended)
    at = 1
    while True:
        one = copied(machine, tmp_path / f"killed-{at}")
        if not kill_before(at, one.start):
            break
        after = one.start()
        assert after.stream.stream_id != before
        same_start(after, calm)
        at += 1
    assert at > 6
    assert recall(one.place) != recall(machine.place)


# -- down over the roll --------------------------------------------------------------------------
def test_a_stream_that_was_cut_off_before_its_roll_is_finished_by_the_next_start(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path)
    life = machine.start(workers=2).live(MINUTES - 2.6)
    machine.hand.run(15 * HOUR)
    after = machine.start(rules=(*FIRST_RULES, WARM))
    (reason,) = after.told_of("new_stream")
    assert reason["reason"] == "its session is over"
    info = tape_module.info(life.directory / TAPE_NAME)
    assert info["state"] == "ended"
    assert info["last_t_ns"] == WALL + MINUTES * MINUTE, "one last cycle, at the roll"
    assert info["last_n"] == life.run.n + 1
    assert repeated(life, 1) == repeated(life, 3) == life.run.alerts
    stored = SqliteAlertReader(tmp_path / "alerts.db")
    assert list(stored.texts(life.stream.stream_id)) == life.run.alerts
    cut_minute = (WALL + round((MINUTES - 2.6) * MINUTE)) // MINUTE
    minutes = {
        bar.minute_ns // MINUTE
        for bar in SqliteBarReader(tmp_path / "bars.db").range(
            "SIM00001", 0, 1 << 62, life.stream.stream_id
        )
    }
    assert max(minutes) in (cut_minute, cut_minute - 1)
    with TapeReader(life.directory / TAPE_NAME) as reader:
        *_, last, _ = reader.blocks()
    assert last.ticks[0]["kind"].tolist() == [records.TICK_GAP_START], "nobody looked any more"
    assert after.stream.date == 20260106
    assert any(json.loads(alert)["rule_id"] == "warm" for alert in after.live(0.5).run.alerts)


def larger(told: Config) -> Config:
    engine = msgspec.structs.replace(told.engine, capacity=200, interval_ms=500)
    bars = msgspec.structs.replace(told.bars, history_bars=300, grace_ms=900)
    return msgspec.structs.replace(told, engine=engine, bars=bars)


def test_a_change_of_the_configuration_meanwhile_does_not_lose_the_state(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    life = machine.start().live(MINUTES - 2)
    machine.hand.run(15 * HOUR)
    same = copied(machine, tmp_path / "same").start()
    changed = machine.start(larger(machine.told))
    assert changed.stream.date == same.stream.date
    assert changed.tables.sizes.capacity == 200
    for name in ("indicator_values", "bars", "cooldowns", "reference"):
        assert changed.genesis.arrays[name].tobytes() == same.genesis.arrays[name].tobytes(), name
    changed.live(1)
    assert repeated(changed, 2) == changed.run.alerts
    assert life.stream.stream_id != changed.stream.stream_id


def test_after_days_indicators_go_on_but_yesterdays_close_is_unknown_to_us(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    life = machine.start().end()
    machine.hand.run(72 * HOUR)
    after = machine.start()
    assert after.stream.date == 20260108
    state = load_end_state(tmp_path)
    assert state is not None
    np.testing.assert_array_equal(
        after.genesis.arrays["indicator_values"], state.arrays["indicator_values"]
    )
    told_by_the_market = life.genesis.arrays["reference"]["prev_close"]
    np.testing.assert_array_equal(
        after.genesis.arrays["reference"]["prev_close"], told_by_the_market
    )


def test_a_stream_that_rolled_twice_without_an_engine_is_finished_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    first = machine.start().end()
    second = machine.start()
    machine.hand.run(30 * HOUR)
    third = machine.start()
    assert [line["stream_id"] for line in third.told_of("finishing")] == [second.stream.stream_id]
    assert [line["stream_id"] for line in third.told_of("carried")] == [second.stream.stream_id]
    assert by_symbol(third.genesis) == by_symbol(second.genesis)
    assert len({life.stream.stream_id for life in (first, second, third)}) == 3


# -- what cannot be gone on with -----------------------------------------------------------------
def reasons(life: Life) -> list[str]:
    return [line["reason"] for line in life.told_of("not_carried")]


def nothing_known(life: Life) -> bool:
    return not len(life.genesis.arrays["bars"]) and not len(life.genesis.arrays["cooldowns"])


def test_another_market_is_not_gone_on_with(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    machine.start().end()
    after = machine.start(live_config(symbols=6, minutes=3, seed=77))
    assert reasons(after) == ["it is of another market"]
    assert nothing_known(after)


def test_the_state_of_other_code_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, SHORT)
    machine.start().end()
    monkeypatch.setattr("engine.replay.left_behind.code_fingerprint", lambda: "other")
    after = machine.start()
    assert reasons(after) == ["the code has changed"]
    assert nothing_known(after)


def test_a_clock_that_was_set_back_a_little_begins_where_the_stream_before_ended(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path, SHORT)
    machine.start().end()
    ended_ns = WALL + 3 * MINUTE
    machine.hand.set_wall(-30 * SECOND)
    after = machine.start()
    assert after.stream.start_ns == ended_ns > machine.hand.wall_ns
    assert after.stream.date == 20260106
    assert not nothing_known(after)
    after.live(1)
    assert after.run.n in {29, 30}
    assert repeated(after, 2) == after.run.alerts


def test_a_clock_that_was_set_back_far_begins_anew(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    machine.start().end()
    machine.hand.set_wall(-SET_BACK_NS - 5 * SECOND)
    after = machine.start()
    assert reasons(after) == ["it is of a later time than now"]
    assert after.stream.start_ns < machine.hand.wall_ns + SECOND


def test_a_tape_that_takes_too_long_is_given_up_and_the_next_stream_begins(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    machine.start().live(1)
    machine.hand.run(15 * HOUR)
    tape = msgspec.structs.replace(machine.told.tape, finish_max_s=0)
    after = machine.start(msgspec.structs.replace(machine.told, tape=tape))
    assert reasons(after) == ["its tape could not be repeated in 0 s"]
    assert nothing_known(after)
    assert after.live(1).run.n > 50


def test_a_damaged_end_state_is_made_again_from_the_tape(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    machine.start().end()
    calm = copied(machine, tmp_path / "calm").start()
    path = tmp_path / END_STATE_NAME
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    after = machine.start()
    assert "is damaged" in reasons(after)[0]
    assert len(after.told_of("finishing")) == 1
    same_start(after, calm)


def test_without_an_end_state_and_a_tape_a_stream_begins_anew_and_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    life = machine.start().end()
    (tmp_path / END_STATE_NAME).unlink()
    (life.directory / TAPE_NAME).unlink()
    after = machine.start()
    assert reasons(after) == ["it has no tape"]
    assert nothing_known(after)


def test_an_unrecorded_stream_leaves_its_state_all_the_same(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    life = machine.start().live(1)
    life.unrecord()
    life.end()
    assert life.run.recorder.failures == ["The stream goes on unrecorded: the disk is full."]
    after = machine.start()
    assert [line["stream_id"] for line in after.told_of("carried")] == [life.stream.stream_id]
    assert not nothing_known(after)


def test_an_end_state_that_cannot_be_written_is_told_and_made_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path, SHORT)
    life = machine.start().to_the_roll()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("engine.replay.end_state.write", full)
        life.end()
    (failure,) = life.run.recorder.failures
    assert failure.startswith("The end state could not be kept: ")
    assert tape_module.info(life.directory / TAPE_NAME)["state"] == "ended"
    after = machine.start()
    assert len(after.told_of("finishing")) == 1
    assert not nothing_known(after)


def test_the_end_waits_until_everybody_has_applied_the_last_cycle(tmp_path: Path) -> None:
    machine = Machine(tmp_path, SHORT)
    life = machine.start(workers=2).to_the_roll()
    words = life.tables.scan.words
    place = 16  # of the second worker
    n, words[place] = words[place], words[place] - 1
    life.run.record()
    assert not (tmp_path / END_STATE_NAME).exists()
    assert tape_module.info(life.directory / TAPE_NAME)["state"] == "open"
    words[place] = n
    life.end()
    assert (tmp_path / END_STATE_NAME).exists()
