"""One bar close and one cycle of metrics for 10,000 symbols, beside TA-Lib's stream handles."""

import gc
import itertools
from typing import Any

import numpy as np
import talib
from talib import stream

from engine.domain import records, tables
from engine.domain.sizes import Sizes
from engine.indicators import registry
from engine.indicators.stage import IndicatorsStage, fill
from engine.metrics.columns import MetricColumns
from engine.metrics.registry import COLUMNS
from shm.arena import PrivateArena
from tools.bench.figures import elapsed_ms, figure

SYMBOLS = 10_000
WARM_BARS = 210
ROUNDS = 15
BAR_CLOSE_MS, RATIO, METRICS_MS = 4.0, 8.0, 2.2
FIRST_MINUTE = 23_000_000


class _Market:
    """Random bars of all symbols, a minute at a time, the same for both sides."""

    def __init__(self, symbols: int) -> None:
        self._rng = np.random.default_rng(7)
        self.close = self._rng.uniform(5, 500, symbols)

    def minute(self, minute: int) -> np.ndarray:
        """BAR[symbols]."""
        bars = np.zeros(len(self.close), records.BAR)
        bars["minute"], bars["open"] = minute, self.close
        self.close = self.close * np.exp(self._rng.normal(0, 1e-3, len(self.close)))
        bars["close"] = self.close
        bars["high"] = np.maximum(bars["open"], bars["close"]) * 1.0005
        bars["low"] = np.minimum(bars["open"], bars["close"]) * 0.9995
        bars["volume"] = self._rng.integers(1, 10_000, len(self.close))
        bars["pv"] = bars["volume"] * bars["close"]
        return bars


class _Ours:
    """The indicator stage on tables in private memory; bars' part is done outside the clock."""

    def __init__(self, warm: list[np.ndarray]) -> None:
        symbols = len(warm[0])
        columns = tables.Columns(registry.SLOTS, registry.VALUES, registry.RING, COLUMNS)
        sizes = Sizes(symbols, ring_ticks=1 << 10, pool_trades=1 << 10)
        self.tables = tables.allocate(PrivateArena(), sizes, columns)
        self.tables.session["start_ns"] = FIRST_MINUTE * records.NS_PER_MINUTE
        self._volume = np.zeros(sizes.rows, np.uint32)
        for bars in warm:
            self._histories(bars)
        fill(self.tables.indicators, range(symbols), list(np.stack(warm, axis=1)))
        self.stage = IndicatorsStage(self.tables)
        self.stage.recover()
        self._index, self.n = len(warm), 0

    def _histories(self, bars: np.ndarray) -> int:
        history, minute = self.tables.history, int(bars["minute"][0])
        history.bars[minute % len(history.bars), : len(bars)] = bars
        self._volume[: len(bars)] += bars["volume"].astype(np.uint32)
        slot = (minute + 1) % len(history.session_stamp)
        history.session_volume[slot], history.session_stamp[slot] = self._volume, minute + 1
        return minute

    def publish(self, bars: np.ndarray) -> None:
        """Write the cell and the histories of the minute that `bars` close."""
        self.n += 1
        slot, cell = self.n % tables.CELL_SLOTS, self.tables.cell
        events = cell.events[slot, : len(bars)]
        events["sym"], events["kind"] = np.arange(len(bars)), records.BAR_FINAL
        events["bar_index"], events["bar"] = self._index, bars
        self._index += 1
        cell.heads["closed_minute"][slot] = self._histories(bars)
        cell.heads["event_count"][slot], cell.heads["n"][slot] = len(bars), self.n

    def step(self) -> None:
        """What is measured."""
        self.stage.step(self.n)

    def value(self, name: str, symbol: int) -> float:
        """An indicator's current value."""
        column = next(i.column for i in registry.INDICATORS if i.name == name)
        copy = int(self.tables.indicators.words[0]) & 1
        return float(self.tables.indicators.values[copy, column, symbol])


class _TaLib:
    """Sixteen stateful handles a symbol: the indicators over bars, and sums for rolling VWAP.

    The handles of a symbol are made and called together, through bound methods: of the ways to
    drive them from Python, the fastest.
    """

    def __init__(self, warm: list[np.ndarray]) -> None:
        self._rsi: list[Any] = []
        self._updates: list[tuple[Any, ...]] = []
        for bars in np.stack(warm, axis=1):
            fields = ("high", "low", "close", "pv", "volume")
            high, low, close, pv, volume = (np.ascontiguousarray(bars[name]) for name in fields)
            handles: list[Any] = [stream.RSI(close, 14)]
            self._rsi += handles
            handles += [stream.EMA(close, n) for n in (20, 50, 200)]
            handles += [stream.SMA(close, n) for n in (20, 50, 200)]
            handles += [stream.MACD(close, 12, 26, 9), stream.BBANDS(close, 20, 2.0, 2.0)]
            handles += [stream.ATR(high, low, close, 14)]
            handles += [stream.SUM(pv, n) for n in (5, 15, 60)]
            handles += [stream.SUM(volume, n) for n in (5, 15, 60)]
            self._updates.append(tuple(handle.update for handle in handles))
        self._bars: list[tuple[float, ...]] = []

    def publish(self, bars: np.ndarray) -> None:
        """Make plain floats of the bars, outside the clock."""
        fields = ("high", "low", "close", "pv", "volume")
        self._bars = list(zip(*(bars[name].tolist() for name in fields), strict=True))

    def step(self) -> None:
        """What is measured."""
        for updates, (high, low, close, pv, volume) in zip(self._updates, self._bars, strict=True):
            (rsi, e20, e50, e200, s20, s50, s200, macd, bands, atr,
             p5, p15, p60, v5, v15, v60) = updates  # fmt: skip
            rsi(close)
            e20(close)
            e50(close)
            e200(close)
            s20(close)
            s50(close)
            s200(close)
            macd(close)
            bands(close)
            atr(high, low, close)
            p5(pv)
            p15(pv)
            p60(pv)
            v5(volume)
            v15(volume)
            v60(volume)

    def rsi(self, symbol: int) -> float:
        """The RSI, to see that both sides computed the same."""
        return float(self._rsi[symbol].value)


def _metrics_ms(ours: _Ours) -> float:
    """Best time of one computation of all metric columns, cells and parities taking turns."""
    shared = ours.tables
    for slot in range(tables.CELL_SLOTS):
        rows = shared.cell.rows[slot]
        for name in ("last", "bid", "ask", "bid_size", "ask_size", "open_rth", "close_rth"):
            rows[name] = 100.0
        for name in ("high", "low", "volume", "pv"):
            rows[name] = 100.0
    start = int(shared.session["start_ns"][0])
    second, history = start // records.NS_PER_SECOND, shared.history
    count = len(history.second_stamp)
    numbers = second + np.arange(count)
    history.second_stamp[numbers % count] = numbers
    history.second_price[:] = 99.0
    shared.reference["prev_close"], shared.reference["atr14_day"] = 98.0, 1.5
    shared.reference["place"] = np.arange(len(shared.reference)) + 1  # the book knows them all
    shared.book.levels[:] = 97.0
    shared.book.baseline[:] = 1000.0 * np.arange(1, len(shared.book.baseline) + 1)[:, None]
    metrics, best = MetricColumns(shared, 0), float("inf")
    for n in range(ours.n + 1, ours.n + 1 + 20 * ROUNDS):
        slot = n % tables.CELL_SLOTS
        shared.cell.heads["n"][slot] = n
        shared.cell.heads["t_ns"][slot] = start + 903 * records.NS_PER_SECOND
        shared.indicators.words[0] = n * 2
        best = min(best, elapsed_ms(lambda n=n: metrics.compute(n)))  # type: ignore[misc]
    return best


def run(symbols: int = SYMBOLS) -> list[dict[str, Any]]:
    """Measure both, alternating, best of ROUNDS; raises ArithmeticError if they disagree."""
    market, minutes = _Market(symbols), itertools.count(FIRST_MINUTE)
    warm = [market.minute(next(minutes)) for _ in range(WARM_BARS)]
    ours, peer = _Ours(warm), _TaLib(warm)
    best_ours = best_peer = float("inf")
    gc.freeze()  # or collections walk the 160,000 handles while they are timed
    for _ in range(ROUNDS):
        bars = market.minute(next(minutes))
        ours.publish(bars)
        peer.publish(bars)
        best_peer = min(best_peer, elapsed_ms(peer.step))
        best_ours = min(best_ours, elapsed_ms(ours.step))
    for symbol in (0, symbols // 2, symbols - 1):
        if abs(ours.value("rsi(14)", symbol) - peer.rsi(symbol)) > 1e-9:
            raise ArithmeticError(f"rsi(14) of symbol {symbol} differs from TA-Lib's")
    label = f"TA-Lib {talib.__version__} stream handles"
    scale = symbols / SYMBOLS
    return [
        figure("indicators_bar_close", best_ours, BAR_CLOSE_MS * scale, label, best_peer,
               least=RATIO),
        figure("metric_columns", _metrics_ms(ours), METRICS_MS * scale),
    ]
