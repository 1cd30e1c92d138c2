"""Metric columns of one scan worker's slice, computed anew for every cycle."""

import numpy as np

from engine.domain.levels import BENCHMARK
from engine.domain.tables import CELL_SLOTS, EngineTables
from engine.errors import EngineError
from engine.metrics.columns_book_nb import Known
from engine.metrics.columns_nb import compute_columns
from engine.metrics.registry import COLUMNS
from shm.fences import read_word


class MetricColumns:
    """Fills ScanTable.columns[n & 1] for the rows of worker `worker`; the only writer of them.

    Raises EngineError if the tables were not made for this registry.
    """

    def __init__(self, tables: EngineTables, worker: int) -> None:
        self._tables = tables
        rows = tables.sizes.slice_rows
        self._first, self._end = worker * rows, (worker + 1) * rows
        cells = tables.cell.rows
        words = cells.dtype.itemsize // 8
        self._rows_f = cells.view(np.float64).reshape(*cells.shape, words)
        self._rows_i = cells.view(np.int64).reshape(*cells.shape, words)
        reference, history = tables.reference, tables.history
        self._known = Known(
            reference_f=reference.view(np.float64).reshape(len(reference), -1),
            reference_i=reference.view(np.int64).reshape(len(reference), -1),
            levels=tables.book.levels,
            baseline=tables.book.baseline,
            second_trades=history.second_trades,
            trades_stamp=history.trades_stamp,
            session_volume=history.session_volume,
            session_stamp=history.session_stamp,
            benchmark=-1,
        )
        self._names_version = -1
        self._session = tables.session.view(np.int64).reshape(-1)
        sizes = tables.sizes
        columns = tables.scan.columns.shape[1] - sizes.max_families - sizes.max_derived
        if columns != COLUMNS:
            raise EngineError(
                f"the tables hold {columns} metric columns, the registry has {COLUMNS}"
            )

    def compute(self, n: int) -> None:
        """Compute every metric of cycle n, whose cell is published and whose indicators are at n.

        Writes the columns of parity n & 1 only. Raises EngineError if the cell or the indicators
        are another cycle's.
        """
        tables = self._tables
        slot, history = n % CELL_SLOTS, tables.history
        head = tables.cell.heads[slot]
        indicators_n, copy = divmod(int(read_word(tables.indicators.words, 0)), 2)
        if int(head["n"]) != n or indicators_n != n:
            raise EngineError(
                f"metrics of cycle {n} need its cell and indicators, "
                f"there are cell {int(head['n'])} and indicators {indicators_n}"
            )
        self._find_benchmark()
        compute_columns(
            self._rows_f[slot], self._rows_i[slot], self._known, history.second_price,
            history.second_volume, history.second_stamp, history.minute_price,
            history.minute_stamp, tables.indicators.values[copy], self._session,
            int(head["t_ns"]), self._first, self._end, tables.scan.columns[n & 1],
        )  # fmt: skip

    def _find_benchmark(self) -> None:
        """Look for the benchmark again when a name changed: it may have been admitted."""
        names = self._tables.names
        if names.version() != self._names_version:
            self._names_version = names.version()
            found = np.flatnonzero(names.raw == BENCHMARK.encode())
            self._known = self._known._replace(benchmark=int(found[0]) if len(found) else -1)
