"""The bars role beside a recorder that gave up, stalls, or makes no room."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.bars.role import _Bars
from engine.domain import records
from engine.domain.tables import FLOW_UNRECORDED
from engine.replay.genesis import Genesis, restore
from shm import clock
from shm.fences import write_word
from shm.words import WORD_STRIDE
from tests.replay.market import begin, config, tables_of

TOLD = config(symbols=4)
SECOND = records.NS_PER_SECOND


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return begin(TOLD)


class Beside:
    """A bars role over private tables; indicators and scan are always through."""

    def __init__(self, genesis: Genesis, *, live: bool, resumed_n: int = 0) -> None:
        self.tables = tables_of(TOLD)
        restore(self.tables, genesis)
        self.errors: list[str] = []
        self.counted: Counter[str] = Counter()
        self.waits = 0
        start_ns = genesis.header.start_ns
        self.offset_ns = start_ns + 5 * SECOND // 2 - clock.monotonic_ns()
        stream = SimpleNamespace(
            live=live, interval_ns=SECOND, anchor_ns=self.offset_ns, resumed_n=resumed_n
        )
        context: Any = SimpleNamespace(
            shared=SimpleNamespace(
                tables=self.tables, stream=stream, config=TOLD, board=None, data_dir=None
            ),
            log=SimpleNamespace(
                error=lambda event, **told: self.errors.append(event), info=lambda *a, **k: None
            ),
            telemetry=SimpleNamespace(
                count=lambda name, amount=1: self.counted.update({name: amount}),
                set=lambda name, value: None,
                observe=lambda name, value: None,
            ),
            wake=SimpleNamespace(notify=lambda key: None, wait=self._wait),
            progress=lambda n: None,
            beat=lambda: None,
        )
        self.role = _Bars(context)

    def _wait(self, _seconds: float) -> None:
        self.waits += 1
        if self.waits == 3:
            self.pass_gates()

    def pass_gates(self) -> None:
        n = self.role.stage.n
        write_word(self.tables.indicators.words, 0, 2 * n)
        write_word(self.tables.scan.words, 0, n)

    def mark(self, seconds: float) -> None:
        start_ns = int(self.tables.cell.heads[0]["t_ns"])
        self.tables.ticks.rings[0].set_mark(start_ns + int(seconds * SECOND))

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
    beside.role.anchor = clock.Anchor(beside.offset_ns + 2 * SECOND)
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


def test_the_first_decision_after_a_live_resume_names_the_new_anchor(genesis: Genesis) -> None:
    beside = Beside(genesis, live=True)
    beside.mark(10)
    assert beside.role.step()
    assert int(beside.newest()["anchor_ns"]) == beside.offset_ns
    assert not int(beside.newest()["flags"]) & records.DECISION_REANCHORED
    beside.role.ctx.shared.stream.resumed_n = 1
    for flagged in (True, False):
        beside.pass_gates()
        beside.offset_ns += 2 * SECOND
        beside.role.anchor = clock.Anchor(beside.offset_ns)
        assert beside.role.step()
        assert bool(int(beside.newest()["flags"]) & records.DECISION_REANCHORED) is flagged


def test_on_a_stop_it_stays_until_the_last_cycle_is_done(genesis: Genesis) -> None:
    beside = Beside(genesis, live=False)
    beside.mark(10)
    assert beside.role.step()
    beside.role.finish(within_ms=60_000)
    assert beside.waits == 3
    assert beside.role.stage.gates_ready(1)
