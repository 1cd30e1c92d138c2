"""Metrics of real trades against queries over the same trades."""

import math
from pathlib import Path

import pytest

from engine.metrics.registry import INDICATOR_NAMES
from tests.metrics.desk import MINUTE, SECOND, Desk, empty_row
from tests.metrics.model import View

pl = pytest.importorskip("polars", reason="polars is not installed")

RECORDINGS = Path(__file__).parents[2] / "engine" / "feeds" / "recordings"
RECORDING = RECORDINGS / "trades_lean_20131007_20131008.csv.gz"
START = 1_381_219_200 * SECOND  # 2013-10-08 04:00 in New York
OPEN, CLOSE = START + 330 * MINUTE, START + 720 * MINUTE
BOUNDS = (START, OPEN, CLOSE, START + 960 * MINUTE)
TIMES = {
    "pre-market": START + 325 * MINUTE + SECOND // 10,
    "a minute into the day": OPEN + MINUTE + 3 * SECOND // 10,
    "the middle of the day": START + 500 * MINUTE,
    "after hours": CLOSE + 31 * MINUTE + 7 * SECOND,
}


@pytest.fixture(scope="module")
def trades():
    if not RECORDING.is_file():
        pytest.skip(f"the recording {RECORDING.name} is not bundled")
    return pl.read_csv(RECORDING, schema_overrides={"symbol": pl.String, "price": pl.Float64})


def replayed(trades, t_ns) -> View:
    """The row and histories that bars would hold, trade by trade, every trade eligible."""
    row, price_at, volume_at, minute_at = empty_row(), {}, {}, {}
    seconds = {t_ns // SECOND - back for back in (5, 10, 20, 30, 60, 120, 180, 300, 600, 900)}
    minutes = {t_ns // MINUTE - back for back in (30, 60, 120)}
    due = sorted([(s * SECOND, s, True) for s in seconds] + [(m * MINUTE, m, False)
                                                            for m in minutes])  # fmt: skip

    def keep(until: int) -> None:
        while due and due[0][0] < until:
            _, number, is_second = due.pop(0)
            (price_at if is_second else minute_at)[number] = row["last"]
            if is_second:
                volume_at[number] = int(row["cumulative_volume"])

    for ts, price, size in trades.select("ts_ns", "price", "size").iter_rows():
        if ts > t_ns:
            break
        keep(ts)
        session = sum(ts >= bound for bound in BOUNDS[1:3])
        row["last"], row["last_size"], row["last_event_ns"] = price, size, ts
        row["volume"][session] += size
        row["pv"][session] += price * size
        row["trades"][session] += 1
        row["cumulative_volume"] += size
        if not row["high"][session] >= price:
            row["high"][session], row["high_event_ns"][session] = price, ts
        if not row["low"][session] <= price:
            row["low"][session], row["low_event_ns"][session] = price, ts
        if session == 1:
            row["open_rth"] = row["open_rth"] if row["open_rth"] > 0 else price
            row["close_rth"] = price
    keep(t_ns + 1)
    nothing = dict.fromkeys(INDICATOR_NAMES, math.nan)
    return View(t_ns, START, OPEN, CLOSE, row, 10.0, 0.25, price_at, volume_at, minute_at, nothing)


def queried(day, t_ns) -> dict:
    """The same metrics as queries over the table of trades."""
    seen = day.filter(pl.col("ts_ns") <= t_ns)
    rth = seen.filter((pl.col("ts_ns") >= OPEN) & (pl.col("ts_ns") < CLOSE))
    pre, after = seen.filter(pl.col("ts_ns") < OPEN), seen.filter(pl.col("ts_ns") >= CLOSE)

    def number(x) -> float:
        return math.nan if x is None else float(x)

    def price_then(instant: int) -> float:
        then = day.filter(pl.col("ts_ns") <= instant)["price"]
        return number(then[-1]) if len(then) and instant >= START else math.nan

    last = number(seen["price"][-1])
    hod, lod = number(rth["price"].max()), number(rth["price"].min())
    opened = number(rth["price"][0]) if len(rth) else math.nan
    dollars = (rth["price"] * rth["size"]).sum()
    vwap = dollars / rth["size"].sum() if len(rth) else math.nan
    out = {
        "last": last, "hod": hod, "lod": lod, "open": opened, "vwap_rth": vwap,
        "dist_vwap_pct": 100 * (last / vwap - 1), "pmh": number(pre["price"].max()),
        "pml": number(pre["price"].min()), "hod_all": number(seen["price"].max()),
        "lod_all": number(seen["price"].min()), "vol_pm": float(pre["size"].sum()),
        "vol_rth": float(rth["size"].sum()), "vol_ah": float(after["size"].sum()),
        "vol_all": float(seen["size"].sum()), "dvol": float((seen["price"] * seen["size"]).sum()),
        "trades_rth": float(len(rth)), "trades_all": float(len(seen)),
        "chg_pct": 100 * (last / 10.0 - 1), "gap_pct": 100 * (opened / 10.0 - 1),
        "chg_open_pct": 100 * (last / opened - 1), "move_atr": (last - 10.0) / 0.25,
        "dist_hod_pct": 100 * (last / hod - 1), "range_usd": hod - lod,
        "age_trade_s": (t_ns - seen["ts_ns"][-1]) / 1e9,
        "minutes_since_open": (t_ns - OPEN) / 60e9,
        "pm_chg_pct": 100 * (last / 10.0 - 1) if t_ns < OPEN else math.nan,
        "ah_chg_pct": 100 * (last / rth["price"][-1] - 1) if t_ns >= CLOSE else math.nan,
    }  # fmt: skip
    for label, seconds in (("10s", 10), ("30s", 30), ("1m", 60), ("5m", 300), ("15m", 900)):
        then = (t_ns // SECOND - seconds) * SECOND
        out[f"chg_{label}_pct"] = 100 * (last / price_then(then) - 1)
        if label.endswith("m"):
            later = seen.filter(pl.col("ts_ns") > then)["size"].sum()
            out[f"vol_{label}"] = float(later)
    for minutes in (30, 60, 120):
        then = (t_ns // MINUTE - minutes) * MINUTE
        out[f"chg_{minutes}m_pct"] = 100 * (last / price_then(then) - 1)
    return out


@pytest.mark.parametrize("symbol", ["AIG", "IBM"])
def test_metrics_of_a_recorded_day_equal_queries_over_its_trades(trades, symbol):
    day = trades.filter((pl.col("symbol") == symbol) & (pl.col("ts_ns") >= START))
    for n, (name, t_ns) in enumerate(TIMES.items(), 1):
        view = replayed(day, t_ns)
        desk = Desk(view)
        desk.put(n, 1, view)
        got = desk.columns(n, 1)
        for metric, want in queried(day, t_ns).items():
            assert got[metric] == pytest.approx(want, rel=1e-9, abs=1e-9, nan_ok=True), (
                f"{metric} at {name}"
            )
