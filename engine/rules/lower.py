"""Lowers one rule to nodes of the program: equal parts of equal or different rules are one node.

What a rule needs is independent of all other rules, so that it can be kept when they change: names
of columns and registers of its own get their numbers in `program`.
"""

import dataclasses
from array import array
from typing import TypeAlias, cast

from engine.rules import opcodes as op
from engine.rules.normal import FALSE, TRUE, denied, encoding
from engine.rules.slots import key_of
from engine.rules.tree import (
    UNIT_NS,
    Ago,
    And,
    Arithmetic,
    AtLeast,
    Breadth,
    Call,
    Compare,
    Cond,
    Crosses,
    CrossSection,
    Expr,
    If,
    InRow,
    InSession,
    Lag,
    MetricRef,
    Negate,
    Node,
    Not,
    Number,
    OnWeekday,
    Or,
    Sequence,
    Since,
    TimeBetween,
    Window,
    Within,
)

_ARITHMETIC = {"+": op.ADD, "-": op.SUBTRACT, "*": op.MULTIPLY, "/": op.DIVIDE}
_FOLDED = {"min": op.MIN, "max": op.MAX, "coalesce": op.COALESCE}
_SINGLE = {"abs": op.ABS, "log": op.LOG}
_COMPARISONS = {">": op.ABOVE, ">=": op.AT_LEAST, "==": op.EQUAL, "!=": op.UNEQUAL}
_MIRRORED = {"<": op.ABOVE, "<=": op.AT_LEAST}
_SAMPLED = {
    (True, False): op.AGO, (True, True): op.BAR_AGO,
    (False, False): op.COUNT, (False, True): op.BAR_COUNT,
}  # fmt: skip
_SESSIONS = ("pre", "regular", "after")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")

NodeRow: TypeAlias = tuple[int, int, int, int, int, int]
W_OP, W_A, W_B, W_C, W_D, W_STATE, ROW_WORDS = range(7)  # its words


@dataclasses.dataclass(frozen=True)
class State:
    """What a node remembers. key: names it in every version of the rules. clearing: see opcodes.
    steps: node and ns of the steps of a sequence."""

    key: bytes
    planes: int
    rows: int = 0
    window: int = 0
    unit_ns: int = 0
    count: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    clearing: int = op.CLEAR_NOTHING


@dataclasses.dataclass(frozen=True)
class Across:
    """A number that compares symbols: a column made from the columns or truths of the cycle before.

    source: name of the column compared; for a breadth: the id of the rule.
    """

    function: str
    source: str
    group: str


Column: TypeAlias = str | Across  # a metric by canonical name, or a number made of other symbols
DERIVED = "="  # begins the name of a column that holds an expression, not a metric


class Nodes:
    """Every node, constant, column and state that was ever lowered; each is there once.

    rows: six words a node, see NodeRow; operands of numbers as in opcodes, with places in `columns`
    and `constants` and numbers of nodes instead of registers.
    """

    def __init__(self) -> None:
        self.rows = array("i")
        self.columns: list[Column] = []
        self.constants: list[float] = []
        self.states: list[State] = []
        self.moments: list[tuple[int, int, int, int]] = []
        self.stores: dict[str, int] = {}  # by name of a derived column the node that fills it
        self._numbers: dict[NodeRow, int] = {}
        self._places: dict[object, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def row(self, number: int) -> NodeRow:
        """The words of a node."""
        return cast(NodeRow, tuple(self.rows[ROW_WORDS * number : ROW_WORDS * (number + 1)]))

    def below(self, number: int) -> list[int]:
        """The nodes that a node looks at, also through a column of this program."""
        code, *operands, c, d, state = self.row(number)
        if code == op.MOMENT:
            return []
        found = [
            operand >> op.KIND_BITS
            for operand in operands
            if operand >= 0 and operand & op.KIND_MASK == op.REGISTER
        ]
        found += [part for part in (c, d) if part >= 0]
        if code == op.SEQUENCE:
            found += [part for part, _ in self.states[state].steps]
        return found + [
            store
            for operand in operands[: 1 if code == op.STORE else 2]
            if operand >= 0 and operand & op.KIND_MASK == op.COLUMN
            for store in self.behind(operand >> op.KIND_BITS)
        ]

    def behind(self, place: int) -> list[int]:
        """The node that must run in every cycle for a column to mean something in the next one."""
        column = self.columns[place]
        if isinstance(column, Across) and column.source in self.stores:
            return [self.stores[column.source]]
        return []

    def node(
        self, code: int, a: int = -1, b: int = -1, c: int = -1, d: int = -1, state: int = -1
    ) -> int:
        """The number of the node with these words."""
        row = (code, a, b, c, d, state)
        number = self._numbers.setdefault(row, len(self._numbers))
        if ROW_WORDS * number == len(self.rows):
            self.rows.extend(row)
        return number

    def place(self, kind: str, items: list, item: object) -> int:
        """Place of `item` in one of the lists, the same for the same item."""
        place = self._places.setdefault((kind, item), len(items))
        if place == len(items):
            items.append(item)
        return place

    def column(self, column: Column) -> int:
        """Operand of a column."""
        return self.place("column", self.columns, column) << op.KIND_BITS | op.COLUMN

    def constant(self, value: float) -> int:
        """Operand of a constant; zeros of either sign are one."""
        return self.place("constant", self.constants, value + 0.0) << op.KIND_BITS | op.CONSTANT

    def state(self, state: State) -> int:
        """Number of a state."""
        return self.place("state", self.states, state)

    def moment(self, kind: int, low: int, high: int = 0, deny: bool = False) -> int:
        """The node of a condition that is the same for every symbol."""
        entry = (kind, low, high, int(deny))
        return self.node(op.MOMENT, self.place("moment", self.moments, entry))


class Lowering:
    """Turns normal forms into nodes of `nodes`."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._known: dict[Node, int] = {}

    # -- numbers ---------------------------------------------------------------------------------
    def number(self, expr: Expr) -> int:
        """Operand of a number."""
        match expr:
            case Number():
                return self._nodes.constant(expr.value)
            case MetricRef():
                return self._nodes.column(expr.name)
            case CrossSection() | Breadth():
                return self._nodes.column(self._across(expr))
            case Call(arguments=(argument,)) if expr.function in _FOLDED:
                return self.number(argument)
            case _:
                if expr not in self._known:
                    self._known[expr] = self._number_node(expr)
                return self._known[expr] << op.KIND_BITS | op.REGISTER

    def _number_node(self, expr: Expr) -> int:
        nodes, number = self._nodes, self.number
        match expr:
            case Negate():
                return nodes.node(op.NEGATE, number(expr.value))
            case Arithmetic():
                return nodes.node(_ARITHMETIC[expr.op], number(expr.left), number(expr.right))
            case Call() if expr.function in _SINGLE:
                return nodes.node(_SINGLE[expr.function], number(expr.arguments[0]))
            case Call():
                return self._folded(_FOLDED[expr.function], expr.arguments)
            case If():
                true = self.condition(expr.condition)
                false = self.condition(denied(expr.condition))
                return nodes.node(
                    op.SELECT, number(expr.then), number(expr.otherwise), true, false
                )
            case Since():
                part = self.condition(expr.condition)
                state = nodes.state(State(node_key(expr), planes=2, rows=1))
                return nodes.node(op.SINCE, c=part, state=state)
            case Lag():
                return nodes.node(op.LAG, number(expr.value), state=self._lag_state(expr))
            case _:
                raise TypeError(f"{type(expr).__name__} is not a number")

    def _folded(self, code: int, arguments: tuple[Expr, ...]) -> int:
        """A function of many numbers, two at a time from the left."""
        found = self.number(arguments[0])
        for argument in arguments[1:]:
            number = self._nodes.node(code, found, self.number(argument))
            found = number << op.KIND_BITS | op.REGISTER
        return number

    def _lag_state(self, expr: Lag) -> int:
        window = expr.window
        rows = 1 << window.count.bit_length()  # above the count
        return self._nodes.state(
            State(
                node_key(expr), planes=0, rows=rows, unit_ns=_unit_ns(window), count=window.count,
                clearing=op.CLEAR_NUMBERS,
            )
        )  # fmt: skip

    def _across(self, expr: CrossSection | Breadth) -> Across:
        if isinstance(expr, Breadth):
            return Across("breadth", expr.rule_id, expr.group)
        if isinstance(expr.value, MetricRef):
            return Across(expr.function, expr.value.name, expr.group)
        name = DERIVED + encoding(expr.value).decode()
        if name not in self._nodes.stores:
            value = self.number(expr.value)
            self._nodes.stores[name] = self._nodes.node(op.STORE, value, self._nodes.column(name))
        return Across(expr.function, name, expr.group)

    # -- conditions ------------------------------------------------------------------------------
    def condition(self, cond: Cond) -> int:
        """Node of a condition in normal form: of where it is true."""
        if cond not in self._known:
            self._known[cond] = self._condition_node(cond)
        return self._known[cond]

    def _condition_node(self, cond: Cond) -> int:
        nodes = self._nodes
        match cond:
            case Compare():
                return self._compare(cond)
            case And() | Or():
                joint = op.AND if isinstance(cond, And) else op.OR
                found = self.condition(cond.parts[0])
                for other in cond.parts[1:]:
                    found = nodes.node(joint, c=found, d=self.condition(other))
                return found
            case Crosses():
                return self._crosses(cond)
            case Within() | InRow():
                code = op.WITHIN if isinstance(cond, Within) else op.IN_ROW
                part = self.condition(cond.part)
                length_ns = cond.window.length_ns
                state = nodes.state(State(node_key(cond), planes=2, rows=1, window=length_ns))
                return nodes.node(code, c=part, state=state)
            case Ago() | AtLeast():
                return self._sampled(cond)
            case Sequence():
                return self._sequence(cond)
            case Not():
                return self._not(cond.part)
            case _:
                return self._moment(cond, deny=False)

    def _compare(self, cond: Compare) -> int:
        if cond in {TRUE, FALSE}:
            return self._nodes.moment(op.M_SESSION, 0, deny=cond == TRUE)
        left, right = self.number(cond.left), self.number(cond.right)
        if cond.op in _MIRRORED:
            return self._nodes.node(_MIRRORED[cond.op], right, left)
        return self._nodes.node(_COMPARISONS[cond.op], left, right)

    def _crosses(self, cond: Crosses) -> int:
        above = cond.direction == "above"
        left, right = self.number(cond.left), self.number(cond.right)
        back, planes = -1, 2
        if cond.hysteresis_pct > 0:
            share = Number(cond.hysteresis_pct / 100)
            margin = Arithmetic("*", Call("abs", (cond.right,)), share)
            level = Arithmetic("-" if above else "+", cond.right, margin)
            back = self._compare(Compare("<" if above else ">", cond.left, level))
            planes = 3
        state = self._nodes.state(State(node_key(cond), planes))
        if not above:
            left, right = right, left
        return self._nodes.node(op.CROSS, left, right, d=back, state=state)

    def _sampled(self, cond: Ago | AtLeast) -> int:
        bars = cond.window.unit == "bars"
        ago = isinstance(cond, Ago)
        code = _SAMPLED[ago, bars]
        state = State(
            node_key(cond), planes=0 if code == op.AGO else 1, rows=1,
            window=0 if ago else cond.window.count, unit_ns=0 if bars else _unit_ns(cond.window),
            count=cond.window.count if isinstance(cond, Ago) else cond.count,
            clearing=op.CLEAR_WORDS if bars else op.CLEAR_RING,
        )  # fmt: skip
        return self._nodes.node(code, c=self.condition(cond.part), state=self._nodes.state(state))

    def _sequence(self, cond: Sequence) -> int:
        size = len(cond.steps)
        steps = tuple(
            (self.condition(step.condition), -1 if step.within is None else step.within.length_ns)
            for step in cond.steps
        )
        cancel = -1 if cond.cancel is None else self.condition(cond.cancel)
        state = State(node_key(cond), planes=size, rows=2 * size - 1, steps=steps)
        return self._nodes.node(op.SEQUENCE, d=cancel, state=self._nodes.state(state))

    def _not(self, part: Cond) -> int:
        number = -1 if isinstance(part, InSession | OnWeekday | TimeBetween) else (
            self.condition(part)
        )  # fmt: skip
        match part:
            case Crosses():
                state = self._nodes.row(number)[5]
                return self._nodes.node(op.NO_CROSS, c=number, state=state)
            case Sequence():
                return self._nodes.node(op.NOT_TRUE, c=number)
            case _:
                return self._moment(part, deny=True)

    def _moment(self, cond: Cond, deny: bool) -> int:
        match cond:
            case InSession():
                low = sum(1 << _SESSIONS.index(name) for name in cond.sessions)
                return self._nodes.moment(op.M_SESSION, low, deny=deny)
            case OnWeekday():
                low = sum(1 << _WEEKDAYS.index(name) for name in cond.days)
                return self._nodes.moment(op.M_WEEKDAY, low, deny=deny)
            case TimeBetween():
                return self._nodes.moment(op.M_TIME, cond.start_minute, cond.end_minute, deny)
            case _:
                raise TypeError(f"{type(cond).__name__} is not a condition in normal form")


def node_key(node: Node) -> bytes:
    """What a node of a normal form remembers under, in every version of the rules."""
    return key_of(b"node", encoding(node))


def _unit_ns(window: Window) -> int:
    return UNIT_NS[window.unit]
