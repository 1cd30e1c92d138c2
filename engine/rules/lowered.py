"""What one rule brings into a program, still with numbers of `lower.Nodes`."""

import dataclasses
from collections.abc import Iterable
from typing import cast

import numpy as np

from engine.rules import opcodes as op
from engine.rules.captures import REMEMBERING, captures_of
from engine.rules.lower import Lowering, Nodes
from engine.rules.model import OPS, Rule
from engine.rules.normal import TRUE, denied, normal_form
from engine.rules.tree import (
    And,
    Breadth,
    Compare,
    Cond,
    CrossSection,
    Expr,
    MetricRef,
    Number,
    Sequence,
    Since,
)

SCOPED, REARMED, LEFT = range(3)  # planes that firing needs: extras of a rule


@dataclasses.dataclass(frozen=True, eq=False)
class LoweredRule:
    """One rule. Arrays are int32 unless said otherwise.

    nodes: every node it needs, a node after what it looks at, those first that run in every cycle;
    always: bool, which run in every cycle; kept: bool, whose results outlive their use by the next
    nodes; local: register if nobody else needs the node and it is not kept.
    gates: conditions of the rule that every cycle gives. bound_column, bound_op (index into OPS),
    bound (float64): comparisons of a column with a constant. parts: the rest, see
    program_nb.narrow_parts_nb. extras: kind (SCOPED, REARMED, LEFT) and parts of planes for firing.
    captures: see opcodes. registers: how many local ones, of numbers and of conditions.
    """

    nodes: np.ndarray
    always: np.ndarray
    kept: np.ndarray
    local: np.ndarray
    gates: np.ndarray
    bound_column: np.ndarray
    bound_op: np.ndarray
    bound: np.ndarray
    parts: np.ndarray
    extras: tuple[tuple[int, np.ndarray], ...]
    captures: np.ndarray
    registers: tuple[int, int]


def lower_rule(rule: Rule, nodes: Nodes, lowering: Lowering) -> LoweredRule:
    """Lower a rule whose metrics are known. Raises UnknownMetric for another."""
    return _RuleLowering(rule, nodes, lowering).lowered()


class _RuleLowering:
    def __init__(self, rule: Rule, nodes: Nodes, lowering: Lowering) -> None:
        self.rule = rule
        self.nodes = nodes
        self.condition = lowering.condition
        self.number = lowering.number
        self.gates: list[int] = []
        self.bounds: list[tuple[int, int, float]] = []
        self.lazy: list[int] = []
        self.columns: list[int] = []
        self.always: set[int] = set()

    def lowered(self) -> LoweredRule:
        self.split(normal_form(self.rule.root))
        extras = [(kind, self.conjuncts(cond)) for kind, cond in self.wanted_planes()]
        captures = self.captures()
        watched = [at for kind, at, _ in captures if kind == op.CAPTURE_TRUTH]
        watched += [other for kind, _, other in captures if other >= 0 and kind == op.CAPTURE_TRUTH]
        stores = [store for place in self.columns for store in self.nodes.behind(place)]
        first = self.ordered([*self.gates, *watched, *stores])
        reached = self.ordered([*first, *self.lazy, *(c for _, conds in extras for c in conds)])
        roots = [number for number in reached if self.remembers(number)]
        self.always = set(self.ordered([*self.gates, *watched, *stores, *roots]))
        segments = [self.segment(self.lazy), *(self.segment(conds) for _, conds in extras)]
        return self.assembled(reached, segments, [kind for kind, _ in extras], captures)

    # -- conditions ------------------------------------------------------------------------------
    def split(self, root: Cond) -> None:
        """Sort the parts of the root by how they are evaluated."""
        for cond in root.parts if isinstance(root, And) else (root,):
            if cond == TRUE:
                continue
            if isinstance(cond, Compare) and _is_bound(cond):
                self.bounds.append(self.bound(cond))
                continue
            number = self.condition(cond)
            code = self.nodes.row(number)[0]
            given = self.remembers(number) or code == op.MOMENT
            (self.gates if given else self.lazy).append(number)
        self.lazy.sort(key=self.weight)

    def bound(self, cond: Compare) -> tuple[int, int, float]:
        place = self.number(cond.left) >> op.KIND_BITS
        self.columns.append(place)
        assert isinstance(cond.right, Number)
        return place, OPS.index(cond.op), cond.right.value

    def conjuncts(self, root: Cond) -> list[int]:
        parts = root.parts if isinstance(root, And) else (root,)
        return sorted(map(self.condition, parts), key=self.weight)

    def weight(self, number: int) -> int:
        return len(self.ordered([number]))

    def wanted_planes(self) -> list[tuple[int, Cond]]:
        """What firing asks beside the root, in the order of their kinds."""
        rule, found = self.rule, []
        if rule.universe.scope is not None:
            found.append((SCOPED, normal_form(rule.universe.scope)))
        if rule.rearm:
            again = denied(rule.condition)
            if rule.rearm_tree is not None:
                again = normal_form(rule.rearm_tree)
            found.append((REARMED, again))
        if rule.trigger == "enter_exit":
            found.append((LEFT, denied(rule.condition)))
        return found

    def remembers(self, number: int) -> bool:
        """True for a node that must run in every cycle for its own sake."""
        code = self.nodes.row(number)[0]
        return code in op.STATEFUL or code in {op.NO_CROSS, op.NOT_TRUE, op.STORE}

    # -- order -----------------------------------------------------------------------------------
    def ordered(self, roots: Iterable[int]) -> list[int]:
        """The roots and all below them, each once, a node after what it looks at."""
        found: dict[int, None] = {}
        for root in roots:
            stack = [(root, False)]
            while stack:
                number, done = stack.pop()
                if number in found:
                    continue
                if done:
                    found[number] = None
                    continue
                stack.append((number, True))
                stack.extend((part, False) for part in reversed(self.nodes.below(number)))
        return list(found)

    def segment(self, conds: list[int]) -> list[int]:
        """Parts that decide whether all of `conds` are true."""
        parts, there = [], set(self.always)
        for cond in conds:
            for number in self.ordered([cond]):
                if number == cond:
                    parts.append(number << 1 | 1)
                elif number not in there:
                    parts.append(number << 1)
                there.add(number)
        return parts

    # -- captures --------------------------------------------------------------------------------
    def captures(self) -> list[tuple[int, int, int]]:
        """Words of the alert record, see opcodes."""
        wanted = captures_of(self.rule)
        metrics = [self.number(MetricRef(name)) >> op.KIND_BITS for name in wanted.metrics]
        found = [(op.CAPTURE_COLUMN, place, -1) for place in metrics]
        sure_of_truth = self.rule.trigger != "enter_exit"
        for node, certain in zip(wanted.nodes, wanted.certain, strict=True):
            if isinstance(node, CrossSection | Breadth):
                place = self.number(node) >> op.KIND_BITS
                self.columns.append(place)
                found.append((op.CAPTURE_COLUMN, place, -1))
            elif isinstance(node, REMEMBERING):
                number, sure = self.condition(cast(Cond, node)), certain and sure_of_truth
                other = -1 if sure else self.condition(denied(cast(Cond, node)))
                found.append((op.CAPTURE_TRUTH, number, other))
                steps = len(node.steps) if isinstance(node, Sequence) else 0
                found += [(op.CAPTURE_STEP, number, step) for step in range(steps)]
            else:
                kind = op.CAPTURE_SINCE if isinstance(node, Since) else op.CAPTURE_LAG
                found.append((kind, self.number(cast(Expr, node)) >> op.KIND_BITS, -1))
        return found

    # -- registers -------------------------------------------------------------------------------
    def assembled(
        self,
        reached: list[int],
        segments: list[list[int]],
        kinds: list[int],
        captures: list[tuple[int, int, int]],
    ) -> LoweredRule:
        order = [number for number in reached if number in self.always]
        order += [number for number in reached if number not in self.always]
        kept = self.kept(order, segments)
        local, registers = self.registers(order, kept)
        columns, ops, constants = zip(*self.bounds, strict=True) if self.bounds else ((), (), ())
        return LoweredRule(
            nodes=_int32(order),
            always=np.array([number in self.always for number in order], bool),
            kept=np.array([number in kept for number in order], bool),
            local=_int32(local),
            gates=_int32(self.gates),
            bound_column=_int32(columns),
            bound_op=np.array(ops, np.uint8),
            bound=np.array(constants, np.float64),
            parts=_int32(segments[0]),
            extras=tuple(
                (kind, _int32(parts)) for kind, parts in zip(kinds, segments[1:], strict=True)
            ),
            captures=_int32(captures).reshape(-1, op.CAPTURE_WORDS),
            registers=registers,
        )

    def kept(self, order: list[int], segments: list[list[int]]) -> set[int]:
        """Nodes with a register for themselves: what remembers, what every cycle gives and single
        parts read, what more than one segment reads."""
        kept = {number for number in order if self.remembers(number)} | set(self.gates)
        seen: dict[int, int] = {}
        for at, parts in enumerate(segments):
            for part in parts:
                number = part >> 1
                reads = [number] if part & 1 and number in self.always else []
                if number not in self.always:
                    reads = self.nodes.below(number)
                    if seen.setdefault(number, at) != at:
                        kept.add(number)
                kept.update(below for below in reads if below in self.always)
        return kept

    def registers(self, order: list[int], kept: set[int]) -> tuple[list[int], tuple[int, int]]:
        """A register for each node that is not kept, given back after its last use in `order`."""
        last = {number: at for at, number in enumerate(order)}
        for at, number in enumerate(order):
            last |= {below: at for below in self.nodes.below(number) if below in last}
        free: tuple[list[int], list[int]] = ([], [])
        count, local = [0, 0], []
        ends: dict[int, list[tuple[int, int]]] = {}
        for at, number in enumerate(order):
            if number in kept:
                local.append(-1)
                continue
            kind = 0 if self.nodes.row(number)[0] in op.NUMERIC else 1
            if not free[kind]:
                free[kind].append(count[kind])
                count[kind] += 1
            register = free[kind].pop()
            local.append(register)
            ends.setdefault(last[number], []).append((kind, register))
            for done_kind, done in ends.pop(at, ()):
                free[done_kind].append(done)
        return local, (count[0], count[1])


def _is_bound(cond: Compare) -> bool:
    known = MetricRef | CrossSection | Breadth
    return isinstance(cond.left, known) and isinstance(cond.right, Number)


def _int32(values: object) -> np.ndarray:
    return np.array(values, np.int32)
