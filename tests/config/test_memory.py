"""The memory table cannot disagree with what is allocated."""

import msgspec

from engine.config import memory
from engine.config.schema import Config
from engine.domain.sizes import Sizes
from engine.domain.tables import Columns, allocate
from shm.arena import MeasuringArena, PrivateArena

SMALL = Sizes(
    capacity=100, workers=2, ring_ticks=1 << 12, pool_trades=1 << 10, max_cooling=1 << 10
)
COLUMNS = Columns(indicator_slots=40, indicator_values=30, indicator_ring=256, metrics=60)


def test_every_byte_that_is_allocated_is_in_the_table() -> None:
    arena = PrivateArena()
    allocate(arena, SMALL, COLUMNS)
    rows, more = memory.measure(SMALL, COLUMNS)
    total = sum(row.nbytes for row in rows) + more
    pages = memory.PAGE * 2 * len(arena.names())
    assert arena.total_bytes <= total <= arena.total_bytes + pages
    assert more > 0


def test_no_table_is_left_without_a_group() -> None:
    assert "other" not in [row.what for row in memory.measure(SMALL, COLUMNS)[0]]


def test_measuring_takes_no_memory_worth_speaking_of() -> None:
    measured = MeasuringArena()
    allocate(measured, Sizes(capacity=10_000, workers=2), COLUMNS)
    assert measured.total_bytes > 300_000_000


def config(**engine: int) -> Config:
    return msgspec.convert({"engine": engine}, Config)


def test_the_estimate_grows_with_rules_and_shrinks_with_workers() -> None:
    def share(workers: int, comparisons: int) -> float:
        sizes = Sizes(capacity=10_000, workers=workers)
        return memory.estimate_cycle(config(), sizes, 60, 1000, 0.2 * comparisons).share

    assert share(1, 3000) > share(1, 300)
    assert share(2, 3000) < share(1, 3000)


def test_a_cycle_that_cannot_keep_up_is_refused_and_a_close_one_warned_of() -> None:
    sizes = Sizes(capacity=10_000)
    tight = memory.estimate_cycle(config(interval_ms=10), sizes, 60, 1000, 600.0)
    hopeless = memory.estimate_cycle(config(interval_ms=5), sizes, 60, 10_000, 6_000.0)
    easy = memory.estimate_cycle(config(interval_ms=1000), sizes, 60, 1000, 600.0)
    assert (tight.warned, tight.refused) == (True, False)
    assert hopeless.refused
    assert not easy.warned
