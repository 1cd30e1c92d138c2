"""Reference data into a genesis: the book of the date, and states of before a split."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from engine.bars.admission import block_shares
from engine.domain import records
from engine.domain.family import DAILY_PLACE, KEPT_CLOSES, KEPT_RANGES
from engine.domain.levels import BASELINE_MINUTES, LEVEL, LEVELS, MAX_LISTS
from engine.domain.market_hours import TradingDay
from engine.indicators.timeframes import enter_daily
from engine.reference.book import CALENDAR_DAYS, Book, build_book, empty_book
from engine.replay.genesis import Genesis
from engine.storage.reference_ports import Split
from engine.storage.reference_sqlite import SqliteReferenceReader

_FRAMES = ("frame_closes", "frame_ranges", "frame_marks")
_SSR = records.REF_SSR_KNOWN | records.REF_SSR


class ReferenceData:
    """What lies in a store of reference data; nothing when there is none at `path`."""

    def __init__(self, path: Path | None) -> None:
        self._path = path if path is not None and path.exists() else None
        self._splits: list[Split] | None = None

    def splits(self) -> list[Split]:
        """Every split. Raises StorageError."""
        if self._path is None:
            return []
        if self._splits is None:
            reader = SqliteReferenceReader(self._path)
            try:
                self._splits = reader.splits()
            finally:
                reader.close()
        return self._splits

    def book(
        self,
        day: TradingDay,
        calendar_back: Callable[[int], list[TradingDay]],
        room: int,
        say: Callable[[str], None],
    ) -> Book:
        """The book of a day, of at most `room` symbols. calendar_back: trading days up to the date
        from so many days before it. Raises StorageError, CalendarError."""
        if self._path is None:
            return empty_book()
        say("reading the reference data")
        reader = SqliteReferenceReader(self._path)
        try:
            return build_book(reader, day, calendar_back(CALENDAR_DAYS), room)
        finally:
            reader.close()


def informed(
    tickers: Sequence[str], arrays: dict[str, np.ndarray], book: Book
) -> dict[str, np.ndarray]:
    """The arrays of a genesis with the book and what it says of the symbols that are known already.

    Official closes and ATRs of the book stand before what the tape of yesterday told. The bars of
    timeframes are not copied: daily ones are put into the arrays that there are.
    """
    places = {ticker: place for place, ticker in enumerate(book.tickers)}
    at = np.array([places.get(ticker, -1) for ticker in tickers], np.int64)
    known, rows = at >= 0, arrays["rows"].copy()
    reference = _plain(arrays["reference"])
    told = _with_places(book.reference)
    if known.any():
        mine = told[at[known]]
        for name in ("prev_close", "atr14_day"):
            mine[name] = np.where(np.isnan(mine[name]), reference[name][known], mine[name])
        seen = mine["flags"] & records.REF_SSR_KNOWN == 0
        mine["flags"][seen] |= reference["flags"][known][seen] & _SSR
        reference[known] = mine
    adv = np.full(len(tickers), np.nan)
    adv[known] = book.levels[LEVEL["adv_20"], at[known]]
    rows["block_shares"] = block_shares(adv)
    lists = np.zeros(MAX_LISTS, np.int64)
    lists[: len(book.lists)] = book.lists
    baseline = book.baseline if len(book.tickers) else np.zeros((BASELINE_MINUTES, 0), np.float32)
    return arrays | {
        "rows": rows,
        "reference": reference,
        "book_names": np.array([ticker.encode() for ticker in book.tickers], "S24"),
        "book_reference": told,
        "book_levels": book.levels if len(book.tickers) else np.zeros((len(LEVELS), 0)),
        "book_baseline": baseline,
        "book_lists": lists,
        **_with_daily(arrays, at, book),
    }


def _with_daily(
    arrays: dict[str, np.ndarray], at: np.ndarray, book: Book
) -> dict[str, np.ndarray]:
    """Put the book's daily bars in place of those that the arrays hold, and return those of the
    symbols that are not there yet. at: int64[symbols], their places in the book, -1 none."""
    if arrays["frame_marks"][DAILY_PLACE].any():
        for name in _FRAMES:
            arrays[name][DAILY_PLACE] = 0
    known = np.flatnonzero(at >= 0)
    enter_daily(arrays, known, [book.daily[place] for place in at[known].tolist()])
    count = len(book.tickers)
    later = {  # memory of the other timeframes is never touched, so there is none
        "frame_closes": np.zeros((DAILY_PLACE + 1, KEPT_CLOSES, count)),
        "frame_ranges": np.zeros((DAILY_PLACE + 1, 3, KEPT_RANGES, count)),
        "frame_marks": np.zeros((DAILY_PLACE + 1, count), np.int64),
    }
    unseen = np.setdiff1d(np.arange(count), at)
    enter_daily(later, unseen, [book.daily[place] for place in unseen.tolist()])
    return {
        name.replace("frame", "book_daily"): array[DAILY_PLACE] for name, array in later.items()
    }


def _plain(reference: np.ndarray) -> np.ndarray:
    """What does not come from a book: closes, ATRs and restrictions of short sales."""
    found = records.unknown_reference(len(reference))
    for name in ("prev_close", "atr14_day"):
        found[name] = reference[name]
    found["flags"] = reference["flags"] & _SSR
    return found


def _with_places(reference: np.ndarray) -> np.ndarray:
    told = reference.copy()
    told["place"] = np.arange(len(told)) + 1
    return told


def in_new_shares(before: Genesis, splits: Sequence[Split], date: int) -> Genesis:
    """A state in the shares of a later date: prices of symbols that split after it are divided.

    Their bars go, those of timeframes, too, and their indicators begin anew: they rest on prices
    of the old shares.
    """
    ratios: dict[str, float] = {}
    for split in splits:
        if before.header.date < split.date <= date and split.ratio != 1.0:
            ratios[split.ticker] = ratios.get(split.ticker, 1.0) * split.ratio
    tickers = before.header.tickers
    ratio = np.array([ratios.get(ticker, 1.0) for ticker in tickers], np.float64)
    split_now = ratio != 1.0
    if not split_now.any():
        return before
    arrays = {
        name: before.arrays[name].copy()
        for name in ("rows", "reference", "closes", "indicator_state", "indicator_values",
                     "indicator_closes", *_FRAMES)
    }  # fmt: skip
    rows = arrays["rows"]
    for name in ("last", "close_rth"):
        rows[name] /= ratio
    rows["low"] /= ratio[:, None]
    arrays["closes"]["price"] /= ratio
    for name in ("prev_close", "atr14_day"):
        arrays["reference"][name] /= ratio
    arrays["indicator_state"][split_now] = 0.0
    arrays["indicator_values"][:, split_now] = np.nan
    arrays["indicator_closes"][:, split_now] = 0.0
    for name in _FRAMES:
        arrays[name][..., split_now] = 0
    stays = ~split_now[before.arrays["bar_symbols"]]
    for name in ("bars", "bar_symbols"):
        arrays[name] = before.arrays[name][stays]
    return Genesis(before.header, before.rules, before.arrays | arrays)
