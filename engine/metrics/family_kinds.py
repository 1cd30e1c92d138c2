"""The registry of parameterised indicators: what each kind takes, means and needs."""

import dataclasses
from collections.abc import Callable

from engine.domain.family import FIELDS, MAX_CLOSES, MAX_RANGES
from engine.metrics.entry import SAME
from engine.metrics.reach import bars_of_mean

MAX_MINUTES = 390  # the longest window in time
MAX_FINE_S = 900  # windows in time up to here may be any number of seconds where seconds are kept
_MAX_MEAN = 500  # the longest mean that forgets by a share a bar

Periods = tuple[float, ...]
Count = Callable[[Periods], int]


@dataclasses.dataclass(frozen=True, slots=True)
class Period:
    """A number of a kind. default: None where it must be given; whole: it has no fraction."""

    name: str
    low: float
    high: float
    default: float | None = None
    whole: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind. name: as in Family.kind. periods: the numbers it takes. fields: values of a bar it
    can look at, empty where there is no choice. unit, formula, unknown, brief, flip, up: as in
    entry.Metric; {0}, {1}, {2} stand for its periods, {f} for its field. bars: bars before the
    first value. closes, ranges: how many closes and how many other values of bars a value looks at.
    reach: how many bars carry its weight. rows: slots of state a symbol. cost_ns: of one step for
    one symbol, from its periods or, of a window in time, its minutes. edge: where libraries
    disagree or divide 0 by 0; empty: nowhere.
    """

    name: str
    periods: tuple[Period, ...]
    unit: str
    brief: str
    formula: str
    bars: Count
    closes: Count
    ranges: Count
    reach: Count
    unknown: str = ""
    fields: tuple[str, ...] = ()
    flip: str | None = None
    up: bool | None = None
    rows: int = 0
    cost_ns: Callable[[Periods], float] = lambda p: 10.0
    edge: str = ""

    @property
    def written(self) -> str:
        """The name a rule writes."""
        return self.name.removesuffix("_time")


def _none(_: Periods) -> int:
    return 0


def _two(_: Periods) -> int:
    return 2


def _first(p: Periods) -> int:
    return int(p[0])


def _one_more(p: Periods) -> int:
    return int(p[0]) + 1


def _window_ns(p: Periods) -> float:
    return 8.0 + 0.6 * p[0]


def _wilder_reach(p: Periods) -> int:
    return bars_of_mean(1 / p[0]) + 1


def _mean(low: int = 2) -> tuple[Period, ...]:
    return (Period("period", low, _MAX_MEAN),)


def _closes(low: int = 2, more: int = 0) -> tuple[Period, ...]:
    return (Period("period", low, MAX_CLOSES - more),)


def _ranges(low: int = 2, more: int = 0) -> tuple[Period, ...]:
    return (Period("period", low, MAX_RANGES - more),)


def _recursive() -> list[Kind]:
    ema_reach: Count = lambda p: bars_of_mean(2 / (p[0] + 1))  # noqa: E731
    flat = "no close moved in all its bars (0/0)"
    return [
        Kind("ema", _mean(), "usd", "Exponential average of closes",
             "EMA of closes, alpha 2 / ({0} + 1), seeded with the mean of the first {0}",
             _first, _two, _none, ema_reach, up=True, rows=2,
             edge="Seeded with the mean of the first n closes, as TA-Lib. First-value seeding "
             "differs until about 10 n bars have passed."),
        Kind("rsi", _mean(), "points", "Relative strength of closes",
             "Wilder RSI of {0} changes of closes, 0..100", _one_more, _two, _none, _wilder_reach,
             flat, flip="100 - {name}", up=True, rows=3,
             edge="No close moved: 0/0, unknown. TA-Lib says 0, talipp 100."),
        Kind("atr", _mean(), "usd", "Average true range",
             "Wilder mean of {0} true ranges; the first is the second bar's", _one_more, _two, _two,
             _wilder_reach, flip=SAME, rows=2,
             edge="The first value stands at bar n + 1, as TA-Lib; talipp and tulipy start one bar "
             "earlier."),
    ]  # fmt: skip


def _macd() -> list[Kind]:
    periods = (Period("fast period", 2, 250, 12), Period("slow period", 3, _MAX_MEAN, 26),
               Period("signal period", 1, 250, 9))  # fmt: skip
    bars: Count = lambda p: int(p[1] + p[2]) - 1  # noqa: E731
    slow: Count = lambda p: bars_of_mean(2 / (p[1] + 1))  # noqa: E731

    def both(p: Periods) -> int:
        return slow(p) + (bars_of_mean(2 / (p[2] + 1)) if p[2] > 1 else 1)

    edge = (
        "Both EMAs have their seed at the bar of the slow one and all three lines begin with the "
        "signal, as TA-Lib. Others seed each EMA on its own."
    )
    return [
        Kind("macd", periods, "usd", "MACD line", "EMA({0}) - EMA({1}) of closes", bars, _two,
             _none, slow, up=True, rows=4, edge=edge),
        Kind("macd_signal", periods, "usd", "Signal line of the MACD", "EMA({2}) of macd", bars,
             _two, _none, both, up=True, rows=4),
        Kind("macd_hist", periods, "usd", "MACD above its signal line", "macd - macd_signal", bars,
             _two, _none, both, up=True, rows=4),
    ]  # fmt: skip


def _trend() -> list[Kind]:
    bars: Count = lambda p: 2 * int(p[0])  # noqa: E731
    twice: Count = lambda p: 2 * bars_of_mean(1 / p[0]) + 1  # noqa: E731
    no_range = "no bar had a range (0/0)"
    super_periods = (Period("period", 2, _MAX_MEAN, 10),
                     Period("multiplier", 0.1, 100, 3, whole=False))  # fmt: skip
    super_formula = (
        "bands (high + low) / 2 +- {1} * atr({0}); a band only comes nearer until a close is "
        "beyond the other bar's"
    )
    return [
        Kind("adx", _mean(), "points", "Strength of the trend",
             "Wilder mean of {0} values of 100 * |+DI - -DI| / (+DI + -DI)", bars, _two, _two,
             twice, no_range, flip=SAME, rows=5,
             edge="A bar without direction (0/0) leaves it as it was, as TA-Lib; unknown while no "
             "bar had a range, where TA-Lib says 0."),
        Kind("plus_di", _mean(), "points", "Upward direction",
             "100 * Wilder sum of upward moves / Wilder sum of true ranges, of {0} bars",
             _one_more, _two, _two, _wilder_reach, no_range, flip="minus_di", up=True, rows=4,
             edge="No range: 0/0, unknown, where TA-Lib says 0."),
        Kind("minus_di", _mean(), "points", "Downward direction",
             "100 * Wilder sum of downward moves / Wilder sum of true ranges, of {0} bars",
             _one_more, _two, _two, _wilder_reach, no_range, flip="plus_di", up=False, rows=4),
        Kind("supertrend", super_periods, "usd", "SuperTrend line", super_formula, _one_more, _two,
             _two, _wilder_reach, up=True, rows=5,
             edge="Begins upward with the first ATR, as TA-Lib; TradingView begins downward. They "
             "agree from the first change of direction on."),
        Kind("supertrend_dir", super_periods, "code", "Direction of the SuperTrend",
             "1 while the close is above the SuperTrend line, -1 below it", _one_more, _two, _two,
             _wilder_reach, up=True, rows=5),
    ]  # fmt: skip


def _averages() -> list[Kind]:
    bands = (*_closes(), Period("deviations", 0.1, 10, 2, whole=False))
    equal = "all its closes are equal"
    return [
        Kind("sma", _closes(1), "usd", "Simple average of closes", "mean of {0} closes", _first,
             _first, _none, _first, up=True, cost_ns=_window_ns),
        Kind("stddev", _closes(), "usd", "Deviation of closes",
             "population deviation of {0} closes", _first, _first, _none, _first, flip=SAME,
             cost_ns=_window_ns, edge="Population deviation (n, not n - 1), as TA-Lib."),
        Kind("bb_upper", bands, "usd", "Upper Bollinger band",
             "sma({0}) + {1} * population deviation of {0} closes", _first, _first, _none, _first,
             flip="-bb_lower", up=True, cost_ns=_window_ns),
        Kind("bb_middle", bands, "usd", "Middle of the Bollinger bands", "sma({0})", _first, _first,
             _none, _first, up=True, cost_ns=_window_ns),
        Kind("bb_lower", bands, "usd", "Lower Bollinger band",
             "sma({0}) - {1} * population deviation of {0} closes", _first, _first, _none, _first,
             flip="-bb_upper", up=True, cost_ns=_window_ns),
        Kind("bb_width", bands, "pct", "Width of the Bollinger bands",
             "100 * (bb_upper - bb_lower) / bb_middle", _first, _first, _none, _first, flip=SAME,
             cost_ns=_window_ns),
        Kind("bb_pctb", bands, "ratio", "Place of the newest close in the Bollinger bands",
             "(close - bb_lower) / (bb_upper - bb_lower)", _first, _first, _none, _first, equal,
             flip="1 - {name}", up=True, cost_ns=_window_ns,
             edge="bb_pctb without brackets places the last price, with brackets the close of the "
             "newest bar. Bands without a width: 0/0, unknown."),
        Kind("roc", _closes(1, 1), "pct", "Change over bars",
             "100 * (close / close {0} bars before - 1)", _one_more, _one_more, _none, _one_more,
             up=True),
        Kind("linreg_slope", _closes(), "usd", "Slope of closes, per bar",
             "slope of the least-squares line through {0} closes", _first, _first, _none, _first,
             up=True, cost_ns=_window_ns),
        Kind("r2", _closes(3), "ratio", "How straight closes went",
             "square of the correlation of {0} closes with time", _first, _first, _none, _first,
             equal, flip=SAME, cost_ns=_window_ns, edge="Equal closes: 0/0, unknown."),
        Kind("vwma", _ranges(1), "usd", "Average of closes by volume",
             "sum of close * volume / sum of volume, of {0} bars", _first, _first, _first, _first,
             "no volume in its bars", up=True, cost_ns=_window_ns),
    ]  # fmt: skip


def _extremes() -> list[Kind]:
    prices = ("high", "low", "close")
    return [
        Kind("highest", _ranges(1), "usd", "Highest {f} of bars", "highest {f} of {0} bars", _first,
             _first, _first, _first, fields=prices, flip="-lowest", up=True, cost_ns=_window_ns),
        Kind("lowest", _ranges(1), "usd", "Lowest {f} of bars", "lowest {f} of {0} bars", _first,
             _first, _first, _first, fields=prices, flip="-highest", up=True, cost_ns=_window_ns),
        Kind("sum", _ranges(1), "", "Sum of {f} over bars", "sum of {f} of {0} bars", _first,
             _first, _first, _first, fields=FIELDS, cost_ns=_window_ns),
        Kind("avg", _ranges(1), "", "Mean of {f} over bars", "mean of {f} of {0} bars", _first,
             _first, _first, _first, fields=FIELDS, cost_ns=_window_ns),
    ]  # fmt: skip


def _oscillators() -> list[Kind]:
    flat = "a window without a range (0/0)"
    stoch = (Period("period", 1, 40, 14), Period("slow period", 1, 10, 3),
             Period("signal period", 1, 10, 3))  # fmt: skip
    slow: Count = lambda p: int(p[0] + p[1] + p[2]) - 2  # noqa: E731
    stoch_ns = lambda p: 10.0 + 0.6 * p[0] * (p[1] + p[2])  # noqa: E731
    edge = (
        "A window without a range is 0/0: unknown, and so is every mean it belongs to; TA-Lib "
        "says 0."
    )
    return [
        Kind("cci", _ranges(), "points", "Commodity channel index",
             "(typical price - its mean of {0}) / (0.015 * its mean absolute deviation)", _first,
             _first, _first, _first, "its typical prices are all equal (0/0)", up=True,
             cost_ns=_window_ns, edge="Equal typical prices: 0/0, unknown; TA-Lib says 0."),
        Kind("mfi", _ranges(2, 1), "points", "Money flow index",
             "100 * flow of {0} bars with a rising typical price / flow of all that moved",
             _one_more, _one_more, _one_more, _one_more, "no flow in its bars (0/0)",
             flip="100 - {name}", up=True, cost_ns=_window_ns,
             edge="No flow: 0/0, unknown; TA-Lib says 0 for a flow under 1 USD. Typical prices "
             "that differ by rounding alone have not moved, as in TA-Lib."),
        Kind("williams_r", _ranges(), "points", "Williams %R",
             "-100 * (highest high - close) / (highest high - lowest low), of {0} bars", _first,
             _first, _first, _first, flat, up=True, flip="-100 - {name}", cost_ns=_window_ns,
             edge="A window without a range: 0/0, unknown; TA-Lib says 0."),
        Kind("stoch_k", stoch, "points", "Slow stochastic",
             "mean of {1} values of 100 * (close - lowest low) / (highest high - lowest low) of "
             "{0} bars", slow, slow, slow, slow, flat, flip="100 - {name}", up=True,
             cost_ns=stoch_ns, edge=edge),
        Kind("stoch_d", stoch, "points", "Signal line of the stochastic",
             "mean of {2} values of stoch_k", slow, slow, slow, slow, flat, flip="100 - {name}",
             up=True, cost_ns=stoch_ns),
    ]  # fmt: skip


_EARLY = "the window begins before the session date or the engine"


def _in_time(
    name: str, unit: str, brief: str, formula: str, also: str = "", fields: tuple[str, ...] = (),
    flip: str | None = SAME, edge: str = "", minute_ns: float = 0.0,
) -> Kind:
    """A kind whose window is a length of time; also: when else than early it is unknown."""
    return Kind(
        name, (), unit, brief, formula, _none, _none, _none, _none,
        f"{also}, or {_EARLY}" if also else _EARLY, fields, flip, None if flip == SAME else True,
        cost_ns=lambda p: 5.0 + minute_ns * p[0], edge=edge,
    )  # fmt: skip


def _timed() -> list[Kind]:
    no_bar, extremes = "no bar in it", ("high", "low")
    return [
        _in_time("chg_time", "pct", "Change over {w}",
                 "100 * (P / P(as of {w} before the whole second or, over 15 min, minute of T) "
                 "- 1)", "no eligible trade by then", flip=None),
        _in_time("vol_time", "shares", "Volume of the last {w}",
                 "volume so far - volume as of {w} before the whole second or, over 15 min, "
                 "minute of T, at least 0"),
        _in_time("range_time", "usd", "Range of the last {w}",
                 "highest high - lowest low of the final bars of the last {w}", no_bar,
                 edge="A window in time holds the bars of its closed minutes, however many they "
                 "are.", minute_ns=1.0),
        _in_time("highest_time", "usd", "Highest {f} of {w}",
                 "highest {f} of the final bars of the last {w}", no_bar, extremes, "-lowest",
                 minute_ns=0.5),
        _in_time("lowest_time", "usd", "Lowest {f} of {w}",
                 "lowest {f} of the final bars of the last {w}", no_bar, extremes, "-highest",
                 minute_ns=0.5),
        _in_time("sum_time", "shares", "Volume of the last {w}",
                 "volume of the last {w} of closed minutes", fields=("volume",)),
        _in_time("avg_time", "shares", "Mean volume of a minute",
                 "volume of the last {w} of closed minutes / their number", fields=("volume",)),
        _in_time("rv", "pct", "Realised volatility of {w}",
                 "100 * root of the sum of squared logarithms of P(minute) / P(minute before) "
                 "over the whole minutes of the last {w}", "no price a minute",
                 edge="Of whole-minute prices, not annualised; a minute without a trade adds 0.",
                 minute_ns=10.0),
    ]  # fmt: skip


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *_recursive(), *_macd(), *_trend(), *_averages(), *_extremes(), *_oscillators(), *_timed()
    )
}  # fmt: skip
