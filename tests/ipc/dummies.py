"""Tiny roles that work, hang, crash or refuse, as their `shared` dict says."""

import ctypes
import errno
import os
import signal
import sys
import time

from ipc.line import Line
from ipc.loop import run_loop
from ipc.roles import RoleContext


def counter(ctx: RoleContext) -> None:
    """Count as fast as it wakes up; remembers how far it came in PROGRESS."""
    number = ctx.line.get(ctx.line.PROGRESS)

    def step() -> bool:
        nonlocal number
        number += 1
        ctx.progress(number)
        for order in ctx.orders():
            if order.command == "reload":
                ctx.answer(order, {"reloaded": order.arguments.get("path")})
            else:
                ctx.answer(order, error="no such rule.", exit_code=3)
        return False

    run_loop(ctx, step, idle_wait_ms=5)
    with open(ctx.shared["order"], "a", encoding="ascii") as file:  # noqa: PTH123
        file.write(f"{ctx.key}\n")


def hang(ctx: RoleContext) -> None:
    """Beat once, then never again."""
    ctx.running()
    ctx.progress(ctx.epoch)
    time.sleep(60)


def deaf(ctx: RoleContext) -> None:
    """Beat for ever, stop for nobody."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ctx.running()
    while True:
        ctx.beat()
        time.sleep(0.005)


def stall(ctx: RoleContext) -> None:
    """Beat, have input, never move."""

    def step() -> bool:
        ctx.lag(7)
        return False

    run_loop(ctx, step, idle_wait_ms=5)


def hang_once(ctx: RoleContext) -> None:
    """Say that input waits and hang; from the second life on do the work."""
    if ctx.epoch == 1:
        ctx.lag(1)
        hang(ctx)
    counter(ctx)


def stall_once(ctx: RoleContext) -> None:
    """Beat without moving the input; from the second life on do the work."""
    if ctx.epoch == 1:
        stall(ctx)
    counter(ctx)


def blind_once(ctx: RoleContext) -> None:
    """Beat and see no input, whoever waits; from the second life on do the work."""
    if ctx.epoch == 1:
        run_loop(ctx, lambda: False, idle_wait_ms=5)
    counter(ctx)


def behind(ctx: RoleContext) -> None:
    """Have input and wait for the gate of the role that `waits` names, until that one moves."""
    other = Line(ctx.line.board, ctx.shared["waits"][ctx.key])
    number = 0

    def step() -> bool:
        nonlocal number
        ctx.lag(3)
        if other.get(Line.EPOCH) == 1:
            ctx.waits(other.key)
            return False
        number += 1
        ctx.progress(number)
        return False

    run_loop(ctx, step, idle_wait_ms=5)


def refused(ctx: RoleContext) -> None:
    """Beat, have input, and a disk that takes none of it."""

    def step() -> bool:
        ctx.lag(7)
        ctx.refused(errno.ENOSPC)
        return False

    run_loop(ctx, step, idle_wait_ms=5)


def last_word(ctx: RoleContext) -> None:
    """Say that the gate of `waits` is in the way, and hang; from the second life on do the work."""
    if ctx.epoch == 1:
        ctx.running()
        ctx.lag(3)
        ctx.waits(ctx.shared["waits"][ctx.key])
        time.sleep(60)
    counter(ctx)


def segv(ctx: RoleContext) -> None:
    """Die by SIGSEGV at number 41."""
    ctx.running()
    ctx.progress(41)
    ctx.wake.wait(0.01)
    ctypes.string_at(0)


def refuse(ctx: RoleContext) -> None:
    """Leave with the exit code for a bad configuration."""
    ctx.running()
    sys.exit(3)


def fail(ctx: RoleContext) -> None:
    """Raise at once, without progress."""
    ctx.running()
    raise RuntimeError("out of luck")


def finish(ctx: RoleContext) -> None:
    """Do a little, say so, ask for the end of the engine."""
    ctx.running()
    ctx.progress(9)
    ctx.done()
    ctx.request("stop", reason="the input has ended.")


def first_time_only(ctx: RoleContext) -> None:
    """Die by SIGKILL in epoch 1 after progress; then count."""
    if ctx.epoch == 1:
        ctx.running()
        ctx.progress(5)
        os.kill(os.getpid(), signal.SIGKILL)
    counter(ctx)


def switch(ctx: RoleContext) -> None:
    """Ask for another start of the program."""
    ctx.running()
    ctx.request("restart", arguments=ctx.shared["arguments"])
    run_loop(ctx, lambda: False)
