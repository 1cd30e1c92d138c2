"""Takes files into the store of reference data: kinds are known by their header."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from engine.reference.errors import ReferenceDataError
from engine.reference.files import Cells, Fault, Table, date_in_name
from engine.reference.minutes import MINUTE_COLUMNS, import_minutes
from engine.reference.outcome import Outcome, Progress, Take
from engine.storage.reference_ports import DailyBar, FloatShares, Listing, ReferenceStore, Split

_BATCH = 20_000
_OUTSIDE = 1e-4  # how far open and close may lie outside the range: sources round
_YES = {"y", "yes", "1", "true", "t"}
_SYMBOL_COLUMNS = ("symbol", "name", "exchange", "sector", "industry", "country", "test_issue",
                   "shares", "float")  # fmt: skip
_DAILY_COLUMNS = ("date", "symbol", "open", "high", "low", "close", "volume")
_SPLIT_COLUMNS = ("symbol", "date", "ratio")
_Row = TypeVar("_Row")


@dataclasses.dataclass
class _Batches(Generic[_Row]):
    """Hands rows to a put of the store, many at a time."""

    put: Callable[[Sequence[_Row]], int]
    outcome: Outcome
    rows: list[_Row] = dataclasses.field(default_factory=list)

    def add(self, row: _Row) -> None:
        self.rows.append(row)
        if len(self.rows) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            self.outcome.changed += self.put(self.rows)
            self.rows = []


def import_symbols(
    store: ReferenceStore,
    path: Path,
    list_name: str = "",
    as_of: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """A directory of symbols, a file of floats, or (list_name) the members of a named list.

    as_of: date of the file, yyyymmdd; None: the one in its name. Raises ReferenceDataError for a
    file that is neither, StoreError.
    """
    table = Table(path)
    try:
        listed, floating = "exchange" in table.columns, "float" in table.columns
        if "symbol" not in table.columns or not (listed or floating or list_name):
            wanted = _not_known(path, table, (("symbol", "exchange"), ("symbol", "float")))
            raise ReferenceDataError(wanted + " A list of symbols needs --list NAME.")
        outcome = Outcome(" and ".join(_names_of(listed, floating, list_name)))
        date = as_of if as_of is not None else date_in_name(path)
        if date is None and (listed or floating):
            raise ReferenceDataError(f"{path} has no date in its name: say --as-of DATE.")
        _take_symbols(store, table, outcome, date or 0, list_name, progress)
        return outcome
    finally:
        table.close()


def _names_of(listed: bool, floating: bool, list_name: str) -> list[str]:
    named = ((listed, "symbols"), (floating, "floats"), (list_name, f"list {list_name}"))
    return [name for given, name in named if given]


def _take_symbols(
    store: ReferenceStore, table: Table, outcome: Outcome, as_of: int, list_name: str,
    progress: Progress | None,
) -> None:  # fmt: skip
    listings = _Batches(store.put_listings, outcome)
    floats = _Batches(store.put_floats, outcome)
    tickers: list[str] = []
    cells = Cells(table, _SYMBOL_COLUMNS)

    def take() -> None:
        ticker, shares = cells.ticker(), cells.number("shares", 0)
        told = {name: cells.text(name) for name in ("name", "sector", "industry")}
        source = table.path.name
        if "exchange" in table.columns:
            listings.add(
                Listing(ticker=ticker, exchange=cells.text("exchange"), shares=shares or math.nan,
                        country=cells.text("country"), as_of=as_of, source=source,
                        test_issue=cells.text("test_issue").lower() in _YES, **told)
            )  # fmt: skip
        if "float" in table.columns:
            free = cells.number("float", 0)
            floats.add(
                FloatShares(ticker=ticker, shares=shares or math.nan, as_of=as_of, source=source,
                            float_shares=free or math.nan, **told)
            )  # fmt: skip
        tickers.append(ticker)

    _each(table, cells, take, outcome, progress)
    listings.flush()
    floats.flush()
    if list_name:
        outcome.changed += store.put_list(list_name, list(dict.fromkeys(tickers)))


def import_history(
    store: ReferenceStore, path: Path, progress: Progress | None = None
) -> Outcome:
    """Daily bars, 1-minute bars (their volumes), or splits. Raises ReferenceDataError for a file
    that is none of these, StoreError."""
    table = Table(path)
    try:
        if _has(table, _SPLIT_COLUMNS):
            return _import_splits(store, table, progress)
        if _has(table, MINUTE_COLUMNS):
            return import_minutes(store, table, progress)
        if _has(table, ("date", "symbol", "close", "volume")):
            return _import_daily(store, table, progress)
        known = (_DAILY_COLUMNS, (*MINUTE_COLUMNS[:2], "open", "high", "low", "close", "volume"),
                 _SPLIT_COLUMNS)  # fmt: skip
        raise ReferenceDataError(_not_known(path, table, known))
    finally:
        table.close()


def _has(table: Table, names: Sequence[str]) -> bool:
    return all(name in table.columns for name in names)


def _not_known(path: Path, table: Table, known: Sequence[Sequence[str]]) -> str:
    told = ",".join(table.columns)[:80]
    wanted = " or ".join(",".join(names) for names in known)
    return f"{path} begins with the columns {told!r}, expected {wanted}."


def _each(
    table: Table, cells: Cells, take: Take, outcome: Outcome, progress: Progress | None
) -> None:
    """Call `take` for every row; what it refuses is counted and left out."""
    for line, row in table.rows():
        cells.take(row)
        outcome.rows += 1
        try:
            take()
        except Fault as fault:
            outcome.refuse(line, str(fault))
        if progress is not None and outcome.rows % 4096 == 0:
            progress(table.done, table.size)
    if progress is not None:
        progress(table.size, table.size)


def _import_daily(store: ReferenceStore, table: Table, progress: Progress | None) -> Outcome:
    outcome = Outcome("daily bars")
    bars, cells = _Batches(store.put_daily, outcome), Cells(table, _DAILY_COLUMNS)
    _each(table, cells, lambda: bars.add(_daily_bar(cells)), outcome, progress)
    bars.flush()
    return outcome


def _daily_bar(cells: Cells) -> DailyBar:
    ticker, date = cells.ticker(), cells.date("date")
    close, volume = cells.needed("close", 0, above=True), cells.number("volume", 0)
    names = ("open", "high", "low")
    opened, high, low = (cells.number(name, 0, above=True) for name in names)
    blank = [name for name, x in zip(names, (opened, high, low), strict=True) if math.isnan(x)]
    if 0 < len(blank) < len(names):
        raise Fault(blank[0], "", "is blank while others are not")
    if not blank:
        for name, price in (("open", opened), ("close", close)):
            if not low * (1 - _OUTSIDE) <= price <= high * (1 + _OUTSIDE):
                raise Fault(name, cells.text(name), f"is not between low {low:g} and high {high:g}")
        high, low = max(high, opened, close), min(low, opened, close)
    return DailyBar(
        ticker=ticker, date=date, open=opened, high=high, low=low, close=close, volume=volume
    )


def _import_splits(store: ReferenceStore, table: Table, progress: Progress | None) -> Outcome:
    outcome = Outcome("splits")
    splits, cells = _Batches(store.put_splits, outcome), Cells(table, _SPLIT_COLUMNS)

    def take() -> None:
        splits.add(
            Split(ticker=cells.ticker(), date=cells.date("date"),
                  ratio=_ratio(cells))
        )  # fmt: skip

    _each(table, cells, take, outcome, progress)
    splits.flush()
    return outcome


def _ratio(cells: Cells) -> float:
    """New shares for one old: 10, 0.1, 10:1, 1/10. Raises Fault."""
    text = cells.text("ratio")
    parts = text.replace("/", ":").split(":")
    try:
        numbers = [float(part) for part in parts]
        ratio = numbers[0] / (numbers[1] if len(numbers) == 2 else 1.0)
    except (ValueError, ZeroDivisionError):
        ratio = math.nan
    if len(parts) > 2 or not 0 < ratio < math.inf:
        raise Fault("ratio", text, "is not a ratio like 10, 0.1 or 10:1")
    return ratio
