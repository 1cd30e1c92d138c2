"""Rules that between them use every operator, every comparison of symbols, every control of
repeats, and families of all sorts."""

from typing import Any

_TEXTS = {
    "crossed": "crosses_above(last, vwap, 0.01%)",
    "touched": "crosses(last, vwap) and not crosses_below(chg_10s_pct, chg_1m_pct)",
    "lately": "within(chg_10s_pct > 0.01, 20s) and not within(chg_10s_pct < -0.02, 5s)",
    "steady": "in_row(last >= vwap, 5s) or in_row(vol_1m > 1000, 2 bars)",
    "earlier": "ago(last > vwap, 10s) and last < vwap and not ago(last > vwap, 2 bars)",
    "minutes": "ago(last, 1m) < last * 99.99% or ago(chg_1m_pct > 0, 2m)",
    "often": "at_least(chg_10s_pct > 0, 3, 10s) and not at_least(chg_1m_pct > 0, 2, 3 bars)",
    "quiet": "since(chg_10s_pct > 0.02) > 8 and since(last > 0) < 1",
    "steps": "sequence(chg_10s_pct > 0.005, chg_10s_pct < 0 within 15s, last > vwap within 30s,"
             " cancel chg_1m_pct < -0.2)",
    "unstepped": "not sequence(last > vwap, last < vwap within 5s) and chg_10s_pct > 0.02",
    "first": "rank(chg_1m_pct) <= 1 and pctile(last / vwap) > 50 and zscore(vol_1m) > 0.5",
    "wide": "breadth(move) > 20 and breadth(crossed) >= 0",
    "sums": "if(last > vwap, max(chg_10s_pct, 0), -min(chg_10s_pct, 0))"
            " > coalesce(abs(log(last / vwap)), 0) * 2 + 0.01 - 0.005",
    "timed": "in_session(regular) and weekday(tue) and not time_between(09:30, 09:31)"
             " and minutes_since_open > 1 and chg_10s_pct != 0",
    "averaged": "last > ema(9, 2m) and rsi(7, 5m) > 40 and sma(12) > 0 and bb_pctb(9, 2) > 0.3",
    "lively": "crosses_above(last, ema(5, 2m, live)) or macd_hist(3, 8, 3, live) > 0.01",
    "broken": "last >= highest(high, 7m) or last <= lowest(low, 9, 2m) or roc(3, 3m) > 0.1",
    "measured": "range_6m > 0.01 and rv(5m) > 0.001 and vol_90s > 100 and adx(5) > 5"
                " and chg_3s_pct != 0",
    "hours": "last > ema_rth(3) and supertrend_dir(3, 1) > 0 and rank(stoch_k(5, 2, 2)) <= 2",
    "ranged": "(chg_10s_pct not between -0.02 and 0.02 and last != vwap"
              " or chg_10s_pct == chg_1m_pct) and not halted",
}  # fmt: skip
_REPEATS: dict[str, dict[str, Any]] = {
    "crossed": {"trigger": "edge"},
    "lately": {"trigger": "enter_exit"},
    "steady": {"debounce_ms": 1500, "rearm": True},
    "minutes": {"once_per_session": True},
    "quiet": {"max_per_min": 2, "cooldown_sec": 1},
    "sums": {"rearm": "chg_10s_pct < 0", "cooldown_sec": 0.5},
    "timed": {"universe": {"price_min": 20, "sessions": ["regular"], "where": "vol_1m > 100"}},
    "ranged": {"universe": {"exclude_symbols": ["SPY"]}},
}

OPERATORS: list[dict[str, Any]] = [
    {"id": name, "name": name, "where": text, "cooldown_sec": 5} | _REPEATS.get(name, {})
    for name, text in _TEXTS.items()
]
