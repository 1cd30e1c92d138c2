"""The bundled recording as a table, and what queries over it say: the oracle of the engine."""

from pathlib import Path
from typing import Any

import pytest

from engine.config.load import load
from engine.config.schema import Config
from engine.domain import records

pl: Any = pytest.importorskip("polars", reason="polars is not installed")

ROOT = Path(__file__).resolve().parents[2]
RECORDING = ROOT / "engine/feeds/recordings/trades_lean_20131007_20131008.csv.gz"
MINUTE = records.NS_PER_MINUTE
HOUR = 60 * MINUTE
MIDNIGHT = {7: 1_381_118_400_000_000_000, 8: 1_381_204_800_000_000_000}  # New York, October 2013
START = MIDNIGHT[8] + 9 * HOUR + 28 * MINUTE
TICKERS = ["AIG", "BAC", "IBM", "SPY"]

# By the Consolidated Tape's rules: what counts nowhere, and what does not set a price.
NO_VOLUME = {"OfficialOpen", "OfficialClose"}
NO_PRICE = NO_VOLUME | {"Cash", "NextDay", "Seller", "AveragePrice", "PriceVariation", "OddLot"}
ONLY_FIRST = {"DerivativelyPriced", "Sold", "OutOfSequence", "PriorReferencePrice"}
EXTENDED = {"FormT", "ExtendedHours"}


def demo(interval_ms: int = 1000, **feed: Any) -> Config:
    """The demo's configuration at another interval, once and unpaced."""
    overrides: dict[str, tuple[str, object]] = {
        "engine.interval_ms": ("test", interval_ms),
        "feed.speed": ("test", 0.0),
        "feed.loop": ("test", False),
    }
    overrides |= {f"feed.{key}": ("test", value) for key, value in feed.items()}
    return load(ROOT / "scanner.toml", overrides=overrides).config


def trades() -> Any:
    """Every trade with what it may change: columns volume_ok, price_ok (sets last in its session
    unconditionally), minute."""
    table = pl.read_csv(RECORDING, schema_overrides={"symbol": pl.String, "price": pl.Float64})
    table = table.with_row_index("row")
    words = pl.col("conditions").str.split("|")

    def has(some: set[str]) -> Any:
        return words.list.set_intersection(sorted(some)).list.len() > 0

    of_day = (pl.col("ts_ns") - MIDNIGHT[7]) % (24 * HOUR)
    regular = (of_day >= 9 * HOUR + 30 * MINUTE) & (of_day < 16 * HOUR)
    return table.with_columns(
        volume_ok=~has(NO_VOLUME),
        price_ok=~has(NO_PRICE | ONLY_FIRST) & ~(has(EXTENDED) & regular),
        regular=regular,
        minute=pl.col("ts_ns") // MINUTE * MINUTE,
        day=(pl.col("ts_ns") - MIDNIGHT[7]) // (24 * HOUR) + 7,
    )


def volumes(table: Any) -> dict[tuple[str, int], float]:
    """Volume per (symbol, start of the minute) of every minute that has a trade counted to it."""
    found = (
        table.filter(pl.col("volume_ok")).group_by("symbol", "minute").agg(pl.col("size").sum())
    )
    return {(symbol, minute): float(size) for symbol, minute, size in found.iter_rows()}
