"""The processes of the roles: forking, signalling and reaping them; the supervisor decides."""

import dataclasses
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ipc import child, process
from ipc.errors import ThreadsError
from ipc.line import Line, State
from ipc.policy import RestartPolicy
from ipc.roles import RoleContext, RoleSpec
from ipc.watch import Patience, Watch
from shm.clock import monotonic_ns


@dataclasses.dataclass
class Child:
    """A role and, when pid is not 0, its process.

    due_ns: when to fork the next one, 0 never. kill_ns: when to SIGKILL it, 0 never. told: it was
    asked to stop. asked: somebody wants it restarted. why: why it is being replaced. last_pid,
    last_end: its latest process, living or not, and how the one before this ended.
    """

    spec: RoleSpec
    line: Line
    policy: RestartPolicy
    watch: Watch | None = None
    pid: int = 0
    epoch: int = 0
    begun_ns: int = 0
    due_ns: int = 0
    kill_ns: int = 0
    told: bool = False
    asked: bool = False
    why: str = ""
    last_pid: int = 0
    last_end: str = ""

    @property
    def key(self) -> str:
        """`bars`, `scan0`."""
        return self.spec.key

    def signal(self, number: int) -> None:
        """Send a signal to its process; it is not reaped, so the pid is its own."""
        if self.pid:
            os.kill(self.pid, number)

    def set_state(self, state: State) -> None:
        """Say on the board what the role is doing, while no process of it does."""
        self.line.set(Line.STATE, state)


def fork(
    one: Child, ctx: RoleContext, patience: Patience, prepare: Callable[[RoleContext], None],
    data_dir: Path,
) -> None:
    """Start the role's process; returns in the supervisor only.

    Signals are blocked over the fork: one that arrives before the child has its own handlers must
    not speak for the supervisor. Raises ThreadsError when this process has more than one thread,
    OSError when the machine has no process left to give.
    """
    threads = process.thread_count()
    if threads != 1:
        raise ThreadsError(threads)
    now_ns = monotonic_ns()
    line = one.line
    line.set(Line.BEAT_NS, 0)
    line.set(Line.LAG, 0)
    line.set(Line.WAITS, 0)
    line.set(Line.REFUSED, 0)
    line.set(Line.STOP, 0)
    line.set(Line.EPOCH, ctx.epoch)
    line.set(Line.RESTARTS, one.epoch)
    line.set(Line.STATE, State.STARTING)
    one.watch = Watch(patience, now_ns, line.get(Line.PROGRESS))
    sys.stdout.flush()
    sys.stderr.flush()
    gc.disable()
    gc.freeze()
    parent_pid = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid == 0:
            child.become(ctx, parent_pid, data_dir, prepare)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        gc.enable()
    one.pid = one.last_pid = pid
    one.epoch, one.begun_ns = ctx.epoch, now_ns
    one.due_ns = one.kill_ns = 0
    one.asked, one.why = False, ""
    line.set(Line.PID, pid)
    line.set(Line.START_TIME, process.start_ticks(pid))


def reap(children: list[Child]) -> list[tuple[Child, int]]:
    """Children that have died since the last call, each with exit status or minus its signal.

    Reaps everybody's: this process may have been somebody else before its last exec (a resource
    tracker of that time must not stay a zombie).
    """
    by_pid = {one.pid: one for one in children if one.pid}
    ended: list[tuple[Child, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        one = by_pid.get(pid)
        if one is not None:
            ended.append((one, os.waitstatus_to_exitcode(status)))
            one.pid = one.kill_ns = 0
            one.line.set(Line.PID, 0)
            one.line.set(Line.WAITS, 0)


def waits(children: list[Child], now_ns: int, believed_ns: int) -> dict[str, str]:
    """For each living role the one whose gate it waits for. The word of a role that has not beaten
    for believed_ns counts for nothing: it may have been hanging ever since."""
    return {
        one.key: one.line.waits_for()
        for one in children
        if one.pid and now_ns - one.line.get(Line.BEAT_NS) < believed_ns
    }


def status(one: Child) -> dict[str, Any]:
    """The role for the status file and the control socket."""
    return {
        "role": one.key,
        "pid": one.pid,
        "state": State(one.line.get(Line.STATE)).name.lower(),
        "epoch": one.epoch,
        "restarts": max(0, one.epoch - 1),
        "progress": one.line.get(Line.PROGRESS),
        "waits_for": one.line.waits_for() or None,
        "last_end": one.last_end,
    }


def replace(one: Child, why: str, abort_wait_ms: int) -> None:
    """Make an end of a process that does not do its work: its stacks first, if it can still run.

    A stopped process (SIGSTOP) takes no SIGABRT and is killed at once.
    """
    one.why = why
    if process.run_state(one.pid) in {"T", "t"}:
        one.signal(signal.SIGKILL)
        return
    one.signal(signal.SIGABRT)
    one.kill_ns = monotonic_ns() + abort_wait_ms * 1_000_000
