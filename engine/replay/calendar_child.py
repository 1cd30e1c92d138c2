"""Exports the exchange calendar: run as a short-lived child, because it alone imports pandas."""

import datetime
import json
import sys

import exchange_calendars


def export_calendar(
    name: str, first: datetime.date, last: datetime.date
) -> list[tuple[str, int, int, bool]]:
    """Sessions of calendar `name` from first to last: (ISO date, open ns, close ns, early close).

    Raises exchange_calendars' own errors for an unknown name; an empty range gives an empty list.
    """
    bounds = (datetime.timedelta(days=40), datetime.timedelta(days=40))
    calendar = exchange_calendars.get_calendar(
        name, start=(first - bounds[0]).isoformat(), end=(last + bounds[1]).isoformat()
    )
    early = {stamp.date() for stamp in calendar.early_closes}
    rows = []
    for stamp, opens, closes in zip(
        calendar.schedule.index, calendar.schedule["open"], calendar.schedule["close"], strict=True
    ):
        date = stamp.date()
        if first <= date <= last:
            rows.append((date.isoformat(), int(opens.value), int(closes.value), date in early))
    return rows


def main(arguments: list[str]) -> int:
    """Print the sessions as JSON: arguments are calendar name, first and last ISO date."""
    name, first, last = arguments
    days = export_calendar(
        name, datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    )
    json.dump({"calendar": name, "first": first, "last": last, "days": days}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
