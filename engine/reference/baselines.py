"""Usual volume of a symbol by the minute of the day: the mean of its last full sessions."""

from collections.abc import Sequence

import numpy as np

from engine.domain.levels import (
    BASELINE_MINUTES,
    BASELINE_OPEN,
    BASELINE_SESSIONS_MIN,
)
from engine.storage.reference_ports import DayVolume, Split


def baseline(
    volumes: Sequence[DayVolume], sessions: Sequence[int], splits: Sequence[Split], date: int
) -> tuple[np.ndarray, int, int]:
    """float32[BASELINE_MINUTES], mean cumulative volume from 04:00 by the end of each minute, NaN
    where nothing is known; in how many sessions of all hours, and of regular hours, it rests.

    sessions: dates that count, yyyymmdd. A session counts for a symbol when it has a bar in it.
    Those of all hours are used when there are enough; else, for regular hours only, every one.
    Volumes of before a split are multiplied to be in shares of `date`.
    """
    counted = set(sessions)
    days = [day for day in volumes if day.date in counted]
    whole = [day for day in days if not day.regular_only]
    if len(whole) >= BASELINE_SESSIONS_MIN:
        return _mean(whole, splits, date), len(whole), len(whole)
    if not days:
        return np.full(BASELINE_MINUTES, np.nan, np.float32), 0, 0
    mean = _mean(days, splits, date, BASELINE_OPEN)
    return mean, 0, len(days)


def _mean(
    days: Sequence[DayVolume], splits: Sequence[Split], date: int, first: int = 0
) -> np.ndarray:
    total = np.zeros(BASELINE_MINUTES)
    for day in days:
        total[first:] += _factor(day.date, splits, date) * day.minutes[first:].astype(np.float64)
    return np.cumsum(total / len(days)).astype(np.float32)


def _factor(day: int, splits: Sequence[Split], date: int) -> float:
    factor = 1.0
    for split in splits:
        if day < split.date <= date:
            factor *= split.ratio
    return factor
