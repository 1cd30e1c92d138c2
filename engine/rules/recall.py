"""Reads back what a program remembers of one symbol: what each node gave in a cycle, since when."""

import dataclasses
import math
from collections.abc import Iterable
from typing import TypeAlias, cast

import numpy as np

from engine.rules import opcodes as op
from engine.rules.assemble import derived_key
from engine.rules.interpret import Facts, Moment, Result, truth
from engine.rules.lower import DERIVED, Across, node_key
from engine.rules.normal import denied, encoding
from engine.rules.program import Program
from engine.rules.slots import keys_of
from engine.rules.tree import (
    UNIT_NS,
    Ago,
    AtLeast,
    Breadth,
    Crosses,
    CrossSection,
    InRow,
    Lag,
    MetricRef,
    Node,
    Sequence,
    Since,
    Within,
)

Remembering: TypeAlias = Crosses | Within | InRow | Ago | AtLeast | Sequence
_RING = 64


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the state of a node stands in a copy: its first plane, its first row, how many rows,
    and the row as a ring of samples, -1 none."""

    plane: int
    row: int
    rows: int
    ring: int


class Places:
    """What must be copied to read some nodes of normal forms, of one program.

    planes, rows, rings: slots of op_bits and op_rows, one after the other; rings: of rows that are
    rings. columns: of nodes that compare symbols, the number of the column. Nodes that the program
    does not know have no place.
    """

    def __init__(self, program: Program, nodes: Iterable[Node], first_derived: int) -> None:
        self._code = program.code
        states = {key: at for at, key in enumerate(keys_of(program.state_key))}
        derived = dict(
            zip(keys_of(program.derived_key), program.derived_slot.tolist(), strict=True)
        )
        self.of: dict[Node, Place] = {}
        self.columns: dict[Node, int] = {}
        planes: list[int] = []
        rows: list[int] = []
        rings: list[int] = []
        for node in nodes:
            if isinstance(node, CrossSection | Breadth):
                slot = derived.get(derived_key(_across(node)))
                if slot is not None:
                    self.columns[node] = first_derived + slot
                continue
            state = states.get(node_key(node))
            if state is None or node in self.of:
                continue
            first, some = int(self._code.states[state, op.S_PLANE]), int(
                program.state_planes[state]
            )
            begin, count = self._code.states[state, [op.S_ROW, op.S_ROWS]].tolist()
            ring = -1
            if isinstance(node, Ago | AtLeast) and node.window.unit != "bars":
                ring = len(rings)
                rings.append(int(self._code.row_slots[begin]))
            self.of[node] = Place(len(planes), len(rows), count, ring)
            planes += self._code.planes[first : first + some].tolist()
            rows += self._code.row_slots[begin : begin + count].tolist()
        self.planes = np.array(planes, np.int64)
        self.rows = np.array(rows, np.int64)
        self.rings = np.array(rings, np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Copy:
    """What stands in some places for one symbol after a cycle.

    before, now: bool[planes], of the cycle before and of this one; rows: int64[rows]; rings:
    bool[rings, 64]; columns: by node.
    """

    before: np.ndarray
    now: np.ndarray
    rows: np.ndarray
    rings: np.ndarray
    columns: dict[Node, float]


def copy_places(
    places: Places, op_bits: np.ndarray, op_rows: np.ndarray, columns: np.ndarray, n: int,
    symbol: int,
) -> Copy:
    """Copy what stands in `places` for a symbol after cycle n. columns: float64[columns, rows], of
    this cycle."""
    word, bit = symbol // 64, np.uint64(symbol % 64)
    one = np.uint64(1)
    rings = op_rows.view(np.uint64).reshape(len(op_rows), _RING, op_bits.shape[2])
    return Copy(
        before=(op_bits[1 - (n & 1), places.planes, word] >> bit & one).astype(bool),
        now=(op_bits[n & 1, places.planes, word] >> bit & one).astype(bool),
        rows=op_rows[places.rows, symbol],
        rings=(rings[places.rings, :, word] >> bit & one).astype(bool),
        columns={node: float(columns[at, symbol]) for node, at in places.columns.items()},
    )


@dataclasses.dataclass(frozen=True)
class Trace:
    """What a node's memory tells beside its result; times in ns, 0 unknown.

    last_ns: T of the last cycle in which the node itself was true; part_ns: the same of the
    condition it looks at. since_ns: the part is true since then. count: how many samples were true.
    steps_ns: of the last completed attempt; taken_ns: of the attempt that goes on. sample: the
    whole second or minute that `ago` is of, in ns. was: a side of a cross in the cycle before,
    "above", "at most" (mirrored: "below", "at least") or empty; disarmed: by its hysteresis.
    """

    last_ns: int = 0
    part_ns: int = 0
    since_ns: int = 0
    count: int = -1
    steps_ns: tuple[int, ...] = ()
    taken_ns: tuple[int, ...] = ()
    sample_ns: int = 0
    was: str = ""
    disarmed: bool = False


_NOTHING = Trace()


class Recall:
    """The memories of one symbol after a cycle, those of several programs: the first that knows a
    node is asked.

    known: the symbol was neither blind nor a test issue in this cycle; else all is unknown.
    """

    def __init__(
        self, copies: Iterable[tuple[Places, Copy]], t_ns: int, *, known: bool = True
    ) -> None:
        self._copies = tuple(copies)
        self._t_ns = t_ns
        self._known = known

    def _find(self, node: Node) -> tuple[Place, Copy] | None:
        for places, copy in self._copies:
            place = places.of.get(node)
            if place is not None:
                return place, copy
        return None

    # -- results ---------------------------------------------------------------------------------
    def results(
        self, nodes: Iterable[Node], moment: Moment
    ) -> tuple[dict[Node, Result], dict[Node, bool | None]]:
        """What nodes gave, those below a node before it; and those of which too little is
        remembered to say that: with what they did not give, true or false, None for neither."""
        results: dict[Node, Result] = {}
        undecided: dict[Node, bool | None] = {}
        facts = Facts(moment, results)
        for node in nodes:
            if not self._known:
                results[node] = None
                continue
            excluded: bool | None = None
            if isinstance(node, Lag | Since | CrossSection | Breadth):
                results[node], there = self._number(node)
            else:
                results[node], there, excluded = self._truth(cast(Remembering, node), facts)
            if not there:
                undecided[node] = excluded
        return results, undecided

    def _number(self, node: Lag | Since | CrossSection | Breadth) -> tuple[float | None, bool]:
        if isinstance(node, CrossSection | Breadth):
            found = [copy.columns[node] for _, copy in self._copies if node in copy.columns]
            return (_known(found[0]), True) if found else (None, False)
        where = self._find(node)
        if where is None:
            return None, False
        place, copy = where
        if isinstance(node, Since):
            if copy.now[place.plane]:
                return 0.0, True
            if not copy.now[place.plane + 1]:
                return None, True
            return (self._t_ns - int(copy.rows[place.row])) / 1e9, True
        last = self._t_ns // UNIT_NS[node.window.unit]
        at = place.row + (last - node.window.count) % place.rows
        return _known(float(copy.rows[at : at + 1].view(np.float64)[0])), True

    def _truth(
        self, node: Remembering, facts: Facts
    ) -> tuple[bool | None, bool, bool | None]:
        """The result; whether it is all there is to say; else what it is not."""
        where = self._find(node)
        if where is not None and self._is_true(node, *where):
            return True, True, None
        if isinstance(node, Crosses):
            return (None, False, None) if where is None else (self._cross(*where), True, None)
        if isinstance(node, Sequence):
            return (None, False, None) if where is None else (False, True, None)
        opposite = cast(Remembering, denied(node))
        against = self._find(opposite)
        if against is not None and self._is_true(opposite, *against):
            return False, True, None
        if isinstance(node, Within) and truth(node.part, facts) is True:
            return True, True, None
        if isinstance(node, InRow) and truth(node.part, facts) is False:
            return False, True, None
        if where is not None and against is not None:
            return None, True, None
        excluded = True if where is not None else False if against is not None else None
        return None, False, excluded

    def _is_true(self, node: Remembering, place: Place, copy: Copy) -> bool:
        plane = place.plane
        match node:
            case Crosses():
                crossed = copy.before[plane] and copy.now[plane + 1]
                disarmed = node.hysteresis_pct > 0 and copy.before[plane + 2]
                return bool(crossed and not disarmed)
            case Within() | InRow():
                return bool(copy.now[plane + 1])
            case Sequence():
                size = len(node.steps)
                last = place.row + 2 * size - 2
                return bool(copy.now[plane + size - 1]) and int(copy.rows[last]) == self._t_ns
            case Ago() if place.ring >= 0:
                last = self._t_ns // UNIT_NS[node.window.unit]
                return bool(copy.rings[place.ring, (last - node.window.count) % _RING])
            case _:
                return bool(copy.now[plane])

    @staticmethod
    def _cross(place: Place, copy: Copy) -> bool | None:
        """False where both sides were known in both cycles, of a cross that is not true."""
        low, high = place.plane, place.plane + 1
        known = (copy.before[low] or copy.before[high]) and (copy.now[low] or copy.now[high])
        return False if known else None

    # -- what else is remembered -------------------------------------------------------------------
    def trace(self, node: Node) -> Trace:
        """What the memory of a node tells beside its result."""
        where = self._find(node) if self._known else None
        if where is None:
            return _NOTHING
        place, copy = where
        plane, row = place.plane, place.row
        match node:
            case Crosses():
                was = ""
                above = node.direction == "above"
                if copy.before[plane]:
                    was = "at most" if above else "at least"
                elif copy.before[plane + 1]:
                    was = "above" if above else "below"
                off = node.hysteresis_pct > 0 and bool(copy.before[plane + 2])
                return Trace(was=was, disarmed=off)
            case Within() | Since():
                if copy.now[plane]:
                    return Trace(part_ns=self._t_ns)
                if copy.now[plane + 1]:
                    return Trace(part_ns=int(copy.rows[row]))
                return _NOTHING
            case InRow():
                return Trace(since_ns=int(copy.rows[row])) if copy.now[plane] else _NOTHING
            case Sequence():
                return self._attempts(node, place, copy)
            case Ago() if place.ring >= 0:
                unit_ns = UNIT_NS[node.window.unit]
                return Trace(sample_ns=(self._t_ns // unit_ns - node.window.count) * unit_ns)
            case AtLeast() if place.ring >= 0:
                last = self._t_ns // UNIT_NS[node.window.unit]
                ages = (last - np.arange(node.window.count)) % _RING
                return Trace(count=int(copy.rings[place.ring, ages].sum()))
            case _:
                return _NOTHING

    def _attempts(self, node: Sequence, place: Place, copy: Copy) -> Trace:
        size = len(node.steps)
        completed: tuple[int, ...] = ()
        if copy.now[place.plane + size - 1]:
            first = place.row + size - 1
            completed = tuple(copy.rows[first : first + size].tolist())
        taken = [at + 1 for at in range(size - 1) if copy.now[place.plane + at]]
        steps = copy.rows[place.row : place.row + max(taken, default=0)]
        return Trace(
            last_ns=completed[-1] if completed else 0, steps_ns=completed,
            taken_ns=tuple(steps.tolist()),
        )  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _across(node: CrossSection | Breadth) -> Across:
    """The column of a node of a normal form, as `lower` names it."""
    if isinstance(node, Breadth):
        return Across("breadth", node.rule_id, node.group)
    if isinstance(node.value, MetricRef):
        return Across(node.function, node.value.name, node.group)
    return Across(node.function, DERIVED + encoding(node.value).decode(), node.group)
