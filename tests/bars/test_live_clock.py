"""Deciding by a clock that jumps over a suspend: one decision, flagged, whoever is killed."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bars.decision import next_live
from engine.bars.stage import BarsStage
from engine.domain import records
from shm.arena import PrivateArena
from shm.engine_clock import CLOCK_WORDS, EngineClock
from shm.words import words
from tests.bars.floor import INTERVAL, SECOND, T0, Floor, quote, trade
from tests.shm.clocks import HandClocks

WAIT = SECOND // 4
HOUR = 3600 * SECOND
MOMENT = 1_000


class Live:
    """A live sequencer over a floor, with the clock in the test's hand."""

    def __init__(self, feeds: int = 1) -> None:
        self.floor = Floor(feeds=feeds)
        self.hand = HandClocks(T0)
        self.clock = EngineClock(words(PrivateArena(), "clock", CLOCK_WORDS), self.hand.clocks)
        self.clock.start()
        self.moved_ns = 0

    def mark(self, *feeds: int) -> None:
        """These feeds publish their watermark, all if none is named; that takes an instant."""
        self.hand.run(MOMENT)
        for feed, ring in enumerate(self.floor.tables.ticks.rings):
            if not feeds or feed in feeds:
                ring.set_mark(max(ring.mark(), self.clock.now_ns() - 1))

    def notice(self) -> None:
        """What the role does before it decides."""
        if self.clock.move():
            self.moved_ns = self.clock.now_ns()

    def step(self) -> np.void | None:
        """One cycle, if one is due."""
        stage, clock = self.floor.stage, self.clock
        decision = stage.decide_live(
            clock.now_ns(), WAIT, anchor_ns=clock.anchor_ns(), moved_ns=self.moved_ns
        )
        if decision is not None:
            assert stage.execute(decision)
            self.floor.pass_gates()
        return decision

    def cycles(self) -> list[np.void]:
        """Every cycle that is due."""
        found = []
        while (decision := self.step()) is not None:
            found.append(decision)
        return found

    def kill(self) -> None:
        """Another process takes over."""
        self.floor.stage = BarsStage(self.floor.tables)
        self.floor.stage.recover()
        self.floor.pass_gates()
        pending = self.floor.stage.reanchored(self.clock.anchor_ns())
        self.moved_ns = self.clock.now_ns() if pending else 0


def flags(decision: np.void) -> int:
    return int(decision["flags"])


def test_a_suspend_is_one_decision_with_the_new_anchor_and_every_absent_point() -> None:
    live = Live()
    live.hand.run(SECOND)
    live.mark()
    (first,) = live.cycles()
    assert first["anchor_ns"] == live.clock.anchor_ns() and not flags(first)
    live.floor.publish(trade(0, 1.0, 10, 3))
    live.hand.sleep(HOUR)
    live.hand.run(SECOND // 20)
    live.notice()
    assert live.step() is None, "no feed has seen the new clock"
    live.mark()
    (jump,) = live.cycles()
    assert flags(jump) == records.DECISION_REANCHORED
    assert jump["anchor_ns"] == live.clock.anchor_ns() == first["anchor_ns"] + HOUR
    assert jump["t_ns"] == T0 + HOUR + SECOND
    assert jump["absent"] == HOUR // INTERVAL - 1
    assert live.floor.row()["last"] == 10, "the ticks of before the suspend are in it"
    live.hand.run(INTERVAL)
    live.mark()
    (after,) = live.cycles()
    assert not flags(after) and after["absent"] == 0


def test_a_feed_that_does_not_come_back_is_waited_for_as_ever() -> None:
    live = Live(feeds=2)
    live.hand.run(SECOND)
    live.mark()
    assert len(live.cycles()) == 1
    live.floor.publish(quote(0, 1.0, 1, 2), feed=1)
    live.hand.sleep(HOUR)
    live.notice()
    live.mark(0)
    live.hand.run(WAIT - MOMENT)
    assert live.step() is None
    live.hand.run(INTERVAL)
    live.mark(0)
    decision = live.step()
    assert decision is not None
    assert flags(decision) == records.DECISION_REANCHORED | records.DECISION_LAGGING
    assert decision["tick_end"][:2].tolist() == [0, 1]
    assert T0 + HOUR + SECOND <= decision["t_ns"] <= live.clock.now_ns() - WAIT


def test_a_long_interval_gives_feeds_the_same_wait() -> None:
    moved_ns = 10 * SECOND + 9 * SECOND // 10
    for now_ns, marks, due in (
        (moved_ns, [2 * SECOND], None),
        (moved_ns + WAIT, [2 * SECOND], None),
        (moved_ns + WAIT + 1, [2 * SECOND], 10 * SECOND),
        (moved_ns + 1, [moved_ns], 10 * SECOND),
        (moved_ns + 1, [moved_ns, 2 * SECOND], None),
    ):
        assert next_live(2 * SECOND, now_ns, WAIT, SECOND, marks, moved_ns) == due


def test_killed_between_moving_the_clock_and_deciding_it_still_says_so() -> None:
    live = Live()
    live.hand.run(SECOND)
    live.mark()
    live.cycles()
    live.hand.sleep(HOUR)
    assert live.clock.move() == HOUR
    live.kill()
    assert live.moved_ns == T0 + HOUR + SECOND + MOMENT
    assert live.clock.move() == 0
    live.mark()
    (jump,) = live.cycles()
    assert flags(jump) == records.DECISION_REANCHORED
    live.kill()
    live.hand.run(INTERVAL)
    live.mark()
    (after,) = live.cycles()
    assert not flags(after) and live.moved_ns == 0


def test_killed_after_deciding_the_decision_is_executed_and_the_next_is_not_flagged() -> None:
    live = Live()
    live.hand.run(SECOND)
    live.mark()
    live.cycles()
    live.hand.sleep(HOUR)
    live.notice()
    live.mark()
    stage = live.floor.stage
    jump = stage.decide_live(live.clock.now_ns(), WAIT, anchor_ns=live.clock.anchor_ns())
    assert jump is not None and flags(jump) == records.DECISION_REANCHORED
    live.kill()
    assert live.floor.head["t_ns"] == jump["t_ns"] and live.floor.head["flags"] == flags(jump)
    live.hand.run(INTERVAL)
    live.mark()
    assert [flags(one) for one in live.cycles()] == [0]


def test_the_first_cycle_of_a_stream_has_no_anchor_to_differ_from() -> None:
    live = Live()
    live.hand.sleep(HOUR)
    live.notice()
    live.mark()
    (first,) = live.cycles()
    assert not flags(first) and first["anchor_ns"] == live.clock.anchor_ns()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["run", "run", "sleep", "notice", "mark", "decide", "decide", "kill"]),
        st.integers(1, 40),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_time_only_goes_forward_and_every_grid_point_is_counted_once(
    steps: list[tuple[str, int]],
) -> None:
    live, decisions = Live(), []
    for what, amount in steps:
        if what == "run":
            live.hand.run(amount * INTERVAL // 10)
        elif what == "sleep":
            live.hand.sleep(amount * SECOND)
        elif what == "notice":
            live.notice()
        elif what == "mark":
            live.mark()
        elif what == "kill":
            live.kill()
        else:
            decisions += live.cycles()
    times = [T0, *(int(one["t_ns"]) for one in decisions)]
    assert (np.diff(times) > 0).all()
    absent = sum(int(one["absent"]) for one in decisions)
    assert absent + len(decisions) == (times[-1] - T0) // INTERVAL
    anchors = [int(one["anchor_ns"]) for one in decisions]
    moved = [b != a for a, b in itertools.pairwise(anchors)]
    flagged = [bool(flags(one) & records.DECISION_REANCHORED) for one in decisions]
    assert flagged == [False, *moved][: len(decisions)]
    assert times[-1] <= max(T0, live.clock.now_ns())
