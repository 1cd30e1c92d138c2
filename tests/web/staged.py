"""The web role on a hand-made market: everything but the supervisor around it is real."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp.test_utils import unused_port

from engine.config.running import Running
from engine.config.schema import Config, RulesSection
from engine.config.schema_web import WebSection
from ipc.line import Line
from ipc.logs import Log
from ipc.messages import Inboxes, Upward
from ipc.roles import RoleContext, RoleSpec
from ipc.telemetry import Telemetry
from ipc.wakeups import Wakeups
from tests.web.front import warm_market
from tests.web.market import FAST, Market
from web import role


@dataclasses.dataclass
class Stage:
    """A role context without a supervisor."""

    ctx: RoleContext
    market: Market
    upward: Upward
    inboxes: Inboxes
    wake: Wakeups
    port: int


    def counters(self) -> dict[str, int]:
        """What the role has counted on its line of the board, without zeros."""
        counters = self.market.board.snapshot_line(self.ctx.line.number).counters
        return {name: count for name, count in counters.items() if count}


def stage(
    tmp_path: Path,
    port: int | None = None,
    arguments: tuple[str, ...] = (),
    settings: WebSection = FAST,
) -> Stage:
    """A role that `run` starts, on any free port, with settings of [web]."""
    market = warm_market()
    port = unused_port() if port is None else port
    rules = RulesSection(path=str(tmp_path / "rules.json"))
    config = Config(web=msgspec.structs.replace(settings, port=port), rules=rules)
    stream = market.deps(port).stream
    running = Running(config, stream, market.tables, market.board, tmp_path, arguments)
    spec = RoleSpec("web", "web.role:main", takes_orders=True)
    wake, inboxes, upward = Wakeups(["web"]), Inboxes(["web"]), Upward()
    wake.own("web")
    ctx = RoleContext(
        spec, shared=running, line=Line(market.board, "web"),
        telemetry=Telemetry(market.board, "web"), wake=wake,
        log=Log("web", level="error"), upward=upward, inboxes=inboxes, epoch=1,
    )  # fmt: skip
    return Stage(ctx, market, upward, inboxes, wake, port)


def run(made: Stage, scenario: Any) -> None:
    """Serve until the scenario is over, then stop as the supervisor would."""

    async def whole() -> None:
        task = asyncio.create_task(role.serve(made.ctx, role.make_deps(made.ctx)))
        async with asyncio.timeout(15), aiohttp.ClientSession() as session:
            while not made.ctx.line.get(Line.BEAT_NS):
                await asyncio.sleep(0.02)
                if task.done():
                    task.result()
            await scenario(session, f"http://127.0.0.1:{made.port}")
            made.ctx.line.set(Line.STOP, 1)
            made.wake.notify("web")
            await task

    made.ctx.line.set(Line.BEAT_NS, 0)  # the market's own clock may be ahead of the machine's
    asyncio.run(whole())
