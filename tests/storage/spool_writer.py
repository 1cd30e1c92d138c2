"""A process to be killed: alerts go to a spool, are acknowledged, and move on to a store.

usage: python -m tests.storage.spool_writer FOLDER SEED; it prints each acknowledged number.
"""

import os
import random
import sys
from pathlib import Path

from engine.storage.spool import Spool
from engine.storage.sqlite import SqliteAlertStore
from tests.storage.samples import alert


def move(spool: Spool, store: SqliteAlertStore) -> int:
    """Store what the spool holds, then drop it. Returns how many alerts were repeats."""
    before = store.repeats
    numbers = [int(payload) for _, payload in spool.read(spool.base)]
    end = spool.end
    store.append([alert(number) for number in numbers])
    spool.drop(end)
    return store.repeats - before


def main() -> None:
    """Go on after the last number stored until killed."""
    folder, rng = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    spool, store = Spool(folder / "alerts.spool"), SqliteAlertStore(folder / "alerts.db")
    move(spool, store)
    number = store.count()
    os.write(1, b"ready\n")
    while True:
        batch = list(range(number, number + rng.randrange(1, 5)))
        spool.append([b"%d" % n for n in batch])
        os.write(1, b"".join(b"%d\n" % n for n in batch))
        number = batch[-1] + 1
        if rng.random() < 0.3:
            move(spool, store)


if __name__ == "__main__":
    main()
