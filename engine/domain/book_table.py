"""What a stream knows of symbols before it begins: reference data, daily levels, usual volumes."""

import dataclasses

import numpy as np

from engine.domain import records
from engine.domain.family import KEPT_CLOSES, KEPT_RANGES
from engine.domain.levels import BASELINE_MINUTES, LEVELS, MAX_LISTS
from shm.arena import Arena


@dataclasses.dataclass
class BookTable:
    """What the stream knew of symbols before it began, those that have not traded yet, too; fixed.

    names: S24[rows], tickers in order, empty behind the last. reference: REFERENCE[rows], what a
    symbol that is admitted later gets. levels: float64[LEVELS, rows], NaN unknown; baseline:
    float32[BASELINE_MINUTES, rows]. lists: int64[MAX_LISTS], codes of the named lists by bit.
    daily_closes: float64[KEPT_CLOSES, rows], daily_ranges: float64[3, KEPT_RANGES, rows], and
    daily_marks: int64[rows]: as TimeframeTable has them of the timeframe D, for symbols that are
    admitted later; no memory is reserved while there are none.
    """

    names: np.ndarray
    reference: np.ndarray
    levels: np.ndarray
    baseline: np.ndarray
    lists: np.ndarray
    daily_closes: np.ndarray
    daily_ranges: np.ndarray
    daily_marks: np.ndarray


def make_book(arena: Arena, rows: int) -> BookTable:
    """Create it in `arena`: nothing is known."""
    return BookTable(
        names=arena.array("book_names", rows, np.dtype("S24")),
        reference=arena.array("book_reference", rows, records.REFERENCE),
        levels=arena.array("book_levels", (len(LEVELS), rows), np.float64, later=True),
        baseline=arena.array("baseline", (BASELINE_MINUTES, rows), np.float32, later=True),
        lists=arena.array("book_lists", MAX_LISTS, np.int64),
        daily_closes=arena.array("book_daily_closes", (KEPT_CLOSES, rows), np.float64, later=True),
        daily_ranges=arena.array(
            "book_daily_ranges", (3, KEPT_RANGES, rows), np.float64, later=True
        ),
        daily_marks=arena.array("book_daily_marks", rows, np.int64),
    )


def open_book(arena: Arena, book: BookTable) -> None:
    """Reserve the memory of levels and usual volumes, all unknown: nobody looks for them while the
    book names nobody. Raises SegmentError when there is no room."""
    for name, array in (("book_levels", book.levels), ("baseline", book.baseline)):
        arena.reserve(name, 0, array.nbytes)
        array.fill(np.nan)


def open_daily(arena: Arena, book: BookTable) -> None:
    """Reserve the memory of daily bars. Raises SegmentError when there is no room."""
    for name, array in (
        ("book_daily_closes", book.daily_closes), ("book_daily_ranges", book.daily_ranges),
    ):  # fmt: skip
        arena.reserve(name, 0, array.nbytes)
