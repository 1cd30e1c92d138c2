"""Daily indicators through a whole stream: from the reference data into the columns of rules."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import talib

from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.domain.family import DAILY_PLACE, KEPT_CLOSES
from engine.domain.frame_table import MARK_SHIFT
from engine.domain.tables import allocate
from engine.families.step_nb import FILL_CLOSES, FILL_RANGES
from engine.feeds.registry import open_provider
from engine.feeds.stage import FeedStage
from engine.indicators.timeframes import enter_daily
from engine.metrics.registry import COLUMNS, resolve
from engine.reference.book import empty_book
from engine.reference.levels import Days, adjusted, indicator_days
from engine.replay.builder import columns, load_compiled_rules
from engine.replay.genesis import Genesis, restore
from engine.replay.harness import Harness
from engine.replay.inform import informed
from engine.replay.tape import TapeReader
from engine.storage.reference_ports import DAILY, DailyBar, Split
from engine.storage.reference_sqlite import REFERENCE_NAME, SqliteReferenceStore
from shm.arena import PrivateArena
from tests.families.player import FamilyPlayer
from tests.replay.market import Run, drive
from tests.replay.test_reference import RECORDING, genesis_of, told

FAMILIES = {
    "ema(20,D)": lambda d: talib.EMA(d["close"], 20),
    "sma(50,D)": lambda d: talib.SMA(d["close"], 50),
    "sma(200,D)": lambda d: talib.SMA(d["close"], 200),
    "rsi(14,D)": lambda d: talib.RSI(d["close"], 14),
    "highest(high,20,D)": lambda d: talib.MAX(d["high"], 20),
    "lowest(low,20,D)": lambda d: talib.MIN(d["low"], 20),
    "highest(close,60,D)": lambda d: talib.MAX(d["close"], 60),
    "atr(14,D)": lambda d: talib.ATR(d["high"], d["low"], d["close"], 14),
    "avg(volume,20,D)": lambda d: talib.SMA(d["volume"], 20),
}
RULE = {
    "id": "d", "name": "Daily", "cooldown_sec": 600,
    "where": "last > 0 and (" + " or ".join(f"{name} > 0" for name in FAMILIES) + ")",
}  # fmt: skip
LENGTHS = {"AIG": 250, "BAC": 120, "IBM": 400, "SPY": 30}
SPLIT = Split(ticker="IBM", date=20130701, ratio=2.0)


def sessions(count: int) -> list[int]:
    """So many dates before 2013-10-08, weekdays."""
    days = np.arange(np.datetime64("2011-06-01"), np.datetime64("2013-10-08"))
    dates = [int(str(day).replace("-", "")) for day in days if np.is_busday(day)]
    return dates[-count:]


def made_up(ticker: str, count: int, close: float) -> list[DailyBar]:
    """As traded: before a split prices are higher."""
    rng = np.random.default_rng(len(ticker) + count)
    prices = close * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    found = []
    for date, price in zip(sessions(count), prices.tolist(), strict=True):
        old = SPLIT.ratio if ticker == SPLIT.ticker and date < SPLIT.date else 1.0
        high, low = price * (1 + rng.random() / 50), price * (1 - rng.random() / 50)
        found.append(DailyBar(
            ticker=ticker, date=date, open=price * old, high=high * old, low=low * old,
            close=price * old, volume=float(rng.integers(1e5, 1e6)) / old,
        ))  # fmt: skip
    return found


def table(bars: list[DailyBar], splits: list[Split]) -> np.ndarray:
    rows = [(b.date, b.open, b.high, b.low, b.close, b.volume) for b in bars]
    return adjusted(np.array(rows, DAILY), splits, 20131008)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not RECORDING.is_file():
        pytest.skip(f"the recording {RECORDING.name} is not bundled")
    directory = tmp_path_factory.mktemp("daily")
    store = SqliteReferenceStore(directory / REFERENCE_NAME)
    for ticker, count in LENGTHS.items():
        store.put_daily(made_up(ticker, count, 50.0))
    store.put_splits([SPLIT])
    store.close()
    (directory / "rules.json").write_text(json.dumps([RULE]), encoding="utf-8")
    return directory


def expected(ticker: str, name: str) -> float:
    """TA-Lib's value of yesterday from the bars that are kept."""
    kept = FILL_RANGES if name.startswith("atr") else FILL_CLOSES
    bars = table(made_up(ticker, LENGTHS[ticker], 50.0), [SPLIT] if ticker == "IBM" else [])
    return float(FAMILIES[name](bars[-kept:])[-1])


def early(place: Path) -> Config:
    """From before the first trade on: every symbol is admitted while the stream runs."""
    return told(place, start="2013-10-08T04:00:00-04:00", end="2013-10-08T09:45:00-04:00")


def late(place: Path) -> Config:
    """From a time on at which every symbol has traded."""
    return told(place, start="2013-10-08T09:40:00-04:00", end="2013-10-08T09:45:00-04:00")


def recorded(config: Config, genesis: Genesis, tape: Path, workers: int) -> Run:
    """A stream of the recording, with its tape."""
    sizes = dataclasses.replace(sizes_of(config), workers=workers, pool_trades=1 << 16)
    tables = allocate(PrivateArena(), sizes, columns())
    restore(tables, genesis)
    run = Run(tables, genesis, tape)
    provider = open_provider(config, genesis.header.start_ns, genesis.header.end_ns)
    feed = FeedStage(tables.ticks.rings[0], tables.feed_names[0], provider, 0.0, lambda: 0)
    assert drive(run, feed)
    run.writer.close()
    return run


def shown(config: Config, harness: Harness) -> dict[str, dict[str, float]]:
    """By ticker and family the value in the columns of the newest cycle."""
    families = load_compiled_rules(config).program.families
    slots = dict(zip(families.names, families.slot.tolist(), strict=True))
    values = harness.tables.scan.columns[harness.n & 1]
    return {
        ticker: {name: float(values[COLUMNS + slots[resolve(name).name], at]) for name in FAMILIES}
        for at, ticker in harness.tables.names.all()
    }


@pytest.mark.parametrize("begin", [early, late])
def test_daily_indicators_are_those_of_the_bars_up_to_yesterday(
    place: Path, tmp_path: Path, begin
) -> None:
    config = begin(place)
    genesis = genesis_of(config)
    assert len(genesis.header.tickers) == (4 if begin is late else 0)
    run = recorded(config, genesis, tmp_path / "tape", 2)
    found = shown(config, run)
    assert set(found) == set(LENGTHS)
    for ticker, values in found.items():
        for name, value in values.items():
            assert value == pytest.approx(expected(ticker, name), rel=1e-9, nan_ok=True), (
                ticker, name,
            )  # fmt: skip
    unknown = {ticker: sum(map(np.isnan, values.values())) for ticker, values in found.items()}
    assert unknown == {"AIG": 0, "BAC": 1, "IBM": 0, "SPY": 3}
    assert {json.loads(alert)["symbol"] for alert in run.alerts} == set(LENGTHS)


def test_a_tape_with_symbols_admitted_during_the_day_replays_to_the_same_bytes(
    place: Path, tmp_path: Path
) -> None:
    config = early(place)
    genesis = genesis_of(config)
    runs = [recorded(config, genesis, tmp_path / f"{n}.tape", n) for n in (1, 2, 3)]
    assert runs[0].alerts and all(run.alerts == runs[0].alerts for run in runs)
    for workers in (1, 2, 3):
        sizes = dataclasses.replace(sizes_of(config), workers=workers, pool_trades=1 << 16)
        tables = allocate(PrivateArena(), sizes, columns())
        restore(tables, genesis)
        alerts: list[bytes] = []
        harness = Harness(
            tables, genesis.header.stream_id,
            lambda cycle, kept=alerts: kept.extend(one.document for one in cycle.alerts),
        )  # fmt: skip
        with TapeReader(tmp_path / f"{4 - workers}.tape") as reader:
            assert harness.run_tape(reader.blocks())
        assert alerts == runs[0].alerts
        np.testing.assert_equal(shown(config, harness), shown(config, runs[0]))


def test_admissions_entered_again_after_a_kill_give_the_same_bars(place: Path) -> None:
    config = early(place)
    genesis = genesis_of(config)
    sizes = dataclasses.replace(sizes_of(config), workers=2, pool_trades=1 << 16)
    found = []
    for killed in (False, True):
        tables = allocate(PrivateArena(), sizes, columns())
        restore(tables, genesis)
        harness = Harness(tables, "stream")
        if killed:
            step = harness.indicators.step

            def twice(n: int, step=step, tables=tables, harness=harness) -> None:
                """Die right before the flip, once: what the other copy holds is built again."""
                word = tables.indicators.words[0]
                step(n)
                tables.indicators.words[0] = word
                harness.indicators.recover()
                step(n)

            harness.indicators.step = twice
        provider = open_provider(config, genesis.header.start_ns, genesis.header.end_ns)
        feed = FeedStage(tables.ticks.rings[0], tables.feed_names[0], provider, 0.0, lambda: 0)
        assert drive(harness, feed)
        frames = tables.frames
        assert (frames.marks[:, DAILY_PLACE] >> MARK_SHIFT).max() == KEPT_CLOSES
        found.append([
            array.copy() for array in (
                frames.marks, frames.closes[DAILY_PLACE], frames.ranges[DAILY_PLACE],
                tables.scan.columns,
            )
        ])  # fmt: skip
    for once, again in zip(*found, strict=True):
        np.testing.assert_array_equal(once, again)


def test_bars_of_a_day_before_do_not_stay_when_the_new_book_has_none(place: Path) -> None:
    config = late(place)
    genesis = genesis_of(config)
    marks = genesis.arrays["frame_marks"][DAILY_PLACE]
    assert (marks >> MARK_SHIFT).tolist() == [250, 120, 256, 30]
    arrays = informed(genesis.header.tickers, genesis.arrays, empty_book())
    assert not arrays["frame_marks"][DAILY_PLACE].any()
    assert not arrays["frame_closes"][DAILY_PLACE].any() and not arrays["book_daily_marks"].any()


def test_what_closes_alone_do_not_tell_is_unknown() -> None:
    of_closes = ["ema(20, D)", "sma(50, D)", "rsi(14, D)", "macd(12, 26, 9, D)"]
    of_more = [
        "atr(14, D)", "adx(14, D)", "plus_di(14, D)", "supertrend(10, 3, D)",
        "supertrend_dir(10, 3, D)", "highest(high, 20, D)", "lowest(low, 20, D)",
        "sum(volume, 5, D)", "vwma(10, D)", "cci(20, D)", "mfi(14, D)", "williams_r(14, D)",
        "stoch_k(14, 3, 3, D)",
    ]  # fmt: skip
    bars = table(made_up("AIG", 100, 50.0), [])
    for name in ("high", "low", "volume"):
        bars[name] = np.nan
    player = FamilyPlayer([*of_closes, *of_more], 1)
    frames = player.tables.frames
    arrays = {
        "frame_closes": frames.closes, "frame_ranges": frames.ranges,
        "frame_marks": frames.marks[0],
    }  # fmt: skip
    enter_daily(arrays, np.array([0]), [bars])
    frames.marks[1] = frames.marks[0]
    player.step([])
    assert not any(np.isnan(player.family(name)) for name in of_closes)
    assert all(np.isnan(player.family(name)) for name in of_more)


def test_only_a_history_that_reaches_to_yesterday_and_has_few_holes_counts() -> None:
    dates = np.array(sessions(300))
    days = Days(20131008, dates)
    bars = table(made_up("AIG", 300, 50.0), [])
    assert np.array_equal(indicator_days(bars, days), bars[-KEPT_CLOSES:])
    assert len(indicator_days(bars[:-1], days)) == 0
    assert len(indicator_days(np.delete(bars, np.s_[-60:-5]), days)) == 245
    assert len(indicator_days(np.delete(bars[-100:], np.s_[-60:-5]), days)) == 0
    holes = bars.copy()
    holes["high"][-30] = np.nan
    assert np.array_equal(indicator_days(holes, days), bars[-29:])
    holes["high"][-1] = np.nan
    kept = indicator_days(holes, days)
    assert len(kept) == KEPT_CLOSES and np.isnan(kept["high"]).all()
    assert np.array_equal(kept["close"], bars["close"][-KEPT_CLOSES:])
