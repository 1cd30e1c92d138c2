"""Alerts after a gap of the feed say which of their conditions reach into it."""

import json
from typing import Any

import pytest

from engine.metrics.registry import METRICS
from engine.rules.model import Rule
from engine.rules.validate import Limits, read_rule
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

GAP_END_NS = START_NS + 100 * SECOND_NS + 1
FIRST_BAR = 40


def rule(rule_id: str, *metrics: str) -> Rule:
    conditions = [{"metric": metric, "op": ">", "value": 0} for metric in metrics]
    return read_rule(
        {"id": rule_id, "name": rule_id, "conditions": conditions, "cooldown_sec": 0},
        Limits(max_leaves=64),
    )


def symbol(bars: int = 0, gap_end_ns: int = GAP_END_NS) -> Symbol:
    values = {metric.name: 1.0 for metric in METRICS}
    return Symbol(values, gap_end_ns=gap_end_ns, gap_bar=FIRST_BAR, bars=bars)


def gapped(document: bytes) -> list[str]:
    """Metrics of the conditions that say `gap`."""
    told: dict[str, Any] = json.loads(document)
    assert all(one.get("gap", True) is True for one in told["explain"])
    return [one["text"].split(" ")[0] for one in told["explain"] if "gap" in one]


@pytest.mark.parametrize(
    ("seconds", "bars", "expected"),
    [
        (101, 40, ["chg_10s_pct", "vol_1m", "sma(20)", "vol_all"]),
        (110, 40, ["chg_10s_pct", "vol_1m", "sma(20)", "vol_all"]),
        (111, 41, ["vol_1m", "sma(20)", "vol_all"]),
        (161, 59, ["sma(20)", "vol_all"]),
        (162, 60, ["vol_all"]),
    ],
)
def test_each_condition_says_it_for_as_long_as_its_window_reaches_back(
    seconds: int, bars: int, expected: list[str]
) -> None:
    world = World()
    world.use([rule("a", "last", "chg_10s_pct", "vol_1m", "sma(20)", "vol_all", "halted")])
    cycle = world.cycle(START_NS + seconds * SECOND_NS, {"X": symbol(bars)})
    assert [gapped(alert.document) for alert in cycle.alerts] == [expected]


def test_without_a_gap_no_alert_has_the_key() -> None:
    world = World()
    every = [metric.name for metric in METRICS]
    world.use([rule(f"r{at:02}", *every[at : at + 16]) for at in range(0, len(every), 16)])
    alerts = world.cycle(START_NS + 500 * SECOND_NS, {"X": symbol(gap_end_ns=0)}).alerts
    assert alerts and not any(b"gap\":" in alert.document for alert in alerts)


def test_the_last_of_the_most_conditions_a_rule_can_have_has_its_own_flag() -> None:
    world = World(max_leaves=64)
    leaves = ["last"] * 63 + ["vol_all"]
    world.use([rule("a", *leaves), rule("b", *leaves[::-1]), rule("c", *["vol_all"] * 64)])
    alerts = world.cycle(START_NS + 500 * SECOND_NS, {"X": symbol()}).alerts
    assert [gapped(alert.document) for alert in alerts] == [
        ["vol_all"], ["vol_all"], ["vol_all"] * 64
    ]  # fmt: skip
    explain = json.loads(alerts[0].document)["explain"]
    assert "gap" in explain[63] and "gap" not in explain[62]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_bytes_are_the_same_for_any_workers_and_after_a_kill_before_the_commit(
    workers: int,
) -> None:
    def play(count: int, kill: bool) -> list[bytes]:
        world, found = World(count), []
        world.use([rule("a", "chg_30s_pct", "last", "ema(20)")])
        for second in (101, 120, 131, 132, 200):
            symbols = {
                f"S{number}": symbol(35 + second // 2, GAP_END_NS * (number % 3 > 0))
                for number in range(7)
            }
            n = world.prepare(START_NS + second * SECOND_NS, symbols)
            for worker in range(count):
                if kill:
                    world.stages[worker].judge(n)
                    world.stages[worker] = world.new_stage(worker)
                assert world.stages[worker].run(n)
            found += [alert.document for alert in world.take().alerts]
        return found

    calm = play(1, kill=False)
    assert play(workers, kill=True) == calm
    assert {len(gapped(document)) for document in calm} == {0, 1, 2}
