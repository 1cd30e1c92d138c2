"""One more rule beside 5,000 active ones: how long until it is published, and what taking it into
use costs the cycle that does."""

import functools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.rules.change import Change
from engine.rules.library import Library, Program
from engine.rules.limits import Limits
from engine.rules.model import Rule, to_document
from engine.scan.fire_nb import ALERTS
from engine.storage.rule_sqlite import SqliteRuleStore
from tools.bench.desk import Engine
from tools.bench.figures import elapsed_ms, figure
from tools.bench.scan import SELECTIVE, make_rules, steady_columns
from tools.bench.templates import rules_of, templates

SYMBOLS, RULES, OPERATORS = 10_000, 5_000, 1_000
LISTED = 20  # symbols that every tenth rule names
ADDED, CYCLES, SETTLE = 5, 100, 8
PUBLISH_MS, EXTRA_MS, TAKEN = 500.0, 50.0, 2
_AUTHOR = "bench"


def _documents(engine: Engine) -> list[dict[str, Any]]:
    """Rules with and without a past; every tenth is for some symbols, every tenth for a price."""
    usable = steady_columns(engine)
    columns = engine.columns().copy()
    made: list[Rule] = rules_of(templates(columns, OPERATORS))
    made += make_rules(columns, usable, RULES - OPERATORS, SELECTIVE, 60.0)
    found = []
    for number, rule in enumerate(made):
        document = to_document(rule)
        del document["version"]
        if number % 10 == 0:
            chosen = engine.rng.permutation(SYMBOLS)[:LISTED].tolist()
            document["universe"] = {"symbols": [f"S{one:05}" for one in chosen]}
        elif number % 10 == 1:
            document["universe"] = {"price_min": 1.0 + number % 50}
        found.append(document)
    return found


class _Desk:
    """The front's part: a store, and what it publishes to one scan worker."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        limits = Limits(
            max_rules=RULES + ADDED, symbols=SYMBOLS, max_set_cost_share=10.0
        )
        store = SqliteRuleStore(directory / "app.db")
        self.engine = engine
        self.library = Library(store, limits, engine.tables.sizes, time.time_ns)

    def change(self, action: Any, documents: list[dict[str, Any]]) -> None:
        """Store, compile and publish."""
        done: list[Program] = []
        change = Change(action=action, author=_AUTHOR, documents=tuple(documents))
        self.library.apply(change, done.append)
        self.engine.publish(done[-1].content)
        self.library.before = done[-1].compiled


def _fires(engine: Engine) -> bool:
    """Whether the rule with the lowest id fired in the newest cycle."""
    alerts = engine.stage.work.alerts[: int(engine.stage.counts[ALERTS])]
    return bool((alerts >> 32 == 0).any())


def _added(number: int) -> dict[str, Any]:
    """Its id is the lowest of all, so that its alerts are the first."""
    return {"id": f"a{ADDED - number}", "name": "new", "where": "last > 5"}


def run() -> list[dict[str, Any]]:
    """Measure on one core: the best of some rules added, the median of the cycles around."""
    engine = Engine(SYMBOLS, RULES + ADDED, 0.05)
    documents = _documents(engine)
    with tempfile.TemporaryDirectory() as directory:
        desk = _Desk(engine, Path(directory))
        desk.change("import", documents)
        for _ in range(SETTLE):
            engine.cycle_ms()
        publish, extra, waited, after = [], [], [], []
        for number in range(ADDED):
            before = statistics.median(engine.cycle_ms() for _ in range(SETTLE))
            create = functools.partial(desk.change, "create", [_added(number)])
            publish.append(elapsed_ms(create))
            extra.append(engine.cycle_ms() - before)
            cycles = 1
            while not _fires(engine) and cycles <= TAKEN:
                engine.cycle_ms()
                cycles += 1
            waited.append(cycles)
            after += [engine.cycle_ms() - before for _ in range(CYCLES // ADDED)]
        desk.library.store.close()
    name = f"add_rule_to_{RULES}"
    return [
        figure(f"{name}_published", min(publish), PUBLISH_MS),
        figure(f"{name}_first_cycle_extra", min(extra), EXTRA_MS),
        figure(f"{name}_later_cycles_extra", float(np.median(after)), EXTRA_MS / 10),
        figure(f"{name}_fires_in_cycle", max(waited), TAKEN, unit="cycle"),
    ]
