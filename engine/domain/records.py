"""Fixed-size records: ticks, decisions, symbol rows, bars.

Times are int64 ns UTC; minutes are ns // 60e9.
"""

import numpy as np

NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
MAX_FEEDS = 8
# Volumes are kept modulo 2**32. A difference above this is a fall: a cancel of an older trade.
MAX_VOLUME_STEP = 3 << 30

# -- ticks ---------------------------------------------------------------------------------------
# What the fields mean, by kind ("-" = unused, 0):
#   kind        a           b            n1        n2        id                  ticker
#   TRADE       price       size         -         -         trade id hash       -
#   QUOTE       bid         ask          bid size  ask size  -                   -
#   CORRECTION  new price   new size     -         -         id of the original  -
#   CANCEL      -           -            -         -         id of the original  -
#   STATUS      -           -            code      reason    -                   -
#   LULD        lower band  upper band   -         -         -                   -
#   GAP_START / GAP_END: sym < 0 means every symbol of this feed
#   ADMIT       bytes 8..23 of the ticker  length  -        bytes 0..7 of the ticker
# A blank side of a quote is NaN (price) and SIZE_BLANK (size): it leaves that side as it was.
TICK_TRADE, TICK_QUOTE, TICK_CORRECTION, TICK_CANCEL = 1, 2, 3, 4
TICK_STATUS, TICK_LULD, TICK_GAP_START, TICK_GAP_END, TICK_ADMIT = 5, 6, 7, 8, 9
SIZE_BLANK = 0xFFFF_FFFF

# Bits of `cond`: what a trade may change (from its sale conditions).
COND_LAST = 1            # sets last, open and close
COND_HILO = 2            # sets high and low
COND_VOLUME = 4          # counts to volume, VWAP sums
COND_EXTENDED = 8        # outside regular hours it also sets last and high/low
COND_LAST_IF_FIRST = 16  # sets last only when it is the first eligible trade of the session date
COND_CLOSE = 32          # a closing print or official close: its price may be the official close
COND_BAR = 64            # part of an imported bar: neither sizes nor the number of trades are known

# STATUS codes (n1)
STATUS_TRADING, STATUS_HALTED, STATUS_QUOTE_RESUME = 0, 1, 2

TICK = np.dtype(
    [
        ("kind", "u1"),
        ("cond", "u1"),
        ("exchange", "u1"),  # ASCII code of the venue, 0 unknown
        ("tape", "u1"),      # ASCII A, B, C; 0 unknown
        ("sym", "i4"),       # number of the ticker within its feed (see ADMIT), not the symbol id
        ("recv_ns", "i8"),   # when we took it in; a recording without it: event_ns
        ("event_ns", "i8"),  # the exchange's stamp
        ("src_pos", "i8"),   # row or sequence at the source; a restarted feed goes on after it
        ("id", "i8"),
        ("a", "f8"),
        ("b", "f8"),
        ("n1", "u4"),
        ("n2", "u4"),
    ]
)
assert TICK.itemsize == 64

# -- lanes ---------------------------------------------------------------------------------------
# What a scan worker commits, in words of a lane's slot. An alert: [LANE_ALERT | values <<
# LANE_COUNT_SHIFT, n, rule slot << 32 | symbol id (| LANE_EXIT: it left), price bits, event_ns,
# rules version, recv_ns, gaps], then what the alert carries (see rules.captures), eight values a
# slot; bit i of gaps: the window of value i, a metric, reaches into the symbol's newest gap. End of
# a cycle: [LANE_END, n, alerts, fired in all, T_k, suppressed by cooldown, pairs true, suppressed
# for want of room].
LANE_ALERT, LANE_END = 1, 2
LANE_COUNT_SHIFT = 8
LANE_EXIT = 1 << 31
LANE_SYMBOL = LANE_EXIT - 1

# -- decisions -----------------------------------------------------------------------------------
DECISION_LAGGING = 1      # a ring was cut at its tail after feed.watermark_wait_ms
DECISION_REANCHORED = 2   # the engine clock got a new anchor before this cycle
DECISION_END = 4          # the stream ends with this cycle
DECISION_UNRECORDED = 8   # the recorder no longer gates: the tape has a gap from here on

DECISION = np.dtype(
    [
        ("n", "i8"),              # dense number, 1, 2, 3, ...; 0 is genesis
        ("k", "i8"),              # T // interval
        ("t_ns", "i8"),           # T_k
        ("tick_end", "i8", (MAX_FEEDS,)),  # end cursor of every ring (exclusive)
        ("rules_version", "i8"),
        ("flags", "i8"),
        ("absent", "i8"),         # grid points left out since the cycle before
        ("anchor_ns", "i8"),      # engine clock: CLOCK_MONOTONIC + anchor (live), else 0
        ("decided_ns", "i8"),     # wall stamp for latency figures; never read by the cycle
        ("stride", "i8"),         # every so many-th cycle looks at symbols that may wait; 0 means 1
        ("recent_ns", "i8"),      # a symbol that fired no longer ago does not wait
        ("spare", "i8", (1,)),
        ("crc", "i8"),            # CRC-32 of the bytes before it
    ]
)
assert DECISION.itemsize == 160

# -- symbol row: all state of bars for one symbol ------------------------------------------------
_OPEN_MINUTE = [
    ("minute", "i8"),  # absolute minute; -1: slot free
    ("open", "f8"),
    ("high", "f8"),
    ("low", "f8"),
    ("close", "f8"),
    ("volume", "f8"),
    ("pv", "f8"),      # sum of price * size over volume-eligible trades
    ("trades", "i8"),
    ("flags", "i8"),
]
OPEN_MINUTE = np.dtype(_OPEN_MINUTE)

PM, RTH, AH = 0, 1, 2  # index of a session in the per-session fields; OUTSIDE sets last only
OUTSIDE = 3

ROW = np.dtype(
    [
        ("last", "f8"),
        ("last_size", "f8"),
        ("last_event_ns", "i8"),
        ("tick_event_ns", "i8"),      # event_ns of the last tick of any kind applied
        ("bid", "f8"),
        ("ask", "f8"),
        ("bid_size", "f8"),
        ("ask_size", "f8"),
        ("quote_event_ns", "i8"),
        ("minutes", OPEN_MINUTE, (2,)),  # open minutes, older first; a free slot has minute -1
        ("volume", "f8", (3,)),       # per session pm, rth, ah
        ("pv", "f8", (3,)),
        ("trades", "i8", (3,)),
        ("high", "f8", (3,)),         # NaN until the first eligible trade
        ("low", "f8", (3,)),
        ("high_event_ns", "i8", (3,)),
        ("low_event_ns", "i8", (3,)),
        ("open_rth", "f8"),           # first eligible regular print (or the official open)
        ("close_rth", "f8"),          # last eligible regular print so far
        ("halted", "i8"),
        ("halt_reason", "i8"),
        ("luld_lower", "f8"),
        ("luld_upper", "f8"),
        ("status_event_ns", "i8"),
        ("blind", "i8"),              # 1 while its feed has a gap
        ("approx", "i8"),             # bit per session: extremes could not be rebuilt exactly;
                                      # APPROX_TRADES: the input is bars, trades are not counted
        ("pool_head", "i8"),          # position + 1 of its newest entry in the trade pool, 0 none
        ("final_minute", "i8"),       # newest final bar with a price, -1 none
        ("bar_index", "i8"),          # final bars with a price so far (newest: bar_index - 1)
        ("cumulative_volume", "f8"),  # volume of the session date, all sessions
        ("tick_recv_ns", "i8"),       # recv_ns of the last tick of any kind applied
        ("spare", "i8", (1,)),
        ("gap", "i8"),                # newest gap of its feeds: see GAP_SECOND; 0 none so far
        ("ppv", "f8"),                # regular hours: sum of price ** 2 * size
        ("max_print_usd", "f8"),      # largest price * size of one trade of the session date
        ("block_shares", "f8"),       # a trade of at least so many, and of BLOCK_USD, is a block
        ("blocks", "i8"),
        ("blocks_usd", "f8"),
        ("first", "f8"),              # price of the session date's first trade that set last
        ("new_highs", "i8"),          # of regular hours, as printed, once an exchange second
        ("new_lows", "i8"),
        ("low_before_high", "f8"),    # lowest regular price up to the trade that set the high
        ("high_before_low", "f8"),
        ("halts", "i8"),              # times that trading was halted or paused today
        ("halt_event_ns", "i8"),      # when the newest halt began, 0 none
        ("resume_event_ns", "i8"),    # when trading last resumed, 0 never
        ("opening_high", "f8", (5,)),  # extremes of the parts of the first hour, see opening_part
        ("opening_low", "f8", (5,)),
        ("unused", "i8"),
    ]
)
assert ROW.itemsize == 704

# The opening ranges are those of the first 1, 5, 15, 30 and 60 minutes of regular hours. A row
# keeps the extremes of [0, 1), [1, 5), [5, 15), [15, 30) and [30, 60): one is touched by a trade.
OPENING_MINUTES = (1, 5, 15, 30, 60)
BLOCK_SHARES, BLOCK_USD = 10_000.0, 200_000.0
BLOCK_SHARE_OF_ADV = 0.0005


def _word(dtype: np.dtype, field: str) -> int:
    """Index of a field in 8-byte words: kernels see a row as int64 and as float64 words."""
    assert dtype.fields is not None
    return int(dtype.fields[field][1]) // 8


# Word offsets for kernels: rows_f[s, R_LAST], rows_i[s, R_MINUTES + slot * OPEN_WORDS + O_MINUTE].
ROW_WORDS = ROW.itemsize // 8
R_LAST = _word(ROW, "last")
R_LAST_SIZE = _word(ROW, "last_size")
R_LAST_EVENT = _word(ROW, "last_event_ns")
R_TICK_EVENT = _word(ROW, "tick_event_ns")
R_BID, R_ASK = _word(ROW, "bid"), _word(ROW, "ask")
R_BID_SIZE = _word(ROW, "bid_size")
R_ASK_SIZE = _word(ROW, "ask_size")
R_QUOTE_EVENT = _word(ROW, "quote_event_ns")
R_MINUTES, OPEN_WORDS = _word(ROW, "minutes"), OPEN_MINUTE.itemsize // 8
O_MINUTE, O_OPEN, O_HIGH, O_LOW, O_CLOSE = 0, 1, 2, 3, 4
O_VOLUME, O_PV, O_TRADES, O_FLAGS = 5, 6, 7, 8
R_VOLUME, R_PV, R_TRADES = _word(ROW, "volume"), _word(ROW, "pv"), _word(ROW, "trades")
R_HIGH, R_LOW = _word(ROW, "high"), _word(ROW, "low")
R_HIGH_EVENT, R_LOW_EVENT = _word(ROW, "high_event_ns"), _word(ROW, "low_event_ns")
R_OPEN_RTH, R_CLOSE_RTH = _word(ROW, "open_rth"), _word(ROW, "close_rth")
R_HALTED, R_HALT_REASON = _word(ROW, "halted"), _word(ROW, "halt_reason")
R_LULD_LOWER, R_LULD_UPPER = _word(ROW, "luld_lower"), _word(ROW, "luld_upper")
R_STATUS_EVENT = _word(ROW, "status_event_ns")
R_BLIND = _word(ROW, "blind")
R_APPROX = _word(ROW, "approx")
APPROX_TRADES = 8
R_POOL_HEAD, R_FINAL_MINUTE = _word(ROW, "pool_head"), _word(ROW, "final_minute")
R_BAR_INDEX, R_CUMULATIVE = _word(ROW, "bar_index"), _word(ROW, "cumulative_volume")
R_TICK_RECV = _word(ROW, "tick_recv_ns")
R_GAP = _word(ROW, "gap")
R_PPV, R_MAX_PRINT = _word(ROW, "ppv"), _word(ROW, "max_print_usd")
R_BLOCK_SHARES, R_BLOCKS = _word(ROW, "block_shares"), _word(ROW, "blocks")
R_BLOCKS_USD, R_FIRST = _word(ROW, "blocks_usd"), _word(ROW, "first")
R_NEW_HIGHS, R_NEW_LOWS = _word(ROW, "new_highs"), _word(ROW, "new_lows")
R_LOW_BEFORE, R_HIGH_BEFORE = _word(ROW, "low_before_high"), _word(ROW, "high_before_low")
R_HALTS, R_HALT_EVENT = _word(ROW, "halts"), _word(ROW, "halt_event_ns")
R_RESUME_EVENT = _word(ROW, "resume_event_ns")
R_OPENING_HIGH, R_OPENING_LOW = _word(ROW, "opening_high"), _word(ROW, "opening_low")
HOT_WORDS = R_LOW_BEFORE  # a trade touches words before this one, others rarely
# ROW.gap: second in which the gap ended, plus 1, in these bits; above them the number (of
# bar_index) of the first bar that lies wholly behind it.
GAP_SECOND = (1 << 32) - 1
GAP_BAR_SHIFT = 32

# -- bars ----------------------------------------------------------------------------------------
# VOLUME_ONLY: volume but no price-eligible trade; OHLC NaN
BAR_FINAL, BAR_REVISED, BAR_VOLUME_ONLY = 1, 2, 3

FLAG_LATE = 1        # revised by a late trade
FLAG_CORRECTED = 2   # revised by a correction
FLAG_CANCELLED = 4   # revised by a cancel
FLAG_APPROX = 8      # extremes could not be rebuilt exactly
FLAG_GAP = 16        # the feed had a gap in this minute
FLAG_TYPICAL = 32    # imported without VWAP: pv = typical price * volume, trades are not counted

BAR = np.dtype(
    [
        ("minute", "i8"),  # absolute minute; a slot that holds another minute means: no bar
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume", "f8"),
        ("pv", "f8"),
        ("trades", "u4"),
        ("flags", "u4"),
    ]
)
assert BAR.itemsize == 64

BAR_EVENT = np.dtype(
    [
        ("n", "i8"),
        ("sym", "i8"),        # symbol id
        ("kind", "i8"),       # BAR_FINAL, BAR_REVISED, BAR_VOLUME_ONLY
        ("bar_index", "i8"),  # of the symbol's priced final bars, from 0; -1: not the newest
        ("bar", BAR),
    ]
)
assert BAR_EVENT.itemsize == 96
# Word offsets for kernels (events_f / events_i and bars_f / bars_i: 12 and 8 words a record).
E_N, E_SYM, E_KIND, E_BAR_INDEX, E_BAR = 0, 1, 2, 3, 4
B_MINUTE, B_OPEN, B_HIGH, B_LOW, B_CLOSE, B_VOLUME, B_PV, B_TRADES_FLAGS = 0, 1, 2, 3, 4, 5, 6, 7
# word B_TRADES_FLAGS: trades in the low, flags in the high 32 bits

# Head of a cell: everything of bars that is not a row.
CELL_HEAD = np.dtype(
    [
        ("n", "i8"),
        ("k", "i8"),
        ("t_ns", "i8"),
        ("tick_end", "i8", (MAX_FEEDS,)),
        ("max_recv_ns", "i8", (MAX_FEEDS,)),  # running maximum of recv_ns per ring
        ("rules_version", "i8"),
        ("symbol_count", "i8", (64,)),  # admitted symbols per slice
        ("closed_minute", "i8"),        # minutes <= this are closed for everybody
        ("event_count", "i8"),          # entries of the bar event list
        ("second", "i8"),               # newest whole second written to the per-second history
        ("minute", "i8"),               # newest whole minute written to the per-minute history
        ("pool_tail", "i8"),            # next position of the trade pool
        ("flags", "i8"),
        ("ticks", "i8"),                # ticks applied since genesis
        ("refused_future", "i8"),       # ticks more than 60 s ahead of T_k
        ("refused_capacity", "i8"),     # ticks of symbols that found no room
        ("refused_tick", "i8"),         # ticks with an impossible value (price <= 0, unknown sym)
        ("late", "i8"),                 # trades that revised a final bar
        ("too_late", "i8"),             # trades older than the bar history: sums only
        ("corrections", "i8"),
        ("cancels", "i8"),
        ("unmatched", "i8"),            # corrections or cancels whose original was not in the pool
        ("events_dropped", "i8"),       # bar events beyond the list's bound
        ("bar_tail", "i8"),             # bar ring position after this cycle's events
        ("stride", "i8"),               # of its decision
        ("recent_ns", "i8"),
        ("spare", "i8", (6,)),
    ]
)

# Trade pool: recent volume-bearing trades, chained per symbol from ROW.pool_head.
POOL_TRADE = np.dtype(
    [
        ("id", "i8"),
        ("event_ns", "i8"),
        ("price", "f8"),
        ("size", "f8"),
        ("back", "i4"),    # how many positions before it the symbol's previous entry is, 0 none
        ("n", "i4"),       # cycle that wrote it
        ("dead_n", "i4"),  # cycle that cancelled or replaced it, 0 alive
        ("cond", "i4"),
    ]
)
assert POOL_TRADE.itemsize == 48

# Reference data of a symbol, fixed for the stream (written from genesis or at admission).
REF_TEST_ISSUE = 1
REF_SSR_KNOWN = 2  # whether yesterday's fall restricts short sales today, too
REF_SSR = 4        # it does
REF_GAP_REAL = 8   # a gap of today that looks like a split is none: somebody said so
REFERENCE = np.dtype(
    [
        ("prev_close", "f8"),  # official close of the session before, adjusted; NaN unknown
        ("atr14_day", "f8"),   # Wilder ATR 14 of official daily bars up to yesterday; NaN unknown
        ("flags", "i8"),       # REF_*
        ("place", "i8"),       # its place in the book plus 1, 0: the book does not know it
        ("lists", "u8"),       # bit of each named list that holds it
        ("exchange", "u4"),    # group_code of its name, 0 unknown
        ("sector", "u4"),
        ("industry", "u4"),
        ("unused", "u4"),
        ("spare", "f8", (1,)),
    ]
)
assert REFERENCE.itemsize == 64


def unknown_reference(count: int) -> np.ndarray:
    """REFERENCE[count] of symbols about which nothing is known."""
    reference = np.zeros(count, REFERENCE)
    reference["prev_close"] = np.nan
    reference["atr14_day"] = np.nan
    return reference

# The official close of a symbol on this session date, as far as it is known.
CLOSE = np.dtype(
    [
        ("price", "f8"),  # of its largest closing record so far
        ("size", "f8"),   # of that record; 0: none so far
    ]
)

# The session date of the stream (one record).
SESSION = np.dtype(
    [
        ("date", "i8"),          # yyyymmdd, exchange time
        ("start_ns", "i8"),      # pre-market starts (04:00 ET)
        ("open_ns", "i8"),
        ("close_ns", "i8"),
        ("end_ns", "i8"),        # after-hours end (20:00 ET, 17:00 on early closes)
        ("roll_ns", "i8"),       # next 03:50 ET: the stream ends there
        ("interval_ns", "i8"),
        ("grace_ns", "i8"),      # bars.grace_ms + feed.delay_ms
    ]
)
