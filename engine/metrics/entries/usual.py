"""Metrics of volume against what is usual at this time of the day, and of the company's size."""

from engine.metrics.entries.quotes import NO_LAST
from engine.metrics.entry import HISTORY, PRE, REFERENCE, REGULAR, ROW, SAME, Metric, section
from engine.metrics.reach import MINUTES, SECONDS, THE_DATE, THE_OPEN, Reach

USUAL_LEAST, USUAL_WINDOW_LEAST = 1000.0, 100.0  # shares: less is no usual volume to compare with
RELATIVE_SECONDS = (("1m", 60), ("5m", 300), ("10m", 600), ("15m", 900))
RELATIVE_MINUTES = (("30m", 30),)
_FEW = "fewer than 5 of the last 20 full sessions are in the history of minutes"
_LITTLE = f"{_FEW}, or less than {USUAL_LEAST:,.0f} shares are usual by now"
_BASELINE = ("volume baseline",)


def _time_of_day() -> list[Metric]:
    usual = "mean volume of the last 20 full sessions"
    return [
        Metric("rvol_tod", "ratio", f"vol_all / {usual} from pre-market to this time of day",
               _LITTLE, ROW, "Volume against what is usual by this time of day", SAME,
               aliases=("rvol_tod_all", "relative_volume", "rvol"),
               inputs=("vol_all", *_BASELINE), reach=THE_DATE),
        Metric("rvol_tod_rth", "ratio", f"vol_rth / {usual} from the open to this time of day",
               _LITTLE, ROW, "Volume since the open against what is usual", SAME,
               inputs=("vol_rth", *_BASELINE), sessions=REGULAR, reach=THE_OPEN),
        Metric("pm_rvol", "ratio", f"vol_pm / {usual} in pre-market up to now", _LITTLE, ROW,
               "Pre-market volume against what is usual by now", SAME,
               inputs=("vol_pm", *_BASELINE), sessions=PRE, reach=THE_DATE),
        Metric("proj_vol", "shares", f"vol_all * {usual} of a whole day / up to this time of day",
               _LITTLE, ROW, "Volume of the day at this pace", SAME,
               inputs=("vol_all", *_BASELINE), reach=THE_DATE),
    ]  # fmt: skip


def _windows() -> list[Metric]:
    entries = []
    spans = [(label, Reach(SECONDS, s), f"{s} s") for label, s in RELATIVE_SECONDS]
    spans += [(label, Reach(MINUTES, m), f"{m} min") for label, m in RELATIVE_MINUTES]
    for label, reach, warm_up in spans:
        entries.append(
            Metric(f"rvol_{label}", "ratio",
                   f"volume of the last {label} / mean volume of the same minutes of the last 20 "
                   "full sessions",
                   f"{_FEW}; less than {USUAL_WINDOW_LEAST:,.0f} shares are usual; the engine was "
                   "not running then, or the session date had not begun", HISTORY,
                   f"Volume of {label} against what is usual at this time", SAME,
                   inputs=("vol_all", *_BASELINE), warm_up=warm_up, reach=reach)
        )  # fmt: skip
    return entries


def _flat() -> list[Metric]:
    no_adv = "adv_20 is not known"
    return [
        Metric("rvol_flat", "ratio", "vol_all / adv_20", no_adv, ROW,
               "Volume against that of an average whole day", SAME, inputs=("vol_all", "adv_20"),
               reach=THE_DATE),
        Metric("pm_vol_adv_pct", "pct", "100 * vol_pm / adv_20", no_adv, ROW,
               "Pre-market volume as a share of an average day", SAME, inputs=("vol_pm", "adv_20"),
               reach=THE_DATE),
        Metric("vol_burst", "ratio", "5 * vol_1m / vol_5m",
               "the engine was not running 5 min ago, or no volume since", HISTORY,
               "Volume of the last minute against that of 5", SAME, inputs=("vol_1m", "vol_5m"),
               warm_up="300 s", reach=Reach(SECONDS, 300)),
    ]  # fmt: skip


def _company() -> list[Metric]:
    missing = "not in the reference data, or a split nobody told of is suspected"
    return [
        Metric("shares", "shares", "shares outstanding", missing, REFERENCE, "Shares outstanding",
               SAME),
        Metric("float", "shares", "shares free to trade; source and date: tapescan symbols show",
               missing, REFERENCE, "Float", SAME),
        Metric("mktcap", "usd", "P * shares", f"{missing}; {NO_LAST}", ROW,
               "Market capitalisation", SAME, aliases=("market_cap",), inputs=("last", "shares")),
        Metric("float_rot", "ratio", "vol_all / float", "the float is not known", ROW,
               "How often the float was traded today", SAME, inputs=("vol_all", "float"),
               reach=THE_DATE),
        Metric("split_suspect", "flag",
               "1 if the date's first price / C1 is the ratio of a split (2 or 3 within 1 %, 4 and "
               "more within 5 %, and their inverses), else 0; while it is 1, C1 and all that comes "
               "from the daily history are unknown",
               f"C1 is not known, or {NO_LAST}", REFERENCE,
               "The gap looks like a split nobody told of", SAME, inputs=("prev_close",)),
    ]  # fmt: skip


ENTRIES = (
    *section("Volume by time of day", _time_of_day()),
    *section("Volume of a window by time of day", _windows()),
    *section("Volume against an average day", _flat()),
    *section("Company", _company()),
)
