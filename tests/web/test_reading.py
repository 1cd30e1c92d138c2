"""Copies out of shared memory: whole or refused, never torn, always bounded."""

import numpy as np
import pytest

from engine.metrics.registry import COLUMN
from shm.fences import write_word
from tests.web.front import warm_market
from tests.web.market import MINUTE, Market
from web import reading
from web.reading import NoCycleError, SymbolDirectory, TornError


def test_before_the_first_cycle_there_is_nothing_to_read() -> None:
    tables = Market().tables
    with pytest.raises(NoCycleError):
        reading.read_head(tables)
    with pytest.raises(NoCycleError):
        reading.read_bars(tables, 0, 5)


def test_rows_and_head_are_of_the_newest_cycle() -> None:
    market = warm_market()
    head, rows = reading.read_rows(market.tables, [2, 0])
    assert int(head["n"]) == market.n == 2
    assert rows["last"].tolist() == [market.last[2], market.last[0]]


def test_a_copy_is_retried_until_its_cell_is_still_valid() -> None:
    market = warm_market()
    seen = []

    def copy(slot: int) -> int:
        seen.append(slot)
        if len(seen) == 1:
            for _ in range(3):
                market.step()
        return slot

    assert reading.copy_cell(market.tables, copy, "a test") == market.n % 4
    assert seen == [2, 1]


def test_a_copy_that_is_always_overtaken_is_given_up() -> None:
    market = warm_market()

    def copy(slot: int) -> int:
        for _ in range(3):
            market.step()
        return slot

    with pytest.raises(TornError):
        reading.copy_cell(market.tables, copy, "a test")


def test_columns_come_from_the_copy_of_the_applied_cycle() -> None:
    market = warm_market()
    tables = market.tables
    write_word(tables.scan.words, 0, 5)
    tables.scan.columns[1, COLUMN["last"], :4] = (1.0, 2.0, 3.0, 4.0)
    tables.scan.columns[0, COLUMN["last"], :4] = -1.0
    values = reading.read_columns(tables, [COLUMN["last"], -1])
    assert values[0, :4].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert np.isnan(values[1]).all()


def test_columns_of_a_worker_that_never_rests_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = warm_market()
    states = iter(range(1000))
    monkeypatch.setattr(reading, "read_word", lambda _words, _at: next(states))
    with pytest.raises(TornError):
        reading.read_columns(market.tables, [0])
    with pytest.raises(TornError):
        reading.read_symbol_metrics(market.tables, 0)


def test_bars_are_the_newest_minutes_in_order_without_stale_slots() -> None:
    market = warm_market()
    newest = market.t_ns // MINUTE - 1
    stale = market.tables.history.bars[(newest - 3) % market.sizes.history_bars, 0]
    stale["minute"] -= market.sizes.history_bars
    bars = reading.read_bars(market.tables, 0, 6)
    assert bars["minute"].tolist() == [newest - 5, newest - 4, newest - 2, newest - 1, newest]
    closes = reading.read_closes(market.tables, np.array([0, 1]), 6)
    assert np.isnan(closes[0, 2])
    assert not np.isnan(closes[1]).any()
    assert closes[0, -1] == bars["close"][-1]


def test_histories_between_seal_and_publish_are_not_trusted() -> None:
    market = warm_market()
    market.tables.cell.cells.seal(market.n + 1)
    with pytest.raises(TornError):
        reading.read_bars(market.tables, 0, 5)


def test_the_directory_follows_new_names() -> None:
    market = warm_market()
    directory = SymbolDirectory(market.tables)
    assert directory.tickers().tolist() == ["AIG", "BAC", "IBM", "SPY"]
    market.tables.names.set(7, "NA")
    assert directory.id("NA") == 7
    assert directory.tickers().tolist() == ["AIG", "BAC", "IBM", "NA", "SPY"]
    assert directory.ids().tolist() == [0, 1, 2, 7, 3]
    assert directory.id("NOPE") is None


@pytest.mark.parametrize(
    ("minutes", "name"),
    [(-400, "closed"), (-1, "pre"), (1, "pre"), (2, "regular"), (391, "regular"), (392, "after"),
     (632, "closed")],
)  # fmt: skip
def test_sessions_begin_and_end_where_the_day_says(minutes: int, name: str) -> None:
    market = Market()
    t_ns = market.t_ns + minutes * MINUTE
    assert reading.session_name(market.tables.session[0], t_ns) == name


def test_instants_and_numbers_for_json() -> None:
    assert reading.instant(1_381_238_880_123_456_789) == "2013-10-08T13:28:00.123Z"
    assert reading.instant(0) is None
    assert reading.number(np.nan) is None
    assert reading.number(np.inf) is None
    assert reading.number(np.float64(1.5)) == 1.5
