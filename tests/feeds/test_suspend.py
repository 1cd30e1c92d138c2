"""A live feed over a suspend: its stamps jump, its tape goes on where it was left."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.records import TICK_TRADE
from engine.feeds.role import Stamps
from engine.feeds.stage import END_OF_INPUT, FeedStage
from shm.arena import PrivateArena
from shm.engine_clock import CLOCK_WORDS, EngineClock
from shm.words import words
from tests.feeds.test_stage import SECOND, START, Listed, place
from tests.shm.clocks import HandClocks

WALL = 1_767_623_370 * SECOND
TICKS = [(START + i * SECOND // 10, "ABCDE"[i % 5]) for i in range(600)]


class Feed:
    """A live feed and the bars that moves its clock."""

    def __init__(self) -> None:
        self.ring, self.names = place(1 << 10)
        self.hand = HandClocks(WALL)
        self.clock = EngineClock(words(PrivateArena(), "clock", CLOCK_WORDS), self.hand.clocks)
        self.clock.start()
        self.kill()

    def kill(self) -> None:
        """Another process takes over."""
        self.stamps = Stamps(self.clock)
        provider = Listed(TICKS, live=True)
        self.stage = FeedStage(self.ring, self.names, provider, 1.0, self.stamps.now_ns)
        self.stage.recover()

    def step(self, ns: int = 0) -> None:
        """What the role does in one turn, after so much time."""
        self.hand.run(ns)
        self.stamps.follow(self.stage)
        self.stage.step()

    def trades(self) -> np.ndarray:
        """Every trade published so far."""
        ticks = self.ring.data[: self.ring.tail()]
        return ticks[ticks["kind"] == TICK_TRADE]


def test_ticks_after_a_suspend_carry_the_new_time_and_none_is_rushed_or_lost() -> None:
    feed = Feed()
    for _ in range(10):
        feed.step(SECOND // 10)
    before = len(feed.trades())
    assert before == 11
    feed.hand.sleep(3600 * SECOND)
    feed.step(SECOND // 10)
    assert feed.trades()["recv_ns"][-1] == WALL + 11 * SECOND // 10, "bars has not noticed"
    assert feed.clock.move() == 3600 * SECOND
    feed.step(SECOND // 10)
    assert len(feed.trades()) == before + 2
    last = feed.trades()[-1]
    assert last["recv_ns"] == last["event_ns"] == feed.hand.wall_ns
    assert feed.ring.mark() == feed.hand.wall_ns - 1
    for _ in range(10):
        feed.step(SECOND // 10)
    assert len(feed.trades()) == before + 12
    assert (np.diff(feed.trades()["recv_ns"]) >= 0).all()


def test_a_live_feed_killed_before_its_first_tick_does_not_take_its_mark_for_tape_time() -> None:
    feed = Feed()
    feed.stage = FeedStage(
        feed.ring, feed.names, Listed(TICKS[5:], True, START), 1.0, feed.stamps.now_ns
    )
    feed.step(SECOND // 10)
    assert (feed.ring.tail(), feed.ring.mark()) == (0, feed.hand.wall_ns - 1)
    feed.kill()
    feed.step(SECOND // 10)
    assert len(feed.trades()) == 2, "its tape begins"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["step", "step", "sleep", "move", "kill"]), st.integers(0, SECOND)
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_stamps_and_watermark_never_go_back_and_every_tick_comes_once(
    steps: list[tuple[str, int]],
) -> None:
    feed = Feed()
    for what, amount in steps:
        mark, tail = feed.ring.mark(), feed.ring.tail()
        if what == "step":
            feed.step(amount)
        elif what == "sleep":
            feed.hand.sleep(600 * amount)
        elif what == "move":
            feed.clock.move()
        else:
            feed.kill()
        new = feed.ring.data[tail : feed.ring.tail()]
        assert mark <= feed.ring.mark() < END_OF_INPUT
        assert (new["recv_ns"] > mark).all()
        assert (new["recv_ns"] <= feed.clock.now_ns()).all()
    recv_ns = feed.ring.data[: feed.ring.tail()]["recv_ns"]
    assert (np.diff(recv_ns) >= 0).all()
    assert feed.trades()["src_pos"].tolist() == list(range(len(feed.trades())))
