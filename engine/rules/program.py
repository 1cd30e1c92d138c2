"""The compiled form of a set of rules: flat arrays that the kernels read."""

import dataclasses
from typing import NamedTuple

import numpy as np

from engine.rules import opcodes as op
from engine.rules.families import NONE, Placed, Room
from engine.rules.slots import Slots, keys_of


class Code(NamedTuple):
    """What the kernels read of R rules: int32 unless said otherwise. Entries of rule r are
    [first[r], first[r + 1]) of what the array `first` belongs to.

    nodes [N, NODE_WORDS]; constants float64[K, 8], each eight times; states int64[S, STATE_WORDS];
    planes and row_slots: slots in the tables; steps int64[T, 2]: condition (a register) and ns of
    the steps of sequences; always: numbers of the nodes that run in every cycle. gates: registers;
    bounds and unequals: see plan.Plan; parts: see program_nb; captures, repeats [R, REPEAT_WORDS],
    extras, moments, across: see opcodes.
    """

    nodes: np.ndarray
    constants: np.ndarray
    states: np.ndarray
    planes: np.ndarray
    row_slots: np.ndarray
    steps: np.ndarray
    always: np.ndarray
    gate_first: np.ndarray
    gates: np.ndarray
    bound_first: np.ndarray
    bound_col: np.ndarray
    bound_sign: np.ndarray
    bound: np.ndarray
    unequal_first: np.ndarray
    unequal_col: np.ndarray
    unequal_to: np.ndarray
    part_first: np.ndarray
    parts: np.ndarray
    extras: np.ndarray
    moments: np.ndarray
    across: np.ndarray
    capture_first: np.ndarray
    captures: np.ndarray
    repeats: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """code, and what a new version needs of the one before.

    registers: int32[2], how many of numbers and of conditions. State s remembers under
    state_key[s], uint8[S, 16], in planes [S_PLANE, + state_planes[s]) and S_ROWS rows;
    state_mark[s], int64, is the same where key and slots are; state_clearing uint8[S]: see
    opcodes. derived_key uint8[D, 16], derived_slot int32[D]: columns that the program fills.
    lists: names of the groups behind opcodes.GROUPS. families: parameterised indicators it names.
    """

    code: Code
    registers: np.ndarray
    state_key: np.ndarray
    state_mark: np.ndarray
    state_planes: np.ndarray
    state_clearing: np.ndarray
    derived_key: np.ndarray
    derived_slot: np.ndarray
    lists: tuple[str, ...]
    families: Placed = NONE

    def fits(self, columns: int, planes: int, rows: int, room: Room) -> bool:
        """True if tables with so many columns and slots have all that the kernels touch."""
        code = self.code
        sources = code.across[code.across[:, op.A_FUNCTION] != op.BREADTH, op.A_SOURCE]
        read = (*self.columns(), code.across[:, op.A_TO], sources)
        planes_touched, rows_touched, family_rows = self.touched()
        return (
            _highest(*read) < columns
            and planes_touched <= planes
            and rows_touched <= rows
            and family_rows <= room.rows
            and _highest(self.families.slot) < room.families
        )

    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """(read, filled): numbers of the columns that nodes, bounds and alerts read, and of those
        that nodes fill; with repeats."""
        code = self.code
        stores = code.nodes[:, op.N_OP] == op.STORE
        operands = code.nodes[:, op.N_A : op.N_B + 1]
        of_column = (operands >= 0) & (operands & op.KIND_MASK == op.COLUMN)
        of_column[code.nodes[:, op.N_OP] == op.MOMENT] = False
        of_column[stores, 1] = False
        carried = code.captures[code.captures[:, op.C_KIND] == op.CAPTURE_COLUMN, op.C_AT]
        read = (operands[of_column] >> op.KIND_BITS, code.bound_col, code.unequal_col, carried)
        return np.concatenate(read), operands[stores, 1]

    def touched(self) -> tuple[int, int, int]:
        """(planes, rows, rows of families): slots below these are all that the kernels touch."""
        code = self.code
        extras = code.extras[:, op.X_TO], code.extras[:, op.X_FROM]
        planes = _highest(code.planes, code.repeats.reshape(-1), *extras)
        return planes + 1, _highest(code.row_slots) + 1, _highest(self.families.rows) + 1


@dataclasses.dataclass(frozen=True)
class Space:
    """What a program may take. first_family, first_derived: numbers of the first columns of
    families and of derived ones."""

    nodes: int
    planes: int
    rows: int
    derived: int
    captures: int
    families: Room
    first_family: int
    first_derived: int


def slots_of(program: Program, what: str) -> dict[bytes, Slots]:
    """By key the slots that a program's states have: `planes` or `rows`."""
    code = program.code
    if what == "planes":
        first, count, slots = code.states[:, op.S_PLANE], program.state_planes, code.planes
    else:
        first, count, slots = code.states[:, op.S_ROW], code.states[:, op.S_ROWS], code.row_slots
    numbers = slots.tolist()
    runs = zip(keys_of(program.state_key), first.tolist(), count.tolist(), strict=True)
    return {key: tuple(numbers[at : at + some]) for key, at, some in runs}


def _highest(*arrays: np.ndarray) -> int:
    return max(int(array.max(initial=-1)) for array in arrays)
