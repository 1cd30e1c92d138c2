"""Every setting: name, type, bounds, default, meaning; docs/settings.md is generated from it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine.config.schema_rules import RulesSection
from engine.config.schema_running import (
    AlertsSection,
    LogSection,
    OverloadSection,
    SupervisorSection,
    TapeSection,
)
from engine.config.schema_web import WebSection


class EngineSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is scanned, and how often."""

    name: Annotated[
        str,
        Meta(
            pattern=r"^[a-z][a-z0-9-]{0,31}\Z",
            description="Names the shared-memory segments; two engines at a time need two names.",
            extra={"say": "1 to 32 of a-z, 0-9 and -, beginning with a letter"},
        ),
    ] = "tapescan"
    scan_workers: Annotated[
        int, Meta(ge=1, le=16, description="Scan processes; alerts are the same for any number.")
    ] = 1
    capacity: Annotated[
        int,
        Meta(ge=1, le=65536, description="Symbols there is room for; later tickers are refused."),
    ] = 64
    interval_ms: Annotated[
        int,
        Meta(
            ge=5,
            le=60_000,
            description="Time between two cycles; divides 1000 or is a multiple of it.",
        ),
    ] = 100
    stream_id: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._-]{0,64}\Z",
            description="Name of the stream that a start begins, with a number if one of that name "
            "has been; empty: a new one is minted.",
            extra={"say": "at most 64 of letters, digits, '.', '_' and '-'"},
        ),
    ] = ""
    ring_ticks: Annotated[
        int,
        Meta(
            ge=1 << 12,
            le=1 << 24,
            description="Ticks a feed's ring holds; a power of two. Live, it has to last while the "
            "disk of the recorder stalls.",
            extra={"power_of_two": True},
        ),
    ] = 1 << 18


class PathsSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where things are kept. Relative paths start at the directory of the configuration file."""

    data_dir: Annotated[
        str,
        Meta(
            description="Everything written lies here; empty: tapescan under the XDG state home.",
            extra={"path": True},
        ),
    ] = ""


class FeedSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where ticks come from."""

    provider: Annotated[
        Literal["replay", "simulator"],
        Meta(description="replay: recorded trades and quotes; simulator: a seeded market."),
    ] = "replay"
    trades: Annotated[
        str,
        Meta(
            description="Recorded trades, CSV or CSV.gz; needed by replay.", extra={"path": True}
        ),
    ] = ""
    quotes: Annotated[
        str,
        Meta(description="Recorded quotes, CSV or CSV.gz; empty: none.", extra={"path": True}),
    ] = ""
    history_dates: Annotated[
        tuple[str, ...],
        Meta(
            max_length=64,
            description="Dates of the recording that only fill the bar history.",
            extra={"each": "date"},
        ),
    ] = ()
    start: Annotated[
        str,
        Meta(
            description="The replay begins at this instant; empty: the session's first record.",
            extra={"form": "instant"},
        ),
    ] = ""
    end: Annotated[
        str,
        Meta(
            description="The replay ends at this instant; empty: with the recording.",
            extra={"form": "instant"},
        ),
    ] = ""
    speed: Annotated[
        float,
        Meta(ge=0.0, le=100_000.0, description="Times the recording's pace; 0: at full speed."),
    ] = 10.0
    loop: Annotated[
        bool, Meta(description="Begin again at the end; every loop is a new stream.")
    ] = True
    stop_at_end: Annotated[
        bool,
        Meta(description="Without loop: stop the engine at the end; else the page stays up."),
    ] = True
    watermark_wait_ms: Annotated[
        int,
        Meta(ge=1, le=60_000, description="Live only: how long a cycle waits for a lagging feed."),
    ] = 250
    delay_ms: Annotated[
        int,
        Meta(ge=0, le=3_600_000, description="How far the provider's data is behind the market."),
    ] = 0


class SimulatorSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The seeded market of feed.provider = "simulator"; all it gives is marked SIMULATED."""

    symbols: Annotated[int, Meta(ge=1, le=10_000, description="How many symbols trade.")] = 10_000
    seed: Annotated[
        int, Meta(ge=0, le=2**32 - 1, description="The same seed gives the same market.")
    ] = 1
    ticks_per_s: Annotated[
        int, Meta(ge=1, le=2_000_000, description="Average ticks per second of market time.")
    ] = 20_000
    clock: Annotated[
        Literal["tape", "live"],
        Meta(description="tape: market time, paced by feed.speed; live: the wall clock's pace."),
    ] = "tape"
    start: Annotated[
        str,
        Meta(
            description="First instant of the simulated market; empty: 09:28 of the default date.",
            extra={"form": "instant"},
        ),
    ] = ""
    minutes: Annotated[
        int,
        Meta(
            ge=1,
            le=960,
            description="Minutes of market until the input ends; live: until the session rolls.",
        ),
    ] = 392
    quotes: Annotated[bool, Meta(description="Quotes beside the trades.")] = True
    halts: Annotated[bool, Meta(description="Trading halts and resumes now and then.")] = True
    late_ticks: Annotated[bool, Meta(description="Some trades arrive late.")] = True
    corrections: Annotated[bool, Meta(description="Some trades are corrected or cancelled.")] = True
    gaps: Annotated[bool, Meta(description="The feed loses sight of the market now and then.")] = (
        True
    )


class BarsSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One-minute bars."""

    grace_ms: Annotated[
        int,
        Meta(ge=0, le=60_000, description="How long after its end a minute stays open."),
    ] = 500
    history_bars: Annotated[
        int, Meta(ge=128, le=4096, description="Minutes of final bars kept in memory.")
    ] = 208
    pool_trades: Annotated[
        int,
        Meta(
            ge=1 << 10,
            le=1 << 24,
            description="Recent trades kept for corrections and cancels; a power of two.",
            extra={"power_of_two": True},
        ),
    ] = 1 << 19
    keep_days: Annotated[
        int,
        Meta(
            ge=0,
            le=36_500,
            description="Days, from a bar's own minute on, after which stored bars are removed, "
            "those of the open stream apart; 0: never.",
        ),
    ] = 90


_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d\Z"


class MarketSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The exchange's day, in America/New_York."""

    pre_open: Annotated[
        str,
        Meta(
            pattern=_CLOCK,
            description="The pre-market session begins.",
            extra={"say": "a time of day like 04:00"},
        ),
    ] = "04:00"
    after_close: Annotated[
        str,
        Meta(
            pattern=_CLOCK,
            description="The after-hours session ends.",
            extra={"say": "a time of day like 20:00"},
        ),
    ] = "20:00"
    after_close_early: Annotated[
        str,
        Meta(
            pattern=_CLOCK,
            description="The after-hours session ends on days with an early close.",
            extra={"say": "a time of day like 17:00"},
        ),
    ] = "17:00"
    roll: Annotated[
        str,
        Meta(
            pattern=_CLOCK,
            description="The session rolls: the stream ends and a new one begins.",
            extra={"say": "a time of day like 03:50"},
        ),
    ] = "03:50"
    calendar: Annotated[
        Literal["XNYS"],
        Meta(description="Calendar of exchange_calendars with holidays and early closes."),
    ] = "XNYS"


class ClockSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Engine time of a live stream."""

    max_skew_ms: Annotated[
        int,
        Meta(
            ge=1,
            le=3_600_000,
            description="Live only: difference to the wall clock from which it is degraded.",
        ),
    ] = 250




class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The whole configuration; `engine.config.load.load` builds it and checks it."""

    engine: EngineSection = EngineSection()
    paths: PathsSection = PathsSection()
    feed: FeedSection = FeedSection()
    simulator: SimulatorSection = SimulatorSection()
    bars: BarsSection = BarsSection()
    market: MarketSection = MarketSection()
    clock: ClockSection = ClockSection()
    rules: RulesSection = RulesSection()
    overload: OverloadSection = OverloadSection()
    tape: TapeSection = TapeSection()
    alerts: AlertsSection = AlertsSection()
    web: WebSection = WebSection()
    log: LogSection = LogSection()
    supervisor: SupervisorSection = SupervisorSection()
