"""The supervisor: forks all roles, watches them, replaces the dead, answers, stops in order.

One thread, no event loop: a poll over the signal pipe, the control socket and the roles' requests,
with a timeout short enough to see a missing beat.
"""

import dataclasses
import os
import random
import select
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ipc import child, children, commands, policy, process, status_file, watch
from ipc.children import Child
from ipc.control import ControlServer
from ipc.line import Line, State
from ipc.logs import Log
from ipc.messages import Inboxes, Request, Upward
from ipc.policy import Death, Disable, Limits, RestartPolicy, StopEngine
from ipc.roles import RoleContext, RoleSpec
from ipc.signals import SignalPipe
from ipc.telemetry import SUPERVISOR, Telemetry
from ipc.wakeups import Wakeups
from ipc.watch import Patience
from shm.board import Board
from shm.clock import monotonic_ns, realtime_ns

FORK_RETRY_NS = 1_000_000_000
BELIEVED_MS = 1000  # a role says whom it waits for with every beat; it beats five times as often
_MS = 1_000_000
Handler = Callable[[dict[str, Any]], Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Times and bounds of the supervisor."""

    patience: Patience = dataclasses.field(default_factory=Patience)
    limits: Limits = dataclasses.field(default_factory=Limits)
    abort_wait_ms: int = 500
    stop_timeout_ms: int = 5000


@dataclasses.dataclass
class Parts:
    """What the composition root gives.

    shared: handed to every role. protect: called in a child to take away what it must not write.
    handlers: commands of the control socket answered here, `handler(command) -> result`.
    forward: commands sent on to a role, command -> role key. waiting: input that waits for a role
    (default: the LAG word of its line). describe: more for the status. on_turn: called about ten
    times a second. cleanup: after the last role has gone, before the lock is given back.
    relaunch: the argument list before a restart's own, to execute this program anew; arguments:
    those of this run, for a restart that names none.
    """

    engine: str
    data_dir: Path
    board: Board
    log: Log
    shared: Any = None
    protect: Callable[[RoleSpec], None] | None = None
    handlers: Mapping[str, Handler] = dataclasses.field(default_factory=dict)
    forward: Mapping[str, str] = dataclasses.field(default_factory=dict)
    waiting: Callable[[str], int] | None = None
    describe: Callable[[], dict[str, Any]] | None = None
    on_turn: Callable[[], None] | None = None
    cleanup: Callable[[], None] | None = None
    relaunch: Sequence[str] = ()
    arguments: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Ending:
    """Why and how the engine ends. relaunch: arguments to start again with, None: do not."""

    exit_code: int
    sentence: str
    relaunch: tuple[str, ...] | None = None


class Supervisor:
    """Runs the roles until the end; `run` returns the exit code, after which nothing is left."""

    def __init__(self, specs: Sequence[RoleSpec], settings: Settings, parts: Parts) -> None:
        self.settings = settings
        self.parts = parts
        self.log = parts.log
        self.wake = Wakeups(spec.key for spec in specs)
        self.upward = Upward()
        self.inboxes = Inboxes(spec.key for spec in specs if spec.takes_orders)
        self.telemetry = Telemetry(parts.board, SUPERVISOR)
        self.line = Line(parts.board, SUPERVISOR)
        self.state = "starting"
        self.ending: Ending | None = None
        rng = random.Random(os.getpid())
        self.children = [
            Child(
                spec, Line(parts.board, spec.key),
                RestartPolicy(spec.key, spec.kind, settings.limits, rng),
            )
            for spec in sorted(specs, key=lambda spec: spec.start_order)
        ]
        self._begun_ns = realtime_ns()
        self._turn_ns = 0
        self._told_twice = False
        patience = settings.patience
        self._tick_ms = max(10, min(100, patience.beat_ms // 8, patience.boot_ms // 8))

    def run(self) -> int:
        """Start every role, keep them up, stop them; returns the exit code of the engine.

        Must be called from the only thread. Restarting with other arguments does not return.
        """
        self.signals = SignalPipe()
        self.control = ControlServer(self.parts.data_dir)
        self.commands = commands.Commands(self)
        self.line.set(Line.PID, os.getpid())
        self.line.set(Line.START_TIME, process.start_ticks(os.getpid()))
        try:
            self._start()
            while self.ending is None:
                self.turn()
            self._stop()
        finally:
            self._kill_all()
            self._close()
        assert self.ending is not None
        if self.ending.relaunch is not None:
            self._relaunch(self.ending.relaunch)
        return self.ending.exit_code

    def _start(self) -> None:
        self._say_status()
        for one in self.children:
            self._fork(one)
        self._set_state("running")

    def _set_state(self, state: str) -> None:
        self.state = state
        self.line.set(Line.STATE, State.RUNNING if state == "running" else State.STOPPING)
        self._say_status()

    def end(self, exit_code: int, sentence: str, relaunch: tuple[str, ...] | None = None) -> None:
        """End the engine in order; the first reason counts."""
        if self.ending is None:
            self.ending = Ending(exit_code, sentence, relaunch)
            level = "error" if exit_code else "info"
            self.log.write(level, "ending", {"reason": sentence, "exit_code": exit_code})

    def turn(self) -> None:
        """Wait for what happens next, at most one tick, and deal with it."""
        poll = select.poll()
        for fd in (self.signals.fileno(), self.upward.fileno(), *self.control.filenos()):
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(self._tick_ms)}
        for number in self.signals.receive():
            self._signalled(number)
        for request in self.upward.receive():
            self._requested(request)
        for fd in ready - {self.signals.fileno(), self.upward.fileno()}:
            for client, command in self.control.ready(fd):
                self.commands.carry_out(client, command)
        for one, code in children.reap(self.children):
            self._ended(one, code)
        self._look_after()

    def _look_after(self) -> None:
        """What is due by the clock: beats, kills, restarts, answers that did not come."""
        now_ns = monotonic_ns()
        slept = self._turn_ns and now_ns - self._turn_ns > self.settings.patience.beat_ms * _MS // 2
        self._turn_ns = now_ns
        self.line.set(Line.BEAT_NS, now_ns)
        believed_ns = min(BELIEVED_MS, self.settings.patience.stall_ms // 2) * _MS
        waits = children.waits(self.children, now_ns, believed_ns)
        held_up = watch.held_up(waits)
        for one in self.children:
            if slept and one.watch is not None:
                one.watch.rebase(now_ns)
            if one.kill_ns and now_ns >= one.kill_ns:
                one.kill_ns = 0
                one.signal(signal.SIGKILL)
            elif one.pid and not (one.told or one.kill_ns or one.why):
                excused = watch.cause(one.key, waits) != one.key
                self._watch(one, now_ns, held_up.get(one.key, ()), excused=excused)
            elif one.due_ns and now_ns >= one.due_ns:
                self._fork(one)
        self.commands.expire(now_ns)
        self.control.close_idle()
        if self.parts.on_turn is not None:
            self.parts.on_turn()

    def _watch(self, one: Child, now_ns: int, waiters: Sequence[str], *, excused: bool) -> None:
        """Replace a role that is silent, or still without another role or a disk as the cause."""
        assert one.watch is not None
        line, waiting = one.line, 0
        if not one.spec.watch_progress or line.get(Line.REFUSED):
            waiters = ()
        elif not excused:
            ask = self.parts.waiting
            waiting = line.get(Line.LAG) if ask is None else ask(one.key)
        complaint = one.watch.complaint(
            now_ns, line.get(Line.BEAT_NS), line.get(Line.PROGRESS), waiting, waiters
        )
        if complaint:
            self.log.warning("replacing", child=one.key, child_pid=one.pid, reason=complaint)
            children.replace(one, complaint, self.settings.abort_wait_ms)

    def _fork(self, one: Child) -> None:
        try:
            children.fork(
                one, self._context(one), self.settings.patience, self._prepare_child,
                self.parts.data_dir,
            )
        except OSError as error:
            one.due_ns = monotonic_ns() + FORK_RETRY_NS
            self.log.error("not started", child=one.key, error=str(error))
            return
        if one.epoch > 1:
            self.telemetry.count("restarts_total")
        self.log.info("started", child=one.key, child_pid=one.pid, epoch=one.epoch)
        if self.state != "starting":
            self._say_status()

    def _context(self, one: Child) -> RoleContext:
        return RoleContext(
            one.spec, shared=self.parts.shared, line=one.line,
            telemetry=Telemetry(self.parts.board, one.key), wake=self.wake,
            log=self.log.for_role(one.key), upward=self.upward, inboxes=self.inboxes,
            epoch=one.epoch + 1,
        )

    def _prepare_child(self, ctx: RoleContext) -> None:
        self.signals.close_in_child()
        self.control.close(remove=False)
        if self.parts.protect is not None:
            self.parts.protect(ctx.spec)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self.commands.carry_out(None, {"command": "reload"})
        elif number in {signal.SIGTERM, signal.SIGINT}:
            name = policy.signal_name(number)
            if self.ending is None:
                self.end(policy.EXIT_OK, f"stopped by {name}.")
            elif self.ending.relaunch is not None:
                self.ending = Ending(policy.EXIT_OK, f"stopped by {name}.")
            elif number == signal.SIGINT:
                self._told_twice = True

    def _requested(self, request: Request) -> None:
        payload = request.payload
        if request.kind == "answer":
            self.commands.answered(payload)
        elif request.kind == "stop":
            reason = str(payload.get("reason") or f"{request.role} asked to stop.")
            code = payload.get("exit_code")
            self.end(code if isinstance(code, int) else policy.EXIT_OK, reason)
        elif request.kind == "restart":
            given = payload.get("arguments")
            arguments = [str(part) for part in given] if isinstance(given, list) else None
            again = tuple(self.parts.arguments if arguments is None else arguments)
            self.end(policy.EXIT_OK, f"{request.role} asked for a new start.", again)
        elif request.kind == "log":
            self.log.info("told", **{**payload, "child": request.role, "child_pid": request.pid})
        else:
            self.log.warning("unknown request", child=request.role, kind=request.kind)

    def _ended(self, one: Child, code: int) -> None:
        """A role's process has gone: say how, decide what follows."""
        now_ns, line = monotonic_ns(), one.line
        assert one.watch is not None
        number = line.get(Line.PROGRESS)
        alive_s = (now_ns - one.begun_ns) / 1e9
        healthy = alive_s > self.settings.limits.budget_s
        progressed = healthy or number != one.watch.progress_at_start
        death = Death(now_ns / 1e9, code, number, progressed)
        one.last_end = death.manner() + (f" ({one.why})" if one.why else "")
        dump = child.collect_crash(self.parts.data_dir, one.key, one.last_pid)
        in_order = code == 0 and (one.told or line.get(Line.STATE) == State.DONE)
        self.log.write(
            "info" if in_order or one.asked else "warning", "ended",
            {"child": one.key, "child_pid": one.last_pid, "manner": one.last_end,
             "progress": number} | ({"dump": str(dump)} if dump else {}),
        )
        if one.told:
            one.set_state(State.STOPPED)
        elif in_order:
            one.set_state(State.DONE)
        elif one.asked:
            one.due_ns = now_ns
        else:
            self._decide(one, death, now_ns)
        if one.due_ns and one.due_ns <= now_ns:
            self._fork(one)
        self._say_status()

    def _decide(self, one: Child, death: Death, now_ns: int) -> None:
        verdict = one.policy.after(death)
        if isinstance(verdict, StopEngine):
            one.set_state(State.FAILED)
            self.end(verdict.exit_code, verdict.sentence)
        elif isinstance(verdict, Disable):
            one.set_state(State.FAILED)
            self.log.error("disabled", child=one.key, reason=verdict.sentence)
        else:
            one.set_state(State.BACKOFF)
            one.due_ns = now_ns + int(verdict.after_s * 1e9)
            if verdict.after_s:
                self.log.warning("waiting", child=one.key, wait_s=round(verdict.after_s, 2))

    def _stop(self) -> None:
        """Stop the roles group by group; who does not go in time is made to."""
        self._set_state("stopping")
        for order in sorted({one.spec.stop_order for one in self.children}):
            group = [one for one in self.children if one.spec.stop_order == order]
            for one in group:
                one.told, one.due_ns = True, 0
                one.line.set(Line.STOP, 1)
                self.wake.notify(one.key)
            self._wait_for(group, self.settings.stop_timeout_ms)
            for one in group:
                if one.pid:
                    self.log.warning("terminating", child=one.key, child_pid=one.pid)
                    one.signal(signal.SIGTERM)
            self._wait_for(group, self.settings.abort_wait_ms)
            for one in group:
                if one.pid:
                    self.log.warning("killing", child=one.key, child_pid=one.pid)
                    one.signal(signal.SIGKILL)
            self._wait_for(group, 10_000)

    def _wait_for(self, group: list[Child], timeout_ms: int) -> None:
        deadline_ns = monotonic_ns() + timeout_ms * _MS
        while any(one.pid for one in group) and monotonic_ns() < deadline_ns:
            if self._told_twice:
                self._kill_all()
                return
            self.turn()

    def _kill_all(self) -> None:
        """SIGKILL every process that is left and reap it."""
        for one in self.children:
            one.told, one.due_ns = True, 0
            if one.pid:
                one.signal(signal.SIGKILL)
                os.waitpid(one.pid, 0)
                child.collect_crash(self.parts.data_dir, one.key, one.pid)
                one.pid = 0
                one.line.set(Line.PID, 0)
                one.set_state(State.STOPPED)

    def _close(self) -> None:
        if self.ending is None:
            self.ending = Ending(policy.EXIT_FAILED, "the supervisor failed.")
        self.state = "stopped" if self.ending.exit_code == 0 else "failed"
        self._say_status()
        self.control.close(remove=True)
        self.signals.close()
        self.upward.close()
        self.inboxes.close()
        self.wake.close()
        if self.parts.cleanup is not None:
            self.parts.cleanup()

    def _relaunch(self, arguments: tuple[str, ...]) -> NoReturn:
        command = [*self.parts.relaunch, *arguments]
        self.log.info("relaunching", arguments=" ".join(arguments))
        os.execv(command[0], command)

    def status(self) -> dict[str, Any]:
        """The engine's state for the status file and the control socket."""
        ending = self.ending
        told: dict[str, Any] = {
            "engine": self.parts.engine,
            "state": self.state,
            "pid": os.getpid(),
            "start_ticks": process.start_ticks(os.getpid()),
            "boot_id": process.boot_id(),
            "started_ns": self._begun_ns,
            "written_ns": realtime_ns(),
            "exit_code": ending.exit_code if ending else None,
            "reason": ending.sentence if ending else "",
            "roles": [children.status(one) for one in self.children],
        }
        return told | (self.parts.describe() if self.parts.describe is not None else {})

    def _say_status(self) -> None:
        try:
            status_file.write(self.parts.data_dir, self.status())
        except OSError as error:
            self.log.error("status not written", error=str(error))
