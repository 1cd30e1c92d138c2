"""What a source of ticks is to the engine: the port every provider stands behind."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

Report = Callable[[str], None]
BEFORE_ALL = -1  # src_pos of nothing: `seek(BEFORE_ALL)` begins at the beginning


class Provider(Protocol):
    """A pure source of ticks in a fixed order; the feed stage paces, numbers and publishes them.

    A provider numbers tickers as it likes; that number is the `sym` of its ticks (below 0: every
    symbol). src_pos grows with every tick and is the same whenever the same input is read again, so
    that reading can go on after any tick. recv_ns never goes back.
    """

    live: bool  # its ticks are stamped when they are published and may be dropped, never waited for
    start_ns: int  # tape time at which it begins: pacing starts here

    @property
    def rows_bad(self) -> int:
        """Rows that could not be read, from the beginning of the input on, whatever was sought."""
        ...

    @property
    def rows_late(self) -> int:
        """Rows whose time was behind that of the row before them, counted likewise."""
        ...

    @property
    def unknown_conditions(self) -> int:
        """Trades with a sale condition nobody knows, counted likewise."""
        ...

    @property
    def names(self) -> np.ndarray:
        """Its tickers by number: int64[n, 3], 24 bytes each padded with NUL; it may grow."""
        ...

    def name(self, number: int) -> str:
        """Ticker of a number."""
        ...

    def read(self, limit: int) -> np.ndarray:
        """The next ticks, TICK[1..limit], valid until the next call; empty at the end of input."""
        ...

    def seek(self, src_pos: int) -> None:
        """Let the next read begin with the first tick behind src_pos."""
        ...

    def reset(self) -> None:
        """Begin again, as for the next loop."""
        ...
