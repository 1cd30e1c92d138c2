"""Final bars of the time before a stream, kept for its charts and looked up under its id."""

import numpy as np

from engine.storage.ports import BarRow, BarStore

HISTORY_N = 0  # counted to genesis: a revision by the stream itself is newer
_BATCH = 20_000


class HistoryBars:
    """Collects the bar events of the days before a stream; of one minute the newest counts."""

    def __init__(self) -> None:
        self._parts: list[tuple[list[str], np.ndarray]] = []

    def take(self, tickers: list[str], events: np.ndarray) -> None:
        """Events of one cycle (BAR_EVENT[m]) whose symbol ids are places in `tickers`."""
        self._parts.append((tickers, events))

    def store(self, store: BarStore, stream_id: str) -> int:
        """Bring them all to the bar store; how many there were. Raises StoreError."""
        newest: dict[tuple[str, int], np.void] = {}
        for tickers, events in self._parts:
            for event in events:
                newest[tickers[int(event["sym"])], int(event["bar"]["minute"])] = event
        rows = [
            BarRow.of(ticker, event["bar"], HISTORY_N, stream_id)
            for (ticker, _), event in newest.items()
        ]
        for at in range(0, len(rows), _BATCH):
            store.upsert(rows[at : at + _BATCH])
        return len(rows)
