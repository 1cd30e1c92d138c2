"""A small model checker: every interleaving and reordering of short straight programs.

A program is a list of `Op`s. An operation executes at once and for all processors (multi-copy
atomicity, as on x86-64 and ARMv8); within a program a later operation may overtake an earlier one
unless the machine forbids it. TSO: only a load overtakes a store. ARM: anything, unless the same
address, an acquire, a release, a fence, or a register it needs stands in between. A program may die
anywhere (its executed operations are then whatever they are), and a successor starts from memory.
"""

import dataclasses
from collections.abc import Callable, Iterator

Registers = dict[str, int]
Memory = dict[object, int]
TSO, ARM = "tso", "arm"


@dataclasses.dataclass(frozen=True)
class Op:
    """kind: load, store, fence. order: '', acquire, release, full. address and value are functions
    of the registers named in `needs`; address None: the operation does nothing. `into`: register
    that a load fills."""

    kind: str
    order: str = ""
    address: Callable[[Registers], object] = lambda registers: None
    value: Callable[[Registers], int] = lambda registers: 0
    into: str = ""
    needs: tuple[str, ...] = ()


def load(into, address, order="", needs=()):
    """A load; `address` a key of memory or a function of the registers."""
    return Op("load", order, _function(address), into=into, needs=tuple(needs))


def store(address, value, order="", needs=()):
    """A store; `address` and `value` constants or functions of the registers."""
    return Op("store", order, _function(address), _function(value), needs=tuple(needs))


def fence(order):
    """A fence: acquire, release, full."""
    return Op("fence", order)


def _function(constant):
    return constant if callable(constant) else lambda registers: constant


def _must_wait(machine: str, earlier: Op, later: Op) -> bool:
    """True if `later` may not execute before `earlier`, whatever their addresses."""
    if earlier.into and earlier.into in later.needs:
        return True
    if "full" in (earlier.order, later.order):
        return True
    if machine == TSO:
        return not (earlier.kind == "store" and later.kind == "load")
    if earlier.kind == "fence":
        return earlier.order == "acquire" or later.kind in ("store", "fence")
    if later.kind == "fence":
        return later.order == "release" or earlier.kind == "load"
    return earlier.order == "acquire" or later.order == "release"


class Machine:
    """Runs programs in all orders; programs[0] may die and be followed by a successor."""

    def __init__(self, kind: str, programs: list[list[Op]], successor: list[Op] | None = None):
        """successor: a program that starts when programs[0] died at any point (or ended)."""
        self.kind = kind
        self.programs = [*programs, successor] if successor is not None else list(programs)
        self.successor = len(programs) if successor is not None else -1
        self.waits = [
            [
                [j for j in range(i) if _must_wait(kind, program[j], op)]
                for i, op in enumerate(program)
            ]
            for program in self.programs
        ]
        self.states = 0

    def outcomes(self, memory: Memory) -> Iterator[tuple[list[Registers], Memory]]:
        """Every (registers per program, memory) in which all programs that live have ended."""
        threads = tuple((0, ()) for _ in self.programs)
        start = (tuple(sorted(memory.items(), key=repr)), threads, False)
        seen, stack = {start}, [start]
        while stack:
            state = stack.pop()
            following = list(self._steps(state))
            if not following:
                yield [dict(registers) for _, registers in state[1]], dict(state[0])
            for new in following:
                if new not in seen:
                    seen.add(new)
                    stack.append(new)
        self.states = len(seen)

    def _steps(self, state) -> Iterator[tuple]:
        memory, threads, dead = state
        if self.successor >= 0 and not dead:
            yield memory, threads, True
        for t, (done, registers) in enumerate(threads):
            if (t == 0 and dead) or (t == self.successor and not dead):
                continue
            for i in range(len(self.programs[t])):
                if not done >> i & 1 and self._may_run(t, i, done, dict(registers)):
                    yield self._run(state, t, i)

    def _may_run(self, t: int, i: int, done: int, registers: Registers) -> bool:
        program = self.programs[t]
        op = program[i]
        if any(not done >> j & 1 for j in self.waits[t][i]):
            return False
        if any(need not in registers for need in op.needs):
            return False
        address = op.address(registers)
        for j in range(i):  # the same address in order; an unknown address may be the same
            if done >> j & 1 or program[j].kind == "fence" or op.kind == "fence":
                continue
            if any(need not in registers for need in program[j].needs):
                return False
            if program[j].address(registers) == address and address is not None:
                return False
        return True

    def _run(self, state, t: int, i: int) -> tuple:
        memory, threads, dead = state
        op = self.programs[t][i]
        done, items = threads[t]
        registers, cells = dict(items), dict(memory)
        address = op.address(registers) if op.kind != "fence" else None
        if op.kind == "load":
            registers[op.into] = cells.get(address, 0)
        elif op.kind == "store" and address is not None:
            cells[address] = op.value(registers)
        thread = (done | 1 << i, tuple(sorted(registers.items())))
        return (
            tuple(sorted(cells.items(), key=repr)),
            (*threads[:t], thread, *threads[t + 1 :]),
            dead,
        )


def weakened(program: list[Op]) -> Iterator[tuple[str, list[Op]]]:
    """The program with one fence left out, or one acquire or release made relaxed."""
    for i, op in enumerate(program):
        if op.kind == "fence":
            yield f"{i}: without fence {op.order}", program[:i] + program[i + 1 :]
        elif op.order:
            relaxed = dataclasses.replace(op, order="")
            yield f"{i}: relaxed {op.kind}", [*program[:i], relaxed, *program[i + 1 :]]
