"""Lanes filled by real scan workers, and a switch that kills whoever is at a given step."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.alerts.service import AlertService
from engine.domain import records
from engine.domain.stream import StreamInfo
from engine.domain.tables import FLOW_DURABLE_N
from engine.rules.model import Condition, Rule
from engine.storage.ports import AlertStore
from engine.storage.spool import Spool, Syscalls
from engine.storage.stub import MemoryAlertStore
from shm.clock import Clocks
from shm.engine_clock import EngineClock
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE
from tests.scan.world import SECOND_NS, START_NS, Symbol, World

STREAM = StreamInfo(
    stream_id="stream", directory="", genesis_sha256="", fingerprint="", provider="replay",
    simulated=False, live=False, date=20131008, start_ns=START_NS, interval_ns=SECOND_NS,
)  # fmt: skip
TICKERS = ("AAPL", "BAC", "IBM", "NA", "NAN", "SPY", "TSLA")
ABOVE = Rule(id="above", name="Above", conditions=(Condition("last", ">", 10.0),), cooldown_sec=0)
PAIR = Rule(
    id="pair",
    name="Two conditions",
    conditions=(Condition("last", ">", 10.0), Condition("chg_1m_pct", ">", 0.5)),
    cooldown_sec=0,
)


class Killed(BaseException):
    """The process died here."""


class Switch:
    """Counts effects; the one with number `at` (from 1) does not happen: the process dies first."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.seen = 0

    def __call__(self) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise Killed

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; the process may die before it and after it."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self()
            result = function(*args, **kwargs)
            self()
            return result

        return wrapped


class DyingCalls(Syscalls):
    """System calls of a spool; a write may die half-way."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch

    def write(self, fd: int, data: memoryview) -> int:
        half = super().write(fd, data[: max(1, len(data) // 2)])
        self.switch()
        return half

    def fdatasync(self, fd: int) -> None:
        self.switch()
        super().fdatasync(fd)
        self.switch()

    def rename(self, source: Path, target: Path) -> None:
        self.switch()
        super().rename(source, target)


class Floor(World):
    """Scan workers whose lanes an alert service under test takes; recorded: cycles on the tape."""

    def __init__(self, workers: int = 2, **sizes: int) -> None:
        super().__init__(workers, **sizes)
        self.use([ABOVE, PAIR])

    def commit(self, symbols: dict[str, Symbol]) -> int:
        """Decide the next cycle and let every worker commit it; number of the cycle."""
        decision = np.zeros(1, records.DECISION)
        decision["n"], decision["rules_version"] = self.n + 1, self.version
        decision["decided_ns"] = 1
        assert self.tables.decisions.publish(decision) == 1
        n = self.prepare(START_NS + (self.n + 1) * SECOND_NS, symbols)
        for stage in self.stages:
            assert stage.run(n)
        return n

    def record(self, n: int) -> None:
        """Say that the tape holds every cycle up to n."""
        write_word(self.tables.flow, FLOW_DURABLE_N * WORD_STRIDE, n)

    def flow(self, word: int) -> int:
        return int(read_word(self.tables.flow, word * WORD_STRIDE))

    def lanes_empty(self) -> bool:
        return all(lane.head() == lane.tail() for lane in self.tables.lanes)

    def service(
        self, spool: Spool, store: AlertStore | None = None, clocks: Clocks | None = None
    ) -> AlertService:
        engine_clock = EngineClock(self.tables.clock, clocks)
        return AlertService(
            self.tables, STREAM, spool, store or MemoryAlertStore(), engine_clock
        )


def market(seed: int) -> dict[str, Symbol]:
    """About half of the tickers above every bound."""
    random = np.random.default_rng(seed)
    return {
        ticker: Symbol({"last": float(price), "chg_1m_pct": float(change)})
        for ticker, price, change in zip(
            TICKERS, random.uniform(5, 15, 7), random.uniform(0, 1, 7), strict=True
        )
    }


def drain(service: AlertService) -> None:
    """Step until nothing moves."""
    while service.step():
        pass
