"""What a toplist is: the metric that ranks, filters, columns and bounds; and its validation."""

import math
from typing import Literal

import msgspec

from engine.metrics.registry import UnknownMetric, resolve
from engine.toplists.errors import ToplistError

MAX_LIMIT = 500
MAX_COLUMNS = 24
# Filter of the document -> (metric that it bounds, whether it is the lower bound).
FILTERS = {
    "min_volume": ("vol_all", True),
    "min_change_pct": ("chg_pct", True),
    "price_min": ("last", True),
    "price_max": ("last", False),
    "min_market_cap": ("mktcap", True),
    "max_market_cap": ("mktcap", False),
}


class Filters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds a listed symbol keeps, both ends included; None: no bound. A symbol whose number is
    unknown does not keep a bound. Volumes in shares today, prices and market cap in USD."""

    min_volume: float | None = None
    min_change_pct: float | None = None
    price_min: float | None = None
    price_max: float | None = None
    min_market_cap: float | None = None
    max_market_cap: float | None = None


class Definition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A ranked list.

    metric: a name or alias of the registry. only: list positive or negative values alone.
    hysteresis: places by which a listed symbol may fall behind the limit before it leaves.
    """

    id: str
    name: str
    metric: str
    sort_order: Literal["asc", "desc"] = "desc"
    only: Literal["positive", "negative"] | None = None
    filters: Filters = Filters()
    columns: tuple[str, ...] = ("last", "chg_pct", "vol_all")
    limit: int = 100
    hysteresis: int = 0
    description: str = ""


def metric_name(key: str, name: str) -> str:
    """Canonical name of a metric that has a column of its own; ToplistError names the key."""
    try:
        metric = resolve(name)
    except UnknownMetric as error:
        raise ToplistError(key, str(error)) from None
    if metric.column < 0:
        raise ToplistError(key, f"metric {name!r} has no column to rank by")
    return metric.name


def validated(definition: Definition) -> Definition:
    """The definition with canonical metric names; ToplistError when a member is wrong."""
    if not 1 <= definition.limit <= MAX_LIMIT:
        raise ToplistError("limit", f"{definition.limit} is not from 1 to {MAX_LIMIT}")
    if not 0 <= definition.hysteresis < definition.limit:
        raise ToplistError(
            "hysteresis", f"{definition.hysteresis} is not from 0 to {definition.limit - 1}"
        )
    if len(definition.columns) > MAX_COLUMNS:
        raise ToplistError(
            "columns", f"{len(definition.columns)} columns are more than {MAX_COLUMNS}"
        )
    _check_filters(definition.filters)
    return msgspec.structs.replace(
        definition,
        metric=metric_name("metric", definition.metric),
        columns=tuple(
            dict.fromkeys(metric_name("columns", name) for name in definition.columns)
        ),
    )


def _check_filters(filters: Filters) -> None:
    for key in FILTERS:
        bound = getattr(filters, key)
        if bound is not None and not math.isfinite(bound):
            raise ToplistError(f"filters.{key}", f"{bound} is not a finite number")
    for low, high in (("price_min", "price_max"), ("min_market_cap", "max_market_cap")):
        least, most = getattr(filters, low), getattr(filters, high)
        if least is not None and most is not None and least > most:
            raise ToplistError(f"filters.{low}", f"{least} is above {high} {most}")


def metrics_of(definition: Definition) -> tuple[str, ...]:
    """Every metric that ranking a validated definition reads, each once."""
    bounded = [
        metric for key, (metric, _) in FILTERS.items()
        if getattr(definition.filters, key) is not None
    ]
    return tuple(dict.fromkeys((definition.metric, *definition.columns, *bounded)))
