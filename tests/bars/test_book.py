"""A ticker that is admitted is looked up in the book; a kill changes nothing."""

import math

import numpy as np

from engine.bars.stage import BarsStage
from engine.domain import records
from engine.domain.levels import LEVEL
from tests.bars.floor import Floor, admit, build, trade


def floor_with_book() -> Floor:
    tables = build()
    book = tables.book
    book.names[:2] = [b"BIG", b"DDD"]
    book.reference[:2] = records.unknown_reference(2)
    book.reference["prev_close"][:2] = 50.0, 40.0
    book.reference["sector"][:2] = 7, 9
    book.reference["place"][:2] = 1, 2
    book.levels[LEVEL["adv_20"], :2] = 1e9, 1000.0
    tables.reference[:] = records.unknown_reference(1)
    return Floor(tables)


def test_a_ticker_of_the_book_gets_its_reference_with_its_id() -> None:
    floor = floor_with_book()
    ticks = [admit(3, 1, "DDD"), admit(4, 1, "BIG"), admit(5, 1, "NEW")]
    floor.run(*ticks, trade(3, 1.5, 44, 1), until=2)
    reference = floor.tables.reference
    assert reference["prev_close"][3:5].tolist() == [40.0, 50.0]
    assert reference["sector"][3:6].tolist() == [9, 7, 0]
    assert reference["place"][3:6].tolist() == [2, 1, 0]
    assert math.isnan(reference["prev_close"][5])
    shares = [floor.row(symbol)["block_shares"] for symbol in range(3, 6)]
    assert shares == [10_000, 500_000, 10_000]


def test_a_cycle_that_is_done_again_looks_up_the_same() -> None:
    calm, killed = floor_with_book(), floor_with_book()
    ticks = [admit(3, 1, "BIG"), trade(3, 1.5, 44, 20_000)]
    calm.run(*ticks, until=2)
    killed.publish(*ticks)
    killed.mark(2)
    while killed.step() is not None:
        decision = killed.stage.decide_replay()
        if decision is None:
            break
        killed.stage._apply(decision, killed.tables.cell.cells.slot(killed.stage.n + 1))
        killed.stage = BarsStage(killed.tables)  # the one before died in the middle of the cycle
        killed.stage.recover()
        killed.pass_gates()
    assert killed.stage.n == calm.stage.n
    assert killed.row(3).tobytes() == calm.row(3).tobytes()
    assert killed.tables.reference.tobytes() == calm.tables.reference.tobytes()
    assert np.isfinite(killed.tables.reference["prev_close"][3])
