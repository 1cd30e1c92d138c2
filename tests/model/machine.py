"""A machine with weak memory, small enough to try everything: every order, every death.

Threads run *blocks*: a list of memory operations with fixed addresses and values, and a function
`then` that takes the loaded values and gives the thread's next local state. The operations of a
thread wait in its *window*, in program order; the machine performs any of them that need not wait
for an earlier one. What must wait is the memory model:

TSO (x86): only a later load passes an earlier store (of another word; the same word forwards).
ARM (aarch64 as LLVM's orderings promise it): loads and stores of different words pass each other,
except after an acquire load, before a release store, and over fences. Memory is multi-copy atomic:
a performed store is there for everybody. Within a block no dependency orders anything, so a block
stands for speculation, too; a store in a later block follows the loads it depends on.

A mortal thread may die at any moment. Processors retire in order and finish what they retired, so
a death cuts the window at some operation: what precedes it is still performed (in any legal order,
and seen by others meanwhile), the rest never. Then the next life begins at `start`, with nothing
but the shared memory. `explore` visits every reachable state, depth first.
"""

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

LOAD, STORE, FENCE, SWAP = "load", "store", "fence", "swap"
PLAIN, ACQUIRE, RELEASE, FULL = "plain", "acquire", "release", "full"
WINDOW = 8


class Violation(AssertionError):  # noqa: N818 - what a model checker finds has this name
    """Raised by a protocol's code when what it saw must never be seen."""


class Op(NamedTuple):
    """One operation in a window. value: what a store stores, (expected, new) of a swap; slot:
    place of a loaded value (or of a swap's success) among the values that `then` takes."""

    kind: str
    word: int
    order: str
    value: Hashable = None
    slot: int = -1


def load(word: int, order: str = PLAIN) -> Op:
    """Load a word."""
    return Op(LOAD, word, order)


def store(word: int, value: int, order: str = PLAIN) -> Op:
    """Store a value. PLAIN stands for relaxed atomics, too: neither orders anything."""
    return Op(STORE, word, order, value)


def fence(order: str) -> Op:
    """ACQUIRE: earlier loads before all that follows; RELEASE: all before later stores; FULL."""
    return Op(FENCE, -1, order)


def swap(word: int, expected: int, new: int) -> Op:
    """Compare and swap, sequentially consistent; gives True when it stored."""
    return Op(SWAP, word, FULL, (expected, new))


class Block:
    """Operations of one thread up to where it needs a loaded value, and what it does then."""

    def __init__(self, ops: Sequence[Op], then: Callable[..., Hashable]) -> None:
        self.ops: list[Op] = []
        self.loads = 0
        for op in ops:
            if op.kind in (LOAD, SWAP):
                op = op._replace(slot=self.loads)  # noqa: PLW2901
                self.loads += 1
            self.ops.append(op)
        self.then = then


class Memory:
    """Names and first values of the shared words."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.first: list[int] = []

    def word(self, name: str, value: int = 0) -> int:
        """A new word; returns its number."""
        self.names.append(name)
        self.first.append(value)
        return len(self.names) - 1

    def array(self, name: str, count: int, value: int = 0) -> list[int]:
        """Several new words."""
        return [self.word(f"{name}{i}", value) for i in range(count)]


@dataclasses.dataclass
class Role:
    """A thread. start(life) is the local state a life begins with; step(local) the block it runs
    then, None when it is done; deaths: how often it may die."""

    name: str
    start: Callable[[int], Hashable]
    step: Callable[[Hashable], Block | None]
    deaths: int = 0


@dataclasses.dataclass
class Protocol:
    """Threads over a memory. watch(before, after) sees every change of memory, final(memory) the
    memory when all are done; both raise Violation."""

    memory: Memory
    roles: list[Role]
    watch: Callable[[tuple, tuple], None] | None = None
    final: Callable[[tuple], None] | None = None


def tso_waits(earlier: Op, later: Op) -> bool:
    """x86: stores are buffered, everything else is in order; acquire and release cost nothing."""
    return not (earlier.kind == STORE and later.kind == LOAD)


def arm_waits(earlier: Op, later: Op) -> bool:
    """True when `later` must not be performed before `earlier`."""
    if earlier.kind == FENCE:
        return earlier.order != RELEASE or later.kind != LOAD
    if SWAP in (earlier.kind, later.kind):
        return True
    if earlier.order == ACQUIRE or later.order == RELEASE:
        return True
    if earlier.word != later.word:
        return False
    return not (earlier.kind == STORE and later.kind == LOAD and later.order == PLAIN)


MODELS = {"TSO": tso_waits, "ARM": arm_waits}


class Thread(NamedTuple):
    """State of a thread. local: None when done; values: of the block in flight, each None until it
    is loaded (no tuple: the window had no room for the block yet); window: what is not performed;
    sure: that many of it precede a store that was performed, so a death cannot cut them; life: 0,
    1, ...; dying: the window drains, then the next life begins."""

    local: Hashable
    values: tuple | None
    window: tuple[Op, ...]
    sure: int
    life: int
    dying: bool


class State(NamedTuple):
    """State of the whole machine."""

    memory: tuple
    threads: tuple[Thread, ...]


class Machine:
    """The steps that a protocol can take under a memory model. doing: the step tried last."""

    def __init__(self, protocol: Protocol, model: str) -> None:
        self.protocol = protocol
        self.waits = MODELS[model]
        self.fences = {FULL} if model == "TSO" else {ACQUIRE, RELEASE, FULL}
        self._blocks: list[dict[Hashable, Block | None]] = [{} for _ in protocol.roles]
        self.doing = ""
        self._ready: dict[tuple[Op, ...], list[int]] = {}

    def first(self) -> State:
        """Where everything begins."""
        threads = [self._live(r, 0) for r in range(len(self.protocol.roles))]
        return State(tuple(self.protocol.memory.first), tuple(threads))

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Everything that can happen next: a label and the state after it."""
        memory, threads = state
        for r, thread in enumerate(threads):
            for label, new_memory, new_thread in self._thread_steps(r, memory, thread):
                if self.protocol.watch is not None and new_memory is not memory:
                    self.protocol.watch(memory, new_memory)
                yield label, State(new_memory, (*threads[:r], new_thread, *threads[r + 1 :]))

    def is_done(self, state: State) -> bool:
        """True when every thread is done and everything performed."""
        return all(thread.local is None and not thread.window for thread in state.threads)

    def _thread_steps(
        self, r: int, memory: tuple, thread: Thread
    ) -> Iterator[tuple[str, tuple, Thread]]:
        window = thread.window
        ready = self._ready.get(window)
        if ready is None:
            ready = self._ready[window] = self._not_waiting(window)
        for j in ready:
            yield self._perform(r, memory, thread, j)
        role = self.protocol.roles[r]
        alive = not thread.dying and (thread.local is not None or window)
        if alive and thread.life < role.deaths:
            for cut in range(thread.sure, len(window) + 1):
                if cut == thread.sure or window[cut - 1].kind in (STORE, SWAP):
                    self.doing = f"{role.name} dies"
                    yield self.doing, memory, self._kill(r, thread, cut)

    def _not_waiting(self, window: tuple[Op, ...]) -> list[int]:
        """Places of the operations in a window that may be performed now."""
        return [
            j
            for j, op in enumerate(window)
            if op.kind != FENCE and not any(self.waits(earlier, op) for earlier in window[:j])
        ]

    def _perform(self, r: int, memory: tuple, thread: Thread, j: int) -> tuple[str, tuple, Thread]:
        op = thread.window[j]
        values, sure = thread.values, thread.sure
        if op.kind == LOAD:
            value = memory[op.word]
            for earlier in thread.window[:j]:
                if earlier.kind == STORE and earlier.word == op.word:
                    value = earlier.value
            shown = value
        elif op.kind == STORE:
            shown = value = op.value
            memory = (*memory[: op.word], value, *memory[op.word + 1 :])
        else:
            expected, new = op.value  # type: ignore[misc]
            shown = value = memory[op.word] == expected
            if value:
                memory = (*memory[: op.word], new, *memory[op.word + 1 :])
        if op.slot >= 0 and values is not None:
            values = (*values[: op.slot], value, *values[op.slot + 1 :])
        sure -= j < sure
        if op.kind != LOAD and thread.life < self.protocol.roles[r].deaths:
            sure = max(sure, j)
        rest = thread.window[:j] + thread.window[j + 1 :]
        name = self.protocol.memory.names[op.word]
        self.doing = f"{self.protocol.roles[r].name}: {op.kind} {name} = {shown}"
        moved = Thread(thread.local, values, rest, sure, thread.life, thread.dying)
        return self.doing, memory, self._settle(r, moved)

    def _kill(self, r: int, thread: Thread, cut: int) -> Thread:
        kept = tuple(op for op in thread.window[:cut] if op.kind != LOAD)
        return self._settle(r, Thread(None, None, kept, 0, thread.life, True))

    def _live(self, r: int, life: int) -> Thread:
        """A life begins."""
        local = self.protocol.roles[r].start(life)
        return self._fetch(r, Thread(local, None, (), 0, life, False))

    def _settle(self, r: int, thread: Thread) -> Thread:
        """Let a thread do all that touches no memory: fences that hold nothing back any more go,
        a block whose loads are there ends, the next one is fetched."""
        thread = self._drop_fences(thread)
        if thread.dying:
            return thread if thread.window else self._live(r, thread.life + 1)
        return self._fetch(r, thread)

    def _fetch(self, r: int, thread: Thread) -> Thread:
        """Take in blocks while the window has room and no loaded value is missing."""
        while thread.local is not None:
            block = self._block(r, thread.local)
            if block is None:
                return thread._replace(local=None, values=None)
            values = thread.values
            if values is None:
                if thread.window and len(thread.window) + len(block.ops) > WINDOW:
                    return thread
                values = (None,) * block.loads
                ops = [op for op in block.ops if op.kind != FENCE or op.order in self.fences]
                thread = thread._replace(values=values, window=(*thread.window, *ops))
                thread = self._drop_fences(thread)
            if None in values:
                return thread
            thread = thread._replace(local=block.then(*values), values=None)
        return thread

    def _block(self, r: int, local: Hashable) -> Block | None:
        known = self._blocks[r]
        if local not in known:
            known[local] = self.protocol.roles[r].step(local)
        return known[local]

    @staticmethod
    def _drop_fences(thread: Thread) -> Thread:
        """Remove each fence whose earlier side is performed."""
        if all(op.kind != FENCE for op in thread.window):
            return thread
        window, sure = list(thread.window), thread.sure
        j = loads = others = 0
        while j < len(window):
            op = window[j]
            holds = loads if op.order == ACQUIRE else loads + others
            if op.kind == FENCE and not holds:
                del window[j]
                sure -= j < sure
                continue
            loads += op.kind in (LOAD, SWAP)
            others += op.kind in (STORE, FENCE)
            j += 1
        return thread._replace(window=tuple(window), sure=sure)


@dataclasses.dataclass
class Result:
    """What an exploration found. trace: the steps that led to the violation; ends: states where
    everybody is done."""

    states: int
    ends: int = 0
    violation: str = ""
    trace: list[str] = dataclasses.field(default_factory=list)


def explore(protocol: Protocol, model: str, limit: int = 5_000_000) -> Result:
    """Visit every state, or stop at the first violation.

    A state from which no end can be reached (waiting for ever) is a violation, too.
    """
    machine = Machine(protocol, model)
    first = machine.first()
    number: dict[State, int] = {first: 0}
    sources: list[list[int]] = [[]]
    ends: list[int] = []
    path: list[tuple[str, int, Iterator[tuple[str, State]]]] = []
    try:
        path.append(("", 0, _from(machine, first, ends, 0)))
        while path:
            _, here, steps = path[-1]
            entry = next(steps, None)
            if entry is None:
                path.pop()
                continue
            label, state = entry
            there = number.get(state)
            if there is None:
                there = number[state] = len(sources)
                sources.append([])
                path.append((label, there, _from(machine, state, ends, there)))
                assert there < limit, "the protocol has too many states for this bound"
            sources[there].append(here)
    except Violation as error:
        trace = [label for label, _, _ in path[1:]] + [machine.doing]
        return Result(len(number), len(ends), str(error), trace)
    stuck = len(number) - _reaching(ends, sources)
    text = f"{stuck} states wait for ever" if stuck else ""
    return Result(len(number), len(ends), text)


def _from(
    machine: Machine, state: State, ends: list[int], number: int
) -> Iterator[tuple[str, State]]:
    """Steps from a state; notes an end and checks it."""
    if machine.is_done(state):
        ends.append(number)
        if machine.protocol.final is not None:
            machine.protocol.final(state.memory)
    return machine.steps(state)


def _reaching(ends: list[int], sources: list[list[int]]) -> int:
    """How many states can reach an end."""
    seen = set(ends)
    todo = list(ends)
    while todo:
        for source in sources[todo.pop()]:
            if source not in seen:
                seen.add(source)
                todo.append(source)
    return len(seen)
