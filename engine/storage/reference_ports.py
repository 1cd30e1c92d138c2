"""What the engine needs from a store of reference data: symbols, daily bars, volumes, splits."""

import math
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np

DAY_MINUTES = 960  # from 04:00 to 20:00 exchange time

# A daily bar: date yyyymmdd; open, high, low and volume are NaN where the source does not tell.
DAILY = np.dtype(
    [("date", "i8"), ("open", "f8"), ("high", "f8"), ("low", "f8"), ("close", "f8"),
     ("volume", "f8")]
)  # fmt: skip


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A symbol as its directory has it. Texts are empty and shares NaN where it does not tell.

    as_of: date of the directory, yyyymmdd; source: the name of the file.
    """

    ticker: str
    name: str = ""
    exchange: str = ""
    sector: str = ""
    industry: str = ""
    country: str = ""
    test_issue: bool = False
    shares: float = math.nan
    as_of: int
    source: str


class FloatShares(msgspec.Struct, frozen=True, kw_only=True):
    """Shares outstanding and free to trade of a symbol, NaN unknown; see Listing."""

    ticker: str
    name: str = ""
    sector: str = ""
    industry: str = ""
    shares: float = math.nan
    float_shares: float = math.nan
    as_of: int
    source: str


class DailyBar(msgspec.Struct, frozen=True, kw_only=True):
    """One official daily bar as traded: prices are not adjusted for later splits."""

    ticker: str
    date: int
    open: float = math.nan
    high: float = math.nan
    low: float = math.nan
    close: float
    volume: float = math.nan


class DayVolume(msgspec.Struct, frozen=True, kw_only=True):
    """Volume by minute of a symbol on one date: float32[DAY_MINUTES] from 04:00.

    regular_only: its source tells of regular hours only, the rest is unknown.
    """

    ticker: str
    date: int
    regular_only: bool
    minutes: np.ndarray


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """From `date` on there are `ratio` new shares for one old. 1: there was no split, and a gap of
    that day that looks like one is real."""

    ticker: str
    date: int
    ratio: float


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of one symbol, from its listing and its float."""

    ticker: str
    name: str = ""
    exchange: str = ""
    sector: str = ""
    industry: str = ""
    country: str = ""
    test_issue: bool = False
    shares: float = math.nan
    shares_as_of: int = 0
    shares_source: str = ""
    float_shares: float = math.nan
    float_as_of: int = 0
    float_source: str = ""


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is of one kind of history: symbols, rows, first and last date."""

    kind: str
    symbols: int
    rows: int
    first: int
    last: int


KINDS = ("daily bars", "minute volumes", "splits")


def company(ticker: str, listing: Listing | None, floating: FloatShares | None) -> Company:
    """Put together what two sources say: texts of the listing first, shares of the newer one."""
    name = exchange = sector = industry = country = ""
    if listing is not None:
        name, exchange, country = listing.name, listing.exchange, listing.country
        sector, industry = listing.sector, listing.industry
    shares: tuple[float, int, str] = (math.nan, 0, "")
    told = (math.nan, 0, "")
    if floating is not None:
        name, sector = name or floating.name, sector or floating.sector
        industry = industry or floating.industry
        told = (floating.float_shares, floating.as_of, floating.source)
    for one in (listing, floating):
        if one is not None and not math.isnan(one.shares) and one.as_of > shares[1]:
            shares = (one.shares, one.as_of, one.source)
    return Company(
        ticker=ticker,
        name=name,
        exchange=exchange,
        sector=sector,
        industry=industry,
        country=country,
        test_issue=listing is not None and listing.test_issue,
        shares=shares[0],
        shares_as_of=shares[1],
        shares_source=shares[2],
        float_shares=told[0],
        float_as_of=told[1] if not math.isnan(told[0]) else 0,
        float_source=told[2] if not math.isnan(told[0]) else "",
    )


class ReferenceReader(Protocol):
    """Reads reference data. Results are in order of ticker, then date."""

    def companies(self) -> list[Company]:
        """Every symbol of a directory or of a file of floats."""

    def company(self, ticker: str) -> Company | None:
        """One of them, None when no file had it."""

    def lists(self) -> dict[str, list[str]]:
        """The tickers of every named list."""

    def splits(self) -> list[Split]:
        """Every split."""

    def daily(self, ticker: str, before: int) -> np.ndarray:
        """DAILY[n]: the daily bars of a symbol with a date below `before`, oldest first."""

    def day_volumes(self, ticker: str, first: int, last: int) -> list[DayVolume]:
        """Volumes by minute of a symbol with first <= date <= last, oldest first."""

    def traded(self, first: int, last: int) -> dict[str, float]:
        """Sum of the daily volumes with first <= date <= last of every symbol with a bar there,
        unknown ones as 0."""

    def counted(self, first: int, last: int) -> list[str]:
        """Tickers with volumes by minute of a date with first <= date <= last."""

    def coverage(self, ticker: str | None = None) -> list[Coverage]:
        """What history there is, of all symbols or of one; kinds without any are left out."""


class ReferenceStore(ReferenceReader, Protocol):
    """Keeps reference data. Every put is one transaction, counts what it changed, and changes
    nothing when the same comes again; it raises StoreError, then nothing of it was stored."""

    def put_listings(self, rows: Sequence[Listing]) -> int:
        """Listings; one as of an earlier date than the one that is there is ignored."""

    def put_floats(self, rows: Sequence[FloatShares]) -> int:
        """Floats; one as of an earlier date than the one that is there is ignored."""

    def put_list(self, name: str, tickers: Sequence[str]) -> int:
        """Let a named list hold exactly these."""

    def put_daily(self, rows: Sequence[DailyBar]) -> int:
        """Daily bars; one without an open never replaces one with."""

    def put_day_volumes(self, rows: Sequence[DayVolume]) -> int:
        """Volumes by minute; one of regular hours only never replaces one of the whole day."""

    def put_splits(self, rows: Sequence[Split]) -> int:
        """Splits."""

    def close(self) -> None:
        """Close the store."""
