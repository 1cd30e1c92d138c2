"""Repeats the tape of a stream into its tables; what it makes again goes to the stores, which
ignore what they hold already."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np

from engine.alerts.merge import MergedCycle
from engine.domain.tables import EngineTables
from engine.errors import EngineError
from engine.replay.harness import Harness
from engine.replay.open_stream import TAPE_NAME
from engine.replay.recorder import bar_rows
from engine.replay.tape import TapeReader
from engine.storage.ports import StoredAlert
from engine.storage.sqlite import ALERTS_NAME, SqliteAlertStore, SqliteBarStore
from ipc.logs import Log
from shm import clock

_SAY_EVERY_NS = 2_000_000_000


class _Sinks:
    """The stores that alerts and bars are brought to."""

    _BATCH = 1000

    def __init__(self, data_dir: Path, stream_id: str, tables: EngineTables) -> None:
        with ExitStack() as opened:
            self._alerts = opened.enter_context(closing(SqliteAlertStore(data_dir / ALERTS_NAME)))
            self._bars = opened.enter_context(closing(SqliteBarStore(data_dir / "bars.db")))
            self._opened = opened.pop_all()
        self._stream_id = stream_id
        self._tables = tables
        self._waiting: list[StoredAlert] = []

    def take(self, cycle: MergedCycle) -> None:
        for alert in cycle.alerts:
            self._waiting.append(
                StoredAlert(
                    alert_id=alert.alert_id,
                    stream_id=self._stream_id,
                    n=cycle.n,
                    t_ns=cycle.t_ns,
                    rule_id=alert.rule_id,
                    symbol=alert.symbol,
                    json=alert.document,
                    stored_ns=clock.realtime_ns(),
                )
            )
        if len(self._waiting) >= self._BATCH:
            self.flush()

    def take_bars(self, events: np.ndarray) -> None:
        self._bars.upsert(bar_rows(self._tables, self._stream_id, events))

    def flush(self) -> None:
        """Store the alerts that wait."""
        if self._waiting:
            self._alerts.append(self._waiting)
            self._waiting = []

    def close(self) -> None:
        """Close both stores, the second even if the first cannot be."""
        self._opened.close()


class TooSlowError(EngineError):
    """Raised when a tape could not be repeated in the time given."""


@contextmanager
def repeated(
    tables: EngineTables,
    stream_id: str,
    directory: Path,
    data_dir: Path,
    log: Log,
    within_s: float = math.inf,
) -> Iterator[Harness]:
    """Every cycle on the tape in `directory`, done again at full speed over tables that hold the
    genesis.

    Gives the harness as it stands after them; whatever it does within the context goes to the
    stores, too. Raises EngineError where the tape does not fit, TooSlowError when it takes longer
    than within_s, StoreError. The stores are closed then, too, without the alerts that still wait,
    as the tape makes them again; but when time has run out, nobody tries again: they are stored.
    """
    begun = said = clock.monotonic_ns()

    def progress(n: int) -> None:
        nonlocal said
        if clock.monotonic_ns() - begun > within_s * 1e9:
            raise TooSlowError(f"its tape could not be repeated in {within_s:g} s")
        if clock.monotonic_ns() - said > _SAY_EVERY_NS:
            said = clock.monotonic_ns()
            log.info("resuming", n=n)

    with closing(_Sinks(data_dir, stream_id, tables)) as sinks:
        harness = Harness(tables, stream_id, sinks.take)
        harness.on_bars = sinks.take_bars
        try:
            with TapeReader(directory / TAPE_NAME) as reader:
                harness.run_tape(reader.blocks(), progress)
        except TooSlowError:
            sinks.flush()
            raise
        yield harness
        sinks.flush()
