"""`tapescan backtest`: the stages in one process over a tape, recorded trades or bars; one
canonical alert a line."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
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
from engine.replay.tape import RULES, Block, TapeReader
from engine.rules.compiler import CompiledRules
from engine.rules.pack import pack
from shm.arena import PrivateArena

MINUTE_MS = 60_000
Source = Callable[[int, int], Provider]  # the input of [start_ns, end_ns)
Take = Callable[[MergedCycle], None]
RulesFor = Callable[[Sizes], CompiledRules]


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


@dataclasses.dataclass(frozen=True)
class Played:
    """What was run. ended: a tape held the end of its stream."""

    stream_id: str
    cycles: int
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

    def outcome(self, played: Played) -> Outcome:
        """Put the file in its place."""
        self._file.close()
        self._temporary.rename(self._path)
        return Outcome(
            played.stream_id, played.cycles, self.alerts, self._digest.hexdigest(), played.ended
        )


def _tables(sizes: Sizes) -> EngineTables:
    return allocate(PrivateArena(), sizes, columns())


def tables_for_tape(genesis: Genesis, workers: int = 1) -> EngineTables:
    """Empty private tables as large as those of the stream that begins with this genesis."""
    told = cast(dict[str, int], genesis.header.config["sizes"])
    return _tables(Sizes(**{**told, "workers": workers}))


def play_tape(
    tape: Path, take: Take, workers: int = 1, progress: Callable[[int], None] | None = None,
    rules: RulesFor | None = None, told_of: frozenset[str] | None = None,
) -> Played:
    """Repeat a recorded stream: reads its genesis and its tape, nothing else. rules: what runs
    instead of the rules on the tape. told_of: see MergeStage."""
    with TapeReader(tape) as reader:
        genesis = load(tape.with_name(GENESIS_NAME), reader.header.genesis_sha256)
        tables = tables_for_tape(genesis, workers)
        blocks = reader.blocks()
        if rules is not None:
            content = pack(rules(tables.sizes))
            if genesis.header.rules_version < 1 or len(content) > tables.sizes.rules_bytes:
                raise BacktestError(f"{tape} was recorded with no room for these rules.")
            genesis = Genesis(genesis.header, content, genesis.arrays)
            blocks = _with_rules(blocks, content)
        restore(tables, genesis)
        harness = Harness(tables, genesis.header.stream_id, take, told_of=told_of)
        ended = harness.run_tape(blocks, progress)
        return Played(genesis.header.stream_id, harness.n, ended)


def _with_rules(blocks: Iterator[Block], content: bytes) -> Iterator[Block]:
    """The same cycles under other rules, which every version stands for."""
    for block in blocks:
        yield dataclasses.replace(block, content=content) if block.kind == RULES else block


def backtest_tape(
    tape: Path, out: Path, workers: int = 1, progress: Callable[[int], None] | None = None
) -> Outcome:
    """Write the alerts of a recorded stream. The same bytes for any `workers`."""
    with _Writer(out) as writer:
        played = play_tape(tape, writer.take, workers, progress)
        return writer.outcome(played)


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
        self, config: Config, base: str, take: Take, compiled: CompiledRules, *,
        trades_counted: bool, told_of: frozenset[str] | None = None,
    ) -> None:
        self._config = config
        self._base = base
        self._take = take
        self._trades_counted = trades_counted
        self._told_of = told_of
        self._compiled = compiled
        self._before: Genesis | None = None
        self.cycles = 0

    def run(self, first_ns: int, last_ns: int, source: Source) -> Played:
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
        return Played(self._base, self.cycles, True)

    def _builder(self, stream_id: str) -> Builder:
        calendar_dir = Path(self._config.paths.data_dir)
        return Builder(self._config, stream_id, calendar_dir, self._compiled)

    def _day(self, builder: Builder, day: TradingDay, source: Source, first_ns: int) -> None:
        """One day, whose input begins at first_ns."""
        start_ns, end_ns = builder.outer_range(day)
        genesis = builder.begin_stream(self._before, day, max(start_ns, first_ns - 1))
        tables = _tables(dataclasses.replace(sizes_of(self._config), workers=1))
        restore(tables, genesis, trades_counted=self._trades_counted)
        harness = Harness(
            tables, genesis.header.stream_id, self._take, told_of=self._told_of
        )
        known = enumerate(genesis.header.tickers)
        ticks = admitted_batches(source(start_ns, end_ns), known, tables.sizes.capacity)
        harness.run_ticks(ticks, TO_THE_END)
        self.cycles += harness.n
        self._before = builder.after(tables)


def _silent(_sentence: str) -> None:
    """Nobody listens."""


def play_trades(
    config: Config, trades: Path, take: Take, compiled: CompiledRules, report: Report = _silent,
    told_of: frozenset[str] | None = None,
) -> Played:
    """Run rules over every trading day of a file of recorded trades.

    Stream ids are derived from the file's hash: same input, same alerts. report gets a sentence for
    every bad row; told_of: see MergeStage.
    """
    base = f"trades-{_file_hash(trades)[:32]}"
    first_ns, last_ns = _first_and_last(config, report)
    return _Days(config, base, take, compiled, trades_counted=True, told_of=told_of).run(
        first_ns, last_ns, lambda start, end: open_provider(config, start, end)
    )


def backtest_trades(config: Config, trades: Path, out: Path, report: Report = _silent) -> Outcome:
    """Write the alerts of the configured rules over a file of recorded trades, see play_trades."""
    compiled = load_compiled_rules(config)
    with _Writer(out) as writer:
        return writer.outcome(play_trades(config, trades, writer.take, compiled, report))


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


def play_bars(
    config: Config, bars: Path, take: Take, compiled: CompiledRules, report: Report = _silent,
    told_of: frozenset[str] | None = None,
) -> Played:
    """Run rules over 1-minute bars: each bar is applied whole at its end, one cycle a minute."""
    base = f"bars-{_file_hash(bars)[:32]}"
    file = BarsFile(bars, report)
    if not len(file.start):
        raise BacktestError(f"{bars} holds no bar that could be used ({file.rows_bad} bad rows).")
    engine = msgspec.structs.replace(config.engine, interval_ms=MINUTE_MS)
    grace = msgspec.structs.replace(config.bars, grace_ms=0)
    config = msgspec.structs.replace(config, engine=engine, bars=grace)
    first_ns, last_ns = int(file.start[0]), int(file.start[-1])
    return _Days(config, base, take, compiled, trades_counted=False, told_of=told_of).run(
        first_ns, last_ns, lambda start, end: BarsProvider(file, start, end)
    )


def backtest_bars(config: Config, bars: Path, out: Path, report: Report = _silent) -> Outcome:
    """Write the alerts of the configured rules over 1-minute bars, see play_bars."""
    compiled = load_compiled_rules(config)
    with _Writer(out) as writer:
        return writer.outcome(play_bars(config, bars, writer.take, compiled, report))
