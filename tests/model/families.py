"""All modelled protocols, the bounds they are explored with, and what each mutant must show."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from tests.model import blob, cells, flip, lane, ring, seqlock
from tests.model.machine import Protocol

Bounds = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Family:
    """One protocol. build(mutant, **bounds); mutants: name -> (caught under TSO, under ARM);
    brief, long: bounds of the correct protocol in make test and in the soak; small: of mutants."""

    name: str
    build: Callable[..., Protocol]
    mutants: Mapping[str, tuple[bool, bool]]
    brief: Bounds = dataclasses.field(default_factory=dict)
    long: Bounds = dataclasses.field(default_factory=dict)
    small: Bounds = dataclasses.field(default_factory=dict)


FAMILIES = [
    Family(
        "seqlock row",
        seqlock.row,
        seqlock.ROW_MUTANTS,
        long={"writes": 3, "reads": 3, "deaths": 3},
        small={"reads": 1, "deaths": 1},
    ),
    Family(
        "name",
        seqlock.name,
        seqlock.NAME_MUTANTS,
        brief={"sets": 2},
        long={"sets": 3, "deaths": 2},
        small={"sets": 2, "reads": 1},
    ),
    Family(
        "cells, lapped reader",
        cells.lapped,
        cells.LAPPED_MUTANTS,
        brief={"guesses": (1, 2, 3)},
        long={"cycles": 7, "guesses": (1, 2, 3, 4), "deaths": 2},
    ),
    Family(
        "cells, gated reader",
        cells.gated,
        cells.GATED_MUTANTS,
        brief={"cycles": 5, "deaths": 2, "gate_deaths": 2},
        long={"cycles": 8, "deaths": 3, "gate_deaths": 3},
    ),
    Family(
        "two copies",
        flip.flip,
        flip.FLIP_MUTANTS,
        long={"cycles": 12, "deaths": 4, "gate_deaths": 3},
    ),
    Family(
        "ring, lapped reader",
        ring.lapped,
        ring.RING_MUTANTS,
        brief={"wanted": (1, 2)},
        long={"records": 6, "wanted": (1, 2, 3), "deaths": 3},
    ),
    Family(
        "ring, gating reader",
        ring.gating,
        ring.GATE_MUTANTS,
        brief={"deaths": 2, "reader_deaths": 2},
        long={"records": 6, "deaths": 3, "reader_deaths": 3},
    ),
    Family(
        "ring, dropped gate",
        ring.rejoin,
        ring.REJOIN_MUTANTS,
        brief={"deaths": 1},
        long={"records": 7, "tries": 3, "reads": 3, "deaths": 2},
    ),
    Family(
        "lane",
        lane.lane,
        lane.LANE_MUTANTS,
        long={"cycles": 4, "deaths": 2, "reader_deaths": 2},
    ),
    Family(
        "blob",
        blob.blob,
        blob.BLOB_MUTANTS,
        brief={"deaths": 0},
        long={"versions": 4, "deaths": 2},
        small={"deaths": 0},
    ),
    Family(
        "blob, dying writer",
        blob.blob,
        blob.BLOB_DEATH_MUTANTS,
        brief={"versions": 4, "deaths": 2, "peeks": 0},
        long={"versions": 6, "deaths": 3, "peeks": 0},
        small={"peeks": 0},
    ),
]
