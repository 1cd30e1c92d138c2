"""Reads how far the families of a running engine are filled, from its shared memory."""

from engine.families.progress import FamilyState, family_states
from engine.rules.errors import RuleBlobError
from engine.rules.families import NONE, Placed
from engine.rules.pack import unpack
from shm.arena import PrivateArena
from shm.blob import Blob
from shm.errors import ShmError
from shm.segments import attach


class FamiliesReader:
    """Of the engine that is named so; capacity: its symbols. Rules are unpacked once a version."""

    def __init__(self, engine: str, capacity: int) -> None:
        self._engine, self._capacity = engine, capacity
        self._version, self._placed = 0, NONE

    def read(self) -> list[FamilyState]:
        """Every family in force, by name; none when no engine of that name runs."""
        try:
            heads = attach(self._engine, "cell_heads")
            head = heads[int(heads["n"].argmax())].copy()
            placed = self._families(int(head["rules_version"]))
            since, session = (
                attach(self._engine, name) for name in ("family_since", "session")
            )
        except (ShmError, RuleBlobError):
            return []
        return family_states(
            placed.names, placed.slot.tolist(), since, int(head["n"]), self._capacity,
            int(session["interval_ns"][0]),
        )  # fmt: skip

    def _families(self, version: int) -> Placed:
        if version and version != self._version:
            ctl, data = (attach(self._engine, f"rules_{part}") for part in ("ctl", "data"))
            content = Blob(PrivateArena(), "rules", ctl, data).read(version)
            if content is None:
                return NONE
            self._version, self._placed = version, unpack(content).program.families
        return self._placed if version else NONE

