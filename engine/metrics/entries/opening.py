"""Metrics of the opening ranges and of new extremes of the day."""

from engine.domain.records import OPENING_MINUTES
from engine.metrics.entry import REGULAR, ROW, Metric, section
from engine.metrics.reach import THE_OPEN

_NO_RTH = "no regular print yet"
_NONE = "the range is not complete yet, or no eligible trade fell into it"


def _ranges() -> list[Metric]:
    entries = []
    for minutes in OPENING_MINUTES:
        high, low = f"or{minutes}_high", f"or{minutes}_low"
        span = f"[open, open + {minutes} min), known once its last minute is closed"
        words = "first minute" if minutes == 1 else f"first {minutes} minutes"
        entries += [
            Metric(high, "usd", f"high of regular trades in {span}", _NONE, ROW,
                   f"High of the {words}", f"-{low}", up=True, inputs=("trades",),
                   sessions=REGULAR, warm_up=f"{minutes} min of regular hours", reach=THE_OPEN),
            Metric(low, "usd", f"low of regular trades in {span}", _NONE, ROW,
                   f"Low of the {words}", f"-{high}", up=True, inputs=("trades",),
                   sessions=REGULAR, warm_up=f"{minutes} min of regular hours", reach=THE_OPEN),
        ]  # fmt: skip
    for minutes in OPENING_MINUTES:
        high, low, name = f"or{minutes}_high", f"or{minutes}_low", f"or{minutes}_pos"
        entries.append(
            Metric(name, "pct", f"100 * (P - {low}) / ({high} - {low})",
                   _NONE + ", or its high equals its low", ROW,
                   f"Place in the range of the first {minutes} min, above 100 when it is broken",
                   f"100 - {name}", up=True, inputs=("last", high, low),
                   warm_up=f"{minutes} min of regular hours", reach=THE_OPEN)
        )  # fmt: skip
    return entries


def _extremes() -> list[Metric]:
    once = "counted once an exchange second, as printed: a cancel takes none back"
    return [
        Metric("n_hod", "count", f"new highs of regular hours after the first trade; {once}",
               _NO_RTH, ROW, "New highs of the day so far", "n_lod", up=True, inputs=("trades",),
               sessions=REGULAR, reach=THE_OPEN),
        Metric("n_lod", "count", f"new lows of regular hours after the first trade; {once}",
               _NO_RTH, ROW, "New lows of the day so far", "n_hod", up=False, inputs=("trades",),
               sessions=REGULAR, reach=THE_OPEN),
        Metric("momo_count", "count", "n_hod - n_lod", _NO_RTH, ROW, "New highs less new lows",
               up=True, inputs=("n_hod", "n_lod"), sessions=REGULAR, reach=THE_OPEN),
        Metric("pullback_pct", "pct",
               "100 * (hod - P) / (hod - lowest regular price up to the hod)",
               _NO_RTH + ", or the day has only fallen from its first trade", ROW,
               "How much of the rise to the high was given back", "reclimb_pct", up=False,
               inputs=("last", "hod"), reach=THE_OPEN),
        Metric("reclimb_pct", "pct",
               "100 * (P - lod) / (highest regular price up to the lod - lod)",
               _NO_RTH + ", or the day has only risen from its first trade", ROW,
               "How much of the fall to the low was made up", "pullback_pct", up=True,
               inputs=("last", "lod"), reach=THE_OPEN),
    ]  # fmt: skip


ENTRIES = (
    *section("Opening ranges", _ranges()),
    *section("New extremes", _extremes()),
)
