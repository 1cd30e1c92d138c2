"""Ranking: by value, unknown last, ties by symbol; the sparkline's whole steps."""

import math

import numpy as np
import pytest

from engine.metrics.registry import METRICS
from tests.web.front import warm_market
from web import movers
from web.reading import MetricIndex, SymbolDirectory

INDEX = MetricIndex(tuple(metric.name for metric in METRICS))


def board_of(tickers: list[str], values: list[float], key: str = "chg_pct") -> movers.Board:
    by_name = sorted(range(len(tickers)), key=lambda at: tickers[at])
    tickers, values = [tickers[at] for at in by_name], [values[at] for at in by_name]
    unknown = np.full(len(tickers), math.nan)
    columns = {name: unknown.copy() for name in movers.COLUMNS}
    columns[key] = np.array(values)
    return movers.Board(np.arange(len(tickers)), np.array(tickers, dtype=object), columns)


@pytest.mark.parametrize(("direction", "expected"), [("desc", "DACBE"), ("asc", "BACDE")])
def test_unknown_is_last_both_ways_and_ties_are_by_symbol(direction: str, expected: str) -> None:
    board = board_of(["E", "D", "C", "B", "A"], [math.nan, 9.0, 2.0, -4.0, 2.0])
    order = movers.rank(board, "chg_pct", direction, 10)
    assert "".join(board.tickers[at] for at in order) == expected


def test_the_size_of_the_five_minute_move_ignores_its_sign() -> None:
    board = board_of(["A", "B", "C"], [1.0, -5.0, 3.0], "chg_5m_pct")
    order = movers.rank(board, "move_5m_pct", "desc", 2)
    assert [board.tickers[at] for at in order] == ["B", "C"]


def test_symbols_sort_by_name_both_ways() -> None:
    board = board_of(["B", "C", "A"], [1.0, 2.0, 3.0])
    assert [board.tickers[a] for a in movers.rank(board, "symbol", "asc", 9)] == ["A", "B", "C"]
    assert [board.tickers[a] for a in movers.rank(board, "symbol", "desc", 2)] == ["C", "B"]


def test_every_column_of_the_page_is_a_metric_of_the_registry() -> None:
    missing = [name for name in movers.COLUMNS.values() if INDEX.column(name) < 0]
    assert not missing


def test_rows_carry_null_for_unknown_and_the_engine_s_numbers() -> None:
    market = warm_market()
    board = movers.read_board(market.tables, INDEX, SymbolDirectory(market.tables))
    rows = movers.rows_of(market.tables, board, movers.rank(board, "symbol", "asc", 10))
    assert [row["symbol"] for row in rows] == ["AIG", "BAC", "IBM", "SPY"]
    assert rows[0]["last"] == market.last[0]
    assert rows[2]["vwap_dist_pct"] is None
    assert len(rows[0]["spark"]) == movers.SPARK_MINUTES


def test_a_sparkline_spans_its_range_and_keeps_holes() -> None:
    assert movers.spark(np.array([1.0, math.nan, 3.0, 2.0])) == [0, None, 99, 50]
    assert movers.spark(np.array([5.0, 5.0])) == [49, 49]
    assert movers.spark(np.array([math.nan, 5.0])) is None
