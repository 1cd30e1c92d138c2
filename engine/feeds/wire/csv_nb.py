"""Kernels that read recorded trades and quotes: whole CSV lines in, TICK records out.

A decimal is exact here when its digits fit 53 bits and it has at most 22 places: one division of
two exact numbers rounds once (Clinger). Anything else is left to Python's float() (the `hard`
list).
"""
# mypy: allow-untyped-defs, allow-untyped-calls

from typing import NamedTuple

import numpy as np
from numba import njit

TRADES, QUOTES = 1, 2  # what a file holds; equal to TICK_TRADE and TICK_QUOTE

# Logical columns: `columns[TS]` is the place of ts_ns in the file, -1 if it has none.
TS, RECV, SYMBOL, PRICE, SIZE, ASK, ASK_SIZE, CONDITIONS, VENUE = 0, 1, 2, 3, 4, 5, 6, 7, 8
COLUMNS = 9

# Words of `state`.
AT, ROWS, LINE, BAD, HARD, UNKNOWN = 0, 1, 2, 3, 4, 5
STATE_WORDS = 6

# Why the kernel returned.
DONE, OUT_FULL, NEW_TEXT, NOTES_FULL, SYMBOLS_FULL, TEXTS_FULL = 0, 1, 2, 3, 4, 5

# Why a row is bad.
BAD_COLUMNS, BAD_QUOTES, BAD_TIME, BAD_NUMBER, BAD_PRICE, BAD_SIZE = 1, 2, 3, 4, 5, 6
BAD_SYMBOL, BAD_TEXT, BAD_LENGTH = 7, 8, 9

SYMBOL_BYTES = 24

# Indices of bytes are unsigned: a signed one is checked for being negative at every access (4
# times slower).
U0, U1, U2, U3, U4 = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
COND_REGULAR = 7  # last, high/low and volume: a file without conditions holds regular sales
SIZE_BLANK = 0xFFFF_FFFF
NEWLINE, RETURN, COMMA, QUOTE = np.uint8(10), np.uint8(13), np.uint8(44), np.uint8(34)
PLUS, MINUS, POINT = np.uint8(43), np.uint8(45), np.uint8(46)
ZERO, NINE = np.uint8(48), np.uint8(57)
LOWER, LOW_E = np.uint8(32), np.uint8(101)
FIRST_PRINTABLE, LAST_PRINTABLE = np.uint8(33), np.uint8(126)

EXACT, TO_FLOAT, NOT_A_NUMBER = 0, 1, 2
_TENS = np.array([10.0**k for k in range(23)])
_TEN = np.uint64(10)
_LONGEST, _INSTANT_DIGITS, _TICKER_BYTES = np.uint64(64), np.uint64(19), np.uint64(SYMBOL_BYTES)
_MAX_MANTISSA = np.uint64(1 << 53)
_INT64_MAX = np.uint64((1 << 63) - 1)


class Texts(NamedTuple):
    """Interned byte strings: open addressing over `slots` (entry + 1, 0 free), at most half full.

    slots int64[2**k]; hashes, lengths uint64[n]; text uint8[n, width]; used int64[1];
    value, flag uint8[n]: what Python made of an entry; it is told of every new one at once.
    """

    slots: np.ndarray
    hashes: np.ndarray
    lengths: np.ndarray
    text: np.ndarray
    used: np.ndarray
    value: np.ndarray
    flag: np.ndarray


@njit(cache=True, nogil=True)
def hash_nb(data, start, end):
    """64-bit hash of bytes start..end: FNV-1a in four lanes, because one is a chain of
    multiplications."""
    prime = np.uint64(1099511628211)
    h0 = np.uint64(14695981039346656037)
    h1, h2, h3 = end - start, np.uint64(2), np.uint64(3)
    i = start
    while i + U4 <= end:
        h0 = (h0 ^ np.uint64(data[i])) * prime
        h1 = (h1 ^ np.uint64(data[i + U1])) * prime
        h2 = (h2 ^ np.uint64(data[i + U2])) * prime
        h3 = (h3 ^ np.uint64(data[i + U3])) * prime
        i += U4
    while i < end:
        h0 = (h0 ^ np.uint64(data[i])) * prime
        i += U1
    h = ((h0 * prime ^ h1) * prime ^ h2) * prime ^ h3
    return h ^ (h >> np.uint64(32))


@njit(cache=True, nogil=True)
def find_nb(slots, hashes, lengths, text, data, start, end):
    """Entry of the bytes in a Texts table, or -1 - slot of the free slot where they belong.

    Plain arrays: a tuple of arrays costs a reference count per array and call.
    """
    h = hash_nb(data, start, end)
    mask = np.uint64(slots.shape[0]) - U1
    at = h & mask
    length = end - start
    while slots[at] != 0:
        entry = np.uint64(slots[at] - 1)
        if hashes[entry] == h and lengths[entry] == length:
            i = U0
            while i < length and text[entry, i] == data[start + i]:
                i += U1
            if i == length:
                return np.int64(entry)
        at = (at + U1) & mask
    return -1 - np.int64(at)


@njit(cache=True, nogil=True)
def add_text_nb(texts, data, start, end, slot):
    """Add bytes at a free slot: NEW_TEXT, or TEXTS_FULL if there is no room."""
    entry = texts.used[0]
    if entry >= texts.hashes.shape[0]:
        return TEXTS_FULL
    texts.hashes[entry] = hash_nb(data, start, end)
    texts.lengths[entry] = end - start
    texts.text[entry, :] = 0
    i = U0
    while i < end - start:
        texts.text[entry, i] = data[start + i]
        i += U1
    texts.slots[slot] = entry + 1
    texts.used[0] = entry + 1
    return NEW_TEXT


@njit(cache=True, nogil=True)
def quoted_end_nb(data, start):
    """Index of the quotation mark that closes a field begun before `start`, or of the newline."""
    i = start
    while data[i] != NEWLINE:
        if data[i] == QUOTE:
            if data[i + U1] != QUOTE:
                break
            i += U1
        i += U1
    return i


@njit(cache=True, nogil=True)
def split_nb(data, at, starts, ends):
    """Fields of the line that begins at `at` (a newline follows somewhere).

    Returns (index of the newline, fields found); more fields than `starts` holds are counted only;
    -1 fields: quotes are broken. A quoted field keeps its doubled quotes.
    """
    room = starts.shape[0]
    count = 0
    i = at
    while True:
        start = i
        if data[i] == QUOTE:
            start = i + U1
            end = quoted_end_nb(data, start)
            broken = data[end] == NEWLINE
            i = end if broken else end + U1
            if data[i] == RETURN and data[i + U1] == NEWLINE:
                i += U1
            if broken or (data[i] != COMMA and data[i] != NEWLINE):
                while data[i] != NEWLINE:
                    i += U1
                return i, -1
        else:
            while data[i] != COMMA and data[i] != NEWLINE:
                i += U1
            end = i
            if data[i] == NEWLINE and end > start and data[end - U1] == RETURN:
                end -= U1
        if count < room:
            starts[count] = start
            ends[count] = end
        count += 1
        if data[i] == NEWLINE:
            return i, count
        i += U1


@njit(cache=True, nogil=True)
def number_nb(data, start, end):
    """(value, EXACT), or TO_FLOAT: it may be a number that float() has to read, or NOT_A_NUMBER."""
    i = start
    negative = False
    if i < end and (data[i] == PLUS or data[i] == MINUS):
        negative = data[i] == MINUS
        i += U1
    mantissa = U0
    point = False
    digits, places = 0, 0
    while i < end and mantissa <= _MAX_MANTISSA:
        c = data[i]
        if c >= ZERO and c <= NINE:
            mantissa = mantissa * _TEN + np.uint64(c - ZERO)
            digits += 1
            places += 1 if point else 0
        elif c == POINT and not point:
            point = True
        else:
            break
        i += U1
    if i == end and digits > 0 and mantissa <= _MAX_MANTISSA and places <= 22:
        value = np.float64(np.int64(mantissa))
        if places > 0:
            value /= _TENS[places]
        return (-value if negative else value), EXACT
    if end == start or end - start > _LONGEST:
        return 0.0, NOT_A_NUMBER
    i = start
    while i < end:
        c = data[i]
        if (c < ZERO or c > NINE) and c not in (PLUS, MINUS, POINT) and c | LOWER != LOW_E:
            return 0.0, NOT_A_NUMBER
        i += U1
    return 0.0, TO_FLOAT


@njit(cache=True, nogil=True)
def instant_nb(data, start, end):
    """Nanoseconds written as 1 to 19 digits, -1 if it is something else."""
    if end <= start or end - start > _INSTANT_DIGITS:
        return -1
    value = U0
    i = start
    while i < end:
        c = data[i]
        if c < ZERO or c > NINE:
            return -1
        value = value * _TEN + np.uint64(c - ZERO)
        i += U1
    return np.int64(value) if value <= _INT64_MAX else -1


@njit(cache=True, nogil=True)
def is_ticker_nb(data, start, end):
    """True for 1 to 24 printable ASCII characters without quotation mark and comma."""
    if end <= start or end - start > _TICKER_BYTES:
        return False
    i = start
    while i < end:
        c = data[i]
        if c < FIRST_PRINTABLE or c > LAST_PRINTABLE or c in (QUOTE, COMMA):
            return False
        i += U1
    return True


@njit(cache=True, nogil=True)
def judge_nb(kind, place, value):
    """Why a number cannot stand at a place (0 price, 1 size, 2 ask, 3 ask size), or 0."""
    if place % 2 == 0:
        return BAD_PRICE if value < 0.0 or (kind == TRADES and value == 0.0) else 0
    if value < 0.0:
        return BAD_SIZE
    if kind == QUOTES and (value >= SIZE_BLANK or value != np.floor(value)):
        return BAD_SIZE
    return 0


@njit(cache=True, nogil=True)
def read_rows_nb(
    kind, data, columns, symbols, conditions, venues, out, hard, bad_lines, bad_why, state, fields
):
    """Read whole lines of `data` from state[AT] on; why it stopped (DONE: all are read).

    data uint8[], its last byte a newline; symbols, conditions, venues: Texts; fields uint64[2,
    columns of the file] is scratch. Rows go to out[state[ROWS]...], bad ones to bad_lines and
    bad_why, numbers for float() to hard int64[, 5] (row, place, start, end, line). src_pos is the
    reader's business.
    """
    starts, ends = fields[0], fields[1]
    values = np.empty(4)
    slots, hashes, lengths, text = symbols.slots, symbols.hashes, symbols.lengths, symbols.text
    c_slots, c_hashes, c_lengths = conditions.slots, conditions.hashes, conditions.lengths
    c_text, c_value, c_flag = conditions.text, conditions.value, conditions.flag
    v_slots, v_hashes, v_lengths, v_text = venues.slots, venues.hashes, venues.lengths, venues.text
    at, size, width = np.uint64(state[AT]), np.uint64(data.shape[0]), np.uint64(c_text.shape[1])
    line, rows, bads, hards = state[LINE], state[ROWS], state[BAD], state[HARD]
    unknown, status = state[UNKNOWN], DONE
    f_time, f_recv, f_symbol = columns[TS], columns[RECV], columns[SYMBOL]
    f_conditions, f_venue = columns[CONDITIONS], columns[VENUE]
    numbers = 2 if kind == TRADES else 4
    while at < size:
        if rows >= out.shape[0]:
            status = OUT_FULL
            break
        if bads >= bad_lines.shape[0] or hards + 4 > hard.shape[0]:
            status = NOTES_FULL
            break
        end, count = split_nb(data, at, starts, ends)
        if count == 1 and ends[0] == starts[0]:
            at, line = end + U1, line + 1
            continue
        why, noted = 0, hards
        event_ns, recv_ns = 0, 0
        if count != starts.shape[0]:
            why = BAD_QUOTES if count < 0 else BAD_COLUMNS
        else:
            event_ns = instant_nb(data, starts[f_time], ends[f_time])
            recv_ns = event_ns
            if f_recv >= 0:
                recv_ns = instant_nb(data, starts[f_recv], ends[f_recv])
            if event_ns < 0 or recv_ns < 0:
                why = BAD_TIME
        if why == 0:
            for place in range(numbers):
                a, b = starts[columns[PRICE + place]], ends[columns[PRICE + place]]
                if a == b and kind == QUOTES:
                    values[place] = np.nan
                    continue
                value, verdict = number_nb(data, a, b)
                values[place] = value
                if verdict == TO_FLOAT:
                    hard[noted, 0], hard[noted, 1], hard[noted, 2] = rows, place, a
                    hard[noted, 3], hard[noted, 4] = b, line + 1
                    noted += 1
                    values[place] = 1.0
                why = judge_nb(kind, place, values[place])
                if verdict == NOT_A_NUMBER:
                    why = BAD_NUMBER
                if why != 0:
                    break
        symbol = -1
        if why == 0:
            a, b = starts[f_symbol], ends[f_symbol]
            symbol = find_nb(slots, hashes, lengths, text, data, a, b)
            if symbol < 0 and not is_ticker_nb(data, a, b):
                why = BAD_SYMBOL
        venue, cond, flag = 0, 0, 0
        if why == 0 and f_venue >= 0:
            a, b = starts[f_venue], ends[f_venue]
            if b - a == U1:
                venue = data[a]
            elif b - a > width:
                why = BAD_TEXT
            elif b > a:
                entry = find_nb(v_slots, v_hashes, v_lengths, v_text, data, a, b)
                if entry < 0:
                    status = add_text_nb(venues, data, a, b, -1 - entry)
                    break
                venue = venues.value[entry]
        if why == 0 and f_conditions >= 0:
            a, b = starts[f_conditions], ends[f_conditions]
            if b - a > width:
                why = BAD_TEXT
            else:
                entry = find_nb(c_slots, c_hashes, c_lengths, c_text, data, a, b)
                if entry < 0:
                    status = add_text_nb(conditions, data, a, b, -1 - entry)
                    break
                cond, flag = c_value[entry], c_flag[entry]
        elif why == 0 and kind == TRADES:
            cond = COND_REGULAR
        if why != 0:
            bad_lines[bads], bad_why[bads] = line + 1, why
            bads += 1
            at, line = end + U1, line + 1
            continue
        if symbol < 0:
            a, b = starts[f_symbol], ends[f_symbol]
            if add_text_nb(symbols, data, a, b, -1 - symbol) == TEXTS_FULL:
                status = SYMBOLS_FULL
                break
            symbol = symbols.used[0] - 1
        emit_nb(out[rows], kind, event_ns, recv_ns, symbol, values, cond, venue)
        rows += 1
        unknown += flag
        hards = noted
        at, line = end + U1, line + 1
    state[AT], state[UNKNOWN] = at, unknown
    state[LINE], state[ROWS], state[BAD], state[HARD] = line, rows, bads, hards
    return status


@njit(cache=True, nogil=True)
def emit_nb(tick, kind, event_ns, recv_ns, symbol, values, cond, venue):
    """Fill one TICK record; values: price and size, or bid, bid size, ask, ask size (NaN blank)."""
    tick.kind, tick.cond, tick.exchange, tick.tape = kind, cond, venue, 0
    tick.sym = symbol
    tick.recv_ns, tick.event_ns = recv_ns, event_ns
    tick.src_pos, tick.id = 0, 0
    tick.a = values[0]
    if kind == TRADES:
        tick.b, tick.n1, tick.n2 = values[1], 0, 0
        return
    tick.b = values[2]
    tick.n1 = np.uint32(values[1]) if values[1] == values[1] else np.uint32(SIZE_BLANK)
    tick.n2 = np.uint32(values[3]) if values[3] == values[3] else np.uint32(SIZE_BLANK)


@njit(cache=True, nogil=True)
def clamp_nb(ticks, time_ns):
    """Let recv_ns never go back behind time_ns; (recv_ns of the last tick, ticks that were
    behind)."""
    late = 0
    for i in range(ticks.shape[0]):
        if ticks[i].recv_ns < time_ns:
            ticks[i].recv_ns = time_ns
            late += 1
        time_ns = ticks[i].recv_ns
    return time_ns, late
