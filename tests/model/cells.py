"""Model of the snapshot cells: fill, seal, write histories, publish; follows shm/cells_nb.py.

Cell n holds x(n) twice. Executing n reads cell n - 1 and the history as of n - 1, and the history
then becomes x(n): x(n) = x(n - 1) + history = 2 ** n, if and only if nobody reads what n itself
wrote. So a wrong value anywhere shows which rule was broken.
"""

from collections.abc import Hashable
from typing import Any

from tests.model import machine as m

LAPPED_MUTANTS = {
    # name: (caught under TSO, caught under ARM)
    "no fence after publish": (False, True),
    "publish by a plain store": (False, True),
    "reader without acquire fence": (False, True),
    "reader opens with a plain load": (False, True),
    "reader does not check": (True, True),
    "check allows three behind": (True, True),
    "numbers with holes": (True, True),
    "seal before the cell is whole": (True, True),
    "publish before the cell is whole": (True, True),
    "two slots": (True, True),
}


def lapped(
    mutant: str = "", *, cycles: int = 5, guesses: tuple = (1, 2), deaths: int = 1
) -> m.Protocol:
    """A writer without gates and a reader who may be lapped: it opens PUBLISHED, copies cell n and
    keeps the copy if 0 <= published - n <= 2 afterwards. The copy does not depend on what was
    opened (speculation): the reader works on guessed numbers, and judges only right guesses."""
    memory = m.Memory()
    sealed, published = memory.word("sealed"), memory.word("published")
    halves = 2 if mutant == "two slots" else 4
    slots = [memory.array(f"cell {slot}.", 2, int(slot == 0)) for slot in range(halves)]
    stride = 4 if mutant == "numbers with holes" else 1

    def writer(local: Hashable) -> m.Block | None:
        match local:
            case "start":
                return m.Block([m.load(published, m.ACQUIRE), m.load(sealed, m.ACQUIRE)], recover)
            case ("finish", n):
                check = map(m.load, slots[n % halves])
                return m.Block(check, lambda *x: ("publish", n, *x))
            case ("publish", n, *x):
                if x != [2**n] * 2:
                    raise m.Violation(f"sealed cell {n} holds {x}")
                return m.Block(publish(n), lambda: ("fill", n + stride))
            case ("fill", n) if n <= cycles * stride:
                return m.Block(fill(n), lambda: ("fill", n + stride))
        return None

    def recover(n: int, whole: int) -> Hashable:
        return ("finish", whole) if whole == n + stride else ("fill", n + stride)

    def publish(n: int) -> list[m.Op]:
        order = m.PLAIN if mutant == "publish by a plain store" else m.RELEASE
        barrier = [] if mutant == "no fence after publish" else [m.fence(m.RELEASE)]
        return [m.store(published, n, order), *barrier]

    def fill(n: int) -> list[m.Op]:
        rows = [m.store(word, 2**n) for word in slots[n % halves]]
        seal = [m.store(sealed, n, m.RELEASE)]
        if mutant == "seal before the cell is whole":
            return [rows[0], *seal, rows[1], *publish(n)]
        if mutant == "publish before the cell is whole":
            return [*seal, *publish(n), *rows]
        return [*rows, *seal, *publish(n)]

    def reader(local: Hashable) -> m.Block | None:
        if local == len(guesses):
            return None
        n = guesses[local] * stride  # type: ignore[index]

        def then(opened: int, left: int, right: int, after: int) -> Hashable:
            behind = 3 if mutant == "check allows three behind" else 2
            whole = 0 <= after - n <= behind or mutant == "reader does not check"
            if opened == n and whole and (left, right) != (2**n, 2**n):
                raise m.Violation(f"cell {n} read as {left}, {right} at {after}")
            return local + 1  # type: ignore[operator]

        opens = m.PLAIN if mutant == "reader opens with a plain load" else m.ACQUIRE
        check = [m.fence(m.ACQUIRE), m.load(published)]
        if mutant == "reader without acquire fence":
            check = check[1:]
        return m.Block([m.load(published, opens), *map(m.load, slots[n % halves]), *check], then)

    roles = [
        m.Role("bars", lambda _: "start", writer, deaths),
        m.Role("web", lambda _: 0, reader),
    ]
    return m.Protocol(memory, roles)


GATED_MUTANTS = {
    "successor ignores the seal": (True, True),
    "histories before seal": (True, True),
    "publish before histories": (True, True),
    "publish by a plain store": (False, True),
    "successor does not write histories again": (True, True),
    "successor judges the cell by its first row": (True, True),
    "gate stored plainly": (False, True),
    "gate not waited for": (True, True),
    "gate stored before the cell is used": (True, True),
}


class Gated:
    """A writer with one gate (indicators or a scan worker), which reads the newest cell and the
    history in place, without a check, and then stores the number it has taken. Both may die."""

    def __init__(
        self, mutant: str = "", *, cycles: int = 3, deaths: int = 1, gate_deaths: int = 1
    ) -> None:
        self.mutant = mutant
        self.cycles = cycles
        self.deaths = deaths
        self.gate_deaths = gate_deaths
        self.memory = m.Memory()
        self.sealed = self.memory.word("sealed")
        self.published = self.memory.word("published")
        self.gate = self.memory.word("gate")
        self.slots = [self.memory.array(f"cell {slot}.", 2, int(slot == 0)) for slot in range(4)]
        self.history = self.memory.array("history", 2, 1)

    def bars(self, local: Hashable) -> m.Block | None:
        match local:
            case "start":
                opens = [m.load(self.published, m.ACQUIRE), m.load(self.sealed, m.ACQUIRE)]
                return m.Block(opens, lambda n, whole: ("recover", n, whole))
            case ("recover", n, whole):
                return m.Block(
                    map(m.load, self.slots[(n + 1) % 4]), lambda *x: self.recover(n, whole, x)
                )
            case ("wait", n) if n < self.cycles:
                if self.mutant == "gate not waited for":
                    return self.execute_from(n)
                look = [m.load(self.gate, m.ACQUIRE)]
                return m.Block(look, lambda gate: ("go" if gate >= n else "wait", n))
            case ("go", n):
                return self.execute_from(n)
            case ("execute", n, cell, before):
                return m.Block(self.fill(n, cell + before), lambda: ("commit", n, cell + before))
            case ("publish", n):
                return m.Block([m.store(self.published, n, m.RELEASE)], lambda: ("wait", n))
            case ("commit", n, x):
                return m.Block(self.commit(n, x), lambda: ("wait", n))
        return None

    def execute_from(self, n: int) -> m.Block:
        loads = [m.load(self.slots[n % 4][0]), m.load(self.history[0])]
        return m.Block(loads, lambda cell, before: ("execute", n + 1, cell, before))

    def recover(self, n: int, whole: int, x: tuple) -> Hashable:
        resumes = whole == n + 1
        if self.mutant == "successor judges the cell by its first row":
            resumes = x[0] == 2 ** (n + 1)
        if self.mutant == "successor ignores the seal" or not resumes or n == self.cycles:
            return "wait", n
        if x[0] != x[1] or x[0] != 2 ** (n + 1):
            raise m.Violation(f"sealed cell {n + 1} holds {x}")
        if self.mutant == "successor does not write histories again":
            return "publish", n + 1
        return "commit", n + 1, x[0]

    def fill(self, n: int, x: int) -> list[m.Op]:
        if x != 2**n:
            raise m.Violation(f"executing {n} gives {x}")
        early = [m.store(word, x) for word in self.history]
        rows = [m.store(word, x) for word in self.slots[n % 4]]
        before = early if self.mutant == "histories before seal" else []
        return [*before, *rows, m.store(self.sealed, n, m.RELEASE)]

    def commit(self, n: int, x: int) -> list[m.Op]:
        order = m.PLAIN if self.mutant == "publish by a plain store" else m.RELEASE
        last = [m.store(self.published, n, order), m.fence(m.RELEASE)]
        late = [m.store(word, x) for word in self.history]
        if self.mutant == "histories before seal":
            return last
        return [*last, *late] if self.mutant == "publish before histories" else [*late, *last]

    def scan(self, local: Hashable) -> m.Block | None:
        match local:
            case "start":
                return m.Block([m.load(self.gate, m.ACQUIRE)], lambda n: ("wait", n))
            case ("wait", n) if n < self.cycles:
                newer = ("use", n + 1)
                opens = [m.load(self.published, m.ACQUIRE)]
                return m.Block(opens, lambda p: newer if p > n else ("wait", n))
            case ("use", n):
                order = m.PLAIN if self.mutant == "gate stored plainly" else m.RELEASE
                moved = m.store(self.gate, n, order)
                used = [m.load(word) for word in (*self.slots[n % 4], *self.history)]
                early = self.mutant == "gate stored before the cell is used"
                ops = [moved, *used] if early else [*used, moved]
                return m.Block(ops, lambda *x: self.judge(n, x))
        return None

    def judge(self, n: int, x: tuple) -> Hashable:
        if x != (2**n,) * 4:
            raise m.Violation(f"in cycle {n} the gate read {x}")
        return "wait", n

    def final(self, words: tuple) -> None:
        cell = [words[word] for word in (*self.slots[self.cycles % 4], *self.history)]
        if cell != [2**self.cycles] * 4 or words[self.published] != self.cycles:
            raise m.Violation(f"in the end cell and history are {cell}")

    def protocol(self) -> m.Protocol:
        """The roles over the memory."""
        roles = [
            m.Role("bars", lambda _: "start", self.bars, self.deaths),
            m.Role("scan", lambda _: "start", self.scan, self.gate_deaths),
        ]
        return m.Protocol(self.memory, roles, final=self.final)


def gated(mutant: str = "", **bounds: Any) -> m.Protocol:
    """See Gated."""
    return Gated(mutant, **bounds).protocol()
