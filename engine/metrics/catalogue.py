"""Every metric of this release, in the order of the columns and of the sections of the docs."""

from engine.metrics.entries import (
    bar_indicators,
    changes,
    levels,
    quotes,
    reference,
    status,
    volume,
)

ENTRIES = (
    *quotes.ENTRIES,
    *changes.ENTRIES,
    *levels.ENTRIES,
    *volume.ENTRIES,
    *status.ENTRIES,
    *reference.ENTRIES,
    *bar_indicators.ENTRIES,
)
INDICATOR_ENTRIES = bar_indicators.INDICATOR_ENTRIES
