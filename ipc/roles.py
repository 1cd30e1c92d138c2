"""What a role is to the supervisor, and what its code is given when it runs."""

import dataclasses
import signal
from types import FrameType
from typing import Any

from ipc.line import Line, State
from ipc.logs import Log
from ipc.messages import Inboxes, Order, Upward
from ipc.policy import Class
from ipc.telemetry import Telemetry
from ipc.wakeups import Wakeups
from shm.clock import monotonic_ns


@dataclasses.dataclass(frozen=True)
class RoleSpec:
    """One process of the engine.

    entry: "package.module:function", resolved in the child, called with a RoleContext.
    instance: number among several of the name, None for an only one. start_order, stop_order:
    lower goes first, equals go together. writable: names of the arrays that it may write.
    watch_progress: replace it when it has input and makes no progress. takes_orders: it has an
    inbox for commands that the supervisor forwards.
    """

    name: str
    entry: str
    instance: int | None = None
    kind: Class = Class.CRITICAL
    start_order: int = 0
    stop_order: int = 0
    writable: tuple[str, ...] = ()
    watch_progress: bool = False
    takes_orders: bool = False

    @property
    def key(self) -> str:
        """Its name on the board, in logs and commands: `bars`, `scan0`."""
        return self.name if self.instance is None else f"{self.name}{self.instance}"


class RoleContext:
    """What a running role has: its line on the board, its wake-ups, its log, its orders.

    shared: whatever the composition root gave to the supervisor (tables, configuration).
    epoch: 1 for the first process of this role, one more with every restart.
    """

    def __init__(
        self, spec: RoleSpec, *, shared: Any, line: Line, telemetry: Telemetry, wake: Wakeups,
        log: Log, upward: Upward, inboxes: Inboxes, epoch: int,
    ) -> None:
        self.spec = spec
        self.shared = shared
        self.line = line
        self.telemetry = telemetry
        self.wake = wake
        self.log = log
        self.epoch = epoch
        self._upward = upward
        self._inboxes = inboxes
        self._terminated = False
        self._waits = ""

    @property
    def key(self) -> str:
        """`bars`, `scan0`."""
        return self.spec.key

    @property
    def instance(self) -> int:
        """Number among several of its name, 0 for an only one."""
        return self.spec.instance or 0

    def beat(self) -> None:
        """Say that the role's own loop turns. Never call it from a timer or a thread."""
        self.line.set(self.line.BEAT_NS, monotonic_ns())

    def progress(self, number: int) -> None:
        """Say how far it has come (a cycle, a position); any change is progress, and whoever made
        some waits for nobody."""
        self.line.set(self.line.PROGRESS, number)
        self.waits("")

    def lag(self, waiting: int) -> None:
        """Say how much input waits: with `watch_progress`, some and no progress is a stall."""
        self.line.set(self.line.LAG, waiting)

    def waits(self, key: str) -> None:
        """Say whose gate keeps it from taking its input; empty: nobody's. Its stillness is then put
        down to that role, so it must not name one that has nothing to do."""
        if key == self._waits:
            return
        self._waits = key
        self.line.set(self.line.WAITS_NS, monotonic_ns())
        self.line.set(self.line.WAITS, self.line.board.line(key) + 1 if key else 0)

    def refused(self, errno: int) -> None:
        """Say with which error a disk refuses what it has to keep; 0: it works. Meanwhile nobody is
        to blame for standing still: another process would find the same disk."""
        self.line.set(self.line.REFUSED, errno)

    def running(self) -> None:
        """Say that the start is over; the first beat."""
        self.beat()
        self.line.set(self.line.STATE, State.RUNNING)

    def done(self) -> None:
        """Say that it has nothing more to do: when it returns now, it is not started again."""
        self.line.set(self.line.STATE, State.DONE)

    def should_stop(self) -> bool:
        """True once the supervisor (or a SIGTERM) wants it to end."""
        return self._terminated or self.line.get(self.line.STOP) != 0

    def request(self, kind: str, **payload: object) -> None:
        """Ask the supervisor for something.

        "stop" (reason=, exit_code=): end the engine. "restart" (arguments=[...], without: this
        run's own): end it and start the program anew. "log": put the payload into its log.
        """
        self._upward.send(self.key, kind, payload)

    def orders_fileno(self) -> int:
        """Readable when an order waits; for an event loop."""
        return self._inboxes.fileno(self.key)

    def orders(self) -> list[Order]:
        """Orders to carry out now; each wants an `answer`."""
        return self._inboxes.receive(self.key)

    def answer(
        self, order: Order, result: object = None, *, error: str = "", exit_code: int = 1
    ) -> None:
        """Tell who gave the order how it went: a result, or one sentence of error."""
        payload = {"number": order.number, "result": result, "error": error}
        self._upward.send(self.key, "answer", {**payload, "exit_code": exit_code if error else 0})

    def handle_signals(self) -> None:
        """Take SIGTERM as a wish to end, leave SIGINT to the supervisor."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminate)

    def _terminate(self, _number: int, _frame: FrameType | None) -> None:
        self._terminated = True
        self.wake.notify(self.key)
