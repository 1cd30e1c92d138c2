"""Loads the exchange calendar from a small JSON file, made by a child process when it is missing
or too short."""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from engine.domain.market_hours import CalendarError, TradingDay

_CHILD_TIMEOUT_S = 120


def load_calendar(
    directory: Path, name: str, first: datetime.date, last: datetime.date
) -> list[TradingDay]:
    """Trading days of calendar `name` from first to last, in order.

    The file `calendar_<name>.json` under `directory` is used when it covers the range; else a
    child exports whole years around it (exchange_calendars pulls pandas in, which no role may
    carry) and the file is replaced. Raises CalendarError when the child fails.
    """
    path = directory / f"calendar_{name}.json"
    days = _read(path, name, first, last)
    if days is None:
        wide_first = datetime.date(first.year, 1, 1)
        wide_last = datetime.date(last.year, 12, 31)
        text = _export(name, wide_first, wide_last)
        directory.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(f".{os.getpid()}.tmp")
        staged.write_text(text, encoding="utf-8")
        staged.replace(path)
        days = _read(path, name, first, last)
    if days is None:
        raise CalendarError(f"The calendar {name} could not be read back from {path}.")
    return days


def _read(
    path: Path, name: str, first: datetime.date, last: datetime.date
) -> list[TradingDay] | None:
    """The days of a cached file, or None when it is absent, damaged, or does not cover the
    range."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["calendar"] != name:
            return None
        if document["first"] > first.isoformat() or document["last"] < last.isoformat():
            return None
        days = [
            TradingDay(datetime.date.fromisoformat(date), int(opens), int(closes), bool(early))
            for date, opens, closes, early in document["days"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return [day for day in days if first <= day.date <= last]


def _export(name: str, first: datetime.date, last: datetime.date) -> str:
    """JSON text of the child. Raises CalendarError with the last line of what it said."""
    command = [sys.executable, "-m", "engine.replay.calendar_child", name]
    try:
        done = subprocess.run(
            [*command, first.isoformat(), last.isoformat()],
            capture_output=True,
            text=True,
            timeout=_CHILD_TIMEOUT_S,
            check=False,
            cwd=Path(__file__).resolve().parents[2],
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CalendarError(f"The calendar {name} could not be exported: {error}.") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CalendarError(f"The calendar {name} could not be exported: {said}")
    return done.stdout
