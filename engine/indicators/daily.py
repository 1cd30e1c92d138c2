"""Enters the official daily bars of symbols that are admitted while a stream runs: part of a step.

What the book holds of a symbol is written into rows that nobody looks at before the step is
published, so that doing it again gives the same bits.
"""

import numpy as np
import numpy.typing as npt

from engine.domain.family import DAILY_PLACE
from engine.domain.frame_table import OP_MANY
from engine.domain.tables import CELL_SLOTS, EngineTables


class DailyBars:
    """Daily bars of one set of tables; only the indicator stage enters them."""

    def __init__(self, tables: EngineTables) -> None:
        self._frames, self._book = tables.frames, tables.book
        self._heads, self._reference = tables.cell.heads, tables.reference
        self._workers, self._slice_rows = tables.sizes.workers, tables.sizes.slice_rows

    def admitted(self, n: int) -> npt.NDArray[np.int64]:
        """Symbols that cell n is the first to hold and of which the book has daily bars."""
        counts = self._heads[n % CELL_SLOTS]["symbol_count"][: self._workers]
        before = self._heads[(n - 1) % CELL_SLOTS]["symbol_count"][: self._workers]
        found: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        if np.array_equal(counts, before):
            return found
        for worker in range(self._workers):
            start = worker * self._slice_rows
            new = np.arange(start + int(before[worker]), start + int(counts[worker]))
            found = np.concatenate((found, new))
        places = self._reference["place"][found] - 1
        known: npt.NDArray[np.int64] = found[(places >= 0) & (self._book.daily_marks[places] > 0)]
        return known

    def enter(self, symbols: npt.NDArray[np.int64], new: int) -> None:
        """Put the bars of these symbols into the copy `new` that is being built."""
        frames, book = self._frames, self._book
        places = self._reference["place"][symbols] - 1
        frames.closes[DAILY_PLACE][:, symbols] = book.daily_closes[:, places]
        frames.ranges[DAILY_PLACE][:, :, symbols] = book.daily_ranges[:, :, places]
        frames.marks[new, DAILY_PLACE, symbols] = book.daily_marks[places]
        frames.ops[new, DAILY_PLACE, symbols] = OP_MANY
        frames.op_words[new, 1 + DAILY_PLACE] = len(symbols)
