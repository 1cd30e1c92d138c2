"""What the kernels of families share: a tile of symbols and the windows of its bars."""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import NamedTuple

import numpy as np

TILE = 256  # symbols that a kernel computes side by side, at most
MAX_SLOTS = 6  # numbers a family remembers of a symbol, at most
COUNT = 0  # slot of the bars that a family has seen, the newest included


class Tile(NamedTuple):
    """Up to TILE symbols side by side.

    size: int64[1], how many there are; what lies beyond them is anything. close:
    float64[KEPT_CLOSES, TILE], high, low, volume: float64[KEPT_RANGES, TILE], windows of bars, the
    newest last. before, after: float64[MAX_SLOTS, TILE], what a family remembers as of
    the bar before the newest, and as of the newest. seen: int64[TILE], bars the family has seen,
    the newest included. there: int64[TILE], bars that the windows hold. value: float64[TILE],
    the result, NaN unknown. a, b, d: float64[TILE], rows: float64[KEPT_RANGES, TILE], counts:
    int64[TILE]: room to work in.
    """

    size: np.ndarray
    close: np.ndarray
    high: np.ndarray
    low: np.ndarray
    volume: np.ndarray
    before: np.ndarray
    after: np.ndarray
    seen: np.ndarray
    there: np.ndarray
    value: np.ndarray
    a: np.ndarray
    b: np.ndarray
    d: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
