"""What a stream knows of symbols before it begins: reference data, daily levels, usual volumes."""

import dataclasses

import numpy as np

from engine.domain import records
from engine.domain.levels import BASELINE_MINUTES, LEVELS, MAX_LISTS
from shm.arena import Arena


@dataclasses.dataclass
class BookTable:
    """What the stream knew of symbols before it began, those that have not traded yet, too; fixed.

    names: S24[rows], tickers in order, empty behind the last. reference: REFERENCE[rows], what a
    symbol that is admitted later gets. levels: float64[LEVELS, rows], NaN unknown; baseline:
    float32[BASELINE_MINUTES, rows]. lists: int64[MAX_LISTS], codes of the named lists by bit.
    """

    names: np.ndarray
    reference: np.ndarray
    levels: np.ndarray
    baseline: np.ndarray
    lists: np.ndarray


def make_book(arena: Arena, rows: int) -> BookTable:
    """Create it in `arena`: nothing is known."""
    return BookTable(
        names=arena.array("book_names", rows, np.dtype("S24")),
        reference=arena.array("book_reference", rows, records.REFERENCE),
        levels=arena.array("book_levels", (len(LEVELS), rows), np.float64, later=True),
        baseline=arena.array("baseline", (BASELINE_MINUTES, rows), np.float32, later=True),
        lists=arena.array("book_lists", MAX_LISTS, np.int64),
    )


def open_book(arena: Arena, book: BookTable) -> None:
    """Reserve the memory of levels and usual volumes, all unknown: nobody looks for them while the
    book names nobody. Raises SegmentError when there is no room."""
    for name, array in (("book_levels", book.levels), ("baseline", book.baseline)):
        arena.reserve(name, 0, array.nbytes)
        array.fill(np.nan)
