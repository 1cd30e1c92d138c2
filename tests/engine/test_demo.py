"""The demo as it ships: eight rules, and every one of them speaks in the first minute."""

import json
from collections import Counter

from engine.alerts.merge import MergedCycle
from engine.config.sizes import sizes_of
from engine.domain.tables import allocate
from engine.feeds.admit import admitted_batches
from engine.feeds.registry import open_provider
from engine.replay.builder import Builder, columns, load_compiled_rules
from engine.replay.genesis import restore
from engine.replay.harness import Harness
from shm.arena import PrivateArena
from tests.replay.market import calendar_dir
from tests.replay.recording import MINUTE, START, demo


def test_each_of_the_eight_demo_rules_fires_within_the_first_minute_of_tape() -> None:
    told = demo(100)
    compiled = load_compiled_rules(told)
    assert len(compiled.rules) == 8
    genesis = Builder(told, "demo", calendar_dir(), compiled).build()
    tables = allocate(PrivateArena(), sizes_of(told), columns())
    restore(tables, genesis)
    fired: Counter[str] = Counter()

    def take(cycle: MergedCycle) -> None:
        fired.update(alert.rule_id for alert in cycle.alerts)
        assert all(json.loads(alert.document)["explain"] for alert in cycle.alerts)

    harness = Harness(tables, "demo", take)
    ticks = admitted_batches(
        open_provider(told, START, START + MINUTE), enumerate(genesis.header.tickers), 64
    )
    harness.run_ticks(ticks, START + MINUTE)
    assert int(harness.bars.head["t_ns"]) == START + MINUTE
    assert set(fired) == {rule.id for rule in compiled.rules}
    assert sum(fired.values()) < 200, "a newcomer should not be flooded"
