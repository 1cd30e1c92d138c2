"""Cooldowns of one worker, and how they are carried from one stream to the next."""

import numpy as np

from engine.domain.tables import COOL_WORDS, EngineTables
from engine.rules.bits_nb import WORD_BITS
from engine.rules.compiler import CompiledRules
from engine.scan.cooldown_nb import (
    NS_PER_MS,
    STATE_WORDS,
    SYMBOL_MASK,
    WHEEL_SLOTS,
    Cooling,
    expire_nb,
    rebuild_nb,
    room_nb,
    stamp_nb,
)


class Cooldowns:
    """Which pairs of a worker cool: its part of the shared table, and the bitmap made from it.

    bits: uint64[R, slice / 64] for the R rules of the last `take`. Who decides that a pair fires
    sets its bit; `stamp` makes it last, and `expire` clears it.
    """

    def __init__(self, tables: EngineTables, worker: int) -> None:
        slice_rows = tables.sizes.slice_rows
        self.table = tables.scan.cooldowns[worker].reshape(-1)
        self._first = worker * slice_rows
        self._words = slice_rows // WORD_BITS
        places = len(tables.scan.cooldowns[worker])
        self._cooling = Cooling(
            bits=np.zeros((0, self._words), np.uint64),
            pair=np.zeros(places, np.int64),
            due_ns=np.zeros(places, np.int64),
            after=np.zeros(places, np.int32),
            heads=np.zeros(WHEEL_SLOTS, np.int32),
            state=np.zeros(STATE_WORDS, np.int64),
        )

    @property
    def bits(self) -> np.ndarray:
        """The bitmap."""
        return self._cooling.bits

    @property
    def room(self) -> int:
        """How many more pairs may begin to cool."""
        return int(room_nb(self._cooling))

    def take(self, rules: CompiledRules, t_ns: int) -> None:
        """Go on with `rules` and the table as it is, in the cycle at t_ns: after a start, and when
        the rules change. Pairs that still cool take their rule's cooldown of now."""
        bits = np.zeros((len(rules), self._words), np.uint64)
        self._cooling = self._cooling._replace(bits=bits)
        order = np.argsort(rules.rule_uid)
        rebuild_nb(
            self._cooling, self.table, rules.rule_uid[order], order, rules.cooldown_ms[order],
            self._first, t_ns,
        )  # fmt: skip

    def expire(self, t_ns: int) -> None:
        """Forget what no longer cools at t_ns."""
        expire_nb(self._cooling, t_ns)

    def stamp(self, fired: np.ndarray, count: int, rules: CompiledRules, t_ns: int) -> None:
        """Enter fired[:count] (rule slot << 32 | symbol id, ascending, at most `room`), whose bits
        are set and whose rules have a cooldown, as fired at t_ns."""
        stamp_nb(
            self._cooling, self.table, fired, count, rules.rule_uid, rules.cooldown_ms,
            self._first, t_ns,
        )  # fmt: skip


def export_cooldowns(tables: EngineTables, ids: np.ndarray) -> np.ndarray:
    """Entries that still cool at the newest published cycle: int64[K, 3], ascending.

    ids: int64[count], symbol ids in ticker order. Words of an entry: rule uid, place of the symbol
    in `ids` | cooldown_ms << 32, T_k of the last firing. Symbols that are not in `ids` are left
    out. Nothing of it depends on the workers.
    """
    t_ns = int(tables.cell.heads[tables.cell.cells.published() % len(tables.cell.heads)]["t_ns"])
    entries = tables.scan.cooldowns.reshape(-1, COOL_WORDS)
    live = (entries[:, 0] != 0) & (t_ns - entries[:, 2] < (entries[:, 1] >> 32) * NS_PER_MS)
    entries = entries[live]
    place = np.full(tables.sizes.rows, -1, np.int64)
    place[ids] = np.arange(len(ids))
    return moved(entries, place)


def moved(entries: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Entries of cooldowns with place[symbol] in place of each symbol: int64[K, 3], ascending.

    place: int64[any], -1: its entries are left out.
    """
    places = place[entries[:, 1] & SYMBOL_MASK]
    carried = entries[places >= 0]
    carried[:, 1] = places[places >= 0] | (carried[:, 1] >> 32 << 32)
    order = np.lexsort(carried.T[::-1])
    ascending: np.ndarray = carried[order]
    return ascending


def import_cooldowns(tables: EngineTables, ids: np.ndarray, cooldowns: np.ndarray) -> int:
    """Enter what export_cooldowns gave into the empty tables of a new stream.

    Gives the number of entries that found no place. ids: the ids the same tickers have now, in
    the same order.
    """
    symbols = ids[cooldowns[:, 1] & SYMBOL_MASK]
    entries = cooldowns.copy()
    entries[:, 1] = symbols | (cooldowns[:, 1] >> 32 << 32)
    lost = 0
    for worker, table in enumerate(tables.scan.cooldowns):
        ours = entries[symbols // tables.sizes.slice_rows == worker]
        table[: len(ours)] = ours[: len(table)]
        lost += max(0, len(ours) - len(table))
    return lost
