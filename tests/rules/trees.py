"""Random trees and random days for them."""

import math
from typing import Any

from hypothesis import strategies as st

from engine.rules.interpret import Moment
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
    walk,
)

SECOND_NS = 1_000_000_000
NAMES = ("last", "price", "vwap_rth", "vwap", "chg_5m_pct", "rsi(14)")
PLAIN_NAMES = ("last", "vwap_rth", "chg_5m_pct", "rsi(14)")  # the same without aliases
FLAG = "halted"
GROUPS = ("all", "sector", "exchange", "list:mega-caps")
CONSTANTS = (0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 1e308, 1e-308)

constants = st.sampled_from(CONSTANTS)
numbers = st.builds(Number, constants)
metrics = st.builds(MetricRef, st.sampled_from([*NAMES, FLAG]))
spans = st.one_of(
    st.builds(Window, st.integers(1, 3), st.just("s")),
    st.builds(Window, st.sampled_from([250, 1_000, 2_500]), st.just("ms")),
    st.builds(Window, st.just(1), st.just("m")),
)
counted = st.builds(Window, st.integers(1, 3), st.sampled_from(["s", "m", "bars"]))
minutes = st.builds(Window, st.integers(1, 2), st.just("m"))
hysteresis = st.sampled_from([0.0, 0.0, 1.0, 50.0])


def _at_least(part: Cond) -> st.SearchStrategy[AtLeast]:
    return counted.flatmap(
        lambda window: st.builds(
            AtLeast, st.just(part), st.integers(1, window.count), st.just(window)
        )
    )


def _subset(*names: str) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple)


def _expressions(exprs: Any, conds: Any) -> st.SearchStrategy[Expr]:
    several = st.lists(exprs, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Negate, exprs),
        st.builds(Arithmetic, st.sampled_from("+-*/"), exprs, exprs),
        st.builds(Call, st.sampled_from(["min", "max", "coalesce"]), several),
        st.builds(Call, st.sampled_from(["abs", "log"]), exprs.map(lambda one: (one,))),
        st.builds(If, conds, exprs, exprs),
        st.builds(Lag, exprs, minutes),
        st.builds(Since, conds),
        st.builds(
            CrossSection, st.sampled_from(["rank", "pctile", "zscore"]), exprs,
            st.sampled_from(GROUPS),
        ),
        st.builds(Breadth, st.sampled_from(["r1", "vr-gt-2", "52.high"]), st.sampled_from(GROUPS)),
    )  # fmt: skip


def _sequences(conds: Any) -> st.SearchStrategy[Sequence]:
    later = st.builds(Step, conds, st.none() | spans)
    steps = st.builds(
        lambda first, rest: (Step(first), *rest), conds, st.lists(later, min_size=1, max_size=2)
    )
    return st.builds(Sequence, steps, st.none() | conds)


def _conditions(exprs: Any, conds: Any) -> st.SearchStrategy[Cond]:
    several = st.lists(conds, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Compare, st.sampled_from([">", ">=", "<", "<=", "==", "!="]), exprs, exprs),
        st.builds(Between, exprs, exprs, exprs),
        st.builds(And, several),
        st.builds(Or, several),
        st.builds(Not, conds),
        st.builds(Crosses, st.sampled_from(["above", "below", "either"]), exprs, exprs, hysteresis),
        st.builds(Within, conds, spans | counted),
        st.builds(InRow, conds, spans | counted),
        st.builds(Ago, conds, counted),
        conds.flatmap(_at_least),
        _sequences(conds),
    )


_plain_exprs = numbers | metrics
_plain_conds = st.one_of(
    st.builds(Compare, st.sampled_from([">", ">=", "<", "<=", "==", "!="]), metrics, numbers),
    st.builds(Flag, st.just(FLAG)),
    st.builds(InSession, _subset("pre", "regular", "after")),
    st.builds(OnWeekday, _subset("mon", "tue", "fri")),
    st.builds(TimeBetween, st.just(570), st.sampled_from([571, 600])),
)
_exprs_1 = _plain_exprs | _expressions(_plain_exprs, _plain_conds)
_conds_1 = _plain_conds | _conditions(_plain_exprs, _plain_conds)
_exprs_2 = _exprs_1 | _expressions(_exprs_1, _conds_1)
expressions = _exprs_2
_conds_2 = _conds_1 | _conditions(_exprs_1, _conds_1)
conditions: st.SearchStrategy[Cond] = st.one_of(
    _conditions(_plain_exprs, _plain_conds), _conds_2, _conditions(_exprs_2, _conds_2)
)

values = st.sampled_from([1.0, 2.0, 0.0, 0.5, 3.0, -1.0, 1e308, math.nan])
_STEPS_NS = [SECOND_NS // 4, SECOND_NS // 4, SECOND_NS, 1_700_000_000, 61 * SECOND_NS]


@st.composite
def days(draw: st.DrawFn, condition: Cond) -> list[Moment]:
    """Some cycles of one symbol, with inputs for every node of `condition` that needs them."""
    across = [node for node in walk(condition) if isinstance(node, CrossSection | Breadth)]
    time_ns = draw(st.sampled_from([0, 1, 999_999_999])) + 1_000 * SECOND_NS
    before_ns, moments = draw(st.sampled_from([None, time_ns - SECOND_NS])), []
    for _ in range(draw(st.integers(1, 12))):
        now = dict(zip(PLAIN_NAMES, draw(st.tuples(*[values] * len(PLAIN_NAMES))), strict=True))
        now[FLAG] = draw(st.sampled_from([0.0, 1.0, math.nan]))
        moments.append(
            Moment(
                time_ns=time_ns,
                before_ns=before_ns,
                values=now,
                bars_closed=draw(st.sampled_from([0, 0, 1, 2])),
                blind=draw(st.integers(0, 15)) == 0,
                session=draw(st.sampled_from(["pre", "regular", None])),
                weekday="mon",
                minute_of_day=draw(st.sampled_from([570, 571, 600])),
                across={node: draw(values.filter(math.isfinite) | st.none()) for node in across},
            )
        )
        before_ns, time_ns = time_ns, time_ns + draw(st.sampled_from(_STEPS_NS))
    return moments
