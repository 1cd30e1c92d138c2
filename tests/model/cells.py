"""Model of the snapshot cells: fill, seal, write histories, publish; follows shm/cells_nb.py.

Cell n holds x(n) twice. Executing n reads cell n - 1 and the history as of n - 1, and the history
then becomes x(n): x(n) = x(n - 1) + history = 2 ** n, if and only if nobody reads what n itself
wrote. So a wrong value anywhere shows which rule was broken.
"""

from collections.abc import Hashable
from typing import Any

from tests.model.machine import (
    ACQUIRE,
    PLAIN,
    RELEASE,
    Block,
    Memory,
    Op,
    Protocol,
    Role,
    Violation,
    fence,
    load,
    store,
)

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
) -> Protocol:
    """A writer without gates and a reader who may be lapped: it opens PUBLISHED, copies cell n and
    keeps the copy if 0 <= published - n <= 2 afterwards. The copy does not depend on what was
    opened (speculation): the reader works on guessed numbers, and judges only right guesses."""
    memory = Memory()
    sealed, published = memory.word("sealed"), memory.word("published")
    halves = 2 if mutant == "two slots" else 4
    slots = [memory.array(f"cell {slot}.", 2, int(slot == 0)) for slot in range(halves)]
    stride = 4 if mutant == "numbers with holes" else 1

    def writer(local: Hashable) -> Block | None:
        match local:
            case "start":
                return Block([load(published, ACQUIRE), load(sealed, ACQUIRE)], recover)
            case ("finish", n):
                check = map(load, slots[n % halves])
                return Block(check, lambda *x: ("publish", n, *x))
            case ("publish", n, *x):
                if x != [2**n] * 2:
                    raise Violation(f"sealed cell {n} holds {x}")
                return Block(publish(n), lambda: ("fill", n + stride))
            case ("fill", n) if n <= cycles * stride:
                return Block(fill(n), lambda: ("fill", n + stride))
        return None

    def recover(n: int, whole: int) -> Hashable:
        return ("finish", whole) if whole == n + stride else ("fill", n + stride)

    def publish(n: int) -> list[Op]:
        order = PLAIN if mutant == "publish by a plain store" else RELEASE
        barrier = [] if mutant == "no fence after publish" else [fence(RELEASE)]
        return [store(published, n, order), *barrier]

    def fill(n: int) -> list[Op]:
        rows = [store(word, 2**n) for word in slots[n % halves]]
        seal = [store(sealed, n, RELEASE)]
        if mutant == "seal before the cell is whole":
            return [rows[0], *seal, rows[1], *publish(n)]
        if mutant == "publish before the cell is whole":
            return [*seal, *publish(n), *rows]
        return [*rows, *seal, *publish(n)]

    def reader(local: Hashable) -> Block | None:
        if local == len(guesses):
            return None
        n = guesses[local] * stride  # type: ignore[index]

        def then(opened: int, left: int, right: int, after: int) -> Hashable:
            behind = 3 if mutant == "check allows three behind" else 2
            whole = 0 <= after - n <= behind or mutant == "reader does not check"
            if opened == n and whole and (left, right) != (2**n, 2**n):
                raise Violation(f"cell {n} read as {left}, {right} at {after}")
            return local + 1  # type: ignore[operator]

        opens = PLAIN if mutant == "reader opens with a plain load" else ACQUIRE
        check = [fence(ACQUIRE), load(published)]
        if mutant == "reader without acquire fence":
            check = check[1:]
        return Block([load(published, opens), *map(load, slots[n % halves]), *check], then)

    roles = [
        Role("bars", lambda _: "start", writer, deaths),
        Role("web", lambda _: 0, reader),
    ]
    return Protocol(memory, roles)


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
        self.memory = Memory()
        self.sealed = self.memory.word("sealed")
        self.published = self.memory.word("published")
        self.gate = self.memory.word("gate")
        self.slots = [self.memory.array(f"cell {slot}.", 2, int(slot == 0)) for slot in range(4)]
        self.history = self.memory.array("history", 2, 1)

    def bars(self, local: Hashable) -> Block | None:
        match local:
            case "start":
                opens = [load(self.published, ACQUIRE), load(self.sealed, ACQUIRE)]
                return Block(opens, lambda n, whole: ("recover", n, whole))
            case ("recover", n, whole):
                return Block(
                    map(load, self.slots[(n + 1) % 4]), lambda *x: self.recover(n, whole, x)
                )
            case ("wait", n) if n < self.cycles:
                if self.mutant == "gate not waited for":
                    return self.execute_from(n)
                return Block([load(self.gate, ACQUIRE)], lambda g: ("go" if g >= n else "wait", n))
            case ("go", n):
                return self.execute_from(n)
            case ("execute", n, cell, before):
                return Block(self.fill(n, cell + before), lambda: ("commit", n, cell + before))
            case ("publish", n):
                return Block([store(self.published, n, RELEASE)], lambda: ("wait", n))
            case ("commit", n, x):
                return Block(self.commit(n, x), lambda: ("wait", n))
        return None

    def execute_from(self, n: int) -> Block:
        loads = [load(self.slots[n % 4][0]), load(self.history[0])]
        return Block(loads, lambda cell, before: ("execute", n + 1, cell, before))

    def recover(self, n: int, whole: int, x: tuple) -> Hashable:
        resumes = whole == n + 1
        if self.mutant == "successor judges the cell by its first row":
            resumes = x[0] == 2 ** (n + 1)
        if self.mutant == "successor ignores the seal" or not resumes or n == self.cycles:
            return "wait", n
        if x[0] != x[1] or x[0] != 2 ** (n + 1):
            raise Violation(f"sealed cell {n + 1} holds {x}")
        if self.mutant == "successor does not write histories again":
            return "publish", n + 1
        return "commit", n + 1, x[0]

    def fill(self, n: int, x: int) -> list[Op]:
        if x != 2**n:
            raise Violation(f"executing {n} gives {x}")
        early = [store(word, x) for word in self.history]
        rows = [store(word, x) for word in self.slots[n % 4]]
        before = early if self.mutant == "histories before seal" else []
        return [*before, *rows, store(self.sealed, n, RELEASE)]

    def commit(self, n: int, x: int) -> list[Op]:
        order = PLAIN if self.mutant == "publish by a plain store" else RELEASE
        last = [store(self.published, n, order), fence(RELEASE)]
        late = [store(word, x) for word in self.history]
        if self.mutant == "histories before seal":
            return last
        return [*last, *late] if self.mutant == "publish before histories" else [*late, *last]

    def scan(self, local: Hashable) -> Block | None:
        match local:
            case "start":
                return Block([load(self.gate, ACQUIRE)], lambda n: ("wait", n))
            case ("wait", n) if n < self.cycles:
                newer = ("use", n + 1)
                opens = [load(self.published, ACQUIRE)]
                return Block(opens, lambda p: newer if p > n else ("wait", n))
            case ("use", n):
                order = PLAIN if self.mutant == "gate stored plainly" else RELEASE
                moved = store(self.gate, n, order)
                used = [load(word) for word in (*self.slots[n % 4], *self.history)]
                early = self.mutant == "gate stored before the cell is used"
                ops = [moved, *used] if early else [*used, moved]
                return Block(ops, lambda *x: self.judge(n, x))
        return None

    def judge(self, n: int, x: tuple) -> Hashable:
        if x != (2**n,) * 4:
            raise Violation(f"in cycle {n} the gate read {x}")
        return "wait", n

    def final(self, words: tuple) -> None:
        cell = [words[word] for word in (*self.slots[self.cycles % 4], *self.history)]
        if cell != [2**self.cycles] * 4 or words[self.published] != self.cycles:
            raise Violation(f"in the end cell and history are {cell}")

    def protocol(self) -> Protocol:
        """The roles over the memory."""
        roles = [
            Role("bars", lambda _: "start", self.bars, self.deaths),
            Role("scan", lambda _: "start", self.scan, self.gate_deaths),
        ]
        return Protocol(self.memory, roles, final=self.final)


def gated(mutant: str = "", **bounds: Any) -> Protocol:
    """See Gated."""
    return Gated(mutant, **bounds).protocol()
