"""A backtest on bars: one cycle a minute, day after day, the same bytes for the same input."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.bars.genesis import empty_rows, init_genesis, new_head
from engine.config.load import load
from engine.config.schema import Config
from engine.domain.records import FLAG_TYPICAL
from engine.domain.sizes import Sizes
from engine.domain.tables import allocate
from engine.feeds.admit import admitted_batches
from engine.feeds.providers.bars import BarsFile, BarsProvider
from engine.replay.backtest import BacktestError, backtest_bars
from engine.replay.builder import columns
from engine.replay.harness import Harness
from shm.arena import PrivateArena
from tests.replay.recording import HOUR, MINUTE, ROOT

RULES = [
    {
        "id": "seen",
        "name": "Every bar",
        "conditions": [
            {"metric": "last", "op": ">", "value": 0},
            {"metric": "vol_all", "op": ">=", "value": 0},
            {"metric": "vwap_rth", "op": ">", "value": 0},
        ],
        "cooldown_sec": 0,
    },
    {
        "id": "size",
        "name": "Any size at all",
        "conditions": [{"metric": "last_size", "op": ">=", "value": 0}],
        "cooldown_sec": 0,
    },
    {
        "id": "count",
        "name": "Any number of trades at all",
        "conditions": [
            {"metric": "last", "op": ">", "value": 0},
            {"metric": "trades_all", "op": ">=", "value": 0},
        ],
        "cooldown_sec": 0,
    },
    {
        "id": "count-rth",
        "name": "Few trades of regular hours",
        "conditions": [{"metric": "trades_rth", "op": "<", "value": 1000}],
        "cooldown_sec": 0,
    },
    {
        "id": "within",
        "name": "Moves within the minute of a bar",
        "conditions": [{"metric": "chg_30s_pct", "op": "!=", "value": 0}],
        "cooldown_sec": 0,
    },
    {
        "id": "minute",
        "name": "Moves from bar to bar",
        "conditions": [{"metric": "chg_1m_pct", "op": ">=", "value": 0}],
        "cooldown_sec": 0,
    },
    {
        "id": "up",
        "name": "Above yesterday's close",
        "conditions": [{"metric": "chg_pct", "op": ">", "value": 0}],
        "cooldown_sec": 0,
    },
]
BARS = """ts,symbol,open,high,low,close,volume
2025-01-02T15:00:00Z,NA,10,12,9,11,100
2025-01-02T15:00:00Z,NAN,5,5,5,5,10
2025-01-02T15:01:00Z,NA,11,11,11,11,300
2025-01-03T15:00:00Z,NA,11,13,11,12,50
"""


def config(tmp_path: Path) -> Config:
    (tmp_path / "rules.json").write_text(json.dumps(RULES))
    overrides: dict[str, tuple[str, object]] = {
        "rules.path": ("test", str(tmp_path / "rules.json")),
        "paths.data_dir": ("test", str(tmp_path / "data")),
    }
    return load(ROOT / "scanner.toml", overrides=overrides).config


def test_every_bar_is_seen_once_at_its_end_and_days_follow_each_other(tmp_path: Path) -> None:
    bars, out = tmp_path / "bars.csv", tmp_path / "alerts.jsonl"
    bars.write_text(BARS)
    told = config(tmp_path)
    outcome = backtest_bars(told, bars, out)
    content = out.read_bytes()
    alerts = [json.loads(line) for line in content.splitlines()]
    seen = [alert for alert in alerts if alert["rule_id"] == "seen"]
    first = [(a["symbol"], a["price"], a["values"]["vol_all"]) for a in seen]
    assert first[:2] == [("NA", 11.0, 100.0), ("NAN", 5.0, 10.0)]
    assert {a["scan_ts"] for a in seen[:2]} == {"2025-01-02T15:01:00.000000000Z"}
    assert seen[0]["values"]["vwap_rth"] == pytest.approx((12 + 9 + 11) / 3, rel=1e-12)
    second = next(a for a in seen if a["symbol"] == "NA" and a["values"]["vol_all"] == 400)
    assert second["values"]["vwap_rth"] == pytest.approx((32 / 3 * 100 + 11 * 300) / 400, rel=1e-12)
    up = [a for a in alerts if a["rule_id"] == "up"]
    assert up[0]["values"]["chg_pct"] == pytest.approx(100 * (12 / 11 - 1), rel=1e-12)
    assert {a["stream_id"][-9:] for a in up} == {"-20250103"}
    again = backtest_bars(told, bars, tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == content
    assert again.sha256 == outcome.sha256


def test_a_bar_leaves_unknown_what_it_does_not_tell_and_no_rule_fires_on_that(
    tmp_path: Path,
) -> None:
    bars, out = tmp_path / "bars.csv", tmp_path / "alerts.jsonl"
    bars.write_text(BARS)
    backtest_bars(config(tmp_path), bars, out)
    fired = {json.loads(line)["rule_id"] for line in out.read_bytes().splitlines()}
    assert fired == {"seen", "up", "minute"}


def test_a_bar_without_vwap_is_flagged_and_its_value_is_volume_at_the_typical_price(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text(BARS)
    provider = BarsProvider(BarsFile(path, print), 0, 1 << 62)
    tables = allocate(PrivateArena(), Sizes(capacity=64), columns())
    first_ns = 1_735_830_000_000_000_000  # 2025-01-02T15:00:00Z
    tables.session[0] = (
        20250102, first_ns - 6 * HOUR, first_ns - HOUR, first_ns + 6 * HOUR, first_ns + 10 * HOUR,
        first_ns + 18 * HOUR, MINUTE, 0,
    )  # fmt: skip
    init_genesis(tables, empty_rows(tables.sizes.rows), new_head(tables, first_ns))
    harness = Harness(tables, "bars", scan=False)
    taken: list[np.void] = []
    harness.on_bars = lambda events: taken.extend(events.copy())
    harness.run_ticks(admitted_batches(provider, (), 64), first_ns + 10 * MINUTE)
    assert [float(event["bar"]["pv"]) for event in taken] == [
        pytest.approx(32 / 3 * 100, rel=1e-12), 50.0, 3300.0,
    ]  # fmt: skip
    assert {int(event["bar"]["flags"]) for event in taken} == {FLAG_TYPICAL}


def test_a_file_without_a_usable_bar_is_refused_in_one_sentence(tmp_path: Path) -> None:
    bars = tmp_path / "bars.csv"
    bars.write_text("ts,symbol,open,high,low,close,volume\nx\n")
    with pytest.raises(BacktestError, match=r"holds no bar that could be used \(1 bad rows\)"):
        backtest_bars(config(tmp_path), bars, tmp_path / "out.jsonl")


def test_years_without_a_bar_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[int, int]] = []

    class Counting(BarsProvider):
        def __init__(self, bars: BarsFile, start_ns: int, end_ns: int) -> None:
            opened.append((start_ns, end_ns))
            super().__init__(bars, start_ns, end_ns)

    monkeypatch.setattr("engine.replay.backtest.BarsProvider", Counting)
    bars, out = tmp_path / "bars.csv", tmp_path / "alerts.jsonl"
    rows = [f"{year}-10-08T14:00:00Z,NA,10,11,9,10,100\n" for year in (2013, 2030)]
    bars.write_text("ts,symbol,open,high,low,close,volume\n" + "".join(rows))
    backtest_bars(config(tmp_path), bars, out)
    days = {json.loads(line)["stream_id"][-9:] for line in out.read_bytes().splitlines()}
    assert days == {"-20131008", "-20301008"}
    assert len(opened) <= 5


def test_bars_of_no_trading_day_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    bars, out = tmp_path / "bars.csv", tmp_path / "alerts.jsonl"
    bars.write_text("ts,symbol,open,high,low,close,volume\n2013-10-06T15:00:00Z,NA,1,1,1,1,5\n")
    with pytest.raises(BacktestError, match=r"no record lies within a trading day .* XNYS"):
        backtest_bars(config(tmp_path), bars, out)
    assert not out.exists()
