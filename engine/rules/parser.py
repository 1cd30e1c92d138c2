"""Reads the text of a condition into a tree; here is what each function takes."""

import re
from collections.abc import Callable
from typing import ClassVar, NamedTuple, cast

from engine.rules.grammar import NUMBERS, Grammar
from engine.rules.limits import DEFAULT_LIMITS, Limits
from engine.rules.tokens import Token
from engine.rules.tree import (
    Ago,
    AtLeast,
    Breadth,
    Call,
    Cond,
    Crosses,
    CrossSection,
    Direction,
    Expr,
    Function,
    If,
    InRow,
    InSession,
    Lag,
    MetricRef,
    Node,
    OnWeekday,
    RankFunction,
    Sequence,
    SessionName,
    Since,
    Step,
    TimeBetween,
    Weekday,
    Window,
    Within,
)
from engine.rules.values import RULE_ID
from engine.rules.words import SESSIONS, WEEKDAYS, group_fault, is_flag, unknown_word

_DIRECTIONS: dict[str, Direction] = {
    "crosses_above": "above", "crosses_below": "below", "crosses": "either",
}  # fmt: skip
_GROUP = re.compile(r"[A-Za-z_]+(?::[^\s,()]*)?")
_LENGTH = "a length such as 30s, 5m, 2h or 3 bars"


class Parsed(NamedTuple):
    """A tree and where in the text its nodes begin: offsets by id of a node. tokens: how many."""

    tree: Cond
    offsets: dict[int, int]
    tokens: int


class _Parser(Grammar):
    """The grammar with the functions."""

    def rule(self) -> Cond:
        """The whole text."""
        tree = self.condition()
        if self.tokens.peek().kind != "end":
            raise self.unexpected("'and', 'or' or the end of the text")
        return tree

    def function(self, name: Token) -> Node:
        """The node of a function whose name and "(" are taken, up to its ")"."""
        node = self._readers[name.text](self, name.text)
        self.expect(")", f"')' after the arguments of {name.text}")
        return node

    def comma(self, name: str, next_one: str) -> None:
        """The "," before one more argument."""
        self.expect(",", f"',' and {next_one} of {name}")

    def window(self) -> Window:
        """A length of time, or a count of bars."""
        token = self.tokens.peek()
        if token.kind == "length" and token.window is not None:
            self.tokens.take()
            return token.window
        if token.kind != "number":
            raise self.unexpected(_LENGTH)
        count = self.whole(_LENGTH)
        if not self.accept("bars", "bar"):
            raise self.unexpected(f"'bars' or a unit (ms, s, m, h) right after {token.text}")
        return Window(count, "bars")

    def whole(self, expected: str) -> int:
        """A whole number."""
        token = self.tokens.peek()
        if token.kind != "number" or not token.text.isdecimal():
            raise self.unexpected(expected)
        return int(self.tokens.take().text)

    def group(self) -> str:
        """The group after a "," if there is one."""
        if not self.accept(","):
            return "all"
        found = self.tokens.take_pattern(_GROUP)
        if found is None:
            raise self.unexpected("a group: all, sector, industry, exchange or list:NAME")
        group, offset = found
        if fault := group_fault(group):
            raise self.tokens.error(offset, fault)
        return group

    def words(self, what: str, known: tuple[str, ...]) -> tuple[str, ...]:
        """One or more of the known words, with "," between them."""
        found: list[str] = []
        while not found or self.accept(","):
            token = self.tokens.peek()
            if token.kind != "name":
                raise self.unexpected(f"a {what} ({', '.join(known)})")
            if token.text not in known:
                raise self.tokens.error(token.offset, unknown_word(what, token.text, known))
            if token.text in found:
                raise self.tokens.error(token.offset, f"{token.text} stands twice")
            found.append(self.tokens.take().text)
        return tuple(found)

    def of_one(self, name: str) -> Node:
        return Call(cast(Function, name), (self.value(),))

    def of_many(self, name: str) -> Node:
        arguments = [self.value()]
        self.comma(name, "a second argument")
        arguments.append(self.value())
        while self.accept(","):
            arguments.append(self.value())
        return Call(cast(Function, name), tuple(arguments))

    def choose(self, name: str) -> Node:
        condition = self.condition()
        self.comma(name, "the number where it is true")
        then = self.value()
        self.comma(name, "the number where it is false")
        return If(condition, then, self.value())

    def cross(self, name: str) -> Node:
        left = self.value()
        self.comma(name, "the second number")
        right = self.value()
        hysteresis_pct = 0.0
        if self.accept(","):
            if self.tokens.peek().kind != "percent":
                raise self.unexpected("a percentage such as 0.1%")
            digits = self.tokens.take().text.rstrip("% ")
            hysteresis_pct = float(digits)
        return Crosses(_DIRECTIONS[name], left, right, hysteresis_pct)

    def ago(self, name: str) -> Node:
        node = self.either()
        if isinstance(node, MetricRef) and is_flag(node.name):
            node = self.as_condition(node)
        self.comma(name, "how long")
        if isinstance(node, NUMBERS):
            return Lag(cast(Expr, node), self.window())
        return Ago(cast(Cond, node), self.window())

    def spell(self, name: str) -> Node:
        condition = self.condition()
        self.comma(name, "the window")
        kind = Within if name == "within" else InRow
        return kind(condition, self.window())

    def at_least(self, name: str) -> Node:
        condition = self.condition()
        self.comma(name, "how often")
        count = self.whole("a whole number of times")
        self.comma(name, "the window")
        return AtLeast(condition, count, self.window())

    def since(self, _: str) -> Node:
        return Since(self.condition())

    def across(self, name: str) -> Node:
        value = self.value()
        return CrossSection(cast(RankFunction, name), value, self.group())

    def breadth(self, name: str) -> Node:
        found = self.tokens.take_pattern(RULE_ID)
        if found is None:
            raise self.unexpected(f"the id of a rule in {name}")
        return Breadth(found[0], self.group())

    def in_session(self, _: str) -> Node:
        return InSession(cast("tuple[SessionName, ...]", self.words("session", SESSIONS)))

    def weekday(self, _: str) -> Node:
        return OnWeekday(cast("tuple[Weekday, ...]", self.words("weekday", WEEKDAYS)))

    def time_between(self, name: str) -> Node:
        start = self.minute()
        self.comma(name, "the end")
        return TimeBetween(start, self.minute())

    def minute(self) -> int:
        """A time of day in minutes."""
        if self.tokens.peek().kind != "time":
            raise self.unexpected("a time of day such as 09:45")
        return int(self.tokens.take().value)

    def sequence(self, name: str) -> Node:
        steps, cancel = [Step(self.condition())], None
        self.comma(name, "a second step")
        while True:
            if self.accept("cancel"):
                cancel = self.condition()
                break
            condition = self.condition()
            steps.append(Step(condition, self.window() if self.accept("within") else None))
            if not self.accept(","):
                break
        return Sequence(tuple(steps), cancel)

    _readers: ClassVar[dict[str, "Callable[[_Parser, str], Node]"]] = {
        **dict.fromkeys(("abs", "log"), of_one),
        **dict.fromkeys(("min", "max", "coalesce"), of_many),
        "if": choose,
        **dict.fromkeys(_DIRECTIONS, cross),
        "ago": ago,
        **dict.fromkeys(("within", "in_row"), spell),
        "at_least": at_least,
        "since": since,
        **dict.fromkeys(("rank", "pctile", "zscore"), across),
        "breadth": breadth,
        "in_session": in_session,
        "weekday": weekday,
        "time_between": time_between,
        "sequence": sequence,
    }
    functions = tuple(_readers)


FUNCTIONS = _Parser.functions


def parse(text: str, limits: Limits = DEFAULT_LIMITS) -> Parsed:
    """Read the text of a condition. Work and depth are bounded by its length and the limits.

    Raises RuleTextError with the line, the column, what was expected and what was found. Bounds of
    windows and the like are checked by `kinds`.
    """
    parser = _Parser(text, limits)
    tree = parser.rule()
    return Parsed(tree, parser.offsets, parser.tokens.taken)
