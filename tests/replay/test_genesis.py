"""Genesis: the state after history and pre-market, the same for every number of workers."""

import hashlib
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.config.sizes import sizes_of
from engine.domain import records
from engine.domain.sizes import Sizes
from engine.domain.tables import EngineTables, allocate
from engine.feeds.admit import admitted_batches
from engine.feeds.registry import open_provider
from engine.metrics.registry import COLUMN
from engine.replay.builder import Builder, alert_config, columns, load_compiled_rules
from engine.replay.genesis import (
    Genesis,
    GenesisError,
    decode,
    encode,
    load,
    restore,
    snapshot,
)
from engine.replay.harness import Harness
from engine.scan.cooldown import export_cooldowns
from shm.arena import PrivateArena
from tests.replay.market import calendar_dir
from tests.replay.recording import (
    HOUR,
    MIDNIGHT,
    MINUTE,
    RECORDING,
    START,
    TICKERS,
    demo,
    pl,
    trades,
)

INTERVAL_NS = 100_000_000
START_TIME = datetime.fromtimestamp(START // 1_000_000_000, UTC)


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    told = demo(100)
    return Builder(told, "stream", calendar_dir(), load_compiled_rules(told)).build()


@pytest.fixture(scope="module")
def table() -> Any:
    return trades()


def tables_for(genesis: Genesis, workers: int = 1, capacity: int = 64) -> EngineTables:
    sizes = Sizes(capacity=capacity, workers=workers, pool_trades=1 << 12)
    tables = allocate(PrivateArena(), sizes, columns())
    restore(tables, genesis)
    return tables


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name, array in first.items():
        if array.dtype.names is None:
            np.testing.assert_array_equal(array, second[name], err_msg=name)
        else:
            assert array.tobytes() == second[name].tobytes(), name


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_restore_gives_every_ticker_the_state_it_had(genesis: Genesis, workers: int) -> None:
    tables = tables_for(genesis, workers)
    tickers, arrays = snapshot(tables)
    assert tickers == genesis.header.tickers == TICKERS
    kept = {
        name: array
        for name, array in genesis.arrays.items()
        if name != "head" and not name.startswith("book_")
    }
    kept["rows"] = kept["rows"].copy()
    order = np.lexsort((kept["bar_symbols"], kept["bars"]["minute"]))
    now = {name: array for name, array in arrays.items() if name != "head"}
    again = np.lexsort((now["bar_symbols"], now["bars"]["minute"]))
    for arrays_of, index in ((kept, order), (now, again)):
        arrays_of["bars"] = arrays_of["bars"][index]
        arrays_of["bar_symbols"] = arrays_of["bar_symbols"][index]
    for stamp, column in (("second_stamp", "second_price"), ("minute_stamp", "minute_price"),
                          ("session_stamp", "session_volume"),
                          ("trades_stamp", "second_trades")):  # fmt: skip
        for arrays_of in (kept, now):
            place = np.argsort(arrays_of[stamp])
            arrays_of[stamp], arrays_of[column] = arrays_of[stamp][place], arrays_of[column][place]
            if column == "second_price":
                arrays_of["second_volume"] = arrays_of["second_volume"][place]
    same(kept, now)
    head = tables.cell.heads[0]
    assert int(head["t_ns"]) == START
    assert int(head["n"]) == int(head["tick_end"].sum()) == int(head["bar_tail"]) == 0
    assert int(head["symbol_count"].sum()) == 4


def test_what_is_encoded_is_decoded_again(genesis: Genesis, tmp_path: Path) -> None:
    again = decode(encode(genesis), tmp_path)
    assert again.header == genesis.header
    assert again.rules == genesis.rules
    same(again.arrays, genesis.arrays)


def test_building_twice_gives_the_same_state(genesis: Genesis) -> None:
    told = demo(100)
    again = Builder(told, "stream", calendar_dir(), load_compiled_rules(told)).build()
    same(again.arrays, genesis.arrays)
    assert again.header == genesis.header


def test_a_damaged_genesis_file_is_refused_in_one_sentence(
    genesis: Genesis, tmp_path: Path
) -> None:
    path = tmp_path / "genesis.bin"
    content = encode(genesis)
    sha256 = hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    assert load(path, sha256).header == genesis.header
    with pytest.raises(GenesisError, match="is not the one its tape was recorded with"):
        load(path, "0" * 64)
    for cut in (0, 5, 30, 400, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(GenesisError, match="genesis"):
            load(path, sha256)
        with pytest.raises(GenesisError, match=r"is damaged|is not a genesis file"):
            load(path)
    chance = np.random.default_rng(1)
    for at in chance.integers(0, len(content), 40):
        broken = bytearray(content)
        broken[at] ^= 0xFF
        path.write_bytes(broken)
        with pytest.raises(GenesisError, match="is not the one its tape was recorded with"):
            load(path, sha256)
    with pytest.raises(GenesisError, match="cannot be read: No such file"):
        load(tmp_path / "absent")
    path.write_bytes(b"TAPESCAN-GENESIS-1\n" + content[19:])
    with pytest.raises(GenesisError, match="is a genesis file in format 1, but this version of"):
        load(path)


def test_a_genesis_with_more_symbols_than_capacity_is_refused(genesis: Genesis) -> None:
    with pytest.raises(GenesisError, match=r"holds 4 symbols, but engine\.capacity is 3"):
        tables_for(genesis, capacity=3)


def test_yesterdays_close_is_the_largest_closing_record(genesis: Genesis) -> None:
    """As published: the last regular trades were 48.72, 13.80, 182.00 and 167.45."""
    official = pl.read_csv(RECORDING, schema_overrides={"conditions": pl.String})
    official = official.filter(
        pl.col("conditions").str.contains("ClosingPrints|OfficialClose")
        & (pl.col("ts_ns") < 1_381_190_000_000_000_000)
    ).sort("size")
    closes = {row["symbol"]: row["price"] for row in official.iter_rows(named=True)}
    assert closes == {"AIG": 48.73, "BAC": 13.81, "IBM": 182.01, "SPY": 167.42}
    found = genesis.arrays["reference"]["prev_close"].tolist()
    assert dict(zip(TICKERS, found, strict=True)) == closes
    assert np.isnan(genesis.arrays["reference"]["atr14_day"]).all(), "no daily bars, so unknown"


@pytest.mark.parametrize(("day", "known"), [("2013-10-01", False), ("2013-10-07", True)])
def test_a_close_older_than_yesterdays_is_not_yesterdays(
    tmp_path: Path, day: str, known: bool
) -> None:
    path = tmp_path / "trades.csv"
    rows = [(datetime.fromisoformat(f"{day}T10:00:00-04:00"), 10), (START_TIME, 20)]
    lines = [f"{round(when.timestamp())}000000000,AAA,{price},100\n" for when, price in rows]
    path.write_text("ts_ns,symbol,price,size\n" + "".join(lines))
    told = demo(100, history_dates=[day], trades=str(path))
    made = Builder(told, "stream", calendar_dir(), load_compiled_rules(told)).build()
    assert made.header.tickers == ["AAA"]
    close = made.arrays["reference"]["prev_close"][0]
    assert close == 10 if known else np.isnan(close)


def test_another_recording_under_the_same_name_is_another_input(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("ts_ns,symbol,price,size\n1,AAA,10,100\n")
    told = demo(100, trades=str(path))
    before = alert_config(told)
    assert alert_config(told) == before
    path.write_text("ts_ns,symbol,price,size\n1,AAA,11,100\n")
    assert alert_config(told) != before


def test_the_session_so_far_equals_a_query_over_it(genesis: Genesis, table: Any) -> None:
    seen = table.filter((pl.col("day") == 8) & (pl.col("ts_ns") < START) & pl.col("volume_ok"))
    rows = genesis.arrays["rows"]
    for place, ticker in enumerate(TICKERS):
        mine = seen.filter(pl.col("symbol") == ticker)
        priced = mine.filter(pl.col("price_ok"))
        row = rows[place]
        assert row["volume"].tolist() == [mine["size"].sum(), 0, 0]
        assert row["cumulative_volume"] == mine["size"].sum()
        assert row["trades"].tolist() == [len(mine), 0, 0]
        assert row["pv"][0] == pytest.approx((mine["price"] * mine["size"]).sum(), rel=1e-12)
        assert row["high"][0] == priced["price"].max()
        assert row["low"][0] == priced["price"].min()
        assert row["last"] == priced["price"][-1]
        assert row["last_event_ns"] == priced["ts_ns"][-1]


def test_bar_history_holds_the_last_minutes_of_both_days(genesis: Genesis, table: Any) -> None:
    bars, symbols = genesis.arrays["bars"], genesis.arrays["bar_symbols"]
    priced = table.filter(pl.col("price_ok") & (pl.col("minute") < START - MINUTE))
    for place, ticker in enumerate(TICKERS):
        mine = bars[symbols == place]
        mine = mine[np.argsort(mine["minute"])]
        assert (np.diff(mine["minute"]) > 0).all()
        closes = {
            minute // MINUTE: close
            for minute, close in priced.filter(pl.col("symbol") == ticker)
            .group_by("minute").agg(pl.col("price").last()).iter_rows()
        }  # fmt: skip
        for bar in mine:
            if not math.isnan(bar["close"]):
                assert bar["close"] == closes[int(bar["minute"])], ticker
        assert mine["minute"][-1] == max(closes)


def first_cycles(genesis: Genesis, count: int, workers: int = 2) -> Harness:
    tables = tables_for(genesis, workers)
    harness = Harness(tables, "stream")
    provider = open_provider(demo(100), START, None)
    known = enumerate(genesis.header.tickers)
    batches = admitted_batches(provider, known, 64, limit=64)
    ring = tables.ticks.rings[0]
    while harness.n < count:
        harness.push(ring, next(batches))
        while harness.n < count and (decision := harness.bars.decide_replay()) is not None:
            harness.cycle(decision)
    return harness


@pytest.mark.parametrize(("metric", "seconds"), [
    ("chg_5s_pct", 5), ("chg_30s_pct", 30), ("chg_1m_pct", 60), ("chg_5m_pct", 300),
    ("chg_15m_pct", 900), ("chg_30m_pct", 1800),
])  # fmt: skip
def test_changes_look_back_across_the_start_of_the_stream(
    genesis: Genesis, table: Any, metric: str, seconds: int
) -> None:
    harness = first_cycles(genesis, 1)
    t_ns = START + INTERVAL_NS
    assert int(harness.bars.head["t_ns"]) == t_ns
    day = table.filter((pl.col("day") == 8) & pl.col("price_ok"))
    for symbol, ticker in harness.tables.names.all():
        mine = day.filter(pl.col("symbol") == ticker)
        last = mine.filter(pl.col("ts_ns") <= t_ns)["price"][-1]
        before = mine.filter(pl.col("ts_ns") <= START - seconds * records.NS_PER_SECOND)["price"]
        want = 100 * (last / before[-1] - 1) if len(before) else math.nan
        got = harness.tables.scan.columns[1, COLUMN[metric], symbol]
        assert got == pytest.approx(want, rel=1e-9, abs=1e-12, nan_ok=True), ticker
        if ticker == "SPY":
            assert not math.isnan(got), "SPY traded all the morning"


def test_the_first_minute_of_the_stream_closes_with_the_trades_before_it(
    genesis: Genesis, table: Any
) -> None:
    """The minute 09:27 is open at the start: its bar holds trades from before the stream."""
    harness = first_cycles(genesis, 6)
    minute = START // MINUTE - 1
    want = table.filter((pl.col("minute") == minute * MINUTE) & pl.col("volume_ok"))
    history = harness.tables.history.bars[minute % harness.tables.sizes.history_bars]
    for symbol, ticker in harness.tables.names.all():
        volume = want.filter(pl.col("symbol") == ticker)["size"].sum()
        bar = history[symbol]
        if volume:
            assert bar["minute"] == minute, ticker
            assert bar["volume"] == volume, ticker


def test_a_start_within_a_second_leaves_no_trade_out(table: Any) -> None:
    told = demo(100, history_dates=[], start="2013-10-08T09:29:59.700-04:00")
    builder = Builder(told, "stream", calendar_dir(), load_compiled_rules(told))
    start = START + 2 * MINUTE - 3 * INTERVAL_NS
    assert builder.span.start_ns == start
    made = builder.build()
    assert made.header.start_ns == start
    seen = table.filter((pl.col("day") == 8) & (pl.col("ts_ns") < start) & pl.col("volume_ok"))
    for place, ticker in enumerate(made.header.tickers):
        want = seen.filter(pl.col("symbol") == ticker)["size"].sum()
        assert made.arrays["rows"]["volume"][place].sum() == want


def test_a_genesis_without_history_begins_with_the_first_record(tmp_path: Path) -> None:
    told = demo(1000, history_dates=[], start="")
    builder = Builder(told, "stream", calendar_dir(), load_compiled_rules(told))
    assert builder.span.start_ns == MIDNIGHT[7] + 4 * HOUR
    made = builder.build()
    assert made.header.tickers == []
    tables = allocate(PrivateArena(), sizes_of(told), columns())
    restore(tables, made)
    assert tables.cell.cells.published() == 0
    assert len(export_cooldowns(tables, np.arange(0))) == 0
