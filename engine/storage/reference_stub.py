"""In-memory store of reference data that behaves like the real one."""

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from engine.storage.reference_ports import (
    DAILY,
    KINDS,
    Company,
    Coverage,
    DailyBar,
    DayVolume,
    FloatShares,
    Listing,
    Split,
    company,
)

_Dated = TypeVar("_Dated", Listing, FloatShares)


class MemoryReferenceStore:
    """ReferenceStore in dicts."""

    def __init__(self) -> None:
        self._listings: dict[str, Listing] = {}
        self._floats: dict[str, FloatShares] = {}
        self._lists: dict[str, list[str]] = {}
        self._daily: dict[tuple[str, int], DailyBar] = {}
        self._volumes: dict[tuple[str, int], DayVolume] = {}
        self._splits: dict[tuple[str, int], Split] = {}

    def put_listings(self, rows: Sequence[Listing]) -> int:
        """See ReferenceStore.put_listings."""
        return self._put_dated(self._listings, rows)

    def put_floats(self, rows: Sequence[FloatShares]) -> int:
        """See ReferenceStore.put_floats."""
        return self._put_dated(self._floats, rows)

    @staticmethod
    def _put_dated(kept: dict[str, _Dated], rows: Sequence[_Dated]) -> int:
        changed = 0
        for row in rows:
            old = kept.get(row.ticker)
            if old is None or (row.as_of >= old.as_of and not _same(row, old)):
                kept[row.ticker] = row
                changed += 1
        return changed

    def put_list(self, name: str, tickers: Sequence[str]) -> int:
        """See ReferenceStore.put_list."""
        before, after = set(self._lists.get(name, ())), set(tickers)
        self._lists[name] = sorted(after)
        if not after:
            del self._lists[name]
        return len(before ^ after)

    def put_daily(self, rows: Sequence[DailyBar]) -> int:
        """See ReferenceStore.put_daily."""
        changed = 0
        for row in rows:
            old = self._daily.get((row.ticker, row.date))
            knows_more = old is not None and math.isnan(row.open) and not math.isnan(old.open)
            if old is None or not (knows_more or _same(row, old)):
                self._daily[row.ticker, row.date] = row
                changed += 1
        return changed

    def put_day_volumes(self, rows: Sequence[DayVolume]) -> int:
        """See ReferenceStore.put_day_volumes."""
        changed = 0
        for row in rows:
            old = self._volumes.get((row.ticker, row.date))
            if old is not None:
                same = row.regular_only == old.regular_only
                same = same and row.minutes.tobytes() == old.minutes.tobytes()
                if same or row.regular_only > old.regular_only:
                    continue
            self._volumes[row.ticker, row.date] = row
            changed += 1
        return changed

    def put_splits(self, rows: Sequence[Split]) -> int:
        """See ReferenceStore.put_splits."""
        changed = 0
        for row in rows:
            changed += self._splits.get((row.ticker, row.date)) != row
            self._splits[row.ticker, row.date] = row
        return changed

    def companies(self) -> list[Company]:
        """See ReferenceReader.companies."""
        found = (self.company(ticker) for ticker in sorted({*self._listings, *self._floats}))
        return [one for one in found if one is not None]

    def company(self, ticker: str) -> Company | None:
        """See ReferenceReader.company."""
        listing, floating = self._listings.get(ticker), self._floats.get(ticker)
        if listing is None and floating is None:
            return None
        return company(ticker, listing, floating)

    def lists(self) -> dict[str, list[str]]:
        """See ReferenceReader.lists."""
        return {name: list(self._lists[name]) for name in sorted(self._lists)}

    def splits(self) -> list[Split]:
        """See ReferenceReader.splits."""
        return [self._splits[key] for key in sorted(self._splits)]

    def daily(self, ticker: str, before: int) -> np.ndarray:
        """See ReferenceReader.daily."""
        keys = sorted(key for key in self._daily if key[0] == ticker and key[1] < before)
        bars = [self._daily[key] for key in keys]
        rows = [(b.date, b.open, b.high, b.low, b.close, b.volume) for b in bars]
        return np.array(rows, DAILY)

    def day_volumes(self, ticker: str, first: int, last: int) -> list[DayVolume]:
        """See ReferenceReader.day_volumes."""
        keys = sorted(key for key in self._volumes if key[0] == ticker and first <= key[1] <= last)
        return [self._volumes[key] for key in keys]

    def traded(self, first: int, last: int) -> dict[str, float]:
        """See ReferenceReader.traded."""
        found: dict[str, float] = {}
        for (ticker, date), bar in sorted(self._daily.items()):
            if first <= date <= last:
                volume = 0.0 if math.isnan(bar.volume) else bar.volume
                found[ticker] = found.get(ticker, 0.0) + volume
        return found

    def counted(self, first: int, last: int) -> list[str]:
        """See ReferenceReader.counted."""
        return sorted({name for name, date in self._volumes if first <= date <= last})

    def coverage(self, ticker: str | None = None) -> list[Coverage]:
        """See ReferenceReader.coverage."""
        found = []
        every: tuple[Iterable[tuple[str, int]], ...] = (self._daily, self._volumes, self._splits)
        for kind, kept in zip(KINDS, every, strict=True):
            keys = [key for key in kept if ticker in (None, key[0])]
            if keys:
                symbols = len({name for name, _ in keys})
                dates = [date for _, date in keys]
                found.append(
                    Coverage(kind=kind, symbols=symbols, rows=len(keys), first=min(dates),
                             last=max(dates))
                )  # fmt: skip
        return found

    def close(self) -> None:
        """Nothing to close."""


def _same(one: object, other: object) -> bool:
    """Equal, NaN to NaN, too."""
    return repr(one) == repr(other)
