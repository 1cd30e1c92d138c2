"""What an import did, and what it refused."""

import dataclasses
from collections.abc import Callable

MAX_TOLD = 20

Progress = Callable[[int, int], None]  # bytes done, bytes in all
Take = Callable[[], None]


@dataclasses.dataclass
class Outcome:
    """kind: what the file holds; rows: read; bad: left out, the first MAX_TOLD told in faults;
    changed: records of the store that are new or different now."""

    kind: str
    rows: int = 0
    bad: int = 0
    changed: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)

    def refuse(self, line: int, why: str) -> None:
        """Count a row that is left out."""
        self.bad += 1
        if len(self.faults) < MAX_TOLD:
            self.faults.append(f"line {line}, {why}")
