"""Parameterised indicators as data: kind, field, periods, timeframe, closed or live."""

import dataclasses

TIMEFRAME_MINUTES = (1, 2, 3, 5, 10, 15, 30, 60)
DAILY = 0  # timeframe D: official daily bars up to yesterday


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """One member of a family of indicators, such as the EMA of 34 bars of 5 minutes.

    kind: `ema`, `rsi`, `highest` and so on. field: open, high, low, close, volume, or empty where
    the kind has no choice. periods: its numbers in order. timeframe_minutes: one of
    TIMEFRAME_MINUTES, or DAILY. live: the forming bar counts, too.
    """

    kind: str
    field: str
    periods: tuple[float, ...]
    timeframe_minutes: int = 1
    live: bool = False

    @property
    def name(self) -> str:
        """Canonical name: `ema(34,5m)`, `highest(high,30m)`, `rsi(7,15m,live)`."""
        arguments = [self.field] if self.field else []
        arguments += [repr(period).removesuffix(".0") for period in self.periods]
        if self.timeframe_minutes == DAILY:
            arguments.append("D")
        elif self.timeframe_minutes != 1:
            arguments.append(f"{self.timeframe_minutes}m")
        if self.live:
            arguments.append("live")
        return f"{self.kind}({','.join(arguments)})"
