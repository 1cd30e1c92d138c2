"""Compile every kernel before the first fork: a tiny market runs through all stages on private
memory."""

from collections.abc import Callable

import numpy as np

from engine.domain import records
from engine.domain.sizes import Sizes
from engine.domain.tables import EngineTables, allocate
from engine.replay.builder import columns
from engine.replay.genesis import Genesis, GenesisHeader, empty_arrays, restore
from engine.replay.harness import Harness
from engine.rules.compiler import compile_rules
from engine.rules.model import Condition, Rule
from engine.rules.pack import pack
from shm.arena import PrivateArena

_START_NS = 1_381_238_880 * records.NS_PER_SECOND  # 08 Oct 2013 13:28 UTC
_INTERVAL_NS = 1_000_000_000
_TICKERS = ["AAA", "BBB"]
_CYCLES = 130


def _genesis(tables: EngineTables) -> Genesis:
    minute = records.NS_PER_MINUTE
    session = (
        20131008, _START_NS - 300 * minute, _START_NS + minute, _START_NS + 391 * minute,
        _START_NS + 631 * minute, _START_NS + 1102 * minute, _INTERVAL_NS, 500_000_000,
    )  # fmt: skip
    rule = Rule(id="warm", name="warm", conditions=(Condition("last", ">", 0.0),), cooldown_sec=0)
    header = GenesisHeader(
        stream_id="warm",
        provider="warm",
        simulated=True,
        date=20131008,
        start_ns=_START_NS,
        end_ns=None,
        interval_ns=_INTERVAL_NS,
        feeds=1,
        tickers=_TICKERS,
        session=list(session),
        rules_version=1,
        config={},
        conditions_sha256="",
        fingerprint="",
    )
    reference = np.zeros(len(_TICKERS), records.REFERENCE)
    return Genesis(header, pack(compile_rules((rule,))), empty_arrays(tables, _TICKERS, reference))


def _ticks() -> np.ndarray:
    """Trades and quotes a second apart, a correction and a cancel among them: every branch of the
    apply kernel."""
    ticks = np.zeros(4 * _CYCLES, records.TICK)
    place = np.arange(len(ticks))
    kinds = np.array([records.TICK_TRADE, records.TICK_QUOTE, records.TICK_TRADE, 0], np.uint8)
    ticks["kind"] = kinds[place % 4]
    rare = [records.TICK_CORRECTION, records.TICK_CANCEL, records.TICK_STATUS, records.TICK_LULD]
    ticks["kind"][3::4] = np.array(rare, np.uint8)[np.arange(_CYCLES) % 4]
    ticks["cond"] = records.COND_LAST | records.COND_HILO | records.COND_VOLUME
    ticks["sym"] = place % len(_TICKERS)
    ticks["event_ns"] = _START_NS + (place // 4) * _INTERVAL_NS + 1
    ticks["recv_ns"] = ticks["event_ns"]
    ticks["src_pos"] = ticks["id"] = place
    ticks["a"] = 10 + place % 7
    ticks["b"] = 100
    return ticks


def warm(report: Callable[[str], None]) -> None:
    """Run the tiny market; on a cold cache this takes a minute or so, else seconds."""
    tables = allocate(PrivateArena(), Sizes(capacity=64), columns())
    report("genesis")
    restore(tables, _genesis(tables))
    report("stages")
    harness = Harness(tables, "warm")
    harness.run_ticks([_ticks()], _START_NS + _CYCLES * _INTERVAL_NS)
