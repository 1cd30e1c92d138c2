"""Cell 0: empty rows, the head at T_0, a new session date."""

import numpy as np

from engine.bars.admission import count_by_slice
from engine.bars.errors import BarsError
from engine.bars.history import write_instants
from engine.bars.layout import R_SEEN
from engine.domain import records
from engine.domain.tables import EngineTables

_UNKNOWN = (
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "open_rth",
    "close_rth",
    "luld_lower",
    "luld_upper",
    "high",
    "low",
    "max_print_usd",
    "first",
    "low_before_high",
    "high_before_low",
    "opening_high",
    "opening_low",
)
_ZERO = (
    "quote_event_ns",
    "volume",
    "pv",
    "trades",
    "high_event_ns",
    "low_event_ns",
    "halted",
    "halt_reason",
    "status_event_ns",
    "blind",
    "approx",
    "pool_head",
    "cumulative_volume",
    "spare",
    "ppv",
    "blocks",
    "blocks_usd",
    "new_highs",
    "new_lows",
    "halts",
    "halt_event_ns",
    "resume_event_ns",
)


def empty_rows(count: int) -> np.ndarray:
    """ROW[count] of symbols about which nothing is known: prices NaN, volumes 0, no open minute."""
    rows = np.zeros(count, records.ROW)
    rows["last"] = np.nan
    rows["last_size"] = np.nan
    rows["final_minute"] = -1
    rows["block_shares"] = records.BLOCK_SHARES
    _clear_session(rows)
    return rows


def _clear_session(rows: np.ndarray) -> None:
    for name in _UNKNOWN:
        rows[name] = np.nan
    for name in _ZERO:
        rows[name] = 0
    minutes = np.zeros(1, records.OPEN_MINUTE)
    for name in ("open", "high", "low", "close"):
        minutes[name] = np.nan
    minutes["minute"] = -1
    rows["minutes"] = minutes[0]


def roll_session(rows: np.ndarray, begin_ns: int) -> np.ndarray:
    """Start a new session date in ROW[:] `rows`, in place.

    Everything of a session is reset; last and its stamps, bar_index and final_minute stay. A last
    price at or after begin_ns counts as one of the new date. Returns float64[rows], the last
    regular price of the date before (NaN unknown): a candidate for prev_close.
    """
    closes: np.ndarray = rows["close_rth"].copy()
    _clear_session(rows)
    today = np.isfinite(rows["last"]) & (rows["last_event_ns"] >= begin_ns)
    rows["first"][today] = rows["last"][today]
    rows.view(np.int64).reshape(len(rows), records.ROW_WORDS)[:, R_SEEN] = today
    return closes


def new_head(tables: EngineTables, t_ns: int) -> np.void:
    """CELL_HEAD of cycle 0 at T_0: cursors at the tails of the rings, ids counted by slice.

    Minutes whose end and grace lie before T_0 count as closed.
    """
    session = tables.session[0]
    head: np.void = np.zeros(1, records.CELL_HEAD)[0]
    head["t_ns"] = t_ns
    head["k"] = t_ns // int(session["interval_ns"])
    for feed, ring in enumerate(tables.ticks.rings):
        head["tick_end"][feed] = ring.tail()
    head["bar_tail"] = tables.bar_ring.tail()
    head["rules_version"] = tables.rules.latest()
    head["symbol_count"] = count_by_slice(tables.names, tables.sizes)
    head["closed_minute"] = closed_minute(t_ns, int(session["grace_ns"]))
    head["second"] = t_ns // records.NS_PER_SECOND
    head["minute"] = t_ns // records.NS_PER_MINUTE
    return head


def closed_minute(t_ns: int, grace_ns: int) -> int:
    """Newest minute that is closed at T_k: its end and the grace have passed."""
    return (t_ns - grace_ns) // records.NS_PER_MINUTE - 1


def init_genesis(tables: EngineTables, rows: np.ndarray, head: np.ndarray | np.void) -> None:
    """Publish cell 0 from ROW[rows] and a CELL_HEAD, whose t_ns is T_0, a grid point.

    tables.session and, for symbols known beforehand, names and feed_names are filled before (see
    `empty_rows` and `new_head` for a start from nothing). Reference data of ids without a name
    becomes unknown. The whole second and minute at T_0, if it is one, go to the histories.
    """
    interval_ns, t_ns = int(tables.session[0]["interval_ns"]), int(head["t_ns"])
    if interval_ns <= 0 or t_ns % interval_ns:
        raise BarsError(f"T_0 = {t_ns} is not a multiple of the interval of {interval_ns} ns")
    cell = tables.cell
    if cell.cells.published() >= 0:
        raise BarsError(f"genesis comes first, but cycle {cell.cells.published()} is published")
    second, minute = t_ns // records.NS_PER_SECOND, t_ns // records.NS_PER_MINUTE
    cell.rows[0] = rows
    cell.heads[0] = head
    for name, value in (("n", 0), ("event_count", 0), ("second", second), ("minute", minute)):
        cell.heads[0][name] = value
    unnamed = np.asarray(tables.names.raw) == b""
    tables.reference[unnamed] = records.unknown_reference(1)
    cell.cells.seal(0)
    whole_second = second * records.NS_PER_SECOND == t_ns
    whole_minute = minute * records.NS_PER_MINUTE == t_ns
    write_instants(tables, 0, second - whole_second, minute - whole_minute)
    cell.cells.publish(0)
