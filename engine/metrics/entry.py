"""What the registry knows of one metric."""

import dataclasses
import re
from collections.abc import Iterable

from engine.domain.family import Family
from engine.metrics.reach import THE_MOMENT, Reach

ROW, HISTORY, REFERENCE, INDICATOR, TIME = "row", "history", "reference", "indicator", "time"
FAMILY = "family"
ALL, PRE, REGULAR, AFTER = "all", "pre", "regular", "after"
UNITS = frozenset(
    ("usd", "usd/min", "pct", "bps", "shares", "count", "1/s", "s", "min", "ratio", "points",
     "flag", "code")
)  # fmt: skip

SAME = "same"
_MIRROR = re.compile(r"(?:(?P<offset>-?\d+) (?P<sign>[-/]) |(?P<minus>-)?)(?P<name>[a-z]\S*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Mirror:
    """The value that stands for a metric when up and down change places.

    It is offset + sign * value of the metric `name`, or, where inverse is set, 1 / value.
    """

    name: str
    offset: float
    sign: float
    inverse: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One number a rule can name for a symbol; one float64 column, NaN where it is unknown.

    name: canonical spelling. unit: one of UNITS. formula: how it is computed, in the words of the
    catalogue (P: last, C1: previous close). unknown: when the value is NaN, in words. source:
    where its main input lives (row, history, reference, indicator, time). brief: one line for a
    reader who chooses a metric. group: section of the catalogue. sessions: when it has a value at
    all. warm_up: what must have been seen before the first value. about_halt: rules that name it
    may fire for a halted symbol. reach: how far back its window reaches, those of its inputs
    included. column: number of its column in ScanTable.columns; equals its place in METRICS.
    family: what it is when it is parameterised and has no fixed column (then -1).

    flip: the mirrored value, for turning a rule for rising prices into one for falling prices, as
    an expression: `lod`, `-dist_lod_pct`, `100 - pos_day`, `1 / bid_ask_ratio`. SAME: the value
    itself, untouched (volume). None: the value itself with the opposite sign (change, prices: a
    mirrored price is a negative one, so `last > hod` becomes `-last > -lod`). up: whether a larger
    value speaks for rising prices; None where it speaks for neither.
    """

    name: str
    unit: str
    formula: str
    unknown: str
    source: str
    brief: str
    flip: str | None = None
    up: bool | None = None
    aliases: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    sessions: str = ALL
    warm_up: str = "none"
    about_halt: bool = False
    reach: Reach = THE_MOMENT
    group: str = ""
    column: int = -1
    family: Family | None = None

    @property
    def mirror(self) -> Mirror:
        """What `flip` says, taken apart."""
        if self.flip is None:
            return Mirror(self.name, 0.0, -1.0)
        if self.flip == SAME:
            return Mirror(self.name, 0.0, 1.0)
        found = _MIRROR.fullmatch(self.flip)
        if found is None:
            raise AssertionError(f"flip {self.flip!r} of metric {self.name} is not understood")
        if found["sign"] == "/":
            return Mirror(found["name"], 0.0, 1.0, inverse=True)
        falls = found["minus"] or found["sign"]
        return Mirror(found["name"], float(found["offset"] or 0), -1.0 if falls else 1.0)


def section(group: str, entries: Iterable[Metric]) -> tuple[Metric, ...]:
    """Entries of one section of the catalogue."""
    return tuple(dataclasses.replace(entry, group=group) for entry in entries)
