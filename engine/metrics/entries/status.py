"""Metrics of halts, price bands and the clock."""

from engine.metrics.entry import ROW, SAME, TIME, Metric, section
from engine.metrics.reach import THE_DATE, THE_OPEN


def _status() -> list[Metric]:
    band = "no LULD band seen, or no eligible trade yet"
    return [
        Metric("halted", "flag", "1 while trading is halted or paused, else 0", "never", ROW,
               "Trading is halted or paused", SAME, inputs=("status",), about_halt=True),
        Metric("luld_up_pct", "pct", "100 * (upper band / P - 1), published bands only", band, ROW,
               "Distance to the upper price band", "-luld_dn_pct", up=False,
               inputs=("last", "bands"), about_halt=True),
        Metric("luld_dn_pct", "pct", "100 * (lower band / P - 1); <= 0 inside the bands", band,
               ROW, "Distance to the lower price band", "-luld_up_pct", up=False,
               inputs=("last", "bands"), about_halt=True),
        Metric("halt_n_today", "count", "times that trading was halted or paused since the session "
               "date began", "never", ROW, "Halts today", SAME, inputs=("status",),
               about_halt=True, reach=THE_DATE),
        Metric("halt_elapsed_s", "s", "T - exchange time of the halt, at least 0", "not halted",
               ROW, "Seconds since the halt", SAME, inputs=("halted",), about_halt=True),
        Metric("since_resume_s", "s", "T - exchange time of the latest resumption, at least 0",
               "halted, or not resumed today", ROW, "Seconds since trading resumed", SAME,
               inputs=("halted",), about_halt=True, reach=THE_DATE),
        Metric("ssr", "flag", "1 if the lod is at most 0.90 * C1 (to 1e-9), or yesterday's was of "
               "the close before it; else 0", "whether yesterday's was is not known, and today's "
               "is not so far", ROW, "Short sales are restricted", SAME,
               inputs=("lod", "prev_close"), reach=THE_OPEN),
    ]  # fmt: skip


def _time() -> list[Metric]:
    return [
        Metric("minutes_since_open", "min", "(T - regular open) / 1 min; negative before it",
               "never", TIME, "Minutes since the open", SAME),
    ]  # fmt: skip


ENTRIES = (*section("Halts and price bands", _status()), *section("Time", _time()))
