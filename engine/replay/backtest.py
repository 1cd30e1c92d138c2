"""`tapescan backtest`: the stages in one process over a tape, recorded trades or bars; one
canonical alert a line."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

from engine.alerts.merge import MergedCycle
from engine.config.schema import Config
from engine.domain.sizes import Sizes
from engine.domain.tables import EngineTables, allocate
from engine.errors import EngineError
from engine.feeds.admit import admitted_batches
from engine.feeds.registry import open_provider
from engine.replay.builder import Builder, columns, load_compiled_rules, sizes_of
from engine.replay.genesis import load, restore
from engine.replay.harness import TO_THE_END, Harness
from engine.replay.tape import TapeReader
from shm.arena import PrivateArena


class BacktestError(EngineError):
    """Raised when the options of a backtest do not fit together or its input cannot be used."""


@dataclasses.dataclass
class Outcome:
    """What a backtest did: cycles run, alerts written, SHA-256 (hex) of the output."""

    stream_id: str
    cycles: int
    alerts: int
    sha256: str
    ended: bool


class _Writer:
    """Writes alert lines in order and keeps their hash."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".part")
        self._file = self._temporary.open("wb")
        self._digest = hashlib.sha256()
        self.alerts = 0

    def take(self, cycle: MergedCycle) -> None:
        for alert in cycle.alerts:
            line = alert.document + b"\n"
            self._file.write(line)
            self._digest.update(line)
            self.alerts += 1

    def close(self) -> str:
        self._file.close()
        self._temporary.rename(self._path)
        return self._digest.hexdigest()


def _tables(sizes: Sizes) -> EngineTables:
    return allocate(PrivateArena(), sizes, columns())


def backtest_tape(
    tape: Path, out: Path, workers: int = 1, progress: Callable[[int], None] | None = None
) -> Outcome:
    """Repeat a recorded stream: reads its genesis and its tape, nothing else. The same bytes for
    any `workers`."""
    with TapeReader(tape) as reader:
        genesis = load(tape.with_name("genesis.bin"), reader.header.genesis_sha256)
        sizes = Sizes(**{**genesis.header.config["sizes"], "workers": workers})  # type: ignore[dict-item]
        tables = _tables(sizes)
        restore(tables, genesis)
        writer = _Writer(out)
        harness = Harness(tables, genesis.header.stream_id, writer.take)
        ended = harness.run_tape(reader.blocks(), progress)
    return Outcome(genesis.header.stream_id, harness.n, writer.alerts, writer.close(), ended)


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise BacktestError(f"{path} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def _run(builder: Builder, config: Config, out: Path) -> Outcome:
    genesis = builder.build()
    tables = _tables(dataclasses.replace(sizes_of(config), workers=1))
    restore(tables, genesis)
    writer = _Writer(out)
    harness = Harness(tables, genesis.header.stream_id, writer.take)
    provider = open_provider(config, builder.span.start_ns, builder.span.end_ns)
    known = enumerate(genesis.header.tickers)
    ticks = admitted_batches(provider, known, tables.sizes.capacity)
    harness.run_ticks(ticks, TO_THE_END)
    return Outcome(genesis.header.stream_id, harness.n, writer.alerts, writer.close(), True)


def backtest_trades(config: Config, trades: Path, out: Path) -> Outcome:
    """Run the configured rules over the first day of a file of recorded trades; feed.history_dates
    come before.

    The stream id is derived from the file's hash: same input, same bytes.
    """
    stream_id = f"trades-{_file_hash(trades)[:32]}"
    compiled = load_compiled_rules(config)
    return _run(Builder(config, stream_id, Path(config.paths.data_dir), compiled), config, out)
