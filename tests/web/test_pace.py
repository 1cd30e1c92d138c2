"""Rates and latencies over a sliding window in time, however often the engine is looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.deps import Histogram
from web.pace import Pace, Sample

SECOND = 1_000_000_000


def sample(at_s: float, n: int | None = None) -> Sample:
    """A look at an engine that runs ten cycles a second, each with one latency of 1 ms."""
    n = round(at_s * 10) if n is None else n
    histogram = Histogram((0.001, 0.002), (n, 0), n * 0.001, 0.001)
    return Sample(round(at_s * SECOND), n, n * SECOND // 10, n * 5, {"cycle": histogram})


def filled(interval_s: float, seconds: float) -> Pace:
    pace = Pace()
    for step in range(round(seconds / interval_s) + 1):
        pace.add(sample(step * interval_s))
    return pace


@pytest.mark.parametrize("interval_s", [0.1, 0.5, 1.0, 5.0])
def test_quantiles_are_of_the_last_minute_at_any_interval(interval_s: float) -> None:
    window = filled(interval_s, 200).window("cycle")
    assert window is not None
    assert 600 <= window.count <= 600 + 10 * max(1.0, interval_s)


@pytest.mark.parametrize("interval_s", [0.1, 1.0, 20.0])
def test_rates_are_per_second_at_any_interval(interval_s: float) -> None:
    rates = filled(interval_s, 100).rates()
    assert rates["cycles_per_s"] == pytest.approx(10)
    assert rates["ticks_per_s"] == pytest.approx(50)
    assert rates["pace"] == pytest.approx(1)


def test_before_a_minute_has_passed_the_window_is_everything() -> None:
    window = filled(1.0, 30).window("cycle")
    assert window is not None
    assert window.count == 300
    assert filled(1.0, 0).rates()["pace"] is None
    assert Pace().window("cycle") is None
    assert filled(1.0, 5).window("other") is None


def test_a_new_stream_starts_the_window_afresh() -> None:
    pace = filled(1.0, 100)
    pace.add(sample(101, n=0))
    assert pace.rates()["cycles_per_s"] is None
    pace.add(sample(102, n=10))
    assert pace.rates()["cycles_per_s"] == pytest.approx(10)


@given(st.lists(st.floats(0.02, 70), min_size=1, max_size=400))
def test_few_samples_are_kept_and_the_newest_always(gaps_s: list[float]) -> None:
    pace, at_s = Pace(), 0.0
    for gap_s in gaps_s:
        at_s += gap_s
        pace.add(sample(at_s))
    kept = pace._samples
    assert len(kept) <= 63
    assert kept[-1].at_ns == round(at_s * SECOND)
    assert all(b.at_ns - a.at_ns >= SECOND for a, b in zip(kept, list(kept)[1:-1], strict=False))
