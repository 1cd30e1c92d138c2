"""Tiny roles that work, hang, crash or refuse, as their `shared` dict says."""

import ctypes
import os
import signal
import sys
import time

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
