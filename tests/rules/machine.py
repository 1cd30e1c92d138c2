"""Runs rules twice: by the program on shared arrays, with deaths, and by the interpreter."""

import dataclasses
import itertools
import math
import random
from typing import Any

import numpy as np

from engine.domain.sizes import Sizes
from engine.metrics.registry import COLUMNS, resolve
from engine.rules.assemble import derived_key
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.evaluator import Evaluator, Look, Moment
from engine.rules.interpret import Facts, number, truth
from engine.rules.interpret import Moment as OneMoment
from engine.rules.lower import Across, Lowering, Nodes
from engine.rules.memory import Memory, memory_of
from engine.rules.model import Rule
from engine.rules.normal import denied, normal_form
from engine.rules.pack import pack, unpack
from engine.rules.program import Program
from engine.rules.tree import (
    Arithmetic,
    Breadth,
    Call,
    Cond,
    CrossSection,
    Expr,
    If,
    Node,
    Number,
    Step,
    walk,
)

WORDS = 3
ROWS = 64 * WORDS
SIZES = Sizes(ROWS, op_bit_slots=64, op_row_slots=400, max_derived=32, max_captures=512)
UNKNOWN = Arithmetic("/", Number(0.0), Number(0.0))
SESSIONS = ("pre", "regular", "after", None)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")


def rule_of(tree: Cond, rule_id: str = "r", **more: Any) -> Rule:
    return Rule(id=rule_id, name=rule_id, form="tree", tree=tree, **more)


def compiled(rules: list[Rule], before: CompiledRules | None = None) -> CompiledRules:
    """As a scan worker finds them: read-only."""
    return unpack(pack(compile_rules(rules, SIZES, before)))


# -- the interpreter's side ------------------------------------------------------------------------
def halves(node: Any) -> Any:
    """The tree with every `if` as two halves: where its condition is true, and where it is false.
    The program remembers for both; a half that is new knows nothing of the past."""
    if isinstance(node, tuple):
        return tuple(halves(part) for part in node)
    if isinstance(node, CrossSection):
        return node  # its value is given
    if isinstance(node, If):
        true, false = halves(node.condition), halves(denied(node.condition))
        then, otherwise = halves(node.then), halves(node.otherwise)
        return Call("coalesce", (If(true, then, UNKNOWN), If(false, otherwise, UNKNOWN)))
    if isinstance(node, Node | Step):
        fields = {name: halves(getattr(node, name)) for name in node.__struct_fields__}
        return type(node)(**fields)
    return node


@dataclasses.dataclass
class Symbol:
    """One symbol of the model: what every node that is in force remembers of it."""

    memories: dict[Node, Memory] = dataclasses.field(default_factory=dict)
    results: dict[Node, Any] = dataclasses.field(default_factory=dict)

    def use(self, roots: list[Cond | Expr], *, forget: bool) -> None:
        """Keep what nodes remember that stay, begin anew with others."""
        known = {} if forget else self.memories
        self.memories = {}
        for root in roots:
            for node in walk(root):
                memory = known.get(node) or memory_of(node)
                if memory is not None:
                    self.memories.setdefault(node, memory)

    def step(self, moment: OneMoment) -> Facts:
        self.results = dict(moment.across)
        facts = Facts(moment, self.results)
        for node, memory in self.memories.items():
            self.results[node] = memory.step(facts)
        return facts


# -- both ------------------------------------------------------------------------------------------
class Machine:
    """Symbols at some places of three words; versions of rules; cycles."""

    def __init__(self, seed: int, slices: list[int], kills: float) -> None:
        self.rng = random.Random(seed)
        self.slices = slices
        self.kills = kills
        self.op_bits = np.full((2, SIZES.op_bit_slots, WORDS), 0x5555, np.uint64)
        self.op_rows = np.full((SIZES.op_row_slots, ROWS), 0x5A5A, np.int64)
        self.truths = np.zeros((2, 16, WORDS), np.uint64)
        self.expected: dict[tuple[int, int], bool] = {}
        self.looked_ns: dict[int, int] = {}
        self.waited = False
        self.bars: dict[int, int] = {}
        self.columns = np.full(
            (2, COLUMNS + SIZES.max_families + SIZES.max_derived, ROWS), np.nan
        )
        self.n = 0
        self.t_ns = 0
        self.before_ns: int | None = None
        self.compiled: CompiledRules | None = None
        self.program: Program | None = None
        self.in_force: Program | None = None
        self.roots: list[Cond] = []
        self.stored: dict[CrossSection, Expr] = {}
        self.symbols: dict[int, Symbol] = {}
        self.seen_before: set[int] = set()
        self.closes = np.zeros((ROWS, 2), np.int64)

    def use(self, rules: list[Rule]) -> None:
        """Publish rules, in force from the next cycle on."""
        self.compiled = compiled(rules, self.compiled)
        self.program = self.compiled.program
        self.roots = [halves(normal_form(rule.root)) for rule in rules]
        self.stored: dict[CrossSection, Expr] = {
            node: halves(node.value)
            for rule in rules
            for node in walk(normal_form(rule.root))
            if isinstance(node, CrossSection)
        }

    def start_evaluators(self) -> None:
        edges = [0, *self.slices, WORDS]
        assert self.program is not None
        self.evaluators = [
            Evaluator(self.op_bits, self.op_rows, first, end)
            for first, end in itertools.pairwise(edges)
        ]
        for evaluator in self.evaluators:
            evaluator.take(self.program)

    def cycle(
        self, t_ns: int, values: dict[int, dict[str, float]], blind: set[int],
        closed: dict[int, int], clock: tuple[int, int, int], across: dict[Node, dict[int, float]],
        waiting: float = 0.0,
    ) -> None:  # fmt: skip
        """One cycle by both; asserts that they agree. waiting: which share of the symbols it does
        not look at, if they were seen before and are, and the rules stay."""
        self.n += 1
        switched = self.program is not self.in_force
        self.set_columns(values, across)
        seen = set(values) - blind
        words = [np.zeros(WORDS, np.uint64) for _ in range(3)]
        for at, members in enumerate((seen, self.seen_before, closed)):
            for symbol in members:
                words[at][symbol // 64] |= np.uint64(1 << symbol % 64)
        self.closes[:, 0] = self.closes[:, 1]
        for symbol, count in closed.items():
            self.closes[symbol, 1] += count
        carried = seen & self.seen_before if self.n > 1 else set()
        may_wait = set() if switched else carried
        due = set(range(ROWS)) - {one for one in may_wait if self.rng.random() < waiting}
        for symbol in carried:
            self.closes[symbol, 0] = self.bars[symbol]
        words[2] = words_of({s for s in range(ROWS) if self.closes[s, 1] > self.closes[s, 0]})
        self.look = self.look_at(due, carried) if waiting or self.waited else None
        self.waited = waiting > 0
        moment = Moment(t_ns, self.before_ns, *clock)
        if switched or self.n == 1 or self.rng.random() < 0.2:
            self.start_evaluators()
        self.evaluate(moment, words, switched)
        while self.rng.random() < self.kills:
            self.start_evaluators()
            self.evaluate(moment, words, switched)
        self.truth = self.truths[self.n & 1]
        self.compare(moment, values, seen & due, clock, across)
        self.compare_waiting(seen - due)
        for symbol in due:
            self.looked_ns[symbol], self.bars[symbol] = t_ns, int(self.closes[symbol, 1])
        self.in_force, self.before_ns, self.seen_before = self.program, t_ns, seen

    def look_at(self, due: set[int], carried: set[int]) -> Look:
        """What an evaluator has to know of a cycle that looks at some symbols only."""
        before_ns = self.before_ns if self.before_ns is not None else 0
        last = {s: self.looked_ns[s] if s in carried else before_ns for s in due}
        ages = sorted(set(last.values()))
        return Look(
            words_of(due), np.array([words_of({s for s in due if last[s] == age}) for age in ages]),
            np.array(ages), self.truths[1 - (self.n & 1)], np.arange(16),
            self.columns[1 - (self.n & 1)],
        )  # fmt: skip

    def evaluate(self, moment: Moment, words: list[np.ndarray], switched: bool) -> None:
        """The cycle by the program; of a death inside it any of its stores may be left."""
        bits, rows = self.op_bits.copy(), self.op_rows.copy()
        for evaluator in self.evaluators:
            if switched or self.n == 1:
                evaluator.forget_new(self.n, self.in_force if self.n > 1 else None)
            part = slice(evaluator._first, evaluator._end)
            evaluator.run(
                self.n, moment, self.columns[self.n & 1], words[0][part].copy(),
                words[1][part].copy(), words[2][part].copy(), self.closes,
                self.truths[self.n & 1], self.part_of(self.look, part),
            )  # fmt: skip
        if self.rng.random() < self.kills:
            lost = np.random.default_rng(self.rng.getrandbits(32))
            for table, old in ((self.op_bits, bits), (self.op_rows, rows)):
                undone = lost.random(table.shape) < self.rng.choice([0.1, 0.5, 0.9, 1.0])
                table[undone] = old[undone]
            self.start_evaluators()
            self.evaluate(moment, words, switched)

    def part_of(self, look: Look | None, part: slice) -> Look | None:
        """Of one slice."""
        if look is None or self.n == 1:
            return None
        return look._replace(due=look.due[part].copy(), late=look.late[:, part].copy())

    def set_columns(
        self, values: dict[int, dict[str, float]], across: dict[Node, dict[int, float]]
    ) -> None:
        columns = self.columns[self.n & 1]
        columns[:] = np.nan
        for symbol, metrics in values.items():
            for name, value in metrics.items():
                columns[resolve(name).column, symbol] = value
        assert self.program is not None
        for node, by_symbol in across.items():
            column = column_of(self.program, node)
            if column >= 0:
                for symbol, value in by_symbol.items():
                    columns[column, symbol] = value

    def compare(
        self, moment: Moment, values: dict[int, dict[str, float]], seen: set[int],
        clock: tuple[int, int, int], across: dict[Node, dict[int, float]],
    ) -> None:  # fmt: skip
        for symbol in seen:
            model = self.symbols.setdefault(symbol, Symbol())
            fresh = symbol not in self.seen_before or self.n == 1
            model.use([*self.roots, *self.stored.values()], forget=fresh)
            facts = model.step(OneMoment(
                time_ns=moment.t_ns, values=values[symbol],
                before_ns=moment.before_ns if fresh else self.looked_ns[symbol],
                bars_closed=int(self.closes[symbol, 1] - self.closes[symbol, 0]),
                session=SESSIONS[clock[0]], weekday=WEEKDAYS[clock[1]], minute_of_day=clock[2],
                across={node: known(of.get(symbol)) for node, of in across.items()},
            ))  # fmt: skip
            for slot, root in enumerate(self.roots):
                found = bool(int(self.truth[slot, symbol // 64]) >> symbol % 64 & 1)
                expected = truth(root, facts) is True
                assert found == expected, (self.n, symbol, found, expected, root)
                self.expected[slot, symbol] = found
            self.compare_stores(symbol, facts)

    def compare_waiting(self, waiting: set[int]) -> None:
        """Who was not looked at keeps truth and the numbers that others are compared with."""
        for symbol in waiting:
            for slot, root in enumerate(self.roots):
                found = bool(int(self.truth[slot, symbol // 64]) >> symbol % 64 & 1)
                assert found == self.expected[slot, symbol], (self.n, symbol, found, root)
            for node in self.stored:
                column = source_of(self.program, node)  # type: ignore[arg-type]
                if column >= COLUMNS:
                    now, before = self.columns[self.n & 1], self.columns[1 - (self.n & 1)]
                    assert known(now[column, symbol]) == known(before[column, symbol]), node

    def compare_stores(self, symbol: int, facts: Facts) -> None:
        """Columns made for other symbols hold what the interpreter computes."""
        assert self.program is not None
        for node, value in self.stored.items():
            stored = float(self.columns[self.n & 1][source_of(self.program, node), symbol])
            assert known(stored) == number(value, facts), (node, stored)


def words_of(symbols: set[int]) -> np.ndarray:
    """Their bits: uint64[WORDS]."""
    words = np.zeros(WORDS, np.uint64)
    for symbol in symbols:
        words[symbol // 64] |= np.uint64(1 << symbol % 64)
    return words


def known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def across_key(node: Node) -> Across:
    if isinstance(node, Breadth):
        return Across("breadth", node.rule_id, node.group)
    assert isinstance(node, CrossSection)
    return Lowering(Nodes())._across(node)


def column_of(program: Program, node: Node) -> int:
    """The column of a number that compares symbols, -1 if this program has none."""
    keys = [key.tobytes() for key in program.derived_key]
    key = derived_key(across_key(node))
    first = COLUMNS + SIZES.max_families
    return first + int(program.derived_slot[keys.index(key)]) if key in keys else -1


def source_of(program: Program, node: CrossSection) -> int:
    """The column that is compared."""
    to = column_of(program, node)
    (row,) = [row for row in program.code.across.tolist() if row[3] == to]
    return int(row[1])
