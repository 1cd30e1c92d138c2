"""The machine itself: litmus tests with known answers, and what a death may and may not do."""

from collections.abc import Callable, Hashable, Sequence

import pytest

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
    explore,
    fence,
    load,
    store,
    swap,
)

X, Y = 0, 1
BOTH = ("TSO", "ARM")


def _outcomes(model: str, *programs: Sequence[Op]) -> set[tuple]:
    """Every combination of loaded values, of all threads together, that the model allows."""
    memory = Memory()
    memory.array("word", 2)
    notes = [
        memory.word("note")
        for program in programs
        for op in program
        if op.kind in ("load", "swap")
    ]
    found: set[tuple] = set()
    roles, used = [], 0
    for program in programs:
        loads = sum(op.kind in ("load", "swap") for op in program)
        mine = notes[used : used + loads]
        used += loads
        roles.append(_thread(program, mine))
    final = _collect(found, notes)
    result = explore(Protocol(memory, roles, final=final), model)
    assert not result.violation
    return found


def _thread(program: Sequence[Op], notes: Sequence[int]) -> Role:
    """Runs a program as one block, then notes what it loaded in words of its own."""

    def step(local: Hashable) -> Block | None:
        if local == "run":
            return Block(program, lambda *values: ("note", *values))
        if local == "end":
            return None
        _, *values = local  # type: ignore[misc]
        return Block([store(w, v) for w, v in zip(notes, values, strict=True)], lambda: "end")

    return Role("thread", lambda _: "run", step)


def _collect(found: set[tuple], notes: Sequence[int]) -> Callable[[tuple], None]:
    return lambda words: found.add(tuple(int(words[note]) for note in notes))


def test_store_buffering_shows_on_both_models_and_a_full_fence_ends_it() -> None:
    left, right = [store(X, 1), load(Y)], [store(Y, 1), load(X)]
    for model in BOTH:
        assert (0, 0) in _outcomes(model, left, right)
        fenced = [[a, fence(FULL), b] for a, b in (left, right)]
        assert (0, 0) not in _outcomes(model, *fenced)
        weak = [[a, fence(RELEASE), fence(ACQUIRE), b] for a, b in (left, right)]
        assert (0, 0) in _outcomes(model, *weak)
        paired = [[a._replace(order=RELEASE), b._replace(order=ACQUIRE)] for a, b in (left, right)]
        assert (0, 0) in _outcomes(model, *paired)


@pytest.mark.parametrize(
    ("writer", "reader", "safe"),
    [
        ([store(X, 1), store(Y, 1)], [load(Y), load(X)], False),
        ([store(X, 1), store(Y, 1, RELEASE)], [load(Y), load(X)], False),
        ([store(X, 1), store(Y, 1)], [load(Y, ACQUIRE), load(X)], False),
        ([store(X, 1), store(Y, 1, RELEASE)], [load(Y, ACQUIRE), load(X)], True),
        ([store(X, 1), fence(RELEASE), store(Y, 1)], [load(Y), fence(ACQUIRE), load(X)], True),
        ([store(X, 1, RELEASE), store(Y, 1)], [load(Y, ACQUIRE), load(X)], False),
        ([store(X, 1), store(Y, 1, RELEASE)], [load(Y), load(X, ACQUIRE)], False),
        ([store(X, 1), fence(ACQUIRE), store(Y, 1)], [load(Y), fence(ACQUIRE), load(X)], False),
        ([store(X, 1), fence(RELEASE), store(Y, 1)], [load(Y), fence(RELEASE), load(X)], False),
    ],
)
def test_message_passing_is_broken_on_arm_without_both_halves(
    writer: list[Op], reader: list[Op], safe: bool
) -> None:
    assert (1, 0) not in _outcomes("TSO", writer, reader)
    assert ((1, 0) not in _outcomes("ARM", writer, reader)) is safe
    assert {(0, 0), (0, 1), (1, 1)} <= _outcomes("ARM", writer, reader)


def test_load_buffering_shows_on_arm_until_stores_release() -> None:
    def program(order: str) -> tuple[list[Op], list[Op]]:
        return [load(X), store(Y, 1, order)], [load(Y), store(X, 1, order)]

    assert (1, 1) not in _outcomes("TSO", *program(PLAIN))
    assert (1, 1) in _outcomes("ARM", *program(PLAIN))
    assert (1, 1) not in _outcomes("ARM", *program(RELEASE))


def test_a_word_is_coherent_and_a_thread_sees_its_own_stores() -> None:
    for model in BOTH:
        assert _outcomes(model, [store(X, 1), load(X)]) == {(1,)}
        assert _outcomes(model, [store(X, 1), store(X, 2), load(X, ACQUIRE)]) == {(2,)}
        seen = _outcomes(model, [store(X, 1), store(X, 2)], [load(X), load(X)])
        assert seen == {(a, b) for a in range(3) for b in range(a, 3)}


def test_memory_is_multi_copy_atomic() -> None:
    readers = [load(X, ACQUIRE), load(Y, ACQUIRE)], [load(Y, ACQUIRE), load(X, ACQUIRE)]
    for model in BOTH:
        assert (1, 0, 1, 0) not in _outcomes(model, [store(X, 1)], [store(Y, 1)], *readers)


def test_of_two_swaps_one_wins() -> None:
    for model in BOTH:
        assert _outcomes(model, [swap(X, 0, 1)], [swap(X, 0, 2)]) == {(0, 1), (1, 0)}
        ordered = _outcomes(model, [store(Y, 1), swap(X, 0, 1), load(Y)], [load(X), load(Y)])
        assert ordered <= {(1, 1, a, b) for a in (0, 1) for b in (0, 1)}


def _dying(ops: Sequence[Op], model: str) -> set[tuple]:
    """Memory that a successor can find."""
    memory = Memory()
    memory.array("word", 3)
    found: set[tuple] = set()

    def step(local: Hashable) -> Block | None:
        if local == 0:
            return Block(ops, lambda: None)
        if local == "see":
            return Block([load(w) for w in range(3)], lambda *seen: found.add(seen))
        return None

    role = Role("writer", lambda life: "see" if life else 0, step, deaths=1)
    explore(Protocol(memory, [role]), model)
    return found


def test_a_death_leaves_a_prefix_of_the_program_on_both_models() -> None:
    for model in BOTH:
        found = _dying([store(0, 1), store(1, 1), store(2, 1)], model)
        assert found == {(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)}


def test_a_violation_comes_with_the_steps_that_led_to_it() -> None:
    def judge(words: tuple) -> None:
        raise Violation(f"x is {words[X]}")

    memory = Memory()
    memory.array("word", 2)
    result = explore(Protocol(memory, [_thread([store(X, 7)], [])], final=judge), "TSO")
    assert result.violation == "x is 7"
    assert result.trace == ["thread: store word0 = 7"]


def test_waiting_for_what_never_comes_is_a_violation() -> None:
    memory = Memory()
    memory.array("word", 2)

    def step(_: Hashable) -> Block:
        return Block([load(X)], lambda x: "wait" if not x else None)

    result = explore(Protocol(memory, [Role("waiter", lambda _: "wait", step)]), "ARM")
    assert "wait for ever" in result.violation
