"""Measures how often the templates fire, and keeps it beside them: `python -m tools.template_rates
--bars FILE`."""

import datetime
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
import numpy as np

from engine.alerts.merge import MergedCycle
from engine.config.schema import (
    Config,
    EngineSection,
    FeedSection,
    PathsSection,
    SimulatorSection,
)
from engine.config.schema_rules import RulesSection
from engine.config.sizes import sizes_of
from engine.domain.market_hours import exchange_date
from engine.domain.records import DECISION_END, NS_PER_MINUTE
from engine.domain.tables import allocate
from engine.feeds.providers.bars import BarsFile
from engine.feeds.registry import open_provider
from engine.feeds.stage import FeedStage
from engine.replay.backtest import backtest_bars
from engine.replay.builder import Builder, columns, load_compiled_rules
from engine.replay.genesis import restore
from engine.replay.harness import Harness
from engine.rules.template import RATES, Source, Template, document, templates
from shm.arena import PrivateArena

BARS_DATA = "{name}: 1-minute bars of {symbols} symbols over {days} days"
SIMULATOR_DATA = "the simulator with seed {seed}: {symbols} symbols over one regular session"
SYMBOLS, SEED, MINUTES, PART_MINUTES = 300, 20131008, 392, 39
START = "2026-01-05T09:28:00-05:00"
NS_PER_HOUR = 60 * NS_PER_MINUTE
COMMAND = "python -m tools.template_rates"


def of_source(name: str) -> list[Template]:
    """Those whose rate comes from a source."""
    return [one for one in templates().values() if one.measured_on == name]


def _rules(chosen: Iterable[Template], place: Path) -> RulesSection:
    path = place / "rules.json"
    path.write_text(json.dumps([document(one) for one in chosen]), encoding="utf-8")
    return RulesSection(path=str(path), max_alerts_per_cycle=16_384)


def measure_bars(bars: Path, chosen: list[Template]) -> Source:
    """Run templates over a file of 1-minute bars."""
    place = Path(tempfile.mkdtemp(prefix="tapescan-rates-"))
    try:
        file = BarsFile(bars, lambda _: None)
        pairs = _days_of(file)
        symbols = len({symbol for symbol, _ in pairs})
        told = Config(
            engine=EngineSection(capacity=max(64, symbols)),
            paths=PathsSection(data_dir=str(place)),
            feed=FeedSection(trades=str(bars)),
            rules=_rules(chosen, place),
        )
        out = place / "alerts.jsonl"
        backtest_bars(told, bars, out)
        with out.open(encoding="utf-8") as lines:
            fired = Counter(json.loads(line)["rule_id"] for line in lines)
    finally:
        shutil.rmtree(place)
    data = BARS_DATA.format(
        name=bars.name, symbols=symbols, days=len({day for _, day in pairs})
    )
    alerts = {one.id: fired[one.id] for one in chosen}
    return Source(data, f"{COMMAND} --bars {bars.name}", float(len(pairs)), alerts)


def _days_of(file: BarsFile) -> set[tuple[int, datetime.date]]:
    """(number of a symbol, exchange date) with a bar."""
    hours, inverse = np.unique(file.start // NS_PER_HOUR, return_inverse=True)
    dates = [exchange_date(int(hour) * NS_PER_HOUR) for hour in hours]
    found = np.unique(np.stack([file.symbol, inverse]), axis=1)
    return {(int(symbol), dates[int(place)]) for symbol, place in found.T}


class _Counted:
    """Alerts by template, of all cycles and of those before an instant."""

    def __init__(self, until_ns: int) -> None:
        self.all: Counter[str] = Counter()
        self.part: Counter[str] = Counter()
        self._until_ns = until_ns

    def take(self, cycle: MergedCycle) -> None:
        fired = Counter(alert.rule_id for alert in cycle.alerts)
        self.all += fired
        if cycle.t_ns < self._until_ns:
            self.part += fired


def measure_simulator(chosen: list[Template], minutes: int = MINUTES) -> Source:
    """Run templates over the seeded market."""
    place = Path(tempfile.mkdtemp(prefix="tapescan-rates-"))
    try:
        told = Config(
            engine=EngineSection(capacity=SYMBOLS, interval_ms=1000),
            paths=PathsSection(data_dir=str(place)),
            feed=FeedSection(provider="simulator", speed=0.0),
            simulator=SimulatorSection(
                symbols=SYMBOLS, seed=SEED, ticks_per_s=1500, start=START, minutes=MINUTES
            ),
            rules=_rules(chosen, place),
        )
        counted = _run(told, place, minutes)
    finally:
        shutil.rmtree(place)
    return Source(
        SIMULATOR_DATA.format(seed=SEED, symbols=SYMBOLS), COMMAND, float(SYMBOLS),
        {one.id: counted.all[one.id] for one in chosen},
        {one.id: counted.part[one.id] for one in chosen},
    )  # fmt: skip


def _run(told: Config, place: Path, minutes: int) -> _Counted:
    """The market's first minutes, in one process."""
    genesis = Builder(told, "rates", place, load_compiled_rules(told)).build()
    start_ns = genesis.header.start_ns
    tables = allocate(PrivateArena(), sizes_of(told), columns())
    restore(tables, genesis)
    counted = _Counted(start_ns + PART_MINUTES * NS_PER_MINUTE)
    harness = Harness(tables, "rates", counted.take)
    provider = open_provider(
        told, start_ns, start_ns + MINUTES * NS_PER_MINUTE, session=tables.session
    )
    feed = FeedStage(tables.ticks.rings[0], tables.feed_names[0], provider, 0.0, lambda: 0)
    while True:
        moved = feed.step()
        while (decision := harness.bars.decide_replay()) is not None:
            if int(decision["t_ns"]) >= start_ns + minutes * NS_PER_MINUTE:
                return counted
            harness.cycle(decision)
            if int(decision["flags"]) & DECISION_END:
                return counted
        if not moved and feed.ended:
            return counted


@click.command()
@click.option("--bars", type=click.Path(exists=True, path_type=Path), help="1-minute bars.")
def main(bars: Path | None) -> None:
    """Measure; without --bars only what the simulator tells."""
    found: dict[str, Source] = {}
    if RATES.exists():
        found = msgspec.json.decode(RATES.read_bytes(), type=dict[str, Source])
    found["simulator"] = measure_simulator(of_source("simulator"))
    if bars is not None:
        found["bars"] = measure_bars(bars, of_source("bars"))
    text = msgspec.json.format(msgspec.json.encode(dict(sorted(found.items()))), indent=1)
    RATES.write_bytes(text + b"\n")


if __name__ == "__main__":
    main()
