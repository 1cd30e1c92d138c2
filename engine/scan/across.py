"""Fills the columns that compare symbols, from the complete columns of the cycle before."""

from typing import NamedTuple

import numpy as np

from engine.domain.levels import list_bits
from engine.rules import opcodes as op
from engine.rules.across_nb import across_nb
from engine.rules.program import Program

# Fields of REFERENCE behind the group of all, see opcodes.GROUPS.
_FIELDS = op.GROUPS[1:]


class Room(NamedTuple):
    """Private arrays to work in, see across_nb."""

    symbols: np.ndarray
    values: np.ndarray
    keys: np.ndarray
    spare_symbols: np.ndarray
    spare_keys: np.ndarray
    sums: np.ndarray
    out: np.ndarray


class Across:
    """Of one worker, whose symbols are [first, end) of `rows`."""

    def __init__(self, rows: int, first: int, end: int) -> None:
        self._first, self._end = first, end
        self._room = Room(
            symbols=np.zeros(rows, np.int32),
            values=np.zeros(rows),
            keys=np.zeros(rows, np.uint64),
            spare_symbols=np.zeros(rows, np.int32),
            spare_keys=np.zeros(rows, np.uint64),
            sums=np.zeros((rows + 1, 4)),
            out=np.full(rows, np.nan),
        )
        self._rows = rows

    def take(self, program: Program) -> None:
        """Fill the columns of this program from now on. All symbols are one group; sectors,
        industries, exchanges and lists have no members before `know` says who they are."""
        self._across = program.code.across
        self._lists = program.lists
        self._groups = np.full((len(op.GROUPS) + len(program.lists), self._rows), -1, np.int32)
        self._groups[0] = 0
        self._counts = np.full(len(self._groups), 1, np.int64)
        self._known = -1

    def know(self, admitted: int, reference: np.ndarray, lists: np.ndarray) -> None:
        """Sort symbols into their groups, again when more of them are admitted.

        reference: REFERENCE[rows]; lists: see BookTable. A symbol without a sector is in none.
        """
        if admitted == self._known:
            return
        for group, field in enumerate(_FIELDS, 1):
            codes, numbers = np.unique(reference[field], return_inverse=True)
            unnamed = int(len(codes) > 0 and codes[0] == 0)
            self._groups[group] = numbers - unnamed
            self._counts[group] = max(len(codes) - unnamed, 1)
        for group, name in enumerate(self._lists, len(op.GROUPS)):
            inside = reference["lists"] & list_bits((name,), lists) != 0
            self._groups[group] = np.where(inside, 0, -1)
        self._known = admitted

    def run(
        self,
        ready: np.ndarray,
        before_columns: np.ndarray,
        before_truth: np.ndarray,
        seen: np.ndarray,
        columns: np.ndarray,
    ) -> None:
        """Fill `columns` for the slice. ready: see `sources`; the rest is of the cycle before."""
        across_nb(
            self._across, ready, before_columns, before_truth, seen, self._groups, self._counts,
            self._room, self._first, self._end, columns,
        )  # fmt: skip


def sources(
    program: Program, before: Program | None, same_slot: np.ndarray, first_derived: int,
    first_family: int,
) -> np.ndarray:
    """By entry of code.across the column, or for a breadth the rule's slot, that held the same in
    the cycle before; -1: nothing did. int64[A]. first_derived, first_family: numbers of the first
    column that programs fill, and of the first one of families."""
    across = program.code.across
    breadth = across[:, op.A_FUNCTION] == op.BREADTH
    found = across[:, op.A_SOURCE].astype(np.int64)
    if before is None:
        return np.full(len(found), -1, np.int64)
    slots = found[breadth]
    found[breadth] = np.where(slots >= 0, same_slot[slots] if len(same_slot) else -1, -1)
    new = _new_slots(program, before) + first_derived
    families = _new_families(program, before) + first_family
    found[np.isin(found, np.concatenate([new, families])) & ~breadth] = -1
    return found


def _new_families(program: Program, before: Program) -> np.ndarray:
    """Slots of families that `before` gave to another one or to none."""
    was = dict(zip(before.families.names, before.families.slot.tolist(), strict=True))
    now = zip(program.families.names, program.families.slot.tolist(), strict=True)
    return np.array([slot for name, slot in now if was.get(name) != slot], np.int64)


def _new_slots(program: Program, before: Program) -> np.ndarray:
    """Slots of the derived columns that `before` filled with something else or not at all."""
    known = set(zip(map(bytes, before.derived_key), before.derived_slot.tolist(), strict=True))
    new = [
        slot
        for key, slot in zip(map(bytes, program.derived_key), program.derived_slot.tolist(),
                             strict=True)
        if (key, slot) not in known
    ]  # fmt: skip
    return np.array(new, np.int64)
