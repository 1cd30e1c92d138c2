"""The kernels against the slow oracle: random ticks, several rings, random cuts."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.bars.decision import decision_crc
from engine.domain import records
from tests.bars.floor import INTERVAL, MINUTE, T0, Floor, tick
from tests.bars.oracle import HILO, LAST, VOLUME, Oracle
from tests.conftest import SOAK

SYMBOLS, RINGS = 2, 2
CONDS = (
    LAST | HILO | VOLUME,
    VOLUME,
    HILO | VOLUME | records.COND_LAST_IF_FIRST,
    VOLUME | records.COND_EXTENDED,
    LAST | HILO | records.COND_BAR,
    VOLUME | records.COND_BAR,
)
LATENESS_S = (0, 0, 0, 0, 1, 30, 65, 130, -20, -61, 3700)
LENGTH_S = 260


@st.composite
def tapes(draw: st.DrawFn) -> tuple[list[list[np.void]], list[list[int]]]:
    """Ticks of every ring, and end cursors of a few cycles before all that is left."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 90))
    rings: list[list[np.void]] = [[] for _ in range(RINGS)]
    for ident in range(count):
        recv = float(np.round(rng.uniform(0, LENGTH_S), 1))
        sym = int(rng.integers(SYMBOLS))
        kind = int(rng.choice([1, 1, 1, 1, 1, 2, 3, 4]))
        event = recv - float(rng.choice(LATENESS_S))
        fields: dict[str, float] = {"id": ident, "a": 10 + int(rng.integers(12)) / 4, "b": 1.0}
        if kind == records.TICK_TRADE:
            size = int(rng.integers(1, 9)) * int(rng.choice((1, 1, 4_000)))
            fields |= {"b": size, "cond": int(rng.choice(CONDS))}
        elif kind != records.TICK_QUOTE:
            fields |= {"id": int(rng.integers(ident + 1)), "b": int(rng.integers(1, 9))}
            event = recv
        rings[int(rng.integers(RINGS))].append(tick(kind, sym, event, recv=recv, **fields))
    for ring in rings:  # nearly in order of receipt
        ring.sort(key=lambda t: int(t["recv_ns"]) + int(rng.integers(3)) * 10**9)
    cuts = draw(st.lists(st.integers(0, 8), max_size=40))
    ends, cursors = [], [0] * RINGS
    for cut in cuts:
        cursors = [min(len(rings[r]), cursors[r] + cut + r) for r in range(RINGS)]
        ends.append(list(cursors))
    return rings, [*ends, [len(ring) for ring in rings]]


def decide(floor: Floor, t_ns: int, ends: list[int]) -> np.void:
    decision = np.zeros(1, records.DECISION)[0]
    decision["n"], decision["t_ns"] = floor.stage.n + 1, t_ns
    decision["tick_end"][: len(ends)] = ends
    decision["crc"] = decision_crc(decision)
    return decision


def compare(floor: Floor, oracle: Oracle) -> None:
    assert floor.head["unmatched"] == oracle.unmatched
    assert floor.head["refused_future"] == oracle.refused
    assert floor.head["closed_minute"] == oracle.closed
    for s, symbol in enumerate(oracle.symbols):
        row = floor.row(s)
        same(row["last"], symbol.last()[0])
        same(row["last_size"], symbol.last()[1])
        same([row["open_rth"], row["close_rth"]], symbol.regular())
        same([row["bid"], row["ask"]], [symbol.bid, symbol.ask])
        for session in range(3):
            for name, value in symbol.session(session).items():
                same(row[name][session], value)
        for name, value in (symbol.regular_extremes() | symbol.prints()).items():
            same(row[name], value)
        for part, minutes in enumerate(((0, 1), (1, 5), (5, 15), (15, 30), (30, 60))):
            extremes = row["opening_high"][part], row["opening_low"][part]
            same(extremes, symbol.opening(*minutes))
        assert (row["new_highs"], row["new_lows"]) == (symbol.new_highs, symbol.new_lows)
        same(row["cumulative_volume"], sum(symbol.session(i)["volume"] for i in range(3)))
        assert [int(m) for m in row["minutes"]["minute"] if m >= 0] == symbol.open
        for minute in row["minutes"][: len(symbol.open)]:
            same_bar(minute, symbol, int(minute["minute"]))
        if not any(symbol.doubtful(minute) for minute in symbol.amended):
            assert (row["final_minute"], row["bar_index"]) == (
                symbol.final_minute,
                symbol.bar_index,
            )
        touched = {t.event_ns // MINUTE for t in symbol.trades} - set(symbol.open)
        bars = floor.tables.history.bars
        for minute in touched:
            bar = bars[minute % len(bars), s]
            if bar["minute"] == minute:
                same_bar(bar, symbol, minute)
            else:
                assert symbol.bar(minute)[6] == 0


def same(actual: object, expected: object) -> None:
    np.testing.assert_array_equal(
        np.asarray(actual, np.float64), np.asarray(expected, np.float64), strict=False
    )


def same_bar(bar: np.void, symbol, minute: int) -> None:  # type: ignore[no-untyped-def]
    expected = symbol.bar(minute)
    same([bar["volume"], bar["pv"], bar["trades"]], expected[4:])
    typical = bool(int(bar["flags"]) & records.FLAG_TYPICAL)
    assert symbol.typical(minute) in (typical, None)
    if not symbol.doubtful(minute):
        assert not int(bar["flags"]) & records.FLAG_APPROX
        same([bar[name] for name in ("open", "high", "low", "close")], expected[:4])


def check_numbers(events: list[np.void]) -> None:
    """Numbers of FINAL events rise by one per symbol; one event per symbol, minute and cycle."""
    newest = [-1] * SYMBOLS
    keys = [(int(e["n"]), int(e["sym"]), int(e["bar"]["minute"])) for e in events]
    assert len(keys) == len(set(keys))
    for event in events:
        sym, index = int(event["sym"]), int(event["bar_index"])
        if event["kind"] == records.BAR_FINAL:
            assert index == newest[sym] + 1
            newest[sym] = index
        elif event["kind"] == records.BAR_REVISED:
            assert index in (-1, newest[sym])
        else:
            assert index == -1


@settings(
    max_examples=1500 if SOAK else 150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(tapes())
def test_rows_and_bars_equal_the_oracle(
    tape: tuple[list[list[np.void]], list[list[int]]],
) -> None:
    rings, ends = tape
    floor = Floor(feeds=RINGS, pool_trades=256, history_bars=208, ring_ticks=128)
    for feed, ring in enumerate(rings):
        floor.publish(*ring, feed=feed)
    oracle, cursors = Oracle(SYMBOLS), [0] * RINGS
    newest = [0] * RINGS
    events: list[np.void] = []
    step = max(1, LENGTH_S * 10 // len(ends))
    for n, cycle_ends in enumerate(ends, start=1):
        t_ns = T0 + n * step * INTERVAL
        taken: list[list] = []
        for feed, ring in enumerate(rings):
            part = []
            for record in ring[cursors[feed] : cycle_ends[feed]]:
                newest[feed] = max(newest[feed], int(record["recv_ns"]))
                part.append((newest[feed], record))
            taken.append(part)
        oracle.cycle(t_ns, taken)
        assert floor.stage.execute(decide(floor, t_ns, cycle_ends))
        floor.pass_gates()
        events += list(floor.events())
        cursors = cycle_ends
        compare(floor, oracle)
    check_numbers(events)
