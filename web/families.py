"""The parameterised indicators that the rules in force name, and how far they are filled."""

from typing import Any

import numpy as np

from engine.domain.tables import EngineTables
from engine.families.progress import WARMING, FamilyState
from engine.metrics.registry import COLUMNS
from engine.rules.errors import RuleBlobError
from engine.rules.published import PublishedRules, families_in_force
from web.reading import NoCycleError, TornError, read_columns, read_head

MAX_NAMED = 20


class FamilyView:
    """Looks at the families of one set of tables; the rules are unpacked once a version."""

    def __init__(self, tables: EngineTables, rules: PublishedRules) -> None:
        self._tables, self._rules = tables, rules

    def states(self) -> list[FamilyState]:
        """Every family in force, by name; none while no cycle is there or rules are exchanged."""
        tables = self._tables
        try:
            return families_in_force(
                self._rules, read_head(tables), tables.scan.family_since, tables.session,
                tables.sizes.capacity,
            )  # fmt: skip
        except (NoCycleError, TornError, RuleBlobError):
            return []

    def documents(self) -> list[dict[str, Any]]:
        """Each with its state, the share of symbols filled, and how many symbols it has a value
        for; null while workers write."""
        states = self.states()
        known: list[int] | list[None]
        try:
            columns = read_columns(self._tables, [COLUMNS + state.slot for state in states])
            known = np.count_nonzero(~np.isnan(columns), axis=1).tolist()
        except TornError:
            known = [None] * len(states)
        return [
            {"name": one.name, "state": one.state, "filled": round(one.filled, 3), "known": some}
            for one, some in zip(states, known, strict=True)
        ]

    def summary(self) -> dict[str, Any]:
        """How many there are, how many there can be, and which are still being filled."""
        states = self.states()
        warming = [state.name for state in states if state.state == WARMING]
        return {
            "count": len(states),
            "capacity": self._tables.sizes.max_families,
            "warming": len(warming),
            "warming_names": warming[:MAX_NAMED],
        }
