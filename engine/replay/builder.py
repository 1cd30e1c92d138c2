"""Builds the genesis of a new stream: history first (the same stages over earlier ticks), then the
start."""

import dataclasses
import datetime
import functools
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from engine.config.schema import Config
from engine.config.sizes import sizes_of
from engine.domain import market_hours, records
from engine.domain.market_hours import OuterTimes, TradingDay
from engine.domain.sizes import Sizes
from engine.domain.tables import Columns, EngineTables, allocate
from engine.errors import EngineError
from engine.feeds.admit import admitted_batches
from engine.feeds.conditions import Conditions
from engine.feeds.registry import is_live, open_provider, simulated_reference
from engine.indicators import registry as indicator_registry
from engine.metrics.registry import COLUMNS as METRIC_COLUMNS
from engine.replay.calendar_load import load_calendar
from engine.replay.carry import begin_date
from engine.replay.fingerprint import code_fingerprint, file_mark
from engine.replay.genesis import Genesis, GenesisHeader, empty_arrays, restore, snapshot
from engine.replay.harness import Harness
from engine.replay.inform import ReferenceData, in_new_shares, informed
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.families import kept_bits
from engine.rules.files import load_rules
from engine.rules.limits import limits_of
from engine.rules.pack import pack
from engine.storage.reference_sqlite import REFERENCE_NAME
from shm.arena import PrivateArena

_MS = 1_000_000
_HISTORY_INTERVAL_NS = records.NS_PER_MINUTE
_BEFORE_START_INTERVAL_NS = records.NS_PER_SECOND
_FINE_NS = Sizes.seconds * records.NS_PER_SECOND
_SMALLEST = Sizes(capacity=1)
_DAY = datetime.timedelta(days=1)
_HOUR_NS = 3600 * records.NS_PER_SECOND
_BELL = datetime.time(9, 30)
_SIMULATED_START = "2026-01-05T09:28:00-05:00"


class BuildError(EngineError):
    """Raised when no stream can be begun from this configuration."""


def columns() -> Columns:
    """What the registries ask of the tables."""
    return Columns(
        indicator_slots=indicator_registry.SLOTS,
        indicator_values=indicator_registry.VALUES,
        indicator_ring=indicator_registry.RING,
        metrics=METRIC_COLUMNS,
    )


def load_compiled_rules(config: Config) -> CompiledRules:
    """Read and compile the configured rule file. Raises RuleError naming what is wrong."""
    return compile_rules(
        load_rules(Path(config.rules.path), limits_of(config)), sizes_of(config)
    )


def alert_config(config: Config) -> dict[str, object]:
    """Every setting that can change an alert, and nothing that cannot (workers, ports, pace); of
    the recordings and of the table of conditions what they hold, not only where they lie."""
    feed = msgspec.to_builtins(config.feed)
    for key in ("speed", "loop", "stop_at_end"):
        feed.pop(key)
    sizes = dataclasses.asdict(sizes_of(config))
    sizes.pop("workers")
    found = {
        "feed": feed,
        "market": msgspec.to_builtins(config.market),
        "grace_ms": config.bars.grace_ms,
        "interval_ms": config.engine.interval_ms,
        "sizes": sizes,
        "conditions": Conditions.load().fingerprint,
    }
    if config.feed.provider == "simulator":
        found["simulator"] = msgspec.to_builtins(config.simulator)
    else:
        names = [name for name in (config.feed.trades, config.feed.quotes) if name]
        found["input"] = [file_mark(Path(name)) for name in names]
    plain: dict[str, object] = json.loads(msgspec.json.encode(found))
    return plain


@dataclasses.dataclass(frozen=True)
class Span:
    """What the stream covers: its trading day, T of cycle 0, and where its input ends (exclusive,
    None: open)."""

    day: TradingDay
    start_ns: int
    end_ns: int | None


class Builder:
    """Builds one genesis. calendar_dir: where the exported calendar and reference data are kept;
    say: progress sentences. Live: now_ns is where it begins, before what the stream of before left
    (its start_ns is where that ended)."""

    def __init__(
        self,
        config: Config,
        stream_id: str,
        calendar_dir: Path,
        compiled: CompiledRules,
        say: Callable[[str], None] = lambda sentence: None,
        on_bars: Callable[[list[str], np.ndarray], None] | None = None,
        now_ns: int = 0,
        before: Genesis | None = None,
    ) -> None:
        self._config = config
        self._stream_id = stream_id
        self._calendar_dir = calendar_dir
        self._compiled = compiled
        self._say = say
        self._on_bars = on_bars
        self._before = before
        self._now_ns = now_ns if before is None else max(now_ns, before.header.start_ns)
        self._live = is_live(config)
        self._reference = ReferenceData(
            None if config.feed.provider == "simulator" else calendar_dir / REFERENCE_NAME
        )
        market = config.market
        self._outer = OuterTimes(
            *(
                market_hours.parse_time(text)
                for text in (
                    market.pre_open, market.after_close, market.after_close_early, market.roll,
                )
            )
        )  # fmt: skip
        self._grace_ns = (config.bars.grace_ms + config.feed.delay_ms) * _MS
        self._interval_ns = config.engine.interval_ms * _MS

    # -- what the stream covers ------------------------------------------------------------------
    @functools.cached_property
    def span(self) -> Span:
        """What the stream covers. Raises EngineError when the settings name nothing."""
        config = self._config
        if config.feed.provider == "simulator":
            return self._simulated_span()
        start = self._instant(config.feed.start) if config.feed.start else None
        end = self._instant(config.feed.end) if config.feed.end else None
        if start is None:
            start = self._first_record_ns()
        day = market_hours.day_of(self._calendar(start), market_hours.exchange_date(start))
        start = max(start, int(self._session(day, self._interval_ns)["start_ns"][0]))
        return Span(day, start // self._interval_ns * self._interval_ns, end)

    def _simulated_span(self) -> Span:
        """The simulator's own day. A live one begins now, and its session is laid around that; its
        date follows that of the session before."""
        told = self._config.simulator
        if self._live:
            start = self._now_ns // self._interval_ns * self._interval_ns
            opened = start - self._after_open_ns(told.start)
            date = market_hours.from_ns(start).date()
            if self._before is not None:
                date = max(date, market_hours.date_of(self._before.header.date) + _DAY)
            return Span(TradingDay(date, opened, opened + 13 * _HOUR_NS // 2, False), start, None)
        start = self._instant(told.start or _SIMULATED_START)
        day = market_hours.day_of(self._calendar(start), market_hours.exchange_date(start))
        start = start // self._interval_ns * self._interval_ns
        return Span(day, start, start + told.minutes * records.NS_PER_MINUTE)

    def _after_open_ns(self, text: str) -> int:
        """How long after its opening bell a live simulation begins; without a start: with it."""
        if not text:
            return 0
        instant = self._instant(text)
        bell = market_hours.local_ns(market_hours.exchange_date(instant), _BELL)
        if not -_HOUR_NS <= instant - bell < 13 * _HOUR_NS // 2:
            raise BuildError(
                f"simulator.start {text} is not within an hour before 09:30 and 16:00 in New York, "
                "as a live simulation needs it."
            )
        return instant - bell

    @staticmethod
    def _instant(text: str) -> int:
        return market_hours.to_ns(datetime.datetime.fromisoformat(text))

    def _calendar(self, around_ns: int) -> list[TradingDay]:
        date = market_hours.from_ns(around_ns).date()
        name = self._config.market.calendar
        return load_calendar(self._calendar_dir, name, date - 30 * _DAY, date + 30 * _DAY)

    def _first_record_ns(self) -> int:
        ticks = open_provider(self._config, None, None).read(1)
        if not len(ticks):
            raise BuildError(f"{self._config.feed.trades} holds no record that could be replayed.")
        return int(ticks["recv_ns"][0])

    def _session(self, day: TradingDay, interval_ns: int) -> np.ndarray:
        if self._live:
            return self._live_session(day, interval_ns)
        return market_hours.session_record(day, self._outer, interval_ns, self._grace_ns)

    def _live_session(self, day: TradingDay, interval_ns: int) -> np.ndarray:
        """A made-up session around a live simulation: the real clock need not be in market hours.
        It rolls after the simulation's minutes, be it open or not."""
        roll_ns = self.span.start_ns + self._config.simulator.minutes * records.NS_PER_MINUTE
        session = np.zeros(1, records.SESSION)
        session[0] = (
            market_hours.date_number(day.date), day.open_ns - _HOUR_NS, day.open_ns, day.close_ns,
            day.close_ns + 4 * _HOUR_NS, roll_ns, interval_ns, self._grace_ns,
        )  # fmt: skip
        return session

    # -- building --------------------------------------------------------------------------------
    def build(self) -> Genesis:
        """The genesis of the stream. Raises EngineError when its input cannot be used."""
        simulated = self._config.feed.provider == "simulator"
        return self._finished(self._simulated() if simulated else self._from_history())

    def trading_days(self, first_ns: int, last_ns: int) -> list[TradingDay]:
        """Trading days from the date of one instant to that of another."""
        first = market_hours.exchange_date(first_ns, self._outer.roll)
        last = market_hours.exchange_date(last_ns, self._outer.roll)
        name = self._config.market.calendar
        return load_calendar(self._calendar_dir, name, first, last)

    def outer_range(self, day: TradingDay) -> tuple[int, int]:
        """Start of pre-market and the roll, less a cycle: the input of one stream."""
        session = self._session(day, self._interval_ns)
        return int(session["start_ns"][0]), int(session["roll_ns"][0]) - self._interval_ns

    def begin_stream(self, before: Genesis | None, day: TradingDay, start_ns: int) -> Genesis:
        """The genesis of a day that follows what `before` left; T of cycle 0 is on the grid."""
        session = self._session(day, self._interval_ns)
        start_ns = start_ns // self._interval_ns * self._interval_ns
        empty = self._tables(_SMALLEST)
        self.span = Span(day, start_ns, None)
        return self._finished(self._begin_day(before, session, start_ns, empty))

    def after(self, tables: EngineTables) -> Genesis:
        """What a stream leaves to the next day."""
        tickers, arrays = snapshot(tables, instants=False)
        return self._genesis(tickers, arrays, tables.session, 0)

    def _simulated(self) -> Genesis:
        listed, capacity = simulated_reference(self._config), self._config.engine.capacity
        tickers = listed[0]
        if len(tickers) > capacity:
            raise BuildError(
                f"simulator.symbols is {len(tickers)}, but engine.capacity is {capacity}."
            )
        session, empty = self._session(self.span.day, self._interval_ns), self._tables(_SMALLEST)
        if self._before is None:
            arrays = empty_arrays(empty, *listed)
        else:
            yesterday = self._date_before(session)
            _, arrays = begin_date(self._before, session, yesterday, empty, capacity, listed)
        return self._genesis(tickers, arrays, session, self.span.start_ns)

    def _from_history(self) -> Genesis:
        tables = self._tables(_SMALLEST)
        genesis: Genesis | None = None
        for text in self._config.feed.history_dates:
            date = datetime.date.fromisoformat(text)
            day = market_hours.day_of(
                self._calendar(market_hours.local_ns(date, datetime.time(12))), date
            )
            self._say(f"reading {date} as history")
            genesis = self._through_day(genesis, day, tables)
        return self._before_start(genesis, tables)

    def _before_start(self, genesis: Genesis | None, empty: EngineTables) -> Genesis:
        """The day of the stream up to its start: by minutes, by seconds as far back as prices per
        second are kept, and what is left of the last second."""
        session = self._session(self.span.day, _HISTORY_INTERVAL_NS)
        at, start = int(session["start_ns"][0]), self.span.start_ns
        found = self._begin_day(genesis, session, at, empty)
        if start > at:
            self._say(f"reading {self.span.day.date} up to the start")
        for interval_ns, until in (
            (_HISTORY_INTERVAL_NS, start - _FINE_NS),
            (_BEFORE_START_INTERVAL_NS, start),
            (self._interval_ns, start),
        ):
            until_ns = until // interval_ns * interval_ns
            if until_ns > at:
                session = self._session(self.span.day, interval_ns)
                found = self._genesis(found.header.tickers, found.arrays, session, at)
                found, at = self._advance(found, session, at, until_ns), until_ns
        return found

    def _tables(self, sizes: Sizes) -> EngineTables:
        return allocate(PrivateArena(), sizes, columns())

    def _genesis(
        self, tickers: list[str], arrays: dict[str, np.ndarray], session: np.ndarray, start_ns: int
    ) -> Genesis:
        header = GenesisHeader(
            stream_id=self._stream_id,
            provider=self._config.feed.provider,
            simulated=self._config.feed.provider == "simulator",
            date=int(session["date"][0]),
            start_ns=start_ns,
            end_ns=None,
            interval_ns=int(session["interval_ns"][0]),
            feeds=1,
            tickers=tickers,
            session=[int(value) for value in session[0].tolist()],
            rules_version=0,
            config={},
            conditions_sha256="",
            fingerprint="",
            live=self._live,
        )
        return Genesis(header, b"", arrays)

    def _begin_day(
        self, before: Genesis | None, session: np.ndarray, start_ns: int, empty: EngineTables
    ) -> Genesis:
        """A new session date: what carries over carries over, the rest is unknown again."""
        if before is None:
            reference = np.zeros(0, records.REFERENCE)
            return self._genesis([], empty_arrays(empty, [], reference), session, start_ns)
        date = int(session["date"][0])
        tickers, arrays = begin_date(
            in_new_shares(before, self._reference.splits(), date), session,
            self._date_before(session), empty, self._config.engine.capacity,
        )  # fmt: skip
        return self._genesis(tickers, arrays, session, start_ns)

    def _date_before(self, session: np.ndarray) -> int:
        """The trading day before that of a session, yyyymmdd. The live simulation trades daily."""
        if self._live:
            return market_hours.date_number(self.span.day.date - _DAY)
        days = self._calendar(int(session["open_ns"][0]))
        earlier = [day.date for day in days if day.open_ns < int(session["open_ns"][0])]
        return market_hours.date_number(earlier[-1])

    def _through_day(self, before: Genesis | None, day: TradingDay, empty: EngineTables) -> Genesis:
        session = self._session(day, _HISTORY_INTERVAL_NS)
        begin, end = int(session["start_ns"][0]), int(session["roll_ns"][0])
        genesis = self._begin_day(before, session, begin, empty)
        last = end - _HISTORY_INTERVAL_NS  # the roll itself would end the stream
        return self._advance(genesis, session, begin, last)

    def _advance(
        self, genesis: Genesis, session: np.ndarray, begin_ns: int, end_ns: int
    ) -> Genesis:
        """Run bars and indicators over the ticks of [begin, end): the state as of end."""
        tables = self._tables(dataclasses.replace(sizes_of(self._config), workers=1))
        restore(tables, genesis, keep=kept_bits(self._compiled.program.families.names))
        harness = Harness(tables, self._stream_id, scan=False)
        if self._on_bars is not None:
            take = self._on_bars
            harness.on_bars = lambda events: take([t for _, t in tables.names.all()], events)
        provider = open_provider(self._config, begin_ns, end_ns)
        known = enumerate(genesis.header.tickers)
        harness.run_ticks(admitted_batches(provider, known, tables.sizes.capacity), end_ns)
        tickers, arrays = snapshot(tables)
        return self._genesis(tickers, arrays, session, end_ns)

    def _finished(self, genesis: Genesis) -> Genesis:
        book = self._reference.book(
            self.span.day, functools.partial(self._calendar_back, self.span.day.date),
            self._config.engine.capacity, self._say,
        )  # fmt: skip
        header = msgspec.structs.replace(
            genesis.header,
            end_ns=self.span.end_ns,
            interval_ns=self._interval_ns,
            session=[int(v) for v in self._session(self.span.day, self._interval_ns)[0].tolist()],
            rules_version=1,
            config=alert_config(self._config),
            conditions_sha256=Conditions.load().fingerprint,
            fingerprint=code_fingerprint(),
            jumps=[(jump.ticker, jump.date, jump.ratio) for jump in book.jumps],
        )
        arrays = informed(genesis.header.tickers, genesis.arrays, book)
        return Genesis(header, pack(self._compiled), arrays)

    def _calendar_back(self, date: datetime.date, days: int) -> list[TradingDay]:
        name = self._config.market.calendar
        return load_calendar(self._calendar_dir, name, date - days * _DAY, date)
