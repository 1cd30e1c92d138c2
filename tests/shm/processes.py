"""Real processes over anonymous shared memory, for the race and kill proofs."""

import mmap
import os
import random
import signal
import time
from collections.abc import Callable

import numpy as np

from shm.arena import as_shape, count_bytes


class ForkArena:
    """Arrays in anonymous shared mappings: children forked later see the same memory."""

    def reserve(self, name, first, end):
        """Nothing: the memory is there when it is touched."""

    def array(self, name, shape, dtype, *, later=False):
        """A new zeroed array; names are not looked at."""
        nbytes = count_bytes(shape, dtype)
        memory = np.frombuffer(mmap.mmap(-1, max(nbytes, 1)), np.uint8)
        return memory[:nbytes].view(dtype).reshape(as_shape(shape))


def start(work: Callable[[], object]) -> int:
    """Run `work` in a child, which leaves with 0, or 1 after an exception; its pid."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def finish(pid: int) -> int:
    """Wait for a child: its exit status, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_at_random(work: Callable[[], object], random_us: random.Random, longest_us: int) -> None:
    """Run `work` (endless) in a child and SIGKILL it at a random moment after it began."""
    ready_r, ready_w = os.pipe()

    def announce_and_work() -> None:
        os.write(ready_w, b"!")
        work()

    pid = start(announce_and_work)
    os.read(ready_r, 1)
    os.close(ready_r)
    os.close(ready_w)
    until = time.perf_counter_ns() + random_us.randrange(longest_us) * 1000
    while time.perf_counter_ns() < until:
        pass
    os.kill(pid, signal.SIGKILL)
    assert finish(pid) == -signal.SIGKILL


def share(soak: bool, full: int) -> int:
    """How often a long proof runs: all of it in a soak, else a tenth."""
    return full if soak else max(1, full // 10)
