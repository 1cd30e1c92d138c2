"""Metrics of price changes: against the previous close, the open, and over windows in time."""

from engine.metrics.entries.quotes import NO_LAST
from engine.metrics.entry import AFTER, HISTORY, PRE, ROW, SAME, Metric, section
from engine.metrics.reach import MINUTES, SECONDS, THE_CLOSE, THE_OPEN, Reach

_NO_CLOSE = "no eligible trade yet, or the previous close is not known"
_NOT_THEN = (
    "no eligible trade by then, or then lies before the session date's start or before the engine's"
)
_NOT_SECOND = (
    "no eligible trade by then, or then lies before the session date's start, before the engine's "
    "or within the cycle"
)

SECOND_WINDOWS = (("5s", 5), ("10s", 10), ("20s", 20), ("30s", 30), ("1m", 60), ("2m", 120),
                  ("3m", 180), ("5m", 300), ("10m", 600), ("15m", 900))  # fmt: skip
MINUTE_WINDOWS = (("30m", 30), ("60m", 60), ("120m", 120))


def _day() -> list[Metric]:
    close, opened = ("last", "prev_close"), "no regular print yet"
    gap = ("open", "prev_close")
    no_gap = "no regular print yet, or the previous close is not known"
    no_atr = "the daily ATR is not known"
    return [
        Metric("chg_usd", "usd", "P - C1", _NO_CLOSE, ROW, "Change since yesterday's close",
               up=True, inputs=close),
        Metric("chg_pct", "pct", "100 * (P / C1 - 1)", _NO_CLOSE, ROW,
               "Change since yesterday's close", up=True, inputs=close),
        Metric("chg_open_pct", "pct", "100 * (P / open - 1)", opened + ", or " + NO_LAST, ROW,
               "Change since the open", up=True, inputs=("last", "open"), reach=THE_OPEN),
        Metric("gap_usd", "usd", "open - C1", no_gap, ROW, "Gap at the open", up=True, inputs=gap,
               reach=THE_OPEN),
        Metric("gap_pct", "pct", "100 * (open / C1 - 1)", no_gap, ROW, "Gap at the open", up=True,
               inputs=gap, reach=THE_OPEN),
        Metric("gap_atr", "ratio", "(open - C1) / atr14", no_atr + ", or gap_usd is not", ROW,
               "Gap at the open in daily ATRs", up=True, inputs=("open", "prev_close", "atr14"),
               reach=THE_OPEN),
        Metric("gap_fill_pct", "pct", "100 * (open - P) / (open - C1): 100 filled, < 0 extended",
               no_gap + ", or there is no gap", ROW, "How much of the gap is filled", SAME,
               inputs=("last", "open", "prev_close"), reach=THE_OPEN),
        Metric("pm_chg_pct", "pct", "100 * (P / C1 - 1) before the open: the indicative gap",
               _NO_CLOSE + "; outside pre-market", ROW, "Gap that the pre-market indicates",
               up=True, inputs=close, sessions=PRE),
        Metric("ah_chg_pct", "pct", "100 * (P / last regular print - 1) after the close",
               "no regular print today, or before the close", ROW, "Change after the close",
               up=True, inputs=("last",), sessions=AFTER, reach=THE_CLOSE),
        Metric("move_atr", "ratio", "(P - C1) / atr14", no_atr + ", or chg_usd is not", ROW,
               "Change since yesterday's close in daily ATRs", up=True,
               inputs=("last", "prev_close", "atr14")),
    ]  # fmt: skip


def _windows() -> list[Metric]:
    entries = []
    for label, seconds in SECOND_WINDOWS:
        alias = (f"price_change_{label}_pct",) if label.endswith("m") else ()
        entries.append(
            Metric(
                f"chg_{label}_pct",
                "pct",
                f"100 * (P / P(as of whole second floor(T / 1 s) - {seconds}) - 1)",
                _NOT_SECOND,
                HISTORY,
                f"Change over {label}",
                up=True,
                aliases=alias,
                inputs=("last", "price per second"),
                warm_up=f"{seconds} s",
                reach=Reach(SECONDS, seconds),
            )
        )
    for label, minutes in MINUTE_WINDOWS:
        entries.append(
            Metric(
                f"chg_{label}_pct",
                "pct",
                f"100 * (P / P(as of whole minute floor(T / 1 min) - {minutes}) - 1)",
                _NOT_THEN,
                HISTORY,
                f"Change over {label}",
                up=True,
                aliases=(f"price_change_{label}_pct",),
                inputs=("last", "price per minute"),
                warm_up=f"{minutes} min",
                reach=Reach(MINUTES, minutes),
            )
        )
    return entries


ENTRIES = (
    *section("Change of the day", _day()),
    *section("Change over a window", _windows()),
)
