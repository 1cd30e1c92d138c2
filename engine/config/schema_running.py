"""Settings of running: what is recorded, logged and watched."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class TapeSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The recording of what the engine took in."""

    record: Annotated[bool, Meta(description="Write genesis and tape of every stream.")] = True
    keep_days: Annotated[
        int,
        Meta(ge=0, le=3650, description="Days after which closed tapes are removed; 0: never."),
    ] = 30
    finish_max_s: Annotated[
        int,
        Meta(
            ge=0,
            le=3000,
            description="How long a start repeats the tape of a live stream that missed its roll; "
            "if that is too short, the next begins without its state.",
        ),
    ] = 1200


class AlertsSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The store of alerts."""

    keep_days: Annotated[
        int,
        Meta(
            ge=0,
            le=36_500,
            description="Days after which stored alerts are removed, those of the open stream "
            "apart; 0: never.",
        ),
    ] = 365


class OverloadSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Live only: what is given up first when the machine is too slow for every cycle."""

    after_s: Annotated[
        int,
        Meta(
            ge=1,
            le=3600,
            description="When cycles have been absent for so long, the stride doubles: symbols "
            "that may wait are looked at in every 2nd cycle, then in every 4th.",
        ),
    ] = 5
    calm_s: Annotated[
        int,
        Meta(
            ge=1,
            le=3600,
            description="After so long without an absent or a busy cycle the stride is halved.",
        ),
    ] = 30
    calm_load_pct: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Share of the interval; a cycle that takes longer is a busy one.",
        ),
    ] = 45
    max_stride: Annotated[
        int,
        Meta(
            ge=1,
            le=4,
            description="The largest stride, 1, 2 or 4; 1: every cycle looks at every symbol.",
            extra={"power_of_two": True},
        ),
    ] = 4
    recent_alert_s: Annotated[
        int,
        Meta(
            ge=0,
            le=86_400,
            description="A symbol that fired no longer ago does not wait.",
        ),
    ] = 900


class LogSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is written about the engine's own doings."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least severe level that is written."),
    ] = "info"
    file: Annotated[
        str,
        Meta(description="File of JSON lines; empty: standard error.", extra={"path": True}),
    ] = ""
    max_per_s: Annotated[
        int,
        Meta(ge=1, le=10_000, description="Lines per second of one event; the rest is counted."),
    ] = 10


class SupervisorSection(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Watching, restarting and stopping the roles."""

    beat_timeout_ms: Annotated[
        int,
        Meta(ge=100, le=600_000, description="A role silent for this long is killed, replaced."),
    ] = 5000
    stall_timeout_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=3_600_000,
            description="A role with input that makes no progress for this long, and waits for no "
            "other, is replaced.",
        ),
    ] = 15_000
    boot_timeout_ms: Annotated[
        int,
        Meta(ge=100, le=3_600_000, description="How long a process may take to its first beat."),
    ] = 30_000
    abort_wait_ms: Annotated[
        int,
        Meta(ge=0, le=60_000, description="Time for the stack dump between SIGABRT and SIGKILL."),
    ] = 500
    stop_timeout_ms: Annotated[
        int,
        Meta(ge=100, le=600_000, description="How long an orderly stop waits for each role."),
    ] = 5000
    max_deaths: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="Deaths without progress within budget_s that stop the engine.",
        ),
    ] = 5
    budget_s: Annotated[
        int, Meta(ge=1, le=86_400, description="The time over which max_deaths is counted.")
    ] = 60
    backoff_min_ms: Annotated[
        int,
        Meta(ge=1, le=600_000, description="First wait before a restart without progress."),
    ] = 1000
    backoff_max_ms: Annotated[
        int, Meta(ge=1, le=600_000, description="Longest wait before a restart.")
    ] = 30_000
