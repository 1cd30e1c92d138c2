"""A recorded stream equals its repetition, whatever the interval, the workers, the interruption."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engine.config.schema import Config
from engine.domain import records
from engine.domain.tables import FLOW_DURABLE_N
from engine.replay import tape as tape_module
from engine.replay.genesis import Genesis, restore
from engine.replay.harness import Harness
from engine.replay.recorder import bar_rows
from engine.replay.tape import TapeReader, TapeWriter
from engine.storage.ports import BarRow
from shm.fences import write_word
from shm.words import WORD_STRIDE
from tests.replay.market import (
    SECOND_RULES,
    STREAM,
    Run,
    bars_of,
    begin,
    config,
    drive,
    feed_of,
    publish_rules,
    recorded,
    repeated,
    tables_of,
    tape_content,
)

CASES = [(1000, 2, 1), (100, 2, 2), (10, 1, 3)]


@pytest.mark.soak
@pytest.mark.parametrize(("interval_ms", "minutes", "workers"), CASES)
def test_a_recorded_run_equals_its_repetition_with_any_number_of_workers(
    tmp_path: Path, interval_ms: int, minutes: int, workers: int, soak: bool
) -> None:
    for seed in range(1, 11 if soak else 2):
        told = config(seed=seed, interval_ms=interval_ms, minutes=minutes)
        genesis, tape = begin(told), tmp_path / f"{seed}.tape"
        run = recorded(told, genesis, tape, workers)
        assert len(run.alerts) > 20
        for others in {1, 2, 3} if interval_ms > 10 else {4 - workers}:
            assert repeated(told, genesis, tape, others) == (run.alerts, True)


def test_runs_with_one_two_and_three_workers_record_the_same_tape(tmp_path: Path) -> None:
    told = config(seed=7)
    genesis = begin(told)
    runs = [recorded(told, genesis, tmp_path / f"{n}.tape", n) for n in (1, 2, 3)]
    first, *others = runs
    assert int(first.bars.head["late"]) > 0
    assert int(first.bars.head["corrections"]) + int(first.bars.head["cancels"]) > 0
    for number, other in enumerate(others, 2):
        assert other.alerts == first.alerts
        assert bars_of(other) == bars_of(first)
        assert tape_content(tmp_path / f"{number}.tape") == tape_content(tmp_path / "1.tape")


def test_rules_published_in_mid_run_are_on_the_tape_and_repeated(tmp_path: Path) -> None:
    told = config(seed=3)
    genesis, tape = begin(told), tmp_path / "tape"
    run = recorded(told, genesis, tape, workers=2, rules_at=70)
    fired = Counter(json.loads(alert)["rule_id"] for alert in run.alerts)
    assert fired["new"] > 0
    assert fired["wide"] > 0
    last = {json.loads(alert)["n"] for alert in run.alerts if b'"rule_id":"wide"' in alert}
    assert max(last) <= 70
    for workers in (1, 2, 3):
        assert repeated(told, genesis, tape, workers) == (run.alerts, True)
    info = tape_module.info(tape)
    assert info["rules_versions"] == [1, 2]
    assert info["state"] == "ended"


def test_the_content_of_rules_lies_before_the_first_cycle_that_uses_them(tmp_path: Path) -> None:
    told = config(seed=3, minutes=1)
    genesis, tape = begin(told), tmp_path / "tape"
    recorded(told, genesis, tape, rules_at=40)
    known: set[int] = set()
    with TapeReader(tape) as reader:
        for block in reader.blocks():
            if block.kind == tape_module.RULES:
                known.add(block.first_n)
            elif block.kind == tape_module.CYCLES:
                assert set(block.decisions["rules_version"].tolist()) <= known
    assert known == {1, 2}


def test_tickers_admitted_in_mid_run_are_admitted_again(tmp_path: Path) -> None:
    told = config(symbols=10, seed=5)
    genesis, tape = begin(told), tmp_path / "tape"
    run = recorded(told, genesis, tape, workers=2, symbols=30)
    assert len(run.tables.names.all()) > 10
    new = [json.loads(alert) for alert in run.alerts]
    assert any(alert["symbol"] > "SIM00010" for alert in new)
    for workers in (1, 3):
        assert repeated(told, genesis, tape, workers) == (run.alerts, True)


def test_tickers_beyond_the_capacity_are_refused_in_the_same_way(tmp_path: Path) -> None:
    told = config(symbols=60, seed=5, minutes=1)
    genesis, tape = begin(told), tmp_path / "tape"
    run = recorded(told, genesis, tape, workers=3, symbols=90)
    assert len(run.tables.names.all()) == 64
    assert int(run.bars.head["refused_capacity"]) > 0
    for workers in (1, 3):
        assert repeated(told, genesis, tape, workers) == (run.alerts, True)


def resume(
    told: Config, genesis: Genesis, tape: Path, workers: int, symbols: int | None = None
) -> tuple[Run, bool, int]:
    """What a start after a crash does, in this process: the run from there, did it end, from n."""
    TapeWriter(tape, STREAM).close()  # cuts it, as the next start does first
    tables = tables_of(told, workers)
    restore(tables, genesis)
    alerts: list[bytes] = []
    bars: list[BarRow] = []
    harness = Harness(
        tables, STREAM, lambda cycle: alerts.extend(alert.document for alert in cycle.alerts)
    )
    harness.on_bars = lambda events: bars.extend(bar_rows(tables, STREAM, events))
    with TapeReader(tape) as reader:
        assert not harness.run_tape(reader.blocks())
    write_word(tables.flow, FLOW_DURABLE_N * WORD_STRIDE, harness.n)
    resumed = Run(tables, genesis, tape)
    resumed.alerts[:] = alerts
    resumed.bars_stored.upsert(bars)
    ended = drive(resumed, feed_of(told, tables, symbols))
    resumed.writer.close()
    assert not resumed.recorder.unrecorded
    return resumed, ended, harness.n


@pytest.mark.soak
def test_a_stream_resumed_at_any_place_ends_as_if_it_had_not_been_cut(
    tmp_path: Path, soak: bool
) -> None:
    told = config(symbols=12, seed=11, minutes=2)
    genesis, whole = begin(told), tmp_path / "whole.tape"
    run = recorded(told, genesis, whole, workers=2, symbols=20)
    chance = random.Random(20131008)
    size, header = whole.stat().st_size, 2000
    for case in range(40 if soak else 5):
        tape = tmp_path / f"{case}.tape"
        shutil.copy(whole, tape)
        with tape.open("r+b") as file:
            file.truncate(chance.randrange(header, size - 200))
        resumed, ended, n = resume(told, genesis, tape, 1 + case % 3, symbols=20)
        assert ended
        assert 0 <= n < run.n
        assert resumed.alerts == run.alerts, f"cut at cycle {n}"
        assert bars_of(resumed) == bars_of(run)
        assert tape_content(tape) == tape_content(whole)


def test_a_stream_resumed_after_a_change_of_rules_goes_on_with_the_new_ones(
    tmp_path: Path,
) -> None:
    told = config(seed=3)
    genesis, tape = begin(told), tmp_path / "tape"
    run = recorded(told, genesis, tape, workers=2, rules_at=70)
    content = tape.read_bytes()
    with TapeReader(tape) as reader:
        ends = [(block.last_n, reader._file.tell()) for block in reader.blocks()]
    cut = next(end for n, end in ends if n > 90)
    tape.write_bytes(content[:cut])
    resumed, ended, n = resume(told, genesis, tape, 2)
    assert ended
    assert 90 < n < run.n
    assert resumed.alerts == run.alerts
    assert int(resumed.bars.head["rules_version"]) == 2


def test_a_correction_after_its_minute_is_final_reaches_the_bar_store(tmp_path: Path) -> None:
    told = config(seed=7)
    run = recorded(told, begin(told), tmp_path / "tape", 2)
    late = [bar for bar in bars_of(run) if bar.flags & records.FLAG_LATE]
    assert late
    history = run.tables.history.bars
    for bar in bars_of(run):
        minute = bar.minute_ns // records.NS_PER_MINUTE
        symbol = next(s for s, ticker in run.tables.names.all() if ticker == bar.symbol)
        kept = history[minute % len(history), symbol]
        if kept["minute"] == minute:
            assert (bar.volume, bar.trades) == (kept["volume"], kept["trades"])
            np.testing.assert_equal(bar.close, kept["close"])


def test_publishing_the_same_rules_again_is_one_version(tmp_path: Path) -> None:
    told = config(seed=3, minutes=1)
    tables = tables_of(told)
    restore(tables, begin(told))
    publish_rules(tables, 2, SECOND_RULES)
    publish_rules(tables, 2, SECOND_RULES)
    assert tables.rules.latest() == 2
