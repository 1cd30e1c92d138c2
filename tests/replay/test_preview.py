"""A preview counts what a backtest of the same rules writes, and changes nothing."""

import collections
import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.config.load import load
from engine.config.sizes import sizes_of
from engine.replay.backtest import Played, backtest_bars, backtest_tape, play_bars, play_tape
from engine.replay.preview import EXAMPLES, Preview, PreviewRun
from engine.rules.errors import RuleError
from engine.rules.limits import DEFAULT_LIMITS
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from tests.replay.market import FIRST_RULES, begin, config, recorded_with_genesis

DOCUMENTS: list[dict[str, Any]] = [
    {"id": "up", "name": "Up", "where": "chg_5m_pct > 0.2", "cooldown_sec": 120},
    {"id": "down", "name": "Down", "where": "chg_5m_pct < -0.2", "cooldown_sec": 0,
     "max_per_min": 2},
    {"id": "rising", "name": "Rising", "where": "last > ema(20) and chg_1m_pct > 0",
     "cooldown_sec": 300},
    {"id": "off", "name": "Off", "where": "last > 0", "enabled": False},
]  # fmt: skip


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of five symbols that walk at random, and a day on which nothing moves."""
    place = tmp_path_factory.mktemp("bars")
    rng, lines = random.Random(7), ["ts,symbol,open,high,low,close,volume"]
    for day, moves in (("2025-01-06", 1), ("2025-01-07", 1), ("2025-01-08", 0)):
        prices = dict.fromkeys(("AA", "BB", "CC", "DD", "EE"), 50.0)
        for minute in range(90):
            stamp = f"{day}T{15 + minute // 60:02d}:{minute % 60:02d}:00Z"
            for symbol, price in prices.items():
                close = round(price * (1 + moves * rng.gauss(0, 0.002)), 2)
                low, high = min(price, close), max(price, close)
                lines.append(f"{stamp},{symbol},{price},{high},{low},{close},{100 + minute}")
                prices[symbol] = close
    (place / "bars.csv").write_text("\n".join(lines) + "\n")
    (place / "rules.json").write_text(json.dumps(DOCUMENTS))
    (place / "scanner.toml").write_text(
        '[engine]\ncapacity = 64\n[paths]\ndata_dir = "state"\n[feed]\ntrades = "bars.csv"\n'
        '[rules]\npath = "rules.json"\n'
    )
    return place


def rules() -> list[Rule]:
    return [read_rule(document) for document in DOCUMENTS]


def expected(alerts: list[dict[str, Any]], rule_id: str) -> dict[str, Any]:
    """Counted in the plainest way, of the alerts of a backtest."""
    mine = [alert for alert in alerts if alert["rule_id"] == rule_id]

    def near(alert: dict[str, Any], other: dict[str, Any]) -> bool:
        apart = seconds(alert["scan_ts"]) - seconds(other["scan_ts"])
        return other["symbol"] == alert["symbol"] and abs(apart) <= 60

    shared: collections.Counter[str] = collections.Counter()
    any_other = 0
    for alert in mine:
        found = {one["rule_id"] for one in alerts if one["rule_id"] != rule_id and near(alert, one)}
        shared.update(found)
        any_other += bool(found)
    return {
        "alerts": len(mine),
        "per_day": collections.Counter(alert["scan_ts"][:10] for alert in mine),
        "minutes": sorted(collections.Counter(a["scan_ts"][:16] for a in mine).values()),
        "per_symbol": collections.Counter(alert["symbol"] for alert in mine),
        "shared": shared,
        "overlap": any_other / len(mine),
    }


def seconds(stamp: str) -> float:
    hours, minutes, rest = stamp[11:-1].split(":")
    return int(stamp[8:10]) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + float(rest)


def compare(found: Preview, wanted: dict[str, Any], examples: list[dict[str, Any]]) -> None:
    assert found.alerts == wanted["alerts"] > 0
    days = {one.of: one.alerts for one in found.per_day}
    assert {day: n for day, n in days.items() if n} == wanted["per_day"]
    order = sorted(wanted["per_symbol"].items(), key=lambda one: (-one[1], one[0]))
    assert [(one.of, one.alerts) for one in found.per_symbol] == order[:10]
    quiet = [0] * (found.minutes - len(wanted["minutes"]))
    minutes = sorted([*quiet, *wanted["minutes"]])
    assert found.per_minute_max == minutes[-1]
    assert found.per_minute_p95 == minutes[math.ceil(0.95 * len(minutes)) - 1]
    assert {one.rule_id: one.alerts for one in found.overlaps} == dict(wanted["shared"])
    assert found.overlap == wanted["overlap"]
    assert len(found.examples) == min(EXAMPLES, found.alerts)
    assert all(example in examples for example in found.examples)
    stamps = [example["scan_ts"] for example in found.examples]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("rule_id", ["up", "down", "rising"])
def test_a_preview_on_bars_counts_the_alerts_of_a_backtest(bars: Path, rule_id: str) -> None:
    told = load(bars / "scanner.toml").config
    out = bars / f"{rule_id}.jsonl"
    backtest_bars(told, bars / "bars.csv", out)
    alerts = [json.loads(line) for line in out.read_text().splitlines()]
    rule = next(one for one in rules() if one.id == rule_id)
    run = PreviewRun(rule, rules(), DEFAULT_LIMITS)
    before = sorted((bars / "state").rglob("*"))
    played = play_bars(told, bars / "bars.csv", run.take, run.compiled(sizes_of(told)),
                       told_of=run.told_of)  # fmt: skip
    assert isinstance(played, Played) and sorted((bars / "state").rglob("*")) == before
    found = run.outcome()
    mine = [alert for alert in alerts if alert["rule_id"] == rule_id]
    compare(found, expected(alerts, rule_id), mine)
    assert [one.of for one in found.per_day] == ["2025-01-06", "2025-01-07", "2025-01-08"]
    assert (found.streams, found.rules) == (3, 3) and found.per_day[2].alerts == 0
    assert (found.max_per_min > 0) == (rule_id == "down")


def test_two_recordings_count_twice(bars: Path) -> None:
    told = load(bars / "scanner.toml").config

    def alerts(times: int) -> Preview:
        run = PreviewRun(rules()[0], [], DEFAULT_LIMITS)
        for _ in range(times):
            play_bars(told, bars / "bars.csv", run.take, run.compiled(sizes_of(told)))
        return run.outcome()

    once, twice = alerts(1), alerts(2)
    assert (twice.alerts, twice.streams) == (2 * once.alerts, 2 * once.streams)
    assert once.overlap is None and once.overlaps == []


def test_a_preview_on_a_tape_runs_its_cycles_under_the_rules_of_now(tmp_path: Path) -> None:
    told = config()
    tape, _ = recorded_with_genesis(told, begin(told), tmp_path)
    backtest_tape(tape, tmp_path / "out.jsonl")
    alerts = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    run = PreviewRun(FIRST_RULES[0], FIRST_RULES, DEFAULT_LIMITS)
    play_tape(tape, run.take, rules=run.compiled, told_of=run.told_of)
    mine = [alert for alert in alerts if alert["rule_id"] == FIRST_RULES[0].id]
    compare(run.outcome(), expected(alerts, FIRST_RULES[0].id), mine)
    new = read_rule({"id": "mine", "name": "m", "where": "last > 0", "cooldown_sec": 10})
    other = PreviewRun(new, FIRST_RULES, DEFAULT_LIMITS)
    play_tape(tape, other.take, rules=other.compiled)
    found = other.outcome()
    assert found.rules == len(FIRST_RULES) + 1 and found.alerts > 100
    assert found.overlap is not None and 0 < found.overlap <= 1


def test_a_rule_replaces_the_stored_one_of_its_id_and_is_run_even_if_it_is_off() -> None:
    run = PreviewRun(msgspec.structs.replace(rules()[3], id="up"), rules(), DEFAULT_LIMITS)
    assert [one.id for one in run.rules] == ["down", "rising", "up"]
    assert run.rules[2].enabled and run.rules[2].name == "Off"


def test_rules_that_do_not_go_together_are_refused() -> None:
    alone = read_rule({"id": "many", "name": "m", "where": "breadth(upp) > 5"})
    with pytest.raises(RuleError, match="breadth names 'upp', which is no rule; did you mean up"):
        PreviewRun(alone, rules(), DEFAULT_LIMITS)


