"""The official close of a day: the price of its largest closing print or official-close record.

The primary market's closing auction prints seconds after the bell, so the last regular trade is
not the close that others compare with.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from engine.domain.records import COND_CLOSE, NS_PER_MINUTE, TICK_TRADE
from shm.names import Names

_BEFORE_BELL_NS = NS_PER_MINUTE


class OfficialCloses:
    """Notes closing records of one session while its ticks pass by.

    session: SESSION[1]; records from a minute before its close on count.
    """

    def __init__(self, session: np.ndarray) -> None:
        self._from_ns = int(session["close_ns"][0]) - _BEFORE_BELL_NS
        self._largest: dict[int, tuple[float, float]] = {}

    def watch(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The same batches of TICK, looked at."""
        for ticks in batches:
            closing = (ticks["kind"] == TICK_TRADE) & (ticks["cond"] & COND_CLOSE != 0)
            for tick in ticks[closing & (ticks["event_ns"] >= self._from_ns)]:
                number, size = int(tick["sym"]), float(tick["b"])
                if tick["a"] > 0 and size > self._largest.get(number, (0.0, 0.0))[0]:
                    self._largest[number] = (size, float(tick["a"]))
            yield ticks

    def by_ticker(self, names: Names) -> dict[str, float]:
        """Official close by ticker; a ticker without a closing record is left out."""
        return {names.get(number): price for number, (_, price) in self._largest.items()}
