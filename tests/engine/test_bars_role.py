"""The bars role: beside a recorder that gave up, stalls, or makes no room; over a suspend; at the
end of a live stream."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.bars.role import _Bars
from engine.domain import records
from engine.domain.tables import FLOW_UNRECORDED
from engine.replay.genesis import Genesis, restore
from shm.engine_clock import EngineClock
from shm.fences import write_word
from shm.words import WORD_STRIDE
from tests.replay.market import begin, config, tables_of
from tests.shm.clocks import HandClocks

TOLD = config(symbols=4)
SECOND = records.NS_PER_SECOND


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return begin(TOLD)


class Beside:
    """A bars role over private tables, the clocks in the test's hand: 2.5 s after T_0 at first."""

    def __init__(self, genesis: Genesis, *, live: bool) -> None:
        self.tables = tables_of(TOLD)
        restore(self.tables, genesis)
        self.errors: list[str] = []
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.counted: Counter[str] = Counter()
        self.gauges: dict[str, int] = {}
        self.latencies: list[int] = []
        self.waits = 0
        self.waited_for: list[str] = []
        self.start_ns = genesis.header.start_ns
        self.hand = HandClocks(self.start_ns + 5 * SECOND // 2)
        self.clock = EngineClock(self.tables.clock, self.hand.clocks)
        self.clock.start()
        stream = SimpleNamespace(live=live, interval_ns=SECOND)
        self.context: Any = SimpleNamespace(
            shared=SimpleNamespace(
                tables=self.tables, stream=stream, config=TOLD, clock=self.clock
            ),
            log=SimpleNamespace(
                error=lambda event, **told: self.errors.append(event),
                warning=lambda event, **told: self.said.append((event, told)),
                info=lambda event, **told: self.said.append((event, told)),
            ),
            telemetry=SimpleNamespace(
                count=lambda name, amount=1: self.counted.update({name: amount}),
                set=self.gauges.__setitem__,
                observe=lambda name, ns: self.latencies.append(ns),
                observe_since=lambda name, stamps, now_ns: self.latencies.extend(
                    (now_ns - stamps).tolist()
                ),
            ),
            wake=SimpleNamespace(notify=lambda key: None, wait=self._wait),
            progress=lambda n: None,
            waits=self.waited_for.append,
            beat=lambda: None,
        )
        self.role = _Bars(self.context)

    def kill(self) -> None:
        """Another process takes over."""
        self.role = _Bars(self.context)

    def _wait(self, _seconds: float) -> None:
        self.waits += 1
        if self.waits == 3:
            self.pass_gates()

    def pass_gates(self) -> None:
        n = self.role.stage.n
        write_word(self.tables.indicators.words, 0, 2 * n)
        write_word(self.tables.scan.words, 0, n)

    def mark(self, seconds: float) -> None:
        self.tables.ticks.rings[0].set_mark(self.start_ns + int(seconds * SECOND))

    def newest(self) -> np.void:
        decision: np.void = self.tables.decisions.data[self.tables.decisions.tail() - 1]
        return decision

    def dropped(self) -> list[bool]:
        tables = self.tables
        rings = [*tables.ticks.rings, tables.decisions, tables.bar_ring]
        return [ring.dropped("recorder") for ring in rings]

    def fill_bar_ring(self) -> None:
        ring = self.tables.bar_ring
        full = ring.capacity - self.tables.sizes.bar_events + 1
        ring.publish(np.zeros(full, records.BAR_EVENT))


@pytest.mark.parametrize("live", [False, True])
def test_decisions_of_an_unrecorded_stream_say_so_once_it_is_known(
    genesis: Genesis, live: bool
) -> None:
    beside = Beside(genesis, live=live)
    beside.mark(10)
    assert beside.role.step()
    assert not int(beside.newest()["flags"]) & records.DECISION_UNRECORDED
    beside.pass_gates()
    write_word(beside.tables.flow, FLOW_UNRECORDED * WORD_STRIDE, 1)
    beside.hand.run(2 * SECOND)
    assert beside.role.step()
    assert int(beside.newest()["flags"]) & records.DECISION_UNRECORDED
    assert int(beside.newest()["decided_ns"]) > 0
    assert beside.errors == ["unrecorded"]


def test_a_live_stream_overtakes_a_stalled_recorder(genesis: Genesis) -> None:
    beside = Beside(genesis, live=True)
    ring = beside.tables.ticks.rings[0]
    ring.publish(np.zeros(ring.capacity, records.TICK))
    ring.set_gate("bars", ring.capacity // 2)
    beside.role.overtake()
    assert not any(beside.dropped()), "half a ring behind is not far"
    ring.set_gate("bars", ring.capacity * 3 // 4 + 1)
    beside.role.overtake()
    assert all(beside.dropped())
    beside.mark(10)
    beside.role.stage.head["tick_end"][0] = ring.tail()
    assert beside.role.is_unrecorded()
    assert ring.free() > 0, "the feed goes on"


def test_a_slow_sequencer_is_not_blamed_on_the_recorder(genesis: Genesis) -> None:
    beside = Beside(genesis, live=True)
    ring = beside.tables.ticks.rings[0]
    ring.publish(np.zeros(ring.capacity, records.TICK))
    beside.role.overtake()
    assert not any(beside.dropped())


def test_a_live_stream_does_not_wait_for_room_in_the_bar_ring(genesis: Genesis) -> None:
    beside = Beside(genesis, live=True)
    beside.mark(10)
    beside.fill_bar_ring()
    assert beside.role.step()
    assert all(beside.dropped())


def test_a_replay_waits_for_room_in_the_bar_ring_and_says_so(
    genesis: Genesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [10**12]
    monkeypatch.setattr("engine.bars.role.clock.monotonic_ns", lambda: now[0])
    beside = Beside(genesis, live=False)
    beside.mark(10)
    beside.fill_bar_ring()
    for _ in range(13):
        assert not beside.role.step()
        beside.role.say_blocked()
        now[0] += SECOND
    assert beside.errors == ["blocked", "blocked"]
    assert beside.counted["errors_total"] == 2
    assert not any(beside.dropped())
    beside.tables.bar_ring.set_gate("recorder", beside.tables.bar_ring.tail())
    assert beside.role.step()
    assert beside.role.stage.n == 1


def after_one_cycle(genesis: Genesis) -> Beside:
    """A live role that has decided T = 2 s, a healthy feed far ahead of it."""
    beside = Beside(genesis, live=True)
    beside.mark(10_000)
    assert beside.role.step()
    assert int(beside.newest()["flags"]) == 0
    beside.pass_gates()
    return beside


def test_a_suspend_moves_the_clock_of_everybody_and_is_one_decision(genesis: Genesis) -> None:
    beside = after_one_cycle(genesis)
    anchor_ns = int(beside.newest()["anchor_ns"])
    assert anchor_ns == beside.clock.anchor_ns()
    beside.hand.sleep(600 * SECOND)
    assert beside.role.step()
    jump = beside.newest()
    assert int(jump["anchor_ns"]) == beside.clock.anchor_ns() == anchor_ns + 600 * SECOND
    assert int(jump["flags"]) == records.DECISION_REANCHORED
    assert int(jump["t_ns"]) == beside.start_ns + 602 * SECOND
    assert int(jump["absent"]) == 599
    assert beside.said == [("reanchored", {"slept_s": 600.0})]
    assert beside.gauges["clock_skew_seconds"] == 0
    beside.pass_gates()
    assert not beside.role.step(), "there are no cycles to make up for"
    beside.hand.run(SECOND)
    assert beside.role.step()
    assert int(beside.newest()["flags"]) == 0
    assert int(beside.newest()["absent"]) == 0


def test_a_role_killed_after_it_moved_the_clock_is_followed_by_one_that_says_so(
    genesis: Genesis,
) -> None:
    beside = after_one_cycle(genesis)
    beside.hand.sleep(600 * SECOND)
    assert beside.clock.move() == 600 * SECOND
    beside.kill()
    assert beside.role.step()
    assert int(beside.newest()["flags"]) == records.DECISION_REANCHORED
    assert int(beside.newest()["absent"]) == 599
    assert beside.said == [], "who moved it has told"
    beside.pass_gates()
    beside.kill()
    beside.hand.run(SECOND)
    assert beside.role.step()
    assert int(beside.newest()["flags"]) == 0


def test_the_first_decision_after_a_live_resume_names_the_new_anchor(genesis: Genesis) -> None:
    beside = after_one_cycle(genesis)
    beside.hand.run(2 * SECOND)
    beside.hand.set_wall(SECOND)  # the machine was down; the next start takes the wall clock
    beside.clock.start()
    beside.kill()
    for flagged in (records.DECISION_REANCHORED, 0):
        assert beside.role.step()
        assert int(beside.newest()["flags"]) == flagged
        assert int(beside.newest()["anchor_ns"]) == beside.clock.anchor_ns()
        beside.pass_gates()
        beside.hand.run(2 * SECOND)


def test_a_replay_is_never_moved_and_measures_no_skew(genesis: Genesis) -> None:
    beside = Beside(genesis, live=False)
    anchor_ns = beside.clock.anchor_ns()
    beside.mark(10)
    for _ in range(3):
        beside.hand.sleep(600 * SECOND)
        assert beside.role.step()
        beside.pass_gates()
        assert int(beside.newest()["anchor_ns"]) == int(beside.newest()["flags"]) == 0
    assert beside.clock.anchor_ns() == anchor_ns
    assert "clock_skew_seconds" not in beside.gauges
    assert beside.said == []


def test_a_wall_clock_that_was_set_is_measured_and_told_once_each_time(genesis: Genesis) -> None:
    beside = after_one_cycle(genesis)
    limit_ns = TOLD.clock.max_skew_ms * 1_000_000
    for step_ns in (limit_ns, 1, 10 * SECOND, -10 * SECOND - limit_ns - 1, -limit_ns - 1):
        beside.hand.set_wall(step_ns)
        beside.hand.run(SECOND)
        assert beside.role.step()
        beside.pass_gates()
        assert beside.gauges["clock_skew_seconds"] == beside.clock.skew_ns()
        assert int(beside.newest()["absent"]) == int(beside.newest()["flags"]) == 0
    assert [event for event, _ in beside.said] == ["clock_skew", "clock_skew"]
    assert [told["reason"].split(" engine")[0] for _, told in beside.said] == [
        "The wall clock is 0.250 s ahead of", "The wall clock is 0.250 s behind",
    ]  # fmt: skip


def test_a_live_stream_ends_where_its_session_rolls_and_stays_open_on_a_stop(
    genesis: Genesis,
) -> None:
    beside = after_one_cycle(genesis)
    beside.role.finish(within_ms=60_000)
    assert not beside.role.stage.ended, "the next start resumes it"
    beside.tables.session["roll_ns"] = beside.start_ns + 600 * SECOND
    beside.kill()
    beside.hand.sleep(700 * SECOND)
    assert beside.role.step()
    both = records.DECISION_END | records.DECISION_REANCHORED
    assert int(beside.newest()["flags"]) == both
    assert ("stream_ended", {"n": 2}) in beside.said
    beside.pass_gates()
    beside.hand.run(SECOND)
    assert not beside.role.step()
    beside.kill()
    assert not beside.role.step()


def test_on_a_stop_it_stays_until_the_last_cycle_is_done(genesis: Genesis) -> None:
    beside = Beside(genesis, live=False)
    beside.mark(10)
    assert beside.role.step()
    beside.role.finish(within_ms=60_000)
    assert beside.waits == 3
    assert beside.role.stage.gates_ready(1)


def test_the_board_names_whoever_holds_the_next_cycle_back(genesis: Genesis) -> None:
    beside = Beside(genesis, live=False)
    assert beside.role.waits_for() == "feed0", "its watermark has not moved"
    beside.mark(10)
    assert beside.role.waits_for() == ""
    assert beside.role.step()
    assert beside.role.waits_for() == "indicators"
    write_word(beside.tables.indicators.words, 0, 2)
    assert beside.role.waits_for() == "scan0"
    beside.pass_gates()
    assert beside.role.waits_for() == ""
    beside.fill_bar_ring()
    assert not beside.role.step()
    beside.role.say_blocked()
    assert beside.waited_for == ["recorder"]


def test_a_full_decision_ring_is_put_down_to_its_slowest_reader(genesis: Genesis) -> None:
    beside = Beside(genesis, live=False)
    beside.mark(10)
    ring = beside.tables.decisions
    ring.publish(np.zeros(ring.capacity, records.DECISION))
    ring.set_gate("bars", 5)
    assert beside.role.waits_for() == "recorder"


def test_a_live_stream_waits_for_no_feed(genesis: Genesis) -> None:
    assert Beside(genesis, live=True).role.waits_for() == ""


@pytest.mark.parametrize("live", [False, True])
def test_the_newest_tick_and_how_long_it_took_to_its_cell_are_told(
    genesis: Genesis, live: bool
) -> None:
    beside = Beside(genesis, live=live)
    ticks = np.zeros(200, records.TICK)
    ticks["kind"], ticks["a"], ticks["n1"] = records.TICK_QUOTE, 10.0, 100
    ticks["recv_ns"] = beside.start_ns + np.arange(1, 201) * (SECOND // 1000)
    ticks["event_ns"] = ticks["recv_ns"] - 7
    beside.tables.ticks.rings[0].publish(ticks)
    beside.mark(10)
    assert beside.role.step()
    assert beside.gauges["last_tick_timestamp"] == int(ticks["event_ns"][-1])
    now_ns = beside.clock.now_ns()
    received = ticks["recv_ns"][::4] if live else [int(beside.newest()["decided_ns"])]
    assert beside.latencies == [now_ns - int(at_ns) for at_ns in received]
    beside.latencies.clear()
    beside.pass_gates()
    beside.hand.run(2 * SECOND)
    assert beside.role.step()
    assert beside.latencies == [], "a cycle without ticks tells nothing"
