"""A process that removes what is old from a store and is killed on the way: `python -m
tests.storage.dying_pruner alerts|bars FILE PARTS`, in the middle of the part after so many."""

import os
import signal
import sys
from pathlib import Path

from engine.storage.pruning import Prunable
from engine.storage.sqlite import SqliteAlertStore, SqliteBarStore

ROWS = 40


def prune(store: SqliteAlertStore | SqliteBarStore, parts: int) -> None:
    """Parts until nothing is left, or death with the rows gone and nothing committed."""
    database = store._database
    inner = database.run_counted

    def dying(sql: str, values: tuple = ()) -> int:
        nonlocal parts
        count = inner(sql, values)
        parts -= 1
        if parts < 0:
            database.run("PRAGMA cache_spill = 1")
            os.kill(os.getpid(), signal.SIGKILL)
        return count

    database.run_counted = dying  # type: ignore[method-assign,assignment]
    pruned: Prunable = store
    while pruned.prune(2**62, "open", ROWS):
        continue


if __name__ == "__main__":
    kind = SqliteAlertStore if sys.argv[1] == "alerts" else SqliteBarStore
    prune(kind(Path(sys.argv[2])), int(sys.argv[3]))
