"""A kill at any point: a new stage over the same tables gives the same bytes."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import engine.bars.stage as stage_module
from engine.bars.pool_nb import sanitise_pool
from engine.bars.stage import BarsStage
from engine.domain import records
from engine.domain.tables import EngineTables
from shm.fences import write_word
from shm.words import WORD_STRIDE
from tests.bars.floor import (
    REGULAR,
    VOLUME_ONLY,
    Floor,
    admit,
    at,
    build,
    cancel,
    correction,
    trade,
)


class KilledError(Exception):
    """Stands for SIGKILL."""


def some_ticks(seed: int, seconds: float) -> list[np.void]:
    """Trades of three symbols, some late, corrected or cancelled, and an admission."""
    rng = np.random.default_rng(seed)
    ticks, times = [], np.sort(rng.uniform(0, seconds, 160))
    for i, when in enumerate(times):
        sym, ident = int(rng.integers(3)), int(rng.integers(1, i + 2))
        kind = rng.integers(10)
        if kind == 0:
            ticks.append(cancel(sym, when, ident))
        elif kind == 1:
            ticks.append(correction(sym, when, ident, 10 + rng.integers(8), 5))
        else:
            event = max(-30.0, when - float(rng.choice([0, 0, 0, 20, 70])))
            cond = int(rng.choice([REGULAR, REGULAR, VOLUME_ONLY]))
            cond |= records.COND_CLOSE if i % 4 == 0 else 0
            price, size = 10 + int(rng.integers(8)), int(rng.integers(1, 9))
            ticks.append(trade(sym, event, price, size, cond, recv=when, id=i))
    ticks.insert(80, admit(3, times[79], "DDD"))
    ticks.insert(81, trade(3, times[79], 44, 1))
    return ticks


def world(seed: int) -> Floor:
    floor = Floor(build(history_bars=4, pool_trades=64, seconds=16, minutes=4, session_minutes=4))
    floor.tables.session["interval_ns"] = 2 * records.NS_PER_SECOND
    floor.tables.session["grace_ns"] = 0
    floor.tables.session["close_ns"] = at(100)
    floor.publish(*some_ticks(seed, 240))
    floor.mark(None)
    return floor


def state(tables: EngineTables) -> list[bytes]:
    """Everything bars owns, as bytes. Of an older cell only what was listed is compared."""
    cell, history = tables.cell, tables.history
    n = cell.cells.published()
    parts = [cell.rows[n % 4].tobytes(), cell.heads[n % 4].tobytes()]
    count = int(cell.heads[n % 4]["event_count"])
    parts.append(cell.events[n % 4][:count].tobytes())
    parts += [getattr(history, name).tobytes() for name in vars(history)]
    ring = tables.bar_ring
    parts += [part.tobytes() for part in ring.slices(0, ring.tail())]
    parts += [tables.names.raw.tobytes(), tables.closes.tobytes()]
    gates = [r.gate("bars") for r in (*tables.ticks.rings, tables.decisions)]
    return [*parts, repr(gates).encode()]


def half(function: Callable[..., object], calls: int) -> Callable[..., object]:
    """Let `calls` calls through, then be killed."""
    left = [calls]

    def wrapped(*args: object) -> object:
        if left[0] == 0:
            raise KilledError
        left[0] -= 1
        return function(*args)

    return wrapped


def kill_in_apply(floor: Floor, patch: pytest.MonkeyPatch) -> None:
    real = stage_module.apply_ticks

    def apply_some(work, data, pos, end, newest, idmap):  # type: ignore[no-untyped-def]
        real(work, data, pos, pos + (end - pos + 1) // 2, newest, idmap)
        raise KilledError

    patch.setattr(stage_module, "apply_ticks", apply_some)


def kill_in_the_closes(floor: Floor, patch: pytest.MonkeyPatch) -> None:
    real, sizes = stage_module.note_closes, floor.tables.closes["size"]

    def note_prices(*arguments: Any) -> None:
        before = sizes.copy()
        real(*arguments)
        sizes[:] = before
        raise KilledError

    patch.setattr(stage_module, "note_closes", note_prices)


def kill_after_apply(floor: Floor, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stage_module, "forget_events", half(stage_module.forget_events, 0))


def kill_in_the_cell(floor: Floor, patch: pytest.MonkeyPatch) -> None:
    cell = floor.tables.cell
    slot = (floor.stage.n + 1) % 4

    def scribble(n: int) -> None:
        cell.rows[slot][::2] = cell.rows[(slot + 2) % 4][::2]
        cell.heads[slot]["pool_tail"] = 99
        raise KilledError

    patch.setattr(cell.cells, "seal", scribble)


def kill_before_histories(floor: Floor, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stage_module, "write_histories", half(stage_module.write_histories, 0))


def kill_before_the_bar_ring(floor: Floor, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(floor.tables.bar_ring, "tail", half(floor.tables.bar_ring.tail, 0))


def kill_before_publication(floor: Floor, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(floor.tables.cell.cells, "publish", half(floor.tables.cell.cells.publish, 0))


def kill_before_the_gates(floor: Floor, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(floor.stage, "_release", half(floor.stage._release, 0))


KILLS = (
    kill_in_apply,
    kill_in_the_closes,
    kill_after_apply,
    kill_in_the_cell,
    kill_before_histories,
    kill_before_the_bar_ring,
    kill_before_publication,
    kill_before_the_gates,
)


def successor(floor: Floor) -> None:
    floor.stage = BarsStage(floor.tables)
    floor.stage.recover()
    floor.pass_gates()


@pytest.mark.parametrize("kill", KILLS)
def test_a_killed_cycle_is_done_again_to_the_same_bytes(kill: Callable, soak: bool) -> None:
    for seed in range(8 if soak else 1):
        calm, killed = world(seed), world(seed)
        while not calm.stage.ended:
            assert calm.step() is not None
            assert killed.stage.decide_replay() is not None
            with pytest.MonkeyPatch.context() as patch:
                kill(killed, patch)
                decision = killed.stage.decide_replay()
                if decision is not None:
                    with pytest.raises(KilledError):
                        killed.stage.execute(decision)
            successor(killed)
            assert killed.stage.n == calm.stage.n
            assert state(killed.tables) == state(calm.tables), (kill, seed, calm.stage.n)
        assert (calm.tables.closes["size"][:4] > 0).sum() >= 3
        head = calm.head
        assert head["late"] > 3 and head["cancels"] > 3 and head["corrections"] > 3
        assert head["unmatched"] < head["cancels"] + head["corrections"]


def test_killed_between_the_cycles_nothing_happened() -> None:
    calm, killed = world(5), world(5)
    while calm.step() is not None:
        killed.step()
        successor(killed)
        assert state(killed.tables) == state(calm.tables)


def test_sanitising_clears_what_came_later_and_revives_what_died_later() -> None:
    pool = np.zeros(4, records.POOL_TRADE)
    pool["n"] = (3, 4, 5, 1)
    pool["dead_n"] = (5, 4, 0, 6)
    pool["id"] = (1, 2, 3, 4)
    sanitise_pool(pool, 4)
    assert pool["n"].tolist() == [3, 4, 0, 1]
    assert pool["dead_n"].tolist() == [0, 4, 0, 0]
    assert pool["id"].tolist() == [1, 2, 0, 4]


def test_names_of_a_cycle_that_never_was_are_freed() -> None:
    floor = world(1)
    floor.tables.names.set(3, "GHOST")
    successor(floor)
    assert floor.tables.names.get(3) == "" and floor.tables.names.get(2) == "CCC"


def by_ticker(floor: Floor, events: list[np.void]) -> dict[str, list[tuple[object, ...]]]:
    """Rows and events per ticker, without positions that depend on others."""
    result: dict[str, list[tuple[object, ...]]] = {}
    for symbol, name in floor.tables.names.all():
        row = copy.copy(floor.row(symbol))
        row["pool_head"] = 0
        own = [(e["n"], e["kind"], e["bar_index"], e["bar"].tobytes()) for e in events
               if e["sym"] == symbol]  # fmt: skip
        result[name] = [*own, (row.tobytes(),)]
    return result


def test_the_number_of_slices_changes_no_value() -> None:
    results = []
    for workers in (1, 2, 3):
        floor = Floor(build(workers=workers, names=(), seconds=16))
        tickers = ("AAA", "BBB", "CCC")
        floor.publish(*[admit(number, 0, name) for number, name in enumerate(tickers)])
        results.append(by_ticker(floor, floor.run(*some_ticks(3, 240), until=None)))
        assert len(results[0]) == 4 and results[-1] == results[0]


def test_a_successor_executes_the_decision_it_finds() -> None:
    floor = world(2)
    decision = floor.stage.decide_replay()
    assert decision is not None
    write_word(floor.tables.scan.words, 0 * WORD_STRIDE, 0)
    successor(floor)
    assert floor.stage.n == 1 and floor.head["t_ns"] == decision["t_ns"]


def test_a_cycle_never_looks_at_what_it_will_overwrite() -> None:
    floors = []
    for kill in (None, kill_after_apply):
        floor = Floor(build(pool_trades=8))
        floor.run(*[trade(0, 0.01, 10 + i, 1, id=i) for i in range(8)], until=0.1)
        floor.publish(cancel(0, 0.11, 1), *[trade(0, 0.12, 9, 1, id=9) for _ in range(4)])
        floor.mark(0.2)
        decision = floor.stage.decide_replay()
        assert decision is not None
        if kill is None:
            assert floor.stage.execute(decision)
        else:
            with pytest.MonkeyPatch.context() as patch:
                kill(floor, patch)
                with pytest.raises(KilledError):
                    floor.stage.execute(decision)
            successor(floor)
        floors.append(floor)
    assert state(floors[0].tables) == state(floors[1].tables)
    assert floors[0].head["unmatched"] == 1


def test_a_ticker_that_its_dead_feed_did_not_name_yet_is_still_known_after_a_kill() -> None:
    floor = Floor()
    floor.run(admit(3, 1, "DDD"), trade(3, 1, 44, 1), until=2)
    assert floor.tables.feed_names[0].get(3) == "", "the feed died before it named its ticker"
    floor.stage = BarsStage(floor.tables)
    floor.stage.recover()
    floor.run(trade(3, 2.5, 50, 7), until=4)
    assert (floor.row(3)["last"], floor.row(3)["cumulative_volume"]) == (50, 8)
    assert floor.head["refused_tick"] == 0
