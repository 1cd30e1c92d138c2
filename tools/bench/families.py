"""A minute's close with 64 parameterised indicators for 10,000 symbols, beside TA-Lib's stream
handles; filling, windows in time, forming bars, and bars of every timeframe."""

import gc
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import talib
from talib import stream

from engine.domain import records, tables
from engine.domain.sizes import Sizes
from engine.families.stage import Families
from engine.indicators import registry
from engine.indicators.stage import IndicatorsStage
from engine.metrics.registry import COLUMNS, resolve
from engine.rules.compiler import room_of
from engine.rules.families import NONE, chosen, place_families
from shm.arena import PrivateArena
from tools.bench.figures import elapsed_ms, figure

SYMBOLS, PEER_SYMBOLS = 10_000, 500
WARM_BARS, ROUNDS = 90, 12
BAR_CLOSE_MS, RATIO, FILL_MS, QUIET_MS, AFTER_MS = 25.0, 8.0, 4.0, 0.5, 4.0
WINDOWS_MS, LIVE_MS, FRAMES_MS, HOUR_MS = 10.0, 10.0, 6.0, 30.0
FIRST_MINUTE = 23_000_040  # a whole hour
INTERVAL_NS = 100_000_000

# Each family with the TA-Lib stream handle that computes it, made from high, low, close, volume.
Maker = Callable[[Any, Any, Any, Any], Any]
_KINDS: tuple[tuple[str, Callable[[int], Maker]], ...] = (
    ("ema({n})", lambda n: lambda h, lo, c, v: stream.EMA(c, n)),
    ("rsi({n})", lambda n: lambda h, lo, c, v: stream.RSI(c, n)),
    ("atr({n})", lambda n: lambda h, lo, c, v: stream.ATR(h, lo, c, n)),
    ("macd({n},40,9)", lambda n: lambda h, lo, c, v: stream.MACD(c, n, 40, 9)),
    ("adx({n})", lambda n: lambda h, lo, c, v: stream.ADX(h, lo, c, n)),
    ("supertrend({n},3)", lambda n: lambda h, lo, c, v: stream.SUPERTREND(h, lo, c, n, 3.0)),
    ("sma({n})", lambda n: lambda h, lo, c, v: stream.SMA(c, n)),
    ("bb_upper({n},2.5)", lambda n: lambda h, lo, c, v: stream.BBANDS(c, n, 2.5, 2.5)),
    ("stddev({n})", lambda n: lambda h, lo, c, v: stream.STDDEV(c, n, 1.0)),
    ("roc({n})", lambda n: lambda h, lo, c, v: stream.ROC(c, n)),
    ("linreg_slope({n})", lambda n: lambda h, lo, c, v: stream.LINEARREG_SLOPE(c, n)),
    ("cci({n})", lambda n: lambda h, lo, c, v: stream.CCI(h, lo, c, n)),
    ("mfi({n})", lambda n: lambda h, lo, c, v: stream.MFI(h, lo, c, v, n)),
    ("williams_r({n})", lambda n: lambda h, lo, c, v: stream.WILLR(h, lo, c, n)),
    ("stoch_k({n},3,3)", lambda n: lambda h, lo, c, v: stream.STOCH(h, lo, c, n, 3, 0, 3, 0)),
    ("highest(high,{n})", lambda n: lambda h, lo, c, v: stream.MAX(h, n)),
)
_PERIODS = (9, 13, 21, 30)
_HIGH_LOW_CLOSE = ("atr", "adx", "supertrend", "cci", "williams_r", "stoch_k")


def names() -> list[str]:
    """The 64 families of one timeframe."""
    return [text.format(n=period) for text, _ in _KINDS for period in _PERIODS]


class _Market:
    """Random bars of all symbols, a minute at a time; one symbol in ten trades now and then only,
    so that bars do not lie beside each other in memory."""

    def __init__(self, symbols: int) -> None:
        self._rng = np.random.default_rng(7)
        self.close = self._rng.uniform(5, 500, symbols)
        self._thin = np.arange(symbols) % 10 == 9

    def minute(self, minute: int) -> tuple[np.ndarray, np.ndarray]:
        """BAR[symbols], and which of them have one."""
        bars = np.zeros(len(self.close), records.BAR)
        bars["minute"], bars["open"] = minute, self.close
        self.close = self.close * np.exp(self._rng.normal(0, 1e-3, len(self.close)))
        bars["close"] = self.close
        bars["high"] = np.maximum(bars["open"], bars["close"]) * 1.0005
        bars["low"] = np.minimum(bars["open"], bars["close"]) * 0.9995
        bars["volume"] = self._rng.integers(1, 10_000, len(self.close))
        bars["pv"] = bars["volume"] * bars["close"]
        return bars, ~self._thin | (self._rng.random(len(self.close)) < 0.4)


class _Ours:
    """Indicators and the families of one worker on tables in private memory; the part of bars is
    done outside the clock."""

    def __init__(self, symbols: int) -> None:
        columns = tables.Columns(registry.SLOTS, registry.VALUES, registry.RING, COLUMNS)
        sizes = Sizes(symbols, ring_ticks=1 << 10, pool_trades=1 << 10)
        self.tables = tables.allocate(PrivateArena(), sizes, columns)
        session, minute_ns = self.tables.session, records.NS_PER_MINUTE
        session["start_ns"] = session["open_ns"] = FIRST_MINUTE * minute_ns
        session["close_ns"] = (FIRST_MINUTE + 10_000) * minute_ns
        session["interval_ns"] = INTERVAL_NS
        self.tables.cell.rows["minutes"]["minute"] = -1
        self.tables.cell.heads["closed_minute"] = FIRST_MINUTE - 1
        self.stage = IndicatorsStage(self.tables)
        self.stage.recover()
        self.families = Families(self.tables, 0, COLUMNS)
        self.placed = NONE
        self._index = np.zeros(symbols, np.int64)
        self.n, self.minute = 0, FIRST_MINUTE - 1

    def use(self, wanted: list[str]) -> None:
        """Name these families from the next cycle on."""
        placed = place_families(wanted, room_of(self.tables.sizes), self.placed)
        self.families.take(self.n + 1, chosen(placed), chosen(self.placed))
        self.placed = placed

    def publish(self, bars: np.ndarray, there: np.ndarray) -> None:
        """Write the cell and the histories of the minute that `bars` close."""
        history, symbols = self.tables.history, np.flatnonzero(there)
        self.minute += 1
        history.bars[self.minute % len(history.bars), symbols] = bars[symbols]
        slot = (self.minute + 1) % len(history.minute_stamp)
        history.minute_price[slot, : len(bars)] = bars["close"]
        history.minute_stamp[slot] = self.minute + 1
        events = self.tables.cell.events[(self.n + 1) % tables.CELL_SLOTS, : len(symbols)]
        events["sym"], events["kind"] = symbols, records.BAR_FINAL
        events["bar_index"], events["bar"] = self._index[symbols], bars[symbols]
        self._index[symbols] += 1
        self.quiet(len(symbols))

    def quiet(self, events: int = 0) -> None:
        """Write the head of a cell, by default one in which no bar closes."""
        self.n += 1
        heads = self.tables.cell.heads[self.n % tables.CELL_SLOTS :][:1]
        heads["n"], heads["event_count"], heads["closed_minute"] = self.n, events, self.minute
        heads["t_ns"] = (self.minute + 1) * records.NS_PER_MINUTE

    def step(self) -> None:
        """The indicators' part, which enters the bars of every timeframe."""
        self.stage.step(self.n)

    def follow(self) -> None:
        """The families' part."""
        self.families.step(self.n)

    def value(self, name: str, symbol: int) -> float:
        """A family's current value."""
        place = self.placed.names.index(resolve(name).name)
        column = COLUMNS + int(self.placed.slot[place])
        return float(self.tables.scan.columns[self.n & 1, column, symbol])


class _TaLib:
    """The same 64 for fewer symbols, one stateful handle each, driven through bound methods."""

    def __init__(self, warm: list[np.ndarray]) -> None:
        self.handles: list[list[Any]] = []
        for bars in np.stack(warm, axis=1):
            fields = ("high", "low", "close", "volume")
            high, low, close, volume = (np.ascontiguousarray(bars[name]) for name in fields)
            self.handles.append(
                [
                    maker(period)(high, low, close, volume)
                    for _, maker in _KINDS
                    for period in _PERIODS
                ]
            )
        kinds = [text.split("(")[0] for text, _ in _KINDS for _ in _PERIODS]
        self._three = [i for i, kind in enumerate(kinds) if kind in _HIGH_LOW_CLOSE]
        self._four = [i for i, kind in enumerate(kinds) if kind == "mfi"]
        self._high = [i for i, kind in enumerate(kinds) if kind == "highest"]
        rest = {*self._three, *self._four, *self._high}
        self._one = [i for i in range(len(kinds)) if i not in rest]
        self._updates = [
            tuple([handles[i].update for i in some] for some in self._groups())
            for handles in self.handles
        ]
        self._bars: list[tuple[float, ...]] = []

    def _groups(self) -> tuple[list[int], ...]:
        return self._one, self._three, self._four, self._high

    def publish(self, bars: np.ndarray) -> None:
        """Make plain floats of the bars, outside the clock."""
        fields = ("high", "low", "close", "volume")
        self._bars = list(zip(*(bars[name].tolist() for name in fields), strict=True))

    def step(self) -> None:
        """What is measured."""
        for updates, (high, low, close, volume) in zip(self._updates, self._bars, strict=True):
            one, three, four, highs = updates
            for update in one:
                update(close)
            for update in three:
                update(high, low, close)
            for update in four:
                update(high, low, close, volume)
            for update in highs:
                update(high)


class _Run:
    """All measurements over one market."""

    def __init__(self, symbols: int) -> None:
        self.market, self.ours = _Market(symbols), _Ours(symbols)
        self.warm: list[np.ndarray] = []
        self.ours.use(names())
        for _ in range(WARM_BARS):
            bars, there = self.market.minute(self.ours.minute + 1)
            there[: min(PEER_SYMBOLS, symbols)] = True  # the peer takes a bar every minute
            self.warm.append(bars[:PEER_SYMBOLS])
            self.minute(bars, there)
        self.bars = bars

    def minute(
        self, bars: np.ndarray | None = None, there: np.ndarray | None = None
    ) -> tuple[float, float]:
        """One more minute: ms of the indicators' part and of the families'."""
        if bars is None or there is None:
            bars, there = self.market.minute(self.ours.minute + 1)
            there[:PEER_SYMBOLS] = True
        self.bars = bars
        self.ours.publish(bars, there)
        return elapsed_ms(self.ours.step), elapsed_ms(self.ours.follow)

    def quiet(self) -> float:
        """One more cycle without a bar: ms of the families' part."""
        self.ours.quiet()
        self.ours.step()
        return elapsed_ms(self.ours.follow)

    def fill_ms(self, wanted: list[str]) -> float:
        """Name families and fill them: ms of the median cycle, for a worker with all symbols."""
        self.ours.use(wanted)
        return float(np.median([self.quiet() for _ in range(42)][1:-2]))

    def close_ms(self) -> tuple[float, float]:
        """Best ms of the families' part of a minute's close, and of the cycle after it, in which
        what has changed is written a second time."""
        both = [(self.minute()[1], self.quiet()) for _ in range(ROUNDS)]
        return min(close for close, _ in both), min(after for _, after in both)


def _against_talib(run: _Run) -> tuple[float, float, float]:
    """Best ms of a minute's close, of the cycle after it, and TA-Lib's for as many symbols.

    Raises ArithmeticError where they disagree.
    """
    peer, best, best_after, best_peer = _TaLib(run.warm), *[float("inf")] * 3
    gc.freeze()  # or collections walk the handles while they are timed
    for _ in range(ROUNDS):
        best, best_after = min(best, run.minute()[1]), min(best_after, run.quiet())
        peer.publish(run.bars[:PEER_SYMBOLS])
        best_peer = min(best_peer, elapsed_ms(peer.step))
    every = names()
    for place, symbol in itertools.product(range(len(every)), (0, PEER_SYMBOLS // 2)):
        value = peer.handles[symbol][place].value
        value = value[0] if isinstance(value, tuple) else value
        if abs(run.ours.value(every[place], symbol) - value) > 1e-6 * max(1.0, abs(value)):
            raise ArithmeticError(f"{every[place]} of symbol {symbol} differs from TA-Lib's")
    return best, best_after, best_peer * len(run.bars) / PEER_SYMBOLS


def _frames(run: _Run) -> tuple[float, float]:
    """Best ms of the indicators' part of a minute's close, and of an hour's: all timeframes."""
    plain, hour = float("inf"), float("inf")
    while run.ours.minute % 60 != 57:
        run.minute()
    for _ in range(3):
        for _ in range(60):
            indicators, _ = run.minute()
            if run.ours.minute % 60 == 59:
                hour = min(hour, indicators)
            elif run.ours.minute % 60 in (6, 12, 36):  # no timeframe but the first ends
                plain = min(plain, indicators)
    return plain, hour


def run(symbols: int = SYMBOLS) -> list[dict[str, Any]]:
    """Measure; every figure is for one scan worker that has all symbols."""
    scale, market = symbols / SYMBOLS, _Run(symbols)
    few = ["ema(34)", "rsi(7)", "adx(9)", "sma(60)", "bb_upper(18,2)", "cci(22)", "ema(55)",
           "stoch_k(12,3,3)"]  # fmt: skip
    close, after, peer = _against_talib(market)
    label = f"TA-Lib {talib.__version__} stream handles, {PEER_SYMBOLS} symbols scaled"
    lines = [
        figure("families_bar_close_64", close, BAR_CLOSE_MS * scale, label, peer, least=RATIO),
        figure("families_after_close_64", after, AFTER_MS * scale),
        figure("families_quiet_64", min(market.quiet() for _ in range(20)), QUIET_MS * scale),
        figure("families_fill_8_a_cycle", market.fill_ms(few), FILL_MS * scale),
        figure("families_fill_64_a_cycle", market.fill_ms(names()), 5 * FILL_MS * scale),
    ]
    market.ours.use([f"highest(high,{n}m)" for n in (5, 10, 20, 30, 40, 60)] + ["range_45m"])
    lines.append(figure("families_windows_8_minute", market.close_ms()[0], WINDOWS_MS * scale))
    market.ours.use([f"ema({n},5m,live)" for n in range(2, 8)] + ["rsi(7,5m,live)", "adx(7,live)"])
    market.fill_ms(list(market.ours.placed.names))
    live = min(market.quiet() for _ in range(20))
    lines.append(figure("families_live_8_a_cycle", live, LIVE_MS * scale))
    market.ours.use([])
    plain, hour = _frames(market)
    lines.append(figure("timeframes_minute_with_indicators", plain, FRAMES_MS * scale))
    lines.append(figure("timeframes_hour_with_indicators", hour, HOUR_MS * scale))
    return lines
