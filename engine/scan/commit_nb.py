"""Writes the alerts of a cycle into the free slots of a lane."""
# mypy: allow-untyped-defs, allow-untyped-calls

from numba import njit

from engine.domain.records import R_LAST, R_TICK_EVENT, R_TICK_RECV
from engine.scan.cooldown_nb import SYMBOL_MASK
from shm.lane import SLOT_WORDS

LANE_ALERT, LANE_END = 1, 2
_COUNT_SHIFT = 8


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
def write_alerts_nb(data, at, alerts, count, rule_first, leaf_col, columns, rows, n, version):
    """Write alert records from lane position `at` on; the position behind them.

    data: int64[slots, 8]. An alert: [LANE_ALERT | values << 8, n, rule slot, symbol id, price bits,
    event_ns, rules version, recv_ns], then the left-hand values of its leaves in their order.
    columns: int64[metrics, rows], bits of the metric columns; rows: int64[rows, 64] words of ROW.
    """
    mask = data.shape[0] - 1
    for i in range(count):
        rule, symbol = alerts[i] >> 32, alerts[i] & SYMBOL_MASK
        first, end = rule_first[rule], rule_first[rule + 1]
        record = data[at & mask]
        record[0] = LANE_ALERT | (end - first) << _COUNT_SHIFT
        record[1], record[2], record[3] = n, rule, symbol
        record[4] = rows[symbol, R_LAST]
        record[5] = rows[symbol, R_TICK_EVENT]
        record[6], record[7] = version, rows[symbol, R_TICK_RECV]
        at += 1
        for leaf in range(first, end):
            word = (leaf - first) % SLOT_WORDS
            if word == 0:
                data[at & mask] = 0
            data[at & mask, word] = columns[leaf_col[leaf], symbol]
            if word == SLOT_WORDS - 1 or leaf == end - 1:
                at += 1
    return at
