"""The protocols under TSO and an ARM-like memory, writers dying at every step; no fence is spare.

The programs repeat the kernels operation by operation (test_machine_code ties those to the atomics
they compile to), with records of two words, as small as a torn copy can be.
"""

import dataclasses

import pytest

from tests.shm.memory_model import ARM, TSO, Machine, fence, load, store, weakened


@dataclasses.dataclass
class Case:
    """Programs, the memory they start from, and what must hold in every outcome."""

    programs: list
    memory: dict
    holds: object
    successor: list | None = None
    needless: tuple = ()  # weakenings that change nothing here, as (program, label)


# The reader's first load picks the address of the next ones: that dependency orders them, too, on
# the processor. The compiler does not promise to keep it, so the kernels acquire all the same.
DEPENDS = (1, "0: relaxed load")


def torn(first, second, value):
    """True if two words of a copy do not both belong to `value`."""
    return (first, second) != (value, value)


# -- seqlock ---------------------------------------------------------------------------------------
def seqlock_writer(value):
    return [
        store("v", 2 * value - 1), fence("release"),
        store("d0", value), store("d1", value), store("v", 2 * value, "release"),
    ]  # fmt: skip


def seqlock():
    reader = [
        load("v0", "v", "acquire"), load("d0", "d0"), load("d1", "d1"),
        fence("acquire"), load("v1", "v"),
    ]  # fmt: skip

    def holds(registers, memory):
        r = registers[1]
        accepted = r["v0"] == r["v1"] and r["v0"] % 2 == 0
        return not accepted or not torn(r["d0"], r["d1"], r["v0"] // 2)

    return Case([seqlock_writer(1) + seqlock_writer(2), reader], {}, holds)


# -- cells: here 2 words a slot, 4 slots, cell 0 published -----------------------------------------
def cell_writer(first, last):
    program = []
    for n in range(first, last + 1):
        program += [
            store(("d0", n % 4), n), store(("d1", n % 4), n),
            store("published", n, "release"), fence("release"),
        ]  # fmt: skip
    return program


def cells():
    reader = [
        load("n", "published", "acquire"),
        load("d0", lambda r: ("d0", r["n"] % 4), needs=["n"]),
        load("d1", lambda r: ("d1", r["n"] % 4), needs=["n"]),
        fence("acquire"), load("now", "published"),
    ]  # fmt: skip

    def holds(registers, memory):
        r = registers[1]
        return r["now"] - r["n"] > 2 or not torn(r["d0"], r["d1"], r["n"])

    last = len(cell_writer(1, 4)) - 1
    # Only the fence before the store that reuses a slot the reader may hold matters here: the one
    # after publication 3; publications 1, 2 and 4 are read by nobody who could be torn by them.
    needless = (DEPENDS, *((0, f"{i}: without fence release") for i in (3, 7, last)))
    return Case([cell_writer(1, 4), reader], {}, holds, needless=needless)


# -- ring: 2 slots, 2 words a record, a reader without a gate --------------------------------------
def put(position, value):
    return [store(("d0", position % 2), value), store(("d1", position % 2), value)]


def publication(tail, count, intent):
    program = [store("intent", intent), fence("release")]
    for k in range(count):
        program += put(tail + k, tail + k)
    return [*program, store("tail", tail + count, "release")]


def spy():
    """Copies the oldest record it may: position tail - 2."""
    return [
        load("tail", "tail", "acquire"),
        load("d0", lambda r: ("d0", r["tail"] % 2), needs=["tail"]),
        load("d1", lambda r: ("d1", r["tail"] % 2), needs=["tail"]),
        fence("acquire"), load("intent", "intent"),
    ]  # fmt: skip


RING = {("d0", 1): 1, ("d1", 1): 1, "tail": 2, "intent": 2}  # records 0 and 1 are published


def spied(registers, memory):
    r = registers[1]
    position = r["tail"] - 2
    return r["intent"] - position > 2 or not torn(r["d0"], r["d1"], position)


def ring():
    writer = publication(2, 1, 3) + publication(3, 1, 4)
    tails = ((0, "4: relaxed store"), (0, "9: relaxed store"))  # see ring_newest
    return Case([writer, spy()], RING, spied, needless=(DEPENDS, *tails))


def ring_newest():
    """A reader of the newest record, which nobody overwrites."""
    reader = [
        load("tail", "tail", "acquire"),
        load("d0", lambda r: ("d0", (r["tail"] - 1) % 2), needs=["tail"]),
        load("d1", lambda r: ("d1", (r["tail"] - 1) % 2), needs=["tail"]),
    ]  # fmt: skip

    def holds(registers, memory):
        r = registers[1]
        return not torn(r["d0"], r["d1"], r["tail"] - 1)

    needless = (DEPENDS, (0, "1: without fence release"))  # the fence is for those who are lapped
    return Case([publication(2, 1, 3), reader], RING, holds, needless=needless)


def ring_gate():
    """A reader in place gives its record back, and only then the writer overwrites it."""
    writer = [
        load("gate", "gate", "acquire"),
        *(
            store(lambda r, key=key: key if r["gate"] > 0 else None, 2, needs=["gate"])
            for key in (("d0", 0), ("d1", 0))
        ),
    ]  # fmt: skip
    reader = [load("d0", ("d0", 0)), load("d1", ("d1", 0)), store("gate", 1, "release")]

    def holds(registers, memory):
        return not torn(registers[1]["d0"], registers[1]["d1"], 0)

    needless = ((0, "0: relaxed load"),)  # a store waits for the decision to store
    return Case([writer, reader], RING, holds, needless=needless)


def ring_takeover():
    """The first writer dies inside two records; its successor publishes one, INTENT kept at 4."""
    successor = [
        load("intent", "intent"),
        store("intent", lambda r: max(r["intent"], 3), needs=["intent"]), fence("release"),
        *put(2, 2), store("tail", 3, "release"),
    ]  # fmt: skip
    return Case([publication(2, 2, 4), spy()], RING, spied, successor, (DEPENDS,))


def ring_takeover_with_intent_reset():
    """What must not be done: INTENT set back to the tail by the successor."""
    case = ring_takeover()
    return dataclasses.replace(case, successor=[store("intent", 2), *publication(2, 1, 3)])


# -- joining a ring again: the gate is dropped (-1) and the writer is running ----------------------
def joining():
    capacity = 2

    def admits(r, name):
        return r[name] < 0 or 3 - r[name] < capacity

    def second(address):
        return lambda r: address if admits(r, "g1") and admits(r, "g2") else None

    writer = [  # record 2, then record 3, each after a look at the gate, before and after INTENT
        load("g0", "gate", "acquire"), store("intent", 3), fence("full"), load("g0b", "gate"),
        fence("release"), *put(2, 2), store("tail", 3, "release"),
        load("g1", "gate", "acquire"),
        store(lambda r: "intent" if admits(r, "g1") else None, 4, needs=["g1"]), fence("full"),
        load("g2", "gate", "acquire"), fence("release"),
        store(second(("d0", 1)), 3, needs=["g1", "g2"]),
        store(second(("d1", 1)), 3, needs=["g1", "g2"]),
        store(second("tail"), 4, "release", needs=["g1", "g2"]),
    ]  # fmt: skip
    reader = [  # position 1 would be overwritten by record 3
        store("gate", 1, "release"), fence("full"), load("intent", "intent", "acquire"),
        load("d0", ("d0", 1)), load("d1", ("d1", 1)),
    ]  # fmt: skip

    def holds(registers, memory):
        r = registers[1]
        return r["intent"] - 1 > capacity or not torn(r["d0"], r["d1"], 1)

    # What decides is the second full fence of the writer and the reader's; the first publication
    # is only there to be looked past, payload and tail are ordered for other readers (ring).
    needless = (
        (0, "0: relaxed load"), (0, "2: without fence full"), (0, "4: without fence release"),
        (0, "7: relaxed store"), (0, "8: relaxed load"), (0, "11: relaxed load"),
        (0, "12: without fence release"), (0, "15: relaxed store"), (1, "0: relaxed store"),
        (1, "2: relaxed load"),
    )  # fmt: skip
    return Case([writer, reader], {**RING, "gate": -1}, holds, needless=needless)


# -- names: one row of two words under a redo record -----------------------------------------------
def renaming(version, value):
    """set_name_nb from VERSION `version` (even); the last fence belongs to the set after it."""
    return [
        store("p0", value), store("p1", value), store("v", version + 1, "release"),
        fence("release"), store("d0", value), store("d1", value),
        store("v", version + 2, "release"), fence("release"),
    ]  # fmt: skip


def names_reader():
    def word(k):
        return lambda r: f"p{k}" if r["v0"] % 2 else f"d{k}"

    return [
        load("v0", "v", "acquire"), load("w0", word(0), needs=["v0"]),
        load("w1", word(1), needs=["v0"]), fence("acquire"), load("v1", "v"),
    ]  # fmt: skip


def named(registers, memory):
    r = registers[1]
    return r["v0"] != r["v1"] or not torn(r["w0"], r["w1"], (r["v0"] + 1) // 2)


def names():
    needless = (DEPENDS, (0, "15: without fence release"))  # nothing follows it
    return Case([renaming(0, 1) + renaming(2, 2), names_reader()], {}, named, needless=needless)


def names_takeover():
    """The writer dies anywhere; the successor finishes what was begun, then the row is checked."""
    finish = [
        load("v", "v", "acquire"), load("q0", "p0", needs=["v"]), load("q1", "p1", needs=["v"]),
        store(lambda r: "d0" if r["v"] % 2 else None, lambda r: r["q0"], needs=["v", "q0"]),
        store(lambda r: "d1" if r["v"] % 2 else None, lambda r: r["q1"], needs=["v", "q1"]),
        store(lambda r: "v" if r["v"] % 2 else None, lambda r: r["v"] + 1, "release", ["v"]),
    ]  # fmt: skip

    def holds(registers, memory):
        row = (memory.get("d0", 0), memory.get("d1", 0))
        whole = memory.get("v", 0) % 2 == 0 and not torn(*row, memory.get("v", 0) // 2)
        return named(registers, memory) and whole

    needless = (DEPENDS, (0, "7: without fence release"))  # nothing follows it
    return Case([renaming(0, 1), names_reader()], {}, holds, finish, needless)


# -- blob: one slot, version 1 replaced by version 2 -----------------------------------------------
def blob():
    writer = [
        store("version", 0, "release"), fence("release"),
        store("d0", 2), store("d1", 2), store("version", 2, "release"),
    ]  # fmt: skip
    reader = [
        load("v0", "version", "acquire"), load("d0", "d0"), load("d1", "d1"),
        fence("acquire"), load("v1", "version", "acquire"),
    ]  # fmt: skip

    def holds(registers, memory):
        r = registers[1]
        return r["v0"] == 0 or r["v0"] != r["v1"] or not torn(r["d0"], r["d1"], r["v0"])

    needless = ((0, "0: relaxed store"), (1, "4: relaxed load"))  # the fences beside them order
    return Case([writer, reader], {"version": 1, "d0": 1, "d1": 1}, holds, needless=needless)


CASES = {
    case.__name__: case
    for case in (
        seqlock, cells, ring, ring_newest, ring_gate, ring_takeover, joining, names,
        names_takeover, blob,
    )
}


def holds_always(case: Case, kind: str) -> bool:
    """True if every outcome on that kind of machine is a good one."""
    machine = Machine(kind, case.programs, case.successor)
    return all(case.holds(registers, memory) for registers, memory in machine.outcomes(case.memory))


@pytest.mark.parametrize("kind", [TSO, ARM])
@pytest.mark.parametrize("name", CASES)
def test_the_protocol_holds_in_every_order(name, kind):
    assert holds_always(CASES[name](), kind)


@pytest.mark.parametrize("name", CASES)
def test_no_fence_acquire_or_release_is_spare_on_arm(name):
    case = CASES[name]()
    survived = []
    for p, program in enumerate(case.programs):
        for label, mutant in weakened(program):
            programs = [*case.programs[:p], mutant, *case.programs[p + 1 :]]
            if holds_always(dataclasses.replace(case, programs=programs), ARM):
                survived.append((p, label))
    assert sorted(survived) == sorted(case.needless)


def test_setting_intent_back_after_a_death_would_let_dirty_slots_pass():
    assert not holds_always(ring_takeover_with_intent_reset(), TSO)


def test_a_cell_reader_three_behind_would_be_torn():
    case = cells()
    programs = [cell_writer(1, 4), case.programs[1]]

    def holds(registers, memory):
        r = registers[1]
        return r["now"] - r["n"] > 3 or not torn(r["d0"], r["d1"], r["n"])

    assert not holds_always(dataclasses.replace(case, programs=programs, holds=holds), TSO)


def test_a_join_without_full_fences_is_overtaken_even_under_tso():
    case = joining()
    for p in (0, 1):
        program = [op for op in case.programs[p] if op.order != "full"]
        programs = [program if q == p else case.programs[q] for q in (0, 1)]
        assert not holds_always(dataclasses.replace(case, programs=programs), TSO)
