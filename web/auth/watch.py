"""Closes the sockets of those who may no longer be there, within about a second."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from web.app_state import STATE
from web.auth.desk import DESK, Desk
from web.problems import Problem

CLOSE_REVOKED = 4401
INTERVAL_S = 1.0
REASON = "your sign-in has ended: sign in again"


async def watch_sockets(app: web.Application) -> AsyncIterator[None]:
    """Cleanup context: look while the application runs, then close the store of users."""
    desk = app[DESK]
    task = asyncio.create_task(_watch(app, desk))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.get_running_loop().run_in_executor(None, desk.close)


async def _watch(app: web.Application, desk: Desk) -> None:
    while True:
        await asyncio.sleep(INTERVAL_S)
        with contextlib.suppress(Problem):  # the store failed: its requests say so; look again
            await _close_gone(app, desk)


async def _close_gone(app: web.Application, desk: Desk) -> None:
    connections = [one for one in app[STATE].connections if one.principal is not None]
    held = {one.principal for one in connections if one.principal is not None}
    if not held:
        return
    gone = await desk.gone(held)
    ended = [one for one in connections if one.principal in gone]
    await asyncio.gather(*(one.close(CLOSE_REVOKED, REASON) for one in ended))
