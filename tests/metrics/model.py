"""Every metric once more, one symbol at a time, in plain Python: what the columns must equal."""

import dataclasses
import math
from collections.abc import Callable

NAN = math.nan


@dataclasses.dataclass
class View:
    """What is known of one symbol as of T.

    row: fields of the cell's row (lists for per-session ones); price_at, volume_at, trades_at: by
    whole second; minute_price_at, minute_volume_at: by whole minute; indicators by name. levels: by
    name, None: the book does not know the symbol; usual: mean volume of each minute from 04:00;
    flags: REF_*. market_at, market: price of SPY by whole second and now.
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
    grace_ns: int = 0
    trades_at: dict[int, int] = dataclasses.field(default_factory=dict)
    minute_volume_at: dict[int, int] = dataclasses.field(default_factory=dict)
    levels: dict[str, float] | None = None
    usual: list[float] = dataclasses.field(default_factory=lambda: [0.0] * 960)
    flags: int = 0
    market_at: dict[int, float] = dataclasses.field(default_factory=dict)
    market: float = NAN


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
        "halted": float(r["halted"] != 0),
        "luld_up_pct": percent(price(r["luld_upper"]), last),
        "luld_dn_pct": percent(price(r["luld_lower"]), last),
        "minutes_since_open": (v.t_ns - v.open_ns) / 60e9,
        "age_trade_s": age(v, r["last_event_ns"], last > 0),
        "age_quote_s": age(v, r["quote_event_ns"], r["quote_event_ns"] > 0),
    }


def split_suspect(v: View) -> float:
    """Is today's first price away from the close by the ratio of a split, within 1 % for 2 and 3,
    within 5 % for larger ones?"""
    first, close = price(v.row["first"]), price(v.prev_close)
    if not (first > 0 and close > 0):
        return NAN
    jump = max(first / close, close / first)
    ratios = [*range(2, 9), 10, 15, 20, 25, 30, 35, 40, 50, 60, 75, 80, 100, 150, 200, 250, 500,
              1000]  # fmt: skip
    near = any(abs(jump / ratio - 1) <= (0.01 if ratio < 4 else 0.05) for ratio in ratios)
    return float(near and not v.flags & 8)


DIRECT = ("pdh", "pdl", "pivot", "adv_5", "adv_10", "adv_20", "adv_30", "adv_63", "adr20_pct",
          "high_52w", "low_52w", "ath", "inside_day", "nr4", "nr7", "shares", "float",
          "beta60")  # fmt: skip


def daily(v: View, m: dict[str, float]) -> dict[str, float]:
    """Metrics of reference data and daily bars. While a split is suspected nothing is known."""
    suspect = split_suspect(v)
    levels = {} if v.levels is None or suspect == 1 else v.levels
    out = {
        "split_suspect": suspect,
        "prev_close": NAN if suspect == 1 else price(v.prev_close),
        "atr14": NAN if suspect == 1 else price(v.atr14),
    }
    last = m["last"]
    out |= {name: levels.get(name, NAN) for name in DIRECT}
    for days in (2, 3, 5, 10, 20, 60, 250):
        out[f"chg_{days}d_pct"] = percent(last, levels.get(f"close_{days}d", NAN))
    for name, period in (("wtd", "week"), ("mtd", "month"), ("ytd", "year")):
        out[f"{name}_pct"] = percent(last, levels.get(f"close_{period}", NAN))
    for name, level in (("pdh", "pdh"), ("pdl", "pdl"), ("pivot", "pivot"), ("52wh", "high_52w"),
                        ("52wl", "low_52w"), ("ath", "ath")):  # fmt: skip
        out[f"dist_{name}_pct"] = percent(last, out[level])
    for name, which, sign in (("higher", "high", 1), ("lower", "low", -1)):
        steps = [(levels.get(f"{which}_step_{k}", NAN), levels.get(f"{which}_step_{k}_ago", NAN))
                 for k in range(16)]  # fmt: skip
        beyond = [ago for price, ago in steps if not sign * price <= sign * last]
        out[f"days_since_{name}"] = beyond[0] if beyond and last > 0 else NAN
    out["pos_prev"] = position(last, out["pdl"], out["pdh"], 100)
    out["pos_52w"] = position(last, out["low_52w"], out["high_52w"], 100)
    out["mktcap"] = last * out["shares"]
    out["float_rot"] = divide(m["vol_all"], out["float"])
    out["rvol_flat"] = divide(m["vol_all"], out["adv_20"])
    out["pm_vol_adv_pct"] = divide(100 * m["vol_pm"], out["adv_20"])
    return out


def usual_by(v: View, instant_ns: int) -> float:
    """Mean volume from 04:00 up to an instant; a minute's is spread over it evenly."""
    minutes = (instant_ns - (v.open_ns - 330 * 60 * 10**9)) / (60 * 10**9)
    whole = min(960, max(0, math.floor(minutes)))
    rest = v.usual[whole] * (minutes - whole) if 0 <= minutes < 960 else 0.0
    return sum(v.usual[:whole]) + rest


def relative_volumes(v: View, m: dict[str, float], suspect: bool) -> dict[str, float]:
    """Volumes against the usual ones."""
    levels = {} if v.levels is None or suspect else v.levels
    every, regular = (levels.get(f"sessions_{name}", 0) for name in ("all", "rth"))

    def against(volume: float, from_ns: int, to_ns: int, sessions: float, least: float) -> float:
        usual = usual_by(v, to_ns) - usual_by(v, from_ns)
        return volume / usual if sessions >= 5 and usual >= least else NAN

    t, start, opened, close = v.t_ns, v.start_ns, v.open_ns, v.close_ns
    out = {
        "rvol_tod": against(m["vol_all"], start, t, every, 1000),
        "pm_rvol": against(m["vol_pm"], start, min(t, opened), every, 1000),
        "rvol_tod_rth": against(m["vol_rth"], opened, min(max(t, opened), close), regular, 1000),
    }
    end = v.open_ns + 630 * 60 * 10**9
    out["proj_vol"] = out["rvol_tod"] * (usual_by(v, end) - usual_by(v, start))
    for label, grid, steps in (("1m", 10**9, 60), ("5m", 10**9, 300), ("10m", 10**9, 600),
                               ("15m", 10**9, 900), ("30m", 60 * 10**9, 30)):  # fmt: skip
        begins = (t // grid - steps) * grid
        sessions = regular if begins >= opened and t <= close else every
        found = against(m[f"vol_{label}"], begins, t, sessions, 100)
        out[f"rvol_{label}"] = found if begins >= start else NAN
    return out


def opening(v: View) -> dict[str, float]:
    """Opening ranges, known once their last minute is closed."""
    out = {}
    for part, minutes in enumerate((1, 5, 15, 30, 60)):
        complete = v.t_ns >= v.open_ns + minutes * 60 * 10**9 + v.grace_ns
        high = extreme(max, v.row["opening_high"][: part + 1]) if complete else NAN
        low = extreme(min, v.row["opening_low"][: part + 1]) if complete else NAN
        out[f"or{minutes}_high"], out[f"or{minutes}_low"] = high, low
        out[f"or{minutes}_pos"] = position(price(v.row["last"]), low, high, 100)
    return out


def restricted(v: View, lod: float, close: float) -> float:
    """ssr: 1, 0 or unknown."""
    if (lod > 0 and close > 0 and lod <= 0.9 * close * (1 + 1e-9)) or v.flags & 4:
        return 1.0
    if v.flags & 2 and (math.isnan(lod) or close > 0):
        return 0.0
    return NAN


def kept(v: View, m: dict[str, float]) -> dict[str, float]:
    """Metrics of what the row remembers of its date."""
    r, last, hod, lod = v.row, m["last"], m["hod"], m["lod"]
    counted = not r["approx"] & 8
    resumed = r["resume_event_ns"] > 0 and r["halted"] == 0
    vwap, close = m["vwap_rth"], m["prev_close"]
    variance = r["ppv"] / r["volume"][1] - vwap * vwap if r["volume"][1] > 0 else NAN
    deviation = math.sqrt(variance) if variance > 1e-12 * vwap * vwap else NAN
    return {
        "n_hod": float(r["new_highs"]) if hod > 0 else NAN,
        "n_lod": float(r["new_lows"]) if lod > 0 else NAN,
        "momo_count": float(r["new_highs"] - r["new_lows"]) if hod > 0 and lod > 0 else NAN,
        "pullback_pct": divide(100 * (hod - last), hod - r["low_before_high"]),
        "reclimb_pct": divide(100 * (last - lod), r["high_before_low"] - lod),
        "max_print_usd": price(r["max_print_usd"]) if counted else NAN,
        "blocks_n": float(r["blocks"]) if counted else NAN,
        "blocks_usd": r["blocks_usd"] if counted else NAN,
        "halt_n_today": float(r["halts"]),
        "halt_elapsed_s": age(v, r["halt_event_ns"], r["halted"] != 0),
        "since_resume_s": age(v, r["resume_event_ns"], resumed),
        "ssr": restricted(v, lod, close),
        "dist_vwap_sd": (last - vwap) / deviation,
        "pos_allday": divide(100 * (last - close), m["hod_all"] - close),
        "pos_allday_dn": divide(100 * (close - last), close - m["lod_all"]),
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
    out |= {f"vol_{m}m": seconds_volume(v, 60 * m) for m in (1, 5, 10, 15)}
    then = v.t_ns // (60 * 10**9) - 30
    so_far = int(v.row["cumulative_volume"])
    known = then in v.minute_volume_at
    out["vol_30m"] = float(max(0, so_far - v.minute_volume_at[then])) if known else NAN
    out["vol_burst"] = divide(5 * out["vol_1m"], out["vol_5m"])
    then = v.t_ns // 10**9 - 60
    counted = then in v.trades_at and not v.row["approx"] & 8
    out["trades_1m"] = (
        float(max(0, sum(v.row["trades"]) - v.trades_at[then])) if counted else NAN
    )
    out["trades_per_s"] = out["trades_1m"] / 60
    return out


def strength(v: View, m: dict[str, float]) -> dict[str, float]:
    """Changes beyond what SPY explains."""
    out = {}
    for minutes in (5, 15):
        market = dataclasses.replace(
            v, row=v.row | {"last": v.market}, price_at=v.market_at | {}
        )
        spy = seconds_change(market, 60 * minutes)
        out[f"rs_spy_{minutes}m"] = m[f"chg_{minutes}m_pct"] - m["beta60"] * spy
    return out


def expected(v: View) -> dict[str, float]:
    """Every metric of one symbol by canonical name."""
    values = fields(v) | windows(v) | v.indicators
    for kind in ("ema", "sma"):
        for n in (20, 50, 200):
            mean = v.indicators[f"{kind}({n})"]
            values[f"dist_{kind}{n}_pct"] = percent(values["last"], mean)
    values |= daily(v, values) | opening(v)
    values |= relative_volumes(v, values, values["split_suspect"] == 1) | strength(v, values)
    return values | derived(v, values) | kept(v, values)
