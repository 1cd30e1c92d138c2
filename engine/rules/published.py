"""Reads the rule sets in the blob of an engine, and the families that they name."""

import numpy as np

from engine.domain.tables import RULES_SLOTS
from engine.families.progress import FamilyState, family_states
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.pack import unpack
from shm.blob import Blob

_NO_RULES = compile_rules(())


class PublishedRules:
    """The rule sets of a blob, each unpacked once; as many are kept as the blob has slots."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._sets: dict[int, CompiledRules] = {}

    def get(self, version: int) -> CompiledRules | None:
        """The rules of a version, none of version 0; None when it is not in the blob (any more).
        Raises RuleBlobError, BlobError when they cannot be read."""
        if version == 0:
            return _NO_RULES
        found = self._sets.get(version)
        if found is None:
            content = self._blob.read(version)
            if content is None:
                return None
            found = unpack(content)
            while len(self._sets) >= RULES_SLOTS:
                del self._sets[min(self._sets)]
            self._sets[version] = found
        return found


def families_in_force(
    rules: PublishedRules, head: np.void, since: np.ndarray, session: np.ndarray, capacity: int
) -> list[FamilyState]:
    """Every family that the rules of a cycle name, by name; none while they are exchanged.

    head: CELL_HEAD of the cycle; since: ScanTable.family_since; session: SESSION[1]; capacity:
    symbols that there is room for. Raises RuleBlobError, BlobError.
    """
    found = rules.get(int(head["rules_version"]))
    if found is None:
        return []
    placed = found.program.families
    return family_states(
        placed.names, placed.slot.tolist(), since, int(head["n"]), capacity,
        int(session["interval_ns"][0]),
    )  # fmt: skip
