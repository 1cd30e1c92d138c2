"""The stored rules as the front sees them, and the way to the desk that changes them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from engine.config.schema import Config
from engine.domain.tables import EngineTables
from engine.rules.limits import Limits, limits_of
from engine.rules.stored import store_path
from engine.storage.rule_ports import RuleReader
from engine.storage.rule_sqlite import SqliteRuleReader
from engine.storage.rule_stub import MemoryRuleStore
from web.orders import Answered
from web.problems import Problem
from web.reading import NoCycleError, TornError, read_head

_Result = TypeVar("_Result")
Submit = Callable[[str, dict[str, Any]], Awaitable[Answered]]

IN_FORCE_POLL_S = 0.02


class RuleBook:
    """Rules of a data directory: read by any thread, changed through `submit`.

    submit: carries out an order and answers it; None until the front takes orders. in_force_s: how
    long an answer waits until the engine runs with what was changed.
    """

    def __init__(self, config: Config, data_dir: Path, tables: EngineTables) -> None:
        self.limits: Limits = limits_of(config)
        self.submit: Submit | None = None
        self.in_force_s = 1.0
        self._path = store_path(data_dir)
        self._tables = tables

    def read(self, look: Callable[[RuleReader], _Result]) -> _Result:
        """Look at the stored rules; none before there is a store. Raises StorageError."""
        reader: RuleReader = (
            SqliteRuleReader(self._path) if self._path.exists() else MemoryRuleStore()
        )
        try:
            return look(reader)
        finally:
            reader.close()

    async def change(self, request: dict[str, Any]) -> Answered:
        """Carry out a change of the rules, see rules.change.Change. Raises Problem 503."""
        if self.submit is None:
            raise Problem(503, "The front does not take changes yet.", {"Retry-After": "1"})
        return await self.submit("rules", {"request": request})

    async def in_force(self, version: int) -> bool:
        """Whether the engine runs with a version of the set, after waiting for it a moment."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self.in_force_s
        while not self._runs(version):
            if loop.time() >= until_s:
                return False
            await asyncio.sleep(IN_FORCE_POLL_S)
        return True

    def _runs(self, version: int) -> bool:
        try:
            return int(read_head(self._tables)["rules_version"]) >= version
        except (NoCycleError, TornError):
            return False
