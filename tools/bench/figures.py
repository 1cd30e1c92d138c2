"""What benchmarks measure and print: the time of a call, a figure as a row of `tapescan bench`."""

import time
from collections.abc import Callable
from typing import Any


def elapsed_ms(work: Callable[[], object]) -> float:
    """What one call takes."""
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / 1e6


def figure(
    name: str, value: float, target: float | None = None, peer: str = "", peer_value: float = 0.0,
    *, least: float = 0.0, unit: str = "ms",
) -> dict[str, Any]:
    """A row: value is met when it is at most `target` and the peer's is at least `least` times as
    large. No target, no peer, no least ratio: nothing is asked of it."""
    ratio = peer_value / value if peer else None
    met = (target is None or value <= target) and (ratio is None or ratio >= least)
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "target": target,
        "met": met if target is not None or least else None,
        "peer": peer or None,
        "peer_value": round(peer_value, 3) if peer else None,
        "ratio": round(ratio, 2) if ratio else None,
    }
