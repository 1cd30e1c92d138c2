"""What conditions remember, naively: whole histories in lists, one symbol, cycle by cycle.

Exact meaning, with T the time of the cycle, n its number and [T-d, T] a window closed at both ends:

- crosses_above(a, b): left <= right in cycle n-1 and left > right in cycle n; unknown unless all
  four numbers are known. With a hysteresis of h percent a cross disarms the node until a cycle in
  which left < right - h% of |right|; a cross of a disarmed node is false. crosses_below is the
  mirror image, crosses is true when either is (each armed for itself).
- within(c, d): true when c was true in a cycle of [T-d, T]; false when in_row(not c, d) is true.
- in_row(c, d): true when c has been true in every cycle from one at or before T-d to this one;
  false when c was known false in a cycle of [T-d, T].
- Samples. `ago`, `at_least`, and every window in bars read c as it was in single cycles: the first
  cycle at or after each whole second or minute (of UTC), or the cycle in which a 1-minute bar of
  the symbol closed. Where cycles were absent one cycle gives several samples; so it does when it
  closes several bars. In the first cycle of a stream only an instant equal to T is sampled. The
  sample of this very cycle counts.
- ago(c, 5s): the sample of whole second floor(T / 1 s) - 5; ago(x, 10m) the same for numbers;
  ago(c, 2 bars): the sample of the last bar close but one.
- at_least(c, k, 10m): true when k of the last 10 samples are true, false when more than 10 - k are
  false, else unknown. in_row(c, k bars) is at_least(c, k, k bars), within(c, k bars) is
  at_least(c, 1, k bars).
- since(c): T minus the time of the last cycle in which c was true, in seconds; unknown before.
- sequence(A, B within d, ...): one attempt at a time, at most one step a cycle. In this order: a
  true cancel begins anew and ends the cycle; an attempt whose next step is overdue (T more than d
  after the step before) begins anew; the next step, when true, is taken; A, when true and no step
  but A is taken yet, is taken with T as its time. True in the cycle that takes the last step, which
  also begins anew, else false. A step or cancel that is unknown is not true.

A node without a past (new rule, new symbol) knows nothing of it: there is no cycle before, no
sample, no step. While a symbol is blind every condition is unknown, and all memory is lost.
"""

from typing import Protocol

from engine.rules.interpret import (
    Facts,
    Moment,
    Result,
    arithmetic,
    compare,
    disjunction,
    negation,
    number,
    truth,
)
from engine.rules.tree import (
    UNIT_NS,
    Ago,
    AtLeast,
    Cond,
    Crosses,
    InRow,
    Lag,
    Node,
    Sequence,
    Since,
    Window,
    Within,
    walk,
)

NS_PER_SECOND = 1_000_000_000


class Memory(Protocol):
    """The past of one node for one symbol."""

    def step(self, facts: Facts) -> Result:
        """Take cycle n in, of which everything below the node is known; give the node's value."""


class _CrossMemory:
    def __init__(self, node: Crosses) -> None:
        self.node = node
        self.armed = True
        self.before: tuple[float | None, float | None] = (None, None)

    def step(self, facts: Facts) -> bool | None:
        """Crosses upward or downward, see the module."""
        sides = number(self.node.left, facts), number(self.node.right, facts)
        before, self.before = self.before, sides
        above = self.node.direction == "above"
        was = compare(before[0], "<=" if above else ">=", before[1])
        beyond = compare(sides[0], ">" if above else "<", sides[1])
        if not self.armed and self._came_back(*sides, above):
            self.armed = True
        if was is None or beyond is None:
            return None
        crossed = was and beyond and self.armed
        if crossed and self.node.hysteresis_pct > 0:
            self.armed = False
        return crossed

    def _came_back(self, left: float | None, right: float | None, above: bool) -> bool:
        if right is None:
            return False
        margin = abs(right) * (self.node.hysteresis_pct / 100)
        level = arithmetic("-" if above else "+", right, margin)
        return compare(left, "<" if above else ">", level) is True


class _BothWays:
    """Crosses of either direction."""

    def __init__(self, node: Crosses) -> None:
        self.ways = [
            _CrossMemory(Crosses(way, node.left, node.right, node.hysteresis_pct))
            for way in ("above", "below")
        ]

    def step(self, facts: Facts) -> bool | None:
        return disjunction([way.step(facts) for way in self.ways])


class _Spell:
    """Within and InRow over a length of time."""

    def __init__(self, node: Within | InRow) -> None:
        self.node = node
        self.cycles: list[tuple[int, bool | None]] = []

    def step(self, facts: Facts) -> bool | None:
        now_ns = facts.moment.time_ns
        self.cycles.append((now_ns, truth(self.node.part, facts)))
        start_ns = now_ns - self.node.window.length_ns
        if isinstance(self.node, InRow):
            return self._in_row(start_ns, True)
        return negation(self._in_row(start_ns, False))

    def _in_row(self, start_ns: int, value: bool) -> bool | None:
        """Whether the part has been `value` all the time since `start_ns`."""
        inside = [found for time_ns, found in self.cycles if time_ns >= start_ns]
        if (not value) in inside:
            return False
        begin = [at for at, (time_ns, _) in enumerate(self.cycles) if time_ns <= start_ns]
        if begin and all(found is value for _, found in self.cycles[begin[-1] :]):
            return True
        return None


class _Samples:
    """Values of something at whole seconds, whole minutes or bar closes."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.at: dict[int, Result] = {}  # by second, minute or number of the close
        self.newest = -1

    def take(self, value: Result, moment: Moment) -> None:
        """Sample `value` for every instant that this cycle is the first to reach."""
        if self.window.unit == "bars":
            reached = range(self.newest + 1, self.newest + 1 + moment.bars_closed)
        else:
            unit_ns = UNIT_NS[self.window.unit]
            before_ns = moment.time_ns - 1 if moment.before_ns is None else moment.before_ns
            reached = range(before_ns // unit_ns + 1, moment.time_ns // unit_ns + 1)
            self.newest = moment.time_ns // unit_ns
        for instant in reached:
            self.at[instant] = value
            self.newest = instant

    def last(self, count: int) -> list[Result]:
        """The newest `count` samples, unknown where there is none."""
        return [self.at.get(self.newest - age) for age in range(count)]

    def ago(self) -> Result:
        """The sample that the window reaches back to: bar closes count from 1."""
        age = self.window.count - (1 if self.window.unit == "bars" else 0)
        return self.at.get(self.newest - age)


class _AgoMemory:
    def __init__(self, node: Ago | Lag) -> None:
        self.node = node
        self.samples = _Samples(node.window)

    def step(self, facts: Facts) -> Result:
        node = self.node
        now = number(node.value, facts) if isinstance(node, Lag) else truth(node.part, facts)
        self.samples.take(now, facts.moment)
        return self.samples.ago()


class _CountMemory:
    """AtLeast, and Within and InRow over bars."""

    def __init__(self, part: Cond, count: int, window: Window) -> None:
        self.part = part
        self.count = count
        self.samples = _Samples(window)

    def step(self, facts: Facts) -> bool | None:
        self.samples.take(truth(self.part, facts), facts.moment)
        size = self.samples.window.count
        found = self.samples.last(size)
        if sum(value is True for value in found) >= self.count:
            return True
        return False if sum(value is False for value in found) > size - self.count else None


class _SinceMemory:
    def __init__(self, node: Since) -> None:
        self.node = node
        self.last_ns: int | None = None

    def step(self, facts: Facts) -> float | None:
        now_ns = facts.moment.time_ns
        if truth(self.node.condition, facts):
            self.last_ns = now_ns
        return None if self.last_ns is None else (now_ns - self.last_ns) / NS_PER_SECOND


class SequenceMemory:
    """The attempt that is going on. times_ns: of the steps taken so far; completed_ns: of all steps
    of the last attempt that was completed, empty before."""

    def __init__(self, node: Sequence) -> None:
        self.node = node
        self.times_ns: tuple[int, ...] = ()
        self.completed_ns: tuple[int, ...] = ()

    def step(self, facts: Facts) -> bool:
        """One cycle of the attempt, see the module."""
        now_ns, steps = facts.moment.time_ns, self.node.steps
        if self.node.cancel is not None and truth(self.node.cancel, facts):
            self.times_ns = ()
            return False
        if self._is_overdue(now_ns):
            self.times_ns = ()
        taken = self.times_ns
        if taken and truth(steps[len(taken)].condition, facts):
            self.times_ns = (*taken, now_ns)
        elif len(taken) <= 1 and truth(steps[0].condition, facts):
            self.times_ns = (now_ns,)
        if len(self.times_ns) < len(steps):
            return False
        self.completed_ns, self.times_ns = self.times_ns, ()
        return True

    def _is_overdue(self, now_ns: int) -> bool:
        if not self.times_ns:
            return False
        within = self.node.steps[len(self.times_ns)].within
        return within is not None and now_ns - self.times_ns[-1] > within.length_ns


def memory_of(node: Node) -> Memory | None:
    """Empty memory for a node that looks at the past, None for others."""
    match node:
        case Crosses():
            return _BothWays(node) if node.direction == "either" else _CrossMemory(node)
        case Within() if node.window.unit == "bars":
            return _CountMemory(node.part, 1, node.window)
        case InRow() if node.window.unit == "bars":
            return _CountMemory(node.part, node.window.count, node.window)
        case Within() | InRow():
            return _Spell(node)
        case AtLeast():
            return _CountMemory(node.part, node.count, node.window)
        case Ago() | Lag():
            return _AgoMemory(node)
        case Since():
            return _SinceMemory(node)
        case Sequence():
            return SequenceMemory(node)
        case _:
            return None


class RuleInterpreter:
    """One condition for one symbol, from the first cycle on that knows both.

    results: what every node that looks at the past or across symbols gave in the last cycle.
    """

    def __init__(self, condition: Cond) -> None:
        self.condition = condition
        self.results: dict[Node, Result] = {}
        self.memories: dict[Node, Memory] = {}
        self._forget()

    def step(self, moment: Moment) -> bool | None:
        """Take a cycle in; give the root: true, false, None for unknown. Cycles ascend."""
        self.results = {}
        if moment.blind:
            self._forget()
            return None
        self.results |= moment.across
        facts = Facts(moment, self.results)
        for node, memory in self.memories.items():  # parts come before what they are parts of
            self.results[node] = memory.step(facts)
        return truth(self.condition, facts)

    def _forget(self) -> None:
        self.memories = {
            node: memory for node in walk(self.condition) if (memory := memory_of(node))
        }


def run(condition: Cond, moments: list[Moment]) -> list[bool | None]:
    """The root of a condition in cycle after cycle."""
    interpreter = RuleInterpreter(condition)
    return [interpreter.step(moment) for moment in moments]
