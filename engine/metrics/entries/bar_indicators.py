"""Metrics that the indicators role computes from final bars, and distances from them."""

from engine.metrics.entry import INDICATOR, SAME, Metric, section
from engine.metrics.reach import BARS, CLOSED_MINUTES, Reach, bars_of_mean

ROLLING_MINUTES = (5, 15, 60)
RUN_MINUTES = (1, 2, 5, 10, 15, 30, 60)  # as engine.indicators has them
RUN_CANDLES = 20  # a longer run is rare: so far a gap is looked for
MEAN_WINDOWS = 20  # before the latest window of volume
_SHORT = "fewer 1-minute bars than its warm-up"
_CLOSES = ("closes of final bars",)
_WILDER = Reach(BARS, bars_of_mean(1 / 14) + 1)  # one more: the close before the first of them


def _reach_of_mean(kind: str, period: int) -> Reach:
    return Reach(BARS, bars_of_mean(2 / (period + 1)) if kind == "ema" else period)


def _averages() -> list[Metric]:
    seeded = "EMA of closes, alpha 2 / (n + 1), seeded with the mean of the first"
    entries = [
        Metric("rsi(14)", "points", "Wilder RSI of closes, 0..100",
               _SHORT + ", or no close moved at all (0/0)", INDICATOR,
               "Relative strength of 14 minutes", "100 - rsi(14)", up=True,
               aliases=("rsi", "rsi14"), inputs=_CLOSES, warm_up="15 bars", reach=_WILDER),
    ]  # fmt: skip
    for kind, formula, what in (
        ("ema", seeded, "Exponential"),
        ("sma", "mean of the last closes:", "Simple"),
    ):
        for period in (20, 50, 200):
            entries.append(
                Metric(
                    f"{kind}({period})",
                    "usd",
                    f"{formula} {period}",
                    _SHORT,
                    INDICATOR,
                    f"{what} average of {period} one-minute closes",
                    up=True,
                    aliases=(f"{kind}{period}",),
                    inputs=_CLOSES,
                    warm_up=f"{period} bars",
                    reach=_reach_of_mean(kind, period),
                )
            )
    return entries


def _oscillators() -> list[Metric]:
    slow, band = bars_of_mean(2 / 27), Reach(BARS, 20)
    signal = Reach(BARS, slow + bars_of_mean(2 / 10))
    return [
        Metric("atr(14)", "usd", "Wilder mean of true ranges; the first is the second bar's",
               _SHORT, INDICATOR, "Average true range of 14 minutes", SAME, inputs=("final bars",),
               warm_up="15 bars", reach=_WILDER),
        Metric("macd", "usd", "EMA(12) - EMA(26), both seeded at bar 26", _SHORT, INDICATOR,
               "MACD line", up=True, aliases=("macd(12,26,9)", "macd_line"), inputs=_CLOSES,
               warm_up="34 bars", reach=Reach(BARS, slow)),
        Metric("macd_signal", "usd", "EMA(9) of macd, seeded with the mean of its first 9", _SHORT,
               INDICATOR, "Signal line of the MACD", up=True,
               aliases=("macd_signal(12,26,9)",), inputs=_CLOSES, warm_up="34 bars", reach=signal),
        Metric("macd_hist", "usd", "macd - macd_signal", _SHORT, INDICATOR,
               "MACD above its signal line", up=True, aliases=("macd_hist(12,26,9)",),
               inputs=_CLOSES, warm_up="34 bars", reach=signal),
        Metric("bb_upper", "usd", "sma(20) + 2 * population deviation of 20 closes", _SHORT,
               INDICATOR, "Upper Bollinger band", "-bb_lower", up=True,
               aliases=("bb_upper(20,2)",), inputs=_CLOSES, warm_up="20 bars", reach=band),
        Metric("bb_middle", "usd", "sma(20)", _SHORT, INDICATOR, "Middle of the Bollinger bands",
               up=True, aliases=("bb_middle(20,2)",), inputs=_CLOSES, warm_up="20 bars",
               reach=band),
        Metric("bb_lower", "usd", "sma(20) - 2 * population deviation of 20 closes", _SHORT,
               INDICATOR, "Lower Bollinger band", "-bb_upper", up=True,
               aliases=("bb_lower(20,2)",), inputs=_CLOSES, warm_up="20 bars", reach=band),
    ]  # fmt: skip


def _rolling() -> list[Metric]:
    entries = []
    for minutes in ROLLING_MINUTES:
        entries.append(
            Metric(
                f"vwap_{minutes}m",
                "usd",
                f"sum of price * size / volume over the final bars of the last {minutes} minutes",
                "no volume in them",
                INDICATOR,
                f"VWAP of the last {minutes} minutes",
                up=True,
                inputs=("final bars",),
                warm_up="one closed minute",
                reach=Reach(CLOSED_MINUTES, minutes),
            )
        )
    few = "fewer than 5 such windows before it today"
    for minutes in ROLLING_MINUTES:
        entries.append(
            Metric(
                f"avg_vol_{minutes}m",
                "shares",
                f"mean volume of the up to {MEAN_WINDOWS} windows of {minutes} minutes before the "
                "latest one",
                few,
                INDICATOR,
                f"Usual volume of {minutes} minutes today",
                SAME,
                inputs=("volume per minute",),
                warm_up=f"{6 * minutes} min of the session date",
                reach=Reach(CLOSED_MINUTES, (1 + MEAN_WINDOWS) * minutes),
            )
        )
    for minutes in ROLLING_MINUTES:
        entries.append(
            Metric(
                f"vol_ratio_{minutes}m",
                "ratio",
                f"volume of the last {minutes} closed minutes / avg_vol_{minutes}m",
                few + ", or their mean is 0",
                INDICATOR,
                f"Volume of {minutes} minutes against what is usual today",
                SAME,
                aliases=(f"rel_volume_{minutes}m",),
                inputs=("volume per minute",),
                warm_up=f"{6 * minutes} min of the session date",
                reach=Reach(CLOSED_MINUTES, (1 + MEAN_WINDOWS) * minutes),
            )
        )
    return entries


def _runs() -> list[Metric]:
    return [
        Metric(f"consec_{n}m", "count",
               f"closed candles of {n} min in a row with close > open (+) or < open (-); 0 after "
               "one with both equal",
               "no whole candle has closed yet", INDICATOR,
               f"Candles of {n} min in a row that rose, or fell", up=True, inputs=("final bars",),
               warm_up=f"{n} min", reach=Reach(CLOSED_MINUTES, RUN_CANDLES * n))
        for n in RUN_MINUTES
    ]  # fmt: skip


def _distances() -> list[Metric]:
    entries = []
    for kind in ("ema", "sma"):
        for period in (20, 50, 200):
            entries.append(
                Metric(
                    f"dist_{kind}{period}_pct",
                    "pct",
                    f"100 * (P / {kind}({period}) - 1)",
                    f"no eligible trade yet, or {kind}({period}) is not known",
                    INDICATOR,
                    f"Distance from {kind}({period})",
                    up=True,
                    inputs=("last", f"{kind}({period})"),
                    warm_up=f"{period} bars",
                    reach=_reach_of_mean(kind, period),
                )
            )
    entries.append(
        Metric(
            "bb_pctb",
            "ratio",
            "(P - bb_lower) / (bb_upper - bb_lower): 0 at the lower, 1 at the upper band",
            "no eligible trade yet, the bands are not known or have no width",
            INDICATOR,
            "Place in the Bollinger bands",
            "1 - bb_pctb",
            up=True,
            inputs=("last", "bb_upper", "bb_lower"),
            warm_up="20 bars",
            reach=Reach(BARS, 20),
        )
    )
    return entries


# In the order of engine.indicators: their values are copied column by column.
INDICATOR_ENTRIES = section(
    "Indicators over 1-minute bars", (*_averages(), *_oscillators(), *_rolling(), *_runs())
)
ENTRIES = (*INDICATOR_ENTRIES, *section("Distance from indicators", _distances()))
