"""Metrics of real days against queries over the same files; skips where the files are not.

TAPESCAN_SAMPLES names the directory of the recordings, else it is `data` beside the sources.
"""

import datetime
import functools
import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.config.schema import BarsSection, Config, EngineSection, PathsSection, RulesSection
from engine.config.sizes import sizes_of
from engine.domain.market_hours import NEW_YORK, day_of, to_ns
from engine.domain.tables import allocate
from engine.feeds.admit import admitted_batches
from engine.feeds.providers.bars import BarsFile, BarsProvider
from engine.metrics.registry import COLUMN
from engine.reference.importing import import_history, import_symbols
from engine.replay.builder import Builder, columns, load_compiled_rules
from engine.replay.genesis import restore
from engine.replay.harness import Harness
from engine.storage.reference_sqlite import REFERENCE_NAME, SqliteReferenceStore
from shm.arena import PrivateArena
from tests.replay.market import calendar_dir

pl = pytest.importorskip("polars", reason="polars is not installed")

DATA = Path(os.environ.get("TAPESCAN_SAMPLES", Path(__file__).parents[2] / "data"))
MINUTES_2025, MINUTES_THIN = "bars_1m_av99_2025-01.csv.gz", "bars_1m_illiquid17_2024-01_02.csv.gz"
SPLIT_DAYS, DAILY = "bars_1m_sp89_2025-11-12_11-14.csv.gz", "daily_all_us_close_volume.csv.gz"
ADJUSTED = "daily_ohlcv_sp89_2025.csv.gz"
FLOATS = "reference_float_2023-08-11.csv.gz"
Values = dict[str, dict[str, float]]


def file(name: str) -> Path:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not there: TAPESCAN_SAMPLES names no directory that has it")
    return path


@functools.cache
def read(name: str) -> Any:
    numbers = dict.fromkeys(("open", "high", "low", "close", "volume", "float"), pl.Float64)
    kinds = {"symbol": pl.String, "ts": pl.String, "date": pl.String} | numbers
    return pl.read_csv(file(name), schema_overrides=kinds, infer_schema_length=10_000)


@functools.cache
def minutes_of(name: str) -> Any:
    """The bars of a file with their date and minute of the day in New York."""
    frame = read(name)
    local = pl.col("ts").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    local = local.dt.convert_time_zone("America/New_York")
    return frame.with_columns(
        date=local.dt.date(), minute=local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A directory with a store that holds one file of history, and the floats; made once each."""

    @functools.cache
    def made(history: str) -> Path:
        directory = tmp_path_factory.mktemp("store")
        store = SqliteReferenceStore(directory / REFERENCE_NAME)
        assert import_history(store, file(history)).bad == 0
        assert import_symbols(store, file(FLOATS)).bad == 0
        store.close()
        return directory

    return made


def played(
    directory: Path, bars: Any, date: datetime.date, until: int, tickers: list[str],
    capacity: int = 256,
) -> Values:  # fmt: skip
    """Every metric of those of these symbols that had a bar, at minute `until` of a date, from its
    bars and what the store in `directory` knows of the days before."""
    rules = directory / "rules.json"
    rules.write_text(json.dumps([{"id": "r", "name": "r", "where": "last > 0"}]), encoding="utf-8")
    for exported in calendar_dir().glob("calendar_*.json"):
        shutil.copy(exported, directory)
    today = bars.filter((pl.col("date") == date) & pl.col("symbol").is_in(tickers))
    kept = directory / "today.csv"
    names = ["ts", "symbol", "open", "high", "low", "close", "volume"]
    today.sort("ts", "symbol").select(names).write_csv(kept)
    told = Config(
        engine=EngineSection(capacity=capacity, interval_ms=60_000),
        bars=BarsSection(grace_ms=0, pool_trades=1 << 14),
        paths=PathsSection(data_dir=str(directory)),
        rules=RulesSection(path=str(rules), max_rules=64),
    )
    builder = Builder(told, "stream", directory, load_compiled_rules(told))
    noon = to_ns(datetime.datetime.combine(date, datetime.time(12), tzinfo=NEW_YORK))
    day = day_of(builder.trading_days(noon, noon), date)
    start_ns, _ = builder.outer_range(day)
    midnight = datetime.datetime.combine(date, datetime.time(0), tzinfo=NEW_YORK)
    end_ns = to_ns(midnight) + until * 60 * 10**9
    genesis = builder.begin_stream(None, day, start_ns)
    tables = allocate(PrivateArena(), sizes_of(told), columns())
    restore(tables, genesis, trades_counted=False)
    harness = Harness(tables, "stream")
    provider = BarsProvider(BarsFile(kept, lambda _: None), start_ns, end_ns)
    ticks = admitted_batches(provider, enumerate(genesis.header.tickers), tables.sizes.capacity)
    harness.run_ticks(ticks, end_ns)
    assert int(tables.cell.heads[harness.n % 4]["t_ns"]) == end_ns
    out, ids = tables.scan.columns[harness.n & 1], {t: s for s, t in tables.names.all()}
    return {
        ticker: {name: float(out[column, ids[ticker]]) for name, column in COLUMN.items()}
        for ticker in tickers
        if ticker in ids
    }


def agree(got: dict[str, float], want: dict[str, float], who: str, rel: float = 1e-9) -> None:
    for name, value in want.items():
        assert got[name] == pytest.approx(value, rel=rel, abs=1e-9, nan_ok=True), f"{name} of {who}"


def number(value: Any) -> float:
    return math.nan if value is None else float(value)


def usual(bars: Any, ticker: str, dates: list, first: int, end: int) -> float:
    """Mean volume of the minutes [first, end) over the dates on which the symbol has a bar."""
    mine = bars.filter((pl.col("symbol") == ticker) & pl.col("date").is_in(dates))
    days = mine["date"].n_unique()
    inside = mine.filter((pl.col("minute") >= first) & (pl.col("minute") < end))["volume"].sum()
    return inside / days if days >= 5 else math.nan


def ratio(volume: float, expected: float, least: float) -> float:
    return volume / expected if expected >= least else math.nan


def check_minutes(bars: Any, date: datetime.date, until: int, ticker: str, got: dict) -> None:
    """Volumes against the usual ones, opening ranges and extremes at minute `until` of a date."""
    dates = sorted(d for d in bars["date"].unique() if d < date)[-20:]
    mine = bars.filter((pl.col("symbol") == ticker) & (pl.col("date") == date))
    mine = mine.filter(pl.col("minute") < until)
    rth = mine.filter((pl.col("minute") >= 570) & (pl.col("minute") < 960))
    want = {
        "vol_all": number(mine["volume"].sum()),
        "rvol_tod": ratio(mine["volume"].sum(), usual(bars, ticker, dates, 240, until), 1000),
        "rvol_tod_rth": ratio(
            rth["volume"].sum(), usual(bars, ticker, dates, 570, min(until, 960)), 1000
        ),
    }
    for length in (1, 5, 10, 15, 30):
        inside = mine.filter(pl.col("minute") >= until - length)["volume"].sum()
        want[f"vol_{length}m"] = float(inside)
        expected = usual(bars, ticker, dates, until - length, until)
        want[f"rvol_{length}m"] = ratio(inside, expected, 100) if until - length >= 240 else (
            math.nan
        )
    agree(got, want, ticker, 1e-3)  # the baseline is of float32: usual volumes of small windows
    for length in (1, 5, 15, 30, 60):
        inside = rth.filter(pl.col("minute") < 570 + length)
        known = until >= 570 + length and len(inside)
        high = number(inside["high"].max()) if known else math.nan
        low = number(inside["low"].min()) if known else math.nan
        agree(got, {f"or{length}_high": high, f"or{length}_low": low}, ticker)
    if len(rth):
        hod, lod = rth["high"].max(), rth["low"].min()
        agree(got, {"hod": hod, "lod": lod, "last": mine["close"][-1]}, ticker)


@pytest.mark.parametrize(
    ("date", "until"),
    [
        (datetime.date(2025, 1, 31), 8 * 60),          # pre-market
        (datetime.date(2025, 1, 31), 9 * 60 + 34),     # the first range is known, others are not
        (datetime.date(2025, 1, 31), 11 * 60 + 7),
        (datetime.date(2025, 1, 31), 17 * 60 + 20),    # after hours
        (datetime.date(2025, 1, 8), 10 * 60 + 31),     # four sessions of history: too few
        (datetime.date(2025, 1, 10), 10 * 60 + 31),    # five, with a holiday before
    ],
)
def test_usual_volumes_and_opening_ranges_of_real_minutes(
    stores: Callable[[str], Path], date: datetime.date, until: int
) -> None:
    bars = minutes_of(MINUTES_2025)
    tickers = sorted(bars["symbol"].unique())[::12]
    found = played(stores(MINUTES_2025), bars, date, until, tickers)
    assert len(found) >= 6
    for ticker, values in found.items():
        check_minutes(bars, date, until, ticker, values)
    known = [v for v in (one["rvol_tod_rth"] for one in found.values()) if not math.isnan(v)]
    assert bool(known) == (until > 570 and date > datetime.date(2025, 1, 8))


def test_thin_symbols_with_many_minutes_missing(stores: Callable[[str], Path]) -> None:
    bars = minutes_of(MINUTES_THIN)
    date, until = datetime.date(2024, 2, 22), 10 * 60 + 44
    tickers = sorted(bars["symbol"].unique())
    found = played(stores(MINUTES_THIN), bars, date, until, tickers)
    for ticker, values in found.items():
        check_minutes(bars, date, until, ticker, values)
    assert any(math.isnan(one["rvol_1m"]) for one in found.values()), "too little is usual"
    assert any(one["rvol_tod"] > 0 for one in found.values())


def closes_of(name: str, ticker: str) -> Any:
    return read(name).filter(pl.col("symbol") == ticker).sort("date")


def test_daily_metrics_of_real_closes_na_among_them(stores: Callable[[str], Path]) -> None:
    date, tickers = datetime.date(2026, 4, 1), ["A", "AAPL", "NA"]
    bars = pl.DataFrame({
        "ts": [f"2026-04-01T13:{m}:00Z" for m in (30, 31) for _ in tickers],
        "symbol": tickers * 2, "open": 3.0, "high": 3.0, "low": 3.0, "close": 3.0, "volume": 500.0,
        "date": [date] * 6,
    })  # fmt: skip
    found = played(stores(DAILY), bars, date, 9 * 60 + 40, tickers, 12_000)
    for ticker in tickers:
        days = closes_of(DAILY, ticker)
        closes, volumes = days["close"].to_list(), days["volume"].to_list()
        by_date = dict(zip(days["date"].to_list(), closes, strict=True))
        # 2026-02-19 and 02-24 are not in the file: four fifths of 20 sessions are enough
        want = {
            "adv_5": np.mean(volumes[-5:]), "adv_10": np.mean(volumes[-10:]),
            "adv_20": np.mean(volumes[-20:]), "adv_63": math.nan, "high_52w": math.nan,
            "rvol_flat": 1000 / np.mean(volumes[-20:]), "pdh": math.nan, "atr14": math.nan,
        }  # fmt: skip
        if found[ticker]["split_suspect"] == 0:
            want |= {
                "prev_close": closes[-1], "chg_pct": 100 * (3 / closes[-1] - 1),
                "chg_5d_pct": 100 * (3 / closes[-5] - 1),
                "chg_20d_pct": 100 * (3 / closes[-20] - 1),
                "wtd_pct": 100 * (3 / by_date["2026-03-27"] - 1),
                "mtd_pct": 100 * (3 / closes[-1] - 1),
                "ytd_pct": 100 * (3 / by_date["2025-12-31"] - 1),
            }  # fmt: skip
            agree(found[ticker], want, ticker)
    assert found["NA"]["split_suspect"] == 0 and found["NA"]["prev_close"] == 2.96
    free = read(FLOATS).filter(pl.col("symbol") == "A")["float"][0]
    assert found["A"]["float"] == pytest.approx(free)


def test_the_split_that_the_daily_history_does_not_know(stores: Callable[[str], Path]) -> None:
    bars = minutes_of(SPLIT_DAYS)
    date, tickers = datetime.date(2025, 11, 14), ["AAPL", "MSFT", "NFLX"]
    found = played(stores(DAILY), bars, date, 10 * 60, tickers, 12_000)
    for ticker in ("AAPL", "MSFT"):
        close = closes_of(DAILY, ticker).filter(pl.col("date") == "2025-11-13")["close"][0]
        last = found[ticker]["last"]
        agree(found[ticker], {"split_suspect": 0, "prev_close": close,
                              "chg_pct": 100 * (last / close - 1)}, ticker)  # fmt: skip
    netflix = found["NFLX"]
    assert netflix["split_suspect"] == 1, "1154.23 yesterday, 114.27 today"
    for name in ("prev_close", "chg_pct", "gap_pct", "chg_2d_pct", "adv_5", "rvol_flat"):
        assert math.isnan(netflix[name]), name
    assert netflix["chg_open_pct"] == pytest.approx(
        100 * (netflix["last"] / netflix["open"] - 1)
    ), "what does not lean on yesterday is known"


def test_an_adjusted_history_agrees_with_adjusted_bars(stores: Callable[[str], Path]) -> None:
    bars, date = minutes_of(SPLIT_DAYS), datetime.date(2025, 11, 14)
    found = played(stores(ADJUSTED), bars, date, 10 * 60, ["NFLX"], 12_000)["NFLX"]
    days = closes_of(ADJUSTED, "NFLX").filter(pl.col("date") < "2025-11-14")
    last, high, low = found["last"], days["high"], days["low"]
    ranges = (high - low).to_list()
    assert "2025-11-04" not in days["date"].to_list(), "one session is missing"
    want = {
        "split_suspect": 0, "prev_close": days["close"][-1], "pdh": high[-1], "pdl": low[-1],
        "pivot": (high[-1] + low[-1] + days["close"][-1]) / 3,
        "dist_pdh_pct": 100 * (last / high[-1] - 1), "adv_63": days["volume"][-62:].mean(),
        "adr20_pct": float(np.mean(100 * (high[-19:] / low[-19:] - 1).to_numpy())),
        "chg_60d_pct": 100 * (last / days["close"][-59] - 1),
        "nr7": float(ranges[-1] < min(ranges[-7:-1])),
        "inside_day": float(high[-1] <= high[-2] and low[-1] >= low[-2]),
        "high_52w": math.nan, "chg_250d_pct": math.nan,
    }  # fmt: skip
    lows = low.to_list()[::-1][:7]  # since the missing session
    lower = [ago for ago, price in enumerate(lows, 1) if price < last]
    want |= {"days_since_higher": 1, "days_since_lower": lower[0] if lower else math.nan}
    agree(found, want, "NFLX")
    talib = pytest.importorskip("talib", reason="TA-Lib is not installed")
    close = days["close"].to_numpy()
    atr = talib.ATR(high.to_numpy(), low.to_numpy(), close, 14)[-1]
    assert found["atr14"] == pytest.approx(atr, rel=1e-9)
