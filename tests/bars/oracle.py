"""The semantics of bars once more, slow and plain: every value from the list of all trades."""

import dataclasses
import math

from engine.domain import records
from tests.bars.floor import GRACE, MINUTE, SECOND, T0

LAST, HILO, VOLUME = records.COND_LAST, records.COND_HILO, records.COND_VOLUME
SESSIONS = (
    (T0 - 3600 * SECOND, T0),
    (T0, T0 + 3600 * SECOND),
    (T0 + 3600 * SECOND, T0 + 7200 * SECOND),
)


@dataclasses.dataclass
class Trade:
    """One trade as it was taken in; a correction changes price and size, a cancel `alive`."""

    ident: int
    event_ns: int
    price: float
    size: float
    bits: int
    late: bool
    in_bar: bool = False
    alive: bool = True


def session_of(event_ns: int) -> int:
    for session, (start, end) in enumerate(SESSIONS):
        if start <= event_ns < end:
            return session
    return records.OUTSIDE


class Symbol:
    """All trades of one symbol in order of arrival, and which minutes are open."""

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.open: list[int] = []
        self.seen = False
        self.final_minute = -1
        self.bar_index = 0
        self.amended: set[int] = set()
        self.unpriced: set[int] = set()  # minutes that lost their last price at some time
        self.bid = self.ask = math.nan
        self.new_highs = self.new_lows = 0  # as printed: nothing takes one back

    def take(self, tick, closed: int) -> None:  # type: ignore[no-untyped-def]
        event_ns, cond = int(tick["event_ns"]), int(tick["cond"])
        session = session_of(event_ns)
        bits = cond & (LAST | HILO | VOLUME)
        if cond & records.COND_LAST_IF_FIRST:
            bits = bits & ~LAST if self.seen else bits | LAST
        if cond & records.COND_EXTENDED and session != records.RTH:
            bits |= LAST | HILO
        if session == records.OUTSIDE:
            bits &= LAST
        if bits == 0:
            return
        self.seen |= bool(bits & LAST)
        late = session != records.OUTSIDE and not self._is_open(event_ns // MINUTE, closed)
        in_bar = bool(cond & records.COND_BAR)
        if session == records.RTH and bits & HILO:
            self._count_extremes(float(tick["a"]), event_ns)
        self.trades.append(
            Trade(int(tick["id"]), event_ns, float(tick["a"]), float(tick["b"]), bits, late, in_bar)
        )
        if late:
            self._number(event_ns // MINUTE)

    def _count_extremes(self, price: float, event_ns: int) -> None:
        """New highs and lows of regular hours, once an exchange second, but for the first trade."""
        now = self.session(records.RTH)
        if price > now["high"] and now["high_event_ns"] // SECOND != event_ns // SECOND:
            self.new_highs += 1
        if price < now["low"] and now["low_event_ns"] // SECOND != event_ns // SECOND:
            self.new_lows += 1

    def regular_extremes(self) -> dict[str, float]:
        """The lowest price up to the high and the highest up to the low, by the row's names."""
        prices = [
            t.price
            for t in self.trades
            if t.alive and t.bits & HILO and session_of(t.event_ns) == records.RTH
        ]
        if not prices:
            return {"low_before_high": math.nan, "high_before_low": math.nan}
        return {
            "low_before_high": min(prices[: prices.index(max(prices)) + 1]),
            "high_before_low": max(prices[: prices.index(min(prices)) + 1]),
        }

    def opening(self, start: int, end: int) -> tuple[float, float]:
        """High and low of the regular minutes [start, end) after the open."""
        prices = [
            t.price
            for t in self.trades
            if t.alive
            and t.bits & HILO
            and session_of(t.event_ns) == records.RTH
            and start <= (t.event_ns - T0) // MINUTE < end
        ]
        return (max(prices), min(prices)) if prices else (math.nan, math.nan)

    def prints(self) -> dict[str, float]:
        """First price, the largest print, blocks and the squares of regular hours."""
        alive = [t for t in self.trades if t.alive]
        firsts = [t.price for t in alive if t.bits & LAST]
        sized = [t for t in alive if t.bits & VOLUME and session_of(t.event_ns) != records.OUTSIDE]
        usd = [t.price * t.size for t in sized if not t.in_bar]
        blocks = [
            t.price * t.size
            for t in sized
            if not t.in_bar
            and t.size >= records.BLOCK_SHARES
            and t.price * t.size >= records.BLOCK_USD
        ]
        regular = [t for t in sized if session_of(t.event_ns) == records.RTH]
        return {
            "first": firsts[0] if firsts else math.nan,
            "max_print_usd": max(usd, default=math.nan),
            "blocks": len(blocks),
            "blocks_usd": sum(blocks),
            "ppv": sum(t.price * t.price * t.size for t in regular),
        }

    def _is_open(self, minute: int, closed: int) -> bool:
        if minute in self.open:
            return True
        if minute <= closed or (len(self.open) == 2 and minute < self.open[0]):
            return False
        if len(self.open) == 2:
            self._close(self.open[0])
        self.open = sorted([*self.open, minute])
        return True

    def _close(self, minute: int) -> None:
        self.open.remove(minute)
        self._number(minute)

    def _number(self, minute: int) -> None:
        if minute > self.final_minute and not math.isnan(self.bar(minute)[3]):
            self.final_minute = minute
            self.bar_index += 1

    def close_until(self, closed: int) -> None:
        while self.open and self.open[0] <= closed:
            self._close(self.open[0])

    def amend(self, tick) -> bool:  # type: ignore[no-untyped-def]
        """A correction or cancel; False: its trade is not there."""
        for trade in reversed(self.trades):
            if trade.alive and trade.ident == int(tick["id"]):
                break
        else:
            return False
        if tick["kind"] == records.TICK_CANCEL:
            trade.alive = False
            self.seen = any(t.alive and t.bits & LAST for t in self.trades)
        else:
            trade.price, trade.size = float(tick["a"]), float(tick["b"])
        minute = trade.event_ns // MINUTE
        self.amended.add(minute)
        if math.isnan(self.bar(minute)[3]):
            self.unpriced.add(minute)
        if minute not in self.open:
            self._number(minute)
        return True

    def doubtful(self, minute: int) -> bool:
        """May the bar of an amended minute be approximate, or know more than one that was not?

        It lost its last price in the cycle that numbered it, or late trades met one that sets high
        and low but not last: such a trade makes no bar, yet counts when the pool rebuilds one.
        """
        inside = [t for t in self.trades if t.event_ns // MINUTE == minute]
        odd = any(t.bits & (LAST | HILO) == HILO for t in inside) and any(t.late for t in inside)
        return minute in self.unpriced or (minute in self.amended and odd)

    def bar(self, minute: int) -> tuple[float, ...]:
        """open, high, low, close, volume, pv, trades; prices as a final bar if it is not open."""
        inside = [
            t
            for t in self.trades
            if t.alive
            and t.event_ns // MINUTE == minute
            and session_of(t.event_ns) != records.OUTSIDE
        ]
        opening = high = low = close = math.nan
        for t in (t for t in inside if not t.late):
            if t.bits & LAST:
                opening, close = t.price if math.isnan(opening) else opening, t.price
            if t.bits & (LAST | HILO):
                high = t.price if not t.price <= high else high
                low = t.price if not t.price >= low else low
        if math.isnan(close) and minute not in self.open:
            high = low = math.nan
        for t in (t for t in inside if t.late):
            if math.isnan(close):
                if t.bits & LAST:
                    opening = high = low = close = t.price
            elif t.bits & (LAST | HILO):
                high, low = max(high, t.price), min(low, t.price)
        sized = [t for t in inside if t.bits & VOLUME]
        volume, value = sum(t.size for t in sized), sum(t.size * t.price for t in sized)
        return opening, high, low, close, float(volume), float(value), float(len(sized))

    def session(self, session: int) -> dict[str, float]:
        """Sums and extremes of one session, by the name of the row's field."""
        inside = [t for t in self.trades if t.alive and session_of(t.event_ns) == session]
        result = {"high": math.nan, "low": math.nan, "high_event_ns": 0, "low_event_ns": 0}
        for t in inside:
            if t.bits & HILO and not t.price <= result["high"]:
                result["high"], result["high_event_ns"] = t.price, t.event_ns
            if t.bits & HILO and not t.price >= result["low"]:
                result["low"], result["low_event_ns"] = t.price, t.event_ns
        sized = [t for t in inside if t.bits & VOLUME]
        result["volume"] = sum(t.size for t in sized)
        result["pv"] = sum(t.size * t.price for t in sized)
        result["trades"] = len(sized)
        return result

    def last(self) -> tuple[float, float]:
        for t in reversed(self.trades):
            if t.alive and t.bits & LAST:
                return t.price, math.nan if t.in_bar else t.size
        return math.nan, math.nan

    def typical(self, minute: int) -> bool | None:
        """Is volume of an imported bar in a minute? None: there was, and all of it is cancelled."""
        inside = [t for t in self.trades if t.event_ns // MINUTE == minute]
        parts = [t for t in inside if t.in_bar and t.bits & VOLUME]
        return None if parts and not any(t.alive for t in parts) else bool(parts)

    def regular(self) -> tuple[float, float]:
        """open_rth, close_rth."""
        prices = [
            t.price
            for t in self.trades
            if t.alive and t.bits & LAST and session_of(t.event_ns) == records.RTH
        ]
        return (prices[0], prices[-1]) if prices else (math.nan, math.nan)


class Oracle:
    """Symbols, the closed minute and counters; `cycle` takes the merged ticks of one cycle."""

    def __init__(self, symbols: int) -> None:
        self.symbols = [Symbol() for _ in range(symbols)]
        self.closed = (T0 - GRACE) // MINUTE - 1
        self.unmatched = 0
        self.refused = 0

    def cycle(self, t_ns: int, rings: list[list]) -> None:
        """rings: for every ring the (running-max recv_ns, tick) pairs of this cycle."""
        order = [
            (newest, ring, position, tick)
            for ring, ticks in enumerate(rings)
            for position, (newest, tick) in enumerate(ticks)
        ]
        for _, _, _, tick in sorted(order, key=lambda item: item[:3]):
            self._tick(tick, t_ns)
        self.closed = max(self.closed, (t_ns - GRACE) // MINUTE - 1)
        for symbol in self.symbols:
            symbol.close_until(self.closed)

    def _tick(self, tick, t_ns: int) -> None:  # type: ignore[no-untyped-def]
        symbol, kind = self.symbols[int(tick["sym"])], int(tick["kind"])
        if int(tick["event_ns"]) > t_ns + MINUTE:
            self.refused += 1
        elif kind == records.TICK_QUOTE:
            symbol.bid, symbol.ask = float(tick["a"]), float(tick["b"])
        elif kind == records.TICK_TRADE:
            symbol.take(tick, self.closed)
        elif not symbol.amend(tick):
            self.unmatched += 1
