"""How far the families that rules name are filled, for those who show it."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from engine.families.plan import filled_a_cycle

WARMING, READY = "warming", "ready"


@dataclasses.dataclass(frozen=True)
class FamilyState:
    """One family in force. filled: share of the symbols whose values began; state: WARMING below
    1, READY from then on. Whether a value is known depends on the symbol's bars as well."""

    name: str
    slot: int
    filled: float

    @property
    def state(self) -> str:
        """One word."""
        return READY if self.filled >= 1.0 else WARMING


def family_states(
    names: Sequence[str], slots: Sequence[int], since: np.ndarray, n: int, capacity: int,
    interval_ns: int,
) -> list[FamilyState]:
    """States after cycle n, in the order of `names`, whose slots of max_families are `slots`.

    since: ScanTable.family_since, int64[workers, max_families]; the slowest worker counts.
    """
    a_cycle = filled_a_cycle(capacity, interval_ns)
    found = []
    for name, slot in zip(names, slots, strict=True):
        began = since[:, slot]
        cycles = int(n - began.max() + 1) if (began > 0).all() else 0
        share = min(1.0, max(0, cycles) * a_cycle / capacity)
        found.append(FamilyState(name, int(slot), share))
    return found
