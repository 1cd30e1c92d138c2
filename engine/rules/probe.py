"""Keeps watch over every condition of one rule for one symbol, by a program of its own.

The engine's program computes and remembers no more than firing needs. This one runs beside it on
the same columns, with a memory of its own, and knows of every condition and its opposite when it
was last true.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engine.domain.sizes import Sizes
from engine.metrics.registry import COLUMNS
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.evaluator import Evaluator, Moment
from engine.rules.families import column_of
from engine.rules.model import Rule
from engine.rules.pack import pack, unpack
from engine.rules.program import Program
from engine.rules.recall import Copy, Places, copy_places
from engine.rules.slots import keys_of
from engine.rules.tree import Cond, Node, Not

_PLENTY = 1 << 16


class Cycle(NamedTuple):
    """What a cycle of the engine looks like to whoever watches. columns: float64[columns, rows];
    known, known_before, closed: uint64[slice / 64] of a slice that begins at first_word; closes:
    int64[rows, 2]; see evaluator.Cycle."""

    moment: Moment
    columns: np.ndarray
    known: np.ndarray
    known_before: np.ndarray
    closed: np.ndarray
    closes: np.ndarray
    first_word: int


class Probe:
    """Watches conditions (in any form) and their opposites. rows: of the engine's tables.

    since_n: the first cycle watched, 0 before. places: where what is remembered of `nodes` stands.
    """

    def __init__(
        self, conds: Sequence[Cond], nodes: Sequence[Node], beside: CompiledRules, rows: int,
        max_families: int, max_derived: int, symbol: int,
    ) -> None:
        self._watched = [(cond, wanted) for cond in conds for wanted in (True, False)]
        rules = [
            Rule(
                id=f"w{number:05d}", name="w", form="tree", tree=cond if wanted else Not(cond),
                cooldown_sec=0.0,
            )
            for number, (cond, wanted) in enumerate(self._watched)
        ]  # fmt: skip
        sizes = Sizes(
            rows, max_rules=_PLENTY, max_captures=_PLENTY, op_bit_slots=_PLENTY,
            op_row_slots=_PLENTY, max_derived=max(max_derived, 1) + _PLENTY, max_nodes=_PLENTY * 4,
            max_families=max_families,
        )  # fmt: skip
        start = dataclasses.replace(compile_rules(()), program=_columns_of(beside.program))
        compiled = unpack(pack(compile_rules(rules, sizes, start)))
        self._program = compiled.program
        self._symbol, self._word = symbol, symbol // 64
        code = self._program.code
        words = rows // 64
        planes = int(code.planes.max(initial=-1)) + 1
        row_slots = int(code.row_slots.max(initial=-1)) + 1
        self._op_bits = np.zeros((2, planes, words), np.uint64)
        self._op_rows = np.zeros((row_slots, rows), np.int64)
        first_derived = COLUMNS + max_families
        used, highest = _used(self._program, first_derived)
        self._columns = np.full((max(highest, COLUMNS) + 1, rows), np.nan)
        shared = set(map(bytes, beside.program.derived_key))
        own = {
            first_derived + slot
            for key, slot in zip(
                keys_of(self._program.derived_key), self._program.derived_slot.tolist(),
                strict=True,
            )
            if key not in shared
        }
        families, known = self._program.families, beside.program.families.names
        own |= {column_of(name, families) for name in families.names if name not in known}
        self._shared = np.array(sorted(used - own), np.int64)
        self._truth = np.zeros((len(rules), words), np.uint64)
        self._evaluator = Evaluator(self._op_bits, self._op_rows, self._word, self._word + 1)
        self._evaluator.take(self._program)
        self.places = Places(self._program, nodes, first_derived)
        # nobody fills what the engine's own program does not compare across symbols or name
        self.places.columns = {
            node: column for node, column in self.places.columns.items() if column not in own
        }
        self._last = np.zeros((len(rules), 2), np.int64)
        self.since_n = 0

    def step(self, n: int, cycle: Cycle) -> None:
        """Watch cycle n; cycles follow one another."""
        if not self.since_n:
            self.since_n = n
            self._evaluator.forget_new(n, None)
        at = self._word - cycle.first_word
        part, tile = slice(at, at + 1), slice(self._word * 64, self._word * 64 + 64)
        self._columns[self._shared, tile] = cycle.columns[self._shared, tile]
        self._evaluator.run(
            n, cycle.moment, self._columns, cycle.known[part].copy(),
            cycle.known_before[part].copy(), cycle.closed[part].copy(), cycle.closes, self._truth,
        )  # fmt: skip
        bit, one = np.uint64(self._symbol % 64), np.uint64(1)
        if cycle.known[at] >> bit & one:
            true = self._truth[:, self._word] >> bit & one != 0
            self._last[true] = n, cycle.moment.t_ns

    def copy(self, n: int) -> tuple[Places, Copy]:
        """What it remembers after cycle n, the last one watched."""
        return self.places, copy_places(
            self.places, self._op_bits, self._op_rows, self._columns, n, self._symbol
        )

    @property
    def last(self) -> Mapping[tuple[object, bool], tuple[int, int]]:
        """By condition and whether it is wanted: the cycle, and its T in ns, in which it was last
        so."""
        times = [(int(n), int(t_ns)) for n, t_ns in self._last]
        return {
            watched: when for watched, when in zip(self._watched, times, strict=True) if when[0]
        }


def _columns_of(program: Program) -> Program:
    """A program that remembers nothing, but has the same columns."""
    code = program.code
    nothing = code._replace(
        states=code.states[:0], planes=code.planes[:0], row_slots=code.row_slots[:0]
    )
    return dataclasses.replace(
        program, code=nothing, state_key=program.state_key[:0], state_mark=program.state_mark[:0],
        state_planes=program.state_planes[:0], state_clearing=program.state_clearing[:0],
    )


def _used(program: Program, first_derived: int) -> tuple[set[int], int]:
    """Columns that a program reads of others, and the highest that it touches."""
    read, filled = program.columns()
    found = set(read.tolist()) - set(filled.tolist())
    derived = [first_derived + slot for slot in program.derived_slot.tolist()]
    return found, max([*found, *filled.tolist(), *derived], default=0)
