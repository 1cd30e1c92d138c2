"""Metrics of the session date's prices: opens, highs, lows, ranges and where the price stands."""

from engine.metrics.entries.quotes import NO_LAST
from engine.metrics.entry import REGULAR, ROW, SAME, Metric, section
from engine.metrics.reach import THE_DATE, THE_OPEN

_NO_RTH = "no regular print yet"
_NO_PRE = "no eligible pre-market print"
_NO_RANGE = "no eligible trade in these hours yet, or high equals low"


def _prices() -> list[Metric]:
    return [
        Metric("open", "usd", "first eligible regular print", _NO_RTH, ROW, "Open", up=True,
               aliases=("open_rth",), inputs=("trades",), sessions=REGULAR, reach=THE_OPEN),
        Metric("hod", "usd", "high of regular hours", _NO_RTH, ROW, "High of the day", "-lod",
               up=True, inputs=("trades",), sessions=REGULAR, reach=THE_OPEN),
        Metric("lod", "usd", "low of regular hours", _NO_RTH, ROW, "Low of the day", "-hod",
               up=True, inputs=("trades",), sessions=REGULAR, reach=THE_OPEN),
        Metric("hod_all", "usd", "high of pre, regular and after", NO_LAST, ROW,
               "High of the day, all hours", "-lod_all", up=True, inputs=("trades",),
               reach=THE_DATE),
        Metric("lod_all", "usd", "low of pre, regular and after", NO_LAST, ROW,
               "Low of the day, all hours", "-hod_all", up=True, inputs=("trades",),
               reach=THE_DATE),
        Metric("pmh", "usd", "pre-market high", _NO_PRE, ROW, "High of the pre-market", "-pml",
               up=True, inputs=("trades",), reach=THE_DATE),
        Metric("pml", "usd", "pre-market low", _NO_PRE, ROW, "Low of the pre-market", "-pmh",
               up=True, inputs=("trades",), reach=THE_DATE),
    ]  # fmt: skip


def _distances() -> list[Metric]:
    return [
        Metric("dist_hod_pct", "pct", "100 * (P / hod - 1)", _NO_RTH, ROW,
               "Distance from the high of the day, at most 0 inside", "-dist_lod_pct", up=True,
               inputs=("last", "hod"), reach=THE_OPEN),
        Metric("dist_lod_pct", "pct", "100 * (P / lod - 1)", _NO_RTH, ROW,
               "Distance from the low of the day, at least 0 inside", "-dist_hod_pct", up=True,
               inputs=("last", "lod"), reach=THE_OPEN),
        Metric("dist_pmh_pct", "pct", "100 * (P / pmh - 1)", _NO_PRE, ROW,
               "Distance from the pre-market high, above 0 when it is broken", "-dist_pml_pct",
               up=True, inputs=("last", "pmh"), reach=THE_DATE),
        Metric("dist_pml_pct", "pct", "100 * (P / pml - 1)", _NO_PRE, ROW,
               "Distance from the pre-market low, below 0 when it is broken", "-dist_pmh_pct",
               up=True, inputs=("last", "pml"), reach=THE_DATE),
        Metric("pos_day", "pct", "100 * (P - lod) / (hod - lod)", _NO_RANGE, ROW,
               "Place in the day's range, 0 at the low, 100 at the high", "100 - pos_day", up=True,
               inputs=("last", "hod", "lod"), reach=THE_OPEN),
        Metric("pos_all", "pct", "100 * (P - lod_all) / (hod_all - lod_all)", _NO_RANGE, ROW,
               "Place in the range of all hours", "100 - pos_all", up=True,
               inputs=("last", "hod_all", "lod_all"), reach=THE_DATE),
        Metric("t_since_hod_s", "s", "T - exchange time of the hod, at least 0", _NO_RTH, ROW,
               "Seconds since the high of the day", "t_since_lod_s", up=False, inputs=("hod",),
               reach=THE_OPEN),
        Metric("t_since_lod_s", "s", "T - exchange time of the lod, at least 0", _NO_RTH, ROW,
               "Seconds since the low of the day", "t_since_hod_s", up=True, inputs=("lod",),
               reach=THE_OPEN),
    ]  # fmt: skip


def _ranges() -> list[Metric]:
    return [
        Metric("range_usd", "usd", "hod - lod", _NO_RTH, ROW, "Range of the day", SAME,
               inputs=("hod", "lod"), reach=THE_OPEN),
        Metric("range_pct", "pct", "100 * (hod - lod) / lod", _NO_RTH, ROW, "Range of the day",
               SAME, inputs=("hod", "lod"), reach=THE_OPEN),
        Metric("range_atr", "ratio", "(hod - lod) / atr14", _NO_RTH + ", or atr14 is not known",
               ROW, "Range of the day in daily ATRs", SAME, inputs=("hod", "lod", "atr14"),
               reach=THE_OPEN),
    ]  # fmt: skip


ENTRIES = (
    *section("Prices of the day", _prices()),
    *section("Place of the price", _distances()),
    *section("Range", _ranges()),
)
