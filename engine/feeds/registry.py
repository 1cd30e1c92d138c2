"""The providers by name, and how a configuration becomes one of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.config.schema import Config
from engine.feeds.conditions import Conditions
from engine.feeds.errors import FeedError
from engine.feeds.port import Provider, Report
from engine.feeds.providers.replay import ReplayProvider
from engine.feeds.providers.simulator import SimulatorProvider, Traits, reference


def silent(sentence: str) -> None:
    """A report that nobody reads: for a second reading of what has been reported."""


def _replay(
    config: Config,
    start_ns: int | None,
    end_ns: int | None,
    report: Report,
    session: np.ndarray | None,
) -> Provider:
    feed = config.feed
    quotes = Path(feed.quotes) if feed.quotes else None
    return ReplayProvider(
        Path(feed.trades), quotes, Conditions.load(), report, start_ns=start_ns, end_ns=end_ns
    )


def is_live(config: Config) -> bool:
    """True when the engine clock decides the cycles of the configured provider, not its ticks."""
    return config.feed.provider == "simulator" and config.simulator.clock == "live"


def traits_of(config: Config) -> Traits:
    """What the configuration asks of the simulated market."""
    told = config.simulator
    return Traits(
        seed=told.seed,
        symbols=told.symbols,
        ticks_per_s=told.ticks_per_s,
        quotes=told.quotes,
        halts=told.halts,
        late_ticks=told.late_ticks,
        corrections=told.corrections,
        gaps=told.gaps,
    )


def _simulator(
    config: Config,
    start_ns: int | None,
    end_ns: int | None,
    report: Report,
    session: np.ndarray | None,
) -> Provider:
    if session is None:
        raise FeedError("The simulator needs a session to live in.")
    return SimulatorProvider(
        traits_of(config),
        session,
        Conditions.load(),
        start_ns=start_ns,
        end_ns=end_ns,
        live=is_live(config),
    )


_Factory = Callable[[Config, int | None, int | None, Report, np.ndarray | None], Provider]
PROVIDERS: dict[str, _Factory] = {"replay": _replay, "simulator": _simulator}


def open_provider(
    config: Config,
    start_ns: int | None,
    end_ns: int | None,
    report: Report = silent,
    session: np.ndarray | None = None,
) -> Provider:
    """The configured provider over [start_ns, end_ns); None: as far as its input goes.

    session: SESSION[1] of the stream, needed by the simulator. Raises FeedError when its input
    cannot be used.
    """
    try:
        factory = PROVIDERS[config.feed.provider]
    except KeyError:
        known = ", ".join(PROVIDERS)
        raise FeedError(
            f"feed.provider = {config.feed.provider!r} is not one of {known}."
        ) from None
    return factory(config, start_ns, end_ns, report, session)


def simulated_reference(config: Config) -> tuple[list[str], np.ndarray]:
    """Tickers and REFERENCE rows of the configured simulated market."""
    return reference(config.simulator.seed, config.simulator.symbols)
