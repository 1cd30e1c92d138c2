"""A gap of the feed in a recorded stream: alerts behind it, and their repetition, tell of it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from engine.domain import records
from engine.domain.tables import EngineTables
from engine.replay.genesis import Genesis, restore
from engine.replay.harness import Harness
from engine.replay.tape import TapeReader
from tests.replay.market import (
    GENESIS_T0,
    STREAM,
    Run,
    begin,
    config,
    drive,
    feed_of,
    tables_of,
)

SECOND = records.NS_PER_SECOND
GAP = (60.2, 64.7)  # seconds after T_0
END_OF_INPUT = np.iinfo(np.int64).max


def blinding_feed(tables: EngineTables) -> None:
    """A second feed of the same symbols that brings nothing but a gap of all of them."""
    ticks = np.zeros(2, records.TICK)
    ticks["kind"], ticks["sym"] = (records.TICK_GAP_START, records.TICK_GAP_END), -1
    ticks["event_ns"] = ticks["recv_ns"] = GENESIS_T0 + (np.array(GAP) * SECOND).astype(np.int64)
    ring = tables.ticks.rings[1]
    assert ring.publish(ticks) == 2
    ring.set_mark(END_OF_INPUT)


def gapped(told: Any) -> dict[str, bool]:
    return {one["text"].split(" ")[0]: one.get("gap", False) for one in told["explain"]}


def expected(t_ns: int, metric: str) -> bool:
    """Whether the window of a metric of the rules begins before the end of the gap."""
    ended = GENESIS_T0 + round(GAP[1] * SECOND)
    if t_ns < ended or metric == "spread_bps":
        return False
    begins = {
        "chg_10s_pct": t_ns // SECOND * SECOND - 10 * SECOND,
        "chg_1m_pct": t_ns // SECOND * SECOND - 60 * SECOND,
        "vol_1m": t_ns // SECOND * SECOND - 60 * SECOND,
        "volume": 0,
    }
    return begins[metric] <= ended


def repeated(genesis: Genesis, tables: EngineTables, tape: Path) -> list[bytes]:
    restore(tables, genesis)
    found: list[bytes] = []
    harness = Harness(
        tables, STREAM, lambda cycle: found.extend(alert.document for alert in cycle.alerts)
    )
    with TapeReader(tape) as reader:
        assert harness.run_tape(reader.blocks())
    return found


@pytest.mark.parametrize("interval_ms", [1000, 100])
def test_alerts_behind_a_gap_say_what_reaches_into_it_and_are_repeated_so(
    tmp_path: Path, interval_ms: int
) -> None:
    told = config(seed=4, interval_ms=interval_ms, minutes=3)
    genesis, tables = begin(told), tables_of(told, workers=2, feeds=2)
    header = msgspec.structs.replace(genesis.header, feeds=2)
    genesis = Genesis(header, genesis.rules, genesis.arrays)
    restore(tables, genesis)
    blinding_feed(tables)
    run = Run(tables, genesis, tmp_path / "tape")
    assert drive(run, feed_of(told, tables))
    run.writer.close()
    seen: Counter[tuple[str, bool, bool]] = Counter()
    for document in run.alerts:
        alert = json.loads(document)
        t_ns = GENESIS_T0 + alert["n"] * interval_ms * 1_000_000
        for metric, gap in gapped(alert).items():
            assert gap == expected(t_ns, metric), (alert["scan_ts"], metric)
            seen[metric, gap, t_ns > GENESIS_T0 + GAP[1] * SECOND] += 1
    for metric in ("chg_10s_pct", "vol_1m"):
        assert all(seen[key] for key in (
            (metric, False, False), (metric, True, True), (metric, False, True)
        )), seen  # fmt: skip
    assert seen["volume", True, True] and seen["spread_bps", False, True]
    for workers in (1, 2, 3):
        again = tables_of(told, workers, feeds=2)
        assert repeated(genesis, again, tmp_path / "tape") == run.alerts
