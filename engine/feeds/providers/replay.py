"""The replay provider: recorded trades and quotes as one run of ticks, the same at every
reading."""

from pathlib import Path

import numpy as np

from engine.domain.records import TICK
from engine.feeds.conditions import Conditions
from engine.feeds.port import BEFORE_ALL, Report
from engine.feeds.providers import merge_nb as nb
from engine.feeds.wire import csv_nb
from engine.feeds.wire.csv_rows import CsvRows
from engine.feeds.wire.texts import Tickers

INT64 = np.iinfo(np.int64)
_NONE = np.empty((0, nb.WORDS), np.int64)


class _Run:
    """One recording and the rows of it that are not merged yet."""

    def __init__(self, rows: CsvRows) -> None:
        self.rows = rows
        self.words = _NONE
        self.ended = False

    def fill(self) -> None:
        """Fetch the next block."""
        block = self.rows.read()
        self.ended = block is None
        self.words = _NONE if block is None else block.view(np.int64).reshape(len(block), nb.WORDS)


class ReplayProvider:
    """Ticks of a trades file and perhaps a quotes file, merged by recv_ns (ts_ns where it is
    absent).

    src_pos is the number of the good row in the merged order, counted from the beginning of the
    files whatever the range, so that parts of a recording read apart (history, then the stream)
    have distinct positions. start_ns is inclusive, end_ns exclusive; None: as far as the recording
    goes.
    """

    live = False

    def __init__(
        self,
        trades: Path,
        quotes: Path | None,
        conditions: Conditions,
        report: Report,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> None:
        """Opens the files. Raises FeedError when one cannot be read or its header is wrong."""
        self._paths = [(trades, csv_nb.TRADES)]
        if quotes is not None:
            self._paths.append((quotes, csv_nb.QUOTES))
        self._conditions = conditions
        self._report = report
        self._range = (
            INT64.min if start_ns is None else start_ns,
            INT64.max if end_ns is None else end_ns,
        )
        self._out = np.zeros(0, TICK)
        self._tickers = Tickers()
        self._runs: list[_Run] = []
        self._state = np.zeros(nb.STATE_WORDS, np.int64)
        self._after = BEFORE_ALL
        self.seek(BEFORE_ALL)
        self.start_ns = self._first_ns() if start_ns is None else start_ns

    def _first_ns(self) -> int:
        """Just before the first tick; 0 if there is none."""
        firsts = []
        for run in self._runs:
            run.rows.quiet = True
            block = run.rows.read()
            if block is not None:
                firsts.append(int(block["recv_ns"][0]))
        self.seek(BEFORE_ALL)
        return min(firsts) - 1 if firsts else 0

    @property
    def rows_bad(self) -> int:
        """Rows that could not be read, those read again behind a seek included."""
        return sum(run.rows.rows_bad for run in self._runs)

    @property
    def rows_late(self) -> int:
        """Rows whose time was behind that of the row before them, counted likewise."""
        return sum(run.rows.rows_late for run in self._runs)

    @property
    def unknown_conditions(self) -> int:
        """Trades with a condition that the table does not know, counted likewise."""
        return sum(run.rows.unknown_conditions for run in self._runs)

    @property
    def names(self) -> np.ndarray:
        """Tickers by number, int64[n, 3]."""
        return self._tickers.words

    def name(self, number: int) -> str:
        """Ticker of a number."""
        return self._tickers.name(number)

    def seek(self, src_pos: int) -> None:
        """Go on behind a position: the files are read again from their beginning, silently."""
        self._after = src_pos
        self._tickers = Tickers()
        self._runs = [
            _Run(CsvRows(path, kind, self._tickers, self._conditions, self._report))
            for path, kind in self._paths
        ]
        self._state.fill(0)

    def reset(self) -> None:
        """Begin again."""
        self.seek(BEFORE_ALL)

    def read(self, limit: int) -> np.ndarray:
        """The next ticks in the range, TICK[0..limit]; empty only at the end."""
        if len(self._out) < limit:
            self._out = np.zeros(limit, TICK)
        out = self._out[:limit].view(np.int64).reshape(limit, nb.WORDS)
        state = self._state
        while not state[nb.PAST_END]:
            quiet = state[nb.POSITION] <= self._after
            for at, run in enumerate(self._runs):
                if state[at] >= len(run.words) and not run.ended:
                    run.rows.quiet = bool(quiet)
                    run.fill()
                    state[at] = 0
            first, second = self._runs[0], self._runs[-1]
            alone = first is second
            nb.merge_nb(
                first.words,
                first.ended,
                _NONE if alone else second.words,
                alone or second.ended,
                self._after,
                *self._range,
                out,
                state,
            )
            done = all(
                run.ended and state[at] >= len(run.words) for at, run in enumerate(self._runs)
            )
            if state[nb.COUNT] or done:
                break
        count = int(state[nb.COUNT])
        state[nb.COUNT] = 0
        return self._out[:count]
