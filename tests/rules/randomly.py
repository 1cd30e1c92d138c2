"""Random trees and random streams from a seed: much faster than drawing them one by one."""

import math
import random
from collections.abc import Callable

from engine.rules.tree import (
    Ago,
    And,
    Arithmetic,
    AtLeast,
    Between,
    Breadth,
    Call,
    Compare,
    Cond,
    Crosses,
    CrossSection,
    Expr,
    Flag,
    If,
    InRow,
    InSession,
    Lag,
    MetricRef,
    Negate,
    Not,
    Number,
    OnWeekday,
    Or,
    Sequence,
    Since,
    Step,
    TimeBetween,
    Window,
    Within,
)
from tests.rules.trees import CONSTANTS, FLAG, PLAIN_NAMES

NAMES = PLAIN_NAMES
VALUES = (1.0, 2.0, 0.0, -0.0, 0.5, 3.0, -1.0, 1e308, 7e-324, math.inf, math.nan, math.nan)
GROUPS = ("all", "sector", "list:a", "list:b")
OPS = (">", ">=", "<", "<=", "==", "!=")


class Trees:
    """Draws trees: `cond` and `expr` of at most so many levels."""

    def __init__(self, rng: random.Random, *, remembering: bool = False) -> None:
        self.rng = rng
        self.conds: list[Callable[[int], Cond]] = [
            self.compare, self.compare, self.between, self.junction, self.junction,
            lambda depth: Not(self.cond(depth)), self.crosses, self.crosses, self.within,
            self.within, self.ago, self.at_least, self.sequence, self.moment,
        ]  # fmt: skip
        if remembering:  # so that what is above other things is worth looking at
            self.conds = [self.sequence, self.sequence, self.crosses, self.within, self.ago,
                          self.at_least]  # fmt: skip
        self.exprs: list[Callable[[int], Expr]] = [
            lambda depth: Negate(self.expr(depth)), self.arithmetic, self.arithmetic,
            self.arithmetic, self.call, self.call,
            lambda depth: If(self.cond(depth), self.expr(depth), self.expr(depth)),
            lambda depth: Lag(self.expr(depth), Window(rng.randint(1, 4), "m")),
            lambda depth: Since(self.cond(depth)), self.across,
        ]  # fmt: skip

    def cond(self, depth: int) -> Cond:
        rng = self.rng
        if depth > 0:
            return rng.choice(self.conds)(depth - 1)
        if rng.random() < 0.1:
            return Flag(FLAG)
        return Compare(rng.choice(OPS), self.metric(), Number(rng.choice(CONSTANTS)))

    def expr(self, depth: int) -> Expr:
        rng = self.rng
        if depth > 0 and rng.random() < 0.7:
            return rng.choice(self.exprs)(depth - 1)
        return self.metric() if rng.random() < 0.7 else Number(rng.choice(CONSTANTS))

    def metric(self) -> MetricRef:
        return MetricRef(self.rng.choice(NAMES))

    def compare(self, depth: int) -> Cond:
        return Compare(self.rng.choice(OPS), self.expr(depth), self.expr(depth))

    def between(self, depth: int) -> Cond:
        return Between(self.expr(depth), self.expr(depth), self.expr(depth))

    def junction(self, depth: int) -> Cond:
        parts = tuple(self.cond(depth) for _ in range(self.rng.randint(2, 3)))
        return self.rng.choice((And, Or))(parts)

    def crosses(self, depth: int) -> Cond:
        way = self.rng.choice(("above", "below", "either"))
        share = self.rng.choice((0.0, 0.0, 1.0, 50.0))
        return Crosses(way, self.expr(depth), self.expr(depth), share)

    def span(self) -> Window:
        rng = self.rng
        return rng.choice((
            Window(rng.randint(1, 3), "s"), Window(rng.choice((250, 1_000, 2_500)), "ms"),
            Window(1, "m"),
        ))  # fmt: skip

    def counted(self) -> Window:
        count = self.rng.choice((1, 2, 3, 3, 60))
        return Window(count, self.rng.choice(("s", "m", "bars")))

    def within(self, depth: int) -> Cond:
        bars = Window(self.rng.choice((1, 2, 3, 60)), "bars")
        window = bars if self.rng.random() < 0.3 else self.span()
        return self.rng.choice((Within, InRow))(self.cond(depth), window)

    def ago(self, depth: int) -> Cond:
        return Ago(self.cond(depth), self.counted())

    def at_least(self, depth: int) -> Cond:
        window = self.counted()
        return AtLeast(self.cond(depth), self.rng.randint(1, min(3, window.count)), window)

    def sequence(self, depth: int) -> Cond:
        rng = self.rng
        steps = [Step(self.cond(depth))]
        for _ in range(rng.randint(0, 3)):
            steps.append(Step(self.cond(depth), rng.choice((None, self.span()))))
        cancel = self.cond(depth) if rng.random() < 0.3 else None
        return Sequence(tuple(steps), cancel)

    def moment(self, depth: int) -> Cond:
        rng = self.rng
        return rng.choice((
            InSession(tuple(rng.sample(("pre", "regular", "after"), rng.randint(1, 3)))),
            OnWeekday(tuple(rng.sample(("mon", "tue", "fri"), rng.randint(1, 3)))),
            TimeBetween(570, rng.choice((571, 600))),
        ))  # fmt: skip

    def arithmetic(self, depth: int) -> Expr:
        return Arithmetic(self.rng.choice("+-*/"), self.expr(depth), self.expr(depth))

    def call(self, depth: int) -> Expr:
        if self.rng.random() < 0.3:
            return Call(self.rng.choice(("abs", "log")), (self.expr(depth),))
        several = tuple(self.expr(depth) for _ in range(self.rng.randint(2, 3)))
        return Call(self.rng.choice(("min", "max", "coalesce")), several)

    def across(self, depth: int) -> Expr:
        group = self.rng.choice(GROUPS)
        if self.rng.random() < 0.3:
            return Breadth(self.rng.choice(("r0", "r1", "gone")), group)
        return CrossSection(self.rng.choice(("rank", "pctile", "zscore")), self.expr(depth), group)
