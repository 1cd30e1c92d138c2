"""The tables that the answer to "why, and why not" is taken from, and what can go wrong."""

import dataclasses
import time
from collections.abc import Callable
from typing import Self

import numpy as np

from engine.domain.tables import WORD_STRIDE, EngineTables
from engine.errors import EngineError
from engine.metrics.registry import COLUMNS
from shm.blob import Blob
from shm.cells import Cells
from shm.fences import read_word
from shm.names import Names

ATTEMPTS = 4000
PAUSE_S = 0.0005


class UnseenError(EngineError):
    """Raised when there is nothing to explain: no such symbol, no such rule, no cycle yet."""


class BusyError(EngineError):
    """Raised when the engine overtook every attempt to look at it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Sight:
    """The tables that an answer is taken from, see EngineTables; read only."""

    cells: Cells
    heads: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    truth: np.ndarray
    op_bits: np.ndarray
    op_rows: np.ndarray
    cooldowns: np.ndarray
    words: np.ndarray
    rules: Blob
    names: Names
    reference: np.ndarray
    session: np.ndarray
    kept_back: np.ndarray
    flow: np.ndarray
    family_since: np.ndarray

    @classmethod
    def of(cls, tables: EngineTables) -> Self:
        """Of tables that this process maps."""
        scan = tables.scan
        return cls(
            tables.cell.cells, tables.cell.heads, tables.cell.rows, scan.columns, scan.truth,
            scan.op_bits, scan.op_rows, scan.cooldowns, scan.words, tables.rules, tables.names,
            tables.reference, tables.session, tables.kept_back, tables.flow,
            scan.family_since,
        )  # fmt: skip

    @classmethod
    def opened(cls, array: Callable[[str], np.ndarray]) -> Self:
        """Of arrays by the names under which `allocate` made them."""
        return cls(
            cells=Cells(array("cells_ctl")),
            heads=array("cell_heads"),
            rows=array("cell_rows"),
            columns=array("metric_columns"),
            truth=array("truth"),
            op_bits=array("op_bits"),
            op_rows=array("op_rows"),
            cooldowns=array("cooldowns"),
            words=array("scan_words"),
            rules=Blob.opened("rules", array),
            names=Names("names", array("names_ctl"), array("names_raw")),
            reference=array("reference"),
            session=array("session"),
            kept_back=array("kept_back"),
            flow=array("flow"),
            family_since=array("family_since"),
        )

    @property
    def first_derived(self) -> int:
        """The column behind those of metrics and families."""
        return COLUMNS + int(self.family_since.shape[1])

    @property
    def slice_rows(self) -> int:
        """Rows of one worker."""
        return int(self.rows.shape[1]) // len(self.cooldowns)

    def applied(self, n: int) -> bool:
        """True if every worker has applied cycle n, and nobody has begun a later one that is
        published."""
        workers = range(len(self.cooldowns))
        return all(read_word(self.words, worker * WORD_STRIDE) == n for worker in workers)

    def symbol(self, ticker: str) -> int:
        """Id of a ticker. Raises UnseenError, BusyError."""
        wanted = ticker.encode(errors="replace")
        for _ in range(ATTEMPTS):
            version = self.names.version()
            found = np.flatnonzero(self.names.raw == wanted)
            if self.names.version() == version:
                if not wanted or not len(found):
                    raise UnseenError(f"no symbol '{ticker}' is known in this stream.")
                return int(found[0])
            time.sleep(PAUSE_S)
        raise BusyError("the names of the symbols change faster than they can be read.")
