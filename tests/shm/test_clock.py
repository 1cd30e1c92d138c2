"""Engine time: it follows suspends, never the hands of whoever sets the wall clock."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shm.arena import PrivateArena
from shm.clock import Clocks, realtime_ns
from shm.engine_clock import CLOCK_WORDS, SUSPEND_MIN_NS, EngineClock
from shm.words import words
from tests.shm.clocks import HandClocks

SECOND = 1_000_000_000
WALL = 1_767_623_370 * SECOND


def new_words() -> np.ndarray:
    return words(PrivateArena(), "clock", CLOCK_WORDS)


def started(hand: HandClocks) -> EngineClock:
    clock = EngineClock(new_words(), hand.clocks)
    clock.start()
    return clock


def test_engine_time_starts_as_the_wall_clock_and_runs_with_the_monotonic_one() -> None:
    hand = HandClocks(WALL)
    clock = started(hand)
    assert clock.now_ns() == WALL
    hand.run(3 * SECOND)
    assert clock.now_ns() == WALL + 3 * SECOND
    assert clock.skew_ns() == 0


def test_setting_the_wall_clock_changes_nothing_but_the_skew() -> None:
    hand = HandClocks(WALL)
    clock = started(hand)
    for step in (3600 * SECOND, -7200 * SECOND):
        before, skew_ns = clock.now_ns(), clock.skew_ns()
        hand.set_wall(step)
        assert clock.move() == 0
        assert clock.now_ns() == before
        assert clock.skew_ns() == skew_ns + step


def test_a_suspend_moves_the_anchor_by_its_length_once_and_for_everybody() -> None:
    hand = HandClocks(WALL)
    clock = started(hand)
    other = EngineClock(clock._words, hand.clocks)
    anchor_ns = clock.anchor_ns()
    hand.run(SECOND)
    hand.sleep(8 * 3600 * SECOND + 123)
    assert other.now_ns() == WALL + SECOND, "nobody has noticed"
    assert clock.skew_ns() == 8 * 3600 * SECOND + 123
    assert clock.move() == 8 * 3600 * SECOND + 123
    assert clock.move() == 0
    assert other.anchor_ns() == clock.anchor_ns() == anchor_ns + 8 * 3600 * SECOND + 123
    assert other.now_ns() == hand.wall_ns
    assert clock.skew_ns() == 0


def test_suspends_too_short_to_be_told_from_a_reading_are_added_up() -> None:
    hand = HandClocks(WALL)
    clock = started(hand)
    hand.sleep(SUSPEND_MIN_NS - 1)
    assert clock.move() == 0
    hand.sleep(1)
    assert clock.move() == SUSPEND_MIN_NS


def test_a_successor_moves_what_its_predecessor_did_not_and_no_more() -> None:
    hand = HandClocks(WALL)
    clock = started(hand)
    hand.sleep(5 * SECOND)
    successor = EngineClock(clock._words, hand.clocks)
    assert successor.move() == 5 * SECOND
    assert EngineClock(clock._words, hand.clocks).move() == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["run", "sleep", "set", "move", "kill"]),
        st.integers(0, 10**13),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(STEPS)
def test_engine_time_is_the_time_since_the_start_whatever_happens(
    steps: list[tuple[str, int]],
) -> None:
    hand = HandClocks(WALL)
    clock = started(hand)
    begun_ns = hand.mono_ns + hand.slept_ns
    newest_ns = clock.now_ns()
    for what, amount in steps:
        if what == "run":
            hand.run(amount)
        elif what == "sleep":
            hand.sleep(amount)
        elif what == "set":
            hand.set_wall(amount - 5 * 10**12)
        elif what == "kill":
            clock = EngineClock(clock._words, hand.clocks)
        else:
            clock.move()
        assert clock.now_ns() >= newest_ns
        newest_ns = clock.now_ns()
    clock.move()
    missing_ns = WALL + (hand.mono_ns + hand.slept_ns - begun_ns) - clock.now_ns()
    assert 0 <= missing_ns < SUSPEND_MIN_NS
    assert clock.skew_ns() == hand.wall_ns - clock.now_ns()


@settings(deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 10**10), max_size=5))
def test_being_preempted_between_readings_never_looks_like_a_suspend(
    seed: int, sleeps: list[int]
) -> None:
    chance = random.Random(seed)
    pauses = (30, 30, 30, 80, 2_000, 50_000_000, 3 * SECOND)
    hand = HandClocks(WALL)
    clock = started(hand)
    awake_anchor_ns = clock.anchor_ns() - hand.slept_ns
    hand.pause = lambda: chance.choice(pauses)
    for slept_ns in (0, *sleeps):
        hand.sleep(slept_ns)
        for _ in range(5):
            before_ns = clock.anchor_ns()
            assert clock.move() == clock.anchor_ns() - before_ns >= 0
            assert clock.anchor_ns() <= awake_anchor_ns + hand.slept_ns
    hand.pause = lambda: 0
    clock.move()
    assert awake_anchor_ns + hand.slept_ns - clock.anchor_ns() < SUSPEND_MIN_NS


def test_the_kernels_clocks_agree_with_each_other() -> None:
    clock = EngineClock(new_words())
    clock.start()
    assert abs(clock.now_ns() - realtime_ns()) < SECOND
    assert abs(clock.skew_ns()) < SECOND
    assert clock.move() == 0


@pytest.mark.parametrize("samples", [1, 9])
def test_the_kernel_counts_no_negative_suspend(samples: int) -> None:
    assert Clocks().suspended_ns(samples) > -SECOND
