"""When a live engine looks at some symbols less often, and when it no longer does."""

import msgspec
import pytest

from engine.bars.overload import EVERY_CYCLE, Overload, Stride
from engine.config.schema_running import OverloadSection

SECOND, INTERVAL = 1_000_000_000, 100_000_000
T0 = 1_000 * SECOND
SETTINGS = OverloadSection(after_s=5, calm_s=30, calm_load_pct=45, recent_alert_s=60)


class Market:
    """Cycles of a live stream, some of them late."""

    def __init__(self, settings: OverloadSection = SETTINGS, every: int = 1) -> None:
        self.overload = Overload(settings, INTERVAL, every)
        self.t_ns = T0

    def run(self, seconds: float, absent: int = 0, took_ms: float = 10) -> list[int]:
        """Cycles for so long, before each of which some are absent; strides that were begun."""
        changes, end_ns = [], self.t_ns + round(seconds * SECOND)
        while self.t_ns < end_ns:
            self.t_ns += (1 + absent) * INTERVAL
            if self.overload.note_decision(self.t_ns, absent):
                changes.append(self.overload.every)
            self.overload.note_done(self.t_ns, round(took_ms * 1e6))
        return changes


def test_a_calm_engine_looks_at_every_symbol() -> None:
    market = Market()
    assert market.run(120) == []
    assert market.overload.stride == EVERY_CYCLE


def test_after_five_seconds_of_absent_cycles_the_stride_doubles_and_doubles_again() -> None:
    market = Market()
    assert market.run(4.9, absent=1) == []
    assert market.run(0.4, absent=1) == [2]
    assert market.overload.stride == Stride(2, 60 * SECOND)
    assert market.run(4.5, absent=1) == []
    assert market.run(1, absent=1) == [4]
    assert market.run(30, absent=1) == [], "4 is the largest"


def test_cycles_that_take_seconds_are_a_strain_too() -> None:
    assert Market().run(15, absent=14) == [2, 4]


def test_a_late_cycle_now_and_then_is_no_strain() -> None:
    market = Market()
    for _ in range(20):
        assert market.run(0.2, absent=1) == [] and market.run(1.1) == []
    assert market.overload.every == 1


def test_the_stride_is_halved_after_so_long_without_absent_or_busy_cycles() -> None:
    market = Market(every=4)
    assert market.run(29.9) == []
    assert market.run(1) == [2]
    assert market.run(29) == []
    assert market.run(2) == [1]
    assert market.overload.stride == EVERY_CYCLE


@pytest.mark.parametrize(("took_ms", "changes"), [(45, [2]), (46, [])])
def test_a_busy_cycle_is_not_calm(took_ms: int, changes: list[int]) -> None:
    """With the next stride it would take up to twice as long."""
    market = Market(every=4)
    assert market.run(31, took_ms=took_ms) == changes


def test_an_absent_cycle_begins_the_calm_anew() -> None:
    market = Market(every=2)
    assert market.run(25) == [] and market.run(0.2, absent=1) == [] and market.run(29.5) == []
    assert market.run(1) == [1]


def test_with_a_largest_stride_of_one_every_cycle_looks_at_every_symbol() -> None:
    market = Market(msgspec.structs.replace(SETTINGS, max_stride=1), every=4)
    assert market.overload.every == 1
    assert market.run(60, absent=3) == []


def test_a_clock_that_was_moved_is_forgiven() -> None:
    market = Market()
    assert market.run(4, absent=1) == []
    market.overload.forgive()
    assert market.run(4.5, absent=1) == []
    assert market.run(1, absent=1) == [2]
