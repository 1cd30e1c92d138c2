"""Tables for metric tests: one cell written by hand, histories by absolute time."""

import numpy as np

from engine.domain import records, tables
from engine.domain.levels import BENCHMARK, LEVEL
from engine.domain.sizes import Sizes
from engine.indicators import registry as indicators
from engine.metrics.columns import MetricColumns
from engine.metrics.registry import COLUMNS, INDICATOR_NAMES, METRICS
from shm.arena import PrivateArena
from tests.metrics.model import View

SECOND, MINUTE = records.NS_PER_SECOND, records.NS_PER_MINUTE
UNKNOWN_AT_FIRST = ("last", "last_size", "bid", "ask", "bid_size", "ask_size", "open_rth",
                    "close_rth", "luld_lower", "luld_upper")  # fmt: skip
UNKNOWN_LATER = ("first", "max_print_usd", "low_before_high", "high_before_low")
COUNTED = ("ppv", "blocks", "blocks_usd", "new_highs", "new_lows", "halts", "halt_event_ns",
           "resume_event_ns")  # fmt: skip
PER_SESSION = ("volume", "pv", "trades", "high", "low", "high_event_ns", "low_event_ns")


class Desk:
    """Tables of `capacity` symbols for `workers` scan workers, all of one session date."""

    def __init__(self, view: View, capacity: int = 3, workers: int = 1) -> None:
        columns = tables.Columns(
            indicators.SLOTS, indicators.VALUES, indicators.RING, COLUMNS
        )
        sizes = Sizes(
            capacity, workers, ring_ticks=1 << 8, pool_trades=1 << 8, max_rules=64, max_cooling=1024
        )
        self.tables = tables.allocate(PrivateArena(), sizes, columns)
        session = self.tables.session
        session["start_ns"], session["open_ns"] = view.start_ns, view.open_ns
        session["close_ns"], session["interval_ns"] = view.close_ns, view.interval_ns
        session["grace_ns"] = view.grace_ns
        self.metrics = [MetricColumns(self.tables, w) for w in range(workers)]

    def put(self, n: int, symbol: int, view: View) -> None:
        """Write everything of a view into cell n and the histories."""
        cell, history = self.tables.cell, self.tables.history
        slot = n % tables.CELL_SLOTS
        row = cell.rows[slot, symbol : symbol + 1]
        for name, value in view.row.items():
            row[name] = np.array(value)
        head = cell.heads[slot : slot + 1]
        head["n"], head["t_ns"] = n, view.t_ns
        self._put_reference(symbol, view)
        for second, price in view.price_at.items():
            at = second % len(history.second_stamp)
            history.second_stamp[at] = second
            history.second_price[at, symbol] = price
            history.second_volume[at, symbol] = view.volume_at[second] & 0xFFFFFFFF
        for minute, price in view.minute_price_at.items():
            at = minute % len(history.minute_stamp)
            history.minute_stamp[at] = minute
            history.minute_price[at, symbol] = price
        for second, trades in view.trades_at.items():
            at = second % len(history.trades_stamp)
            history.trades_stamp[at], history.second_trades[at, symbol] = second, trades
        for minute, volume in view.minute_volume_at.items():
            at = minute % len(history.session_stamp)
            history.session_stamp[at] = minute
            history.session_volume[at, symbol] = volume & 0xFFFFFFFF
        for column, name in enumerate(INDICATOR_NAMES):
            self.tables.indicators.values[n & 1, column, symbol] = view.indicators[name]
        self.tables.indicators.words[0] = n * 2 + (n & 1)

    def _put_reference(self, symbol: int, view: View) -> None:
        """Reference row, a place in the book if it knows the symbol, and SPY beside it."""
        reference, book = self.tables.reference, self.tables.book
        reference["prev_close"][symbol] = view.prev_close
        reference["atr14_day"][symbol] = view.atr14
        reference["flags"][symbol] = view.flags
        if view.levels is not None:
            place = len(reference) - 1 - symbol
            reference["place"][symbol] = place + 1
            for name, value in view.levels.items():
                book.levels[LEVEL[name], place] = value
            book.baseline[:, place] = np.cumsum(np.array(view.usual, np.float64))

    def put_market(self, n: int, symbol: int, view: View) -> None:
        """Let `symbol` be SPY with the prices of a view."""
        row = self.tables.cell.rows[n % tables.CELL_SLOTS, symbol : symbol + 1]
        row["last"] = view.market
        history = self.tables.history
        for second, price in view.market_at.items():
            history.second_price[second % len(history.second_stamp), symbol] = price
        self.tables.names.set(symbol, BENCHMARK)

    def columns(self, n: int, symbol: int) -> dict[str, float]:
        """Compute cycle n on every worker and read one symbol's metrics by name."""
        for worker in self.metrics:
            worker.compute(n)
        out = self.tables.scan.columns[n & 1]
        return {metric.name: float(out[metric.column, symbol]) for metric in METRICS}


def empty_row() -> dict:
    """A row as it stands before the first tick of a symbol."""
    row: dict = dict.fromkeys((*UNKNOWN_AT_FIRST, *UNKNOWN_LATER), np.nan)
    row |= dict.fromkeys(COUNTED, 0)
    row |= {"opening_high": [np.nan] * 5, "opening_low": [np.nan] * 5}
    row |= {"last_event_ns": 0, "quote_event_ns": 0, "halted": 0, "cumulative_volume": 0.0,
            "approx": 0}  # fmt: skip
    row |= {name: [0, 0, 0] for name in PER_SESSION}
    row["high"], row["low"] = [np.nan] * 3, [np.nan] * 3
    return row
