"""What one session date leaves to the next: every symbol with its own state, wherever it lies."""

import dataclasses
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bars.layout import R_SEEN
from engine.config.sizes import sizes_of
from engine.domain import records
from engine.domain.tables import EngineTables, allocate
from engine.replay.backtest import backtest_trades
from engine.replay.builder import columns
from engine.replay.carry import begin_date, session_of
from engine.replay.genesis import Genesis, restore, snapshot
from shm.arena import PrivateArena
from tests.replay.market import begin, config, recorded, tables_of
from tests.replay.recording import HOUR, MIDNIGHT, demo

TOLD = config(symbols=10, seed=4, minutes=6)
DAY_NS = 24 * HOUR
YESTERDAY = 20260105


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Genesis:
    """What ten symbols leave after six minutes, each with an official close of its own."""
    genesis = begin(TOLD)
    run = recorded(TOLD, genesis, tmp_path_factory.mktemp("carry") / "tape")
    tickers, arrays = snapshot(run.tables, instants=False)
    assert len(arrays["cooldowns"]) > 5
    assert len(set(arrays["bar_symbols"].tolist())) == 10
    arrays["closes"]["price"] = 100 + np.arange(10)
    arrays["closes"]["size"] = 1
    header = msgspec.structs.replace(genesis.header, tickers=tickers)
    return Genesis(header, b"", arrays)


@pytest.fixture(scope="module")
def empty() -> EngineTables:
    return tables_of(TOLD)


def tomorrow(state: Genesis) -> np.ndarray:
    session = session_of(state)
    for name in ("start_ns", "open_ns", "close_ns", "end_ns", "roll_ns"):
        session[name] += DAY_NS
    session["date"] = 20260106
    return session


def changed(state: Genesis, **arrays: np.ndarray) -> Genesis:
    return Genesis(state.header, b"", {**state.arrays, **arrays})


def of_symbol(tickers: list[str], arrays: dict[str, np.ndarray], ticker: str) -> list[object]:
    """All that a symbol carries, in a form that does not depend on its place."""
    place = tickers.index(ticker)
    bars = arrays["bars"][arrays["bar_symbols"] == place]
    cooldowns = arrays["cooldowns"]
    mine = cooldowns[(cooldowns[:, 1] & 0xFFFF_FFFF) == place]
    fields = ("last", "last_size", "last_event_ns", "bar_index", "final_minute")
    return [
        [arrays["rows"][field][place].tobytes() for field in fields],
        arrays["indicator_state"][place].tobytes(),
        arrays["indicator_values"][:, place].tobytes(),
        arrays["indicator_closes"][:, place].tobytes(),
        bars[np.argsort(bars["minute"])].tobytes(),
        sorted((int(uid), int(word) >> 32, int(last)) for uid, word, last in mine),
    ]


def test_without_a_list_every_symbol_goes_on_in_its_place(
    state: Genesis, empty: EngineTables
) -> None:
    tickers, arrays = begin_date(state, tomorrow(state), YESTERDAY, empty, 64)
    assert tickers == state.header.tickers
    for ticker in tickers:
        assert of_symbol(tickers, arrays, ticker) == of_symbol(tickers, state.arrays, ticker)
    assert arrays["reference"]["prev_close"].tolist() == (100 + np.arange(10)).tolist()
    assert not arrays["closes"]["size"].any()
    assert not arrays["rows"]["volume"].any()
    assert (np.diff(arrays["bars"]["minute"]) >= 0).all()


def listed(tickers: list[str]) -> tuple[list[str], np.ndarray]:
    reference = np.zeros(len(tickers), records.REFERENCE)
    reference["prev_close"] = 7
    reference["atr14_day"] = np.arange(len(tickers))
    return tickers, reference


@given(
    chosen=st.permutations([f"SIM{n:05d}" for n in range(1, 15)]), count=st.integers(0, 14)
)
def test_with_a_list_each_symbol_finds_its_own_and_strangers_begin_with_nothing(
    state: Genesis, empty: EngineTables, chosen: list[str], count: int
) -> None:
    wanted = sorted(chosen[:count])
    tickers, arrays = begin_date(
        state, tomorrow(state), YESTERDAY, empty, 64, listed(wanted)
    )
    assert tickers == wanted
    assert arrays["reference"]["atr14_day"].tolist() == list(range(count))
    known = 0
    for place, ticker in enumerate(tickers):
        close = arrays["reference"]["prev_close"][place]
        if ticker in state.header.tickers:
            known += 1
            assert of_symbol(tickers, arrays, ticker) == of_symbol(
                state.header.tickers, state.arrays, ticker
            )
            assert close == 100 + state.header.tickers.index(ticker)
        else:
            assert close == 7, "what the market says"
            assert np.isnan(arrays["rows"]["last"][place])
            assert np.isnan(arrays["indicator_values"][:, place]).all()
            assert place not in arrays["bar_symbols"]
    assert len(arrays["cooldowns"]) <= len(state.arrays["cooldowns"])
    assert sorted(map(tuple, arrays["cooldowns"].tolist())) == list(
        map(tuple, arrays["cooldowns"].tolist())
    )


# -- room ----------------------------------------------------------------------------------------
def ticked(state: Genesis, **days_ago: float) -> Genesis:
    """The state with symbols (by their number) whose last tick was so many days ago."""
    rows = state.arrays["rows"].copy()
    rows["tick_event_ns"] = int(session_of(state)["open_ns"][0])
    for name, days in days_ago.items():
        rows["tick_event_ns"][int(name[1:])] -= round(days * DAY_NS)
    return changed(state, rows=rows)


@pytest.mark.parametrize(
    ("capacity", "gone"), [(64, []), (11, []), (10, [3, 7]), (9, [3, 7]), (6, [1, 3, 7, 9])]
)
def test_quiet_symbols_make_room_only_when_there_is_none(
    state: Genesis, empty: EngineTables, capacity: int, gone: list[int]
) -> None:
    before = ticked(state, n1=1, n3=5.1, n7=90)
    tickers, arrays = begin_date(before, tomorrow(state), YESTERDAY, empty, capacity)
    assert tickers == [
        ticker for place, ticker in enumerate(state.header.tickers) if place not in gone
    ]
    for ticker in tickers:
        assert of_symbol(tickers, arrays, ticker) == of_symbol(
            state.header.tickers, before.arrays, ticker
        )


def test_symbols_that_are_all_quiet_stay(state: Genesis, empty: EngineTables) -> None:
    """The engine was down for long: nobody is quieter than the others."""
    before = ticked(state, **{f"n{number}": 30 for number in range(10)})
    assert len(begin_date(before, tomorrow(state), YESTERDAY, empty, 10)[0]) == 10


def test_nobody_at_all_is_carried_over(state: Genesis, empty: EngineTables) -> None:
    tickers, _ = begin_date(state, tomorrow(state), YESTERDAY, empty, 64, listed([]))
    nobody = Genesis(msgspec.structs.replace(state.header, tickers=[]), b"", _)
    assert tickers == []
    assert begin_date(nobody, tomorrow(state), YESTERDAY, empty, 64)[0] == []


def test_a_ticker_without_room_is_admitted_once_another_was_quiet_for_days(
    tmp_path: Path,
) -> None:
    """AAA trades on the first day only; DDD finds room in the week after."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps([
        {"id": "any", "name": "Any", "cooldown_sec": 60,
         "conditions": [{"metric": "last", "op": ">", "value": 0}]}
    ]))  # fmt: skip
    lines = []
    for day in (7, 8, 10, 14, 15):  # Monday to Thursday, the Monday and Tuesday after
        for second, ticker in enumerate(("AAA", "BBB", "CCC", "DDD")):
            if ticker != "AAA" or day == 7:
                at = MIDNIGHT[7] + (day - 7) * DAY_NS + 10 * HOUR + second * 1_000_000_000
                lines.append(f"{at},{ticker},{10 + day},100\n")
    trades = tmp_path / "trades.csv"
    trades.write_text("ts_ns,symbol,price,size\n" + "".join(lines))
    told = demo(1000, history_dates=[], start="", end="", trades=str(trades))
    told = msgspec.structs.replace(
        told, engine=msgspec.structs.replace(told.engine, capacity=3),
        rules=msgspec.structs.replace(told.rules, path=str(rules)),
        paths=msgspec.structs.replace(told.paths, data_dir=str(tmp_path)),
    )  # fmt: skip
    out = tmp_path / "alerts.jsonl"
    backtest_trades(told, trades, out)
    fired = [json.loads(line) for line in out.read_bytes().splitlines()]
    days = {
        ticker: sorted({int(one["scan_ts"][8:10]) for one in fired if one["symbol"] == ticker})
        for ticker in ("AAA", "BBB", "CCC", "DDD")
    }
    assert days["AAA"][0] == 7
    assert days["AAA"][-1] == 14, "then it makes room"
    assert days["BBB"] == days["CCC"] == [7, 8, 10, 14, 15]
    assert days["DDD"] == [15]


# -- yesterday's close ---------------------------------------------------------------------------
def test_the_official_close_comes_before_the_last_regular_trade_and_that_before_nothing(
    state: Genesis, empty: EngineTables
) -> None:
    rows, closes = state.arrays["rows"].copy(), state.arrays["closes"].copy()
    reference = state.arrays["reference"].copy()
    closes["size"][:3] = 0
    rows["close_rth"] = np.nan
    rows["close_rth"][0] = 55
    reference["prev_close"] = 5
    reference["prev_close"][2] = np.nan
    before = changed(state, rows=rows, closes=closes, reference=reference)
    _, arrays = begin_date(before, tomorrow(state), YESTERDAY, empty, 64)
    found = arrays["reference"]["prev_close"]
    assert found[:2].tolist() == [55, 5], "who had no regular trade keeps the close before"
    assert np.isnan(found[2])
    assert found[3:].tolist() == list(range(103, 110))
    _, arrays = begin_date(before, tomorrow(state), 20260102, empty, 64)
    assert np.isnan(arrays["reference"]["prev_close"]).all(), "it is not yesterday's"


def test_a_last_price_is_of_the_new_date_only_if_it_came_after_both_roll_and_start(
    state: Genesis, empty: EngineTables
) -> None:
    session = tomorrow(state)
    roll_ns, start_ns = int(session_of(state)["roll_ns"][0]), int(session["start_ns"][0])
    rows = state.arrays["rows"].copy()
    rows["last"], rows["last_event_ns"] = 10, roll_ns - 1
    rows["last_event_ns"][:3] = max(roll_ns, start_ns) + np.array([-1, 0, 1])
    _, arrays = begin_date(changed(state, rows=rows), session, YESTERDAY, empty, 64)
    seen = arrays["rows"].view(np.int64).reshape(10, -1)[:, R_SEEN]
    assert seen.tolist() == [0, 1, 1] + 7 * [0]
    session["start_ns"] = roll_ns - HOUR
    _, arrays = begin_date(changed(state, rows=rows), session, YESTERDAY, empty, 64)
    seen = arrays["rows"].view(np.int64).reshape(10, -1)[:, R_SEEN]
    assert not seen[3:].any(), "a session laid around the roll"


def test_fewer_bars_in_memory_keep_the_newest(state: Genesis, empty: EngineTables) -> None:
    bars = np.repeat(state.arrays["bars"][:1], 300)
    bars["minute"] = 1000 + np.arange(300)
    order = np.random.default_rng(1).permutation(300)
    before = changed(state, bars=bars[order], bar_symbols=np.zeros(300, np.int64))
    tickers, arrays = begin_date(before, tomorrow(state), YESTERDAY, empty, 64)
    header = msgspec.structs.replace(state.header, tickers=tickers, session=session_list(state))
    sizes = dataclasses.replace(sizes_of(TOLD), history_bars=208, pool_trades=1 << 12)
    tables = allocate(PrivateArena(), sizes, columns())
    restore(tables, Genesis(header, b"", arrays))
    kept = tables.history.bars["minute"][:, 0]
    assert sorted(kept.tolist()) == list(range(1300 - 208, 1300))


def session_list(state: Genesis) -> list[int]:
    return [int(value) for value in tomorrow(state)[0].tolist()]
