"""Every metric of this release: tick and session fields, changes, levels, volume, status, time."""

from engine.metrics.entry import (
    AFTER,
    HISTORY,
    INDICATOR,
    PRE,
    REFERENCE,
    REGULAR,
    ROW,
    TIME,
    Metric,
)
from engine.metrics.reach import (
    BARS,
    CLOSED_MINUTES,
    MINUTES,
    SECONDS,
    THE_CLOSE,
    THE_DATE,
    THE_OPEN,
    Reach,
    bars_of_mean,
)

_NO_LAST = "no eligible trade yet"
_NO_CLOSE = "no eligible trade yet, or the previous close is not known"
_NO_SIDE = "a side of the quote has not been seen"
_NO_RANGE = "no eligible trade in these hours yet, or high equals low"

SECOND_WINDOWS = (("5s", 5), ("10s", 10), ("20s", 20), ("30s", 30), ("1m", 60), ("2m", 120),
                  ("3m", 180), ("5m", 300), ("10m", 600), ("15m", 900))  # fmt: skip
MINUTE_WINDOWS = (("30m", 30), ("60m", 60), ("120m", 120))
VOLUME_WINDOWS = (("1m", 60), ("5m", 300), ("15m", 900))
ROLLING_MINUTES = (5, 15, 60)
MEAN_WINDOWS = 20  # before the latest window of volume


def _tick_fields() -> list[Metric]:
    return [
        Metric("last", "usd", "P: price of the last trade whose conditions set last", _NO_LAST, ROW,
               aliases=("price",), inputs=("trades",)),
        Metric("last_size", "shares", "size of that trade",
               _NO_LAST + ", or it is the close of a bar, which does not tell", ROW,
               inputs=("trades",)),
        Metric("bid", "usd", "best bid", "no bid seen", ROW, inputs=("quotes",)),
        Metric("ask", "usd", "best ask", "no ask seen", ROW, inputs=("quotes",)),
        Metric("bid_size", "shares", "size at the bid", "no bid seen", ROW, inputs=("quotes",)),
        Metric("ask_size", "shares", "size at the ask", "no ask seen", ROW, inputs=("quotes",)),
        Metric("spread_usd", "usd", "ask - bid; 0 locked, negative crossed", _NO_SIDE, ROW,
               inputs=("bid", "ask")),
        Metric("spread_bps", "bps", "10,000 * (ask - bid) / ((ask + bid) / 2)", _NO_SIDE, ROW,
               inputs=("bid", "ask")),
        Metric("imb", "ratio", "(bid_size - ask_size) / (bid_size + ask_size)",
               _NO_SIDE + ", or both sizes are 0", ROW, inputs=("bid_size", "ask_size")),
    ]  # fmt: skip


def _day_changes() -> list[Metric]:
    close, opened = ("last", "prev_close"), "no regular print yet"
    gap_unknown = "no regular print yet, or the previous close is not known"
    return [
        Metric("chg_usd", "usd", "P - C1", _NO_CLOSE, ROW, inputs=close),
        Metric("chg_pct", "pct", "100 * (P / C1 - 1)", _NO_CLOSE, ROW, inputs=close),
        Metric("chg_open_pct", "pct", "100 * (P / open - 1)", opened, ROW,
               inputs=("last", "open"), reach=THE_OPEN),
        Metric("gap_usd", "usd", "open - C1", gap_unknown, ROW, inputs=("open", "prev_close"),
               reach=THE_OPEN),
        Metric("gap_pct", "pct", "100 * (open / C1 - 1)", gap_unknown, ROW,
               inputs=("open", "prev_close"), reach=THE_OPEN),
        Metric("gap_fill_pct", "pct", "100 * (open - P) / (open - C1): 100 filled, < 0 extended",
               gap_unknown + ", or there is no gap", ROW, inputs=("last", "open", "prev_close"),
               reach=THE_OPEN),
        Metric("pm_chg_pct", "pct", "100 * (P / C1 - 1) before the open: the indicative gap",
               _NO_CLOSE + "; outside pre-market", ROW, inputs=close, sessions=PRE),
        Metric("ah_chg_pct", "pct", "100 * (P / last regular print - 1) after the close",
               "no regular print today, or before the close", ROW, inputs=("last",),
               sessions=AFTER, reach=THE_CLOSE),
    ]  # fmt: skip


def _window_changes() -> list[Metric]:
    entries = []
    for label, seconds in SECOND_WINDOWS:
        alias = (f"price_change_{label}_pct",) if label.endswith("m") else ()
        entries.append(
            Metric(
                f"chg_{label}_pct",
                "pct",
                f"100 * (P / P(as of whole second floor(T / 1 s) - {seconds}) - 1)",
                "no eligible trade by then, or then lies before the session date's start, before "
                "the engine's or within the cycle",
                HISTORY,
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
                "no eligible trade by then, or then lies before the session date's start or "
                "before the engine's",
                HISTORY,
                aliases=(f"price_change_{label}_pct",),
                inputs=("last", "price per minute"),
                warm_up=f"{minutes} min",
                reach=Reach(MINUTES, minutes),
            )
        )
    return entries


def _levels() -> list[Metric]:
    rth, pre = "no regular print yet", "no eligible pre-market print"
    return [
        Metric("open", "usd", "first eligible regular print", rth, ROW,
               aliases=("open_rth",), sessions=REGULAR, reach=THE_OPEN),
        Metric("hod", "usd", "high of regular hours", rth, ROW, sessions=REGULAR, reach=THE_OPEN),
        Metric("lod", "usd", "low of regular hours", rth, ROW, sessions=REGULAR, reach=THE_OPEN),
        Metric("hod_all", "usd", "high of pre, regular and after", _NO_LAST, ROW, reach=THE_DATE),
        Metric("lod_all", "usd", "low of pre, regular and after", _NO_LAST, ROW, reach=THE_DATE),
        Metric("pmh", "usd", "pre-market high", pre, ROW, reach=THE_DATE),
        Metric("pml", "usd", "pre-market low", pre, ROW, reach=THE_DATE),
        Metric("dist_hod_pct", "pct", "100 * (P / hod - 1)", rth, ROW, inputs=("last", "hod"),
               reach=THE_OPEN),
        Metric("dist_lod_pct", "pct", "100 * (P / lod - 1)", rth, ROW, inputs=("last", "lod"),
               reach=THE_OPEN),
        Metric("dist_pmh_pct", "pct", "100 * (P / pmh - 1)", pre, ROW, inputs=("last", "pmh"),
               reach=THE_DATE),
        Metric("dist_pml_pct", "pct", "100 * (P / pml - 1)", pre, ROW, inputs=("last", "pml"),
               reach=THE_DATE),
        Metric("pos_day", "pct", "100 * (P - lod) / (hod - lod)", _NO_RANGE, ROW,
               inputs=("last", "hod", "lod"), reach=THE_OPEN),
        Metric("pos_all", "pct", "100 * (P - lod_all) / (hod_all - lod_all)", _NO_RANGE, ROW,
               inputs=("last", "hod_all", "lod_all"), reach=THE_DATE),
        Metric("range_usd", "usd", "hod - lod", rth, ROW, inputs=("hod", "lod"), reach=THE_OPEN),
        Metric("range_pct", "pct", "100 * (hod - lod) / lod", rth, ROW, inputs=("hod", "lod"),
               reach=THE_OPEN),
        Metric("range_atr", "ratio", "(hod - lod) / atr14", rth + ", or atr14 is not known", ROW,
               inputs=("hod", "lod", "atr14"), reach=THE_OPEN),
        Metric("t_since_hod_s", "s", "T - exchange time of the hod, at least 0", rth, ROW,
               reach=THE_OPEN),
        Metric("t_since_lod_s", "s", "T - exchange time of the lod, at least 0", rth, ROW,
               reach=THE_OPEN),
    ]  # fmt: skip


def _volume() -> list[Metric]:
    none = "never: 0 until the first such trade"
    counted = "the input is bars, which do not tell; else 0 until the first such trade"
    entries = [
        Metric("vwap_rth", "usd", "sum of price * size / sum of size over volume-eligible trades, "
               "regular hours", "no volume in regular hours", ROW, aliases=("vwap",),
               reach=THE_OPEN),
        Metric("vwap_all", "usd", "the same over pre, regular and after", "no volume", ROW,
               reach=THE_DATE),
        Metric("dist_vwap_pct", "pct", "100 * (P / vwap_rth - 1)", "no volume in regular hours",
               ROW, inputs=("last", "vwap_rth"), reach=THE_OPEN),
        Metric("vol_pm", "shares", "volume of pre-market", none, ROW, reach=THE_DATE),
        Metric("vol_rth", "shares", "volume of regular hours", none, ROW, reach=THE_OPEN),
        Metric("vol_ah", "shares", "volume of after hours", none, ROW, reach=THE_CLOSE),
        Metric("vol_all", "shares", "volume of pre, regular and after", none, ROW,
               aliases=("vol", "volume"), reach=THE_DATE),
        Metric("dvol", "usd", "sum of price * size, pre, regular and after", none, ROW,
               reach=THE_DATE),
        Metric("trades_rth", "count", "volume-eligible trades of regular hours", counted, ROW,
               reach=THE_OPEN),
        Metric("trades_all", "count", "volume-eligible trades of pre, regular and after", counted,
               ROW, aliases=("trades",), reach=THE_DATE),
    ]  # fmt: skip
    for label, seconds in VOLUME_WINDOWS:
        entries.append(
            Metric(
                f"vol_{label}",
                "shares",
                f"volume so far - volume as of whole second floor(T / 1 s) - {seconds}, at least 0",
                "the engine was not running at that second",
                HISTORY,
                inputs=("vol_all", "volume per second"),
                warm_up=f"{seconds} s",
                reach=Reach(SECONDS, seconds),
            )
        )
    return entries


def _reference() -> list[Metric]:
    atr = "the daily ATR is not known"
    return [
        Metric("prev_close", "usd", "C1: official close of the session before, adjusted",
               "not in the reference data", REFERENCE),
        Metric("atr14", "usd", "Wilder ATR of 14 official daily bars up to yesterday",
               "not in the reference data", REFERENCE, aliases=("atr14_day",)),
        Metric("atr_pct", "pct", "100 * atr14 / P", atr + ", or no eligible trade yet", REFERENCE,
               inputs=("atr14", "last")),
        Metric("move_atr", "ratio", "(P - C1) / atr14", atr + ", or chg_usd is not", REFERENCE,
               inputs=("last", "prev_close", "atr14")),
        Metric("gap_atr", "ratio", "(open - C1) / atr14", atr + ", or gap_usd is not", REFERENCE,
               inputs=("open", "prev_close", "atr14"), reach=THE_OPEN),
    ]  # fmt: skip


def _status_and_time() -> list[Metric]:
    band = "no LULD band seen, or no eligible trade yet"
    return [
        Metric("halted", "flag", "1 while trading is halted or paused, else 0", "never", ROW,
               about_halt=True),
        Metric("luld_up_pct", "pct", "100 * (upper band / P - 1), published bands only", band, ROW,
               inputs=("last",), about_halt=True),
        Metric("luld_dn_pct", "pct", "100 * (lower band / P - 1); <= 0 inside the bands", band,
               ROW, inputs=("last",), about_halt=True),
        Metric("minutes_since_open", "min", "(T - regular open) / 1 min; negative before it",
               "never", TIME),
        Metric("age_trade_s", "s", "T - exchange time of the last trade that set last, "
               "at least 0", _NO_LAST, TIME, inputs=("last",)),
        Metric("age_quote_s", "s", "T - exchange time of the last quote, at least 0",
               "no quote seen", TIME, inputs=("bid", "ask")),
    ]  # fmt: skip


def _reach_of_mean(kind: str, period: int) -> Reach:
    return Reach(BARS, bars_of_mean(2 / (period + 1)) if kind == "ema" else period)


def _bar_indicators() -> list[Metric]:
    short = "fewer 1-minute bars than its warm-up"
    bars, closes = ("final bars",), ("closes of final bars",)
    seeded = "EMA of closes, alpha 2 / (n + 1), seeded with the mean of the first"
    wilder = Reach(BARS, bars_of_mean(1 / 14) + 1)  # one more: the close before the first of them
    slow, band = bars_of_mean(2 / 27), Reach(BARS, 20)
    signal = Reach(BARS, slow + bars_of_mean(2 / 10))
    entries = [
        Metric("rsi(14)", "points", "Wilder RSI of closes, 0..100",
               short + ", or no close moved at all (0/0)", INDICATOR, aliases=("rsi", "rsi14"),
               inputs=closes, warm_up="15 bars", reach=wilder),
    ]  # fmt: skip
    for kind, formula in (("ema", seeded), ("sma", "mean of the last closes:")):
        for period in (20, 50, 200):
            entries.append(
                Metric(
                    f"{kind}({period})",
                    "usd",
                    f"{formula} {period}",
                    short,
                    INDICATOR,
                    aliases=(f"{kind}{period}",),
                    inputs=closes,
                    warm_up=f"{period} bars",
                    reach=_reach_of_mean(kind, period),
                )
            )
    entries += [
        Metric("atr(14)", "usd", "Wilder mean of true ranges; the first is the second bar's",
               short, INDICATOR, inputs=bars, warm_up="15 bars", reach=wilder),
        Metric("macd", "usd", "EMA(12) - EMA(26), both seeded at bar 26", short, INDICATOR,
               aliases=("macd(12,26,9)", "macd_line"), inputs=closes, warm_up="34 bars",
               reach=Reach(BARS, slow)),
        Metric("macd_signal", "usd", "EMA(9) of macd, seeded with the mean of its first 9", short,
               INDICATOR, aliases=("macd_signal(12,26,9)",), inputs=closes, warm_up="34 bars",
               reach=signal),
        Metric("macd_hist", "usd", "macd - macd_signal", short, INDICATOR,
               aliases=("macd_hist(12,26,9)",), inputs=closes, warm_up="34 bars", reach=signal),
        Metric("bb_upper", "usd", "sma(20) + 2 * population deviation of 20 closes", short,
               INDICATOR, aliases=("bb_upper(20,2)",), inputs=closes, warm_up="20 bars",
               reach=band),
        Metric("bb_middle", "usd", "sma(20)", short, INDICATOR, aliases=("bb_middle(20,2)",),
               inputs=closes, warm_up="20 bars",
               reach=band),
        Metric("bb_lower", "usd", "sma(20) - 2 * population deviation of 20 closes", short,
               INDICATOR, aliases=("bb_lower(20,2)",), inputs=closes, warm_up="20 bars",
               reach=band),
    ]  # fmt: skip
    return entries


def _time_window_indicators() -> list[Metric]:
    entries = []
    for minutes in ROLLING_MINUTES:
        entries.append(
            Metric(
                f"vwap_{minutes}m",
                "usd",
                f"sum of price * size / volume over the final bars of the last {minutes} minutes",
                "no volume in them",
                INDICATOR,
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
                aliases=(f"rel_volume_{minutes}m",),
                inputs=("volume per minute",),
                warm_up=f"{6 * minutes} min of the session date",
                reach=Reach(CLOSED_MINUTES, (1 + MEAN_WINDOWS) * minutes),
            )
        )
    return entries


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
            inputs=("last", "bb_upper", "bb_lower"),
            warm_up="20 bars",
            reach=Reach(BARS, 20),
        )
    )
    return entries


# In the order of engine.indicators: their values are copied column by column.
INDICATOR_ENTRIES = (*_bar_indicators(), *_time_window_indicators())

ENTRIES = (
    *_tick_fields(),
    *_day_changes(),
    *_window_changes(),
    *_levels(),
    *_volume(),
    *_reference(),
    *_status_and_time(),
    *INDICATOR_ENTRIES,
    *_distances(),
)
