"""Tables of interned byte strings that the CSV kernel fills and Python gives a meaning."""

from collections.abc import Callable

import numpy as np

from engine.feeds.errors import FeedError
from engine.feeds.wire.csv_nb import SYMBOL_BYTES, U0, Texts, add_text_nb, find_nb

MAX_SYMBOLS = 1 << 18
_FIRST_SYMBOLS = 1 << 10
TEXT_BYTES = 128
_TEXTS = 1 << 12


def empty_texts(entries: int, width: int) -> Texts:
    """A table for `entries` (a power of two) strings of at most `width` bytes."""
    return Texts(
        slots=np.zeros(2 * entries, np.int64),
        hashes=np.zeros(entries, np.uint64),
        lengths=np.zeros(entries, np.uint64),
        text=np.zeros((entries, width), np.uint8),
        used=np.zeros(1, np.int64),
        value=np.zeros(entries, np.uint8),
        flag=np.zeros(entries, np.uint8),
    )


class Tickers:
    """Tickers of a source by number, in order of appearance; files read together share one."""

    def __init__(self) -> None:
        self.texts = empty_texts(_FIRST_SYMBOLS, SYMBOL_BYTES)

    def __len__(self) -> int:
        return int(self.texts.used[0])

    @property
    def words(self) -> np.ndarray:
        """The names as int64[n, 3], padded with NUL, as records hold them."""
        return self.texts.text[: len(self)].view(np.int64)

    def name(self, number: int) -> str:
        """Ticker of a number."""
        length = int(self.texts.lengths[number])
        return self.texts.text[number, :length].tobytes().decode("ascii")

    def grow(self) -> None:
        """Twice the room; numbers stay. Raises FeedError beyond MAX_SYMBOLS."""
        old = self.texts
        if len(old.hashes) >= MAX_SYMBOLS:
            raise FeedError(f"The recordings name more than {MAX_SYMBOLS} different symbols.")
        self.texts = empty_texts(2 * len(old.hashes), SYMBOL_BYTES)
        for entry in range(int(old.used[0])):
            raw, length = old.text[entry], old.lengths[entry]
            slot = -1 - find_nb(*self.texts[:4], raw, U0, length)
            add_text_nb(self.texts, raw, U0, length, slot)


class Meanings:
    """A cache of short texts: `resolve` gives each (value, flag), both 0..254; flag counts rows."""

    def __init__(self, resolve: Callable[[str], tuple[int, int]]) -> None:
        self._resolve = resolve
        self.texts = empty_texts(_TEXTS, TEXT_BYTES)
        self._resolved = 0

    def resolve_new(self) -> list[str]:
        """Give every new entry its meaning; the texts whose flag is set among them."""
        flagged = []
        for entry in range(self._resolved, int(self.texts.used[0])):
            raw = self.texts.text[entry, : int(self.texts.lengths[entry])].tobytes()
            text = raw.decode("utf-8", "replace").replace('""', '"')
            self.texts.value[entry], self.texts.flag[entry] = self._resolve(text)
            if self.texts.flag[entry]:
                flagged.append(text)
        self._resolved = int(self.texts.used[0])
        return flagged

    def make_room(self) -> None:
        """Forget everything if the table is full: a file with that many texts makes us slow, not
        wrong."""
        if self._resolved >= len(self.texts.hashes):
            self.texts.slots.fill(0)
            self.texts.used[0] = self._resolved = 0
