"""Which symbols of a slice are looked at in a cycle: all of them, or under overload some.

Under overload a decision names a stride of 2 or 4: symbols wait for every 2nd or 4th cycle, by
blocks of 512 in the order of their admission, which is the same for any number of workers. Symbols
that a rule names, or that fired a short while ago, do not wait; nor do those that have just come
into sight or lost it. For a symbol that waits the cycle is absent.
"""

from collections.abc import Sequence

import numpy as np

from engine.domain.records import R_BAR_INDEX
from engine.domain.tables import CELL_SLOTS, EngineTables
from engine.rules.bits_nb import WORD_BITS
from engine.rules.evaluator import Look
from engine.rules.model import Universe
from engine.scan.scope import Scope

BLOCK = 512  # symbols that wait for the same cycles
STRIDES = (1, 2, 4)


def stride_of(head: np.void) -> int:
    """Every how many-th cycle looks at symbols that may wait."""
    return max(1, int(head["stride"]))


class Due:
    """due: uint64[slice / 64], those looked at in the cycle taken last; everyone: all are, and
    were in the cycle before; closes: int64[rows, 2], bars closed when a symbol was looked at last,
    and now."""

    def __init__(self, tables: EngineTables, worker: int) -> None:
        sizes = tables.sizes
        self._scan = tables.scan
        self._rows = tables.cell.rows.view(np.int64).reshape(CELL_SLOTS, sizes.rows, -1)
        self._part = slice(worker * sizes.slice_rows, (worker + 1) * sizes.slice_rows)
        number = np.arange(sizes.slice_rows) * sizes.workers + worker
        self._block = number // BLOCK
        self._all = np.full(sizes.slice_rows // WORD_BITS, ~np.uint64(0))
        self._named = np.zeros(sizes.slice_rows, bool)
        self.closes = np.zeros((sizes.rows, 2), np.int64)
        self.due, self.everyone = self._all, True

    def take(
        self, n: int, head: np.void, before: np.void | None, scope: Scope,
        universes: Sequence[Universe],
    ) -> None:
        """Look at cycle n, of which `scope` has been taken. before: the head of the cycle
        before, None if there is none; universes: those of scope.members."""
        stride = stride_of(head)
        self._now, self._before = n & 1, before
        self.everyone = before is None or stride_of(before) == stride == 1
        self.due = self._all
        if self.everyone:
            return
        in_sight = _bools(scope.known | scope.known_before)
        carried, due = _bools(scope.known & scope.known_before), in_sight
        if stride > 1:
            new = _bools(scope.known ^ scope.known_before)
            due = in_sight & (
                (self._block % stride == n % stride) | new | self._recent(head)
                | self._are_named(scope, universes)
            )  # fmt: skip
        self._note(n, due, carried, int(head["t_ns"]))
        self._looked, self.due = due, _words(due)

    def _recent(self, head: np.void) -> np.ndarray:
        """Those that fired a short while ago."""
        fired_ns = self._scan.fired_ns[self._part]
        young: np.ndarray = (fired_ns > 0) & (
            int(head["t_ns"]) - fired_ns <= int(head["recent_ns"])
        )
        return young

    def _are_named(self, scope: Scope, universes: Sequence[Universe]) -> np.ndarray:
        """Those that a rule in force names, one by one or by a list."""
        named = np.zeros_like(self._all)
        for members, universe in zip(scope.members, universes, strict=True):
            if universe.symbols or universe.lists:
                named |= members
        return _bools(named)

    def _note(self, n: int, due: np.ndarray, carried: np.ndarray, t_ns: int) -> None:
        """Which cycle every symbol was looked at last in, before this one and with it. Who was not
        in sight in the cycle before (not `carried`) has no past: no cycle was absent for it."""
        scan, part, before = self._scan, self._part, self._before
        assert before is not None
        bars = self._rows[n % CELL_SLOTS, part, R_BAR_INDEX]
        self._last_ns = np.full(len(due), int(before["t_ns"]))
        last_bars = self._rows[(n - 1) % CELL_SLOTS, part, R_BAR_INDEX]
        if stride_of(before) > 1:
            self._last_ns = np.where(carried, scan.looked_ns[1 - self._now, part], self._last_ns)
            last_bars = np.where(carried, scan.looked_bars[1 - self._now, part], last_bars)
        self.closes[part, 0], self.closes[part, 1] = last_bars, bars
        scan.looked_ns[self._now, part] = np.where(due, t_ns, self._last_ns)
        scan.looked_bars[self._now, part] = np.where(due, bars, last_bars)

    def closed(self) -> np.ndarray:
        """Symbols that had a bar closed since they were looked at last, uint64[slice / 64]; only
        where not everyone is looked at."""
        return _words(self.closes[self._part, 1] > self.closes[self._part, 0])

    def look(
        self, truth: np.ndarray, slots: np.ndarray, columns: np.ndarray
    ) -> Look | None:
        """What the evaluator has to know, None where everyone is looked at. Of the cycle before:
        truth, columns, and where each rule stood."""
        if self.everyone:
            return None
        ages = np.unique(self._last_ns[self._looked])
        late = [_words((self._last_ns == age) & self._looked) for age in ages]
        together = np.array(late, np.uint64).reshape(len(ages), len(self._all))
        return Look(self.due, together, ages, truth, slots, columns)


def _bools(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(words.view(np.uint8), bitorder="little").view(bool)


def _words(bools: np.ndarray) -> np.ndarray:
    return np.packbits(bools, bitorder="little").view(np.uint64)
