"""Plays the part of bars and indicators for the families of small tables, minute by minute."""

import numpy as np

from engine.domain import records
from engine.domain.family import KEEP_EXTREMES, KEEP_PRICES, TIMEFRAMES
from engine.domain.tables import CELL_SLOTS
from engine.families.stage import Families
from engine.metrics.registry import COLUMNS, resolve
from engine.rules.compiler import room_of
from engine.rules.families import Placed, chosen, place_families
from tests.indicators.player import FIRST_MINUTE, Player

__all__ = ["EVERYTHING", "FIRST_MINUTE", "FamilyPlayer", "play"]

MINUTE_NS = records.NS_PER_MINUTE
EVERYTHING = (1 << len(TIMEFRAMES)) - 1 | KEEP_EXTREMES | KEEP_PRICES


class FamilyPlayer(Player):
    """A Player whose one scan worker computes families. One cycle ends each minute it plays.

    kept: bits of what is kept from the start, None: everything. rules_version: of the rules that
    every cycle says are in force.
    """

    def __init__(
        self,
        names: list[str],
        capacity: int = 3,
        interval_ns: int = MINUTE_NS,
        kept: int | None = None,
    ) -> None:
        super().__init__(capacity)
        session = self.tables.session
        session["open_ns"], session["close_ns"] = 0, np.iinfo(np.int64).max
        session["interval_ns"] = interval_ns
        self.tables.frames.kept[:] = EVERYTHING if kept is None else kept
        self.families = Families(self.tables, 0, COLUMNS)
        self.placed: Placed | None = None
        self.names: list[str] = []
        self.wanted = names
        self.rules_version = 0
        self.tables.cell.heads[0]["closed_minute"] = self.minute
        self.tables.cell.rows["minutes"]["minute"] = -1

    def cell(self, events: list[np.ndarray], closed: int) -> int:
        n = super().cell(events, closed)
        head = self.tables.cell.heads[n % CELL_SLOTS]
        head["t_ns"] = (closed + 1) * MINUTE_NS
        head["rules_version"] = self.rules_version
        return n

    def step(self, events: list[np.ndarray], closed: int | None = None) -> None:
        n = self.cell(events, self.minute if closed is None else closed)
        self.stage.step(n)
        self.follow(n)

    def follow(self, n: int) -> None:
        """The families' part of a cycle; a change of `wanted` is a change of rules."""
        if self.wanted != self.names:
            before = self.placed
            names = [resolve(name).name for name in self.wanted]
            self.placed = place_families(names, room_of(self.tables.sizes), before)
            known = None if before is None else chosen(before)
            self.families.take(n, chosen(self.placed), known)
            self.names = list(self.wanted)
        self.families.step(n)

    def open_minute(self, symbol: int, minute: int, ohlc: list[float], volume: float) -> None:
        """Let a minute be open in every cell from now on."""
        for rows in self.tables.cell.rows:
            opened = rows["minutes"][symbol, 0]
            opened["minute"], opened["volume"] = minute, volume
            for name, value in zip(("open", "high", "low", "close"), ohlc, strict=True):
                opened[name] = value

    def no_open_minute(self, symbol: int) -> None:
        """Let no minute be open."""
        for rows in self.tables.cell.rows:
            rows["minutes"][symbol]["minute"] = -1

    def column(self, name: str) -> np.ndarray:
        """The current values of a family, float64[rows]."""
        assert self.placed is not None
        slot = self.placed.slot[self.placed.names.index(resolve(name).name)]
        return self.tables.scan.columns[self.n & 1, COLUMNS + int(slot)]

    def family(self, name: str, symbol: int = 0) -> float:
        """The current value of a family for one symbol."""
        return float(self.column(name)[symbol])


def play(bars: dict[str, np.ndarray], names: list[str], minutes: int = 1) -> dict[str, np.ndarray]:
    """Values after each bar of one symbol; bars: open ... volume, one every `minutes` minutes,
    each in the first minute of its time."""
    player = FamilyPlayer(names, 1)
    out: dict[str, list[float]] = {name: [] for name in names}
    rows = zip(*(bars[key] for key in ("open", "high", "low", "close", "volume")), strict=True)
    begin = -(-FIRST_MINUTE // minutes) * minutes
    for i, (*ohlc, volume) in enumerate(rows):
        first = begin + i * minutes
        player.step([player.final(0, first, ohlc, volume)], first + minutes - 1)
        for name in names:
            out[name].append(player.family(name))
    return {name: np.array(values) for name, values in out.items()}
