"""Table of names by number (symbol id -> ticker, feed number -> ticker): one writer."""

import numpy as np

from shm.arena import Arena
from shm.errors import NamesError
from shm.fences import read_word
from shm.names_nb import NAME_WORDS, VERSION, all_names_nb, finish_nb, get_name_nb, set_name_nb
from shm.words import words

NAME_BYTES = 8 * NAME_WORDS


class Names:
    """ctl: int64[2 * 16]; raw: S24[rows], '' free.

    `get` and `all` return whole names whatever the writer does; `raw` is for bulk use where no
    change is going on (the writer itself, or after `version` was checked on both sides).
    """

    def __init__(self, name: str, ctl: np.ndarray, raw: np.ndarray) -> None:
        self.name = name
        self.ctl = ctl
        self.raw = raw
        self._cells: np.ndarray | None = None

    @classmethod
    def create(cls, arena: Arena, name: str, rows: int) -> "Names":
        """A new table, all rows free, in arrays `<name>_ctl` and `<name>_raw`."""
        ctl = words(arena, f"{name}_ctl", 2)
        return cls(name, ctl, arena.array(f"{name}_raw", rows, f"S{NAME_BYTES}"))

    @property
    def words(self) -> np.ndarray:
        """The names as int64[rows, 3], as the kernels take them."""
        if self._cells is None:
            self._cells = self.raw.view(np.int64).reshape(len(self.raw), NAME_WORDS)
        return self._cells

    def _check(self, i: int) -> None:
        if not 0 <= i < len(self.raw):
            raise NamesError(f"row {i} of names {self.name!r} is not among {len(self.raw)} rows")

    def set(self, i: int, text: str) -> None:
        """Give row i a name ('' frees it): at most 24 bytes of UTF-8 without NUL."""
        self._check(i)
        encoded = text.encode()
        if len(encoded) > NAME_BYTES or b"\0" in encoded:
            raise NamesError(f"{text!r} is not a name of at most {NAME_BYTES} bytes")
        name = np.frombuffer(encoded.ljust(NAME_BYTES, b"\0"), np.int64)
        set_name_nb(self.ctl, self.words, i, name.copy())

    def get(self, i: int) -> str:
        """The name of row i, '' if free; raises NamesError if it changes faster than it is read."""
        self._check(i)
        out = np.empty(NAME_WORDS, np.int64)
        if not get_name_nb(self.ctl, self.words, i, out):
            raise NamesError(f"row {i} of names {self.name!r} changes faster than it can be read")
        return out.tobytes().rstrip(b"\0").decode()

    def all(self) -> list[tuple[int, str]]:
        """(row, name) of every row that is not free."""
        out = np.empty((len(self.raw), NAME_WORDS), np.int64)
        failed = all_names_nb(self.ctl, self.words, out)
        if failed >= 0:
            raise NamesError(
                f"row {failed} of names {self.name!r} changes faster than it can be read"
            )
        raw = out.reshape(-1).view(f"S{NAME_BYTES}")
        return [(int(i), raw[i].decode()) for i in np.flatnonzero(out[:, 0])]

    def version(self) -> int:
        """A number that is another one after every set."""
        return (read_word(self.ctl, VERSION) + 1) >> 1

    def recover(self) -> bool:
        """A new writer finishes what a dead one began; True if there was something. `set` does it
        too."""
        return bool(finish_nb(self.ctl, self.words))
