"""Metrics of reference data: what is known of a symbol before its first trade of the day."""

from engine.metrics.entry import REFERENCE, SAME, Metric, section


def _daily() -> list[Metric]:
    missing = "not in the reference data, or today's first price looks like a split nobody told of"
    return [
        Metric("prev_close", "usd", "C1: official close of the session before, adjusted", missing,
               REFERENCE, "Yesterday's close", up=True),
        Metric("atr14", "usd", "Wilder ATR of 14 official daily bars up to yesterday", missing,
               REFERENCE, "Average true range of 14 days", SAME, aliases=("atr14_day",)),
        Metric("atr_pct", "pct", "100 * atr14 / P",
               "the daily ATR is not known, or no eligible trade yet", REFERENCE,
               "Average true range as a share of the price", SAME, inputs=("atr14", "last")),
    ]  # fmt: skip


ENTRIES = section("Daily reference", _daily())
