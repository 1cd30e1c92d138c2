"""The indicator stage: deaths at any point, revisions, long steps, what is left alone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain import records
from engine.errors import EngineError
from engine.indicators import registry, step_nb
from engine.indicators.stage import fill
from engine.metrics.registry import INDICATOR_NAMES
from tests.conftest import SOAK
from tests.indicators.player import FIRST_MINUTE, Player

BAR_NAMES = [i.name for i in registry.INDICATORS if i.bars]


def ohlc(rng):
    close = float(np.round(rng.uniform(9, 11), 2))
    return (close, close + 0.05, close - 0.05, close)


def random_cycle(player, rng, symbols):
    """Events of one cycle: final, volume-only and revised bars; returns them and closed_minute."""
    events, minute = [], player.minute + 1
    advance = rng.random() < 0.6
    if advance:
        for symbol in range(symbols):
            dice = rng.random()
            if dice < 0.7:
                events.append(player.final(symbol, minute, ohlc(rng), float(rng.integers(1, 900))))
            elif dice < 0.8:
                events.append(player.final(symbol, minute, (math.nan,) * 4, 55.0))
    for symbol in range(symbols):
        newest = int(player.next_index[symbol]) - 1
        if newest >= 0 and rng.random() < 0.2:
            index = newest if rng.random() < 0.6 else -1
            at = minute - int(rng.integers(1, 20))
            events.append(player.revised(symbol, index, at, ohlc(rng), float(rng.integers(1, 900))))
    return events, minute if advance else player.minute


def die_before_the_flip(player, n, rng, applied):
    """Leave what a step killed before its last store leaves: a half-built copy, written closes."""
    table = player.tables.indicators
    old = int(table.words[0]) & 1
    if applied:
        before = int(table.words[0])
        player.stage.step(n)
        table.words[0] = before
    new = 1 - old
    table.state[new] = rng.normal(size=table.state[new].shape)
    table.values[new, ::2] = np.nan
    table.changed[new] = 0
    table.words[16 * (1 + new)] = 7


@settings(max_examples=150 if SOAK else 15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_step_repeated_after_a_kill_gives_the_same_bits(seed):
    symbols = 5
    calm, killed = Player(symbols), Player(symbols)
    rng_calm, rng_killed = np.random.default_rng(seed), np.random.default_rng(seed)
    fate = np.random.default_rng(seed + 1)
    for _ in range(90):
        calm.step(*random_cycle(calm, rng_calm, symbols))
        n = killed.cell(*random_cycle(killed, rng_killed, symbols))
        if fate.random() < 0.3:
            die_before_the_flip(killed, n, fate, applied=fate.random() < 0.7)
            killed.stage.recover()
        killed.stage.step(n)
        assert killed.current() == calm.current()


def test_a_kill_in_a_step_with_very_many_bars_of_one_symbol_changes_nothing():
    for many in (55, 56, 57, 58, 130, 300):
        runs = []
        for dies in (False, True):
            player, rng = Player(1), np.random.default_rng(many)
            for i in range(230):
                minute = FIRST_MINUTE + i
                player.step([player.final(0, minute, ohlc(rng))], minute)
            minute = FIRST_MINUTE + 230
            events = [player.final(0, minute + i, ohlc(rng)) for i in range(many)]
            n = player.cell(events, minute + many - 1)
            if dies:
                die_before_the_flip(player, n, rng, applied=True)
                player.stage.recover()
            player.stage.step(n)
            newest = int(player.next_index[0]) - 1
            again = player.revised(0, newest, player.minute, (9.0, 9.2, 8.8, 9.1), 5.0)
            player.step([again])
            runs.append((player.current(), player.value("sma(200)"), player.value("ema(200)")))
        (calm, sma, ema), (redone, sma_redone, ema_redone) = runs
        assert calm[1] == redone[1], f"values differ after {many} bars in one step"
        assert not math.isnan(ema)
        assert ema == ema_redone
        assert math.isnan(sma) == math.isnan(sma_redone) == (56 < many < 256)


def test_a_revision_of_the_newest_bar_equals_having_seen_it_at_once():
    rng = np.random.default_rng(4)
    revised, straight = Player(1), Player(1)
    for i in range(260):
        minute, right = FIRST_MINUTE + i, ohlc(rng)
        wrong = tuple(x * 1.5 for x in right)
        revised.step([revised.final(0, minute, wrong, 10.0)], minute)
        revised.step([revised.revised(0, i, minute, right, 77.0)])
        straight.step([straight.final(0, minute, right, 77.0)], minute)
        for name in [*BAR_NAMES, "vwap_5m", "vwap_15m", "vwap_60m"]:
            got, want = revised.value(name), straight.value(name)
            assert got == pytest.approx(want, rel=1e-13, nan_ok=True), name


def test_a_revision_of_an_older_bar_changes_rolling_vwap_only():
    player = Player(1)
    for i in range(40):
        minute = FIRST_MINUTE + i
        player.step([player.final(0, minute, (9.0, 9.1, 8.9, 9.0 + i % 5), 100.0)], minute)
    before = {name: player.value(name) for name in BAR_NAMES}
    vwap = player.value("vwap_5m")
    player.step([player.revised(0, -1, FIRST_MINUTE + 38, (9.0, 50.0, 8.9, 40.0), 100.0)])
    assert str({name: player.value(name) for name in BAR_NAMES}) == str(before)
    assert player.value("vwap_5m") == pytest.approx(vwap + (40.0 - 12.0) / 5)


def test_a_bar_with_a_close_and_no_extremes_does_not_poison_the_range():
    player, straight = Player(1), Player(1)
    for i in range(40):
        close, minute = 9.0 + i % 7, FIRST_MINUTE + i
        bar = (close, math.nan, math.nan, close) if i == 20 else (close,) * 4
        player.step([player.final(0, minute, bar)], minute)
        straight.step([straight.final(0, minute, (close,) * 4)], minute)
    assert player.value("atr(14)") == straight.value("atr(14)") > 0


def test_a_cycle_without_bars_moves_the_state_word_only():
    player = Player(2)
    player.step([player.final(0, FIRST_MINUTE, (9.0, 9.0, 9.0, 9.0))], FIRST_MINUTE)
    copy, table = int(player.tables.indicators.words[0]) & 1, player.tables.indicators
    whole = (table.state.tobytes(), table.values.tobytes(), table.closes.tobytes())
    player.step([])
    assert int(table.words[0]) == player.n * 2 + copy
    assert (table.state.tobytes(), table.values.tobytes(), table.closes.tobytes()) == whole


def test_a_step_that_was_done_already_is_left_alone_and_a_skipped_one_is_refused():
    player = Player(1)
    player.step([], FIRST_MINUTE)
    before = player.current()
    player.stage.step(1)
    assert player.current() == before
    with pytest.raises(EngineError, match="cannot step to 3"):
        player.stage.step(3)


def test_a_symbol_without_a_bar_keeps_its_values_over_bars():
    player = Player(2)
    for i in range(20):
        minute = FIRST_MINUTE + i
        events = [player.final(s, minute, (9.0, 9.1, 8.9, 9.0 + i % 3)) for s in (0, 1)]
        player.step(events, minute)
    kept = {name: player.value(name, 1) for name in BAR_NAMES}
    for i in range(20, 30):
        minute = FIRST_MINUTE + i
        player.step([player.final(0, minute, (9.0, 9.1, 8.9, 12.0))], minute)
    now = {name: player.value(name, 1) for name in BAR_NAMES}
    assert str(now) == str(kept)
    assert math.isnan(player.value("vwap_5m", 1))


def test_filled_bars_and_stepped_bars_give_the_same_values():
    rng = np.random.default_rng(8)
    stepped, filled = Player(3), Player(3)
    bars = np.zeros(400, records.BAR)
    for i in range(400):
        minute = FIRST_MINUTE + i
        event = stepped.final(2, minute, ohlc(rng))
        bars[i] = event["bar"][0]
        stepped.step([event], minute)
    fill(filled.tables.indicators, [2], [bars[:150]])
    fill(filled.tables.indicators, [2], [bars[150:]])
    for name in BAR_NAMES:
        assert filled.value(name, 2) == stepped.value(name, 2), name
    assert all(math.isnan(filled.value(name, 1)) for name in BAR_NAMES)


def test_the_metrics_know_the_indicators_in_the_order_of_their_columns():
    assert tuple(i.name for i in registry.INDICATORS) == INDICATOR_NAMES
    assert [i.column for i in registry.INDICATORS] == list(range(step_nb.OUTPUTS))
