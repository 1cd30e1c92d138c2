"""The toplists everybody has: by type and window."""

from typing import Literal

from engine.toplists.definition import Definition, validated
from engine.toplists.errors import ToplistError

_CHANGE = {
    "1m": "chg_1m_pct", "5m": "chg_5m_pct", "15m": "chg_15m_pct", "1h": "chg_60m_pct",
    "1d": "chg_pct",
}
_REL_VOLUME = {
    "1d": "rvol_tod", "5m": "vol_ratio_5m", "15m": "vol_ratio_15m", "1h": "vol_ratio_60m",
}
_VOLUME = {
    "1d": "vol_all", "1m": "vol_1m", "5m": "vol_5m", "15m": "vol_15m",
}
_Only = Literal["positive", "negative"] | None
_Order = Literal["asc", "desc"]
# Type -> (name, metric by window, default window, order, sign).
_TYPES: dict[str, tuple[str, dict[str, str], str, _Order, _Only]] = {
    "gainers": ("Gainers", _CHANGE, "1d", "desc", "positive"),
    "losers": ("Losers", _CHANGE, "1d", "asc", "negative"),
    "volume_leaders": ("Volume leaders", _VOLUME, "1d", "desc", "positive"),
    "rsi_high": ("Highest RSI", {"1m": "rsi(14)"}, "1m", "desc", None),
    "rsi_low": ("Lowest RSI", {"1m": "rsi(14)"}, "1m", "asc", None),
    "rel_volume": ("Relative volume", _REL_VOLUME, "1d", "desc", "positive"),
    "vwap_distance": ("Distance above VWAP", {"1d": "dist_vwap_pct"}, "1d", "desc", None),
    "gappers_up": ("Gaps up", {"1d": "gap_pct"}, "1d", "desc", "positive"),
    "gappers_down": ("Gaps down", {"1d": "gap_pct"}, "1d", "asc", "negative"),
    "new_highs": ("Most new highs", {"1d": "n_hod"}, "1d", "desc", "positive"),
    "new_lows": ("Most new lows", {"1d": "n_lod"}, "1d", "desc", "positive"),
    "most_trades": ("Most trades", {"1d": "trades_all"}, "1d", "desc", "positive"),
    "halted": ("Halted", {"1d": "halted"}, "1d", "desc", "positive"),
}
SYSTEM_TYPES: tuple[str, ...] = tuple(_TYPES)


def windows_of(toplist_type: str) -> tuple[str, ...]:
    """Windows of a system type."""
    return tuple(_entry(toplist_type)[1])


def system_toplist(toplist_type: str, window: str | None = None, limit: int = 100) -> Definition:
    """The definition of a system list; window None: the type's own; ToplistError when unknown."""
    name, metrics, usual, order, only = _entry(toplist_type)
    window = usual if window is None else window
    if window not in metrics:
        raise ToplistError(
            "window", f"{toplist_type} has {', '.join(metrics)}, not {window!r}"
        )
    return validated(
        Definition(
            id=f"{toplist_type}:{window}", name=name, metric=metrics[window], sort_order=order,
            only=only, limit=limit,
        )
    )


def _entry(toplist_type: str) -> tuple[str, dict[str, str], str, _Order, _Only]:
    if toplist_type not in _TYPES:
        raise ToplistError("type", f"{toplist_type!r} is not one of {', '.join(_TYPES)}")
    return _TYPES[toplist_type]
