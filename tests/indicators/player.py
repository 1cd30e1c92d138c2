"""Plays the part of bars for one small indicator table: cells, final bars, volumes per minute."""

import numpy as np

from engine.domain import records, tables
from engine.domain.sizes import Sizes
from engine.indicators import registry
from engine.indicators.stage import IndicatorsStage
from engine.metrics.registry import COLUMNS
from shm.arena import PrivateArena

FIRST_MINUTE = 23_000_000


class Player:
    """Tables of `capacity` symbols whose cells are written by hand, one minute or more a cycle."""

    def __init__(self, capacity: int = 3) -> None:
        columns = tables.Columns(registry.SLOTS, registry.VALUES, registry.RING, COLUMNS)
        sizes = Sizes(
            capacity, ring_ticks=1 << 8, pool_trades=1 << 8, max_rules=64, max_cooling=1024
        )
        self.tables = tables.allocate(PrivateArena(), sizes, columns)
        self.tables.session["start_ns"] = FIRST_MINUTE * records.NS_PER_MINUTE
        self.rows = self.tables.sizes.rows
        self.next_index = np.zeros(self.rows, np.int64)
        self.cumulative = np.zeros(self.rows, np.int64)
        self.n = 0
        self.minute = FIRST_MINUTE - 1
        self.write_volume(FIRST_MINUTE)
        self.stage = IndicatorsStage(self.tables)
        self.stage.recover()

    def write_volume(self, instant: int) -> None:
        """Cumulative volumes as of a whole minute."""
        history = self.tables.history
        slot = instant % len(history.session_stamp)
        history.session_volume[slot] = (self.cumulative & 0xFFFFFFFF).astype(np.uint32)
        history.session_stamp[slot] = instant

    def final(self, symbol: int, minute: int, ohlc, volume: float = 100.0, pv=None) -> np.ndarray:
        """A BAR_FINAL (or BAR_VOLUME_ONLY, if the close is NaN) event of one symbol."""
        event = np.zeros(1, records.BAR_EVENT)
        priced = not np.isnan(ohlc[3])
        event["sym"] = symbol
        event["kind"] = records.BAR_FINAL if priced else records.BAR_VOLUME_ONLY
        event["bar_index"] = self.next_index[symbol] if priced else -1
        bar = event["bar"]
        bar["minute"], bar["volume"] = minute, volume
        bar["pv"] = volume * (ohlc[3] if priced else 1.0) if pv is None else pv
        for name, value in zip(("open", "high", "low", "close"), ohlc, strict=True):
            bar[name] = value
        self.next_index[symbol] += priced
        self.cumulative[symbol] += int(volume)
        return event

    def revised(self, symbol: int, index: int, minute: int, ohlc, volume: float) -> np.ndarray:
        """A BAR_REVISED event; index -1: not the newest bar."""
        event = self.final(symbol, minute, ohlc, volume)
        self.next_index[symbol] -= 1
        self.cumulative[symbol] -= int(volume)
        event["kind"], event["bar_index"] = records.BAR_REVISED, index
        return event

    def cell(self, events: list[np.ndarray], closed: int) -> int:
        """Publish one cycle with these events; returns its number."""
        self.n += 1
        cell = self.tables.cell
        slot = self.n % tables.CELL_SLOTS
        history = self.tables.history
        for i, event in enumerate(events):
            event["n"] = self.n
            cell.events[slot, i] = event[0]
            minute, symbol = int(event["bar"]["minute"][0]), int(event["sym"][0])
            history.bars[minute % len(history.bars), symbol] = event["bar"][0]
        for minute in range(self.minute + 1, closed + 1):
            self.write_volume(minute + 1)
        self.minute = closed
        head = cell.heads[slot : slot + 1]
        head["n"], head["event_count"], head["closed_minute"] = self.n, len(events), closed
        return self.n

    def step(self, events: list[np.ndarray], closed: int | None = None) -> None:
        """One whole cycle."""
        self.stage.step(self.cell(events, self.minute if closed is None else closed))

    def value(self, name: str, symbol: int = 0) -> float:
        """The current value of an indicator."""
        column = next(i.column for i in registry.INDICATORS if i.name == name)
        copy = int(self.tables.indicators.words[0]) & 1
        return float(self.tables.indicators.values[copy, column, symbol])

    def current(self) -> tuple[bytes, bytes, bytes]:
        """All bits a reader can see: state and values of the current copy, the close ring."""
        table = self.tables.indicators
        copy = int(table.words[0]) & 1
        return table.state[copy].tobytes(), table.values[copy].tobytes(), table.closes.tobytes()


def play_series(bars: dict[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    """Indicator values after each bar of one symbol, one bar a minute; bars: open ... volume."""
    player = Player(1)
    out: dict[str, list[float]] = {name: [] for name in names}
    rows = zip(*(bars[key] for key in ("open", "high", "low", "close", "volume")), strict=True)
    for i, (*ohlc, volume) in enumerate(rows):
        minute = FIRST_MINUTE + i
        player.step([player.final(0, minute, ohlc, volume)], minute)
        for name in names:
            out[name].append(player.value(name))
    return {name: np.array(values) for name, values in out.items()}
