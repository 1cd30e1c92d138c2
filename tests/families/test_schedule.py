"""When families are filled, and that doing a cycle again, torn or whole, changes nothing."""

import random

import numpy as np
import pytest

from engine.domain.frame_table import OP_BOTH, OP_MANY, OP_NEW, OP_REVISED
from engine.domain.tables import EngineTables
from engine.families.plan import admission_order, filled_a_cycle
from engine.families.stage import Families
from engine.metrics.registry import COLUMNS
from engine.replay.genesis import symbol_ids
from engine.rules.families import chosen
from tests.families.player import FIRST_MINUTE, MINUTE_NS, FamilyPlayer

NAMES = [
    "ema(9)", "ema(34,5m)", "rsi(7)", "atr(5,2m)", "macd(3,6,4)", "adx(4)", "supertrend(3,2)",
    "sma(30)", "stddev(20,3m)", "stoch_d(5,3,3)", "mfi(9)", "highest(high,12)", "ema(5,3m,live)",
    "ema_rth(6)", "range_7m", "highest(high,11m)", "chg_4m_pct", "vol_20m", "rv(5m)",
    "sum(volume,6m)", "rsi(5,2m,live)", "chg_31m_pct",
]  # fmt: skip
OTHERS = ["ema(9)", "ema(12)", "rsi(7)", "cci(8,2m)", "lowest(low,9m)", "adx(4)", "ema(34,5m)"]
SYMBOLS = 70


class Chaos:
    """A market for many symbols, played in cycles of a second; every cycle may be done again."""

    def __init__(self, seed: int, tears: float) -> None:
        self.seed, self.tears = seed, tears
        self.player = FamilyPlayer([], SYMBOLS, 1_000_000_000)
        self.player.wanted = NAMES
        self.shown: list[bytes] = []
        self.ops: set[int] = set()
        self.minutes_open = False

    def events(self, chance: random.Random, before: int, closed: int) -> list[np.ndarray]:
        player, found = self.player, []

        def bar(symbol: int, minute: int) -> np.ndarray:
            close = round(chance.uniform(90, 110), 2)
            ohlc = [close, close + chance.random(), close - chance.random(), close]
            return player.final(symbol, minute, ohlc, float(chance.randrange(1, 900)))

        for _ in range(chance.choice([0, 0, 0, 2])):
            minute = before - chance.randrange(3)
            if minute >= FIRST_MINUTE:
                found.append(bar(chance.randrange(SYMBOLS), minute))
        for minute in range(before + 1, closed + 1):
            found += [bar(s, minute) for s in range(SYMBOLS) if chance.random() < 0.7]
        return found

    def run(self, cycles: int) -> None:
        chance, tear = random.Random(self.seed), random.Random(self.seed + 1)
        player = self.player
        for number in range(cycles):
            before = player.minute
            closed = before + chance.choice([0, 0, 1, 1, 1, 3])
            n = player.cell(self.events(chance, before, closed), closed)
            player.tables.cell.heads[n % 4]["t_ns"] = (closed + 1) * MINUTE_NS
            if number == cycles // 2:
                player.wanted = OTHERS
            elif number == cycles // 2 + 20:
                player.wanted = NAMES[::-1]
            self.indicators(n, tear)
            self.families(n, tear)
            copy = int(player.tables.indicators.words[0]) & 1
            if player.tables.frames.op_words[copy, 0] == n:
                self.ops |= set(np.unique(player.tables.frames.ops[copy]).tolist())
            self.shown.append(b"".join(player.column(name).tobytes() for name in player.names))

    def indicators(self, n: int, tear: random.Random) -> None:
        """A step that is torn before it counts, then done again."""
        tables = self.player.tables
        if tear.random() < self.tears:
            words = tables.indicators.words.copy()
            before = arrays(tables, "frames")
            self.player.stage.step(n)
            tables.indicators.words[:] = words
            torn(before, arrays(tables, "frames", copied=False), tear)
            self.player.stage.recover()
        self.player.stage.step(n)

    def families(self, n: int, tear: random.Random) -> None:
        player, tables = self.player, self.player.tables
        if tear.random() >= self.tears:
            player.follow(n)
            return
        placed, names = player.placed, player.names
        before = arrays(tables, "scan")
        player.follow(n)
        torn(before, arrays(tables, "scan", copied=False), tear)
        player.placed, player.names = placed, names
        player.families = Families(tables, 0, COLUMNS)
        if player.wanted == names and placed is not None:  # a successor takes its rules up again
            player.families.take(n, chosen(placed), chosen(placed))
        player.follow(n)


def arrays(tables: EngineTables, what: str, copied: bool = True) -> list[np.ndarray]:
    """Every array that a step may write."""
    table = tables.frames if what == "frames" else None
    scan = tables.scan
    found = (
        [scan.columns, scan.family_state, scan.family_since]
        if table is None
        else [table.closes, table.ranges, table.marks, table.ops, table.op_words,
              table.minute_high, table.minute_low, table.minute_stamp]
    )  # fmt: skip
    return [array.copy() for array in found] if copied else found


def torn(before: list[np.ndarray], now: list[np.ndarray], tear: random.Random) -> None:
    """Let any part of what was written not have been."""
    rng = np.random.default_rng(tear.randrange(1 << 30))
    share = tear.random()
    for old, new in zip(before, now, strict=True):
        unknown = old.dtype.kind == "f" and np.isnan(old) & np.isnan(new)
        changed = np.argwhere((old != new) & np.logical_not(unknown))
        lost = changed[rng.random(len(changed)) < share]
        new[tuple(lost.T)] = old[tuple(lost.T)]


@pytest.mark.parametrize("seed", range(4))
def test_cycles_that_were_torn_and_done_again_give_the_same_bits(seed: int) -> None:
    calm, wild = Chaos(seed, 0.0), Chaos(seed, 0.6)
    for run in (calm, wild):
        run.run(160)
    assert calm.shown == wild.shown
    assert {OP_NEW, OP_REVISED, OP_BOTH, OP_MANY} <= calm.ops
    known = ~np.isnan(np.frombuffer(calm.shown[-1], np.float64))
    assert known.any()


def test_a_family_named_later_is_filled_with_what_it_would_have_had() -> None:
    """As long as the bars in memory reach back to the first one."""
    names = [name for name in NAMES if not name.startswith("sma")] + ["sma(30)"]
    early, late = (FamilyPlayer([], 70, MINUTE_NS) for _ in range(2))
    early.wanted = names
    chance = random.Random(5)
    for i in range(60):
        minute, events = FIRST_MINUTE + i, []
        late.wanted = names if i >= 55 else []
        for s in range(70):
            if chance.random() < 0.9:
                close = round(chance.uniform(90, 110), 2)
                events.append((s, minute, [close, close + 1, close - 1, close], 10.0 + s))
        for player in (early, late):
            player.step([player.final(*event) for event in events], minute)
    for name in names:
        assert early.column(name)[:70].tobytes() == late.column(name)[:70].tobytes(), name
    assert (~np.isnan(early.column("ema(9)")[:70])).all()


def test_so_many_symbols_are_filled_a_cycle_in_order_of_their_admission() -> None:
    player = FamilyPlayer([], 640, 100_000_000)
    for i in range(12):
        minute = FIRST_MINUTE + i
        prices = [5.0, 6.0, 4.0, 5.0 + i]
        player.step([player.final(s, minute, prices) for s in range(640)], minute)
    player.wanted = ["ema(9)"]
    known = []
    for _ in range(50):
        player.step([])
        known.append(int((~np.isnan(player.column("ema(9)"))).sum()))
    assert filled_a_cycle(640, 100_000_000) == 16
    assert known[:41] == [16 * (i + 1) for i in range(40)] + [640]
    assert set(known[40:]) == {640}


def test_a_bar_that_closes_while_families_are_filled_is_in_all_of_them() -> None:
    calm, busy = (FamilyPlayer([], 640, 100_000_000) for _ in range(2))
    calm.wanted = ["ema(4)", "rsi(3,2m)"]
    for i in range(30):
        minute = FIRST_MINUTE + i
        if i == 20:
            busy.wanted = calm.wanted
        for player in (calm, busy):
            prices = [[5.0, 6.0, 4.0, 5.0 + (i * s) % 7] for s in range(640)]
            player.step([player.final(s, minute, prices[s]) for s in range(640)], minute)
            for _ in range(3):
                player.step([])
    assert busy.n == calm.n
    for _ in range(40):
        for player in (calm, busy):
            player.step([])
    for name in calm.wanted:
        assert calm.column(name).tobytes() == busy.column(name).tobytes()


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_order_of_admission_is_the_same_for_any_number_of_workers(workers: int) -> None:
    slice_rows = 64
    ids = symbol_ids(100, workers, slice_rows) if workers > 1 else np.arange(64)
    order = admission_order(slice_rows * workers, workers)
    assert np.array_equal(order[ids], np.arange(len(ids)))


def test_filling_takes_four_seconds_of_engine_time_whatever_the_interval() -> None:
    assert filled_a_cycle(10_000, 100_000_000) == 250
    assert filled_a_cycle(10_000, 10_000_000) == 25
    assert filled_a_cycle(10, 10_000_000) == 1
    assert filled_a_cycle(10_000, 60_000_000_000) >= 10_000
