"""Model of a scan worker's cycle and the alert service: evaluate, commit to the lane, apply; take a
whole cycle, store it durably, move the head.

Cycle n: state(n) = state(n - 1) + 1, kept in two copies by parity; every cycle fires one alert that
carries its number and state(n), followed by an end record with the number of alerts. So an alert
with another state than n was evaluated from the wrong state, and the stored alerts are 1, 2, 3, ...
"""

from collections.abc import Hashable

from tests.model.machine import (
    ACQUIRE,
    FULL,
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


def lane(
    mutant: str = "", *, cycles: int = 3, deaths: int = 1, reader_deaths: int = 1
) -> Protocol:
    """One worker, its lane of two cycles, the alert service with its store on disk."""
    memory = Memory()
    tail, head = memory.word("tail"), memory.word("head")
    state_n, state = memory.word("state n"), memory.array("state", 2)
    slots = memory.array("slot", 2 if mutant == "lane of one cycle" else 4)
    disk = memory.array("disk", cycles + 1)
    applies_first = mutant == "apply before commit"

    def slot(position: int) -> int:
        return slots[position % len(slots)]

    def worker(local: Hashable) -> Block | None:
        match local:
            case "start":
                return Block([load(state_n), load(tail)], lambda n, t: ("look", n + 1, t))
            case ("look", n, t) if n <= cycles:
                copies = 1 if mutant == "one copy of the state" else 2
                old = state[(n - 1) % copies]
                return Block([load(old), load(slot(t - 1))], lambda x, end: decide(n, t, x, end))
            case ("room", n, t, x):
                go = ("commit", n, t, x)
                room = len(slots) if mutant == "free room not looked at" else 0
                wait = [load(head, ACQUIRE)]
                return Block(wait, lambda h: go if h + len(slots) + room >= t + 2 else local)
            case ("commit", n, t, x):
                if applies_first:
                    ops = [*apply(n, x), *commit(n, t, x)]
                    return Block(ops, lambda: ("look", n + 1, t + 2))
                return Block(commit(n, t, x), lambda: ("apply", n, t + 2, x))
            case ("apply", n, t, x):
                return Block(apply(n, x), lambda: ("look", n + 1, t))
        return None

    def decide(n: int, t: int, x: int, end: int) -> Hashable:
        committed = end == END + n and mutant != "redo commits again"
        if committed and mutant == "redo applies without evaluating again":
            return "apply", n, t, n - 1
        return ("apply" if committed else "room"), n, t, x + 1

    def commit(n: int, t: int, x: int) -> list[Op]:
        order = PLAIN if mutant == "tail stored plainly" else RELEASE
        records = [store(slot(t), 10 * n + x), store(slot(t + 1), END + n)]
        last = store(tail, t + 2, order)
        if mutant == "tail before the records":
            return [last, *records]
        if mutant == "a tail after every record":
            return [records[0], store(tail, t + 1, RELEASE), records[1], last]
        return [*records, last]

    def apply(n: int, x: int) -> list[Op]:
        copies = 1 if mutant == "one copy of the state" else 2
        ops = [store(state[n % copies], x), store(state_n, n, RELEASE)]
        return ops[::-1] if mutant == "state number before the state" else ops

    def service(local: Hashable) -> Block | None:
        match local:
            case "start":
                return Block([load(head)], lambda h: ("look", h))
            case ("look", h) if h < 2 * cycles:
                opens = PLAIN if mutant == "reader opens the tail plainly" else ACQUIRE
                loads = [load(tail, opens), load(slot(h)), load(slot(h + 1))]
                return Block(loads, lambda t, alert, end: take(h, t, alert, end))
            case ("store", h, n):
                return Block([load(disk[n])], lambda old: ("write", h, n, old))
            case ("write", h, n, old):
                return Block(durable(h, n, old), lambda: ("look", h + 2))
        return None

    def take(h: int, t: int, alert: int, end: int) -> Hashable:
        if t < h + 2:
            return "look", h
        n = h // 2 + 1
        if end != END + n or alert != 10 * n + n:
            raise Violation(f"in place of cycle {n} the lane holds {alert}, {end}")
        return "store", h, n

    def durable(h: int, n: int, old: int) -> list[Op]:
        """Append to the file and sync: a system call, which orders everything."""
        fresh = old == 0 or mutant == "no deduplication"
        written = [store(disk[n], old + 1)] if fresh else []
        files = [fence(FULL), *written, fence(FULL)]
        moved = [store(head, h + 2, RELEASE)]
        if mutant == "head at every record":
            moved = [store(head, h + 1, RELEASE), *moved]
        return [*moved, *files] if mutant == "head before durable" else [*files, *moved]

    def final(words: tuple) -> None:
        stored = [words[word] for word in disk[1:]]
        if stored != [1] * cycles:
            raise Violation(f"in the end the alerts are stored {stored} times")

    roles = [
        Role("scan", lambda _: "start", worker, deaths),
        Role("alerts", lambda _: "start", service, reader_deaths),
    ]
    return Protocol(memory, roles, final=final)
