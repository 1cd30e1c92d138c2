"""Orders from the supervisor: changes of the rules are stored, compiled and published as the next
version.

They are carried out one after the other in a thread of their own, so that the front goes on
serving. What was stored and not yet published when the front died, its next start publishes.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from engine.config.schema import Config
from engine.domain.tables import (
    CELL_SLOTS,
    FLOW_ALERTED_RULES,
    FLOW_DURABLE_N,
    WORD_STRIDE,
    EngineTables,
)
from engine.errors import EngineError
from engine.rules.change import read_change, summary
from engine.rules.library import Library, Program
from engine.rules.pack import unpack
from engine.rules.payload import sweep_requests, whole_request
from engine.rules.publish import publish
from engine.rules.stored import open_library, store_path, take_in_source
from ipc.messages import Order
from ipc.policy import EXIT_FAILED
from ipc.roles import RoleContext
from shm.clock import realtime_ns
from shm.errors import BlobError
from shm.fences import read_word

MAX_WAITING = 32
TOO_MANY = "The front has too many orders to carry out."
MAX_SENTENCE_CHARS = 4_000
RETRY_S = 1.0


class BusyError(EngineError):
    """Raised when the next version of the rules has no room yet: nothing was changed."""

    exit_code = EXIT_FAILED


class Answered(NamedTuple):
    """How an order went: its result, or a sentence, an exit code and what was raised."""

    result: dict[str, Any] | None
    error: str = ""
    exit_code: int = 0
    cause: Exception | None = None


class _Stored:
    """What a change makes of the rules: compiled once, to be checked and to be published. None when
    the change was a repeat of one that is stored."""

    def __init__(self, check: Callable[[Program], None]) -> None:
        self.program: Program | None = None
        self._check = check

    def take(self, program: Program) -> None:
        """Look at it before it is stored; raises what the check raises."""
        self._check(program)
        self.program = program


class RuleDesk:
    """Changes the rules of a running engine: its store and what the engine runs. Used by one
    thread. count: adds to a series of the board."""

    def __init__(
        self, config: Config, tables: EngineTables, data_dir: Path,
        count: Callable[[str, int], None],
    ) -> None:
        self._config = config
        self._tables = tables
        self._data_dir = data_dir
        self._count = count
        self._library: Library | None = None

    def carry_out(self, command: str, arguments: dict[str, Any]) -> Answered:
        """Do what an order says; whatever is wrong leaves the rules as they were."""
        if command not in ("reload", "rules"):
            return Answered(None, f"The front does not know the order {command!r:.60}.", 1)
        try:
            return Answered(self.reload() if command == "reload" else self.change(arguments))
        except (EngineError, BlobError, OSError) as error:
            self._count("rule_changes_refused_total", 1)
            code = int(getattr(error, "exit_code", EXIT_FAILED))
            return Answered(None, str(error)[:MAX_SENTENCE_CHARS], code, error)

    def reload(self) -> dict[str, Any]:
        """Take in rules.path; how many rules are in force, and their version in the blob."""
        library, stored = self._opened(), _Stored(self._refuse_without_room)
        take_in_source(library, self._config, stored.take)
        return self._publish(library, stored.program)

    def change(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Carry out a change, see rules.change; what it came to, and as reload."""
        change = read_change(whole_request(self._data_dir, arguments))
        library, stored = self._opened(), _Stored(self._refuse_without_room)
        outcome = library.apply(change, stored.take)
        return {**self._publish(library, stored.program), **summary(outcome)}

    def republish(self) -> bool:
        """Publish what the store holds and the engine does not run: the front before was killed in
        between. False when there is no room for it yet. Raises EngineError."""
        sweep_requests(self._data_dir, realtime_ns() / 1e9)
        if not store_path(self._data_dir).exists():
            return True
        try:
            self._publish(self._opened())
        except BusyError:
            return False
        return True

    def close(self) -> None:
        """Close the store."""
        if self._library is not None:
            self._library.store.close()
            self._library = None

    def _opened(self) -> Library:
        if self._library is None:
            self._library = open_library(self._config, self._data_dir)
            running = self._tables.rules.read(self._tables.rules.latest())
            self._library.before = None if running is None else unpack(running)
        return self._library

    def _refuse_without_room(self, program: Program) -> None:
        rules = self._tables.rules
        if rules.read(rules.latest()) == program.content:
            return
        rules.set_floor(oldest_needed(self._tables))
        if not rules.has_room():
            raise BusyError(
                "Earlier rules are still being taken into use; try again in a second."
            )

    def _publish(self, library: Library, program: Program | None = None) -> dict[str, Any]:
        """Publish the rules of the store unless they are in force already. bars takes the newest
        complete version into its next decision. program: of the store, None: not compiled yet."""
        rules = self._tables.rules
        program = program or library.program()
        version = rules.latest()
        if rules.read(version) != program.content:
            self._refuse_without_room(program)
            version += 1
            publish(self._tables, version, program.content)
            library.before = program.compiled
        self._count("rule_changes_total", library.stored)
        self._count("rule_versions_dropped_total", library.store.dropped)
        library.stored = library.store.dropped = 0
        return {"rules": len(program.compiled.rules), "version": version}


class Orders:
    """Takes orders in the front's event loop and hands them to the desk's thread."""

    def __init__(self, ctx: RoleContext, desk: RuleDesk) -> None:
        self._ctx = ctx
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="orders")
        self._waiting = 0
        self._retry: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Publish what the front before could not, then take orders."""
        self._later(self._republish)
        self._loop.add_reader(self._ctx.orders_fileno(), self._take)

    def end(self) -> None:
        """Take no more orders; the one in hand is finished, those behind it are left."""
        self._loop.remove_reader(self._ctx.orders_fileno())
        if self._retry is not None:
            self._retry.cancel()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._desk.close()

    async def submit(self, command: str, arguments: dict[str, Any]) -> Answered:
        """Carry out an order of the front's own clients, after those that wait already."""
        if self._waiting >= MAX_WAITING:
            return Answered(None, TOO_MANY, EXIT_FAILED)
        self._waiting += 1
        work = self._loop.run_in_executor(
            self._thread, self._desk.carry_out, command, arguments
        )
        work.add_done_callback(self._one_less)
        # Whoever goes away leaves the change to be made: nobody can tell how far it was.
        answered = await asyncio.shield(work)
        if answered.result is not None:
            self._ctx.log.info("rules_changed", **answered.result)
        return answered

    def _one_less(self, _: object) -> None:
        self._waiting -= 1

    def _later(self, work: Callable[[], None]) -> None:
        self._thread.submit(work)

    def _republish(self) -> None:
        """In the thread. Without room: again in a moment."""
        try:
            done = self._desk.republish()
        except (EngineError, BlobError, OSError) as error:
            self._tell(self._ctx.log.error, "republish_failed", error=str(error))
        else:
            if not done:
                self._loop.call_soon_threadsafe(self._republish_later)

    def _republish_later(self) -> None:
        self._retry = self._loop.call_later(RETRY_S, self._later, self._republish)

    def _tell(self, write: Callable[..., None], event: str, **ids: object) -> None:
        self._loop.call_soon_threadsafe(lambda: write(event, **ids))

    def _take(self) -> None:
        for order in self._ctx.orders():
            if self._waiting >= MAX_WAITING:
                self._ctx.answer(order, error=TOO_MANY)
                continue
            self._waiting += 1
            self._later(lambda order=order: self._carry_out(order))  # type: ignore[misc]

    def _carry_out(self, order: Order) -> None:
        """In the thread."""
        answered = self._desk.carry_out(order.command, order.arguments)
        self._loop.call_soon_threadsafe(self._answer, order, answered)

    def _answer(self, order: Order, answered: Answered) -> None:
        self._waiting -= 1
        if answered.error:
            self._ctx.log.warning(f"{order.command:.20}_refused", error=answered.error)
        else:
            done = "reloaded" if order.command == "reload" else "rules_changed"
            self._ctx.log.info(done, **(answered.result or {}))
        self._ctx.answer(
            order, answered.result, error=answered.error, exit_code=answered.exit_code or 1
        )


def oldest_needed(tables: EngineTables) -> int:
    """The oldest rules version that scan, alerts or recorder may still read; 0: unknown, so all
    are. A successor of a killed scan worker needs the version of the cycle before its own."""
    cells = tables.cell.cells
    before_n = max(0, cells.published() - 1)
    before = int(tables.cell.heads[before_n % CELL_SLOTS]["rules_version"])
    if not cells.valid(before_n):  # bars moved on meanwhile
        return 0
    alerted = read_word(tables.flow, FLOW_ALERTED_RULES * WORD_STRIDE)
    durable_n = read_word(tables.flow, FLOW_DURABLE_N * WORD_STRIDE)
    decision = tables.decisions.copy(durable_n - 1, durable_n) if durable_n > 0 else None
    if decision is None or int(decision[0]["n"]) != durable_n:
        return 0
    return min(alerted, int(decision[0]["rules_version"]), before)
