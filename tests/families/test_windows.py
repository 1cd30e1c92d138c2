"""Windows in time against what bars, prices and volumes say when looked at one by one."""

import itertools
import math
import random

import numpy as np
import pytest

from engine.domain import records
from engine.metrics.registry import resolve
from tests.families.player import FIRST_MINUTE, MINUTE_NS, FamilyPlayer

SYMBOLS = 3
NAMES = [
    "range_1m", "range_7m", "range_45m", "range_390m", "highest(high,5m)", "highest(low,9m)",
    "lowest(low,30m)", "lowest(high,3m)", "highest(high,390m)", "sum(volume,4m)",
    "sum(volume,200m)", "avg(volume,30m)", "rv(10m)", "rv(390m)", "chg_16m_pct", "chg_31m_pct",
    "chg_390m_pct", "chg_7s_pct", "chg_7m_pct", "chg_14m_pct", "vol_16m", "vol_390m", "vol_90s",
    "vol_7m",
]  # fmt: skip
NAN = math.nan


class Windows:
    """Symbols with a price and a volume at every whole second that matters, and bars."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.player = FamilyPlayer(NAMES, SYMBOLS, records.NS_PER_SECOND)
        self.bars: list[dict[int, tuple[float, float]]] = [{} for _ in range(SYMBOLS)]
        self.last = [NAN] * SYMBOLS
        self.price_at: dict[int, list[float]] = {}  # by second
        self.volume_at: dict[int, list[int]] = {}
        self.note(FIRST_MINUTE * 60)

    def note(self, second: int) -> None:
        """What the histories hold as of a whole second, and minute."""
        history, player = self.player.tables.history, self.player
        self.price_at[second] = list(self.last)
        self.volume_at[second] = player.cumulative[:SYMBOLS].tolist()
        slot = second % len(history.second_stamp)
        history.second_price[slot, :SYMBOLS] = self.last
        history.second_volume[slot] = (player.cumulative & 0xFFFFFFFF).astype(np.uint32)
        history.second_stamp[slot] = second
        if second % 60 == 0:
            slot = second // 60 % len(history.minute_stamp)
            history.minute_price[slot, :SYMBOLS] = self.last
            history.minute_stamp[slot] = second // 60

    def minute(self) -> None:
        """One more minute, and a cycle at its end; now and then a bar of the past changes."""
        player, chance = self.player, self.chance
        minute, events = player.minute + 1, []
        for symbol in range(SYMBOLS):
            if chance.random() < (0.95, 0.5, 0.05)[symbol]:
                close = round(chance.uniform(9, 11), 2)
                self.last[symbol] = close
                bar = close + chance.random(), close - chance.random()
                self.bars[symbol][minute] = bar
                volume = float(chance.randrange(1, 500))
                events.append(player.final(symbol, minute, [close, *bar, close], volume))
        if chance.random() < 0.2:
            symbol, late = chance.randrange(SYMBOLS), minute - chance.randrange(1, 40)
            if late >= FIRST_MINUTE:
                bar = chance.uniform(9, 13), chance.uniform(7, 9)
                self.bars[symbol][late] = bar
                events.append(player.final(symbol, late, [9.0, *bar, 9.0], 0.0))
        for second in (*range(minute * 60 + 30, minute * 60 + 61), minute * 60 + 1):
            self.note(second)
        for rows in player.tables.cell.rows:
            rows["last"][:SYMBOLS] = self.last
            rows["cumulative_volume"][:SYMBOLS] = player.cumulative[:SYMBOLS]
        player.step(events, minute)

    def wanted(self, name: str, symbol: int) -> float:
        family = resolve(name).family
        assert family is not None
        closed, seconds = self.player.minute, family.window_s
        now = (closed + 1) * 60
        then = now - seconds
        if family.kind == "chg_time":
            base = self.price_at.get(then, [NAN] * SYMBOLS)[symbol]
            return 100 * (self.last[symbol] / base - 1)
        if family.kind in ("vol_time", "sum_time", "avg_time"):
            if then not in self.volume_at or then < FIRST_MINUTE * 60:
                return NAN
            volume = self.volume_at[now][symbol] - self.volume_at[then][symbol]
            return volume / (seconds // 60 if family.kind == "avg_time" else 1)
        minutes = range(closed + 1 - seconds // 60, closed + 1)
        if minutes[0] < FIRST_MINUTE:
            return NAN
        if family.kind == "rv":
            prices = [self.price_at[60 * m][symbol] for m in (*minutes, closed + 1)]
            steps = [math.log(b / a) ** 2 for a, b in itertools.pairwise(prices)]
            return 100 * math.sqrt(math.fsum(steps))
        inside = [self.bars[symbol][m] for m in minutes if m in self.bars[symbol]]
        if not inside:
            return NAN
        highs, lows = zip(*inside, strict=True)
        if family.kind == "range_time":
            return max(highs) - min(lows)
        values = highs if family.field == "high" else lows
        return max(values) if family.kind == "highest_time" else min(values)


@pytest.mark.parametrize("seed", range(2))
def test_windows_in_time_are_what_their_minutes_say(seed: int) -> None:
    market = Windows(seed)
    for number in range(400):
        market.minute()
        if number % 5 and number not in (389, 390, 391):
            continue
        for name in NAMES:
            for symbol in range(SYMBOLS):
                found, wanted = market.player.family(name, symbol), market.wanted(name, symbol)
                assert found == pytest.approx(wanted, rel=1e-9, abs=1e-9, nan_ok=True), (
                    name, symbol, number
                )  # fmt: skip
    assert not any(math.isnan(market.player.family(name)) for name in NAMES)


def test_a_window_shorter_than_a_cycle_is_unknown() -> None:
    player = FamilyPlayer(["chg_7s_pct"], 1, MINUTE_NS)
    player.tables.history.second_price[:] = 1.0
    player.step([], FIRST_MINUTE)
    assert math.isnan(player.family("chg_7s_pct"))


def test_a_window_that_begins_before_the_session_date_is_unknown() -> None:
    player = FamilyPlayer(["highest(high,3m)", "highest(high,2m)"], 1)
    player.tables.session["start_ns"] = (FIRST_MINUTE + 2) * records.NS_PER_MINUTE
    for i in range(4):
        bar = player.final(0, FIRST_MINUTE + i, [1.0, 5.0 - i, 1.0, 1.0])
        player.step([bar], FIRST_MINUTE + i)
    assert math.isnan(player.family("highest(high,3m)"))
    assert player.family("highest(high,2m)") == 3.0
