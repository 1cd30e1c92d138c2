"""The same numbers from TA-Lib over whole series, and bars of timeframes put together plainly."""

import math

import numpy as np
import pytest

talib = pytest.importorskip("talib", reason="TA-Lib is not installed")

Bars = dict[str, np.ndarray]


def by_talib(bars: Bars) -> dict[str, np.ndarray]:
    """Every kind over bars by name, with periods that no other test uses."""
    high, low, close, volume = (
        np.asarray(bars[key], float) for key in ("high", "low", "close", "volume")
    )
    out = {
        "ema(34)": talib.EMA(close, 34),
        "rsi(7)": talib.RSI(close, 7),
        "atr(10)": talib.ATR(high, low, close, 10),
        "adx(9)": talib.ADX(high, low, close, 9),
        "plus_di(14)": talib.PLUS_DI(high, low, close, 14),
        "minus_di(14)": talib.MINUS_DI(high, low, close, 14),
        "sma(30)": talib.SMA(close, 30),
        "stddev(20)": talib.STDDEV(close, 20, 1.0),
        "roc(10)": talib.ROC(close, 10),
        "linreg_slope(14)": talib.LINEARREG_SLOPE(close, 14),
        "r2(14)": talib.CORREL(close, np.arange(len(close), dtype=float), 14) ** 2,
        "vwma(20)": talib.VWMA(close, volume, 20),
        "highest(high,20)": talib.MAX(high, 20),
        "lowest(low,20)": talib.MIN(low, 20),
        "highest(close,9)": talib.MAX(close, 9),
        "sum(volume,10)": talib.SUM(volume, 10),
        "avg(close,10)": talib.SMA(close, 10),
        "cci(20)": talib.CCI(high, low, close, 20),
        "mfi(14)": talib.MFI(high, low, close, volume, 14),
        "williams_r(14)": talib.WILLR(high, low, close, 14),
    }
    for name, line in zip(
        ("macd(8,17,5)", "macd_signal(8,17,5)", "macd_hist(8,17,5)"),
        talib.MACD(close, 8, 17, 5), strict=True,
    ):  # fmt: skip
        out[name] = line
    line, trend = talib.SUPERTREND(high, low, close, 10, 3.0)
    out["supertrend(10,3)"] = line
    out["supertrend_dir(10,3)"] = np.where(np.isnan(line), np.nan, trend)
    upper, middle, lower = talib.BBANDS(close, 15, 2.5, 2.5)
    with np.errstate(invalid="ignore", divide="ignore"):
        out |= {
            "bb_upper(15,2.5)": upper,
            "bb_middle(15,2.5)": middle,
            "bb_lower(15,2.5)": lower,
            "bb_width(15,2.5)": 100 * (upper - lower) / middle,
            "bb_pctb(15,2.5)": (close - lower) / (upper - lower),
        }
    out["stoch_k(14,3,3)"], out["stoch_d(14,3,3)"] = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)
    return out


def walk(count: int, seed: int, step: float = 0.002) -> Bars:
    """Bars of whole cents that wander."""
    rng = np.random.default_rng(seed)
    close = np.round(100 * np.exp(np.cumsum(rng.normal(0, step, count))), 2)
    start = np.r_[close[0], close[:-1]]
    return {
        "open": start,
        "high": np.round(np.maximum(start, close) + rng.integers(0, 30, count) / 100, 2),
        "low": np.round(np.minimum(start, close) - rng.integers(1, 30, count) / 100, 2),
        "close": close,
        "volume": rng.integers(1, 10_000, count).astype(float),
    }


def scale_of(name: str, bars: Bars) -> float:
    """What a difference of 1e-9 is measured against where the value itself may be near 0: what the
    number is made of. Their own sums cancel in TA-Lib."""
    if name.startswith(("linreg_slope", "macd", "roc", "stddev")):
        return float(np.max(np.asarray(bars["close"], float)))
    return 100.0 if name.startswith(("r2", "bb_pctb", "cci", "bb_width", "mfi")) else 0.0


class PlainBars:
    """Final bars of one symbol and timeframe, entered as the engine does: by rule, not by speed."""

    def __init__(self, minutes: int, first: int = 0, end: int = 1 << 60) -> None:
        self.minutes, self.first, self.end = minutes, first, end
        self.buckets: list[int] = []
        self.bars: list[tuple[float, float, float, float]] = []

    def bar(self, known: dict[int, tuple], bucket: int) -> tuple[float, float, float, float] | None:
        """(high, low, close, volume) of a bucket from final bars by minute, None without price."""
        span = range(bucket * self.minutes, (bucket + 1) * self.minutes)
        inside = [known[m] for m in span if m in known and self.first <= m < self.end]
        priced = [bar for bar in inside if not math.isnan(bar[2])]
        if not priced:
            return None
        return (
            max(bar[0] for bar in priced), min(bar[1] for bar in priced), priced[-1][2],
            math.fsum(bar[3] for bar in inside),
        )  # fmt: skip

    def close(self, known: dict[int, tuple], minute: int) -> None:
        """A minute is over for everybody."""
        if (minute + 1) % self.minutes == 0:
            self.enter(known, minute // self.minutes)

    def late(self, known: dict[int, tuple], minute: int, closed: int) -> None:
        """A final bar of a minute that was over before has changed or come."""
        bucket = minute // self.minutes
        if self.first <= minute < self.end and (bucket + 1) * self.minutes - 1 <= closed:
            self.enter(known, bucket)

    def enter(self, known: dict[int, tuple], bucket: int) -> None:
        bar = self.bar(known, bucket)
        if bar is None or (self.buckets and bucket < self.buckets[-1]):
            return
        if self.buckets and bucket == self.buckets[-1]:
            self.bars[-1] = bar
        else:
            self.buckets.append(bucket)
            self.bars.append(bar)
