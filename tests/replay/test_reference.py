"""Reference data through a whole run: genesis, backtest, any number of workers, the roll."""

import dataclasses
import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from engine.config.schema import Config, EngineSection, FeedSection, PathsSection, RulesSection
from engine.config.sizes import sizes_of
from engine.domain import records
from engine.domain.levels import LEVEL
from engine.domain.tables import allocate
from engine.feeds.admit import admitted_batches
from engine.feeds.registry import open_provider
from engine.metrics.registry import COLUMN
from engine.replay.backtest import backtest_trades
from engine.replay.builder import Builder, columns, load_compiled_rules
from engine.replay.carry import begin_date, session_of
from engine.replay.genesis import Genesis, decode, encode, restore
from engine.replay.harness import Harness
from engine.replay.inform import in_new_shares
from engine.storage.reference_ports import DAY_MINUTES, DailyBar, DayVolume, Listing, Split
from engine.storage.reference_sqlite import REFERENCE_NAME, SqliteReferenceStore
from shm.arena import PrivateArena
from tests.replay.market import calendar_dir

RECORDINGS = Path(__file__).parents[2] / "engine" / "feeds" / "recordings"
RECORDING = RECORDINGS / "trades_lean_20131007_20131008.csv.gz"
CLOSES = {"AIG": 48.5, "BAC": 13.9, "IBM": 181.0, "SPY": 167.0}
RULES = [
    {"id": "fin", "name": "Financials", "where": "chg_pct > -50 and dist_pdh_pct < 50",
     "universe": {"sectors": ["Finance"]}, "cooldown_sec": 900},
    {"id": "busy", "name": "Busy", "where": "rvol_tod > 0.1 and rvol_5m > 0.1",
     "cooldown_sec": 1800},
    {"id": "or", "name": "Opening range", "where": "or5_pos > 100 and n_hod > 3",
     "cooldown_sec": 3600},
    {"id": "fives", "name": "Fives", "where": "ema(3, 5m) < 0"},
    {"id": "rank", "name": "Rank", "where": "rank(chg_pct, sector) == 1", "cooldown_sec": 3600},
]  # fmt: skip


def fill(path: Path, **closes: float) -> None:
    """A store with 30 sessions of daily bars and 21 of minutes before 2013-10-08."""
    store = SqliteReferenceStore(path)
    sectors = {"AIG": "Finance", "BAC": "Finance", "IBM": "Technology", "SPY": ""}
    store.put_listings([
        Listing(ticker=ticker, sector=sector, exchange="NYSE", shares=1e9, as_of=20130901,
                source="d.csv")
        for ticker, sector in sectors.items()
    ])  # fmt: skip
    days = np.arange(np.datetime64("2013-08-20"), np.datetime64("2013-10-08"))
    dates = [int(str(day).replace("-", "")) for day in days if np.is_busday(day)]
    minutes = np.full(DAY_MINUTES, 50.0, np.float32)
    for ticker, close in (CLOSES | closes).items():
        store.put_daily([
            DailyBar(ticker=ticker, date=date, open=close, high=close * 1.01, low=close * 0.99,
                     close=close, volume=1e6)
            for date in dates if date != 20130902
        ])  # fmt: skip
        store.put_day_volumes([
            DayVolume(ticker=ticker, date=date, regular_only=False, minutes=minutes)
            for date in dates[-21:]
        ])  # fmt: skip
    store.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not RECORDING.is_file():
        pytest.skip(f"the recording {RECORDING.name} is not bundled")
    directory = tmp_path_factory.mktemp("reference")
    fill(directory / REFERENCE_NAME)
    (directory / "rules.json").write_text(json.dumps(RULES), encoding="utf-8")
    return directory


def told(place: Path, **feed: object) -> Config:
    fields: dict = {
        "provider": "replay",
        "trades": str(RECORDING),
        "start": "2013-10-08T09:25:00-04:00",
        "end": "2013-10-08T10:15:00-04:00",
        "speed": 0.0,
    }
    return Config(
        engine=EngineSection(capacity=64, interval_ms=1000, ring_ticks=1 << 14),
        feed=FeedSection(**(fields | feed)),
        paths=PathsSection(data_dir=str(place)),
        rules=RulesSection(path=str(place / "rules.json"), max_rules=64),
    )


def genesis_of(config: Config) -> Genesis:
    directory = Path(config.paths.data_dir)
    for exported in calendar_dir().glob("calendar_*.json"):
        if not (directory / exported.name).exists():
            shutil.copy(exported, directory)
    return Builder(config, "stream", directory, load_compiled_rules(config)).build()


def run(config: Config, genesis: Genesis, workers: int = 1) -> tuple[list[bytes], np.ndarray]:
    """Alerts of a stream and the columns of its last cycle in order of ticker."""
    sizes = dataclasses.replace(sizes_of(config), workers=workers, pool_trades=1 << 16)
    tables = allocate(PrivateArena(), sizes, columns())
    restore(tables, genesis)
    alerts: list[bytes] = []
    harness = Harness(
        tables, "stream", lambda cycle: alerts.extend(alert.document for alert in cycle.alerts)
    )
    header = genesis.header
    provider = open_provider(config, header.start_ns, header.end_ns)
    known = enumerate(header.tickers)
    assert header.end_ns is not None
    harness.run_ticks(admitted_batches(provider, known, sizes.capacity), header.end_ns)
    ids = [symbol for _, symbol in sorted((t, s) for s, t in tables.names.all())]
    return alerts, tables.scan.columns[harness.n & 1][:, ids].copy()


def test_alerts_on_reference_data_are_the_same_for_any_number_of_workers(place: Path) -> None:
    config = told(place)
    genesis = genesis_of(config)
    again = decode(encode(genesis), place)
    alerts, values = run(config, genesis)
    rules = {json.loads(alert)["rule_id"] for alert in alerts}
    assert rules == {"fin", "busy", "or", "rank"}
    fired = {json.loads(a)["symbol"] for a in alerts if json.loads(a)["rule_id"] == "fin"}
    assert fired == {"AIG", "BAC"}
    for workers in (2, 3):
        more, same = run(config, again, workers)
        assert more == alerts
        np.testing.assert_array_equal(same, values)


def test_numbers_of_the_book_are_in_the_columns(place: Path) -> None:
    config = told(place, end="2013-10-08T09:45:00-04:00")
    genesis = genesis_of(config)
    assert genesis.header.jumps == []
    _, values = run(config, genesis)
    for at, (ticker, close) in enumerate(sorted(CLOSES.items())):
        row = {name: float(values[COLUMN[name], at]) for name in COLUMN}
        assert row["prev_close"] == close and row["pdh"] == close * 1.01, ticker
        assert row["chg_pct"] == pytest.approx(100 * (row["last"] / close - 1))
        assert row["adv_20"] == 1e6 and row["mktcap"] == row["last"] * 1e9
        assert row["rvol_tod"] == pytest.approx(row["vol_all"] / (50 * 345), rel=1e-5)
        assert row["rvol_tod_rth"] == pytest.approx(row["vol_rth"] / (50 * 15), rel=1e-5) or (
            np.isnan(row["rvol_tod_rth"])
        )
        assert row["rvol_5m"] == pytest.approx(row["vol_5m"] / 250, rel=1e-5)
        assert row["split_suspect"] == 0 and row["ssr"] == 0


def test_a_first_price_like_a_split_leaves_unknown_what_leans_on_yesterday(
    tmp_path: Path, place: Path
) -> None:
    shutil.copy(place / "rules.json", tmp_path)
    fill(tmp_path / REFERENCE_NAME, AIG=CLOSES["AIG"] * 10)
    config = told(tmp_path, end="2013-10-08T09:35:00-04:00")
    alerts, values = run(config, genesis_of(config))
    aig, bac = (
        {name: float(values[COLUMN[name], at]) for name in COLUMN} for at in (0, 1)
    )
    assert aig["split_suspect"] == 1 and bac["split_suspect"] == 0
    for name in ("prev_close", "chg_pct", "gap_pct", "atr14", "pdh", "adv_20", "rvol_tod",
                 "chg_5d_pct", "mktcap", "move_atr"):  # fmt: skip
        assert np.isnan(aig[name]), name
        assert not np.isnan(bac[name]), name
    fired = {json.loads(a)["symbol"] for a in alerts if json.loads(a)["rule_id"] == "fin"}
    assert fired == {"BAC"}
    store = SqliteReferenceStore(tmp_path / REFERENCE_NAME)
    store.put_splits([Split(ticker="AIG", date=20131008, ratio=10.0)])
    store.close()
    _, values = run(config, genesis_of(config))
    assert values[COLUMN["prev_close"], 0] == pytest.approx(CLOSES["AIG"])
    assert values[COLUMN["split_suspect"], 0] == 0
    assert values[COLUMN["adv_20"], 0] == pytest.approx(1e7)


def test_a_backtest_reads_the_reference_data_of_its_data_dir(place: Path, tmp_path: Path) -> None:
    config = told(place, start="", end="")
    fewer = [rule for rule in RULES if rule["id"] in ("fin", "rank")]
    (tmp_path / "rules.json").write_text(json.dumps(fewer), encoding="utf-8")
    rules = msgspec.structs.replace(config.rules, path=str(tmp_path / "rules.json"))
    interval = msgspec.structs.replace(config.engine, interval_ms=60_000)
    config = msgspec.structs.replace(config, rules=rules, engine=interval)
    outcome = backtest_trades(config, RECORDING, tmp_path / "alerts.jsonl")
    found = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert len(found) == outcome.alerts
    assert {a["symbol"] for a in found if a["rule_id"] == "fin"} == {"AIG", "BAC"}
    days = {a["event_ts"][:10] for a in found if a["rule_id"] == "fin"}
    assert days == {"2013-10-07", "2013-10-08"}


def test_a_split_overnight_puts_the_state_of_before_into_new_shares(place: Path) -> None:
    config = told(place, start="2013-10-08T15:00:00-04:00", end="2013-10-08T15:05:00-04:00")
    before = genesis_of(config)
    aig, bac = (before.header.tickers.index(name) for name in ("AIG", "BAC"))
    split = Split(ticker="AIG", date=20131009, ratio=2.0)
    after = in_new_shares(before, [split], 20131009)
    rows, was = after.arrays["rows"], before.arrays["rows"]
    assert rows["last"][aig] == was["last"][aig] / 2 and rows["last"][bac] == was["last"][bac]
    assert rows["close_rth"][aig] == was["close_rth"][aig] / 2
    assert set(after.arrays["bar_symbols"]) == set(before.arrays["bar_symbols"]) - {aig}
    assert np.isnan(after.arrays["indicator_values"][:, aig]).all()
    state = after.arrays["indicator_state"]
    assert not state[aig].any() and state[bac].any()
    for name in ("frame_closes", "frame_ranges", "frame_marks"):
        bars = after.arrays[name]
        assert not bars[..., aig].any() and bars[..., bac].any(), name
    for other in (split.date - 1, 20131010):
        late = Split(ticker="AIG", date=other, ratio=2.0)
        assert in_new_shares(before, [late], 20131009) is before


def test_a_fall_by_a_tenth_restricts_short_sales_of_the_day_after(place: Path) -> None:
    config = told(place, start="2013-10-08T15:00:00-04:00", end="2013-10-08T15:05:00-04:00")
    before = genesis_of(config)
    session = session_of(before)
    session["start_ns"] += 86_400 * records.NS_PER_SECOND
    session["date"] = 20131009
    lows = before.arrays["rows"]["low"][:, records.RTH]
    before.arrays["reference"]["prev_close"] = lows / 0.95
    before.arrays["reference"]["prev_close"][1] = lows[1] / 0.9
    before.arrays["reference"]["prev_close"][2] = np.nan
    empty = allocate(PrivateArena(), sizes_of(config), columns())
    _, arrays = begin_date(before, session, 20131008, empty, 64)
    known, on = records.REF_SSR_KNOWN, records.REF_SSR
    assert arrays["reference"]["flags"].tolist() == [known, known | on, 0, known]
    _, arrays = begin_date(before, session, 20131007, empty, 64)
    assert arrays["reference"]["flags"].tolist() == [0] * 4


def test_a_ticker_of_the_book_that_has_not_traded_is_in_the_genesis(place: Path) -> None:
    config = told(place, start="2013-10-08T04:00:00-04:00", end="2013-10-08T04:01:00-04:00")
    genesis = genesis_of(config)
    arrays = genesis.arrays
    assert arrays["book_names"].tolist() == [b"AIG", b"BAC", b"IBM", b"SPY"]
    assert arrays["book_reference"]["place"].tolist() == [1, 2, 3, 4]
    assert arrays["book_levels"][LEVEL["sessions_all"]].tolist() == [20] * 4
    assert arrays["book_baseline"].shape == (960, 4)
