"""Model of the versioned blob: slots reused under a floor; follows shm/blob.py.

Version v is written as 100 * v + life + 1 in two words of a slot.
"""

from collections.abc import Hashable
from typing import Any

from tests.model import machine as m

BLOB_MUTANTS = {
    # name: (caught under TSO, caught under ARM)
    "slot not made invalid first": (True, True),
    "no fence after making it invalid": (False, True),
    "version before the content": (True, True),
    "version stored plainly": (False, True),
    "reader opens with a plain load": (False, True),
    "reader without acquire fence": (False, True),
    "reader does not check again": (True, True),
    "floor not looked at": (True, True),
    "newest version overwritten": (True, True),
    "floor one too high": (True, True),
}
BLOB_DEATH_MUTANTS = {
    "successor leaves the invalid slot invalid": (True, True),
}


class Blob:
    """A writer of versions 1, 2, 3, ... in two slots; a user who works on each version in turn and
    gives it up by raising the floor once the next one is there; a stranger who copies what he finds
    in slot 0."""

    def __init__(
        self, mutant: str = "", *, versions: int = 3, deaths: int = 1, peeks: int = 1
    ) -> None:
        self.mutant = mutant
        self.versions = versions
        self.deaths = deaths
        self.peeks = peeks
        self.memory = m.Memory()
        self.floor = self.memory.word("floor", 1)
        self.version = self.memory.array("version", 2)
        self.data = [self.memory.array("content 0.", 2), self.memory.array("content 1.", 2)]

    def writer(self, local: Hashable) -> m.Block | None:
        match local:
            case ("look", life):
                look = [m.load(word, m.ACQUIRE) for word in self.version]
                return m.Block(look, lambda *v: (life, *v))
            case (int(life), *held) if max(held) < self.versions:
                look = [m.load(self.floor, m.ACQUIRE)]
                return m.Block(look, lambda floor: self.choose(life, held, floor))
            case ("fill", life, slot, number):
                return m.Block(self.fill(life, slot, number), lambda: ("look", life))
        return None

    def choose(self, life: int, held: list[int], lowest: int) -> Hashable:
        number, oldest = max(held) + 1, min(held)
        if self.mutant == "newest version overwritten" and oldest:
            oldest = max(held)
        if self.mutant == "successor leaves the invalid slot invalid" and not oldest and number > 2:
            oldest = max(held)
        full = oldest and oldest >= lowest and self.mutant != "floor not looked at"
        if full:
            return "look", life
        return "fill", life, held.index(oldest), number

    def fill(self, life: int, slot: int, number: int) -> list[m.Op]:
        invalid = [m.store(self.version[slot], 0, m.RELEASE), m.fence(m.RELEASE)]
        if self.mutant == "slot not made invalid first":
            invalid = []
        elif self.mutant == "no fence after making it invalid":
            invalid.pop()
        content = [m.store(word, 100 * number + life + 1) for word in self.data[slot]]
        order = m.PLAIN if self.mutant == "version stored plainly" else m.RELEASE
        last = [m.store(self.version[slot], number, order)]
        if self.mutant == "version before the content":
            return [*invalid, *last, *content]
        return [*invalid, *content, *last]

    def copy(self, slot: int) -> list[m.Op]:
        opens = m.PLAIN if self.mutant == "reader opens with a plain load" else m.ACQUIRE
        check = [m.fence(m.ACQUIRE), m.load(self.version[slot])]
        if self.mutant == "reader without acquire fence":
            check = check[1:]
        return [m.load(self.version[slot], opens), *map(m.load, self.data[slot]), *check]

    def copied(self, before: int, left: int, right: int, after: int) -> int:
        """The version of a good copy, 0: no copy."""
        if self.mutant != "reader does not check again" and before != after:
            return 0
        if before and (left != right or left // 100 != before):
            raise m.Violation(f"version {before} read as {left}, {right}")
        return before

    def user(self, local: Hashable) -> m.Block | None:
        match local:
            case ("use", number):
                look = [m.load(word, m.ACQUIRE) for word in self.version]
                return m.Block(look, lambda *held: self.find(number, held))
            case ("copy", number, slot):
                return m.Block(
                    self.copy(slot), lambda *values: self.used(number, self.copied(*values))
                )
            case ("next", number) if number < self.versions:
                look = [m.load(word, m.ACQUIRE) for word in self.version]
                known = ("raise", number + 1)
                return m.Block(look, lambda *held: known if number + 1 in held else local)
            case ("raise", number):
                lowest = number + (self.mutant == "floor one too high")
                return m.Block([m.store(self.floor, lowest, m.RELEASE)], lambda: ("use", number))
        return None

    def find(self, number: int, held: tuple[int, ...]) -> Hashable:
        if number not in held:
            raise m.Violation(f"version {number} is gone, {held} are there")
        return "copy", number, held.index(number)

    def used(self, number: int, got: int) -> Hashable:
        if got != number:
            raise m.Violation(f"version {number} was overwritten while in use")
        return "next", number

    def stranger(self, local: Hashable) -> m.Block | None:
        if not local:
            return None

        def then(*values: int) -> Hashable:
            self.copied(*values)
            return local - 1  # type: ignore[operator]

        return m.Block(self.copy(0), then)

    def protocol(self) -> m.Protocol:
        """The roles over the memory."""
        roles = [
            m.Role("web", lambda life: ("look", life), self.writer, self.deaths),
            m.Role("scan", lambda _: ("next", 0), self.user),
            m.Role("stranger", lambda _: self.peeks, self.stranger),
        ]
        return m.Protocol(self.memory, roles)


def blob(mutant: str = "", **bounds: Any) -> m.Protocol:
    """See Blob."""
    return Blob(mutant, **bounds).protocol()
