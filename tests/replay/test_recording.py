"""The bundled recording through the engine: every minute's volume; backtests on real files."""

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.domain.tables import allocate
from engine.errors import EngineError
from engine.feeds.admit import admitted_batches
from engine.feeds.registry import open_provider
from engine.replay.backtest import BacktestError, backtest_trades
from engine.replay.builder import Builder, columns, load_compiled_rules
from engine.replay.genesis import restore
from engine.replay.harness import TO_THE_END, Harness
from engine.replay.history_bars import HistoryBars
from engine.replay.recorder import bar_rows
from engine.storage.sqlite import SqliteBarReader, SqliteBarStore
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
    volumes,
)

SAMPLES = os.environ.get("TAPESCAN_SAMPLES", "")
HEADER = "ts_ns,symbol,price,size,conditions,exchange\n"
DAY = MIDNIGHT[8] + 10 * HOUR
RULES = [
    {"id": "any", "name": "Trades", "cooldown_sec": 5,
     "conditions": [{"metric": "last", "op": ">", "value": 1}]},
    {"id": "up", "name": "Up", "cooldown_sec": 2,
     "conditions": [{"metric": "chg_5s_pct", "op": ">", "value": 0.1}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def table() -> Any:
    return trades()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteBarReader]:
    """Bars of both days as the engine stores them: yesterday before the stream, today by it."""
    path = tmp_path_factory.mktemp("bars") / "bars.db"
    store = SqliteBarStore(path)
    told, history = demo(10_000), HistoryBars()
    builder = Builder(
        told, "stream", calendar_dir(), load_compiled_rules(told), on_bars=history.take
    )
    genesis = builder.build()
    assert history.store(store, "stream") > 2000
    tables = allocate(PrivateArena(), sizes_of(told), columns())
    restore(tables, genesis)
    harness = Harness(tables, "stream", scan=False)

    def keep(events: np.ndarray) -> None:
        store.upsert(bar_rows(tables, "stream", events))

    harness.on_bars = keep
    known = enumerate(genesis.header.tickers)
    harness.run_ticks(admitted_batches(open_provider(told, START, None), known, 64), TO_THE_END)
    store.close()
    reader = SqliteBarReader(path)
    yield reader
    reader.close()


def test_volume_of_every_minute_of_both_days_equals_a_query(
    stored: SqliteBarReader, table: Any
) -> None:
    want = volumes(table)
    got = {(bar.symbol, bar.minute_ns): bar.volume for bar in stored.volumes(0, 1 << 62)}
    assert {key for key in got if got[key] != want.get(key)} == set()
    assert got == want
    assert sum(want.values()) > 3e8
    assert len({minute for _, minute in want}) > 1500


def test_prices_of_every_minute_of_both_days_equal_a_query(
    stored: SqliteBarReader, table: Any
) -> None:
    """Where a minute has prices that count only as the first of a session, bars may know more."""
    rare = pl.col("conditions").str.contains("Sold|OutOfSequence|DerivativelyPriced|PriorReference")
    mixed = set(table.filter(rare).select("symbol", "minute").iter_rows())
    want = {
        (symbol, minute): tuple(prices)
        for symbol, minute, *prices in table.filter(pl.col("price_ok"))
        .group_by("symbol", "minute")
        .agg(
            pl.col("price").first().alias("open"), pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"), pl.col("price").last().alias("close"),
        ).iter_rows()
        if (symbol, minute) not in mixed
    }  # fmt: skip
    assert len(want) > 3000
    got = {}
    for ticker in TICKERS:
        for bar in stored.range(ticker, 0, 1 << 62):
            got[ticker, bar.minute_ns] = (bar.open, bar.high, bar.low, bar.close)
    wrong = {key: (got.get(key), prices) for key, prices in want.items() if got.get(key) != prices}
    assert wrong == {}


def test_a_minute_with_volume_but_no_price_is_in_the_store_without_prices(
    stored: SqliteBarReader, table: Any
) -> None:
    minutes = table.group_by("symbol", "minute").agg(
        pl.col("volume_ok").any(), pl.col("price_ok").any()
    )
    only = minutes.filter(pl.col("volume_ok") & ~pl.col("price_ok"))
    found = 0
    for symbol, minute, *_ in only.iter_rows():
        (bar,) = stored.range(symbol, minute, minute + MINUTE)
        assert bar.volume > 0
        found += bool(np.isnan(bar.close))
    assert found > 0


def test_the_trades_of_yesterday_belong_to_the_new_stream_and_may_be_revised(
    stored: SqliteBarReader,
) -> None:
    before = [bar for ticker in TICKERS for bar in stored.range(ticker, 0, START - MINUTE)]
    assert {bar.n for bar in before} == {0}
    assert {bar.stream_id for bar in before} == {"stream"}
    assert all(bar.n > 0 for bar in stored.range("SPY", START, 1 << 62))


# -- backtests on files --------------------------------------------------------------------------
def told(place: Path, file: Path, interval_ms: int = 1000) -> Config:
    rules = place / "rules.json"
    if not rules.exists():
        rules.write_text(json.dumps(RULES))
    config = demo(interval_ms, trades=str(file), history_dates=[], start="", end="")
    paths = msgspec.structs.replace(config.paths, data_dir=str(calendar_dir()))
    return msgspec.structs.replace(
        config, paths=paths, rules=msgspec.structs.replace(config.rules, path=str(rules))
    )


def rows(count: int, tickers: tuple[str, ...] = ("NA", "NAN", "AAA")) -> list[str]:
    chance = np.random.default_rng(5)
    prices = {ticker: 10.0 + place for place, ticker in enumerate(tickers)}
    found = []
    for at in range(count):
        ticker = tickers[int(chance.integers(len(tickers)))]
        prices[ticker] = round(prices[ticker] * (1 + 0.004 * float(chance.normal())), 2)
        found.append(f"{DAY + at * 137_000_000},{ticker},{prices[ticker]},{100 + at % 7},,Q")
    return found


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_same_file_gives_the_same_bytes_and_na_and_nan_are_tickers(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(HEADER + "\n".join(rows(3000)) + "\n")
    outs = [tmp_path / "first.jsonl", tmp_path / "second.jsonl"]
    first, second = (backtest_trades(told(tmp_path, file), file, out) for out in outs)
    assert first == second
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert {alert["symbol"] for alert in lines_of(outs[0])} == {"NA", "NAN", "AAA"}
    assert first.alerts == len(lines_of(outs[0])) > 50
    keys = [(alert["n"], alert["rule_id"], alert["symbol"]) for alert in lines_of(outs[0])]
    assert keys == sorted(keys)


def test_the_stream_id_comes_from_the_bytes_of_the_file(tmp_path: Path) -> None:
    text = HEADER + "\n".join(rows(300)) + "\n"
    plain, moved, packed = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.csv.gz"
    plain.write_text(text)
    moved.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    ids = [
        backtest_trades(told(tmp_path, file), file, tmp_path / "out").stream_id
        for file in (plain, moved, packed)
    ]
    assert ids[0] == ids[1] != ids[2]
    assert all(stream_id.startswith("trades-") for stream_id in ids)


def test_a_backtest_that_fails_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(HEADER + "\n".join(rows(20)) + "\n")
    with pytest.raises(BacktestError, match=r"absent/out\.jsonl cannot be written: No such file"):
        backtest_trades(told(tmp_path, file), file, tmp_path / "absent" / "out.jsonl")
    (tmp_path / "rules.json").write_text("[")
    with pytest.raises(EngineError):
        backtest_trades(told(tmp_path, file), file, tmp_path / "out.jsonl")
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("out")]


@pytest.mark.soak
def test_a_backtest_over_the_whole_recording_ends_and_fires_on_both_days(
    tmp_path: Path, soak: bool
) -> None:
    out = tmp_path / "out.jsonl"
    done = backtest_trades(told(tmp_path, RECORDING, 1000 if soak else 60_000), RECORDING, out)
    alerts = lines_of(out)
    days = {alert["scan_ts"][:10] for alert in alerts}
    assert done.ended
    assert {"2013-10-07", "2013-10-08"} <= days
    assert {alert["symbol"] for alert in alerts} == set(TICKERS)
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)


def test_a_backtest_over_a_sample_of_taq_data_ends(tmp_path: Path) -> None:
    file = Path(SAMPLES) / "trades_taq_xxx_20180102.csv.gz"
    if not SAMPLES or not file.is_file():
        pytest.skip("TAPESCAN_SAMPLES names no directory with trades_taq_xxx_20180102.csv.gz")
    outs = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    first, second = (backtest_trades(told(tmp_path, file, 10_000), file, out) for out in outs)
    assert first.sha256 == second.sha256
    assert {alert["symbol"] for alert in lines_of(outs[0])} == {"XXX"}


# -- bad rows ------------------------------------------------------------------------------------
STAMP = str(DAY + 1)
BAD_ROWS = [
    "",  # the only one that is nothing: an empty line
    "no comma at all",
    f"{STAMP},AAA,10.0",
    f"{STAMP},AAA,10.0,100,,Q,one too many",
    f"{STAMP}.5,AAA,10.0,100,,Q",
    f"x{STAMP},AAA,10.0,100,,Q",
    ",AAA,10.0,100,,Q",
    "99999999999999999999999,AAA,10.0,100,,Q",
    f"{STAMP},AAA,,100,,Q",
    f"{STAMP},AAA,ten,100,,Q",
    f"{STAMP},AAA,nan,100,,Q",
    f"{STAMP},AAA,inf,100,,Q",
    f"{STAMP},AAA,0,100,,Q",
    f"{STAMP},AAA,-10.0,100,,Q",
    f"{STAMP},AAA,10.0,,,Q",
    f"{STAMP},AAA,10.0,-1,,Q",
    f"{STAMP},AAA,10.0,many,,Q",
    f"{STAMP},AAA,1_0.0,100,,Q",
    f"{STAMP},,10.0,100,,Q",
    f"{STAMP},{'A' * 25},10.0,100,,Q",
    f"{STAMP},AA\tA,10.0,100,,Q",
    f'{STAMP},"AAA,10.0,100,,Q',
]


def test_malformed_rows_are_counted_named_by_line_and_change_nothing(tmp_path: Path) -> None:
    good = rows(600)
    mixed, at_line = [], []
    for place, row in enumerate(good):
        if place % 25 == 3 and place // 25 < len(BAD_ROWS):
            mixed.append(BAD_ROWS[place // 25])
            at_line.append(1 + len(mixed))
        mixed.append(row)
    assert len(at_line) == len(BAD_ROWS) > 20
    clean, dirty = tmp_path / "clean.csv", tmp_path / "dirty.csv"
    clean.write_text(HEADER + "\n".join(good) + "\n")
    dirty.write_text(HEADER + "\n".join(mixed) + "\n")
    said: list[str] = []
    backtest_trades(told(tmp_path, clean), clean, tmp_path / "clean.jsonl")
    backtest_trades(told(tmp_path, dirty), dirty, tmp_path / "dirty.jsonl", said.append)
    assert [sentence.split(":")[0] for sentence in said] == [
        f"{dirty} line {line}" for line in at_line[1:]
    ]
    assert all(sentence.endswith("; the row is left out.") for sentence in said)
    ours = ("alert_id", "stream_id", "trace_id")
    results = [
        [{key: value for key, value in alert.items() if key not in ours} for alert in lines_of(out)]
        for out in (tmp_path / "clean.jsonl", tmp_path / "dirty.jsonl")
    ]
    assert results[0] == results[1]
    assert len(results[0]) > 20
