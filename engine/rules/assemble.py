"""Puts lowered rules together to one program, the same bytes for the same rules."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from engine.rules import opcodes as op
from engine.rules.errors import RuleError
from engine.rules.families import family_of, place_families
from engine.rules.lower import W_A, W_B, W_C, W_D, W_OP, W_STATE, Across, Column, Nodes
from engine.rules.lowered import LEFT, REARMED, SCOPED, LoweredRule
from engine.rules.model import Rule
from engine.rules.numbering import Numbering, firsts, joined, joined_rows
from engine.rules.plan import plan_leaves
from engine.rules.program import Code, Program, Space, slots_of
from engine.rules.slots import Slots, assign, key_of, key_table, keys_of

ColumnOf: TypeAlias = Callable[[str], int]


@dataclasses.dataclass(frozen=True)
class _Wish:
    """Something remembered: a state of a node, or (repeat) of the firings of a rule."""

    key: bytes
    planes: int
    rows: int
    rule: int


def assemble(
    rules: Sequence[Rule],
    lowered: Sequence[LoweredRule],
    nodes: Nodes,
    column_of: ColumnOf,
    space: Space,
    before: Program | None,
) -> Program:
    """The program of rules (by ascending id), lowered to `nodes`. column_of: number of the column
    of a metric. before: the version whose slots go on.

    Raises RuleError naming the rule with which the set is too large.
    """
    return _Assembly(rules, lowered, nodes, space, before).program(column_of)


class _Assembly:
    def __init__(
        self,
        rules: Sequence[Rule],
        lowered: Sequence[LoweredRule],
        nodes: Nodes,
        space: Space,
        before: Program | None,
    ) -> None:
        self.rules, self.lowered, self.nodes = rules, lowered, nodes
        self.space, self.before = space, before
        self.numbering = Numbering(lowered, nodes)
        found = len(self.numbering.handles)
        if found > space.nodes:
            self.refuse(int(self.numbering.needs[space.nodes]), "nodes", "max_nodes", space.nodes)

    def refuse(self, rule: int, what: str, setting: str, limit: int) -> None:
        rule_id = self.rules[rule].id
        raise RuleError(
            (f"rule '{rule_id}': with it the rules need more than the {limit} {what} of"
             f" rules.{setting}",)
        )  # fmt: skip

    def program(self, column_of: ColumnOf) -> Program:
        self.place_columns(column_of)
        self.place_states()
        lowered = self.lowered
        rule_of = np.repeat(np.arange(len(lowered)), [len(one.bound) for one in lowered])
        plan = plan_leaves(
            rule_of, self.column_number[joined(lowered, "bound_column")],
            joined(lowered, "bound_op", np.uint8), joined(lowered, "bound", np.float64),
            len(lowered),
        )  # fmt: skip
        parts, extras = self.parts()
        table, constants, moments = self.node_table()
        code = Code(
            nodes=table,
            constants=constants,
            states=self.states,
            planes=self.planes,
            row_slots=self.row_slots,
            steps=self.steps(),
            always=self.numbering.always,
            gate_first=firsts([len(one.gates) for one in lowered]),
            gates=self.numbering.registers_of(joined(lowered, "gates")),
            **plan._asdict(),
            part_first=firsts([len(one.parts) for one in lowered]),
            parts=parts,
            extras=extras,
            moments=moments,
            across=self.across,
            capture_first=firsts([len(one.captures) for one in lowered]),
            captures=self.captures(),
            repeats=self.repeats,
        )
        return Program(
            code, np.array(self.numbering.registers, np.int32), *self.remembered, *self.derived,
            families=self.families,
        )  # fmt: skip

    # -- columns ---------------------------------------------------------------------------------
    def place_columns(self, column_of: ColumnOf) -> None:
        """Number every column that is read or filled, by its place in nodes.columns."""
        places = self.used_places()
        columns = {place: self.nodes.columns[place] for place in places}
        across = {place: one for place, one in columns.items() if isinstance(one, Across)}
        names = {name for name in columns.values() if isinstance(name, str)}
        derived = {derived_key(name): name for name in names if name in self.nodes.stores}
        filled = derived | {derived_key(one): one for one in across.values()}
        keys = sorted(filled)
        slots = self.slots_of_columns(keys)
        number: dict[Column, int] = {
            filled[key]: self.space.first_derived + slot
            for key, slot in zip(keys, slots, strict=True)
        }
        plain = names - set(derived.values())
        compared = {one.source for one in across.values() if one.function != "breadth"}
        number |= self.placed_families(plain | compared - set(derived.values()))
        for name in plain - set(number):
            number[name] = column_of(name)
        self.column_number = np.full(len(self.nodes.columns), -1, np.int32)
        for place, column in columns.items():
            self.column_number[place] = number[column]
        groups = sorted({one.group.partition(":")[2] for one in across.values()} - {""})
        slot_of = {rule.id: slot for slot, rule in enumerate(self.rules)}
        table = [
            (
                op.FUNCTIONS.index(one.function),
                slot_of.get(one.source, -1) if one.function == "breadth"
                else number[one.source] if one.source in number else column_of(one.source),
                _group(one.group, groups),
                number[one],
            )
            for one in across.values()
        ]  # fmt: skip
        table.sort(key=lambda row: (row[op.A_SOURCE], row))  # what is sorted once stands together
        self.across = np.array(table, np.int32).reshape(-1, op.ACROSS_WORDS)
        self.derived = (key_table(keys), np.array(slots, np.int32), tuple(groups))

    def placed_families(self, names: set[str]) -> dict[Column, int]:
        """Numbers of the columns of those metrics that are families."""
        wanted = [name for name in names if family_of(name) is not None]
        before = None if self.before is None else self.before.families
        self.families = place_families(wanted, self.space.families, before)
        columns = (self.space.first_family + self.families.slot).tolist()
        found: dict[Column, int] = dict(zip(self.families.names, columns, strict=True))
        return found

    def used_places(self) -> list[int]:
        rows = self.numbering.rows[self.numbering.rows[:, W_OP] != op.MOMENT]
        operands = rows[:, [W_A, W_B]].reshape(-1)
        read = operands[(operands >= 0) & (operands & op.KIND_MASK == op.COLUMN)] >> op.KIND_BITS
        captures = joined_rows(self.lowered, "captures", op.CAPTURE_WORDS)
        carried = captures[captures[:, op.C_KIND] == op.CAPTURE_COLUMN, op.C_AT]
        places: list[int] = np.unique(
            np.concatenate([read, carried, joined(self.lowered, "bound_column")])
        ).tolist()
        return places

    def slots_of_columns(self, keys: Sequence[bytes]) -> list[int]:
        known: dict[bytes, Slots] = {}
        if self.before is not None:
            slots = self.before.derived_slot.tolist()
            for key, slot in zip(keys_of(self.before.derived_key), slots, strict=True):
                known[key] = (slot,)
        given = assign([(key, 1) for key in keys], known, self.space.derived)
        if isinstance(given, int):
            limit = self.space.derived
            raise RuleError(
                (f"the rules need more than the {limit} derived columns of rules.max_derived",)
            )
        return [slot for (slot,) in given]

    # -- what is remembered ----------------------------------------------------------------------
    def place_states(self) -> None:
        """Give planes and rows to the states of nodes and to the control of repeats."""
        with_state = np.flatnonzero(self.numbering.rows[:, W_STATE] >= 0)
        chosen, first = np.unique(self.numbering.rows[with_state, W_STATE], return_index=True)
        order = np.argsort(first)
        self.chosen_states = chosen[order].tolist()
        self.state_number = np.full(len(self.nodes.states), -1, np.int32)
        self.state_number[self.chosen_states] = np.arange(len(self.chosen_states))
        needed_by = self.numbering.needs[with_state[first[order]]].tolist()
        states = [self.nodes.states[place] for place in self.chosen_states]
        wishes = [
            _Wish(state.key, state.planes, state.rows, rule)
            for state, rule in zip(states, needed_by, strict=True)
        ]
        repeats, self.repeat_of = self.repeat_wishes(len(wishes))
        wishes += repeats
        planes = self.slots(wishes, "planes", "op_bit_slots", self.space.planes)
        rows = self.slots(wishes, "rows", "op_row_slots", self.space.rows)
        self.planes = np.array([slot for slots in planes for slot in slots], np.int32)
        self.row_slots = np.array([slot for slots in rows for slot in slots], np.int32)
        table = np.zeros((len(wishes), op.STATE_WORDS), np.int64)
        table[:, op.S_PLANE] = firsts([len(slots) for slots in planes])[:-1]
        table[:, op.S_ROW] = firsts([len(slots) for slots in rows])[:-1]
        table[:, op.S_ROWS] = [len(slots) for slots in rows]
        some = table[: len(states)]
        some[:, op.S_WINDOW] = [state.window for state in states]
        some[:, op.S_UNIT] = [state.unit_ns for state in states]
        some[:, op.S_COUNT] = [state.count for state in states]
        some[:, op.S_STEPS] = [len(state.steps) for state in states]
        some[:, op.S_STEP] = firsts([len(state.steps) for state in states])[:-1]
        self.states = table
        clearing = [state.clearing for state in states] + [op.CLEAR_NOTHING] * len(repeats)
        marks = [
            key_of(wish.key, repr(places).encode())
            for wish, *places in zip(wishes, planes, rows, strict=True)
        ]
        self.remembered = (
            key_table([wish.key for wish in wishes]),
            key_table(marks).view(np.int64)[:, 0].copy(),
            np.array([wish.planes for wish in wishes], np.int32),
            np.array(clearing, np.uint8),
        )
        self.repeats = np.full((len(self.rules), op.REPEAT_WORDS), -1, np.int32)
        for rule, word, state in self.repeat_of:
            self.repeats[rule, word] = self.planes[table[state, op.S_PLANE]]

    def repeat_wishes(self, number: int) -> tuple[list[_Wish], list[tuple[int, int, int]]]:
        """Planes for firing, and by plane its rule, its word of `repeats` and its state (the first
        has `number`). They are named by the rule's id: what has fired stays when a rule changes."""
        wishes: list[_Wish] = []
        places = []
        for slot, (rule, one) in enumerate(zip(self.rules, self.lowered, strict=True)):
            words = [op.R_ONCE] if rule.once_per_session else []
            for kind, _ in one.extras:
                words += {
                    SCOPED: [op.R_SCOPED], REARMED: [op.R_DISARMED],
                    LEFT: [op.R_ENTERED, op.R_LEFT],
                }[kind]  # fmt: skip
            for word in words:
                places.append((slot, word, number + len(wishes)))
                key = key_of(b"repeat", rule.id.encode(), bytes([word]))
                wishes.append(_Wish(key, 1, 0, slot))
        return wishes, places

    def slots(self, wishes: Sequence[_Wish], what: str, setting: str, limit: int) -> list[Slots]:
        """Slots of planes or rows for every wish."""
        known: dict[bytes, Slots] = {}
        if self.before is not None:
            known = slots_of(self.before, what)
        counts = [(wish.key, getattr(wish, what)) for wish in wishes]
        given = assign(counts, known, limit)
        if isinstance(given, int):
            self.refuse(wishes[given].rule, f"{what} of memory", setting, limit)
        assert isinstance(given, list)
        return given

    # -- tables ----------------------------------------------------------------------------------
    def node_table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nodes with registers, columns and constants in their place; constants; moments."""
        numbering = self.numbering
        rows, code = numbering.rows, numbering.rows[:, W_OP]
        table = np.full((len(rows), op.NODE_WORDS), -1, np.int32)
        table[:, op.N_OP], table[:, op.N_TO] = code, numbering.register
        table[:, op.N_C] = numbering.registers_of(rows[:, W_C])
        table[:, op.N_D] = numbering.registers_of(rows[:, W_D])
        there = rows[:, W_STATE] >= 0
        table[there, op.N_STATE] = self.state_number[rows[there, W_STATE]]
        operands = rows[:, [W_A, W_B]].copy()
        is_moment = code == op.MOMENT
        moments = self.used_moments(operands[is_moment, 0])
        operands[is_moment] = -1
        constants = self.place_operands(operands)
        store = code == op.STORE
        operands[store, 1] >>= op.KIND_BITS
        operands[is_moment, 0] = moments[1]
        table[:, op.N_A], table[:, op.N_B] = operands[:, 0], operands[:, 1]
        return table, constants, moments[0]

    def used_moments(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        unique, first, inverse = np.unique(places, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order))
        table = [self.nodes.moments[place] for place in unique[order].tolist()]
        return np.array(table, np.int32).reshape(-1, 4), rank[inverse]

    def place_operands(self, operands: np.ndarray) -> np.ndarray:
        """Put registers, columns and constants of the program into `operands`; the constants."""
        flat = operands.reshape(-1)
        kind, at = flat & op.KIND_MASK, flat >> op.KIND_BITS
        there = flat >= 0
        number = at.copy()
        of_node = there & (kind == op.REGISTER)
        number[of_node] = self.numbering.registers_of(at[of_node])
        of_column = there & (kind == op.COLUMN)
        number[of_column] = self.column_number[at[of_column]]
        constant = there & (kind == op.CONSTANT)
        unique, first, inverse = np.unique(at[constant], return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order))
        number[constant] = rank[inverse]
        flat[there] = number[there] << op.KIND_BITS | kind[there]
        values = [self.nodes.constants[place] for place in unique[order].tolist()]
        return np.repeat(np.array(values, np.float64), 8).reshape(-1, 8)

    def steps(self) -> np.ndarray:
        steps = [step for place in self.chosen_states for step in self.nodes.states[place].steps]
        table = np.array(steps, np.int64).reshape(-1, 2)
        table[:, 0] = self.numbering.registers_of(table[:, 0])
        return table

    def numbered(self, parts: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.numbering.numbers_of(parts >> 1) << 1 | parts & 1
        return found

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Parts of the rules, then those of their extras; the extras."""
        runs = [self.numbered(joined(self.lowered, "parts"))]
        end = len(runs[0])
        extras = []
        for rule, one in enumerate(self.lowered):
            planes = self.repeats[rule].tolist()
            for kind, parts in one.extras:
                source, to = {
                    SCOPED: (-1, planes[op.R_SCOPED]),
                    REARMED: (planes[op.R_DISARMED], planes[op.R_DISARMED]),
                    LEFT: (planes[op.R_ENTERED], planes[op.R_LEFT]),
                }[kind]
                runs.append(self.numbered(parts))
                extras.append((rule, source, to, kind == REARMED, end, end + len(parts)))
                end += len(parts)
        table = np.array(extras, np.int32).reshape(-1, op.EXTRA_WORDS)
        return np.concatenate(runs).astype(np.int32), table

    def captures(self) -> np.ndarray:
        """Captures with columns, registers and states in their place."""
        table = joined_rows(self.lowered, "captures", op.CAPTURE_WORDS).copy()
        kind, at = table[:, op.C_KIND], table[:, op.C_AT]
        column, truth = kind == op.CAPTURE_COLUMN, kind == op.CAPTURE_TRUTH
        remembers = ~column & ~truth
        other = self.numbering.registers_of(np.where(truth, table[:, op.C_OTHER], -1))
        nodes = self.numbering.rows[self.numbering.numbers_of(at[remembers])]
        since = nodes[:, W_OP] == op.SINCE
        parts = self.numbering.registers_of(np.where(since, nodes[:, W_C], -1))
        table[truth, op.C_OTHER] = other[truth]
        table[remembers, op.C_OTHER] = np.where(since, parts, table[remembers, op.C_OTHER])
        table[column, op.C_AT] = self.column_number[at[column]]
        table[truth, op.C_AT] = self.numbering.registers_of(at[truth])
        table[remembers, op.C_AT] = self.state_number[nodes[:, W_STATE]]
        return table


def derived_key(column: Across | str) -> bytes:
    """What names a column that a program fills: an expression, or a number that compares."""
    if isinstance(column, str):
        return key_of(b"column", column.encode())
    parts = (column.function, column.source, column.group)
    return key_of(b"across", *(part.encode() for part in parts))


def _group(name: str, lists: Sequence[str]) -> int:
    """Number of a group: one of opcodes.GROUPS, or behind them a list."""
    if name in op.GROUPS:
        return op.GROUPS.index(name)
    return len(op.GROUPS) + lists.index(name.partition(":")[2])
