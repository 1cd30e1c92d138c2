"""Ranking one list: filters as masks, the first rows by partial sort, ties by ticker."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np

from engine.toplists.definition import FILTERS, Definition

_Array = np.ndarray[Any, Any]


class Row(msgspec.Struct, frozen=True):
    """A listed symbol. rank: from 1. metadata: the list's columns by metric, None unknown."""

    symbol: str
    rank: int
    value: float
    metadata: dict[str, float | None]


def rank(
    definition: Definition,
    tickers: _Array,
    values: Mapping[str, _Array],
    listed: Collection[str] = (),
) -> tuple[Row, ...]:
    """The rows of a validated definition.

    tickers: object[symbols] in alphabetical order; values: float64[symbols] by metric, NaN unknown.
    listed: symbols of the ranking before, which hysteresis keeps.
    """
    ordered = first_places(
        values[definition.metric], _eligible(definition, values),
        definition.limit + definition.hysteresis, descending=definition.sort_order == "desc",
    )
    if definition.hysteresis and ordered.size > definition.limit:
        ordered = _keep(definition, ordered, tickers, listed)
    return tuple(
        Row(
            str(tickers[at]), place, float(values[definition.metric][at]),
            {name: _known(values[name][at]) for name in definition.columns},
        )
        for place, at in enumerate(ordered.tolist(), start=1)
    )


def first_places(keys: _Array, eligible: _Array, count: int, *, descending: bool) -> _Array:
    """int64[<= count]: places of the first eligible keys in order; ties by place."""
    places = np.flatnonzero(eligible)
    wanted = -keys[places] if descending else keys[places]
    if places.size > count:
        last = np.partition(wanted, count - 1)[count - 1]
        near = wanted <= last  # every tie of the last one, so that places decide among them
        places, wanted = places[near], wanted[near]
    return places[np.argsort(wanted, kind="stable")[:count]]


def _eligible(definition: Definition, values: Mapping[str, _Array]) -> _Array:
    keys = values[definition.metric]
    mask: _Array = np.isfinite(keys)
    if definition.only is not None:
        mask &= keys > 0 if definition.only == "positive" else keys < 0
    for name, (metric, lower) in FILTERS.items():
        bound = getattr(definition.filters, name)
        if bound is not None:  # comparing with NaN is false: unknown keeps no bound
            mask &= values[metric] >= bound if lower else values[metric] <= bound
    return mask


def _keep(
    definition: Definition, ordered: _Array, tickers: _Array, listed: Collection[str]
) -> _Array:
    """Seats inside the band go to symbols that are listed already, then to the best others."""
    sure = definition.limit - definition.hysteresis
    known = set(listed)
    contested = ordered[sure:].tolist()
    stay = [place for place, at in enumerate(contested, sure) if tickers[at] in known]
    come = [place for place, at in enumerate(contested, sure) if tickers[at] not in known]
    seats = sorted((stay + come)[: definition.hysteresis])
    return np.concatenate((ordered[:sure], ordered[seats]))


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
