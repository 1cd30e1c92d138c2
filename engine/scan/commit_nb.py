"""Writes the alerts of a cycle into the free slots of a lane."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit

from engine.domain.records import (
    LANE_ALERT,
    LANE_COUNT_SHIFT,
    R_BAR_INDEX,
    R_GAP,
    R_LAST,
    R_TICK_EVENT,
    R_TICK_RECV,
)
from engine.metrics.reach_nb import reaches_gap_nb
from engine.scan.cooldown_nb import SYMBOL_MASK
from shm.lane import SLOT_WORDS


@njit(cache=True, nogil=True)
def slots_needed_nb(alerts, count, rule_first):
    """Lane slots of alerts[:count] (rule << 32 | symbol) and the end record."""
    need = 1
    for i in range(count):
        rule = alerts[i] >> 32
        leaves = rule_first[rule + 1] - rule_first[rule]
        need += 1 + (leaves + SLOT_WORDS - 1) // SLOT_WORDS
    return need


@njit(cache=True, nogil=True)
def gaps_nb(row, leaf_col, first, end, reach, t_ns, closed_minute, session):
    """Bit i: the window of leaf first + i reaches into the newest gap; row: int64 words of ROW."""
    gaps = np.int64(0)
    if row[R_GAP] == 0:
        return gaps
    for leaf in range(first, end):
        kind, span = reach[leaf_col[leaf]]
        inside = reaches_gap_nb(
            kind, span, row[R_GAP], row[R_BAR_INDEX], t_ns, closed_minute, session
        )
        gaps |= np.int64(inside) << (leaf - first)
    return gaps


@njit(cache=True, nogil=True)
def write_alerts_nb(
    data, at, alerts, count, rule_first, leaf_col, reach, columns, rows, n, t_ns, closed_minute,
    session, version,
):  # fmt: skip
    """Write alert records (see LANE_ALERT) from lane position `at` on; the position behind them.

    data: int64[slots, 8]. alerts: rule << 32 | symbol. reach: int64[metrics, 2], kind and span of
    the windows. columns: int64[metrics, rows], bits of the metric columns; rows: int64[rows, 64]
    words of ROW; session: int64 words of SESSION.
    """
    mask = data.shape[0] - 1
    for i in range(count):
        rule, symbol = alerts[i] >> 32, alerts[i] & SYMBOL_MASK
        first, end = rule_first[rule], rule_first[rule + 1]
        row, record = rows[symbol], data[at & mask]
        record[0] = LANE_ALERT | (end - first) << LANE_COUNT_SHIFT
        record[1], record[2], record[3] = n, alerts[i], row[R_LAST]
        record[4], record[5], record[6] = row[R_TICK_EVENT], version, row[R_TICK_RECV]
        record[7] = gaps_nb(row, leaf_col, first, end, reach, t_ns, closed_minute, session)
        at += 1
        for leaf in range(first, end):
            word = (leaf - first) % SLOT_WORDS
            if word == 0:
                data[at & mask] = 0
            data[at & mask, word] = columns[leaf_col[leaf], symbol]
            if word == SLOT_WORDS - 1 or leaf == end - 1:
                at += 1
    return at
