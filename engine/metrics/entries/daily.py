"""Metrics against official daily bars: yesterday, earlier closes, extremes of the year."""

from engine.domain.levels import ADV_SESSIONS, CLOSES_BACK, STEP_SESSIONS, STEPS
from engine.metrics.entries.quotes import NO_LAST
from engine.metrics.entry import HISTORY, REFERENCE, ROW, SAME, Metric, section
from engine.metrics.reach import SECONDS, THE_DATE, Reach

UNKNOWN = "not in the daily history, or today's first price looks like a split nobody told of"
_NOT = f"{UNKNOWN}; {NO_LAST}"
_FEW = f"fewer than 80 % of these sessions are in the daily history; {UNKNOWN}"
SINCE = (("wtd", "week"), ("mtd", "month"), ("ytd", "year"))
RELATIVE = (("5m", 300), ("15m", 900))


def _level(
    name: str, formula: str, brief: str, flip: str | None = None, *, unit: str = "usd",
    up: bool | None = True, unknown: str = UNKNOWN,
) -> Metric:  # fmt: skip
    return Metric(name, unit, formula, unknown, REFERENCE, brief, flip, up=up,
                  inputs=("daily bars",))  # fmt: skip


def _yesterday() -> list[Metric]:
    return [
        _level("pdh", "high of the session before", "Yesterday's high", "-pdl"),
        _level("pdl", "low of the session before", "Yesterday's low", "-pdh"),
        _level("pivot", "(H1 + L1 + C1) / 3 of the session before", "Floor pivot"),
        Metric("dist_pdh_pct", "pct", "100 * (P / pdh - 1)", _NOT, ROW,
               "Distance from yesterday's high, above 0 when it is broken", "-dist_pdl_pct",
               up=True, inputs=("last", "pdh")),
        Metric("dist_pdl_pct", "pct", "100 * (P / pdl - 1)", _NOT, ROW,
               "Distance from yesterday's low, below 0 when it is broken", "-dist_pdh_pct",
               up=True, inputs=("last", "pdl")),
        Metric("dist_pivot_pct", "pct", "100 * (P / pivot - 1)", _NOT, ROW,
               "Distance from the floor pivot", up=True, inputs=("last", "pivot")),
        Metric("pos_prev", "pct", "100 * (P - pdl) / (pdh - pdl)", _NOT + "; pdh equals pdl", ROW,
               "Place in yesterday's range, below 0 or above 100 outside it", "100 - pos_prev",
               up=True, inputs=("last", "pdh", "pdl")),
        Metric("pos_allday", "pct", "100 * (P - C1) / (hod_all - C1)",
               f"{NO_LAST}; C1 is not known; hod_all is not above C1", ROW,
               "How much of the day's rise above yesterday's close stands", "pos_allday_dn",
               up=True, inputs=("last", "prev_close", "hod_all"), reach=THE_DATE),
        Metric("pos_allday_dn", "pct", "100 * (C1 - P) / (C1 - lod_all)",
               f"{NO_LAST}; C1 is not known; lod_all is not below C1", ROW,
               "How much of the day's fall below yesterday's close stands", "pos_allday",
               up=False, inputs=("last", "prev_close", "lod_all"), reach=THE_DATE),
        _level("inside_day", "1 if yesterday's range lay within that of the day before, else 0",
               "Yesterday was an inside day", SAME, unit="flag", up=None),
        _level("nr4", "1 if yesterday's range was the narrowest of 4 sessions, else 0",
               "Narrowest range of 4 days yesterday", SAME, unit="flag", up=None),
        _level("nr7", "1 if yesterday's range was the narrowest of 7 sessions, else 0",
               "Narrowest range of 7 days yesterday", SAME, unit="flag", up=None),
    ]  # fmt: skip


def _volumes() -> list[Metric]:
    entries = [
        _level(f"adv_{n}", f"mean daily volume of the last {n} sessions, without today",
               f"Average volume of {n} days", SAME, unit="shares", up=None, unknown=_FEW)
        for n in ADV_SESSIONS
    ]  # fmt: skip
    entries.append(
        _level("adr20_pct", "mean of 100 * (high / low - 1) over the last 20 sessions",
               "Average daily range of 20 days", SAME, unit="pct", up=None, unknown=_FEW)
    )  # fmt: skip
    return entries


def _changes() -> list[Metric]:
    entries = []
    for n in CLOSES_BACK:
        entries.append(
            Metric(f"chg_{n}d_pct", "pct", f"100 * (P / close of {n} sessions ago - 1)", _NOT, ROW,
                   f"Change since the close {n} sessions ago", up=True,
                   inputs=("last", "daily bars"))
        )  # fmt: skip
    for name, period in SINCE:
        entries.append(
            Metric(f"{name}_pct", "pct", f"100 * (P / last close before this {period} - 1)", _NOT,
                   ROW, f"Change of this {period}", up=True, inputs=("last", "daily bars"))
        )  # fmt: skip
    return entries


def _extremes() -> list[Metric]:
    return [
        _level("high_52w", "highest high of the last 252 sessions, without today",
               "High of 52 weeks", "-low_52w", unknown=_FEW),
        _level("low_52w", "lowest low of the last 252 sessions, without today",
               "Low of 52 weeks", "-high_52w", unknown=_FEW),
        _level("ath", "highest high of all daily bars there are, at least 252 sessions",
               "Highest high of the history", unknown=_FEW),
        Metric("dist_52wh_pct", "pct", "100 * (P / high_52w - 1)", _NOT, ROW,
               "Distance from the 52-week high, above 0 when it is broken", "-dist_52wl_pct",
               up=True, inputs=("last", "high_52w")),
        Metric("dist_52wl_pct", "pct", "100 * (P / low_52w - 1)", _NOT, ROW,
               "Distance from the 52-week low, below 0 when it is broken", "-dist_52wh_pct",
               up=True, inputs=("last", "low_52w")),
        Metric("dist_ath_pct", "pct", "100 * (P / ath - 1)", _NOT, ROW,
               "Distance from the highest high of the history", up=True, inputs=("last", "ath")),
        Metric("pos_52w", "pct", "100 * (P - low_52w) / (high_52w - low_52w)", _NOT, ROW,
               "Place in the range of 52 weeks", "100 - pos_52w", up=True,
               inputs=("last", "high_52w", "low_52w")),
    ]  # fmt: skip


def _steps() -> list[Metric]:
    unknown = (
        f"{NO_LAST}; none of the last {STEP_SESSIONS} sessions, back to the first without a bar, "
        f"had one; more than {STEPS} ever more extreme ones lie between; {UNKNOWN}"
    )
    return [
        Metric("days_since_higher", "count", "sessions since a daily high above P, 1 is yesterday",
               unknown, REFERENCE, "Sessions since the price was higher", "days_since_lower",
               up=True, inputs=("last", "daily bars")),
        Metric("days_since_lower", "count", "sessions since a daily low below P, 1 is yesterday",
               unknown, REFERENCE, "Sessions since the price was lower", "days_since_higher",
               up=False, inputs=("last", "daily bars")),
    ]  # fmt: skip


def _relative() -> list[Metric]:
    entries = [
        _level("beta60", "slope of 60 daily returns against those of SPY", "Beta to SPY", SAME,
               unit="ratio", up=None, unknown=_FEW)
    ]  # fmt: skip
    for label, seconds in RELATIVE:
        entries.append(
            Metric(f"rs_spy_{label}", "pct", f"chg_{label}_pct - beta60 * chg_{label}_pct of SPY",
                   f"chg_{label}_pct of either or beta60 is not known", HISTORY,
                   f"Change over {label} beyond what SPY explains", up=True,
                   inputs=(f"chg_{label}_pct", "beta60"), warm_up=f"{seconds} s",
                   reach=Reach(SECONDS, seconds))
        )  # fmt: skip
    return entries


ENTRIES = (
    *section("Yesterday", _yesterday()),
    *section("Average day", _volumes()),
    *section("Change over days", _changes()),
    *section("52 weeks", _extremes()),
    *section("Days since", _steps()),
    *section("Relative strength", _relative()),
)
