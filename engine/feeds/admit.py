"""Numbers of tickers within a feed: who has one, who gets the next, and the ADMIT record that says
so."""

from collections.abc import Iterable, Iterator

import numpy as np

from engine.domain.records import TICK, TICK_ADMIT
from engine.feeds import admit_nb as nb
from engine.feeds.port import Provider
from shm.names import Names

_TICK_WORDS = TICK.itemsize // 8


class Admission:
    """Maps a provider's tickers to the feed's numbers; a new ticker gets the next number.

    known: (number, ticker) of those that need no ADMIT any more; capacity: numbers there are. The
    order of first ticks decides the numbers, so that the same ticks always give the same records.
    """

    def __init__(self, provider: Provider, known: Iterable[tuple[int, str]], capacity: int) -> None:
        self._provider = provider
        self._known = {ticker: number for number, ticker in known}
        self._capacity = capacity
        self._number_of = np.empty(0, np.int32)
        self._lengths = np.empty(0, np.int64)
        self._out = np.empty(0, TICK)
        self._state = np.zeros(nb.STATE_WORDS, np.int64)
        self._state[nb.NEXT] = max(self._known.values(), default=-1) + 1

    @property
    def refused(self) -> int:
        """Ticks left out because their ticker found no number."""
        return int(self._state[nb.REFUSED])

    @property
    def admitted(self) -> int:
        """Numbers given out so far, the known ones included."""
        return int(self._state[nb.NEXT])

    def _learn(self) -> np.ndarray:
        """Take notice of tickers the provider has met since; its names."""
        names = self._provider.names
        have = len(self._number_of)
        if len(names) > have:
            tickers = [self._provider.name(i) for i in range(have, len(names))]
            numbers = [self._known.get(ticker, -1) for ticker in tickers]
            self._number_of = np.concatenate([self._number_of, np.array(numbers, np.int32)])
            lengths = np.array([len(ticker) for ticker in tickers], np.int64)
            self._lengths = np.concatenate([self._lengths, lengths])
        return names

    def apply(self, ticks: np.ndarray) -> np.ndarray:
        """A provider's ticks as records to publish, ADMITs among them; valid until the next
        call."""
        if len(self._out) < 2 * len(ticks):
            self._out = np.empty(2 * len(ticks), TICK)
        ticks = np.ascontiguousarray(ticks)
        names = self._learn()
        count = nb.admit_nb(
            ticks,
            ticks.view(np.int64).reshape(len(ticks), _TICK_WORDS),
            self._number_of,
            names,
            self._lengths,
            self._capacity,
            self._out,
            self._out.view(np.int64).reshape(len(self._out), _TICK_WORDS),
            self._state,
        )
        return self._out[:count]


def admitted_batches(
    provider: Provider, known: Iterable[tuple[int, str]], capacity: int, limit: int = 1 << 14
) -> Iterator[np.ndarray]:
    """All that a provider has to give, as records to publish: for runs that nobody paces."""
    admission = Admission(provider, known, capacity)
    while len(ticks := provider.read(limit)):
        yield admission.apply(ticks)


def admit_name(tick: np.void) -> str:
    """The ticker of an ADMIT record."""
    raw = tick["id"].tobytes() + tick["a"].tobytes() + tick["b"].tobytes()
    return str(raw[: int(tick["n1"])], "ascii")


def learn_admits(names: Names, ticks: np.ndarray) -> int:
    """Write the tickers of published ADMIT records into the feed's names; how many were new.

    Called after publishing them, by a feed that takes over for what the dead one left undone, and
    by whoever puts a tape's ticks into a ring. A number beyond the table (a tape of an engine with
    more scan workers, so more rows) belongs to a ticker that found no room.
    """
    new = 0
    for at in np.flatnonzero(ticks["kind"] == TICK_ADMIT):
        number, ticker = int(ticks["sym"][at]), admit_name(ticks[at])
        if number < len(names.raw) and names.get(number) != ticker:
            names.set(number, ticker)
            new += 1
    return new
