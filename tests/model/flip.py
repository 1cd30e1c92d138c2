"""Model of a table kept in two whole copies, as the indicators keep it: build the other copy, then
one store flips copy and number. STATE = 2 * n + copy; odd cycles close no bars and keep the copy.

The table of cycle n holds n // 2 in two words: one more than the copy it was built from.
"""

from collections.abc import Hashable

from tests.model import machine as m

FLIP_MUTANTS = {
    # name: (caught under TSO, caught under ARM)
    "flip before the copy is whole": (True, True),
    "flip by a plain store": (False, True),
    "built in place": (True, True),
    "copy and number in two stores": (True, True),
    "gate not waited for": (True, True),
    "reader opens with a plain load": (False, True),
}


def flip(mutant: str = "", *, cycles: int = 6, deaths: int = 2, gate_deaths: int = 1) -> m.Protocol:
    """The writer builds cycle n + 1 when the gate has taken n; the gate reads in place."""
    memory = m.Memory()
    state, gate = memory.word("state"), memory.word("gate")
    copies = [memory.array("copy 0.", 2), memory.array("copy 1.", 2)]

    def writer(local: Hashable) -> m.Block | None:
        match local:
            case "start":
                return m.Block([m.load(state)], lambda s: ("wait", s // 2, s % 2))
            case ("wait", n, copy) if n < cycles:
                if mutant == "gate not waited for":
                    return m.Block(map(m.load, copies[copy]), lambda *x: ("build", n, copy, *x))
                go = ("read", n, copy)
                return m.Block([m.load(gate, m.ACQUIRE)], lambda g: go if g == n else local)
            case ("read", n, copy):
                return m.Block(map(m.load, copies[copy]), lambda *x: ("build", n, copy, *x))
            case ("build", n, copy, *x):
                into = copy if (n + 1) % 2 or mutant == "built in place" else 1 - copy
                return m.Block(build(n + 1, into, x), lambda: ("wait", n + 1, into))
        return None

    def build(n: int, into: int, x: list[int]) -> list[m.Op]:
        order = m.PLAIN if mutant == "flip by a plain store" else m.RELEASE
        last = [m.store(state, 2 * n + into, order)]
        if mutant == "copy and number in two stores":
            last = [m.store(state, 2 * (n - 1) + into, m.RELEASE), *last]
        if n % 2:
            return last
        built = [m.store(word, old + 1) for word, old in zip(copies[into], x, strict=True)]
        return [*last, *built] if mutant == "flip before the copy is whole" else [*built, *last]

    def reader(local: Hashable) -> m.Block | None:
        match local:
            case "start":
                return m.Block([m.load(gate)], lambda g: ("look", g))
            case ("look", n) if n < cycles:
                opens = m.PLAIN if mutant == "reader opens with a plain load" else m.ACQUIRE
                words = [*copies[0], *copies[1]]
                loads = [m.load(state, opens), *map(m.load, words)]
                return m.Block(loads, lambda s, *x: see(n, s, x))
            case ("take", n, copy):
                again = [*map(m.load, copies[copy]), m.store(gate, n, m.RELEASE)]
                return m.Block(again, lambda *x: judge(n, x))
        return None

    def see(n: int, s: int, x: tuple[int, ...]) -> Hashable:
        if s // 2 <= n:
            return "look", n
        judge(n + 1, x[2:] if s % 2 else x[:2])
        return "take", n + 1, s % 2

    def judge(n: int, x: tuple[int, ...]) -> Hashable:
        if x != (n // 2, n // 2):
            raise m.Violation(f"table of cycle {n} read as {x}")
        return "look", n

    roles = [
        m.Role("indicators", lambda _: "start", writer, deaths),
        m.Role("scan", lambda _: "start", reader, gate_deaths),
    ]
    return m.Protocol(memory, roles)
