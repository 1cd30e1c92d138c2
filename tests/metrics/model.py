"""Every metric once more, one symbol at a time, in plain Python: what the columns must equal."""

import dataclasses
import math
from collections.abc import Callable

NAN = math.nan


@dataclasses.dataclass
class View:
    """What is known of one symbol as of T.

    row: fields of the cell's row (lists for per-session ones); price_at, volume_at: by whole
    second; minute_price_at: by whole minute; indicators by name.
    """

    t_ns: int
    start_ns: int
    open_ns: int
    close_ns: int
    row: dict
    prev_close: float
    atr14: float
    price_at: dict[int, float]
    volume_at: dict[int, int]
    minute_price_at: dict[int, float]
    indicators: dict[str, float]
    interval_ns: int = 100_000_000


def price(x: float) -> float:
    return x if x > 0 else NAN


def divide(a: float, b: float) -> float:
    return a / b if b > 0 else NAN


def percent(a: float, b: float) -> float:
    return 100 * (a / b - 1) if b > 0 else NAN


def extreme(pick: Callable, values: list[float]) -> float:
    known = [x for x in values if x > 0]
    return pick(known) if known else NAN


def age(v: View, event_ns: int, known: bool) -> float:
    return max(v.t_ns - event_ns, 0) / 1e9 if known else NAN


def seconds_change(v: View, seconds: int) -> float:
    then = v.t_ns // 10**9 - seconds
    within_a_cycle = seconds * 10**9 < v.interval_ns
    if then * 10**9 < v.start_ns or then not in v.price_at or within_a_cycle:
        return NAN
    return percent(price(v.row["last"]), v.price_at[then])


def minutes_change(v: View, minutes: int) -> float:
    then = v.t_ns // (60 * 10**9) - minutes
    if then * 60 * 10**9 < v.start_ns or then not in v.minute_price_at:
        return NAN
    return percent(price(v.row["last"]), v.minute_price_at[then])


def seconds_volume(v: View, seconds: int) -> float:
    then = v.t_ns // 10**9 - seconds
    if then not in v.volume_at:
        return NAN
    return float(max(0, int(v.row["cumulative_volume"]) - v.volume_at[then]))


def position(x: float, low: float, high: float, scale: float) -> float:
    return scale * (x - low) / (high - low) if high > low else NAN


def spread_bps(m: dict) -> float:
    return 10_000 * (m["ask"] - m["bid"]) / ((m["ask"] + m["bid"]) / 2)


def gap_fill(m: dict) -> float:
    gap = m["open"] - m["prev_close"]
    return 100 * (m["open"] - m["last"]) / gap if gap != 0 else NAN


def fields(v: View) -> dict[str, float]:
    """Metrics that are read, added or compared, not derived from other metrics."""
    r = v.row
    last, bid, ask = price(r["last"]), price(r["bid"]), price(r["ask"])
    high, low, volume = r["high"], r["low"], r["volume"]
    hod, lod = price(high[1]), price(low[1])
    return {
        "last": last,
        "last_size": r["last_size"] if last > 0 else NAN,
        "bid": bid,
        "ask": ask,
        "bid_size": r["bid_size"] if bid > 0 else NAN,
        "ask_size": r["ask_size"] if ask > 0 else NAN,
        "open": price(r["open_rth"]),
        "hod": hod,
        "lod": lod,
        "hod_all": extreme(max, high),
        "lod_all": extreme(min, low),
        "pmh": price(high[0]),
        "pml": price(low[0]),
        "t_since_hod_s": age(v, r["high_event_ns"][1], hod > 0),
        "t_since_lod_s": age(v, r["low_event_ns"][1], lod > 0),
        "vwap_rth": divide(r["pv"][1], volume[1]),
        "vwap_all": divide(sum(r["pv"]), sum(volume)),
        "vol_pm": volume[0],
        "vol_rth": volume[1],
        "vol_ah": volume[2],
        "vol_all": sum(volume),
        "dvol": sum(r["pv"]),
        "trades_rth": NAN if r["approx"] & 8 else float(r["trades"][1]),
        "trades_all": NAN if r["approx"] & 8 else float(sum(r["trades"])),
        "prev_close": price(v.prev_close),
        "atr14": price(v.atr14),
        "halted": float(r["halted"] != 0),
        "luld_up_pct": percent(price(r["luld_upper"]), last),
        "luld_dn_pct": percent(price(r["luld_lower"]), last),
        "minutes_since_open": (v.t_ns - v.open_ns) / 60e9,
        "age_trade_s": age(v, r["last_event_ns"], last > 0),
        "age_quote_s": age(v, r["quote_event_ns"], r["quote_event_ns"] > 0),
    }


def derived(v: View, m: dict[str, float]) -> dict[str, float]:
    """Metrics that are formulas of other metrics `m`."""
    last, close, opened = m["last"], m["prev_close"], m["open"]
    pre_market = v.start_ns <= v.t_ns < v.open_ns and v.row["last_event_ns"] >= v.start_ns
    sizes = m["bid_size"] + m["ask_size"]
    after = v.t_ns >= v.close_ns
    return {
        "spread_usd": m["ask"] - m["bid"],
        "spread_bps": spread_bps(m),
        "imb": divide(m["bid_size"] - m["ask_size"], sizes),
        "chg_usd": last - close,
        "chg_pct": percent(last, close),
        "chg_open_pct": percent(last, opened),
        "gap_usd": opened - close,
        "gap_pct": percent(opened, close),
        "gap_fill_pct": gap_fill(m),
        "pm_chg_pct": percent(last, close) if pre_market else NAN,
        "ah_chg_pct": percent(last, v.row["close_rth"]) if after else NAN,
        "dist_hod_pct": percent(last, m["hod"]),
        "dist_lod_pct": percent(last, m["lod"]),
        "dist_pmh_pct": percent(last, m["pmh"]),
        "dist_pml_pct": percent(last, m["pml"]),
        "pos_day": position(last, m["lod"], m["hod"], 100),
        "pos_all": position(last, m["lod_all"], m["hod_all"], 100),
        "range_usd": m["hod"] - m["lod"],
        "range_pct": divide(100 * (m["hod"] - m["lod"]), m["lod"]),
        "range_atr": divide(m["hod"] - m["lod"], m["atr14"]),
        "dist_vwap_pct": percent(last, m["vwap_rth"]),
        "atr_pct": divide(100 * m["atr14"], last),
        "move_atr": divide(last - close, m["atr14"]),
        "gap_atr": divide(opened - close, m["atr14"]),
        "bb_pctb": position(last, v.indicators["bb_lower"], v.indicators["bb_upper"], 1),
    }


def windows(v: View) -> dict[str, float]:
    """Changes and volumes over windows in time."""
    out = {f"chg_{s}s_pct": seconds_change(v, s) for s in (5, 10, 20, 30)}
    out |= {f"chg_{m}m_pct": seconds_change(v, 60 * m) for m in (1, 2, 3, 5, 10, 15)}
    out |= {f"chg_{m}m_pct": minutes_change(v, m) for m in (30, 60, 120)}
    out |= {f"vol_{m}m": seconds_volume(v, 60 * m) for m in (1, 5, 15)}
    return out


def expected(v: View) -> dict[str, float]:
    """Every metric of one symbol by canonical name."""
    values = fields(v) | windows(v) | v.indicators
    for kind in ("ema", "sma"):
        for n in (20, 50, 200):
            mean = v.indicators[f"{kind}({n})"]
            values[f"dist_{kind}{n}_pct"] = percent(values["last"], mean)
    return values | derived(v, values)
