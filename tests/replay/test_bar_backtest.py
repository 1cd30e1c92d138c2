"""A backtest on bars: one cycle a minute, day after day, the same bytes for the same input."""

import json
from pathlib import Path

import pytest

from engine.config.load import load
from engine.config.schema import Config
from engine.replay.backtest import BacktestError, backtest_bars
from tests.replay.recording import ROOT

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


def test_a_file_without_a_usable_bar_is_refused_in_one_sentence(tmp_path: Path) -> None:
    bars = tmp_path / "bars.csv"
    bars.write_text("ts,symbol,open,high,low,close,volume\nx\n")
    with pytest.raises(BacktestError, match=r"holds no bar that could be used \(1 bad rows\)"):
        backtest_bars(config(tmp_path), bars, tmp_path / "out.jsonl")
