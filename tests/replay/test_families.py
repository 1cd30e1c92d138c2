"""A stream whose rules name families equals its repetition: workers, changes of rules, resumes."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from engine.domain import records
from engine.domain.family import KEPT_CLOSES, KEPT_RANGES, TIMEFRAMES
from engine.domain.frame_table import MARK_SHIFT
from engine.metrics.registry import COLUMNS
from engine.replay.builder import Builder
from engine.replay.carry import begin_date
from engine.replay.frame_pack import packed, unpacked
from engine.replay.genesis import Genesis, decode, encode, restore, snapshot
from engine.rules.compiler import compile_rules
from engine.rules.model import Rule
from engine.rules.pack import pack
from engine.rules.validate import read_rule
from tests.replay.market import (
    STREAM,
    Run,
    calendar_dir,
    config,
    drive,
    feed_of,
    repeated,
    tables_of,
)
from tests.replay.test_equalities import resume


def rules_of(**texts: str) -> tuple[Rule, ...]:
    return tuple(
        read_rule({"id": name, "name": name, "where": text, "cooldown_sec": 9})
        for name, text in texts.items()
    )


FIRST = rules_of(
    above="last > ema(2) and ema(2) > sma(3)",
    lively="crosses_above(last, ema(3, 2m, live))",
    broken="last > highest(high, 2m) or last < lowest(low, 2m)",
    strong="rsi(2) > 60 and adx(2) > 10",
    wide="range_3m > 0.1 and vol_7s > 10",
    quick="chg_7s_pct > 0.02",
    ranked="rank(ema(2)) <= 2 and rank(chg_33s_pct) <= 5",
    regular="last > ema_rth(2) or supertrend_dir(2, 1) < 0",
)
SECOND = rules_of(
    above="last > ema(2) and ema(2) > sma(4)",
    other="last > ema(4) or stoch_k(2, 1, 1) > 50",
    ranked="rank(rsi(2, live)) <= 2",
    lively="crosses_above(last, ema(3, 2m, live))",
    spread="rv(3m) > 0.01 and sum(volume, 2m) > 100",
)


def beginning(seed: int, minutes: int = 8):
    told = config(seed=seed, minutes=minutes)
    return told, Builder(told, STREAM, calendar_dir(), compile_rules(FIRST)).build()


def run_of(told, genesis: Genesis, tape: Path, workers: int, symbols: int | None = None) -> Run:
    """A whole stream, recorded, whose rules change in the middle and back again."""
    tables = tables_of(told, workers)
    restore(tables, genesis)
    run = Run(tables, genesis, tape)
    compiled = compile_rules(FIRST)

    def publish(version: int, rules: tuple[Rule, ...]) -> None:
        nonlocal compiled
        compiled = compile_rules(rules, None, compiled)
        tables.rules.set_floor(version - 1)
        tables.rules.publish(version, pack(compiled))

    at = {
        250: lambda: publish(2, SECOND), 252: lambda: publish(3, FIRST),
        333: lambda: publish(4, SECOND),
    }  # fmt: skip
    assert drive(run, feed_of(told, tables, symbols), at)
    run.writer.close()
    return run


def test_a_stream_with_families_equals_its_repetition_with_any_number_of_workers(
    tmp_path: Path,
) -> None:
    told, genesis = beginning(4)
    runs = [run_of(told, genesis, tmp_path / f"{n}.tape", n, symbols=40) for n in (1, 2, 3)]
    fired = Counter(json.loads(alert)["rule_id"] for alert in runs[0].alerts)
    assert set(fired) == {rule.id for rule in (*FIRST, *SECOND)}
    assert all(run.alerts == runs[0].alerts for run in runs)
    for workers in (1, 2, 3):
        tape = tmp_path / f"{4 - workers}.tape"
        assert repeated(told, genesis, tape, workers) == (runs[0].alerts, True)


def test_a_stream_resumed_while_families_are_filled_ends_as_if_it_had_not_been_cut(
    tmp_path: Path,
) -> None:
    told, genesis = beginning(6)
    whole = tmp_path / "whole.tape"
    run = run_of(told, genesis, whole, 2)
    size = whole.stat().st_size
    for case, share in enumerate((0.3, 0.8, 0.97)):
        tape = tmp_path / f"{case}.tape"
        shutil.copy(whole, tape)
        with tape.open("r+b") as file:
            file.truncate(int(size * share))
        resumed, ended, n = resume(told, genesis, tape, 1 + case)
        assert ended
        if n > 340:  # after the last change of rules, which only the tape knows of
            assert resumed.alerts == run.alerts, f"cut at cycle {n}"


def test_a_genesis_file_holds_the_bars_that_there_are_and_no_empty_slots(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    count = len(TIMEFRAMES)
    bars = np.array([0, 1, 63, 64, 65, 256, 700, 5, 250, *range(count - 9)])
    marks = np.minimum(bars[:, None], rng.integers(0, 900, (count, 6)))
    marks[:, 0] = bars
    closes, ranges = np.zeros((count, KEPT_CLOSES, 6)), np.zeros((count, 3, KEPT_RANGES, 6))
    for t, made in enumerate(bars):
        closes[t, :made] = rng.random((min(made, KEPT_CLOSES), 6))
        ranges[t, :, :made] = rng.random((3, min(made, KEPT_RANGES), 6))
    arrays = {
        "frame_marks": marks << MARK_SHIFT, "frame_closes": closes, "frame_ranges": ranges,
        "other": np.arange(4),
    }  # fmt: skip
    small = packed(arrays)
    assert len(small["frame_closes"]) == np.minimum(bars, KEPT_CLOSES).sum()
    assert len(small["frame_ranges"]) == np.minimum(bars, KEPT_RANGES).sum()
    again = unpacked(small)
    assert set(again) == set(arrays)
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_bars_of_every_timeframe_go_on_in_the_next_session_date(tmp_path: Path) -> None:
    told, genesis = beginning(8)
    run = run_of(told, genesis, tmp_path / "tape", 2)
    tickers, arrays = snapshot(run.tables, instants=False)
    state = Genesis(genesis.header, b"", arrays)
    state.header = type(state.header)(**{**vars_of(state), "tickers": tickers})
    state = decode(encode(state), tmp_path)
    session = run.tables.session.copy()
    for name in ("start_ns", "open_ns", "close_ns", "end_ns", "roll_ns"):
        session[name] += 24 * 60 * records.NS_PER_MINUTE
    after, moved = begin_date(state, session, 0, tables_of(told), 64)
    assert after == tickers
    for name in ("frame_closes", "frame_ranges", "frame_marks"):
        assert np.array_equal(moved[name], arrays[name])
    assert (moved["frame_marks"][0] >> MARK_SHIFT).max() >= 5


def vars_of(state: Genesis) -> dict[str, object]:
    return {name: getattr(state.header, name) for name in state.header.__struct_fields__}


def test_a_new_stream_fills_its_families_from_the_bars_it_begins_with(tmp_path: Path) -> None:
    """Values after the fill are those of the stream before, which saw the bars come."""
    told, genesis = beginning(8)
    run = run_of(told, genesis, tmp_path / "tape", 1)
    placed = run.scans[0].versions.rules.program.families
    column = COLUMNS + int(placed.slot[placed.names.index("ema(4)")])
    before = run.tables.scan.columns[run.n & 1, column]
    tickers, arrays = snapshot(run.tables)
    header = {**vars_of(genesis), "tickers": tickers, "rules_version": 1}
    header["start_ns"] = int(run.bars.head["t_ns"])
    state = Genesis(type(genesis.header)(**header), pack(compile_rules(SECOND)), arrays)
    tables = tables_of(told, 1)
    restore(tables, state)
    next_run = Run(tables, state, tmp_path / "next.tape")
    ring = tables.ticks.rings[0]
    ring.set_mark(header["start_ns"] + 6 * records.NS_PER_SECOND)
    next_run.decide_all()
    next_run.writer.close()
    placed = next_run.scans[0].versions.rules.program.families
    column = COLUMNS + int(placed.slot[placed.names.index("ema(4)")])
    ids = {ticker: symbol for symbol, ticker in run.tables.names.all()}
    later = tables.scan.columns[next_run.n & 1, column]
    found = [later[symbol] for symbol, _ in tables.names.all()]
    wanted = [before[ids[ticker]] for _, ticker in tables.names.all()]
    assert next_run.n > 4
    assert KEPT_CLOSES > 16
    assert np.isfinite(wanted).any()
    assert np.array_equal(found, wanted, equal_nan=True)
