"""Compiles the kernels of the feeds before the first fork, by reading a few made-up rows."""

import tempfile
from pathlib import Path

import numpy as np

from engine.domain.records import NS_PER_SECOND, SESSION
from engine.feeds.admit import admitted_batches
from engine.feeds.conditions import Conditions
from engine.feeds.port import Provider
from engine.feeds.providers.replay import ReplayProvider
from engine.feeds.providers.simulator import SimulatorProvider, Traits
from engine.feeds.registry import silent

_TRADES = "ts_ns,symbol,price,size,conditions,exchange\n1,A,1.5,100,F,Q\n2,B,2.5,1,I,NASDAQ\n"
_QUOTES = "ts_ns,symbol,bid,bid_size,ask,ask_size,exchange\n1,A,1.4,100,,,Q\n"


def _session() -> np.ndarray:
    session = np.zeros(1, SESSION)
    for minutes, field in enumerate(("start_ns", "open_ns", "close_ns", "end_ns")):
        session[field] = minutes * 60 * NS_PER_SECOND
    return session


def _drain(provider: Provider) -> None:
    for _ in admitted_batches(provider, (), 4):
        pass


def warm(simulator: bool = True) -> None:
    """Run both providers over next to nothing; simulator=False leaves its kernels out."""
    conditions = Conditions.load()
    with tempfile.TemporaryDirectory() as name:
        trades, quotes = Path(name) / "trades.csv", Path(name) / "quotes.csv"
        trades.write_text(_TRADES, encoding="ascii")
        quotes.write_text(_QUOTES, encoding="ascii")
        _drain(ReplayProvider(trades, quotes, conditions, silent))
    if simulator:
        traits = Traits(symbols=4, ticks_per_s=2.0)
        _drain(SimulatorProvider(traits, _session(), conditions))
