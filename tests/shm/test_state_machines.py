"""Ring and lane against plain lists: every sequence of calls hypothesis can think of."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shm.arena import PrivateArena
from shm.errors import RingError
from shm.lane import Lane
from shm.ring import Ring
from shm.ring_nb import DROPPED
from tests.conftest import SOAK

GATES = ("bars", "recorder")
CAPACITY = 8
RUNS = settings(
    max_examples=1000 if SOAK else 60, stateful_step_count=60, deadline=None, derandomize=True
)


class RingModel(RuleBasedStateMachine):
    """A ring is a list that nobody forgets, of which the writer keeps the last CAPACITY."""

    @initialize(start=st.sampled_from((0, 5, 1 << 40)))
    def begin(self, start):
        self.ring = Ring.create(PrivateArena(), "ring", np.int64, CAPACITY, GATES)
        self.ring.reset(start)
        self.start = start
        self.published: list[int] = []
        self.gates = dict.fromkeys(GATES, start)
        self.next = 1

    @property
    def tail(self) -> int:
        return self.start + len(self.published)

    def room(self) -> int:
        held = [position for position in self.gates.values() if position != DROPPED]
        return CAPACITY - (self.tail - min(held, default=self.tail))

    def values(self, a, b) -> list[int]:
        return self.published[a - self.start : b - self.start]

    @rule(count=st.integers(0, CAPACITY + 3))
    def publish(self, count):
        batch = list(range(self.next, self.next + count))
        taken = min(count, self.room())
        assert self.ring.free() == self.room()
        assert self.ring.publish(np.array(batch, np.int64)) == taken
        self.published += batch[:taken]
        self.next += count

    @rule(gate=st.sampled_from(GATES), part=st.floats(0, 1))
    def read_in_place(self, gate, part):
        held = self.gates[gate]
        if held == DROPPED:
            assert not self.ring.set_gate(gate, self.tail)
            return
        until = held + int(part * (self.tail - held))
        found = [int(value) for view in self.ring.slices(held, until) for value in view]
        assert found == self.values(held, until)
        assert self.ring.set_gate(gate, until)
        self.gates[gate] = until

    @rule(gate=st.sampled_from(GATES))
    def drop(self, gate):
        self.ring.drop_gate(gate)
        self.gates[gate] = DROPPED

    @rule(gate=st.sampled_from(GATES))
    def rejoin(self, gate):
        self.gates[gate] = self.ring.rejoin(gate)
        assert self.gates[gate] == self.tail

    @rule(back=st.integers(0, 2 * CAPACITY), length=st.integers(0, 2 * CAPACITY))
    def copy(self, back, length):
        a = max(self.start, self.tail - back)
        b = min(self.tail, a + length)
        copied = self.ring.copy(a, b)
        if self.tail - a > CAPACITY:
            assert copied is None
        else:
            assert copied is not None
            assert copied.tolist() == self.values(a, b)

    @rule(mark=st.integers(-(1 << 63), (1 << 63) - 1))
    def watermark(self, mark):
        self.ring.set_mark(mark)
        assert self.ring.mark() == mark

    @rule()
    def refuse_nonsense(self):
        for nonsense in (
            lambda: self.ring.copy(self.tail, self.tail + 1),
            lambda: self.ring.slices(self.tail - CAPACITY - 1, self.tail),
            lambda: self.ring.set_gate("bars", self.tail + 1),
            lambda: self.ring.gate("nobody"),
            lambda: self.ring.publish(np.zeros(1, np.int32)),
        ):
            try:
                nonsense()
            except RingError:
                continue
            raise AssertionError("nonsense was accepted")

    @invariant()
    def words_agree(self):
        if not hasattr(self, "ring"):
            return
        assert self.ring.tail() == self.tail
        assert {gate: self.ring.gate(gate) for gate in GATES} == self.gates
        assert 0 <= self.ring.free() <= CAPACITY


class LaneModel(RuleBasedStateMachine):
    """A lane is a queue; what is written is there from the publication on, not before."""

    def __init__(self):
        super().__init__()
        self.lane = Lane.create(PrivateArena(), "lane", CAPACITY)
        self.sent: list[int] = []
        self.head = 0

    @rule(count=st.integers(0, CAPACITY), give_up=st.booleans())
    def write(self, count, give_up):
        count = min(count, self.lane.free())
        for k in range(count):
            self.lane.data[(len(self.sent) + k) & (CAPACITY - 1)] = len(self.sent) + k
        if not give_up:  # else: the writer died before its one store, and nothing happened
            self.lane.publish(len(self.sent) + count)
            self.sent += range(len(self.sent), len(self.sent) + count)

    @precondition(lambda self: self.head < len(self.sent))
    @rule(part=st.floats(0, 1))
    def read(self, part):
        until = self.head + int(part * (len(self.sent) - self.head))
        rows = [self.lane.data[p & (CAPACITY - 1)].tolist() for p in range(self.head, until)]
        assert rows == [[value] * 8 for value in self.sent[self.head : until]]
        self.lane.set_head(until)
        self.head = until

    @rule()
    def refuse_nonsense(self):
        for nonsense in (
            lambda: self.lane.publish(self.head + CAPACITY + 1),
            lambda: self.lane.publish(len(self.sent) - 1),
            lambda: self.lane.set_head(len(self.sent) + 1),
            lambda: self.lane.set_head(self.head - 1),
        ):
            try:
                nonsense()
            except RingError:
                continue
            raise AssertionError("nonsense was accepted")

    @invariant()
    def words_agree(self):
        assert (self.lane.head(), self.lane.tail()) == (self.head, len(self.sent))
        assert self.lane.free() == CAPACITY - (len(self.sent) - self.head)


pytestmark = pytest.mark.soak

TestRing = RingModel.TestCase
TestRing.settings = RUNS
TestLane = LaneModel.TestCase
TestLane.settings = RUNS
