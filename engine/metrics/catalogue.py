"""Every metric of this release, in the order of the columns and of the sections of the docs."""

from engine.metrics.entries import (
    bar_indicators,
    changes,
    daily,
    levels,
    opening,
    quotes,
    reference,
    status,
    usual,
    volume,
)

ENTRIES = (
    *quotes.ENTRIES,
    *changes.ENTRIES,
    *levels.ENTRIES,
    *opening.ENTRIES,
    *volume.ENTRIES,
    *usual.ENTRIES,
    *status.ENTRIES,
    *reference.ENTRIES,
    *daily.ENTRIES,
    *bar_indicators.ENTRIES,
)
INDICATOR_ENTRIES = bar_indicators.INDICATOR_ENTRIES
