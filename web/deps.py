"""What the front is given (Deps) and what it keeps for its lifetime (Front)."""

import collections
import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Protocol

from aiohttp import web

from engine.config.address import is_loopback
from engine.config.registry import SETTINGS
from engine.config.schema import Config
from engine.config.schema_web import WebSection, listed
from engine.domain.stream import StreamInfo
from engine.domain.tables import EngineTables
from engine.rules.model import Rule
from engine.storage.ports import AlertAt, BarRow
from engine.storage.user_ports import UserStore
from shm.clock import realtime_ns
from web.problems import Problem
from web.reading import MetricIndex
from web.rule_book import RuleBook


class AlertSource(Protocol):
    """The part of engine.storage.ports.AlertReader that the front uses."""

    def latest(
        self,
        limit: int,
        *,
        before: int | None = None,
        symbol: str | None = None,
        rule_id: str | None = None,
        stream_id: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
        offset: int = 0,
    ) -> list[AlertAt]:
        """Newest first."""

    def after(self, position: int, limit: int) -> list[AlertAt]:
        """Oldest first, above a position."""

    def get(self, alert_id: str) -> AlertAt | None:
        """One alert."""

    def ids_of(self, stream_id: str, rule_id: str, cycles: range, from_ns: int) -> list[str]:
        """Ids of alerts of a rule."""


@dataclasses.dataclass(frozen=True)
class RoleView:
    """One role as the board shows it. beat_age_ms: None before the first beat. waits_for: the role
    whose gate keeps it from going on, empty: nobody; waits_ms: for how long. refused:
    the error number with which a disk refuses what it has to keep, 0: none does."""

    name: str
    state: str
    pid: int
    beat_age_ms: float | None
    restarts: int
    beating: bool
    waits_for: str = ""
    waits_ms: float = 0.0
    refused: int = 0


@dataclasses.dataclass(frozen=True)
class Telemetry:
    """A reading of the board: per role its counters by name and its latency histograms.

    counters: {role: {name: count}}; histograms: {name: Histogram}, all roles added up.
    """

    roles: tuple[RoleView, ...]
    counters: Mapping[str, Mapping[str, int]]
    histograms: Mapping[str, "Histogram"]


@dataclasses.dataclass(frozen=True)
class Histogram:
    """A latency histogram: counts[i] observations up to bounds_s[i] and above the bound before;
    sum_s and max_s of all of them."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]
    sum_s: float = 0.0
    max_s: float = 0.0

    @property
    def count(self) -> int:
        """Observations in total."""
        return sum(self.counts)

    def quantile_s(self, q: float) -> float | None:
        """Upper edge of the bucket that holds the q-quantile, never above the maximum; None
        without observations."""
        need, seen = q * self.count, 0
        for bound, count in zip(self.bounds_s, self.counts, strict=True):
            seen += count
            if count and seen >= need:
                return min(bound, self.max_s)
        return None

    def at_most(self, bound_s: float) -> int:
        """Observations in buckets that lie wholly at or below a bound."""
        pairs = zip(self.bounds_s, self.counts, strict=True)
        return sum(count for upper, count in pairs if upper <= bound_s)


def _none_stored(_rule_id: str) -> Rule | None:
    """No rule."""
    return None


def _no_bars(_symbol: str, _from_ns: int, _to_ns: int) -> list[BarRow]:
    """No bars."""
    return []


def _ignore(_series: str, _value: int) -> None:
    """Nowhere to count."""


@dataclasses.dataclass
class Deps:
    """Everything the front needs from the rest; a test hands in its own.

    telemetry() reads the board; speed: times the recording's pace, 0 as fast as it goes;
    switch_market("simulator" or "replay") asks the supervisor to start the engine again on it;
    no_switch: one sentence why that cannot be, empty when it can.
    limits: the bounds of [web]. count(series, amount), observe(series, ns) and gauge(series, value)
    write the front's own line of the board. stored_rule(id): a rule as it is kept, also one that is
    not in force; rules: all of them, None: none are kept. config: every setting in force.
    bars(symbol, from_ns, to_ns): stored final bars, oldest first. now_ns: monotonic clock;
    engine_ns: engine time, as alerts are stamped with it. open_users(): the store of users;
    signing_key: of access tokens; wall_ns: ns UTC, what they expire by.
    max_skew_ms: how far engine time may be from the wall clock before that degrades it.
    """

    tables: EngineTables
    metrics: MetricIndex
    alerts: AlertSource
    telemetry: Callable[[], Telemetry]
    stream: StreamInfo
    switch_market: Callable[[str], None]
    now_ns: Callable[[], int]
    engine_ns: Callable[[], int]
    no_switch: str = ""
    speed: float = 1.0
    max_skew_ms: int = 250
    host: str = "127.0.0.1"
    port: int = 8080
    auth: str = "none"
    limits: WebSection = dataclasses.field(default_factory=WebSection)
    count: Callable[[str, int], None] = _ignore
    observe: Callable[[str, int], None] = _ignore
    gauge: Callable[[str, int], None] = _ignore
    stored_rule: Callable[[str], Rule | None] = _none_stored
    rules: RuleBook | None = None
    config: Config = dataclasses.field(default_factory=Config)
    open_users: Callable[[], UserStore] | None = None
    signing_key: bytes = b""
    wall_ns: Callable[[], int] = realtime_ns
    bars: Callable[[str, int, int], list[BarRow]] = _no_bars


@dataclasses.dataclass
class Front:
    """State of one front: names it answers to, counters, the executor that reads the store, and the
    one that looks at the engine and may have to wait for it.

    counts: what `count` added up since this front began; the totals are on the board.
    """

    deps: Deps
    executor: Executor
    lookout: Executor
    hosts: set[str] = dataclasses.field(default_factory=set)
    origins: set[str] = dataclasses.field(default_factory=set)
    closed_reason: str = ""
    cors_origins: frozenset[str] = frozenset()
    requests: collections.Counter[tuple[str, str, int]] = dataclasses.field(
        default_factory=collections.Counter
    )
    requests_running: int = 0
    errors: int = 0
    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def count(self, series: str, amount: int = 1) -> None:
        """Count something that has no labels."""
        self.counts[series] += amount
        self.deps.count(series, amount)

    def reached(self, bound: str) -> None:
        """Count that something ran into a bound, by the key of its setting in [web]."""
        self.count(SETTINGS[f"web.{bound}"].counter)

    def refuse_over(self, bound: str, key: str, value: int) -> None:
        """Raise Problem 400 and count if a client's value of a key is above a bound."""
        most: int = getattr(self.deps.limits, bound)
        if value > most:
            self.reached(bound)
            raise Problem(400, f"{key}: expected a whole number <= {most}.")

    def count_request(self, method: str, route: str, status: int) -> None:
        """Count one answered request."""
        self.requests[method, route, status] += 1
        self.deps.count("http_requests_total", 1)

    def count_error(self) -> None:
        """Count one unexpected error."""
        self.errors += 1
        self.deps.count("errors_total", 1)

    def answer_to(self, host: str, port: int) -> None:
        """Add the names a browser may call this server by when it listens on host:port."""
        named = listed(self.deps.limits.server_names)
        names = {host, *named}
        if is_loopback(host):
            names |= {"127.0.0.1", "localhost", "[::1]"}
        has_tls = bool(self.deps.limits.tls_cert)
        proxied = bool(self.deps.limits.trusted_proxies)
        for name in names:
            bare = name.count(":") > 1 and not name.startswith("[")
            shown = f"[{name}]" if bare else name
            usual = port == (443 if has_tls else 80) or name in named
            spellings = {f"{shown}:{port}"} | ({shown} if usual else set())
            self.hosts |= {spelling.lower() for spelling in spellings}
            schemes = {"https" if has_tls else "http"} | ({"https"} if proxied else set())
            self.origins |= {f"{scheme}://{one}" for one in spellings for scheme in schemes}


def closed_reason(host: str, auth: str) -> str:
    """Why nothing but /health is served; empty when everything is."""
    if auth == "password":
        return ""
    if not is_loopback(host):
        return (
            f'web.host is "{host}", which is not a loopback address, and web.auth is "none", '
            "so only /health is served."
        )
    return ""


KEY: web.AppKey[Front] = web.AppKey("front", Front)
