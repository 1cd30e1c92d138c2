"""The loop of a role that is driven by wake-ups: beat, step, sleep when there is nothing to do."""

from collections.abc import Callable

from ipc.roles import RoleContext

MAX_SLEEP_MS = 200.0


def run_loop(ctx: RoleContext, step: Callable[[], bool], idle_wait_ms: float = 50.0) -> None:
    """Call `step` until the role should stop; it returns True when it moved.

    While it moves, the loop only beats; else it sleeps on the role's eventfd, `idle_wait_ms` at
    most (and never so long that the beat grows old). A notification between the step and the
    sleep is kept by the eventfd.
    """
    wait_s = min(idle_wait_ms, MAX_SLEEP_MS) / 1000
    ctx.running()
    while not ctx.should_stop():
        ctx.beat()
        if not step():
            ctx.wake.wait(wait_s)
