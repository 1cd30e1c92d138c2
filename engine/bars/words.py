"""Decision records and heads of cells as int64 words: all their fields are, and one field of a
structured record costs what ten words cost."""

import numpy as np

from engine.bars.layout import COUNTERS, SPARE_APPROX, SPARE_GAPS
from engine.domain import records


def _places(dtype: np.dtype) -> dict[str, int]:
    fields = dtype.fields
    assert fields is not None
    assert all(field.base == np.dtype("i8") for field, _ in (f[:2] for f in fields.values()))
    return {name: int(place[1]) // 8 for name, place in fields.items()}


DECISION = _places(records.DECISION)
DECISION_WORDS = records.DECISION.itemsize // 8
_SESSION = _places(records.SESSION)
S_START, S_END = _SESSION["start_ns"], _SESSION["end_ns"]  # start, open, close, end
S_ROLL, S_GRACE, S_INTERVAL = (_SESSION[name] for name in ("roll_ns", "grace_ns", "interval_ns"))
HEAD = _places(records.CELL_HEAD)
HEAD_WORDS = records.CELL_HEAD.itemsize // 8

H_GAPS, H_APPROX = HEAD["spare"] + SPARE_GAPS, HEAD["spare"] + SPARE_APPROX

# Counters of a head beside the words of the context that carry them through a cycle.
HEAD_COUNTERS = np.array([HEAD[name] for name, _ in COUNTERS])
CONTEXT_COUNTERS = np.array([word for _, word in COUNTERS])

# What a head takes over from its decision.
_TAKEN = ("n", "k", "t_ns", "rules_version", "flags", "stride", "recent_ns")
_FEEDS = np.arange(records.MAX_FEEDS)
HEAD_TAKEN = np.concatenate([[HEAD[name] for name in _TAKEN], HEAD["tick_end"] + _FEEDS])
DECISION_TAKEN = np.concatenate(
    [[DECISION[name] for name in _TAKEN], DECISION["tick_end"] + _FEEDS]
)


def words_of(records_: np.ndarray) -> np.ndarray:
    """int64[n, words] of the same memory as n records."""
    return records_.view(np.int64).reshape(len(records_), -1)
