"""The official close of a day: the price of its largest closing print or official-close record.

The primary market's closing auction prints seconds after the bell, so the last regular trade is
not the close that others compare with.
"""

import numpy as np

from engine.bars.layout import FUTURE_NS
from engine.domain.records import COND_CLOSE, NS_PER_MINUTE, TICK_TRADE
from engine.domain.tables import EngineTables

_BEFORE_BELL_NS = NS_PER_MINUTE


def note_closes(
    tables: EngineTables,
    idmap: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    t_ns: int,
    close_ns: int,
) -> None:
    """Enter the closing records of a cycle into `tables.closes`, in place.

    idmap: int32[feeds, numbers], feed number -> symbol id, -1 unknown. starts, ends: the cycle's
    part of every tick ring; t_ns: T_k. close_ns: the bell, from a minute before which records
    count; earlier a call costs nothing.
    """
    if t_ns + FUTURE_NS < close_ns - _BEFORE_BELL_NS:
        return
    times = close_ns - _BEFORE_BELL_NS, t_ns + FUTURE_NS
    for ring, ids, start, end in zip(tables.ticks.rings, idmap, starts, ends, strict=False):
        for ticks in ring.slices(int(start), int(end)):
            enter_closes(tables.closes, ticks, ids, *times)


def enter_closes(
    closes: np.ndarray, ticks: np.ndarray, ids: np.ndarray, from_ns: int, until_ns: int
) -> None:
    """Enter the closing records with from_ns <= event_ns <= until_ns among TICK[m] of one feed.

    Of equal sizes the first stays. What a killed process entered stays, too: the same records
    again are no larger.
    """
    closing = ticks[(ticks["kind"] == TICK_TRADE) & (ticks["cond"] & COND_CLOSE != 0)]
    price, size, number = closing["a"], closing["b"], closing["sym"]
    counts = (price > 0.0) & (price < np.inf) & (size > 0.0) & (size < np.inf)
    counts &= (from_ns <= closing["event_ns"]) & (closing["event_ns"] <= until_ns)
    counts &= (number >= 0) & (number < len(ids))
    if not counts.any():
        return
    price, size, number = price[counts], size[counts], number[counts]
    largest_first = np.argsort(-size, kind="stable")
    symbols, first = np.unique(ids[number[largest_first]], return_index=True)
    best = largest_first[first]
    larger = (symbols >= 0) & (size[best] > closes["size"][symbols])
    symbols, best = symbols[larger], best[larger]
    closes["price"][symbols] = price[best]  # the size comes last: by it a record is entered
    closes["size"][symbols] = size[best]
