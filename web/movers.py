"""Movers: rows ranked by one column, unknown last, ties by symbol; with a small sparkline."""

import dataclasses
import math
from typing import Any

import numpy as np

from engine.domain.tables import EngineTables
from web.reading import MetricIndex, SymbolDirectory, number, read_closes, read_columns

# Column of the page -> metric of the registry.
COLUMNS = {
    "last": "last",
    "chg_pct": "chg_pct",
    "chg_1m_pct": "chg_1m_pct",
    "chg_5m_pct": "chg_5m_pct",
    "volume": "vol_all",
    "vwap_dist_pct": "dist_vwap_pct",
    "rsi": "rsi(14)",
    "halted": "halted",
}
SPARK_MINUTES = 30
SPARK_STEPS = 99


@dataclasses.dataclass(frozen=True)
class Board:
    """One reading of the columns that movers show, symbols in alphabetical order.

    ids int64[symbols], tickers object[symbols], values float64[symbols] by column.
    """

    ids: np.ndarray
    tickers: np.ndarray
    values: dict[str, np.ndarray]


def read_board(tables: EngineTables, index: MetricIndex, directory: SymbolDirectory) -> Board:
    """Copy the movers' columns of every admitted symbol."""
    ids, tickers = directory.ids(), directory.tickers()
    copied = read_columns(tables, [index.column(name) for name in COLUMNS.values()])
    values = {key: copied[row, ids] for row, key in enumerate(COLUMNS)}
    return Board(ids, tickers, values)


def rank(board: Board, sort: str, direction: str, limit: int) -> np.ndarray:
    """Positions in the board of the first `limit` rows: by value, unknown last, ties by symbol."""
    if sort == "symbol":
        places = np.arange(board.ids.size)
        return (places if direction == "asc" else places[::-1])[:limit]
    keys = sort_keys(board, sort)
    signed = keys if direction == "asc" else -keys
    return np.argsort(signed, kind="stable")[:limit]  # NaN sorts last


def sort_keys(board: Board, sort: str) -> np.ndarray:
    """float64[symbols]: what a sort key orders by; move_5m_pct is the size of the 5-minute move."""
    keys: np.ndarray = board.values["chg_5m_pct" if sort == "move_5m_pct" else sort]
    return np.abs(keys) if sort == "move_5m_pct" else keys


def spark(closes: np.ndarray) -> list[int | None] | None:
    """Closes scaled to whole steps 0..99 (None: no bar); None when fewer than two are known."""
    known = closes[np.isfinite(closes)]
    if known.size < 2:
        return None
    low, high = float(known.min()), float(known.max())
    scale = SPARK_STEPS / (high - low) if high > low else 0.0
    middle = 0 if high > low else SPARK_STEPS // 2
    return [None if math.isnan(c) else middle + round((c - low) * scale) for c in closes]


def rows_of(tables: EngineTables, board: Board, order: np.ndarray) -> list[dict[str, Any]]:
    """Rows as sent to clients, in ranking order."""
    if not order.size:
        return []
    closes = read_closes(tables, board.ids[order], SPARK_MINUTES)
    return [
        {
            "symbol": str(board.tickers[at]),
            **{key: number(board.values[key][at]) for key in COLUMNS},
            "spark": spark(closes[place]),
        }
        for place, at in enumerate(order)
    ]
