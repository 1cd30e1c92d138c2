"""Carries cooldowns from one stream to the next, in an order independent of the workers."""

import numpy as np

from engine.domain.tables import COOL_WORDS, EngineTables
from engine.scan.cooldown_nb import BUCKET_WORDS, NS_PER_MS, SYMBOL_MASK, bucket_nb, stamp_nb


def export_cooldowns(tables: EngineTables, ids: np.ndarray) -> np.ndarray:
    """Entries that still cool at the newest published cycle: int64[K, 3], ascending.

    ids: int64[count], symbol ids in ticker order. Words of an entry: rule uid, place of the symbol
    in `ids` | cooldown_ms << 32, T_k of the last firing. Symbols that are not in `ids` are left
    out.
    """
    t_ns = int(tables.cell.heads[tables.cell.cells.published() % len(tables.cell.heads)]["t_ns"])
    entries = tables.scan.cooldowns.reshape(-1, COOL_WORDS)
    live = (entries[:, 0] != 0) & (t_ns - entries[:, 2] < (entries[:, 1] >> 32) * NS_PER_MS)
    entries = entries[live]
    place = np.full(tables.sizes.rows, -1, np.int64)
    place[ids] = np.arange(len(ids))
    places = place[entries[:, 1] & SYMBOL_MASK]
    carried = entries[places >= 0].copy()
    carried[:, 1] = places[places >= 0] | (carried[:, 1] >> 32 << 32)
    order = np.lexsort(carried.T[::-1])
    ascending: np.ndarray = carried[order]
    return ascending


def import_cooldowns(tables: EngineTables, ids: np.ndarray, cooldowns: np.ndarray) -> int:
    """Enter what export_cooldowns gave into the empty tables of a new stream.

    Gives the number of entries that found no place. ids: the ids the same tickers have now, in
    the same order.
    """
    lost = 0
    for uid, word, last_ns in cooldowns.tolist():
        symbol = int(ids[word & SYMBOL_MASK])
        table = tables.scan.cooldowns[symbol // tables.sizes.slice_rows].reshape(-1)
        bucket = bucket_nb(uid, symbol, table.size // BUCKET_WORDS)
        # dead only where never used: judge the places by the newest moment they may be asked for
        lost += not stamp_nb(table, bucket, uid, symbol, word >> 32, last_ns, last_ns)
    return lost
