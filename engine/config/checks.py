"""What settings must be to each other: each check returns the key at fault and why, or None."""

import ipaddress
import itertools
from collections.abc import Callable
from pathlib import Path

from engine.config.address import is_loopback
from engine.config.registry import instant_ns
from engine.config.schema import Config
from engine.config.schema_web import listed

Fault = tuple[str, str] | None


def _interval(config: Config) -> Fault:
    interval_ms = config.engine.interval_ms
    if 1000 % interval_ms and interval_ms % 1000:
        return "engine.interval_ms", (
            "engine.interval_ms must divide 1000 or be a multiple of it, "
            f"and {interval_ms} does not."
        )
    return None


def _auth(config: Config) -> Fault:
    if config.web.auth == "none" and not is_loopback(config.web.host):
        return "web.auth", (
            'web.auth = "none" is allowed on a loopback host only, '
            f'and web.host is "{config.web.host}".'
        )
    return None


def _networks(config: Config) -> Fault:
    for text in listed(config.web.trusted_proxies):
        try:
            ipaddress.ip_network(text)
        except ValueError:
            return "web.trusted_proxies", (
                f'web.trusted_proxies names "{text}", which is neither an address nor a network.'
            )
    return None


def _tls(config: Config) -> Fault:
    if bool(config.web.tls_cert) != bool(config.web.tls_key):
        return "web.tls_key", "web.tls_cert and web.tls_key must be given together or not at all."
    return None


def _workers(config: Config) -> Fault:
    engine = config.engine
    if engine.scan_workers > engine.capacity:
        return "engine.scan_workers", (
            f"engine.scan_workers = {engine.scan_workers} is more than "
            f"engine.capacity = {engine.capacity} symbols can be shared among."
        )
    return None


def _simulator(config: Config) -> Fault:
    simulator, capacity = config.simulator, config.engine.capacity
    if config.feed.provider == "simulator" and simulator.symbols > capacity:
        return "simulator.symbols", (
            f"simulator.symbols = {simulator.symbols} does not fit into "
            f"engine.capacity = {capacity}."
        )
    return None


def _range(config: Config) -> Fault:
    start, end = instant_ns(config.feed.start), instant_ns(config.feed.end)
    if start is not None and end is not None and start >= end:
        return "feed.end", (
            f'feed.end = "{config.feed.end}" is not after feed.start = "{config.feed.start}".'
        )
    return None


def _history(config: Config) -> Fault:
    dates = config.feed.history_dates
    for before, after in itertools.pairwise(dates):
        if before >= after:
            return "feed.history_dates", (
                f'feed.history_dates must ascend, and "{after}" follows "{before}".'
            )
    if dates and config.feed.start and dates[-1] >= config.feed.start[:10]:
        return "feed.history_dates", (
            f'feed.history_dates must lie before feed.start = "{config.feed.start}", '
            f'and "{dates[-1]}" does not.'
        )
    return None


_OPEN, _CLOSE, _EARLY_CLOSE = "09:30", "16:00", "13:00"


def _market(config: Config) -> Fault:
    market = config.market
    if market.roll >= market.pre_open:
        return "market.roll", (
            f'market.roll = "{market.roll}" must be before market.pre_open = "{market.pre_open}".'
        )
    if market.pre_open > _OPEN:
        return "market.pre_open", (
            f'market.pre_open = "{market.pre_open}" must not be after the open, {_OPEN}.'
        )
    for name, value, close in (
        ("market.after_close", market.after_close, _CLOSE),
        ("market.after_close_early", market.after_close_early, _EARLY_CLOSE),
    ):
        if value < close:
            return name, f'{name} = "{value}" must not be before the close, {close}.'
    return None


def _backoff(config: Config) -> Fault:
    least_ms, most_ms = config.supervisor.backoff_min_ms, config.supervisor.backoff_max_ms
    if least_ms > most_ms:
        return "supervisor.backoff_min_ms", (
            f"supervisor.backoff_min_ms = {least_ms} is more than "
            f"supervisor.backoff_max_ms = {most_ms}."
        )
    return None


CHECKS: tuple[Callable[[Config], Fault], ...] = (
    _interval,
    _auth,
    _networks,
    _tls,
    _workers,
    _simulator,
    _range,
    _history,
    _market,
    _backoff,
)


def missing_file(config: Config) -> Fault:
    """The first file that the configuration needs and that is not there."""
    if config.feed.provider == "replay" and not config.feed.trades:
        return "feed.trades", (
            'feed.provider = "replay" needs feed.trades, a file of recorded trades.'
        )
    if not Path(config.rules.path).exists():
        return "rules.path", (
            f'rules.path names "{config.rules.path}", which is neither a file nor a directory.'
        )
    wanted: list[tuple[str, str]] = []
    if config.feed.provider == "replay":
        wanted += [("feed.trades", config.feed.trades), ("feed.quotes", config.feed.quotes)]
    wanted += [("web.tls_cert", config.web.tls_cert), ("web.tls_key", config.web.tls_key)]
    for key, name in wanted:
        if name and not Path(name).is_file():
            return key, f'{key} names "{name}", which is not a file.'
    place = Path(config.paths.data_dir)
    if place.exists() and not place.is_dir():
        return "paths.data_dir", f'paths.data_dir names "{place}", which is not a directory.'
    return None
