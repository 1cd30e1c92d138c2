"""Models of the broadcast ring: gates, lapped readers, dropped gates; follows shm/ring_nb.py.

The record at position p is written as 100 * p + life + 1 in two words, so a stale, torn or foreign
record is seen for what it is.
"""

import dataclasses
from collections.abc import Hashable
from typing import Any

from tests.model import machine as m

CAPACITY = 2
DROPPED = 1 << 62


@dataclasses.dataclass
class Words:
    """The shared words of a ring with one gate."""

    memory: m.Memory
    tail: int
    intent: int
    gate: int
    slots: list[list[int]]

    @classmethod
    def create(cls, gate: int = 0) -> "Words":
        """An empty ring; gate: DROPPED for a ring that nobody holds back."""
        memory = m.Memory()
        words = [memory.word("tail"), memory.word("intent"), memory.word("gate", gate)]
        slots = [memory.array(f"slot {slot}.", 2) for slot in range(CAPACITY)]
        return cls(memory, *words, slots)

    def record(self, position: int) -> list[int]:
        """Words of the record at a position."""
        return self.slots[position % CAPACITY]

    def watch(self, before: tuple, after: tuple) -> None:
        """The tail never goes back."""
        if after[self.tail] < before[self.tail]:
            raise m.Violation(f"the tail went back from {before[self.tail]} to {after[self.tail]}")


def judge(position: int, record: tuple[int, ...]) -> None:
    """Raise Violation unless this is a whole record of the position."""
    if record[0] != record[1] or record[0] // 100 != position or record[0] == 100 * position:
        raise m.Violation(f"record {position} read as {record}")


RING_MUTANTS = {
    # name: (caught under TSO, caught under ARM)
    "tail before the payload": (True, True),
    "tail stored plainly": (False, True),
    "no fence after intent": (False, True),
    "intent by store-release instead of a fence": (False, True),
    "intent after the payload": (True, True),
    "no intent": (True, True),
    "intent names the old tail": (True, True),
    "copy without acquire fence": (False, True),
    "copy checks the tail": (True, True),
    "copy checks before it copies": (True, True),
    "copy opens the tail plainly": (False, True),
    "copy allows one more": (True, True),
    "successor takes intent back to the tail": (True, True),
    "successor goes on from intent": (True, True),
}


class Lapped:
    """No gate: a reader copies records that the writer may overwrite meanwhile. The first writer
    publishes two at a time, its successors one."""

    def __init__(
        self, mutant: str = "", *, records: int = 4, wanted: tuple = (1,), deaths: int = 2
    ) -> None:
        self.mutant = mutant
        self.records = records
        self.wanted = wanted
        self.deaths = deaths
        self.ring = Words.create(DROPPED)

    def writer(self, local: Hashable) -> m.Block | None:
        match local:
            case ("start", life):
                opens = [m.load(self.ring.tail), m.load(self.ring.intent)]
                return m.Block(opens, lambda tail, intent: self.recover(life, tail, intent))
            case ("publish", life, tail, intent) if tail < self.records:
                end = min(tail + (1 if life else 2), self.records)
                ops = self.publish(life, tail, end, intent)
                return m.Block(ops, lambda: ("publish", life, end, max(intent, end)))
        return None

    def recover(self, life: int, tail: int, intent: int) -> Hashable:
        if self.mutant == "successor goes on from intent":
            tail = intent
        elif self.mutant == "successor takes intent back to the tail":
            intent = 0
        return "publish", life, tail, intent

    def publish(self, life: int, tail: int, end: int, intent: int) -> list[m.Op]:
        named = tail if self.mutant == "intent names the old tail" else end
        opens = [m.store(self.ring.intent, named)] if end > intent else []
        opens.append(m.fence(m.RELEASE))
        if self.mutant == "no fence after intent":
            opens.pop()
        elif self.mutant == "intent by store-release instead of a fence":
            opens = [op._replace(order=m.RELEASE) for op in opens if op.kind != "fence"]
        elif self.mutant == "no intent":
            opens = opens[-1:]
        payload = [
            m.store(word, 100 * position + life + 1)
            for position in range(tail, end)
            for word in self.ring.record(position)
        ]
        last = m.store(
            self.ring.tail, end, m.PLAIN if self.mutant == "tail stored plainly" else m.RELEASE
        )
        if self.mutant == "tail before the payload":
            return [*opens, last, *payload]
        if self.mutant == "intent after the payload":
            return [*payload, *opens, last]
        return [*opens, *payload, last]

    def reader(self, local: Hashable) -> m.Block | None:
        if local == len(self.wanted):
            return None
        position = self.wanted[local]  # type: ignore[index]
        opens = m.load(
            self.ring.tail, m.PLAIN if self.mutant == "copy opens the tail plainly" else m.ACQUIRE
        )
        ends = [m.fence(m.ACQUIRE), m.load(self.ring.intent)]
        if self.mutant == "copy without acquire fence":
            ends = ends[1:]
        elif self.mutant == "copy checks the tail":
            ends[1] = m.load(self.ring.tail)
        copied = [m.load(word) for word in self.ring.record(position)]
        room = CAPACITY + (self.mutant == "copy allows one more")

        def then(tail: int, *values: int) -> Hashable:
            first, second, end = values
            if self.mutant == "copy checks before it copies":
                end, first, second = values
            if tail > position and end - position <= room:
                judge(position, (first, second))
            return local + 1  # type: ignore[operator]

        if self.mutant == "copy checks before it copies":
            copied, ends = [m.load(self.ring.intent, m.ACQUIRE)], copied
        return m.Block([opens, *copied, *ends], then)

    def protocol(self) -> m.Protocol:
        """The roles over the memory."""
        roles = [
            m.Role("feed", lambda life: ("start", life), self.writer, self.deaths),
            m.Role("web", lambda _: 0, self.reader),
        ]
        return m.Protocol(self.ring.memory, roles, self.ring.watch)


def lapped(mutant: str = "", **bounds: Any) -> m.Protocol:
    """See Lapped."""
    return Lapped(mutant, **bounds).protocol()


GATE_MUTANTS = {
    "tail before the payload": (True, True),
    "tail stored plainly": (False, True),
    "gate stored plainly": (False, True),
    "gate moved before reading": (True, True),
    "gates not looked at": (True, True),
    "one record too many": (True, True),
    "reader's successor starts at the tail": (True, True),
}


def gating(
    mutant: str = "", *, records: int = 4, deaths: int = 1, reader_deaths: int = 1
) -> m.Protocol:
    """A reader whose gate the writer never overtakes reads in place, without a check."""
    ring = Words.create()
    taken = ring.memory.word("taken")

    def writer(local: Hashable) -> m.Block | None:
        match local:
            case ("start", life):
                return m.Block([m.load(ring.tail)], lambda tail: ("look", life, tail))
            case ("look", life, tail) if tail < records:
                room = CAPACITY + (mutant == "one record too many")
                if mutant == "gates not looked at":
                    room = records
                free = ("publish", life, tail)
                look = [m.load(ring.gate, m.ACQUIRE)]
                return m.Block(look, lambda gate: free if tail - gate < room else local)
            case ("publish", life, tail):
                order = m.PLAIN if mutant == "tail stored plainly" else m.RELEASE
                payload = [m.store(word, 100 * tail + life + 1) for word in ring.record(tail)]
                last = m.store(ring.tail, tail + 1, order)
                ops = [m.store(ring.intent, tail + 1), m.fence(m.RELEASE), *payload, last]
                if mutant == "tail before the payload":
                    ops = [last, *payload]
                return m.Block(ops, lambda: ("look", life, tail + 1))
        return None

    def reader(local: Hashable) -> m.Block | None:
        match local:
            case "start":
                skips = mutant == "reader's successor starts at the tail"
                source = ring.tail if skips else ring.gate
                return m.Block([m.load(source)], lambda gate: ("look", gate))
            case ("look", gate) if gate < records:
                look = [m.load(ring.tail, m.ACQUIRE)]
                return m.Block(look, lambda tail: ("take", gate) if tail > gate else local)
            case ("take", gate):
                order = m.PLAIN if mutant == "gate stored plainly" else m.RELEASE
                moved = m.store(ring.gate, gate + 1, order)
                read = [m.load(word) for word in ring.record(gate)]
                effect = m.store(taken, gate + 1, m.RELEASE)
                ops = [*read, effect, moved]
                if mutant == "gate moved before reading":
                    ops = [moved, *read, effect]
                return m.Block(ops, lambda *record: use(gate, record))
        return None

    def use(position: int, record: tuple[int, ...]) -> Hashable:
        judge(position, record)
        return "look", position + 1

    def watch(before: tuple, after: tuple) -> None:
        ring.watch(before, after)
        if after[taken] > before[taken] + 1:
            raise m.Violation(f"record {before[taken]} was never taken")

    def final(words: tuple) -> None:
        if words[taken] != records:
            raise m.Violation(f"{words[taken]} of {records} records were taken")

    roles = [
        m.Role("feed", lambda life: ("start", life), writer, deaths),
        m.Role("bars", lambda _: "start", reader, reader_deaths),
    ]
    return m.Protocol(ring.memory, roles, watch, final)


REJOIN_MUTANTS = {
    "writer without the full fence": (True, True),
    "writer does not look again": (True, True),
    "reader without the full fence": (True, True),
    "reader does not check intent": (True, True),
    "negative room is published": (True, True),
    "gate moved by a plain store": (True, True),
}


class Rejoin:
    """The gate of a stalled reader is dropped by another role; the reader finds out when it moves
    its gate, takes a new place at the tail and goes on as a gating reader."""

    def __init__(
        self, mutant: str = "", *, records: int = 5, tries: int = 2, reads: int = 2, deaths: int = 0
    ) -> None:
        self.mutant = mutant
        self.records = records
        self.tries = tries
        self.reads = reads
        self.deaths = deaths
        self.ring = Words.create()

    def writer(self, local: Hashable) -> m.Block | None:
        match local:
            case "start":
                return m.Block([m.load(self.ring.tail)], lambda tail: ("look", tail))
            case ("look", tail) if tail < self.records:
                look = [m.load(self.ring.gate, m.ACQUIRE)]
                return m.Block(look, lambda gate: self.decide(tail, gate))
            case ("again", tail):
                ops = [
                    m.store(self.ring.intent, tail + 1),
                    m.fence(m.FULL),
                    m.load(self.ring.gate, m.ACQUIRE),
                ]
                if self.mutant == "writer without the full fence":
                    ops.pop(1)
                return m.Block(ops, lambda gate: self.second(tail, gate))
            case ("publish", tail, count):
                ops = [m.store(self.ring.intent, tail + 1), m.fence(m.RELEASE)]
                for word in self.ring.record(tail) if count == 1 else ():
                    ops.append(m.store(word, 100 * tail + 1))
                ops.append(m.store(self.ring.tail, tail + count, m.RELEASE))
                return m.Block(ops, lambda: ("look", tail + count))
        return None

    def decide(self, tail: int, gate: int) -> Hashable:
        if gate == DROPPED and self.mutant != "writer does not look again":
            return "again", tail
        if gate == DROPPED or tail - gate < CAPACITY:
            return "publish", tail, 1
        return "look", tail

    def second(self, tail: int, gate: int) -> Hashable:
        count = 1 if gate == DROPPED else min(1, CAPACITY - (tail - gate))
        if count <= 0 and self.mutant != "negative room is published":
            return "look", tail
        return "publish", tail, count

    def dropper(self, local: Hashable) -> m.Block | None:
        drop = [m.store(self.ring.gate, DROPPED, m.RELEASE)]
        return m.Block(drop, lambda: None) if local else None

    def reader(self, local: Hashable) -> m.Block | None:
        match local:
            case ("look", gate, left) if left and gate < self.records:
                seen = ("take", gate, left)
                look = [m.load(self.ring.tail, m.ACQUIRE)]
                return m.Block(look, lambda tail: seen if tail > gate else local)
            case ("take", gate, left):
                read = [m.load(word) for word in self.ring.record(gate)]
                if self.mutant == "gate moved by a plain store":
                    ops = [*read, m.store(self.ring.gate, gate + 1, m.RELEASE)]
                    return m.Block(ops, lambda a, b: self.moved(gate, left, a, b, True))
                ops = [*read, m.swap(self.ring.gate, gate, gate + 1)]
                return m.Block(ops, lambda a, b, ok: self.moved(gate, left, a, b, ok))
            case ("rejoin", left, try_) if try_ < self.tries:
                return m.Block(
                    [m.load(self.ring.tail, m.ACQUIRE)], lambda tail: ("hold", tail, left, try_)
                )
            case ("hold", tail, left, try_):
                ops = [
                    m.store(self.ring.gate, tail, m.RELEASE),
                    m.fence(m.FULL),
                    m.load(self.ring.intent, m.ACQUIRE),
                ]
                if self.mutant == "reader without the full fence":
                    ops.pop(1)
                return m.Block(ops, lambda intent: self.held(tail, left, try_, intent))
            case ("rejoin" | "give up", *_):
                return m.Block([m.store(self.ring.gate, DROPPED, m.RELEASE)], lambda: None)
        # Done: it must not hold the writer back for ever.
        drop = [m.store(self.ring.gate, DROPPED, m.RELEASE)]
        return m.Block(drop, lambda: None) if local else None

    def moved(self, gate: int, left: int, first: int, second_: int, ok: bool) -> Hashable:
        if not ok:
            return "rejoin", left, 0
        judge(gate, (first, second_))
        return "look", gate + 1, left - 1

    def held(self, tail: int, left: int, try_: int, intent: int) -> Hashable:
        if intent - tail <= CAPACITY or self.mutant == "reader does not check intent":
            return "look", tail, left
        return "rejoin", left, try_ + 1

    def protocol(self) -> m.Protocol:
        """The roles over the memory."""
        roles = [
            m.Role("feed", lambda _: "start", self.writer, self.deaths),
            m.Role("supervisor", lambda _: True, self.dropper),
            m.Role("recorder", lambda _: ("look", 0, self.reads), self.reader),
        ]
        return m.Protocol(self.ring.memory, roles, self.ring.watch)


def rejoin(mutant: str = "", **bounds: Any) -> m.Protocol:
    """See Rejoin."""
    return Rejoin(mutant, **bounds).protocol()
