"""Reads how far the families of a running engine are filled, from its shared memory."""

from engine.families.progress import FamilyState
from engine.rules.errors import RuleBlobError
from engine.rules.published import PublishedRules, families_in_force
from shm.blob import Blob
from shm.errors import ShmError
from shm.segments import opener


def running_families(engine: str, capacity: int) -> list[FamilyState]:
    """Every family in force in the engine that is named so, by name; none when no engine of that
    name runs. capacity: its symbols."""
    try:
        array = opener(engine)
        heads = array("cell_heads")
        return families_in_force(
            PublishedRules(Blob.opened("rules", array)), heads[int(heads["n"].argmax())].copy(),
            array("family_since"), array("session"), capacity,
        )  # fmt: skip
    except (ShmError, RuleBlobError):
        return []
