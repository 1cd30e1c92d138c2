"""Reads CSV files of reference data row by row, and says where a value is no good."""

import csv
import datetime
import gzip
import io
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from engine.domain.market_hours import date_number
from engine.reference.errors import ReferenceDataError

_GZIP = b"\x1f\x8b"
_TICKER = re.compile(r"[!#-+\--~]{1,24}")  # as rules write it
_DATE_IN_NAME = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")


class Fault(Exception):  # noqa: N818 - it is told to the user, row by row, and never gets out
    """Raised for a row that is left out: which column holds what, and what is wrong with it."""

    def __init__(self, column: str, value: str, why: str) -> None:
        super().__init__(f"column {column}: {value[:60]!r} {why}")


class Table:
    """A CSV or CSV.gz file with a header; columns: its names, in lower case."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._raw: BinaryIO = path.open("rb")
            self.size = os.fstat(self._raw.fileno()).st_size
            packed = self._raw.read(2) == _GZIP
            self._raw.seek(0)
            content = cast(BinaryIO, gzip.GzipFile(fileobj=self._raw)) if packed else self._raw
            text = io.TextIOWrapper(content, "utf-8", "replace", newline="")
            self._reader = csv.reader(text)
            header = next(self._reader, [])
        except (OSError, EOFError, csv.Error) as error:
            raise ReferenceDataError(f"{path} cannot be read: {error}.") from error
        self.columns = tuple(name.strip().lstrip("\ufeff").lower() for name in header)

    def at(self, name: str) -> int:
        """Place of a column, -1: there is none."""
        return self.columns.index(name) if name in self.columns else -1

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells) of every row that is not empty. Raises ReferenceDataError."""
        try:
            for row in self._reader:
                if row:
                    yield self._reader.line_num, row
        except (OSError, EOFError, csv.Error) as error:
            line = self._reader.line_num
            raise ReferenceDataError(f"{self.path} line {line} cannot be read: {error}.") from error

    @property
    def done(self) -> int:
        """Bytes of the file that were read."""
        return self._raw.tell()

    def close(self) -> None:
        """Close the file."""
        self._raw.close()


class Cells:
    """One row by the names of its columns."""

    def __init__(self, table: Table, names: Sequence[str]) -> None:
        self._at = {name: table.at(name) for name in names}
        self._row: list[str] = []

    def take(self, row: list[str]) -> None:
        """Look at this row from now on."""
        self._row = row

    def text(self, name: str) -> str:
        """A text without blanks around it; empty when the row or the file has none."""
        at = self._at[name]
        return self._row[at].strip() if 0 <= at < len(self._row) else ""

    def ticker(self, name: str = "symbol") -> str:
        """A ticker; `NA` and `NAN` are two. Raises Fault."""
        text = self.text(name)
        if not _TICKER.fullmatch(text):
            raise Fault(name, text, "is not a ticker of 1 to 24 characters")
        return text

    def number(self, name: str, least: float, *, above: bool = False) -> float:
        """A number from `least` on (above: greater), NaN where the cell is blank. Raises Fault."""
        text = self.text(name)
        if not text:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in text:
            raise Fault(name, text, "is not a number")
        if value < least or (above and value == least):
            raise Fault(name, text, f"is not {'above' if above else 'at least'} {least:g}")
        return value

    def needed(self, name: str, least: float, *, above: bool = False) -> float:
        """A number that must not be blank. Raises Fault."""
        value = self.number(name, least, above=above)
        if math.isnan(value):
            raise Fault(name, self.text(name), "is not a number")
        return value

    def date(self, name: str) -> int:
        """A date written 2025-11-14, as yyyymmdd. Raises Fault."""
        text = self.text(name)
        try:
            return date_number(datetime.date.fromisoformat(text))
        except ValueError:
            raise Fault(name, text, "is not a date like 2025-11-14") from None


def date_in_name(path: Path) -> int | None:
    """The last date in a file's name as yyyymmdd (of a month its first day), None: it has none."""
    found = None
    for year, month, day in _DATE_IN_NAME.findall(path.name):
        try:
            found = date_number(datetime.date(int(year), int(month), int(day or 1)))
        except ValueError:
            continue
    return found
