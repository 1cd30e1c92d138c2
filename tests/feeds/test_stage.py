"""The feed stage: pacing, watermark, full rings, and taking over after a kill at any record."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.records import (
    TICK,
    TICK_ADMIT,
    TICK_GAP_END,
    TICK_GAP_START,
    TICK_STATUS,
    TICK_TRADE,
)
from engine.feeds import stage as stage_module
from engine.feeds.admit import admit_name, admitted_batches, learn_admits
from engine.feeds.port import BEFORE_ALL
from engine.feeds.stage import END_OF_INPUT, GAP_OVERFLOW, FeedStage
from shm.arena import PrivateArena
from shm.names import Names
from shm.ring import Ring
from tests.feeds.conftest import equal_ticks

SECOND = 1_000_000_000
START = 1_000 * SECOND


class Listed:
    """A provider of given ticks: (recv_ns, ticker[, kind])."""

    def __init__(self, rows, live=False, start_ns=START):
        self.live, self.start_ns = live, start_ns
        self.rows_bad = self.rows_late = self.unknown_conditions = 0
        self.tickers = sorted({row[1] for row in rows})
        self.ticks = np.zeros(len(rows), TICK)
        for i, (recv, symbol, *kind) in enumerate(rows):
            tick = self.ticks[i]
            tick["kind"] = kind[0] if kind else TICK_TRADE
            tick["sym"] = self.tickers.index(symbol)
            tick["recv_ns"] = tick["event_ns"] = recv
            tick["src_pos"], tick["a"], tick["b"] = i, i + 1, 100
        self.at = 0

    @property
    def names(self):
        return np.array([t.encode() for t in self.tickers], "S24").view(np.int64).reshape(-1, 3)

    def name(self, number):
        return self.tickers[number]

    def read(self, limit):
        part = self.ticks[self.at : self.at + limit]
        self.at += len(part)
        return part

    def seek(self, src_pos):
        self.at = src_pos + 1

    def reset(self):
        self.at = 0


class Clock:
    def __init__(self):
        self.now = 50 * SECOND

    def __call__(self):
        return self.now


def place(capacity=64, names=8):
    arena = PrivateArena()
    ring = Ring.create(arena, "ring", TICK, capacity, ("bars",))
    return ring, Names.create(arena, "names", names)


def drain(ring, seen):
    """Take everything published since, as a gating reader does."""
    for part in ring.slices(ring.gate("bars"), ring.tail()):
        seen.append(part.copy())
    ring.set_gate("bars", ring.tail())


def rows(count, symbols=("A", "B", "C"), gap_ns=SECOND // 10):
    return [(START + i * gap_ns, symbols[i % len(symbols)]) for i in range(count)]


def test_ticks_come_out_as_their_time_comes():
    ring, names = place()
    clock = Clock()
    source = Listed([(START + SECOND, "A"), (START + 3 * SECOND, "B")])
    stage = FeedStage(ring, names, source, 2.0, clock)
    stage.step()
    assert (ring.tail(), ring.mark()) == (0, START)
    clock.now += SECOND // 2 - 1
    stage.step()
    assert (ring.tail(), ring.mark()) == (0, START + SECOND - 2)
    clock.now += 1
    assert stage.step()
    assert ring.tail() == 2
    assert ring.data["kind"][:2].tolist() == [TICK_ADMIT, TICK_TRADE]
    assert ring.mark() == START + SECOND
    clock.now += 10 * SECOND
    assert stage.step()
    assert (ring.tail(), ring.mark(), stage.ended) == (4, END_OF_INPUT, True)
    assert not stage.step()
    assert names.all() == [(0, "A"), (1, "B")]
    assert stage.ticks == 4


def test_the_watermark_never_passes_what_follows_and_never_goes_back():
    ring, names = place(16)
    clock, marks, seen = Clock(), [], []
    stage = FeedStage(ring, names, Listed(rows(200, gap_ns=SECOND // 7)), 3.0, clock)
    while not stage.ended:
        before = ring.tail()
        mark = ring.mark()
        stage.step()
        new = [int(ring.data["recv_ns"][p % 16]) for p in range(before, ring.tail())]
        assert all(recv > mark for recv in new)
        assert ring.mark() >= mark
        marks.append(ring.mark())
        clock.now += SECOND // 50
        if len(marks) % 5 == 0:
            drain(ring, seen)
    drain(ring, seen)
    assert len(np.concatenate(seen)) == 203


def test_a_feed_without_room_says_so_until_there_is_some():
    ring, names = place(16)
    stage = FeedStage(ring, names, Listed(rows(100)), 0.0, Clock())
    assert not stage.blocked
    while stage.step():
        pass
    assert stage.blocked
    assert ring.free() == 0
    drain(ring, [])
    while not stage.ended:
        stage.step()
        drain(ring, [])
    assert not stage.blocked


def test_between_ticks_the_watermark_moves_with_the_pace_in_small_steps():
    ring, names = place()
    clock = Clock()
    stage = FeedStage(ring, names, Listed([(START + 60 * SECOND, "A")]), 1.0, clock)
    stage.step()
    moves = 0
    for _ in range(1000):
        clock.now += 100_000
        moves += stage.step()
    assert 40 <= moves <= 60
    assert 0 <= stage.wait_ns() <= stage_module.MARK_STEP_NS


def test_a_full_ring_is_waited_for_in_a_replay():
    ring, names = place(16)
    source, seen = Listed(rows(100)), []
    stage = FeedStage(ring, names, source, 0, Clock())
    for _ in range(1000):
        if not stage.step():
            drain(ring, seen)
        if stage.ended:
            break
    drain(ring, seen)
    ticks = np.concatenate(seen)
    trades = ticks[ticks["kind"] == TICK_TRADE]
    assert trades["src_pos"].tolist() == list(range(100))
    assert stage.dropped == 0


def test_known_tickers_need_no_admit_and_unknown_ones_get_the_next_number():
    ring, names = place()
    names.set(0, "B")
    names.set(1, "Z")
    stage = FeedStage(ring, names, Listed(rows(3)), 0, Clock())
    stage.step()
    ticks = ring.data[: ring.tail()]
    assert ticks["kind"].tolist() == [TICK_ADMIT, TICK_TRADE, TICK_TRADE, TICK_ADMIT, TICK_TRADE]
    assert ticks["sym"].tolist() == [2, 2, 0, 3, 3]
    assert [admit_name(t) for t in ticks if t["kind"] == TICK_ADMIT] == ["A", "C"]
    assert names.all() == [(0, "B"), (1, "Z"), (2, "A"), (3, "C")]


def test_tickers_beyond_the_capacity_are_refused_and_counted():
    ring, names = place(names=2)
    stage = FeedStage(ring, names, Listed(rows(9)), 0, Clock())
    while stage.step():
        pass
    ticks = ring.data[: ring.tail()]
    assert set(ticks["sym"].tolist()) == {0, 1}
    assert (stage.refused, len(ticks)) == (3, 8)


def test_a_name_of_24_bytes_survives_the_admit():
    long = "ABCDEFGHIJKLMNOPQRSTUVWX"
    ticks = next(admitted_batches(Listed([(START, long)]), (), 4))
    assert admit_name(ticks[0]) == long
    _, names = place()
    assert learn_admits(names, ticks) == 1
    assert learn_admits(names, ticks) == 0
    assert names.get(0) == long


def run_with_kills(rows_, kills, capacity, naming_dies):
    """Everything published by feeds that are replaced after so many steps each."""
    ring, names = place(capacity)
    clock, seen = Clock(), []
    for steps in [*kills, 10_000]:
        stage = FeedStage(ring, names, Listed(rows_), 5.0, clock)
        stage.recover()
        for step in range(steps):
            clock.now += SECOND // 20
            last = step == steps - 1
            with pytest.MonkeyPatch.context() as patch:
                if last and naming_dies:
                    patch.setattr(stage_module, "learn_admits", lambda *_: 0)
                stage.step()
            if step % 3 == 0:
                drain(ring, seen)
            if stage.ended:
                break
        if ring.mark() == END_OF_INPUT:
            break
    drain(ring, seen)
    assert ring.mark() == END_OF_INPUT
    return np.concatenate(seen), names.all()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from("ABCDEFG")), min_size=1, max_size=60),
    st.lists(st.integers(0, 12), max_size=12),
    st.sampled_from([8, 32]),
    st.booleans(),
)
def test_a_killed_feed_goes_on_with_exactly_the_records_that_are_missing(
    gaps, kills, capacity, naming_dies
):
    recv, rows_ = START, []
    for gap, symbol in gaps:
        recv += gap * SECOND // 10
        rows_.append((recv, symbol))
    expected, expected_names = run_with_kills(rows_, [], capacity, naming_dies=False)
    ticks, names = run_with_kills(rows_, kills, capacity, naming_dies)
    assert equal_ticks(ticks, expected)
    if not naming_dies:
        assert names == expected_names


def test_a_reset_ring_goes_on_from_the_position_it_is_told():
    ring, names = place()
    ring.reset(640)
    for number, ticker in enumerate("ABC"):
        names.set(number, ticker)
    stage = FeedStage(ring, names, Listed(rows(20)), 0, Clock())
    stage.recover(after=11, tape_ns=START + 11 * SECOND // 10)
    stage.step()
    ticks = np.concatenate(ring.slices(640, ring.tail()))
    assert ticks["src_pos"].tolist() == list(range(12, 20))[: len(ticks)]


def test_a_feed_taking_over_paces_from_where_the_dead_one_was():
    ring, names = place()
    clock = Clock()
    first = FeedStage(ring, names, Listed(rows(100, gap_ns=SECOND)), 1.0, clock)
    for _ in range(10):
        first.step()
        clock.now += SECOND
    had = ring.tail()
    clock.now += 3600 * SECOND
    second = FeedStage(ring, names, Listed(rows(100, gap_ns=SECOND)), 1.0, clock)
    second.step()
    assert ring.tail() - had <= 1
    clock.now += SECOND
    second.step()
    assert ring.tail() - had <= 2


def test_live_ticks_are_stamped_when_published():
    ring, names = place()
    clock = Clock()
    stage = FeedStage(ring, names, Listed(rows(40), live=True), 0, clock)
    stage.recover()
    for _ in range(10):
        clock.now += SECOND // 10
        mark = ring.mark()
        before = ring.tail()
        stage.step()
        new = ring.data[before : ring.tail()]
        assert (new["recv_ns"] == clock.now).all()
        assert (new["event_ns"] <= new["recv_ns"]).all()
        assert (new["recv_ns"] > mark).all()
    trades = ring.data[: ring.tail()]
    trades = trades[trades["kind"] == TICK_TRADE]
    assert len(trades) == 11


def test_a_live_feed_drops_between_gap_records_and_keeps_what_would_not_heal():
    ring, names = place(16)
    clock, seen = Clock(), []
    source = [(START + i * SECOND // 10, "ABCDE"[i % 5]) for i in range(60)]
    source[40] = (*source[40][:1], "E", TICK_STATUS)
    stage = FeedStage(ring, names, Listed(source, live=True), 1.0, clock)
    stage.recover()
    for step in range(80):
        clock.now += SECOND // 10
        stage.step()
        if step > 50:
            drain(ring, seen)
    drain(ring, seen)
    ticks = np.concatenate(seen)
    ours = ticks[ticks["n1"] == GAP_OVERFLOW]
    ours = ours[np.isin(ours["kind"], (TICK_GAP_START, TICK_GAP_END))]
    assert ours["kind"].tolist() == [TICK_GAP_START, TICK_GAP_END]
    assert (np.diff(ticks["recv_ns"]) >= 0).all()
    assert {admit_name(t) for t in ticks if t["kind"] == TICK_ADMIT} == set("ABCDE")
    assert (ticks["kind"] == TICK_STATUS).sum() == 1
    trades = ticks[ticks["kind"] == TICK_TRADE]
    assert len(trades) + stage.dropped == 59
    assert stage.dropped > 20
    assert ring.mark() == END_OF_INPUT


def test_a_live_feed_killed_while_dropping_closes_the_gap():
    ring, names = place(16)
    clock = Clock()
    for _ in range(2):
        stage = FeedStage(ring, names, Listed(rows(400), live=True), 1.0, clock)
        for _ in range(60):
            clock.now += SECOND // 10
            stage.step()
    assert ring.data["kind"][(ring.tail() - 1) % 16] == TICK_GAP_START
    seen = []
    drain(ring, seen)
    stage = FeedStage(ring, names, Listed(rows(400), live=True), 1.0, clock)
    stage.step()
    drain(ring, seen)
    assert np.concatenate(seen)["kind"].tolist().count(TICK_GAP_END) == 1


def test_nothing_is_published_before_all_when_there_is_no_input():
    ring, names = place()
    stage = FeedStage(ring, names, Listed([]), 1.0, Clock())
    stage.recover(BEFORE_ALL)
    assert stage.step()
    assert (ring.tail(), ring.mark()) == (0, END_OF_INPUT)
