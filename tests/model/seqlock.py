"""Models of what changes in place under a version word: a seqlock row, a name with a redo record.

They follow shm/seqlock_nb.py and shm/names_nb.py.
"""

from collections.abc import Hashable
from typing import Any

from tests.model import machine as m

ROW_MUTANTS = {
    # name: (caught under TSO, caught under ARM)
    "no fence after the odd version": (False, True),
    "odd version by store-release instead of a fence": (False, True),
    "even version stored plainly": (False, True),
    "reader opens with a plain load": (False, True),
    "reader without acquire fence": (False, True),
    "reader checks by load-acquire instead of a fence": (False, True),
    "reader does not check again": (True, True),
    "reader takes an odd version": (True, True),
    "odd version never stored": (True, True),
    "payload before the odd version": (True, True),
    "successor bumps an odd row to even": (True, True),
    "odd means plus one, whatever was there": (True, True),
}


def row(mutant: str = "", *, writes: int = 2, reads: int = 2, deaths: int = 2) -> m.Protocol:
    """One row of two words, written again and again in place; the writer may die, a successor
    writes the whole row again. Each attempt writes a value of its own, both words alike."""
    memory = m.Memory()
    version, data = memory.word("version"), memory.array("data", 2)

    def writer(local: Hashable) -> m.Block | None:
        match local:
            case ("open", life):
                return m.Block([m.load(version)], lambda v: ("write", life, v))
            case ("write", life, v) if v < 2 * writes:
                if mutant == "successor bumps an odd row to even" and v % 2:
                    return m.Block([m.store(version, v + 1, m.RELEASE)], lambda: ("open", life))
                return m.Block(row_ops(life, v), lambda: ("open", life))
        return None

    def row_ops(life: int, v: int) -> list[m.Op]:
        odd = v + 1 if mutant == "odd means plus one, whatever was there" else v | 1
        opens = [m.store(version, odd), m.fence(m.RELEASE)]
        if mutant == "no fence after the odd version":
            opens = opens[:1]
        elif mutant == "odd version by store-release instead of a fence":
            opens = [m.store(version, odd, m.RELEASE)]
        elif mutant == "odd version never stored":
            opens = opens[1:]
        order = m.PLAIN if mutant == "even version stored plainly" else m.RELEASE
        payload = [m.store(word, 10 * v + life + 1) for word in data]
        if mutant == "payload before the odd version":
            opens, payload = payload, opens
        return [*opens, *payload, m.store(version, (odd | 1) + 1, order)]

    def reader(local: Hashable) -> m.Block | None:
        left, newest = local  # type: ignore[misc]
        if not left:
            return None
        opens = m.PLAIN if mutant == "reader opens with a plain load" else m.ACQUIRE
        checks = [m.fence(m.ACQUIRE), m.load(version)]
        if mutant == "reader without acquire fence":
            checks = checks[1:]
        elif mutant == "reader checks by load-acquire instead of a fence":
            checks = [m.load(version, m.ACQUIRE)]

        def then(before: int, left_half: int, right_half: int, after: int) -> Hashable:
            if mutant == "reader does not check again":
                after = before
            if mutant != "reader takes an odd version" and before % 2:
                return left - 1, newest
            if before != after:
                return left - 1, newest
            if left_half != right_half:
                raise m.Violation(f"torn row {left_half}, {right_half} under version {before}")
            if before < newest:
                raise m.Violation(f"version went back from {newest} to {before}")
            return left - 1, before

        return m.Block([m.load(version, opens), m.load(data[0]), m.load(data[1]), *checks], then)

    def final(words: tuple) -> None:
        if words[version] % 2 or words[data[0]] != words[data[1]]:
            raise m.Violation(f"at rest: {[words[word] for word in (version, *data)]}")

    roles = [
        m.Role("writer", lambda life: ("open", life), writer, deaths),
        m.Role("reader", lambda _: (reads, 0), reader),
    ]
    return m.Protocol(memory, roles, final=final)


NAME_MUTANTS = {
    "no fence after the even version": (False, True),
    "no fence after the odd version": (False, True),
    "odd version stored plainly": (False, True),
    "even version stored plainly": (False, True),
    "redo record after the odd version": (True, True),
    "redo record and name in one go": (True, True),
    "successor does not finish": (True, True),
    "reader takes the row when odd": (True, True),
    "reader without acquire fence": (False, True),
}


class Name:
    """Two names of two words; change number s (from 1) gives name s % 2 the value s. While the
    version is odd the change in the redo record counts as made."""

    def __init__(self, mutant: str = "", *, sets: int = 3, reads: int = 2, deaths: int = 1) -> None:
        self.mutant = mutant
        self.sets = sets
        self.reads = reads
        self.deaths = deaths
        self.memory = m.Memory()
        self.version = self.memory.word("version")
        self.pending = [self.memory.word("pending row"), *self.memory.array("pending", 2)]
        self.names = [self.memory.array("name 0.", 2), self.memory.array("name 1.", 2)]

    def expected(self, which: int, at_version: int) -> int:
        newest = (at_version + 1) // 2
        return max(newest - (newest % 2 != which), 0)

    def writer(self, local: Hashable) -> m.Block | None:
        match local:
            case "open":
                loads = [m.load(self.version), *map(m.load, self.pending)]
                return m.Block(loads, lambda v, row, a, b: ("go", v, row, a, b))
            case ("go", v, row, a, b) if v % 2:
                finish = [m.store(self.names[row][1], b), m.store(self.names[row][0], a)]
                if self.mutant == "successor does not finish":
                    finish = []
                ops = [*finish, m.store(self.version, v + 1, m.RELEASE), m.fence(m.RELEASE)]
                return m.Block(ops, lambda: ("set", v + 1))
            case ("go" | "set", v, *_) if v < 2 * self.sets:
                first, second = self.change(v)
                return m.Block(first, lambda: ("rest", v, *second))
            case ("rest", v, *second):
                return m.Block(second, lambda: ("set", v + 2))
        return None

    def change(self, v: int) -> tuple[list[m.Op], list[m.Op]]:
        number = v // 2 + 1
        record = [
            m.store(self.pending[0], number % 2),
            *(m.store(word, number) for word in self.pending[1:]),
        ]
        odd = [m.store(self.version, v + 1, m.RELEASE), m.fence(m.RELEASE)]
        if self.mutant == "no fence after the odd version":
            odd = odd[:1]
        elif self.mutant == "odd version stored plainly":
            odd = [m.store(self.version, v + 1), m.fence(m.RELEASE)]
        payload = [m.store(word, number) for word in reversed(self.names[number % 2])]
        order = m.PLAIN if self.mutant == "even version stored plainly" else m.RELEASE
        even = [m.store(self.version, v + 2, order), m.fence(m.RELEASE)]
        if self.mutant == "no fence after the even version":
            even = even[:1]
        if self.mutant == "redo record after the odd version":
            record, odd = odd, record
        elif self.mutant == "redo record and name in one go":
            return [*record, *payload], [*odd, *even]
        return [*record, *odd], [*payload, *even]

    def reader(self, local: Hashable) -> m.Block | None:
        match local:
            case ("open", left, which) if left:
                opened = ("copy", left, which)
                return m.Block([m.load(self.version, m.ACQUIRE)], lambda v: (*opened, v))
            case ("copy", left, which, before):
                words = [*(self.pending if before % 2 else ()), *self.names[which]]
                check = [m.fence(m.ACQUIRE), m.load(self.version)]
                if self.mutant == "reader without acquire fence":
                    check = check[1:]

                def then(*values: int) -> Hashable:
                    self.judge(which, before, values)
                    return "open", left - 1, 1 - which

                return m.Block([*map(m.load, words), *check], then)
        return None

    def judge(self, which: int, before: int, values: tuple[int, ...]) -> None:
        *copied, after = values
        got = copied[-2:]
        redo = self.mutant != "reader takes the row when odd"
        if before % 2 and copied[0] == which and redo:
            got = copied[1:3]
        if before == after and got != [self.expected(which, before)] * 2:
            raise m.Violation(f"name {which} read as {got} under version {before}")

    def final(self, words: tuple) -> None:
        for which in (0, 1):
            got = [words[word] for word in self.names[which]]
            if got != [self.expected(which, 2 * self.sets)] * 2:
                raise m.Violation(f"name {which} is {got} in the end")

    def protocol(self) -> m.Protocol:
        """The roles over the memory."""
        roles = [
            m.Role("writer", lambda _: "open", self.writer, self.deaths),
            m.Role("reader", lambda _: ("open", self.reads, 1), self.reader),
        ]
        return m.Protocol(self.memory, roles, final=self.final)


def name(mutant: str = "", **bounds: Any) -> m.Protocol:
    """See Name."""
    return Name(mutant, **bounds).protocol()
