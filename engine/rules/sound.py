"""Checks the arrays of a compiled set: kernels index with these numbers unchecked."""

from collections.abc import Iterator

import numpy as np

from engine.rules import opcodes as op
from engine.rules.compiler import FLAG_EDGE, FLAG_HALT, CompiledRules
from engine.rules.families import are_sound
from engine.rules.packed_rules import PackedRules
from engine.rules.program import Code, Program

_PLANES = {
    op.CROSS: 2, op.NO_CROSS: 2, op.WITHIN: 2, op.IN_ROW: 2, op.SINCE: 2, op.COUNT: 1,
    op.BAR_AGO: 1, op.BAR_COUNT: 1,
}  # fmt: skip
_ROWS = {
    op.WITHIN: 1, op.IN_ROW: 1, op.SINCE: 1, op.AGO: 1, op.COUNT: 1, op.BAR_AGO: 1,
    op.BAR_COUNT: 1,
}  # fmt: skip
_OF_TWO_NUMBERS = {*range(op.ADD, op.COALESCE + 1), op.SELECT, *range(op.ABOVE, op.UNEQUAL + 1),
                   op.CROSS}  # fmt: skip
_OF_ONE_NUMBER = {op.NEGATE, op.ABS, op.LOG, op.LAG, op.STORE}
_OF_CONDITION = {
    op.SELECT, op.SINCE, op.AND, op.OR, op.NO_CROSS, op.WITHIN, op.IN_ROW, op.AGO, op.COUNT,
    op.BAR_AGO, op.BAR_COUNT, op.NOT_TRUE,
}  # fmt: skip
_OF_TWO_CONDITIONS = {op.SELECT, op.AND, op.OR}
_WITH_STATE = {*op.STATEFUL, op.NO_CROSS}
_KNOWN = {*range(op.ADD, op.SINCE + 1), *range(op.ABOVE, op.STORE + 1)}
_MAX_SAMPLES = 60


def is_sound(rules: CompiledRules) -> bool:
    """True when every number points to something that is there."""
    return all(_answers(rules))


def _answers(rules: CompiledRules) -> Iterator[bool]:
    """One answer after the other: each may rely on those before it."""
    program = rules.program
    code, count = program.code, len(rules)
    yield _is_set(rules, count)
    yield program.registers.shape == (2,) and _below(program.registers, 2 * len(code.nodes) + 1)
    for first, items in (
        (code.gate_first, code.gates), (code.bound_first, code.bound),
        (code.unequal_first, code.unequal_to), (code.capture_first, code.captures),
    ):  # fmt: skip
        yield _divides(first, count, len(items))
    yield _rises(code.part_first, count) and int(code.part_first[-1]) <= len(code.parts)
    yield len(code.bound_col) == len(code.bound_sign) == len(code.bound)
    yield len(code.unequal_col) == len(code.unequal_to)
    yield _below(code.bound_col) and _below(code.unequal_col)
    yield bool(np.isin(code.bound_sign, (0, -(2**63))).all())
    yield not np.isnan(code.bound).any() and bool(np.isfinite(code.unequal_to).all())
    yield _below(code.planes) and _below(code.row_slots)
    yield from _of_states(program)
    yield from _of_nodes(program)
    nodes, conditions = len(code.nodes), int(program.registers[1])
    yield _below(code.always, nodes) and _below(code.parts >> 1, nodes)
    yield _below(code.gates, conditions) and _below(code.steps[:, 0], conditions)
    yield _are_conditions(code, code.parts[code.parts & 1 == 1] >> 1)
    yield from _of_firing(program, count)
    yield are_sound(program.families)


def _is_set(rules: CompiledRules, count: int) -> bool:
    """The arrays beside the program."""
    documents = rules.rules
    assert isinstance(documents, PackedRules)
    ends = documents.ends
    per_rule = (rules.hashes, rules.rule_uid, rules.flags, rules.max_per_min, rules.universe, ends)
    return bool(
        all(len(array) == count for array in per_rule)
        and (np.diff(ends, prepend=0) > 0).all()
        and (int(ends[-1]) if count else 0) == len(documents.data)
        and (rules.cooldown_ms >= 0).all()
        and (rules.cooldown_ms < 2**31).all()
        and (rules.rule_uid != 0).all()
        and (rules.flags <= (FLAG_EDGE | FLAG_HALT)).all()
        and (rules.max_per_min >= 0).all()
        and (rules.universe >= -1).all()
        and (rules.universe < len(rules.universes)).all()
    )


def _rises(first: np.ndarray, count: int) -> bool:
    return len(first) == count + 1 and first[0] == 0 and bool((np.diff(first) >= 0).all())


def _divides(first: np.ndarray, count: int, length: int) -> bool:
    return _rises(first, count) and int(first[-1]) == length


def _below(values: np.ndarray, limit: int = 2**31, least: int = 0) -> bool:
    return bool(((values >= least) & (values < limit)).all())


def _of_states(program: Program) -> Iterator[bool]:
    code, states = program.code, program.code.states
    count = len(states)
    yield all(
        len(array) == count
        for array in (
            program.state_key, program.state_mark, program.state_planes, program.state_clearing
        )
    )  # fmt: skip
    for first, some, limit in (
        (states[:, op.S_PLANE], program.state_planes, len(code.planes)),
        (states[:, op.S_ROW], states[:, op.S_ROWS], len(code.row_slots)),
        (states[:, op.S_STEP], states[:, op.S_STEPS], len(code.steps)),
    ):
        yield _below(first) and _below(some) and bool((first + some <= limit).all())
    yield _below(states[:, op.S_WINDOW], 2**62) and _below(states[:, op.S_UNIT], 2**62)
    yield _below(program.state_clearing, op.CLEAR_NUMBERS + 1)


def _of_nodes(program: Program) -> Iterator[bool]:
    nodes, states = program.code.nodes, program.code.states
    what = nodes[:, op.N_OP]
    yield bool(np.isin(what, list(_KNOWN)).all())
    numbers, conditions = program.registers.tolist()
    numeric = np.isin(what, list(op.NUMERIC))
    yield _below(nodes[numeric, op.N_TO], numbers)
    yield _below(nodes[~numeric & (what != op.STORE), op.N_TO], conditions)
    two = np.isin(what, list(_OF_TWO_NUMBERS))
    one = two | np.isin(what, list(_OF_ONE_NUMBER))
    yield _are_operands(program, nodes[one, op.N_A]) and _are_operands(program, nodes[two, op.N_B])
    yield _below(nodes[what == op.STORE, op.N_B])
    yield _below(nodes[what == op.MOMENT, op.N_A], len(program.code.moments))
    yield _below(nodes[np.isin(what, list(_OF_CONDITION)), op.N_C], conditions)
    yield _below(nodes[np.isin(what, list(_OF_TWO_CONDITIONS)), op.N_D], conditions)
    yield _below(nodes[:, op.N_D], conditions, -1)
    stateful = np.isin(what, list(_WITH_STATE))
    yield _below(nodes[stateful, op.N_STATE], len(states)) and bool(
        (nodes[~stateful, op.N_STATE] == -1).all()
    )
    for number in np.flatnonzero(stateful).tolist():
        yield _has_memory(program, nodes[number])


def _has_memory(program: Program, node: np.ndarray) -> bool:
    """The state of a node is large enough for what the kernels do with it."""
    what, state = int(node[op.N_OP]), program.code.states[node[op.N_STATE]]
    planes, rows = int(program.state_planes[node[op.N_STATE]]), int(state[op.S_ROWS])
    count, window, steps = (int(state[word]) for word in (op.S_COUNT, op.S_WINDOW, op.S_STEPS))
    if what == op.SEQUENCE:
        return steps >= 1 and planes >= steps and rows >= 2 * steps - 1
    if what == op.LAG:
        return 0 <= count < rows
    if what in {op.AGO, op.BAR_AGO} and not 0 <= count <= _MAX_SAMPLES:
        return False
    if what in {op.COUNT, op.BAR_COUNT} and not 1 <= count <= window <= _MAX_SAMPLES:
        return False
    least = _PLANES.get(what, 0) + (1 if what == op.CROSS and node[op.N_D] >= 0 else 0)
    return planes >= least and rows >= _ROWS.get(what, 0)


def _are_operands(program: Program, operands: np.ndarray) -> bool:
    kind, at = operands & op.KIND_MASK, operands >> op.KIND_BITS
    return bool(
        (operands >= 0).all()
        and (kind <= op.CONSTANT).all()
        and (at[kind == op.REGISTER] < program.registers[0]).all()
        and (at[kind == op.CONSTANT] < len(program.code.constants)).all()
    )


def _are_conditions(code: Code, numbers: np.ndarray) -> bool:
    what = code.nodes[numbers, op.N_OP]
    return bool((what >= op.ABOVE).all() and (what != op.STORE).all())


def _of_firing(program: Program, count: int) -> Iterator[bool]:
    code, conditions = program.code, int(program.registers[1])
    yield len(code.repeats) == count and _below(code.repeats, least=-1)
    extras = code.extras
    yield _below(extras[:, op.X_RULE], count) and _below(extras[:, op.X_FROM], least=-1)
    yield _below(extras[:, op.X_TO]) and _below(extras[:, op.X_DENY], 2)
    yield not ((extras[:, op.X_FROM] < 0) & (extras[:, op.X_DENY] != 0)).any()
    first, end = extras[:, op.X_PART], extras[:, op.X_PARTS]
    yield bool(((first >= 0) & (first <= end) & (end <= len(code.parts))).all())
    yield _below(code.moments[:, 0], op.M_TIME + 1)
    kind, at, other = code.captures.T
    yield _below(kind, op.CAPTURE_STEP + 1) and _below(at)
    truth, remembers = kind == op.CAPTURE_TRUTH, kind > op.CAPTURE_TRUTH
    yield _below(at[truth], conditions) and _below(other[truth], conditions, -1)
    yield _below(at[remembers], len(code.states))
    yield _below(other[kind == op.CAPTURE_SINCE], conditions)
    step = kind == op.CAPTURE_STEP
    yield bool((code.states[at[step], op.S_STEPS] > other[step]).all()) and _below(other[step])
    across = code.across
    yield _below(across[:, op.A_FUNCTION], len(op.FUNCTIONS)) and _below(across[:, op.A_TO])
    yield _below(across[:, op.A_GROUP], len(op.GROUPS) + len(program.lists))
    breadth = across[:, op.A_FUNCTION] == op.BREADTH
    yield _below(across[breadth, op.A_SOURCE], count, -1) and _below(across[~breadth, op.A_SOURCE])
    yield len(program.derived_key) == len(program.derived_slot) and _below(program.derived_slot)
