"""`tapescan backtest`: the stages in one process over a tape, recorded trades or bars; one
canonical alert a line."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Self, cast

import msgspec

from engine.alerts.merge import MergedCycle
from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.domain.market_hours import TradingDay
from engine.domain.sizes import Sizes
from engine.domain.tables import EngineTables, allocate
from engine.errors import EngineError
from engine.feeds.admit import admitted_batches
from engine.feeds.port import Provider, Report
from engine.feeds.providers.bars import BarsFile, BarsProvider
from engine.feeds.registry import open_provider
from engine.replay.builder import Builder, columns, load_compiled_rules
from engine.replay.genesis import Genesis, load, restore
from engine.replay.harness import TO_THE_END, Harness
from engine.replay.open_stream import GENESIS_NAME
from engine.replay.tape import TapeReader
from shm.arena import PrivateArena

MINUTE_MS = 60_000
Source = Callable[[int, int], Provider]  # the input of [start_ns, end_ns)


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
    """Writes alert lines in order and keeps their hash. The file appears whole, or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(path.name + ".part")
        try:
            self._file = self._temporary.open("wb")
        except OSError as error:
            raise BacktestError(f"{path} cannot be written: {error.strerror}.") from error
        self._digest = hashlib.sha256()
        self.alerts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

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
        genesis = load(tape.with_name(GENESIS_NAME), reader.header.genesis_sha256)
        told = cast(dict[str, int], genesis.header.config["sizes"])
        tables = _tables(Sizes(**{**told, "workers": workers}))
        restore(tables, genesis)
        stream_id = genesis.header.stream_id
        with _Writer(out) as writer:
            harness = Harness(tables, stream_id, writer.take)
            ended = harness.run_tape(reader.blocks(), progress)
            return Outcome(stream_id, harness.n, writer.alerts, writer.close(), ended)


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise BacktestError(f"{path} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


class _Days:
    """Runs trading day after trading day of one input; each day is a stream of its own.

    trades_counted: whether the input tells how many trades there were; bars do not.
    """

    def __init__(
        self, config: Config, base: str, writer: _Writer, *, trades_counted: bool
    ) -> None:
        self._config = config
        self._base = base
        self._writer = writer
        self._trades_counted = trades_counted
        self._compiled = load_compiled_rules(config)
        self._before: Genesis | None = None
        self.cycles = 0

    def run(self, first_ns: int, last_ns: int, source: Source) -> Outcome:
        """Every trading day with input between two instants, in order. Raises BacktestError when
        there is none."""
        builder, next_ns = self._builder(""), 0
        for day in builder.trading_days(first_ns, last_ns):
            start_ns, end_ns = builder.outer_range(day)
            if next_ns < start_ns:
                ahead = source(start_ns, TO_THE_END).read(1)
                next_ns = int(ahead["recv_ns"][0]) if len(ahead) else TO_THE_END
            if next_ns < end_ns:  # days without input, years of them perhaps, cost nothing
                self._day(self._builder(f"{self._base}-{day.date:%Y%m%d}"), day, source, next_ns)
                next_ns = end_ns
        if not self.cycles:
            name = self._config.market.calendar
            raise BacktestError(f"no record lies within a trading day of the calendar {name}.")
        sha256 = self._writer.close()
        return Outcome(self._base, self.cycles, self._writer.alerts, sha256, True)

    def _builder(self, stream_id: str) -> Builder:
        calendar_dir = Path(self._config.paths.data_dir)
        return Builder(self._config, stream_id, calendar_dir, self._compiled)

    def _day(self, builder: Builder, day: TradingDay, source: Source, first_ns: int) -> None:
        """One day, whose input begins at first_ns."""
        start_ns, end_ns = builder.outer_range(day)
        genesis = builder.begin_stream(self._before, day, max(start_ns, first_ns - 1))
        tables = _tables(dataclasses.replace(sizes_of(self._config), workers=1))
        restore(tables, genesis, trades_counted=self._trades_counted)
        harness = Harness(tables, genesis.header.stream_id, self._writer.take)
        known = enumerate(genesis.header.tickers)
        ticks = admitted_batches(source(start_ns, end_ns), known, tables.sizes.capacity)
        harness.run_ticks(ticks, TO_THE_END)
        self.cycles += harness.n
        self._before = builder.after(tables)


def _silent(_sentence: str) -> None:
    """Nobody listens."""


def backtest_trades(config: Config, trades: Path, out: Path, report: Report = _silent) -> Outcome:
    """Run the configured rules over every trading day of a file of recorded trades.

    Stream ids are derived from the file's hash: same input, same bytes. report gets a sentence for
    every bad row.
    """
    base = f"trades-{_file_hash(trades)[:32]}"
    first_ns, last_ns = _first_and_last(config, report)
    with _Writer(out) as writer:
        return _Days(config, base, writer, trades_counted=True).run(
            first_ns, last_ns, lambda start, end: open_provider(config, start, end)
        )


def _first_and_last(config: Config, report: Report) -> tuple[int, int]:
    """recv_ns of the first and the last tick."""
    provider = open_provider(config, None, None, report)
    first = provider.read(1)
    if not len(first):
        raise BacktestError(f"{config.feed.trades} holds no record that could be replayed.")
    first_ns = last_ns = int(first["recv_ns"][0])
    while len(ticks := provider.read(1 << 16)):
        last_ns = int(ticks["recv_ns"][-1])
    return first_ns, last_ns


def backtest_bars(config: Config, bars: Path, out: Path, report: Report = _silent) -> Outcome:
    """Run the configured rules over 1-minute bars: each bar is applied whole at its end, one cycle
    a minute."""
    base = f"bars-{_file_hash(bars)[:32]}"
    file = BarsFile(bars, report)
    if not len(file.start):
        raise BacktestError(f"{bars} holds no bar that could be used ({file.rows_bad} bad rows).")
    engine = msgspec.structs.replace(config.engine, interval_ms=MINUTE_MS)
    grace = msgspec.structs.replace(config.bars, grace_ms=0)
    config = msgspec.structs.replace(config, engine=engine, bars=grace)
    first_ns, last_ns = int(file.start[0]), int(file.start[-1])
    with _Writer(out) as writer:
        return _Days(config, base, writer, trades_counted=False).run(
            first_ns, last_ns, lambda start, end: BarsProvider(file, start, end)
        )
