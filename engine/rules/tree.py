"""The tree of a rule's condition: one immutable node per operator, behind every written form.

Numbers and conditions are two families of nodes (`Expr`, `Cond`). Trees compare by value; two equal
trees mean the same. Nothing here evaluates: `interpret` gives the meaning, `lower` the program.
"""

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec

CompareOp = Literal[">", ">=", "<", "<=", "==", "!="]
ArithmeticOp = Literal["+", "-", "*", "/"]
Function = Literal["abs", "min", "max", "log", "coalesce"]
RankFunction = Literal["rank", "pctile", "zscore"]
Direction = Literal["above", "below", "either"]
Unit = Literal["ms", "s", "m", "bars"]
SessionName = Literal["pre", "regular", "after"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri"]


class Node(msgspec.Struct, frozen=True, tag_field="node", forbid_unknown_fields=True):
    """Base of every node."""


UNIT_NS: dict[str, int] = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A length: `count` milliseconds, seconds, minutes, or closed 1-minute bars of the symbol."""

    count: int
    unit: Unit

    @property
    def length_ns(self) -> int:
        """The length in nanoseconds. Raises KeyError for bars, which have none."""
        return self.count * UNIT_NS[self.unit]


# -- numbers -------------------------------------------------------------------------------------
class Number(Node, frozen=True, tag="number"):
    """A finite constant."""

    value: float


class MetricRef(Node, frozen=True, tag="metric"):
    """A metric by name as its author wrote it; an alias or a family such as `ema(34, 5m)`, too."""

    name: str


class Negate(Node, frozen=True, tag="negate"):
    """- value."""

    value: "Expr"


class Arithmetic(Node, frozen=True, tag="arithmetic"):
    """left op right."""

    op: ArithmeticOp
    left: "Expr"
    right: "Expr"


class Call(Node, frozen=True, tag="call"):
    """A function of numbers: abs and log of one, min, max and coalesce of two or more."""

    function: Function
    arguments: "tuple[Expr, ...]"


class If(Node, frozen=True, tag="if"):
    """`then` where the condition is true, `otherwise` where it is false, else unknown."""

    condition: "Cond"
    then: "Expr"
    otherwise: "Expr"


class Lag(Node, frozen=True, tag="lag"):
    """`ago(value, window)`: the number as it was sampled so many whole minutes ago."""

    value: "Expr"
    window: Window


class Since(Node, frozen=True, tag="since"):
    """Seconds since the condition was last true, 0 while it is; unknown before it ever was."""

    condition: "Cond"


class CrossSection(Node, frozen=True, tag="cross_section"):
    """A number compared with the same number of all other symbols, as of the cycle before.

    group: `all`, `sector`, `industry`, `exchange` or `list:NAME`.
    """

    function: RankFunction
    value: "Expr"
    group: str = "all"


class Breadth(Node, frozen=True, tag="breadth"):
    """Percent of the known symbols of a group for which a rule was true in the cycle before."""

    rule_id: str
    group: str = "all"


# -- conditions ----------------------------------------------------------------------------------
class Compare(Node, frozen=True, tag="compare"):
    """left op right."""

    op: CompareOp
    left: "Expr"
    right: "Expr"


class Between(Node, frozen=True, tag="between"):
    """low <= value <= high."""

    value: "Expr"
    low: "Expr"
    high: "Expr"


class Flag(Node, frozen=True, tag="flag"):
    """A metric of unit `flag` standing for itself: true where it is 1."""

    name: str


class And(Node, frozen=True, tag="and"):
    """True when every part is."""

    parts: "tuple[Cond, ...]"


class Or(Node, frozen=True, tag="or"):
    """True when any part is."""

    parts: "tuple[Cond, ...]"


class Not(Node, frozen=True, tag="not"):
    """True when the part is false; unknown stays unknown."""

    part: "Cond"


class Crosses(Node, frozen=True, tag="crosses"):
    """left was not beyond right in the cycle before and is now; see hysteresis in the reference.

    hysteresis_pct: after a cross the node is armed again only once left has come back beyond
    right by so many percent; 0: at once.
    """

    direction: Direction
    left: "Expr"
    right: "Expr"
    hysteresis_pct: float = 0.0


class Within(Node, frozen=True, tag="within"):
    """The part was true in some cycle of the window that ends now."""

    part: "Cond"
    window: Window


class InRow(Node, frozen=True, tag="in_row"):
    """The part was true in every cycle of the window, or at each of the last so many bar closes."""

    part: "Cond"
    window: Window


class Ago(Node, frozen=True, tag="ago"):
    """The part as it was sampled so long ago."""

    part: "Cond"
    window: Window


class AtLeast(Node, frozen=True, tag="at_least"):
    """The part was true in at least `count` of the samples of the window."""

    part: "Cond"
    count: int
    window: Window


class InSession(Node, frozen=True, tag="in_session"):
    """T lies in one of the sessions."""

    sessions: tuple[SessionName, ...]


class OnWeekday(Node, frozen=True, tag="weekday"):
    """The session date is one of the weekdays."""

    days: tuple[Weekday, ...]


class TimeBetween(Node, frozen=True, tag="time_between"):
    """Exchange time of day in [start_minute, end_minute), minutes since midnight."""

    start_minute: int
    end_minute: int


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step of a sequence; within: at most so long after the step before, None: no limit."""

    condition: "Cond"
    within: Window | None = None


class Sequence(Node, frozen=True, tag="sequence"):
    """The steps came true one after the other, the last one now; cancel: begins again when true."""

    steps: tuple[Step, ...]
    cancel: "Cond | None" = None


Expr: TypeAlias = (
    Number | MetricRef | Negate | Arithmetic | Call | If | Lag | Since | CrossSection | Breadth
)
Cond: TypeAlias = (
    Compare | Between | Flag | And | Or | Not | Crosses | Within | InRow | Ago | AtLeast
    | InSession | OnWeekday | TimeBetween | Sequence
)  # fmt: skip


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below `node`, in order."""
    for name in node.__struct_fields__:
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Step):
                yield part.condition
            elif isinstance(part, Node):
                yield part


def walk(root: Node) -> Iterator[Node]:
    """Every node of a tree, those below a node before it, siblings in order."""
    stack, found = [root], []
    while stack:
        found.append(stack.pop())
        stack.extend(children(found[-1]))
    return reversed(found)
