"""Runs of candles against a plain model: candles made anew from the list of bars."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.indicators.runs_nb import RUN_MINUTES
from tests.conftest import SOAK
from tests.indicators.player import FIRST_MINUTE, Player


def expected(bars: list[tuple[int, float, float]], minutes: int, closed: int) -> float:
    """bars: (minute, open, close) in order."""
    candles: dict[int, list[float]] = {}
    for minute, opened, close in bars:
        candles.setdefault(minute // minutes, [opened, close])[1] = close
    if bars and bars[0][0] % minutes:
        candles.pop(bars[0][0] // minutes)
    run = math.nan
    for number, (opened, close) in candles.items():
        if closed >= (number + 1) * minutes - 1:
            before = 0.0 if math.isnan(run) else run
            run = max(before, 0) + 1 if close > opened else min(before, 0) - 1
            run = 0.0 if close == opened else run
    return run


@settings(max_examples=200 if SOAK else 20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_runs_are_those_of_candles_made_from_all_bars(seed: int) -> None:
    rng, player = np.random.default_rng(seed), Player(2)
    bars: list[list[tuple[int, float, float]]] = [[], []]
    gappy = float(rng.choice([0.05, 0.5, 0.9]))

    def prices() -> tuple[float, float, float, float]:
        opened, close = (float(rng.integers(10, 13)) for _ in range(2))
        return opened, max(opened, close), min(opened, close), close

    for _ in range(150):
        events, minute = [], player.minute + int(rng.choice([0, 1, 1, 1, 3]))
        for symbol in range(2):
            for at in range(player.minute + 1, minute + 1):
                if rng.random() > gappy:
                    told = prices()
                    events.append(player.final(symbol, at, told))
                    bars[symbol].append((at, told[0], told[3]))
            if bars[symbol] and rng.random() < 0.2:
                told, (at, _, _) = prices(), bars[symbol][-1]
                index = int(player.next_index[symbol]) - 1
                events.append(player.revised(symbol, index, at, told, 100.0))
                bars[symbol][-1] = (at, told[0], told[3])
        player.step(events, minute)
        if rng.random() < 0.2:
            player.stage.recover()
        for symbol in range(2):
            for minutes in RUN_MINUTES:
                got = player.value(f"consec_{minutes}m", symbol)
                want = expected(bars[symbol], minutes, minute)
                assert got == want or (math.isnan(got) and math.isnan(want)), (minutes, symbol)


def test_a_candle_closes_with_its_last_minute_also_when_nothing_trades() -> None:
    player, first = Player(1), -(-FIRST_MINUTE // 60) * 60
    player.minute = first - 1
    player.step([player.final(0, first, (10, 11, 10, 11))], first)
    values = [player.value(f"consec_{n}m") for n in (1, 2, 5)]
    assert values[0] == 1 and all(math.isnan(x) for x in values[1:])
    player.step([], first + 1)
    assert player.value("consec_2m") == 1 and math.isnan(player.value("consec_5m"))
    player.step([], first + 4)
    assert player.value("consec_5m") == 1
    player.step([player.final(0, first + 5, (11, 11, 9, 9))], first + 5)
    assert [player.value(f"consec_{n}m") for n in (1, 2, 5)] == [-1, -1, 1]
