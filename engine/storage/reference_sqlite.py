"""Reference data in a SQLite file, and its read-only view."""

import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.storage.database import Database, nan, null
from engine.storage.errors import StoreError
from engine.storage.reference_ports import (
    DAILY,
    DAY_MINUTES,
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

REFERENCE_NAME = "reference.db"
_LISTING = ("name", "exchange", "sector", "industry", "country", "test_issue", "shares", "as_of",
            "source")  # fmt: skip
_FLOAT = ("name", "sector", "industry", "shares", "float_shares", "as_of", "source")
_BAR = ("open", "high", "low", "close", "volume")
_VOLUME = ("regular_only", "minutes")
_SYMBOL = "(SELECT symbol FROM symbol WHERE ticker = ?)"
_TABLES = dict(zip(KINDS, ("daily", "day_volume", "split"), strict=True))


def _upsert(table: str, keys: Sequence[str], fields: Sequence[str], only_if: str = "1") -> str:
    """An insert by ticker that changes a row that is there only where something differs."""
    places = ", ".join("?" for _ in (*keys, *fields))
    new, old = (", ".join(f"{which}.{name}" for name in fields) for which in ("excluded", table))
    sets = ", ".join(f"{name} = excluded.{name}" for name in fields)
    differs = f"({new}) IS NOT ({old})" if len(fields) > 1 else f"{new} IS NOT {old}"
    return (
        f"INSERT INTO {table} (symbol, {', '.join((*keys, *fields))}) VALUES ({_SYMBOL}, {places}) "
        f"ON CONFLICT (symbol{''.join(', ' + key for key in keys)}) DO UPDATE SET {sets} "
        f"WHERE {differs} AND {only_if}"
    )


_PUT_LISTING = _upsert("listing", (), _LISTING, "excluded.as_of >= listing.as_of")
_PUT_FLOAT = _upsert("float_shares", (), _FLOAT, "excluded.as_of >= float_shares.as_of")
_PUT_DAILY = _upsert(
    "daily", ("date",), _BAR, "(excluded.open IS NOT NULL OR daily.open IS NULL)"
)
_PUT_VOLUME = _upsert(
    "day_volume", ("date",), _VOLUME, "excluded.regular_only <= day_volume.regular_only"
)
_PUT_SPLIT = _upsert("split", ("date",), ("ratio",))
_COMPANY = f"""
SELECT symbol.ticker, {", ".join(f"listing.{name}" for name in _LISTING)},
       {", ".join(f"float_shares.{name}" for name in _FLOAT)}
FROM symbol LEFT JOIN listing USING (symbol) LEFT JOIN float_shares USING (symbol)
WHERE (listing.symbol IS NOT NULL OR float_shares.symbol IS NOT NULL)
"""
_BY_TICKER = " ORDER BY CAST(symbol.ticker AS BLOB)"


class SqliteReferenceReader:
    """ReferenceReader on a file, opened mode=ro. Raises StoreError, MigrationError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = Database.reader(path, "reference")

    def companies(self) -> list[Company]:
        """See ReferenceReader.companies."""
        return [_company(row) for row in self._rows(_COMPANY + _BY_TICKER)]

    def company(self, ticker: str) -> Company | None:
        """See ReferenceReader.company."""
        rows = self._rows(_COMPANY + " AND symbol.ticker = ?", (ticker,))
        return _company(rows[0]) if rows else None

    def lists(self) -> dict[str, list[str]]:
        """See ReferenceReader.lists."""
        found: dict[str, list[str]] = {}
        sql = "SELECT list, ticker FROM list_member JOIN symbol USING (symbol)"
        order = " ORDER BY CAST(list AS BLOB), CAST(ticker AS BLOB)"
        for name, ticker in self._rows(sql + order):
            found.setdefault(name, []).append(ticker)
        return found

    def splits(self) -> list[Split]:
        """See ReferenceReader.splits."""
        sql = "SELECT ticker, date, ratio FROM split JOIN symbol USING (symbol)" + _BY_TICKER
        return [
            Split(ticker=ticker, date=date, ratio=ratio)
            for ticker, date, ratio in self._rows(sql + ", date")
        ]

    def daily(self, ticker: str, before: int) -> np.ndarray:
        """See ReferenceReader.daily."""
        sql = (
            "SELECT date, open, high, low, close, volume FROM daily "
            f"WHERE symbol = {_SYMBOL} AND date < ? ORDER BY date"
        )
        rows = np.array(self._rows(sql, (ticker, before)), np.float64)  # NULL becomes NaN
        bars = np.zeros(len(rows), DAILY)
        for column, name in enumerate(DAILY.names or ()):
            bars[name] = rows[:, column] if len(rows) else 0
        return bars

    def day_volumes(self, ticker: str, first: int, last: int) -> list[DayVolume]:
        """See ReferenceReader.day_volumes."""
        sql = (
            "SELECT date, regular_only, minutes FROM day_volume "
            f"WHERE symbol = {_SYMBOL} AND date BETWEEN ? AND ? ORDER BY date"
        )
        return [
            DayVolume(
                ticker=ticker, date=date, regular_only=bool(regular), minutes=self._minutes(content)
            )
            for date, regular, content in self._rows(sql, (ticker, first, last))
        ]

    def _minutes(self, content: bytes) -> np.ndarray:
        try:
            minutes = np.frombuffer(zlib.decompress(content), np.float32)
        except (zlib.error, ValueError) as error:
            raise StoreError(self._path, f"read failed: {error}", final=False) from error
        if len(minutes) != DAY_MINUTES:
            reason = f"read failed: {len(minutes)} minutes instead of {DAY_MINUTES}"
            raise StoreError(self._path, reason, final=False)
        return minutes

    def traded(self, first: int, last: int) -> dict[str, float]:
        """See ReferenceReader.traded."""
        sql = (
            "SELECT ticker, total FROM (SELECT symbol, total(volume) AS total FROM daily "
            "WHERE date BETWEEN ? AND ? GROUP BY symbol) JOIN symbol USING (symbol)"
        )
        return dict(self._rows(sql + _BY_TICKER, (first, last)))

    def counted(self, first: int, last: int) -> list[str]:
        """See ReferenceReader.counted."""
        sql = (
            "SELECT ticker FROM symbol WHERE EXISTS (SELECT 1 FROM day_volume WHERE "
            "day_volume.symbol = symbol.symbol AND date BETWEEN ? AND ?)"
        )
        return [ticker for (ticker,) in self._rows(sql + _BY_TICKER, (first, last))]

    def coverage(self, ticker: str | None = None) -> list[Coverage]:
        """See ReferenceReader.coverage."""
        found = []
        for kind, table in _TABLES.items():
            sql = f"SELECT count(DISTINCT symbol), count(*), min(date), max(date) FROM {table}"
            values: tuple[str, ...] = ()
            if ticker is not None:
                sql += f" WHERE symbol = {_SYMBOL}"
                values = (ticker,)
            symbols, rows, first, last = self._rows(sql, values)[0]
            if rows:
                found.append(
                    Coverage(kind=kind, symbols=symbols, rows=rows, first=first, last=last)
                )
        return found

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple]:
        return self._database.rows("read", sql, values)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class SqliteReferenceStore(SqliteReferenceReader):
    """ReferenceStore; the only writer of its file."""

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self._path = path
        self._database = Database.writer(path, "reference", "NORMAL", vfs)

    def put_listings(self, rows: Sequence[Listing]) -> int:
        """See ReferenceStore.put_listings."""
        values = [
            (
                r.ticker, r.name, r.exchange, r.sector, r.industry, r.country, int(r.test_issue),
                null(r.shares), r.as_of, r.source,
            )
            for r in rows
        ]  # fmt: skip
        return self._put("listings", _PUT_LISTING, values)

    def put_floats(self, rows: Sequence[FloatShares]) -> int:
        """See ReferenceStore.put_floats."""
        values = [
            (
                r.ticker, r.name, r.sector, r.industry, null(r.shares), null(r.float_shares),
                r.as_of, r.source,
            )
            for r in rows
        ]  # fmt: skip
        return self._put("floats", _PUT_FLOAT, values)

    def put_list(self, name: str, tickers: Sequence[str]) -> int:
        """See ReferenceStore.put_list."""
        with self._database.transaction("store of a list"):
            self._name(tickers)
            known = {ticker: number for number, ticker in self._database.run(
                "SELECT symbol, ticker FROM symbol"
            )}  # fmt: skip
            wanted = {known[ticker] for ticker in tickers}
            sql = "SELECT symbol FROM list_member WHERE list = ?"
            held = {number for (number,) in self._database.run(sql, (name,))}
            gone, new = sorted(held - wanted), sorted(wanted - held)
            delete = "DELETE FROM list_member WHERE list = ? AND symbol = ?"
            changed = self._database.run_many(delete, [(name, number) for number in gone])
            insert = "INSERT INTO list_member (list, symbol) VALUES (?, ?)"
            return changed + self._database.run_many(insert, [(name, number) for number in new])

    def put_daily(self, rows: Sequence[DailyBar]) -> int:
        """See ReferenceStore.put_daily."""
        values = [
            (
                r.ticker, r.date, null(r.open), null(r.high), null(r.low), float(r.close),
                null(r.volume),
            )
            for r in rows
        ]  # fmt: skip
        return self._put("daily bars", _PUT_DAILY, values)

    def put_day_volumes(self, rows: Sequence[DayVolume]) -> int:
        """See ReferenceStore.put_day_volumes."""
        values = [
            (r.ticker, r.date, int(r.regular_only), zlib.compress(r.minutes.tobytes(), 6))
            for r in rows
        ]
        return self._put("volumes", _PUT_VOLUME, values)

    def put_splits(self, rows: Sequence[Split]) -> int:
        """See ReferenceStore.put_splits."""
        return self._put(
            "splits", _PUT_SPLIT, [(r.ticker, r.date, float(r.ratio)) for r in rows]
        )

    def _put(self, what: str, sql: str, values: Sequence[tuple]) -> int:
        with self._database.transaction(f"store of {what}"):
            self._name(value[0] for value in values)
            return self._database.run_many(sql, values)

    def _name(self, tickers: Iterable[str]) -> None:
        """Give every ticker a number."""
        sql = "INSERT INTO symbol (ticker) VALUES (?) ON CONFLICT DO NOTHING"
        self._database.run_many(sql, [(ticker,) for ticker in dict.fromkeys(tickers)])


def _company(row: tuple) -> Company:
    ticker, *values = row
    told, floating = values[: len(_LISTING)], values[len(_LISTING) :]
    listing = None
    if told[-1] is not None:
        fields = dict(zip(_LISTING, told, strict=True))
        fields |= {"test_issue": bool(fields["test_issue"]), "shares": nan(fields["shares"])}
        listing = Listing(ticker=ticker, **fields)
    free = None
    if floating[-1] is not None:
        fields = dict(zip(_FLOAT, floating, strict=True))
        fields |= {name: nan(fields[name]) for name in ("shares", "float_shares")}
        free = FloatShares(ticker=ticker, **fields)
    return company(ticker, listing, free)
