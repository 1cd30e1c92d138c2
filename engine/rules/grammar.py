"""Reads expressions: recursive descent, one token ahead, every fault with its place.

    or        := and ("or" and)*
    and       := not ("and" not)*
    not       := "not" not | predicate
    predicate := sum (compare sum | ["not"] "between" sum "and" sum)?
    sum       := term (("+" | "-") term)*
    term      := unary (("*" | "/") (unary | PERCENT))*
    unary     := "-" unary | atom
    atom      := NUMBER | metric | function "(" arguments ")" | "(" or ")"

Numbers and conditions share one grammar; what is needed where is checked as nodes are put together,
so that a metric of unit flag can stand as a condition. A minus right before a number is part of it.
"""

import re
from collections.abc import Collection
from typing import TypeVar, cast, get_args

from engine.metrics.entry import Metric
from engine.metrics.registry import UnknownMetric, resolve
from engine.rules.errors import RuleTextError
from engine.rules.limits import MAX_METRIC_CHARS, MAX_NESTING, Limits
from engine.rules.tokens import Token, Tokens
from engine.rules.tree import (
    And,
    Arithmetic,
    ArithmeticOp,
    Between,
    Compare,
    CompareOp,
    Cond,
    Expr,
    Flag,
    MetricRef,
    Negate,
    Node,
    Not,
    Number,
    Or,
)
from engine.rules.words import is_flag, near

RESERVED = ("and", "or", "not", "between", "cancel")
_ARGUMENTS = re.compile(r"\(\s*[A-Za-z0-9_.]+\s*(?:,\s*[A-Za-z0-9_.]+\s*)*\)", re.ASCII)
_OPEN = re.compile(r"\(")
_COMPARE = (">", ">=", "<", "<=", "==", "!=")
NUMBERS = get_args(Expr)
_N = TypeVar("_N", bound=Node)


class Grammar:
    """Reads one text. offsets: where each node of the tree begins, by id."""

    functions: Collection[str] = ()

    def __init__(self, text: str, limits: Limits) -> None:
        self.tokens = Tokens(text)
        self.limits = limits
        self.offsets: dict[int, int] = {}
        self.nodes = 0
        self._nesting = -1  # the text itself is in no bracket

    def function(self, name: Token) -> Node:
        """The node of a function whose name and "(" are taken, up to its ")"."""
        raise NotImplementedError

    # -- helpers ---------------------------------------------------------------------------------
    def made(self, node: _N, offset: int) -> _N:
        """Count a node and note where it begins."""
        self.nodes += 1
        if self.nodes > self.limits.max_nodes:
            raise self.tokens.error(offset, f"the rule has more than {self.limits.max_nodes} parts")
        self.offsets[id(node)] = offset
        return node

    def at(self, node: Node) -> int:
        """Where a node begins."""
        return self.offsets[id(node)]

    def accept(self, *texts: str) -> Token | None:
        """Take the next token if it is one of the names or marks."""
        token = self.tokens.peek()
        if token.text in texts and token.kind in {"name", "mark"}:
            return self.tokens.take()
        return None

    def expect(self, text: str, expected: str = "") -> Token:
        """Take a name or mark. Raises RuleTextError when something else is next."""
        token = self.accept(text)
        if token is None:
            raise self.unexpected(expected or f"'{text}'")
        return token

    def unexpected(self, expected: str) -> RuleTextError:
        """The error for a next token that is not what was expected."""
        found = self.tokens.peek()
        nearest = near(found.text, RESERVED) if found.kind == "name" else ""
        hint = f"; did you mean {nearest}?" if nearest not in {"", found.text} else ""
        return self.tokens.error(found.offset, f"expected {expected} but found {found.shown}{hint}")

    def condition(self) -> Cond:
        """A condition."""
        return self.as_condition(self.either())

    def value(self) -> Expr:
        """A number."""
        return self.as_number(self.either())

    def as_condition(self, node: Node) -> Cond:
        """The node where a condition is needed: a metric of unit flag stands for itself."""
        if not isinstance(node, NUMBERS):
            return cast(Cond, node)
        if not isinstance(node, MetricRef):
            sentence = "expected a condition but found a number; compare it"
            raise self.tokens.error(self.at(node), sentence)
        name = node.name
        if is_flag(name):
            flag = Flag(name)
            self.offsets[id(flag)] = self.at(node)  # one part still, so not counted again
            return flag
        sentence = f"expected a condition but {name} is a number; compare it, such as {name} > 0"
        raise self.tokens.error(self.at(node), sentence)

    def as_number(self, node: Node) -> Expr:
        """The node where a number is needed."""
        if isinstance(node, NUMBERS):
            return cast(Expr, node)
        raise self.tokens.error(self.at(node), "expected a number but found a condition")

    # -- conditions ------------------------------------------------------------------------------
    def either(self) -> Node:
        """A condition or a number: the whole of the grammar."""
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            offset = self.tokens.peek().offset
            raise self.tokens.error(offset, f"brackets are nested deeper than {MAX_NESTING}")
        first = self._and()
        if self.tokens.peek().text == "or":
            parts = [self.as_condition(first)]
            while self.accept("or"):
                parts.append(self.as_condition(self._and()))
            first = self.made(Or(tuple(parts)), self.at(parts[0]))
        self._nesting -= 1
        return first

    def _and(self) -> Node:
        first = self._not()
        if self.tokens.peek().text != "and":
            return first
        parts = [self.as_condition(first)]
        while self.accept("and"):
            parts.append(self.as_condition(self._not()))
        return self.made(And(tuple(parts)), self.at(parts[0]))

    def _not(self) -> Node:
        offsets = []
        while token := self.accept("not"):
            offsets.append(token.offset)
        node = self._predicate()
        for offset in reversed(offsets):
            node = self.made(Not(self.as_condition(node)), offset)
        return node

    def _predicate(self) -> Node:
        left = self._sum()
        if token := self.accept(*_COMPARE):
            right = self._sum()
            if self.tokens.peek().text in _COMPARE:
                offset = self.tokens.peek().offset
                raise self.tokens.error(offset, "comparisons do not chain; write a < b and b < c")
            sides = self.as_number(left), self.as_number(right)
            return self.made(Compare(cast(CompareOp, token.text), *sides), self.at(left))
        denied = self.accept("not")
        if denied:
            self.expect("between")
        elif not self.accept("between"):
            return left
        value, low = self.as_number(left), self.as_number(self._sum())
        self.expect("and", "'and' and the upper bound of between")
        high = self.as_number(self._sum())
        found: Cond = self.made(Between(value, low, high), self.at(left))
        return self.made(Not(found), self.at(left)) if denied else found

    # -- numbers ---------------------------------------------------------------------------------
    def _sum(self) -> Node:
        left = self._term()
        while token := self.accept("+", "-"):
            left = self._arithmetic(token, left, self._term())
        return left

    def _term(self) -> Node:
        left = self._unary()
        while token := self.accept("*", "/"):
            if token.text == "*" and self.tokens.peek().kind == "percent":
                percent = self.tokens.take()
                right: Node = self.made(Number(percent.value), percent.offset)
            else:
                right = self._unary()
            left = self._arithmetic(token, left, right)
        return left

    def _arithmetic(self, token: Token, left: Node, right: Node) -> Expr:
        sides = self.as_number(left), self.as_number(right)
        return self.made(Arithmetic(cast(ArithmeticOp, token.text), *sides), self.at(left))

    def _unary(self) -> Node:
        minuses = []
        while token := self.accept("-"):
            minuses.append(token.offset)
        if minuses and self.tokens.peek().kind == "number":
            value = -self.tokens.take().value
            node: Node = self.made(Number(value), minuses.pop())
        else:
            node = self._atom()
        for offset in reversed(minuses):
            node = self.made(Negate(self.as_number(node)), offset)
        return node

    def _atom(self) -> Node:
        token = self.tokens.peek()
        if token.kind == "number":
            return self.made(Number(self.tokens.take().value), token.offset)
        if self.accept("("):
            node = self.either()
            self.expect(")", "')' or an operator")
            return node
        if token.kind == "percent":
            sentence = f"{token.shown} can stand only right of *, as in vwap * 102%"
            raise self.tokens.error(token.offset, sentence)
        if token.kind == "length":
            sentence = f"{token.shown} is a length; expected a number, a metric or '('"
            raise self.tokens.error(token.offset, sentence)
        if token.kind != "name" or token.text in RESERVED:
            raise self.unexpected("a number, a metric or '('")
        return self._name(self.tokens.take())

    def _name(self, name: Token) -> Node:
        """A metric, or a function with its arguments."""
        if name.text in self.functions:
            self.expect("(", f"'(' after {name.text}")
            return self.made(self.function(name), name.offset)
        arguments = self.tokens.take_pattern(_ARGUMENTS)
        if arguments is None and self.tokens.take_pattern(_OPEN):
            raise self._unknown_function(name)
        end = name.offset + len(name.text) if arguments is None else self.tokens.offset
        metric = self.tokens.text[name.offset : end]
        if not metric.isprintable() or "#" in metric:  # over several lines
            metric = name.text + "".join(arguments[0].split()) if arguments else name.text
        if len(metric) > MAX_METRIC_CHARS:
            sentence = f"the name of a metric has at most {MAX_METRIC_CHARS} characters"
            raise self.tokens.error(name.offset, sentence)
        self.metric(metric, name)
        return self.made(MetricRef(metric), name.offset)

    def metric(self, metric: str, name: Token) -> Metric:
        """What the registry knows of a metric. Raises RuleTextError."""
        try:
            return resolve(metric)
        except UnknownMetric as error:
            if name.text.lower() in RESERVED:
                sentence = f"{name.shown} is no metric; write {name.text.lower()}"
                raise self.tokens.error(name.offset, sentence) from error
            if metric != name.text and not error.reason and self._near(name.text):
                raise self._unknown_function(name) from error
            raise self.tokens.error(name.offset, str(error)) from error

    def _near(self, name: str) -> str:
        return near(name, self.functions, 0.75)

    def _unknown_function(self, name: Token) -> RuleTextError:
        nearest = self._near(name.text)
        if nearest:
            sentence = f"unknown function {name.shown}; did you mean {nearest}?"
        else:
            plain = "a metric takes plain arguments, as in ema(34, 5m)"
            sentence = f"unknown function {name.shown}; {plain}"
        return self.tokens.error(name.offset, sentence)
