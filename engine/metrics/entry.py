"""What the registry knows of one metric."""

import dataclasses

from engine.metrics.reach import THE_MOMENT, Reach

ROW, HISTORY, REFERENCE, INDICATOR, TIME = "row", "history", "reference", "indicator", "time"
ALL, PRE, REGULAR, AFTER = "all", "pre", "regular", "after"


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One number a rule can name for a symbol; one float64 column, NaN where it is unknown.

    name: canonical spelling. unit: usd, pct, bps, shares, count, s, min, ratio, points or flag.
    formula: how it is computed, in the words of the catalogue (P: last, C1: previous close).
    unknown: when the value is NaN, in words. source: where its main input lives (row, history,
    reference, indicator, time). sessions: when it has a value at all. warm_up: what must have
    been seen before the first value. about_halt: rules that name it may fire for a halted symbol.
    reach: how far back its window reaches, those of its inputs included.
    column: number of its column in ScanTable.columns; equals its place in METRICS.
    """

    name: str
    unit: str
    formula: str
    unknown: str
    source: str
    aliases: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    sessions: str = ALL
    warm_up: str = "none"
    about_halt: bool = False
    reach: Reach = THE_MOMENT
    column: int = -1
