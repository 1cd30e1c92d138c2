"""The state that a live stream ends with, as a file that the next stream begins from.

One per data directory, replaced whole: that of the stream that ended last. It is written when the
last cycle is on tape and its alerts are stored, before the tape is told that it ends.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from engine.domain import records
from engine.domain.tables import EngineTables
from engine.replay.genesis import Genesis, GenesisError, read, read_header, snapshot, write
from engine.replay.open_stream import GENESIS_NAME, replaced

END_STATE_NAME = "end_state.bin"
_HEAD = ("t_ns", "closed_minute")  # of a head, what does not depend on workers


def keep(
    tables: EngineTables,
    directory: Path,
    data_dir: Path,
    beat: Callable[[], None] = lambda: None,
) -> Genesis:
    """Write the state as of the published cycle, durable on return; nobody may change it meanwhile.

    directory: of the stream, whose genesis says what it is. beat: called now and then. The state
    has the header of the genesis, but start_ns is T of the cycle. Raises OSError, GenesisError.
    """
    path = directory / GENESIS_NAME
    with path.open("rb") as file:
        header = read_header(file, path)
    tickers, arrays = snapshot(tables, instants=False, beat=beat)
    head = np.zeros(1, records.CELL_HEAD)
    for field in _HEAD:
        head[field] = arrays["head"][field]
    header = msgspec.structs.replace(
        header, tickers=tickers, start_ns=int(head["t_ns"][0]), rules_version=0
    )
    state = Genesis(header, b"", arrays | {"head": head})
    with replaced(data_dir / END_STATE_NAME, beat) as file:
        write(file, state)
    return state


def load_end_state(data_dir: Path) -> Genesis | None:
    """What `keep` wrote last, None when it never did. Raises GenesisError when it is damaged."""
    path = data_dir / END_STATE_NAME
    try:
        with path.open("rb") as file:
            return read(file, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GenesisError(f"the end state {path} cannot be read: {error.strerror}.") from error
