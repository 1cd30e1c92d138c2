"""Model of a scan worker's cycle and the alert service: evaluate, commit to the lane, apply; take a
whole cycle, store it durably, move the head.

Cycle n: state(n) = state(n - 1) + 1, kept in two copies by parity; every cycle fires one alert that
carries its number and state(n), followed by an end record with the number of alerts. So an alert
with another state than n was evaluated from the wrong state, and the stored alerts are 1, 2, 3, ...
"""

from collections.abc import Hashable
from typing import Any

from tests.model import machine as m

END = 1000  # an end record of cycle n is END + n; an alert is 10 * n + state(n)

LANE_MUTANTS = {
    # name: (caught under TSO, caught under ARM)
    "tail before the records": (True, True),
    "tail stored plainly": (False, True),
    "a tail after every record": (True, True),
    "redo commits again": (True, True),
    "apply before commit": (True, True),
    "one copy of the state": (True, True),
    "state number before the state": (True, True),
    "redo applies without evaluating again": (True, True),
    "head before durable": (True, True),
    "head at every record": (True, True),
    "no deduplication": (True, True),
    "lane of one cycle": (True, True),
    "free room not looked at": (True, True),
    "reader opens the tail plainly": (False, True),
}


class Lane:
    """One worker, its lane of two cycles, the alert service with its store on disk."""

    def __init__(
        self, mutant: str = "", *, cycles: int = 3, deaths: int = 1, reader_deaths: int = 1
    ) -> None:
        self.mutant = mutant
        self.cycles = cycles
        self.deaths = deaths
        self.reader_deaths = reader_deaths
        self.memory = m.Memory()
        self.tail, self.head = self.memory.word("tail"), self.memory.word("head")
        self.state_n, self.state = self.memory.word("state n"), self.memory.array("state", 2)
        self.slots = self.memory.array("slot", 2 if mutant == "lane of one cycle" else 4)
        self.disk = self.memory.array("disk", cycles + 1)
        self.applies_first = mutant == "apply before commit"

    def slot(self, position: int) -> int:
        return self.slots[position % len(self.slots)]

    def worker(self, local: Hashable) -> m.Block | None:
        match local:
            case "start":
                loads = [m.load(self.state_n), m.load(self.tail)]
                return m.Block(loads, lambda n, t: ("look", n + 1, t))
            case ("look", n, t) if n <= self.cycles:
                copies = 1 if self.mutant == "one copy of the state" else 2
                old = self.state[(n - 1) % copies]
                loads = [m.load(old), m.load(self.slot(t - 1))]
                return m.Block(loads, lambda x, end: self.decide(n, t, x, end))
            case ("room", n, t, x):
                go = ("commit", n, t, x)
                room = len(self.slots) if self.mutant == "free room not looked at" else 0
                wait = [m.load(self.head, m.ACQUIRE)]
                return m.Block(wait, lambda h: go if h + len(self.slots) + room >= t + 2 else local)
            case ("commit", n, t, x):
                if self.applies_first:
                    ops = [*self.apply(n, x), *self.commit(n, t, x)]
                    return m.Block(ops, lambda: ("look", n + 1, t + 2))
                return m.Block(self.commit(n, t, x), lambda: ("apply", n, t + 2, x))
            case ("apply", n, t, x):
                return m.Block(self.apply(n, x), lambda: ("look", n + 1, t))
        return None

    def decide(self, n: int, t: int, x: int, end: int) -> Hashable:
        committed = end == END + n and self.mutant != "redo commits again"
        if committed and self.mutant == "redo applies without evaluating again":
            return "apply", n, t, n - 1
        return ("apply" if committed else "room"), n, t, x + 1

    def commit(self, n: int, t: int, x: int) -> list[m.Op]:
        order = m.PLAIN if self.mutant == "tail stored plainly" else m.RELEASE
        records = [m.store(self.slot(t), 10 * n + x), m.store(self.slot(t + 1), END + n)]
        last = m.store(self.tail, t + 2, order)
        if self.mutant == "tail before the records":
            return [last, *records]
        if self.mutant == "a tail after every record":
            return [records[0], m.store(self.tail, t + 1, m.RELEASE), records[1], last]
        return [*records, last]

    def apply(self, n: int, x: int) -> list[m.Op]:
        copies = 1 if self.mutant == "one copy of the state" else 2
        ops = [m.store(self.state[n % copies], x), m.store(self.state_n, n, m.RELEASE)]
        return ops[::-1] if self.mutant == "state number before the state" else ops

    def service(self, local: Hashable) -> m.Block | None:
        match local:
            case "start":
                return m.Block([m.load(self.head)], lambda h: ("look", h))
            case ("look", h) if h < 2 * self.cycles:
                opens = m.PLAIN if self.mutant == "reader opens the tail plainly" else m.ACQUIRE
                loads = [m.load(self.tail, opens), m.load(self.slot(h)), m.load(self.slot(h + 1))]
                return m.Block(loads, lambda t, alert, end: self.take(h, t, alert, end))
            case ("store", h, n):
                return m.Block([m.load(self.disk[n])], lambda old: ("write", h, n, old))
            case ("write", h, n, old):
                return m.Block(self.durable(h, n, old), lambda: ("look", h + 2))
        return None

    def take(self, h: int, t: int, alert: int, end: int) -> Hashable:
        if t < h + 2:
            return "look", h
        n = h // 2 + 1
        if end != END + n or alert != 10 * n + n:
            raise m.Violation(f"in place of cycle {n} the lane holds {alert}, {end}")
        return "store", h, n

    def durable(self, h: int, n: int, old: int) -> list[m.Op]:
        """Append to the file and sync: a system call, which orders everything."""
        fresh = old == 0 or self.mutant == "no deduplication"
        written = [m.store(self.disk[n], old + 1)] if fresh else []
        files = [m.fence(m.FULL), *written, m.fence(m.FULL)]
        moved = [m.store(self.head, h + 2, m.RELEASE)]
        if self.mutant == "head at every record":
            moved = [m.store(self.head, h + 1, m.RELEASE), *moved]
        return [*moved, *files] if self.mutant == "head before durable" else [*files, *moved]

    def final(self, words: tuple) -> None:
        stored = [words[word] for word in self.disk[1:]]
        if stored != [1] * self.cycles:
            raise m.Violation(f"in the end the alerts are stored {stored} times")

    def protocol(self) -> m.Protocol:
        """The roles over the memory."""
        roles = [
            m.Role("scan", lambda _: "start", self.worker, self.deaths),
            m.Role("alerts", lambda _: "start", self.service, self.reader_deaths),
        ]
        return m.Protocol(self.memory, roles, final=self.final)


def lane(mutant: str = "", **bounds: Any) -> m.Protocol:
    """See Lane."""
    return Lane(mutant, **bounds).protocol()
