"""Writes the alerts of a cycle into the free slots of a lane."""
# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np
from numba import njit, uint64

from engine.domain.records import (
    LANE_ALERT,
    LANE_COUNT_SHIFT,
    LANE_SYMBOL,
    R_BAR_INDEX,
    R_GAP,
    R_LAST,
    R_TICK_EVENT,
    R_TICK_RECV,
)
from engine.metrics.reach_nb import reaches_gap_nb
from engine.rules import opcodes as op
from engine.rules.bits_nb import WORD_BITS, has_bit_nb
from engine.rules.operators_nb import instant_nb
from shm.lane import SLOT_WORDS


@njit(cache=True, nogil=True, _nrt=False)
def slots_needed_nb(alerts, count, capture_first):
    """Lane slots of alerts[:count] (rule << 32 | symbol) and the end record."""
    need = 1
    for i in range(count):
        rule = alerts[i] >> 32
        words = capture_first[rule + 1] - capture_first[rule]
        need += 1 + (words + SLOT_WORDS - 1) // SLOT_WORDS
    return need


@njit(cache=True, nogil=True, _nrt=False)
def gaps_nb(row, captures, first, end, reach, t_ns, closed_minute, session):
    """Bit i: capture first + i is a metric whose window reaches into the newest gap; row: int64
    words of ROW."""
    gaps = np.int64(0)
    if row[R_GAP] == 0:
        return gaps
    for at in range(first, end):
        column = captures[at, op.C_AT]
        if captures[at, op.C_KIND] != op.CAPTURE_COLUMN or column >= reach.shape[0]:
            continue
        kind, span = reach[column]
        inside = reaches_gap_nb(
            kind, span, row[R_GAP], row[R_BAR_INDEX], t_ns, closed_minute, session
        )
        gaps |= np.int64(inside) << (at - first)
    return gaps


@njit(cache=True, nogil=True, _nrt=False)
def is_true_nb(bits, first_word, register, symbol):
    """Whether a condition's register, uint64[tiles, registers, 8], holds a symbol."""
    local = symbol - first_word * WORD_BITS
    word = bits[local // op.TILE, register, local // WORD_BITS % op.TILE_WORDS]
    return word >> uint64(local % WORD_BITS) & uint64(1) != uint64(0)


@njit(cache=True, nogil=True, _nrt=False)
def captured_nb(capture, symbol, code, past, cycle, bits):
    """A number that is carried with an alert; NaN unknown."""
    kind, at, other = capture[op.C_KIND], capture[op.C_AT], capture[op.C_OTHER]
    if kind == op.CAPTURE_COLUMN:
        return cycle.columns[at, symbol]
    if kind == op.CAPTURE_TRUTH:
        if is_true_nb(bits, cycle.first_word, at, symbol):
            return 1.0
        denied = other >= 0 and is_true_nb(bits, cycle.first_word, other, symbol)
        return 0.0 if denied else np.nan
    state = code.states[at]
    if kind == op.CAPTURE_LAG:
        last = instant_nb(state[op.S_UNIT], cycle.when)
        place = (last - state[op.S_COUNT]) % state[op.S_ROWS]
        return past.rows_f[code.row_slots[state[op.S_ROW] + place], symbol]
    # not the register of the condition: others may have used it since
    if has_bit_nb(past.now[code.planes[state[op.S_PLANE]]], symbol):
        return 0.0
    if has_bit_nb(past.now[code.planes[state[op.S_PLANE] + 1]], symbol):
        return (cycle.when[op.W_T] - past.rows[code.row_slots[state[op.S_ROW]], symbol]) / 1e9
    return np.nan


@njit(cache=True, nogil=True, _nrt=False)
def step_time_nb(capture, symbol, code, past):
    """T of a step of the sequence completed last, 0 if none was."""
    state, step = code.states[capture[op.C_AT]], capture[op.C_OTHER]
    size = state[op.S_STEPS]
    if not has_bit_nb(past.now[code.planes[state[op.S_PLANE] + size - 1]], symbol):
        return np.int64(0)
    return past.rows[code.row_slots[state[op.S_ROW] + size - 1 + step], symbol]


@njit(cache=True, nogil=True, _nrt=False)
def write_alerts_nb(
    data, data_f, at, alerts, count, code, past, cycle, bits, reach, rows, n, closed_minute,
    session, version,
):  # fmt: skip
    """Write alert records (see LANE_ALERT) from lane position `at` on; the position behind them.

    data: int64[slots, 8], data_f the same as float64. alerts: rule << 32 | symbol. code, past,
    cycle, bits: what the cycle was evaluated with. reach: int64[metrics, 2], kind and span of the
    windows. rows: int64[rows, ROW_WORDS] words of ROW; session: int64 words of SESSION.
    """
    mask = data.shape[0] - 1
    for i in range(count):
        rule, symbol = alerts[i] >> 32, alerts[i] & LANE_SYMBOL
        first, end = code.capture_first[rule], code.capture_first[rule + 1]
        row, record = rows[symbol], data[at & mask]
        record[0] = LANE_ALERT | (end - first) << LANE_COUNT_SHIFT
        record[1], record[2], record[3] = n, alerts[i], row[R_LAST]
        record[4], record[5], record[6] = row[R_TICK_EVENT], version, row[R_TICK_RECV]
        record[7] = gaps_nb(
            row, code.captures, first, end, reach, cycle.when[op.W_T], closed_minute, session
        )
        at += 1
        for place in range(first, end):
            word = (place - first) % SLOT_WORDS
            if word == 0:
                data[at & mask] = 0
            capture = code.captures[place]
            if capture[op.C_KIND] == op.CAPTURE_STEP:
                data[at & mask, word] = step_time_nb(capture, symbol, code, past)
            else:
                data_f[at & mask, word] = captured_nb(capture, symbol, code, past, cycle, bits)
            if word == SLOT_WORDS - 1 or place == end - 1:
                at += 1
    return at
