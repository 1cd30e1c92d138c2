"""Bars of every timeframe against bars put together plainly: thin symbols, late bars, pauses."""

import random

import numpy as np
import pytest

from engine.domain import records
from engine.domain.family import KEPT_CLOSES, KEPT_RANGES, TIMEFRAMES
from engine.domain.frame_table import MARK_BUCKET, MARK_SHIFT
from engine.rules.compiler import compile_rules
from engine.rules.pack import pack
from engine.rules.publish import publish
from engine.rules.validate import read_rule
from tests.families.oracle import PlainBars
from tests.families.player import FIRST_MINUTE, MINUTE_NS, FamilyPlayer

SYMBOLS = 4
FRAMES = TIMEFRAMES
MADE = [frame for frame in enumerate(FRAMES) if frame[1][0]]  # all but daily bars
OPEN, CLOSE = FIRST_MINUTE + 37, FIRST_MINUTE + 300  # minutes of regular hours


class Market:
    """A few thin symbols with late bars, corrections and pauses, beside what must come of them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.player = FamilyPlayer([], SYMBOLS)
        session = self.player.tables.session
        session["open_ns"], session["close_ns"] = OPEN * MINUTE_NS, CLOSE * MINUTE_NS
        self.known: list[dict[int, tuple]] = [{} for _ in range(SYMBOLS)]
        self.plain = [
            [PlainBars(m, *((OPEN, CLOSE) if regular else ())) for _, (m, regular) in MADE]
            for _ in range(SYMBOLS)
        ]

    def prices(self) -> list[float]:
        close = round(self.chance.uniform(90, 110), 2)
        if self.chance.random() < 0.1:
            return [close, float("nan"), float("nan"), close]  # no trade could set extremes
        if self.chance.random() < 0.05:
            return [float("nan")] * 4  # volume alone
        return [close, close + self.chance.random(), close - self.chance.random(), close]

    def event(self, symbol: int, minute: int) -> np.ndarray:
        ohlc, volume = self.prices(), float(self.chance.randrange(1, 1000))
        self.known[symbol][minute] = (
            ohlc[3] if np.isnan(ohlc[1]) else ohlc[1], ohlc[3] if np.isnan(ohlc[2]) else ohlc[2],
            ohlc[3], volume,
        )  # fmt: skip
        return self.player.final(symbol, minute, ohlc, volume)

    def cycle(self) -> None:
        """Some minutes go by, often one; now and then a bar of the past comes or changes."""
        player, chance = self.player, self.chance
        before = player.minute
        closed = before + chance.choice([0, 0, 1, 1, 1, 1, 1, 2, 7])
        events = []
        late = [
            (chance.randrange(SYMBOLS), before - chance.randrange(70))
            for _ in range(chance.choice([0, 0, 0, 1, 3]))
        ]
        for symbol, minute in late:
            if minute >= FIRST_MINUTE:
                events.append(self.event(symbol, minute))
        for minute in range(before + 1, closed + 1):
            for symbol in range(SYMBOLS):
                if chance.random() < (0.9, 0.5, 0.1, 0.02)[symbol]:
                    events.append(self.event(symbol, minute))
        player.step(events, closed)
        for symbol, minute in late:
            for plain in self.plain[symbol] if minute >= FIRST_MINUTE else ():
                plain.late(self.known[symbol], minute, before)
        for minute in range(before + 1, closed + 1):
            for symbol in range(SYMBOLS):
                for plain in self.plain[symbol]:
                    plain.close(self.known[symbol], minute)

    def check(self) -> None:
        """The newest bars, as many as are kept."""
        table = self.player.tables.frames
        copy = int(self.player.tables.indicators.words[0]) & 1
        for symbol in range(SYMBOLS):
            for (t, _), plain in zip(MADE, self.plain[symbol], strict=True):
                mark = int(table.marks[copy, t, symbol])
                assert mark >> MARK_SHIFT == len(plain.bars), (symbol, FRAMES[t])
                if not plain.bars:
                    continue
                assert mark & MARK_BUCKET == plain.buckets[-1]
                for back in range(min(20, len(plain.bars))):
                    index = len(plain.bars) - 1 - back
                    slot = index % KEPT_RANGES
                    found = (
                        *table.ranges[t, :2, slot, symbol],
                        table.closes[t, index % KEPT_CLOSES, symbol],
                        table.ranges[t, 2, slot, symbol],
                    )
                    assert found == plain.bars[index], (symbol, FRAMES[t], back)

    def check_extremes(self) -> None:
        """Highs and lows by minute."""
        table = self.player.tables.frames
        for minute in range(self.player.minute - 90, self.player.minute + 1):
            row = minute % len(table.minute_stamp)
            if minute < FIRST_MINUTE:
                continue
            assert table.minute_stamp[row] == minute
            for symbol in range(SYMBOLS):
                bar = self.known[symbol].get(minute)
                wanted = bar[:2] if bar is not None else (np.nan, np.nan)
                found = table.minute_high[row, symbol], table.minute_low[row, symbol]
                assert np.array_equal(found, wanted, equal_nan=True)


@pytest.mark.parametrize("seed", range(6))
def test_bars_of_every_timeframe_are_those_put_together_plainly(seed: int) -> None:
    market = Market(seed)
    for number in range(220):
        market.cycle()
        if number % 9 == 0:
            market.check()
    market.check()
    market.check_extremes()


def test_a_bar_without_any_price_left_stays_what_it_was() -> None:
    player = FamilyPlayer(["ema(2)"], 1)
    for i in range(3):
        minute = FIRST_MINUTE + i
        player.step([player.final(0, minute, [1.0, 1.0, 1.0, 1.0 + i], 10.0)], minute)
    before = player.family("ema(2)")
    gone = player.final(0, FIRST_MINUTE + 2, [np.nan] * 4, 10.0)
    gone["kind"] = records.BAR_VOLUME_ONLY
    player.step([gone])
    assert player.family("ema(2)") == before


def test_a_timeframe_that_is_named_late_begins_with_the_minutes_in_memory() -> None:
    late = Market(3)
    late.player.tables.frames.kept[:] = 0
    for _ in range(150):
        late.cycle()
    frames = late.player.tables.frames
    assert not frames.marks.any() and (frames.minute_stamp == -1).all()
    texts = [
        f"ema{'_rth' if regular else ''}(3, {minutes}m) > 0"
        for minutes, regular in TIMEFRAMES
        if minutes
    ]
    rules = [
        read_rule({"id": f"r{number}", "name": "r", "where": text})
        for number, text in enumerate([*texts, "range_20m > 0"])
    ]
    publish(late.player.tables, 1, pack(compile_rules(rules, late.player.tables.sizes)))
    late.player.rules_version = 1
    late.cycle()
    compared = 0
    for t, (minutes, regular) in MADE:
        for symbol in range(SYMBOLS):
            wanted = plainly(late, symbol, minutes, regular)
            assert made(late, t, symbol, len(wanted)) == wanted, (symbol, FRAMES[t])
            compared += len(wanted)
    assert compared > 300
    late.check_extremes()
    for _ in range(30):
        late.cycle()
    late.check_extremes()


def plainly(market: Market, symbol: int, minutes: int, regular: bool) -> list[tuple]:
    """High, low, close, volume of every whole bar whose minutes are all in memory."""
    closed = market.player.minute
    first = closed - market.player.tables.sizes.history_bars + 1
    bars = []
    for bucket in range(-(-first // minutes), (closed + 1) // minutes):
        inside = [
            bar
            for minute in range(bucket * minutes, (bucket + 1) * minutes)
            if (bar := market.known[symbol].get(minute)) is not None
            and (not regular or OPEN <= minute < CLOSE)
        ]
        priced = [bar for bar in inside if bar[2] > 0]
        if priced:
            high, low = max(bar[0] for bar in priced), min(bar[1] for bar in priced)
            bars.append((high, low, priced[-1][2], sum(bar[3] for bar in inside)))
    return bars[-KEPT_RANGES:]


def made(market: Market, t: int, symbol: int, count: int) -> list[tuple]:
    """The newest bars of a timeframe, as they stand in the table."""
    table = market.player.tables.frames
    copy = int(market.player.tables.indicators.words[0]) & 1
    number = int(table.marks[copy, t, symbol]) >> MARK_SHIFT
    return [
        (
            *table.ranges[t, :2, index % KEPT_RANGES, symbol].tolist(),
            float(table.closes[t, index % KEPT_CLOSES, symbol]),
            float(table.ranges[t, 2, index % KEPT_RANGES, symbol]),
        )
        for index in range(number - count, number)
    ]
