"""A sequencer over private tables: tests publish ticks, run cycles and look at rows and events."""

from collections.abc import Iterable

import numpy as np

from engine.bars.stage import BarsStage, empty_rows, new_head
from engine.domain import records
from engine.domain.sizes import Sizes
from engine.domain.tables import Columns, EngineTables, allocate
from shm.arena import PrivateArena
from shm.fences import write_word
from shm.words import WORD_STRIDE

SECOND = records.NS_PER_SECOND
MINUTE = records.NS_PER_MINUTE
M0 = 28_333_350          # minute of T_0; the regular session opens there
T0 = M0 * MINUTE
INTERVAL = SECOND // 10
GRACE = SECOND // 2
END = 2**63 - 1
NAMES = ("AAA", "BBB", "CCC")
REGULAR = records.COND_LAST | records.COND_HILO | records.COND_VOLUME
VOLUME_ONLY = records.COND_VOLUME


def at(seconds: float) -> int:
    """Nanoseconds UTC of a time in seconds after T_0."""
    return T0 + round(seconds * 1000) * (SECOND // 1000)


def tick(kind: int, sym: int, when: float, recv: float | None = None, **fields: float) -> np.void:
    """A TICK of event time `when` (seconds after T_0), received then or at `recv`."""
    record = np.zeros(1, records.TICK)[0]
    record["kind"] = kind
    record["sym"] = sym
    record["event_ns"] = at(when)
    record["recv_ns"] = at(when if recv is None else recv)
    for name, value in fields.items():
        record[name] = value
    return record


def trade(
    sym: int, when: float, price: float, size: float, cond: int = REGULAR, **fields: float
) -> np.void:
    """A trade."""
    return tick(records.TICK_TRADE, sym, when, a=price, b=size, cond=cond, **fields)


def correction(sym: int, when: float, ident: int, price: float, size: float) -> np.void:
    """A correction of the trade `ident`."""
    return tick(records.TICK_CORRECTION, sym, when, id=ident, a=price, b=size)


def cancel(sym: int, when: float, ident: int) -> np.void:
    """A cancel of the trade `ident`."""
    return tick(records.TICK_CANCEL, sym, when, id=ident)


def quote(sym: int, when: float, bid: float, ask: float, **fields: float) -> np.void:
    """A quote, sizes 1 and 2 unless told."""
    return tick(records.TICK_QUOTE, sym, when, a=bid, b=ask, **{"n1": 1, "n2": 2, **fields})


def admit(sym: int, when: float, ticker: str) -> np.void:
    """An ADMIT record."""
    data = np.frombuffer(ticker.encode().ljust(24, b"\0"), np.int64)
    record = tick(records.TICK_ADMIT, sym, when, n1=len(ticker), id=int(data[0]))
    record["a"], record["b"] = data[1:].view(np.float64)
    return record


def build(capacity: int = 64, names: Iterable[str] = NAMES, **sizes: int) -> EngineTables:
    """Tables with a session date around T_0; `names` are numbers 0.. of feed 0."""
    small = {"ring_ticks": 1 << 10, "pool_trades": 1 << 10, "seconds": 64, "minutes": 8}
    tables = allocate(
        PrivateArena(), Sizes(capacity=capacity, **{**small, **sizes}), Columns(1, 1, 1, 1)
    )
    bounds = (T0 - 3600 * SECOND, T0, T0 + 3600 * SECOND, T0 + 7200 * SECOND)
    tables.session[0] = (20231114, *bounds, 0, INTERVAL, GRACE)
    sizes_now = tables.sizes
    for number, name in enumerate(names):
        worker = number % sizes_now.workers
        symbol = worker * sizes_now.slice_rows + number // sizes_now.workers
        tables.names.set(symbol, name)
        for feed_names in tables.feed_names:
            feed_names.set(number, name)
    return tables


class Floor:
    """One stage from genesis on. Symbols 0, 1, 2 are AAA, BBB, CCC."""

    def __init__(self, tables: EngineTables | None = None, **sizes: int) -> None:
        self.tables = build(**sizes) if tables is None else tables
        self.stage = BarsStage(self.tables)
        self.stage.init_genesis(empty_rows(self.tables.sizes.rows), new_head(self.tables, T0))
        self.pass_gates()

    def publish(self, *ticks: np.void, feed: int = 0) -> None:
        """Ticks into a ring, all of them."""
        if ticks:
            assert self.tables.ticks.rings[feed].publish(np.stack(ticks)) == len(ticks)

    def mark(self, when: float | None, feed: int | None = None) -> None:
        """Watermark in seconds after T_0; None: end of input."""
        for f, ring in enumerate(self.tables.ticks.rings):
            if feed in (None, f):
                ring.set_mark(END if when is None else at(when))

    def pass_gates(self) -> None:
        """Indicators, scan workers and recorder have done everything so far."""
        tables, n = self.tables, self.stage.n
        write_word(tables.indicators.words, 0, 2 * n)
        for worker in range(tables.sizes.workers):
            write_word(tables.scan.words, worker * WORD_STRIDE, n)
        for ring in (*tables.ticks.rings, tables.decisions, tables.bar_ring):
            ring.set_gate("recorder", ring.tail())

    def step(self) -> np.void | None:
        """One cycle, if a decision can be made."""
        decision = self.stage.decide_replay()
        if decision is not None:
            assert self.stage.execute(decision)
            self.pass_gates()
        return decision

    def run(self, *ticks: np.void, until: float | None) -> list[np.void]:
        """Publish to ring 0 and run up to a time (None: to the end of the stream); bar events."""
        self.publish(*ticks)
        self.mark(until)
        events: list[np.void] = []
        while self.step() is not None:
            events += list(self.events())
        return events

    def events(self) -> np.ndarray:
        """Copy of the event list of the newest cycle."""
        cell, head = self.tables.cell, self.stage.head
        return cell.events[self.stage.n % 4][: int(head["event_count"])].copy()

    def row(self, symbol: int = 0) -> np.void:
        """Row of the newest published cell."""
        return self.tables.cell.rows[self.stage.n % 4][symbol]

    @property
    def head(self) -> np.void:
        """Head of the newest published cell."""
        return self.tables.cell.heads[self.stage.n % 4]

    def bar(self, minute: int, symbol: int = 0) -> np.void | None:
        """Final bar of a minute after M0 from the history, None if there is none."""
        bars = self.tables.history.bars
        bar = bars[(M0 + minute) % len(bars), symbol]
        return bar if bar["minute"] == M0 + minute else None


def ohlc(bar: np.void | None) -> tuple[float, ...]:
    """Open, high, low, close, volume, pv, trades of a bar."""
    assert bar is not None
    return tuple(
        float(bar[name]) for name in ("open", "high", "low", "close", "volume", "pv", "trades")
    )
