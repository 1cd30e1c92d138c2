"""Counts, in shared memory and by rule, what the alert service did not pass on."""

from collections.abc import Mapping

import numpy as np

from engine.domain.tables import (
    KEPT_CAPPED,
    KEPT_CAPPED_BEFORE,
    KEPT_LIMITED,
    KEPT_LIMITED_BEFORE,
    KEPT_N,
    KEPT_UID,
)


class KeptBack:
    """The one writer of EngineTables.kept_back, int64[max_rules, KEPT_WORDS]. A rule that comes
    when all rows are taken is not counted."""

    def __init__(self, table: np.ndarray) -> None:
        self._table = table
        self._row_of = {uid: row for row, uid in enumerate(table[:, KEPT_UID].tolist()) if uid}

    def add(
        self, n: int, rule_uid: np.ndarray, limited: Mapping[int, int], capped: Mapping[int, int]
    ) -> None:
        """Count alerts of cycle n, by rule slot; again with the same n is harmless."""
        for slot in limited.keys() | capped.keys():
            row = self._row(int(rule_uid[slot]))
            if row is None:
                continue
            if int(row[KEPT_N]) != n:
                row[KEPT_LIMITED_BEFORE], row[KEPT_CAPPED_BEFORE] = (
                    row[KEPT_LIMITED], row[KEPT_CAPPED]
                )  # fmt: skip
                row[KEPT_N] = n
            row[KEPT_LIMITED] = row[KEPT_LIMITED_BEFORE] + limited.get(slot, 0)
            row[KEPT_CAPPED] = row[KEPT_CAPPED_BEFORE] + capped.get(slot, 0)

    def _row(self, uid: int) -> np.ndarray | None:
        place = self._row_of.setdefault(uid, len(self._row_of))
        if place >= len(self._table):
            return None
        row: np.ndarray = self._table[place]
        row[KEPT_UID] = uid
        return row
