"""The indicators written as plainly as possible, over whole series: slow, for comparison only."""

import itertools
import math

import numpy as np


def ema(values: list[float], period: int) -> list[float]:
    """Seeded with the mean of the first `period` values; NaN before; NaNs in front are passed."""
    start = next((i for i, x in enumerate(values) if not math.isnan(x)), len(values))
    out = [math.nan] * len(values)
    for i in range(start + period - 1, len(values)):
        if i == start + period - 1:
            out[i] = math.fsum(values[start : i + 1]) / period
        else:
            out[i] = out[i - 1] + 2.0 / (period + 1) * (values[i] - out[i - 1])
    return out


def sma(values: list[float], period: int) -> list[float]:
    """Mean of the last `period` values."""
    return [
        math.fsum(values[i + 1 - period : i + 1]) / period if i >= period - 1 else math.nan
        for i in range(len(values))
    ]


def wilder(values: list[float], period: int) -> list[float]:
    """Wilder's mean: seeded with the plain mean of the first `period` values."""
    out = [math.nan] * len(values)
    for i in range(period - 1, len(values)):
        if i == period - 1:
            out[i] = math.fsum(values[:period]) / period
        else:
            out[i] = (out[i - 1] * (period - 1) + values[i]) / period
    return out


def rsi(closes: list[float], period: int = 14) -> list[float]:
    """Wilder's RSI; NaN where nothing has moved."""
    changes = [b - a for a, b in itertools.pairwise(closes)]
    gains = wilder([max(c, 0.0) for c in changes], period)
    losses = wilder([max(-c, 0.0) for c in changes], period)
    pairs = zip(gains, losses, strict=True)
    return [math.nan] + [100.0 * g / (g + x) if g + x > 0 else math.nan for g, x in pairs]


def atr(high: list[float], low: list[float], close: list[float], period: int = 14) -> list[float]:
    """Wilder's ATR of true ranges from the second bar on."""
    ranges = [
        max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
        for i in range(1, len(close))
    ]
    return [math.nan, *wilder(ranges, period)]


def macd(closes: list[float]) -> tuple[list[float], list[float], list[float]]:
    """macd, signal, hist as TA-Lib: both EMAs have their seed at bar 26, output from bar 34."""
    fast = [math.nan] * 14 + ema(closes[14:], 12)
    slow = ema(closes, 26)
    line = [a - b for a, b in zip(fast, slow, strict=True)]
    signal = ema(line, 9)
    line = [math.nan if math.isnan(s) else x for x, s in zip(line, signal, strict=True)]
    return line, signal, [a - b for a, b in zip(line, signal, strict=True)]


def deviation(closes: list[float], period: int = 20) -> list[float]:
    """Population deviation of the last `period` closes."""
    return [
        float(np.std(np.array(closes[i + 1 - period : i + 1], np.longdouble)))
        if i >= period - 1
        else math.nan
        for i in range(len(closes))
    ]


def all_bar_indicators(bars: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every indicator over bars by name."""
    high, low, close = (list(map(float, bars[key])) for key in ("high", "low", "close"))
    out: dict[str, list[float]] = {"rsi(14)": rsi(close), "atr(14)": atr(high, low, close)}
    for period in (20, 50, 200):
        out[f"ema({period})"], out[f"sma({period})"] = ema(close, period), sma(close, period)
    out["macd"], out["macd_signal"], out["macd_hist"] = macd(close)
    middle, spread = sma(close, 20), deviation(close)
    out["bb_middle"] = middle
    out["bb_upper"] = [m + 2 * d for m, d in zip(middle, spread, strict=True)]
    out["bb_lower"] = [m - 2 * d for m, d in zip(middle, spread, strict=True)]
    return {name: np.array(values) for name, values in out.items()}


def rolling_vwap(bars: dict[int, tuple[float, float]], closed: int, minutes: int) -> float:
    """sum pv / sum volume of the minutes up to `closed`; bars: minute -> (pv, volume)."""
    window = [bars[m] for m in range(closed - minutes + 1, closed + 1) if m in bars]
    volume = math.fsum(v for _, v in window)
    return math.fsum(pv for pv, _ in window) / volume if volume else math.nan


def volume_ratio(
    volumes: dict[int, float], closed: int, minutes: int, first: int
) -> tuple[float, float]:
    """(avg_vol, vol_ratio); volumes: minute -> volume since `first`, the session's start."""

    def window(end: int) -> float:
        return sum(volumes.get(m, 0.0) for m in range(end - minutes + 1, end + 1))

    ends = [closed - k * minutes for k in range(1, 21)]
    complete = [window(end) for end in ends if end - minutes + 1 >= first]
    if len(complete) < 5:
        return math.nan, math.nan
    mean = sum(complete) / len(complete)
    return mean, window(closed) / mean if mean else math.nan
