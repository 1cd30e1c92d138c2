"""Which indicators exist, in which column of the indicator table their values stand."""

import dataclasses

from engine.indicators import step_nb
from engine.indicators.runs_nb import RUN_MINUTES


@dataclasses.dataclass(frozen=True, slots=True)
class Indicator:
    """One value of IndicatorTable.values. bars: priced final bars needed (0: windows in time)."""

    name: str
    column: int
    bars: int


INDICATORS: tuple[Indicator, ...] = (
    Indicator("rsi(14)", step_nb.V_RSI, 15),
    Indicator("ema(20)", step_nb.V_EMA20, 20),
    Indicator("ema(50)", step_nb.V_EMA50, 50),
    Indicator("ema(200)", step_nb.V_EMA200, 200),
    Indicator("sma(20)", step_nb.V_SMA20, 20),
    Indicator("sma(50)", step_nb.V_SMA50, 50),
    Indicator("sma(200)", step_nb.V_SMA200, 200),
    Indicator("atr(14)", step_nb.V_ATR, 15),
    Indicator("macd", step_nb.V_MACD, 34),
    Indicator("macd_signal", step_nb.V_SIGNAL, 34),
    Indicator("macd_hist", step_nb.V_HIST, 34),
    Indicator("bb_upper", step_nb.V_BB_UPPER, 20),
    Indicator("bb_middle", step_nb.V_BB_MIDDLE, 20),
    Indicator("bb_lower", step_nb.V_BB_LOWER, 20),
    Indicator("vwap_5m", step_nb.V_VWAP, 0),
    Indicator("vwap_15m", step_nb.V_VWAP + 1, 0),
    Indicator("vwap_60m", step_nb.V_VWAP + 2, 0),
    Indicator("avg_vol_5m", step_nb.V_AVG_VOL, 0),
    Indicator("avg_vol_15m", step_nb.V_AVG_VOL + 1, 0),
    Indicator("avg_vol_60m", step_nb.V_AVG_VOL + 2, 0),
    Indicator("vol_ratio_5m", step_nb.V_RATIO, 0),
    Indicator("vol_ratio_15m", step_nb.V_RATIO + 1, 0),
    Indicator("vol_ratio_60m", step_nb.V_RATIO + 2, 0),
    *(Indicator(f"consec_{n}m", step_nb.V_RUNS + k, 0) for k, n in enumerate(RUN_MINUTES)),
)

# What tables.Columns asks for: state slots, value columns (the inner ones included), close ring.
SLOTS = step_nb.SLOTS
VALUES = step_nb.VALUES
RING = 256

# Where libraries disagree or divide 0 by 0; the docs list them.
EDGE_CASES: tuple[tuple[str, str], ...] = (
    (
        "rsi(14) when no close has moved",
        "0/0: TA-Lib says 0, talipp 100, others NaN. Unknown here, so no rule fires.",
    ),
    (
        "atr(14) start",
        "TA-Lib: the first true range is the second bar's, the first value stands at bar 15. "
        "talipp and tulipy start one bar earlier. TA-Lib is followed.",
    ),
    (
        "macd start",
        "TA-Lib seeds both EMAs at bar 26 and gives all three lines from bar 34. Others seed each "
        "EMA on its own. TA-Lib is followed; the two agree to 1e-9 about 150 bars later.",
    ),
    (
        "ema seed",
        "The mean of the first n closes (TA-Lib). First-value seeding (nautilus, polars, "
        "TradingView's published code) differs until about 10 n bars have passed.",
    ),
    (
        "bollinger deviation",
        "Population deviation (n, not n - 1) of closes, as TA-Lib.",
    ),
    (
        "bollinger bands of equal closes",
        "Exactly the close: both sums are taken relative to the newest close.",
    ),
    (
        "rolling vwap",
        "Sum of price * size of trades, not typical price; unknown while its minutes have no "
        "volume. TA-Lib's VWAP never resets and uses typical price.",
    ),
    (
        "vol_ratio",
        "The latest window is not part of the mean. A window without trades counts as 0; a mean "
        "of 0 makes the ratio unknown.",
    ),
    (
        "a minute without an eligible trade",
        "Is no bar: windows over bars count bars, windows in time count minutes.",
    ),
    (
        "candles of consec_Nm",
        "Begin at multiples of N minutes of the clock, in all hours and across days. One without a "
        "bar is none and breaks no run; the first one counts if its first minute was seen.",
    ),
    (
        "a bar with a close and no high or low",
        "No trade of the minute could set the extremes: its close stands for both.",
    ),
    (
        "a revised bar",
        "The newest final bar is computed again from the state before it; an older one changes "
        "rolling VWAP only, and so does the cancel of every price of a final bar.",
    ),
    (
        "bars of one symbol missed, or more than 56 closed in one cycle",
        "sma, Bollinger bands start their windows again after more than 56 bars in one cycle; "
        "every indicator over bars warms up again after a missed bar.",
    ),
)
