"""The simulator: a seeded market that gives the same ticks from any position, for demos and load.

Its tickers are SIM00001 and so on: nobody can take them for real ones.
"""

import dataclasses

import numpy as np

from engine.domain.records import (
    NS_PER_SECOND,
    REFERENCE,
    SESSION,
    STATUS_HALTED,
    STATUS_QUOTE_RESUME,
    STATUS_TRADING,
    TICK,
    TICK_GAP_END,
    TICK_GAP_START,
    TICK_LULD,
    TICK_STATUS,
)
from engine.feeds.conditions import Conditions
from engine.feeds.errors import FeedError
from engine.feeds.port import BEFORE_ALL
from engine.feeds.providers import simulator_nb as nb

REASON_LULD, REASON_NEWS = 1, 2
_WORDS = (
    "Regular",
    "OddLot",
    "AveragePrice",
    "OpeningPrints",
    "ClosingPrints",
    "ExtendedHours",
    "ExtendedHours|OddLot",
)
_GAPPER_SHARE = 0.03
_MASK = (1 << 64) - 1
_INDEX_MASK = (1 << nb.INDEX_BITS) - 1


@dataclasses.dataclass(frozen=True)
class Traits:
    """What the simulated market does; ticks_per_s is the average over the regular session."""

    seed: int = 1
    symbols: int = 10_000
    ticks_per_s: float = 20_000.0
    quotes: bool = True
    halts: bool = True
    late_ticks: bool = True
    corrections: bool = True
    gaps: bool = True


def _key(seed: int, salt: int) -> np.uint64:
    return np.uint64(nb.mix_nb(np.uint64((seed * 0x1_0001 + salt * 0x9E37_79B9_7F4A_7C15) & _MASK)))


def ticker(number: int) -> str:
    """Ticker of a simulated symbol."""
    return f"SIM{number + 1:05d}"


def _draws(key: np.uint64, a: int, count: int) -> np.ndarray:
    out = np.empty(count)
    nb.draws_nb(key, a, out)
    return out


def _bases(key: np.uint64, symbols: int) -> tuple[np.ndarray, np.ndarray]:
    """Previous closes in dollars (2 to 500, most of them low) and daily volatilities."""
    closes = [round(2.0 * 250.0**u, 2) for u in _draws(key, 1, symbols) ** 1.3]
    return np.array(closes), 0.008 + 0.042 * _draws(key, 2, symbols) ** 2


def reference(seed: int, symbols: int) -> tuple[list[str], np.ndarray]:
    """Tickers and REFERENCE[symbols]: previous close and daily ATR of the simulated market."""
    rows = np.zeros(symbols, REFERENCE)
    closes, volatility = _bases(_key(seed, 0), symbols)
    rows["prev_close"] = closes
    rows["atr14_day"] = np.round(closes * volatility * 1.4, 4)
    return [ticker(number) for number in range(symbols)], rows


class SimulatorProvider:
    """Ticks of one simulated session; src_pos is second << 24 | index, so that any can be sought.

    session: SESSION[1] the market lives in; start_ns, end_ns: what part of it is given (start
    inclusive, end exclusive). live: the ticks are stamped when they are published.
    """

    def __init__(
        self,
        traits: Traits,
        session: np.ndarray,
        conditions: Conditions,
        start_ns: int | None = None,
        end_ns: int | None = None,
        live: bool = False,
    ) -> None:
        """Raises FeedError when the session is empty or longer than a day."""
        self.live = live
        self.rows_bad = self.rows_late = self.unknown_conditions = 0
        self._traits = traits
        day = session[0] if session.dtype == SESSION else session
        self._key = _key(traits.seed, int(day["date"]))
        first_ns = int(day["start_ns"])
        seconds = (int(day["end_ns"]) - first_ns) // NS_PER_SECOND
        if not 0 < seconds <= 86_400:
            raise FeedError(f"The simulated session lasts {seconds} seconds, not 1 to 86400.")
        self.start_ns = first_ns if start_ns is None else max(start_ns, first_ns)
        self._plan = np.zeros(nb.PLAN_WORDS, np.int64)
        self._plan[: nb.GAPS_FROM] = (
            seconds,
            (int(day["open_ns"]) - first_ns) // NS_PER_SECOND,
            (int(day["close_ns"]) - first_ns) // NS_PER_SECOND,
            first_ns,
            self.start_ns,
            np.iinfo(np.int64).max if end_ns is None else end_ns,
            traits.quotes,
            traits.late_ticks,
            traits.corrections,
            traits.halts,
        )
        self._bits = np.array([conditions.of_text(word)[0] for word in _WORDS], np.uint8)
        self._names = np.array(
            [ticker(number).encode() for number in range(traits.symbols)], "S24"
        )
        self._market, self._popularity = self._symbols()
        if traits.gaps:
            self._plan[nb.GAPS_FROM :] = self._gaps()
        self._schedule()
        self._cumulative = np.empty(traits.symbols)
        self._window = -1
        self._state = np.zeros(nb.STATE_WORDS, np.int64)
        self._out = np.zeros(0, TICK)
        self.seek(BEFORE_ALL)

    # -- the day, drawn once ---------------------------------------------------------------------
    def _symbols(self) -> tuple[np.ndarray, np.ndarray]:
        """The market table and the symbols' popularity (1 for the most traded)."""
        traits, key, plan = self._traits, self._key, self._plan
        count, fixed = traits.symbols, _key(traits.seed, 0)
        opens, closes = int(plan[nb.OPEN_S]), int(plan[nb.CLOSE_S])
        market = np.zeros((count, nb.MARKET_COLUMNS))
        market[:, nb.BASE], market[:, nb.VOLATILITY] = _bases(fixed, count)
        rank = np.argsort(np.argsort(_draws(fixed, 3, count)))
        popularity = (11.0 / (rank + 11.0)) ** 0.85
        gapper = _draws(key, 20, count) < _GAPPER_SHARE
        move = _draws(key, 21, count)
        size = np.where(gapper, np.where(move < 0.35, -0.05 - 0.7 * move, 0.04 + 0.5 * move), 0.0)
        market[:, nb.GAP] = np.where(gapper, size, 0.006 * (move - 0.5))
        market[:, nb.GAP_AT] = np.floor(_draws(key, 22, count) * max(opens - 60, 0) * 0.9)
        popularity[gapper] = np.maximum(popularity[gapper] * 8.0, 0.02)
        market[:, nb.SPREAD] = 0.0004 + 0.004 * _draws(fixed, 4, count) * (1.0 - popularity) ** 4
        market[:, nb.BAND] = np.where(market[:, nb.BASE] > 3.0, 0.05, 0.2)
        market[:, nb.HALT_AT] = market[:, nb.HALT_END] = -1.0
        if traits.halts:
            halted = _draws(key, 23, count) < np.where(gapper, 0.25, 0.003)
            at = opens + np.floor(_draws(key, 24, count) * max(closes - opens - 600, 1))
            long = np.where(_draws(key, 25, count) < 0.2, 1800.0, 300.0)
            market[halted, nb.HALT_AT] = at[halted]
            market[halted, nb.HALT_END] = np.minimum(at + long, closes - 60.0)[halted]
        return market, np.minimum(popularity, 1.0)

    def _gaps(self) -> np.ndarray:
        """Begin and end of the day's gaps in seconds, in order, zeros for none."""
        opens, closes = int(self._plan[nb.OPEN_S]), int(self._plan[nb.CLOSE_S])
        part = (closes - opens) / nb.MAX_GAPS
        times = []
        for gap in range(nb.MAX_GAPS):
            begin = int(opens + part * (gap + 0.1 + 0.7 * nb.draw_nb(self._key, 26, gap)))
            length = 3 + int(20.0 * nb.draw_nb(self._key, 27, gap))
            times += [begin, min(begin + length, closes)]
        return np.array(times, np.int64)

    def _schedule(self) -> None:
        """Everything that happens at a fixed second: halts with their bands and resumes, gaps."""
        rows: list[tuple[int, int, int, int, int, float, float]] = []
        market, plan = self._market, self._plan
        for symbol in np.flatnonzero(market[:, nb.HALT_AT] >= 0).tolist():
            at, end = int(market[symbol, nb.HALT_AT]), int(market[symbol, nb.HALT_END])
            reason = REASON_NEWS if end - at > 300 else REASON_LULD
            middle = nb.price_nb(market, self._key, symbol, float(at))
            band = market[symbol, nb.BAND]
            low, high = nb.cents_nb(middle * (1 - band)), nb.cents_nb(middle * (1 + band))
            rows += [
                (at, TICK_LULD, symbol, 0, 0, low, high),
                (at, TICK_STATUS, symbol, STATUS_HALTED, reason, 0.0, 0.0),
                (end - 30, TICK_STATUS, symbol, STATUS_QUOTE_RESUME, reason, 0.0, 0.0),
                (end, TICK_STATUS, symbol, STATUS_TRADING, 0, 0.0, 0.0),
            ]
        for gap in range(nb.GAPS_FROM, nb.PLAN_WORDS, 2):
            if plan[gap]:
                rows.append((int(plan[gap]), TICK_GAP_START, -1, 0, 0, 0.0, 0.0))
                rows.append((int(plan[gap + 1]), TICK_GAP_END, -1, 0, 0, 0.0, 0.0))
        rows.sort(key=lambda row: row[0])
        self._events = np.array([row[1:5] for row in rows], np.int64).reshape(len(rows), 4)
        self._events_f = np.array([row[5:] for row in rows], np.float64).reshape(len(rows), 2)
        seconds = np.arange(int(plan[nb.SECONDS]) + 2)
        self._events_at = np.searchsorted(np.array([row[0] for row in rows]), seconds)

    # -- the port --------------------------------------------------------------------------------
    @property
    def names(self) -> np.ndarray:
        """Tickers by number, int64[n, 3]."""
        return self._names.view(np.int64).reshape(len(self._names), 3)

    def name(self, number: int) -> str:
        """Ticker of a number."""
        return ticker(number)

    def seek(self, src_pos: int) -> None:
        """Go on behind a position; nothing before it has to be made again."""
        second = (self.start_ns - int(self._plan[nb.START_NS])) // NS_PER_SECOND
        self._state[nb.SECOND], self._state[nb.INDEX] = second, 0
        if src_pos != BEFORE_ALL:
            behind = src_pos + 1
            self._state[nb.SECOND] = behind >> nb.INDEX_BITS
            self._state[nb.INDEX] = behind & _INDEX_MASK

    def reset(self) -> None:
        """Begin again."""
        self.seek(BEFORE_ALL)

    def read(self, limit: int) -> np.ndarray:
        """The next ticks, TICK[0..limit]; empty only at the end."""
        if len(self._out) < limit:
            self._out = np.zeros(limit, TICK)
        state, plan = self._state, self._plan
        state[nb.COUNT] = 0
        while state[nb.COUNT] == 0 and state[nb.SECOND] < plan[nb.SECONDS]:
            if plan[nb.START_NS] + state[nb.SECOND] * NS_PER_SECOND >= plan[nb.END_NS]:
                break
            window = int(state[nb.SECOND]) // nb.WINDOW_S
            if window != self._window:
                self._window = window
                nb.weights_nb(
                    self._market, self._popularity, self._key, window, self._cumulative
                )
            nb.fill_nb(
                self._market,
                self._popularity,
                self._cumulative,
                self._events,
                self._events_at,
                self._events_f,
                self._key,
                self._bits,
                plan,
                float(self._traits.ticks_per_s),
                window,
                self._out[:limit],
                state,
            )
        return self._out[: int(state[nb.COUNT])]
