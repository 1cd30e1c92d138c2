"""What rules cost is estimated from their nodes, and rules that belong together are checked."""

from typing import Any

import msgspec
import pytest

from engine.config.schema import Config
from engine.rules.cost import rule_ns, set_ns
from engine.rules.errors import RuleError
from engine.rules.limits import Limits, limits_of
from engine.rules.validate import read_rule, read_rules


def rule(where: str, rule_id: str = "r1", **more: Any) -> dict[str, Any]:
    return {"id": rule_id, "name": "n", "where": where} | more


def cost(where: str, **more: Any) -> float:
    return round(rule_ns(read_rule(rule(where, **more))), 6)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("last > 1", 0.2),
        ("not last <= 1", 0.2),
        ("halted", 0.2),
        ("last > 1 and last > 1", 0.2),
        ("last > 1 and bid > 1", 0.44),
        ("last > bid", 0.3),
        ("last + 1 > bid", 0.6),
        ("min(last, bid, ask) > 1", 1.1 + 0.1),
        ("log(last) > 1", 5.3),
        ("in_row(last > 1, 30s)", 1.2),
        ("ago(last, 5m) > 1", 1.3),
        ("since(last > 1) > 1", 1.5),
        ("sequence(last > 1, bid > 1, ask > 1)", 3.6),
        ("if(last > 1, bid, ask) > 1", 0.2 + 0.2 + 0.3 + 0.3),
        ("rank(last) <= 5", 80.3),
        ("1 > 2", 0.3),
        ("in_session(pre)", 0.0),
    ],
)
def test_the_cost_of_a_rule_is_that_of_its_different_nodes(where: str, expected: float) -> None:
    assert cost(where) == pytest.approx(expected)


def test_debounce_universe_and_rearm_cost_as_well() -> None:
    plain = cost("last > 1")
    assert cost("last > 1", debounce_ms=100) == plain + 1.0
    assert cost("last > 1", rearm="bid > 1") == plain + 0.2
    assert cost("last > 1", universe={"price_min": 5}) == plain + 0.2


def test_what_rules_share_is_paid_once_and_what_is_disabled_not_at_all() -> None:
    documents = [rule("rank(last) <= 5 and bid > 1", "a"), rule("rank(last) <= 5 and ask > 1", "b"),
                 rule("rank(bid) <= 5", "c", enabled=False)]  # fmt: skip
    rules = [read_rule(document) for document in documents]
    assert set_ns(rules) == pytest.approx(80.3 + 2 * 0.24)


def test_a_rule_that_is_too_dear_is_refused_with_the_estimate_and_the_bound() -> None:
    limits = Limits(symbols=1_000, max_rule_cost_us=80.0)
    with pytest.raises(RuleError) as refused:
        read_rule(rule("rank(last) <= 5"), limits)
    assert str(refused.value) == (
        "rule 'r1': costs about 80.3 us a cycle for 1,000 symbols, at most 80 us are allowed"
        " (rules.max_rule_cost_us)"
    )
    assert read_rule(rule("rank(last) <= 5"), Limits(symbols=900, max_rule_cost_us=80.0))


def test_a_set_that_is_too_dear_is_refused_with_the_estimate_and_the_bound() -> None:
    documents = [rule(f"rank(last * {n}) <= 5", f"r{n}") for n in range(1, 5)]
    limits = Limits(symbols=10_000, interval_ms=10, max_set_cost_share=0.3)
    with pytest.raises(RuleError) as refused:
        read_rules(documents, limits)
    assert str(refused.value) == (
        "the rules together cost about 3.2 ms a cycle for 10,000 symbols, at most 3 ms of the"
        " interval of 10 ms are allowed (rules.max_set_cost_share)"
    )
    assert len(read_rules(documents[:3], limits)) == 3


def test_the_settings_give_the_limits() -> None:
    config = msgspec.convert(
        {"engine": {"capacity": 1_000, "scan_workers": 2, "interval_ms": 50},
         "rules": {"max_depth": 8, "max_rule_cost_us": 7.0, "max_set_cost_share": 0.25}}, Config,
    )  # fmt: skip
    limits = limits_of(config)
    assert (limits.symbols, limits.interval_ms, limits.max_depth) == (512, 50, 8)
    assert (limits.max_rule_cost_us, limits.max_set_cost_share) == (7.0, 0.25)


@pytest.mark.parametrize(
    ("documents", "problems"),
    [
        ([rule("breadth(b) > 1", "a"), rule("last > 1", "b")], []),
        ([rule("breadth(b) > 1", "a"), rule("breadth(c) > 1", "b"), rule("last > 1", "c")], []),
        ([rule("breadth(gap-ip) > 1", "a"), rule("last > 1", "gap-up")],
         ["rule 'a': breadth names 'gap-ip', which is no rule; did you mean gap-up?"]),
        ([rule("breadth(zz) > 1", "a")], ["rule 'a': breadth names 'zz', which is no rule"]),
        ([rule("last > 1", "a", rearm="breadth(zz) > 1")],
         ["rule 'a': breadth names 'zz', which is no rule"]),
        ([rule("breadth(b) > 1", "a"), rule("last > 1", "b", enabled=False)],
         ["rule 'a': breadth names 'b', which is not enabled"]),
        ([rule("breadth(b) > 1", "a", enabled=False), rule("last > 1", "b", enabled=False)], []),
        ([rule("breadth(a) > 1", "a")], ["rule 'a': breadth goes round in a circle, a -> a"]),
        ([rule("breadth(c) > 1", "b"), rule("breadth(b) > 1", "a"), rule("breadth(b) > 1", "c")],
         ["rule 'b': breadth goes round in a circle, b -> c -> b"]),
        ([rule(f"breadth(r{(n + 1) % 20:02}) > 1", f"r{n:02}") for n in range(20)],
         ["rule 'r00': breadth goes round in a circle, r00 -> r01 -> r02 -> r03 -> ... -> r17 -> "
          "r18 -> r19 -> r00"]),
    ],
)  # fmt: skip
def test_breadth_names_rules_that_are_there_and_not_each_other(
    documents: list[dict[str, Any]], problems: list[str]
) -> None:
    try:
        read_rules(documents)
        found: tuple[str, ...] = ()
    except RuleError as error:
        found = error.problems
    assert list(found) == problems
