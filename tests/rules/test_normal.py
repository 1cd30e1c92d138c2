"""The normal form means what its tree means, unknown for unknown, and has one spelling."""

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rules.interpret import Moment, negation
from engine.rules.memory import run
from engine.rules.normal import FALSE, TRUE, denied, encoding, normal_form, normal_number
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
    MetricRef,
    Negate,
    Node,
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
from tests.rules.trees import conditions, days

EXAMPLES = 3_000 if os.environ.get("TAPESCAN_SOAK") else 300
LAST, VWAP = MetricRef("last"), MetricRef("vwap_rth")
A = Compare(">", LAST, Number(1.0))
NOT_A = Compare("<=", LAST, Number(1.0))
B = Compare("<", VWAP, Number(2.0))
NOT_B = Compare(">=", VWAP, Number(2.0))
TIMED = (InSession, OnWeekday, TimeBetween, Crosses, Sequence)


def seen_by_normal_form(moments: list[Moment]) -> list[Moment]:
    """The same day; values across symbols are found under the normal forms of their nodes."""
    return [
        replace(
            moment, across={normal_number(node): value for node, value in moment.across.items()}
        )
        for moment in moments
    ]


def is_consistent(moments: list[Moment]) -> bool:
    """Nodes across symbols that mean the same were given the same value."""
    for moment in moments:
        found: dict[Node, object] = {}
        for node, value in moment.across.items():
            if found.setdefault(normal_number(node), value) != value:
                return False
    return True


@settings(max_examples=EXAMPLES, deadline=None)
@given(conditions, st.data())
def test_the_normal_form_has_the_value_of_its_tree(tree: Cond, data: st.DataObject) -> None:
    moments = data.draw(days(tree).filter(is_consistent))
    expected = run(tree, moments)
    assert run(normal_form(tree), seen_by_normal_form(moments)) == expected
    assert run(denied(tree), seen_by_normal_form(moments)) == [negation(x) for x in expected]


@settings(max_examples=EXAMPLES, deadline=None)
@given(conditions)
def test_a_normal_form_is_its_own_and_has_no_not_but_on_what_has_no_dual(tree: Cond) -> None:
    form = normal_form(tree)
    assert normal_form(form) == form and encoding(normal_form(form)) == encoding(form)
    for node in walk(form):
        assert not isinstance(node, Between | Flag)
        assert not isinstance(node, Not) or isinstance(node.part, TIMED)
    assert normal_form(Not(tree)) == denied(tree)
    assert normal_form(Not(Not(tree))) == form


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (Not(A), NOT_A),
        (Not(And((A, B))), Or((NOT_A, NOT_B))),
        (Not(Within(A, Window(5, "m"))), InRow(NOT_A, Window(300, "s"))),
        (Not(InRow(A, Window(1500, "ms"))), Within(NOT_A, Window(1500, "ms"))),
        (Not(InRow(A, Window(3, "bars"))), AtLeast(NOT_A, 1, Window(3, "bars"))),
        (InRow(A, Window(3, "bars")), AtLeast(A, 3, Window(3, "bars"))),
        (Not(AtLeast(A, 3, Window(10, "m"))), AtLeast(NOT_A, 8, Window(10, "m"))),
        (Not(Ago(A, Window(5, "m"))), Ago(NOT_A, Window(5, "m"))),
        (Flag("halted"), Compare(">", MetricRef("halted"), Number(0.0))),
        (Compare("<", Number(1.0), MetricRef("price")), A),
        (Compare(">", LAST, Arithmetic("/", Number(3.0), Number(3.0))), A),
        (Compare("<", VWAP, LAST), Compare(">", LAST, VWAP)),
        (And((A, And((A, A)))), A),
        (And((A, Compare(">", Number(2.0), Number(1.0)))), A),
        (And((A, Compare(">", Number(1.0), Number(2.0)))), FALSE),
        (Or((A, Compare(">", Number(2.0), Number(1.0)))), TRUE),
        (Compare(">", Negate(Negate(LAST)), Call("max", (Number(0.5), Number(1.0)))), A),
        (Compare(">", Call("coalesce", (LAST, LAST)), Number(1.0)), A),
        (Compare(">", Call("max", (LAST, MetricRef("price"), LAST)), Number(1.0)), A),
        (Compare(">", If(Compare("<", Number(0.0), Number(1.0)), LAST, VWAP), Number(1.0)), A),
    ],
)  # fmt: skip
def test_the_spelling_of_a_normal_form(tree: Cond, expected: Cond) -> None:
    assert normal_form(tree) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Between(LAST, Number(1.0), Number(2.0)),
         And((Compare("<=", LAST, Number(2.0)), Compare("<=", Number(1.0), LAST)))),
        (And((A, B)), And((B, A))),
        (Compare(">", Arithmetic("+", LAST, VWAP), Number(1.0)),
         Compare(">", Arithmetic("+", VWAP, LAST), Number(1.0))),
        (Crosses("either", LAST, VWAP),
         Or((Crosses("below", LAST, VWAP), Crosses("above", LAST, VWAP)))),
        (Sequence((Step(A), Step(B, Window(1, "m")))),
         Sequence((Step(Not(NOT_A)), Step(B, Window(60, "s"))), FALSE)),
        (InSession(("pre", "regular")), InSession(("regular", "pre"))),
    ],
)  # fmt: skip
def test_two_spellings_of_one_meaning_have_one_normal_form(one: Cond, other: Cond) -> None:
    assert encoding(normal_form(one)) == encoding(normal_form(other))


@pytest.mark.parametrize(
    "number",
    [
        Arithmetic("-", LAST, VWAP),
        Arithmetic("/", Number(1.0), Number(0.0)),
        Call("log", (Number(-1.0),)),
        Arithmetic("*", Number(1e308), Number(1e308)),
        Since(A),
        CrossSection("rank", LAST, "sector"),
        Breadth("r1"),
    ],
)
def test_order_that_matters_and_what_is_unknown_for_ever_are_kept(number: Expr) -> None:
    assert normal_number(number) == number
