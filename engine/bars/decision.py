"""Decision records: their CRC, their place in the log, and which grid point comes next."""

import zlib
from collections.abc import Sequence

import numpy as np

from engine.bars.errors import BarsError
from engine.domain import records
from shm.ring import Ring

END_OF_INPUT = int(np.iinfo(np.int64).max)
_N = int(records.DECISION.fields["n"][1]) // 8  # type: ignore[index]
_CRC_BYTES = int(records.DECISION.fields["crc"][1])  # type: ignore[index]


def decision_crc(decision: np.ndarray | np.void) -> int:
    """CRC-32 of the bytes of a DECISION before its crc field."""
    return zlib.crc32(decision.tobytes()[:_CRC_BYTES])


def check_crc(decision: np.ndarray | np.void) -> None:
    """Raise BarsError if a decision record is not the one that was written."""
    if int(decision["crc"]) != decision_crc(decision):
        raise BarsError(f"decision {int(decision['n'])} does not match its CRC")


def find_decision(ring: Ring, n: int) -> tuple[int, np.void] | None:
    """Position and copy of decision n in the log, None if it is not there (any more)."""
    tail = ring.tail()
    if tail == 0:
        return None
    newest = int(ring.words[(tail - 1) & (ring.capacity - 1), _N])
    position = tail - 1 - (newest - n)
    if n > newest or position < 0 or tail - position > ring.capacity:
        return None
    found = ring.words[position & (ring.capacity - 1)].copy()
    return (position, found.view(records.DECISION)[0]) if found[_N] == n else None


def grid_floor(t_ns: int, interval_ns: int) -> int:
    """Latest grid point at or before an instant."""
    return t_ns // interval_ns * interval_ns


def next_live(
    t_ns: int,
    now_ns: int,
    wait_ns: int,
    interval_ns: int,
    marks: Sequence[int],
    moved_ns: int = 0,
) -> int | None:
    """Grid point to decide now in live mode, None while it is too early.

    The latest one not after now that every watermark has reached; if that is none, the latest one
    that has been waited for long enough. moved_ns: engine time just after the clock was moved. The
    watermarks lie before it then, and no feed lags for that: each gets wait_ns to take it over.
    """
    reached = grid_floor(min(now_ns, *marks), interval_ns)
    waited_ns = now_ns - wait_ns - 1
    if waited_ns < moved_ns and reached < grid_floor(moved_ns, interval_ns):
        return None
    due = max(reached, grid_floor(waited_ns, interval_ns))
    return due if due > t_ns else None
