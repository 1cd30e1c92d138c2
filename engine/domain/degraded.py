"""Why a running engine is degraded: the sentences that the page, the probes and the status tell."""

import os
from collections.abc import Mapping

from engine.domain.records import DECISION_LAGGING, DECISION_UNRECORDED

CLOCK_SKEW = "clock_skew_seconds"  # gauge of bars on the board, ns


def reasons(
    flags: int, skew_ns: int, max_skew_ms: int, refused: Mapping[str, int], stride: int = 1
) -> list[str]:
    """One sentence each, none for a healthy engine.

    flags: of the newest cycle. skew_ns: wall clock less engine time. max_skew_ms: how much of it is
    well (clock.max_skew_ms). refused: for each role the error number with which a disk refuses what
    it has to keep, 0: none does. stride: of the newest cycle.
    """
    found = []
    if flags & DECISION_UNRECORDED:
        found.append(
            "The recorder fell behind: this stream is no longer recorded, the next one is again."
        )
    if flags & DECISION_LAGGING:
        found.append("A feed lags: the last cycle was decided without waiting for it.")
    if stride > 1:
        nth = {2: "2nd"}.get(stride, f"{stride}th")
        found.append(
            f"The machine is too slow for every cycle: symbols that no rule names, and that did "
            f"not fire lately, are looked at in every {nth} cycle only."
        )
    found += [refused_reason(role, errno) for role, errno in refused.items() if errno]
    skew = skew_reason(skew_ns, max_skew_ms)
    return [*found, skew] if skew else found


def refused_reason(role: str, errno: int) -> str:
    """The sentence about a disk that does not take what a role has to keep."""
    return (
        f"The disk of {role} refuses what it has to keep ({os.strerror(errno)}): it is held up "
        "until the disk takes it, and nothing is lost."
    )


def skew_reason(skew_ns: int, max_skew_ms: int) -> str:
    """The sentence about a wall clock too far from engine time, empty when it is near enough."""
    if abs(skew_ns) <= max_skew_ms * 1_000_000:
        return ""
    side = "ahead of" if skew_ns > 0 else "behind"
    return (
        f"The wall clock is {abs(skew_ns) / 1e9:.3f} s {side} engine time, more than "
        f"clock.max_skew_ms = {max_skew_ms}: check it, then restart the engine to take it over."
    )
