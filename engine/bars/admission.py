"""Which symbol id a ticker has: emptiest slice first; numbers of the feeds mapped to ids."""

import numpy as np

from engine.bars.errors import BarsError
from engine.domain.levels import LEVEL
from engine.domain.records import (
    BLOCK_SHARE_OF_ADV,
    BLOCK_SHARES,
    TICK_ADMIT,
    unknown_reference,
)
from engine.domain.sizes import Sizes
from engine.domain.tables import EngineTables
from shm.names import Names
from shm.ring import Ring

UNKNOWN = -1
_TRIES = 16


def ticker_of(tick: np.void) -> str:
    """The ticker an ADMIT record carries: up to 24 bytes in id, a, b; n1 is its length."""
    fields = (np.int64(tick["id"]), np.float64(tick["a"]), np.float64(tick["b"]))
    return b"".join(field.tobytes() for field in fields)[: int(tick["n1"])].decode()


def place(counts: np.ndarray, sizes: Sizes) -> int | None:
    """Id for the next ticker, counted in `counts` (int64[>= workers], symbols per slice).

    The emptiest slice gets it, the lowest of equals; None when the capacity is used up.
    """
    used = counts[: sizes.workers]
    if int(used.sum()) >= sizes.capacity:
        return None
    worker = int(np.argmin(used))
    symbol = worker * sizes.slice_rows + int(used[worker])
    counts[worker] += 1
    return symbol


def block_shares(adv: np.ndarray) -> np.ndarray:
    """Shares from which on a trade is a block, for the mean daily volumes `adv` (NaN unknown)."""
    shares: np.ndarray = np.fmax(BLOCK_SHARES, BLOCK_SHARE_OF_ADV * adv)
    return shares


def count_by_slice(names: Names, sizes: Sizes) -> np.ndarray:
    """int64[64] named symbols per slice; BarsError if a slice has a hole before a name."""
    taken = np.asarray(names.raw) != b""
    counts = np.zeros(64, np.int64)
    for worker in range(sizes.workers):
        start = worker * sizes.slice_rows
        part = taken[start : start + sizes.slice_rows]
        counts[worker] = int(part.sum())
        if not part[: counts[worker]].all():
            hole = start + int(np.argmin(part))
            raise BarsError(f"symbol id {hole} has no name, but a later one of its slice has")
    return counts


class SymbolMap:
    """Private map of feed numbers to ids, a pure function of the tables of names.

    idmap: int32[feeds, rows], -1 unknown.
    """

    def __init__(self, tables: EngineTables) -> None:
        self._tables = tables
        self._ids: dict[str, int] = {}
        self.idmap = np.full((tables.sizes.feeds, tables.sizes.rows), UNKNOWN, np.int32)
        self._book: dict[bytes, int] = {}

    def rebuild(self, counts: np.ndarray) -> None:
        """Read the tables again; names beyond `counts` belong to a cycle that never was: freed."""
        tables, sizes = self._tables, self._tables.sizes
        tables.names.recover()
        for worker in range(sizes.workers):
            start = worker * sizes.slice_rows
            for local in range(int(counts[worker]), sizes.slice_rows):
                if tables.names.raw[start + local] == b"":
                    break
                tables.names.set(start + local, "")
        self._ids = {ticker: symbol for symbol, ticker in tables.names.all()}
        self._book = {name: place for place, name in enumerate(tables.book.names.tolist()) if name}
        self.idmap.fill(UNKNOWN)
        for feed, names in enumerate(tables.feed_names):
            for number, ticker in names.all():
                self.idmap[feed, number] = self._ids.get(ticker, UNKNOWN)
            self._learn_unnamed(feed, tables.ticks.rings[feed])

    def _learn_unnamed(self, feed: int, ring: Ring) -> None:
        """A feed that died after publishing an ADMIT has not named its ticker yet, but a cycle may
        have taken it in. One publication is at most a quarter of the ring; what is not taken in
        yet has no id."""
        for _ in range(_TRIES):
            tail = ring.tail()
            recent = ring.copy(max(0, tail - ring.capacity // 2), tail)
            if recent is not None:
                break
        else:  # never by a dead feed, and a living one names whom it admits
            return
        for tick in recent[recent["kind"] == TICK_ADMIT]:
            number, symbol = int(tick["sym"]), self._ids.get(ticker_of(tick), UNKNOWN)
            if 0 <= number < self.idmap.shape[1] and symbol != UNKNOWN:
                self.idmap[feed, number] = symbol

    def admit(self, feed: int, tick: np.void, counts: np.ndarray) -> bool:
        """Take in an ADMIT record; False if there is no room for its ticker."""
        number, ticker = int(tick["sym"]), ticker_of(tick)
        if not 0 <= number < self.idmap.shape[1] or not ticker:
            return False
        symbol = self._ids.get(ticker)
        if symbol is None:
            symbol = place(counts, self._tables.sizes)
            if symbol is None:
                return False
            self._tables.names.set(symbol, ticker)
            self._ids[ticker] = symbol
            self._look_up(symbol, ticker)
        self.idmap[feed, number] = symbol
        return True

    def _look_up(self, symbol: int, ticker: str) -> None:
        """What the book says of a ticker becomes that of its symbol, in place: a cycle that is done
        again writes the same."""
        place = self._book.get(ticker.encode(), -1)
        told = self._tables.book.reference[place : place + 1]
        self._tables.reference[symbol] = (told if place >= 0 else unknown_reference(1))[0]

    def block_shares(self, symbol: int) -> float:
        """See `block_shares`, of one symbol."""
        place = int(self._tables.reference["place"][symbol]) - 1
        adv = self._tables.book.levels[LEVEL["adv_20"], place] if place >= 0 else np.nan
        return float(block_shares(np.array([adv]))[0])
