"""Metrics of volume, trades and VWAP."""

from engine.metrics.entry import HISTORY, ROW, SAME, Metric, section
from engine.metrics.reach import MINUTES, SECONDS, THE_CLOSE, THE_DATE, THE_OPEN, Reach

_NOT_THEN = "the engine was not running at that second, or the input is bars"
_NONE = "never: 0 until the first such trade"
_BLOCK = (
    "10,000 shares, 200,000 USD and, where adv_20 is known, 0.05 % of it; pre, regular and after"
)
_COUNTED = "the input is bars, which do not tell; else 0 until the first such trade"

VOLUME_WINDOWS = (("1m", 60), ("5m", 300), ("10m", 600), ("15m", 900))
VOLUME_MINUTES = 30


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
        Metric("max_print_usd", "usd", "largest price * size of one trade, pre, regular and after",
               "no volume yet, or the input is bars", ROW, "Largest print of the day", SAME,
               inputs=trades, reach=THE_DATE),
        Metric("blocks_n", "count", f"volume-eligible trades of at least {_BLOCK}",
               _COUNTED, ROW, "Block trades of the day", SAME, inputs=trades, reach=THE_DATE),
        Metric("blocks_usd", "usd", f"sum of price * size of trades of at least {_BLOCK}",
               _COUNTED, ROW, "Dollars of block trades", SAME, inputs=trades, reach=THE_DATE),
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
    ] + [
        Metric(f"vol_{VOLUME_MINUTES}m", "shares",
               f"volume so far - volume as of whole minute floor(T / 1 min) - {VOLUME_MINUTES}, at "
               "least 0", "the engine was not running at that minute", HISTORY,
               f"Volume of the last {VOLUME_MINUTES}m", SAME,
               inputs=("vol_all", "volume per minute"), warm_up=f"{VOLUME_MINUTES} min",
               reach=Reach(MINUTES, VOLUME_MINUTES)),
        Metric("trades_1m", "count",
               "volume-eligible trades so far - those as of whole second floor(T / 1 s) - 60",
               _NOT_THEN, HISTORY, "Trades of the last minute", SAME, inputs=("trades_all",),
               warm_up="60 s", reach=Reach(SECONDS, 60)),
        Metric("trades_per_s", "1/s", "trades_1m / 60", _NOT_THEN, HISTORY,
               "Trades a second in the last minute", SAME, inputs=("trades_1m",), warm_up="60 s",
               reach=Reach(SECONDS, 60)),
    ]  # fmt: skip


def _vwap() -> list[Metric]:
    return [
        Metric("vwap_rth", "usd", "sum of price * size / sum of size over volume-eligible trades, "
               "regular hours", "no volume in regular hours", ROW, "VWAP of regular hours",
               up=True, aliases=("vwap",), inputs=("trades",), reach=THE_OPEN),
        Metric("vwap_all", "usd", "the same over pre, regular and after", "no volume", ROW,
               "VWAP of all hours", up=True, inputs=("trades",), reach=THE_DATE),
        Metric("dist_vwap_pct", "pct", "100 * (P / vwap_rth - 1)", "no volume in regular hours",
               ROW, "Distance from the VWAP", up=True, inputs=("last", "vwap_rth"), reach=THE_OPEN),
        Metric("dist_vwap_sd", "ratio", "(P - vwap_rth) / sqrt(sum of price ** 2 * size / sum of "
               "size - vwap_rth ** 2), regular hours",
               "no volume in regular hours, or all of it at one price", ROW,
               "Distance from the VWAP in deviations of the day's prices", up=True,
               inputs=("last", "vwap_rth"), reach=THE_OPEN),
    ]  # fmt: skip


ENTRIES = (
    *section("Volume", _day()),
    *section("Volume over a window", _windows()),
    *section("VWAP", _vwap()),
)
