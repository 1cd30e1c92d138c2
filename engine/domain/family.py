"""Parameterised indicators as data: kind, field, periods, timeframe, mode; which bars are kept for
them."""

import dataclasses

TIMEFRAME_MINUTES = (1, 2, 3, 5, 10, 15, 30, 60)
DAILY = 0  # timeframe D: official daily bars up to yesterday

# Bars of every timeframe that are kept for each symbol: closes, and the rest of a bar. A window
# reaches over two bars less, because a revision is computed while a newer bar stands beside it.
KEPT_CLOSES = 256
KEPT_RANGES = 64
MAX_CLOSES = KEPT_CLOSES - 2
MAX_RANGES = KEPT_RANGES - 2

FIELDS = ("high", "low", "close", "volume")
HIGH, LOW, CLOSE, VOLUME = range(len(FIELDS))

# Kinds, in the order of their numbers in compiled rules. The first ones carry a state from bar to
# bar, the next look at a window of bars, the last at a window in time.
RECURSIVE = (
    "ema", "rsi", "atr", "macd", "macd_signal", "macd_hist", "adx", "plus_di", "minus_di",
    "supertrend", "supertrend_dir",
)  # fmt: skip
WINDOWED = (
    "sma", "stddev", "bb_upper", "bb_middle", "bb_lower", "bb_width", "bb_pctb", "roc",
    "linreg_slope", "r2", "vwma", "highest", "lowest", "sum", "avg", "cci", "mfi", "williams_r",
    "stoch_k", "stoch_d",
)  # fmt: skip
TIMED = (
    "chg_time", "vol_time", "range_time", "highest_time", "lowest_time", "sum_time", "avg_time",
    "rv",
)  # fmt: skip
CODES = {name: code for code, name in enumerate((*RECURSIVE, *WINDOWED, *TIMED))}
FIRST_WINDOWED = len(RECURSIVE)
FIRST_TIMED = FIRST_WINDOWED + len(WINDOWED)

# Words of a family in compiled rules, int64: its kind, the place in FIELDS, the timeframe's place
# in TIMEFRAMES, -1: none of them (windows in time), 1 where the forming bar counts, seconds of a
# window in time, closes and other values of bars it looks at, where its slots of state begin and
# how many they are.
(
    F_KIND, F_FIELD, F_TIMEFRAME, F_LIVE, F_WINDOW_S, F_CLOSES, F_RANGES, F_ROW, F_ROWS,
    FAMILY_WORDS,
) = range(10)  # fmt: skip
MAX_PERIODS = 3


# Every timeframe: (minutes, whether it holds regular hours only). DAILY is among them: its bars are
# put there with a genesis, and no cycle changes them.
TIMEFRAMES: tuple[tuple[int, bool], ...] = (
    *((minutes, False) for minutes in TIMEFRAME_MINUTES),
    (DAILY, False),
    *((minutes, True) for minutes in TIMEFRAME_MINUTES),
)
DAILY_PLACE = TIMEFRAMES.index((DAILY, False))

# What is kept for rules, as bits of one word: the bars of timeframe t under bit t, the extremes of
# every minute, the prices of more whole minutes than metrics need.
KEEP_EXTREMES, KEEP_PRICES = 1 << 32, 1 << 33
SHORT_MINUTES = 60  # prices of whole minutes that are always in memory reach so far back


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """One member of a family of indicators, such as the EMA of 34 bars of 5 minutes.

    kind: `ema`, `rsi`, `highest_time` and so on, see RECURSIVE, WINDOWED, TIMED. field: one of
    FIELDS, or empty where the kind has no choice. periods: its numbers in order.
    timeframe_minutes: one of TIMEFRAME_MINUTES, or DAILY. live: the forming bar counts, too.
    regular: bars of regular hours only. window_s: seconds of a window in time, 0 for windows in
    bars.
    """

    kind: str
    field: str
    periods: tuple[float, ...]
    timeframe_minutes: int = 1
    live: bool = False
    regular: bool = False
    window_s: int = 0

    @property
    def code(self) -> int:
        """Number of the kind."""
        return CODES[self.kind]

    @property
    def name(self) -> str:
        """Canonical name: `ema(34,5m)`, `highest(high,30m)`, `rsi_rth(7,15m,live)`, `chg_7m_pct`.
        """
        length = length_text(self.window_s)
        match self.kind:
            case "chg_time":
                return f"chg_{length}_pct"
            case "vol_time" | "range_time":
                return f"{self.kind.removesuffix('_time')}_{length}"
        arguments = [self.field] if self.field else []
        arguments += [repr(float(period)).removesuffix(".0") for period in self.periods]
        if self.window_s:
            arguments.append(length)
        elif self.timeframe_minutes == DAILY:
            arguments.append("D")
        elif self.timeframe_minutes != 1:
            arguments.append(f"{self.timeframe_minutes}m")
        if self.live:
            arguments.append("live")
        kind = self.kind.removesuffix("_time") + ("_rth" if self.regular else "")
        return f"{kind}({','.join(arguments)})"


def length_text(seconds: int) -> str:
    """`90s`, `7m`: minutes where they are whole."""
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"
