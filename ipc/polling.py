"""Waiting for descriptors of any number; select refuses those above 1023."""

import select
from collections.abc import Sequence


def readable(fds: Sequence[int], within_s: float) -> set[int]:
    """Those of `fds` that can be read or have ended, as soon as there is one; none after within_s.
    Without fds it just sleeps for so long."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(within_s * 1000)}
