"""Commands of the control socket: what the supervisor answers itself, hands on, or forwards."""

import dataclasses
import signal
from typing import TYPE_CHECKING, Any

from ipc import policy
from ipc.control import ANSWER_S, Client, refusal
from ipc.errors import ControlError
from ipc.messages import Order
from shm.clock import monotonic_ns

if TYPE_CHECKING:
    from ipc.supervisor import Supervisor

ANSWER_NS = ANSWER_S * 1_000_000_000


@dataclasses.dataclass(frozen=True)
class Waiting:
    """A forwarded command whose answer is due. client: None when it came by a signal."""

    client: Client | None
    command: str
    role: str
    deadline_ns: int


class Commands:
    """Carries out one command at a time; forwarded ones are answered when their role does."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._waiting: dict[int, Waiting] = {}
        self._number = 0

    def carry_out(self, client: Client | None, command: dict[str, Any]) -> None:
        """Answer `client`, now or when the role has answered."""
        name = str(command["command"])
        supervisor = self._supervisor
        try:
            if name in supervisor.parts.forward:
                self._forward(client, name, command)
                return
            result = self._result(name, command)
        except ControlError as error:
            self._reply(client, name, refusal(str(error), error.exit_code))
        except Exception as error:  # noqa: BLE001 - a handler must not take the engine down
            supervisor.log.error("command failed", command=name, error=repr(error))
            code = int(getattr(error, "exit_code", 1))
            self._reply(client, name, refusal(str(error) or type(error).__name__, code))
        else:
            self._reply(client, name, {"ok": True, "result": result})

    def _result(self, name: str, command: dict[str, Any]) -> Any:
        supervisor = self._supervisor
        if name == "status":
            return supervisor.status()
        if name == "stop":
            supervisor.end(policy.EXIT_OK, "stopped by command.")
            return "stopping"
        if name == "restart":
            return self._restart(str(command.get("role", "")))
        handler = supervisor.parts.handlers.get(name)
        if handler is None:
            raise ControlError(f"there is no command {name!r:.60}.")
        return handler(command)

    def _restart(self, role: str) -> str:
        """SIGTERM the role now; the next one follows at once and costs no budget."""
        supervisor = self._supervisor
        if supervisor.ending is not None:
            raise ControlError("the engine is stopping.")
        for one in supervisor.children:
            if one.key != role:
                continue
            if one.pid:
                one.asked = True
                one.why = one.why or "restart asked for"
                one.kill_ns = monotonic_ns() + supervisor.settings.stop_timeout_ms * 1_000_000
                one.signal(signal.SIGTERM)
            else:
                one.due_ns = monotonic_ns()
            return f"restarting {role}"
        known = ", ".join(one.key for one in supervisor.children)
        raise ControlError(f"there is no role {role!r:.60}; there are {known}.", 2)

    def _forward(self, client: Client | None, name: str, command: dict[str, Any]) -> None:
        supervisor, role = self._supervisor, self._supervisor.parts.forward[name]
        self._number += 1
        arguments = {key: value for key, value in command.items() if key != "command"}
        try:
            supervisor.inboxes.send(role, Order(self._number, name, arguments))
        except (BlockingIOError, ValueError):
            raise ControlError(f"{role} has too much to do to take {name}.") from None
        supervisor.wake.notify(role)
        self._waiting[self._number] = Waiting(client, name, role, monotonic_ns() + ANSWER_NS)

    def answered(self, payload: dict[str, Any]) -> None:
        """A role has answered an order."""
        number, code = payload.get("number"), payload.get("exit_code")
        waiting = self._waiting.pop(number, None) if isinstance(number, int) else None
        if waiting is None:
            return
        error = str(payload.get("error") or "")
        if error:
            content = refusal(error, code if isinstance(code, int) else policy.EXIT_FAILED)
        else:
            content = {"ok": True, "result": payload.get("result")}
        self._reply(waiting.client, waiting.command, content)

    def expire(self, now_ns: int) -> None:
        """Refuse what no role has answered in time."""
        for number, waiting in list(self._waiting.items()):
            if now_ns > waiting.deadline_ns:
                del self._waiting[number]
                sentence = f"{waiting.role} did not answer {waiting.command} in time."
                lost = {**refusal(sentence), "lost": True}
                self._reply(waiting.client, waiting.command, lost)

    def _reply(self, client: Client | None, name: str, content: dict[str, Any]) -> None:
        if client is None:
            level = "info" if content["ok"] else "error"
            self._supervisor.log.write(level, name, content)
        else:
            self._supervisor.control.answer(client, content)
