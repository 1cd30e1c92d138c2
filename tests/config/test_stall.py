"""How long a live stream's rings outlast a recorder that stands still."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.schema import Config
from engine.config.stall import outlasted_s, recorder_stall
from engine.domain.sizes import Sizes


def sizes(ring_ticks: int = 1 << 18, feeds: int = 1) -> Sizes:
    return Sizes(capacity=100, feeds=feeds, ring_ticks=ring_ticks)


def live(ticks_per_s: int, **supervisor: int) -> Config:
    simulator = {"clock": "live", "ticks_per_s": ticks_per_s}
    feed = {"provider": "simulator"}
    return msgspec.convert(
        {"feed": feed, "simulator": simulator, "supervisor": supervisor}, Config
    )


def test_the_default_ring_outlasts_the_replacement_of_a_hanging_recorder_at_the_default_rate() -> (
    None
):
    stall = recorder_stall(live(Config().simulator.ticks_per_s), sizes())
    assert not stall.warned
    assert stall.seconds == pytest.approx(9.62, abs=0.01)
    assert stall.needed_s == 6.5
    assert stall.enough_ticks == 1 << 18


def test_at_a_higher_rate_it_outlasts_a_slow_sync_and_the_ring_that_would_do_is_named() -> None:
    stall = recorder_stall(live(50_000), sizes())
    assert stall.warned
    assert 3.5 < stall.seconds < 4.0
    assert stall.enough_ticks == 1 << 19
    assert not recorder_stall(live(50_000), sizes(stall.enough_ticks)).warned
    assert not recorder_stall(live(50_000, beat_timeout_ms=2000), sizes()).warned


def test_where_no_ring_would_do_none_is_named() -> None:
    stall = recorder_stall(live(2_000_000, beat_timeout_ms=600_000), sizes())
    assert stall.warned
    assert stall.enough_ticks == 0


def test_at_a_low_rate_the_decisions_are_what_fills_up() -> None:
    assert outlasted_s(sizes(), 0.1, 1.0) == pytest.approx(307.2)
    assert outlasted_s(sizes(), 0.01, 1.0) == pytest.approx(30.72)


@given(
    st.integers(12, 24), st.floats(1, 2e6), st.floats(1.01, 10), st.sampled_from([0.005, 0.1, 60.0])
)
def test_a_higher_rate_never_lasts_longer_and_a_larger_ring_or_more_feeds_never_shorter(
    bits: int, rate: float, more: float, interval_s: float
) -> None:
    one = outlasted_s(sizes(1 << bits), interval_s, rate)
    assert outlasted_s(sizes(1 << bits), interval_s, more * rate) <= one
    assert outlasted_s(sizes(1 << bits + 1), interval_s, rate) >= one
    assert outlasted_s(sizes(1 << bits, feeds=2), interval_s, rate) >= one
