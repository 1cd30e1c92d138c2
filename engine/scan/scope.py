"""Which symbols of a slice rules look at in a cycle, and in which order they fire."""

from collections.abc import Sequence

import numpy as np

from engine.domain.levels import group_code, list_bits
from engine.domain.tables import CELL_SLOTS, EngineTables
from engine.rules.bits_nb import WORD_BITS
from engine.rules.model import Universe
from engine.scan.fire_nb import REF_WORDS, scope_nb


class Scope:
    """known, halted: uint64[slice / 64], see scope_nb; known_before: known in the cycle before.
    rank, by_rank: int32[slice], place of a symbol among the slice's tickers and back. members:
    uint64[universes, slice / 64]. count: admitted symbols of the slice."""

    def __init__(self, tables: EngineTables, worker: int) -> None:
        self._tables, self._worker = tables, worker
        self._rows = tables.cell.rows.view(np.int64).reshape(CELL_SLOTS, tables.sizes.rows, -1)
        self._reference = tables.reference.view(np.int64).reshape(-1, REF_WORDS)
        self._slice_rows = tables.sizes.slice_rows
        self._first = worker * self._slice_rows
        words = self._slice_rows // WORD_BITS
        self.known, self.halted, self.known_before = (np.zeros(words, np.uint64) for _ in range(3))
        self.rank = np.arange(self._slice_rows, dtype=np.int32)
        self.by_rank = self.rank.copy()
        self.forget()

    def forget(self) -> None:
        """Rely on nothing but the tables from now on."""
        self.count = self._sorted_in = 0
        self._places: dict[Universe, int] = {}
        self.members = np.zeros((0, len(self.known)), np.uint64)
        self._known_n = self._names_version = -1
        self.use(())

    def use(self, universes: Sequence[Universe]) -> None:
        """Keep members of these from now on; those of universes that stay are there already."""
        members = np.zeros((len(universes), len(self.known)), np.uint64)
        places = {universe: place for place, universe in enumerate(universes)}
        for universe in places.keys() & self._places.keys():
            members[places[universe]] = self.members[self._places[universe]]
        self._new = [place for one, place in places.items() if one not in self._places]
        lists = self._tables.book.lists
        self._universes = [_Members(universe, lists) for universe in universes]
        self.members, self._places = members, places

    def take(self, n: int, head: np.void, before: np.void | None) -> None:
        """Look at cycle n. before: the head of the cycle before, None if there is none."""
        if before is not None and self._known_n != n - 1:
            self._see(n - 1, before)
        self.known_before[:] = self.known if before is not None else 0
        self._see(n, head)
        self._known_n = n
        self._take_names()
        self._sort_in()

    def seen_everywhere(self, n: int, head: np.void) -> np.ndarray:
        """What `known` was in cycle n for all symbols: uint64[rows / 64]."""
        seen = np.zeros(self._tables.sizes.rows // WORD_BITS, np.uint64)
        halted = np.zeros_like(self.known)
        for worker in range(self._tables.sizes.workers):
            first = worker * self._slice_rows
            part = slice(first // WORD_BITS, first // WORD_BITS + len(halted))
            scope_nb(
                self._rows[n % CELL_SLOTS], self._reference, first,
                self._admitted(head, worker), seen[part], halted,
            )  # fmt: skip
        return seen

    def _admitted(self, head: np.void, worker: int) -> int:
        return min(int(head["symbol_count"][worker]), self._slice_rows)

    def _see(self, n: int, head: np.void) -> None:
        self.count = self._admitted(head, self._worker)
        scope_nb(
            self._rows[n % CELL_SLOTS], self._reference, self._first, self.count, self.known,
            self.halted,
        )  # fmt: skip

    def _take_names(self) -> None:
        """Rank of every symbol of the slice by ticker, again when a name changed."""
        names = self._tables.names
        version = names.version()
        if version == self._names_version:
            return
        raw = names.raw[self._first : self._first + self._slice_rows]
        self.by_rank[:] = np.argsort(raw, kind="stable")
        self.rank[self.by_rank] = np.arange(len(raw))
        self._names_version = version

    def _sort_in(self) -> None:
        """Enter symbols that were admitted since the last call into the universes, and everybody
        into new ones."""
        self._enter(self._new, 0, self._sorted_in)
        self._enter(range(len(self._universes)), self._sorted_in, self.count)
        self._new, self._sorted_in = [], self.count

    def _enter(self, places: Sequence[int], first: int, end: int) -> None:
        """Enter the symbols [first, end) of the slice into some universes."""
        if not places or first == end:
            return
        rows = slice(self._first + first, self._first + end)
        tickers = _Tickers(self._tables.names.raw[rows], self._tables.reference[rows])
        for place in places:
            found = first + np.flatnonzero(self._universes[place].hold(tickers))
            bits = np.uint64(1) << (found % WORD_BITS).astype(np.uint64)
            np.bitwise_or.at(self.members[place], found // WORD_BITS, bits)


class _Tickers:
    """Some tickers, S24, in which many short lists are looked up; reference: REFERENCE of each."""

    def __init__(self, tickers: np.ndarray, reference: np.ndarray) -> None:
        self.reference = reference
        self._order = np.argsort(tickers, kind="stable")
        self._sorted = tickers[self._order]

    def among(self, symbols: np.ndarray) -> np.ndarray:
        """bool[count]: which of them are in a list."""
        held = np.zeros(len(self._sorted), bool)
        wanted = symbols.astype(self._sorted.dtype)
        at = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        held[self._order[at[self._sorted[at] == wanted]]] = True
        return held


class _Members:
    """Who is in what of a universe does not change from cycle to cycle. A symbol of which an
    exchange, a sector or a list is not known is in none."""

    def __init__(self, universe: Universe, lists: np.ndarray) -> None:
        self._symbols = _encoded(universe.symbols)
        self._excluded = _encoded(universe.exclude_symbols)
        self._lists = list_bits(universe.lists, lists) if universe.lists else None
        self._no_lists = list_bits(universe.exclude_lists, lists)
        self._groups = [
            (field, np.array([group_code(name) for name in names], np.uint32))
            for field, names in (("exchange", universe.exchanges), ("sector", universe.sectors))
            if names
        ]

    def hold(self, tickers: _Tickers) -> np.ndarray:
        """bool[count]: which of these are in it."""
        reference = tickers.reference
        held = ~tickers.among(self._excluded)
        held &= reference["lists"] & self._no_lists == 0
        if len(self._symbols):
            held &= tickers.among(self._symbols)
        if self._lists is not None:
            held &= reference["lists"] & self._lists != 0
        for field, codes in self._groups:
            held &= np.isin(reference[field], codes)
        return held


def _encoded(symbols: Sequence[str]) -> np.ndarray:
    return np.array([symbol.encode() for symbol in symbols], bytes)
