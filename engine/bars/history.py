"""Writes the histories of one sealed cycle: addressed by absolute time, so twice is like once."""

import numpy as np

from engine.bars.history_nb import write_bars, write_prices, write_second, write_volumes
from engine.domain import records
from engine.domain.tables import EngineTables


def row_words(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64 and int64[rows, ROW_WORDS] views of ROW[rows]."""
    count = len(rows)
    return (
        rows.view(np.float64).reshape(count, records.ROW_WORDS),
        rows.view(np.int64).reshape(count, records.ROW_WORDS),
    )


def event_words(events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64 and int64[events, 12] views of BAR_EVENT[events]."""
    count = len(events)
    return events.view(np.float64).reshape(count, -1), events.view(np.int64).reshape(count, -1)


def bar_words(bars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float64 and int64[history_bars, rows, 8] views of BAR[history_bars, rows]."""
    shape = (*bars.shape, 8)
    return bars.view(np.float64).reshape(shape), bars.view(np.int64).reshape(shape)


def _due(before: int, now: int, slots: int) -> range:
    """Whole seconds or minutes to write: those after `before`, at most one per slot."""
    return range(max(before + 1, now - slots + 1), now + 1)


def _write_seconds(tables: EngineTables, due: range, before: np.ndarray) -> None:
    """Rows of several seconds with one state: gathered once, then copied."""
    history, seconds = tables.history, tables.sizes.seconds
    first, short = due.start % seconds, tables.sizes.trade_seconds
    counted = history.second_trades[due.start % short]
    for second in due:
        slot, at = second % seconds, second % short
        history.second_stamp[slot] = history.trades_stamp[at] = -1
        if slot == first:
            prices, volumes = history.second_price[slot], history.second_volume[slot]
            write_second(*row_words(before), prices, volumes, counted)
        else:
            history.second_price[slot] = history.second_price[first]
            history.second_volume[slot] = history.second_volume[first]
            history.second_trades[at] = counted
        history.second_stamp[slot] = history.trades_stamp[at] = second


def _write_minute_price(tables: EngineTables, minute: int, rows: np.ndarray) -> None:
    history = tables.history
    slot = minute % tables.sizes.minutes
    history.minute_stamp[slot] = -1
    write_prices(*row_words(rows), history.minute_price[slot])
    history.minute_stamp[slot] = minute


def _write_session_volume(tables: EngineTables, minute: int, rows: np.ndarray) -> None:
    history = tables.history
    slot = minute % tables.sizes.session_minutes
    history.session_stamp[slot] = -1
    write_volumes(row_words(rows)[0], history.session_volume[slot])
    history.session_stamp[slot] = minute


def write_instants(tables: EngineTables, n: int, second: int, minute: int) -> None:
    """Write the rows of every whole second after `second` and minute after `minute` up to T_n.

    A row holds the state as of its instant: cell n if T_n is that instant, else the cell before.
    """
    cell = tables.cell
    slot = cell.cells.slot(n)
    t_ns = int(cell.heads[slot]["t_ns"])
    if t_ns // records.NS_PER_SECOND == second and t_ns // records.NS_PER_MINUTE == minute:
        return
    after, before = cell.rows[slot], cell.rows[cell.cells.slot(n - 1)]

    def as_of(instant_ns: int) -> np.ndarray:
        rows: np.ndarray = after if instant_ns == t_ns else before
        return rows

    sizes = tables.sizes
    now = t_ns // records.NS_PER_SECOND
    seconds = _due(second, now, sizes.seconds)
    split = now if now * records.NS_PER_SECOND == t_ns else now + 1
    _write_seconds(tables, range(seconds.start, min(split, seconds.stop)), before)
    _write_seconds(tables, range(max(split, seconds.start), seconds.stop), after)
    now = t_ns // records.NS_PER_MINUTE
    for due in _due(minute, now, sizes.minutes):
        _write_minute_price(tables, due, as_of(due * records.NS_PER_MINUTE))
    for due in _due(minute, now, sizes.session_minutes):
        _write_session_volume(tables, due, as_of(due * records.NS_PER_MINUTE))


def write_histories(tables: EngineTables, n: int) -> None:
    """Write everything cycle n >= 1 adds to the histories, from its sealed cell and cell n - 1."""
    cell = tables.cell
    slot, prior = cell.cells.slot(n), cell.cells.slot(n - 1)
    count = int(cell.heads[slot]["event_count"])
    if count:
        write_bars(event_words(cell.events[slot])[1], count, bar_words(tables.history.bars)[1])
    head = cell.heads[prior]
    write_instants(tables, n, int(head["second"]), int(head["minute"]))
