"""Bars of timeframes as they lie in a genesis file: without the slots that no bar has used yet."""

import numpy as np

from engine.domain.family import KEPT_CLOSES, KEPT_RANGES
from engine.domain.frame_table import MARK_SHIFT

Arrays = dict[str, np.ndarray]


def packed(arrays: Arrays) -> Arrays:
    """Arrays of a genesis for a file: frame_closes becomes float64[slots, symbols] and frame_ranges
    float64[slots, 3, symbols], the used slots of one timeframe after the other; frame_marks say how
    many those are. Other arrays, and those without bars, stay as they are."""
    if "frame_marks" not in arrays:
        return arrays
    closes, ranges = arrays["frame_closes"], arrays["frame_ranges"]
    used = _used(arrays["frame_marks"])
    return arrays | {
        "frame_closes": np.concatenate([closes[t, :count] for t, (count, _) in enumerate(used)]),
        "frame_ranges": np.concatenate(
            [ranges[t, :, :count].swapaxes(0, 1) for t, (_, count) in enumerate(used)]
        ),
    }


def unpacked(arrays: Arrays) -> Arrays:
    """What `packed` was made of. Raises ValueError when the arrays do not fit together."""
    if "frame_marks" not in arrays:
        return arrays
    marks = arrays["frame_marks"]
    used, symbols = _used(marks), marks.shape[1]
    closes = np.zeros((len(marks), KEPT_CLOSES, symbols))
    ranges = np.zeros((len(marks), 3, KEPT_RANGES, symbols))
    at_close = at_range = 0
    for t, (some, others) in enumerate(used):
        closes[t, :some] = arrays["frame_closes"][at_close : at_close + some]
        held = arrays["frame_ranges"][at_range : at_range + others]
        ranges[t, :, :others] = held.swapaxes(0, 1)
        at_close, at_range = at_close + some, at_range + others
    return arrays | {"frame_closes": closes, "frame_ranges": ranges}


def _used(marks: np.ndarray) -> list[tuple[int, int]]:
    """By timeframe how many slots of closes and of the rest some symbol has used."""
    counts = (marks >> MARK_SHIFT).max(axis=1, initial=0).tolist()
    return [(min(count, KEPT_CLOSES), min(count, KEPT_RANGES)) for count in counts]
