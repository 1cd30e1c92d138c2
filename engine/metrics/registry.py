"""The one registry of metrics: names, aliases, units, columns; what a rule may name."""

import dataclasses
import difflib
import functools

import numpy as np

from engine.errors import EngineError
from engine.metrics.catalogue import ENTRIES, INDICATOR_ENTRIES
from engine.metrics.entry import Metric
from engine.metrics.family_names import BadFamily, metric_of, parse_family
from engine.metrics.planned import PLANNED

METRICS: tuple[Metric, ...] = tuple(
    dataclasses.replace(entry, column=column) for column, entry in enumerate(ENTRIES)
)
COLUMNS = len(METRICS)
COLUMN: dict[str, int] = {metric.name: metric.column for metric in METRICS}
# How far back the window of each column reaches: int64[COLUMNS, 2], kind and span.
REACH = np.array([(metric.reach.kind, metric.reach.span) for metric in METRICS], np.int64)
INDICATOR_NAMES: tuple[str, ...] = tuple(entry.name for entry in INDICATOR_ENTRIES)
INDICATOR_FIRST = COLUMN[INDICATOR_NAMES[0]]

_BY_NAME: dict[str, Metric] = {}
for _metric in METRICS:
    for _name in (_metric.name, *_metric.aliases):
        if _name in _BY_NAME or _name in PLANNED:
            raise AssertionError(f"metric name {_name!r} is registered twice")
        _BY_NAME[_name] = _metric


class UnknownMetric(EngineError):  # noqa: N818 - the name is a contract
    """Raised when a name is neither a metric nor an alias.

    name: as written; nearest: up to three known names that look like it; reason: why a name that
    other scanners have is not available here, empty for a name nobody has.
    """

    def __init__(self, name: str, nearest: tuple[str, ...], reason: str = "") -> None:
        if reason:
            text = f"metric {name!r} {reason}"
        elif nearest:
            text = f"unknown metric {name!r}; did you mean {' or '.join(nearest)}?"
        else:
            text = f"unknown metric {name!r}"
        super().__init__(text)
        self.name = name
        self.nearest = nearest
        self.reason = reason


def names() -> tuple[str, ...]:
    """Every canonical name and alias, sorted."""
    return tuple(sorted(_BY_NAME))


def resolve(name: str) -> Metric:
    """The metric of a canonical name or alias, or of a family (blanks inside do not count:
    `ema( 20 )`).

    Raises UnknownMetric, which names the nearest known metrics or says why it is not available.
    """
    plain = "".join(name.split())
    found = _BY_NAME.get(plain)
    if found is not None:
        return found
    if plain in PLANNED:
        raise UnknownMetric(name, (), PLANNED[plain])
    try:
        family = _family(plain)
    except BadFamily as error:
        raise UnknownMetric(name, error.nearest, str(error)) from error
    if family is not None:
        return family
    raise UnknownMetric(name, tuple(difflib.get_close_matches(plain.lower(), _BY_NAME, n=3)))


@functools.lru_cache(maxsize=4096)
def _family(plain: str) -> Metric | None:
    """The metric of a family's name: one with a column of its own where there is one."""
    family = parse_family(plain)
    if family is None:
        return None
    return _BY_NAME.get(family.name) or metric_of(family)
