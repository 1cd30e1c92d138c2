"""Which families there are, and by which schedule they are filled."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from engine.domain.family import FAMILY_WORDS, MAX_PERIODS

FILL_NS = 4_000_000_000  # engine time that filling every symbol takes


class Chosen(NamedTuple):
    """Families of a rule set, see step_nb.Plan. key: uint8[F, 16], names them in every version;
    slot: int32[F], of max_families."""

    key: np.ndarray
    slot: np.ndarray
    words: np.ndarray
    params: np.ndarray
    rows: np.ndarray


NOTHING = Chosen(
    np.zeros((0, 16), np.uint8), np.zeros(0, np.int32), np.zeros((0, FAMILY_WORDS), np.int64),
    np.zeros((0, MAX_PERIODS)), np.zeros(0, np.int32),
)  # fmt: skip


def filled_a_cycle(capacity: int, interval_ns: int) -> int:
    """How many symbols of all workers together one cycle fills."""
    return max(1, -(-capacity * interval_ns // FILL_NS))


def admission_order(rows: int, workers: int) -> npt.NDArray[np.int64]:
    """By symbol id its place in the order of admission, the same for any number of workers: each
    ticker goes to the emptiest slice, the first of equals."""
    worker, local = np.divmod(np.arange(rows), rows // workers)
    order: npt.NDArray[np.int64] = local * workers + worker
    return order
