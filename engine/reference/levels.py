"""Levels of one symbol for a session date, from its official daily bars up to the day before."""

import dataclasses
import datetime
import math
from collections.abc import Sequence

import numpy as np

from engine.domain.family import KEPT_CLOSES
from engine.domain.levels import (
    ADV_SESSIONS,
    CLOSES_BACK,
    LEVEL,
    LEVELS,
    SSR_FALL,
    SSR_ROUNDING,
    STEP_SESSIONS,
    STEPS,
    looks_like_split,
)
from engine.domain.market_hours import date_of
from engine.storage.reference_ports import Split

YEAR_SESSIONS = 252
ATR_PERIOD = 14
_ADR_SESSIONS, _BETA_SESSIONS = 20, 60
_ENOUGH = 0.8  # of the sessions of a window must have a bar


@dataclasses.dataclass(frozen=True)
class Jump:
    """A jump between two daily bars, or between the last one and today, that looks like a split of
    `ratio` new shares for one old, of which nobody told. date: of the later bar."""

    ticker: str
    date: int
    ratio: float


@dataclasses.dataclass(frozen=True)
class Days:
    """Sessions before the session date, oldest first, yyyymmdd; the date itself."""

    date: int
    before: np.ndarray

    def back(self, sessions: int) -> int:
        """Date of the session so many before the date, 0 when the calendar does not say."""
        return int(self.before[-sessions]) if sessions <= len(self.before) else 0


def adjusted(bars: np.ndarray, splits: Sequence[Split], date: int) -> np.ndarray:
    """DAILY bars in the shares of `date`: the splits after a bar's date, up to and with `date`,
    divide its prices and multiply its volume."""
    found = bars.copy()
    for split in splits:
        if split.date <= date and split.ratio != 1.0:
            before = found["date"] < split.date
            for name in ("open", "high", "low", "close"):
                found[name][before] /= split.ratio
            found["volume"][before] *= split.ratio
    return found


def jumps(ticker: str, bars: np.ndarray, splits: Sequence[Split]) -> list[Jump]:
    """Jumps between adjusted bars that look like splits; a date that a split names is none."""
    if len(bars) < 2:
        return []
    first = np.where(np.isnan(bars["open"]), bars["close"], bars["open"])[1:]
    ratio = first / bars["close"][:-1]
    told = {split.date for split in splits}
    found = []
    for at in np.flatnonzero((ratio > 1.9) | (ratio < 1 / 1.9)).tolist():
        date = int(bars["date"][at + 1])
        split = looks_like_split(float(ratio[at]))
        if split and date not in told:
            found.append(Jump(ticker, date, split))
    return found


def levels_of(bars: np.ndarray, days: Days) -> np.ndarray:
    """float64[LEVELS] of adjusted DAILY bars, oldest first, all before the date; those that do not
    come from daily bars are NaN. A bar of the session before is needed for what is about it."""
    out = np.full(len(LEVELS), np.nan)
    if not len(bars):
        return out
    _volumes(out, bars, days)
    _closes(out, bars, days)
    _extremes(out, bars, days)
    if int(bars["date"][-1]) == days.back(1):
        _session_before(out, bars, days)
        _steps(out, bars, days)
    return out


def _within(bars: np.ndarray, days: Days, sessions: int) -> np.ndarray | None:
    """The bars of the last so many sessions; None when more than a fifth of them has none."""
    first = days.back(sessions)
    found = bars[bars["date"] >= first]
    if not first or len(found) < math.ceil(_ENOUGH * sessions):
        return None
    return found


def _volumes(out: np.ndarray, bars: np.ndarray, days: Days) -> None:
    for sessions in ADV_SESSIONS:
        found = _within(bars, days, sessions)
        if found is not None:
            out[LEVEL[f"adv_{sessions}"]] = found["volume"].mean()


def _closes(out: np.ndarray, bars: np.ndarray, days: Days) -> None:
    dates = np.array([days.back(sessions) for sessions in CLOSES_BACK])
    for sessions, close in zip(CLOSES_BACK, _on(bars, dates).tolist(), strict=True):
        out[LEVEL[f"close_{sessions}d"]] = close
    today = date_of(days.date)
    monday = today - datetime.timedelta(days=today.weekday())
    starts = {"week": monday, "month": today.replace(day=1), "year": today.replace(month=1, day=1)}
    for name, start in starts.items():
        number = start.year * 10_000 + start.month * 100 + start.day
        earlier = days.before[days.before < number]
        out[LEVEL[f"close_{name}"]] = _on(bars, earlier[-1:])[0] if len(earlier) else math.nan


def _extremes(out: np.ndarray, bars: np.ndarray, days: Days) -> None:
    year = _within(bars, days, YEAR_SESSIONS)
    if year is not None:
        out[LEVEL["high_52w"]] = year["high"].max()
        out[LEVEL["low_52w"]] = year["low"].min()
        out[LEVEL["ath"]] = bars["high"].max()
    recent = _within(bars, days, _ADR_SESSIONS)
    if recent is not None:
        out[LEVEL["adr20_pct"]] = (100.0 * (recent["high"] / recent["low"] - 1.0)).mean()


def _session_before(out: np.ndarray, bars: np.ndarray, days: Days) -> None:
    high, low, close = (float(bars[name][-1]) for name in ("high", "low", "close"))
    out[LEVEL["pdh"]], out[LEVEL["pdl"]] = high, low
    out[LEVEL["pivot"]] = (high + low + close) / 3.0
    for name, sessions in (("nr4", 4), ("nr7", 7)):
        found = bars[bars["date"] >= days.back(sessions)]
        ranges = found["high"] - found["low"]
        if len(found) == sessions and not np.isnan(ranges).any():
            out[LEVEL[name]] = float(ranges[-1] < ranges[:-1].min())
    if len(bars) > 1 and int(bars["date"][-2]) == days.back(2) and not math.isnan(high):
        inside = high <= bars["high"][-2] and low >= bars["low"][-2]
        out[LEVEL["inside_day"]] = math.nan if math.isnan(bars["high"][-2]) else float(inside)


def _steps(out: np.ndarray, bars: np.ndarray, days: Days) -> None:
    """Highs above all later ones, and lows below, back to the first session without a bar."""
    count = min(len(bars), len(days.before), STEP_SESSIONS)
    newest_first = bars[::-1][:count]
    together = newest_first["date"] == days.before[::-1][:count]
    for name, sign in (("high", 1.0), ("low", -1.0)):
        values = sign * newest_first[name]
        holes = np.flatnonzero(~together | np.isnan(values))
        values = values[: holes[0]] if len(holes) else values
        best = np.maximum.accumulate(values)
        at = np.flatnonzero(np.diff(best, prepend=-np.inf) > 0)[:STEPS]
        first, ago = LEVEL[f"{name}_step_0"], LEVEL[f"{name}_step_0_ago"]
        out[first : first + len(at)] = newest_first[name][at]
        out[ago : ago + len(at)] = at + 1


def previous_close(bars: np.ndarray, days: Days) -> float:
    """Official close of the session before, NaN when there is no bar of it."""
    known = len(bars) and int(bars["date"][-1]) == days.back(1)
    return float(bars["close"][-1]) if known else math.nan


def short_sales_restricted(bars: np.ndarray, days: Days) -> bool | None:
    """Did the session before fall by a tenth below the close before it; None when not known."""
    if len(bars) < 2 or int(bars["date"][-1]) != days.back(1) or math.isnan(bars["low"][-1]):
        return None
    if int(bars["date"][-2]) != days.back(2):
        return None
    return bool(bars["low"][-1] <= SSR_FALL * bars["close"][-2] * (1 + SSR_ROUNDING))


def daily_atr(bars: np.ndarray, days: Days) -> float:
    """Wilder's ATR of 14 up to the session before, as TA-Lib computes it: the first true range is
    that of the second bar. NaN with fewer than 15 bars, without their highs and lows, or when more
    than a fifth of the sessions since the first of them (of 252) has none."""
    found = bars[-YEAR_SESSIONS:]
    if len(found) <= ATR_PERIOD or int(found["date"][-1]) != days.back(1):
        return math.nan
    spanned = int((days.before >= found["date"][0]).sum())
    if len(found) < math.ceil(_ENOUGH * spanned):
        return math.nan
    before = found["close"][:-1]
    ranges = np.maximum(found["high"][1:], before) - np.minimum(found["low"][1:], before)
    mean = float(ranges[:ATR_PERIOD].mean())
    for one in ranges[ATR_PERIOD:].tolist():
        mean = (mean * (ATR_PERIOD - 1) + one) / ATR_PERIOD
    return mean


def indicator_days(bars: np.ndarray, days: Days) -> np.ndarray:
    """The newest KEPT_CLOSES adjusted DAILY bars, which daily indicators are computed from.

    None of them without one of the session before, or when more than a fifth of the sessions since
    the first of them has none. What the newest bar does not tell of high, low and volume, no bar
    tells; bars up to one that tells less are left out, because they would count as known.
    """
    found = bars[-KEPT_CLOSES:].copy()
    if not len(found) or int(found["date"][-1]) != days.back(1):
        return found[:0]
    spanned = int((days.before >= found["date"][0]).sum())
    if len(found) < math.ceil(_ENOUGH * spanned):
        return found[:0]
    for name in ("high", "low", "volume"):
        holes = np.flatnonzero(np.isnan(found[name]))
        if len(holes) and holes[-1] == len(found) - 1:
            found[name] = np.nan
        elif len(holes):
            found = found[holes[-1] + 1 :]
    return found


def beta(bars: np.ndarray, benchmark: np.ndarray, days: Days) -> float:
    """Slope of the close-to-close returns of 60 sessions against those of the benchmark; NaN when
    more than a fifth of them is missing or the benchmark did not move."""
    dates = days.before[-_BETA_SESSIONS - 1 :]
    mine, other = (_on(one, dates) for one in (bars, benchmark))
    x, y = other[1:] / other[:-1] - 1.0, mine[1:] / mine[:-1] - 1.0
    known = ~np.isnan(x + y)
    if known.sum() < math.ceil(_ENOUGH * _BETA_SESSIONS):
        return math.nan
    x, y = x[known] - x[known].mean(), y[known] - y[known].mean()
    spread = float((x * x).sum())
    return float((x * y).sum()) / spread if spread > 0 else math.nan


def _on(bars: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """Closes on these dates, NaN where there is no bar."""
    if not len(bars):
        return np.full(len(dates), np.nan)
    at = np.minimum(np.searchsorted(bars["date"], dates), len(bars) - 1)
    closes: np.ndarray = np.where(bars["date"][at] == dates, bars["close"][at], np.nan)
    return closes
