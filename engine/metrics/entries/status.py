"""Metrics of halts, price bands and the clock."""

from engine.metrics.entry import ROW, SAME, TIME, Metric, section


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
    ]  # fmt: skip


def _time() -> list[Metric]:
    return [
        Metric("minutes_since_open", "min", "(T - regular open) / 1 min; negative before it",
               "never", TIME, "Minutes since the open", SAME),
    ]  # fmt: skip


ENTRIES = (*section("Halts and price bands", _status()), *section("Time", _time()))
