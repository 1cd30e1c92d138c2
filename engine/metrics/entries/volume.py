"""Metrics of volume, trades and VWAP."""

from engine.metrics.entry import HISTORY, ROW, SAME, Metric, section
from engine.metrics.reach import SECONDS, THE_CLOSE, THE_DATE, THE_OPEN, Reach

_NONE = "never: 0 until the first such trade"
_COUNTED = "the input is bars, which do not tell; else 0 until the first such trade"

VOLUME_WINDOWS = (("1m", 60), ("5m", 300), ("15m", 900))


def _day() -> list[Metric]:
    trades = ("trades",)
    return [
        Metric("vol_pm", "shares", "volume of pre-market", _NONE, ROW, "Volume of the pre-market",
               SAME, inputs=trades, reach=THE_DATE),
        Metric("vol_rth", "shares", "volume of regular hours", _NONE, ROW,
               "Volume of regular hours", SAME, inputs=trades, reach=THE_OPEN),
        Metric("vol_ah", "shares", "volume of after hours", _NONE, ROW, "Volume after the close",
               SAME, inputs=trades, reach=THE_CLOSE),
        Metric("vol_all", "shares", "volume of pre, regular and after", _NONE, ROW,
               "Volume of the day", SAME, aliases=("vol", "volume"), inputs=trades, reach=THE_DATE),
        Metric("dvol", "usd", "sum of price * size, pre, regular and after", _NONE, ROW,
               "Dollars traded today", SAME, inputs=trades, reach=THE_DATE),
        Metric("trades_rth", "count", "volume-eligible trades of regular hours", _COUNTED, ROW,
               "Trades of regular hours", SAME, inputs=trades, reach=THE_OPEN),
        Metric("trades_all", "count", "volume-eligible trades of pre, regular and after", _COUNTED,
               ROW, "Trades of the day", SAME, aliases=("trades",), inputs=trades, reach=THE_DATE),
    ]  # fmt: skip


def _windows() -> list[Metric]:
    return [
        Metric(
            f"vol_{label}",
            "shares",
            f"volume so far - volume as of whole second floor(T / 1 s) - {seconds}, at least 0",
            "the engine was not running at that second",
            HISTORY,
            f"Volume of the last {label}",
            SAME,
            inputs=("vol_all", "volume per second"),
            warm_up=f"{seconds} s",
            reach=Reach(SECONDS, seconds),
        )
        for label, seconds in VOLUME_WINDOWS
    ]


def _vwap() -> list[Metric]:
    return [
        Metric("vwap_rth", "usd", "sum of price * size / sum of size over volume-eligible trades, "
               "regular hours", "no volume in regular hours", ROW, "VWAP of regular hours",
               up=True, aliases=("vwap",), inputs=("trades",), reach=THE_OPEN),
        Metric("vwap_all", "usd", "the same over pre, regular and after", "no volume", ROW,
               "VWAP of all hours", up=True, inputs=("trades",), reach=THE_DATE),
        Metric("dist_vwap_pct", "pct", "100 * (P / vwap_rth - 1)", "no volume in regular hours",
               ROW, "Distance from the VWAP", up=True, inputs=("last", "vwap_rth"), reach=THE_OPEN),
    ]  # fmt: skip


ENTRIES = (
    *section("Volume", _day()),
    *section("Volume over a window", _windows()),
    *section("VWAP", _vwap()),
)
