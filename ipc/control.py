"""The control socket: one JSON object a line in, one out; only this user's processes are heard."""

import dataclasses
import json
import os
import socket
import struct
from pathlib import Path
from typing import Any

from ipc.errors import ControlError, NoAnswerError, NoEngineError
from ipc.polling import readable
from shm.clock import monotonic_ns

SOCKET_NAME = "control.sock"
MAX_LINE = 60_000
MAX_CLIENTS = 16
IDLE_NS = 60_000_000_000
ANSWER_S = 60  # to take in tens of thousands of rules on a busy machine


@dataclasses.dataclass
class Client:
    """One connection. used_ns: when it last said something; its end is closed when dropped."""

    end: socket.socket
    used_ns: int
    buffer: bytes = b""


Command = tuple[Client, dict[str, Any]]


class ControlServer:
    """Listens on data_dir/control.sock (mode 0600); never blocks. The supervisor polls it."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / SOCKET_NAME
        self._clients: dict[int, Client] = {}
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            _with_short_name(self.path, self._listener.bind)
        finally:
            os.umask(mask)
        self._listener.listen(MAX_CLIENTS)

    def filenos(self) -> list[int]:
        """What to poll for reading."""
        return [self._listener.fileno(), *self._clients]

    def ready(self, fd: int) -> list[Command]:
        """Handle a readable fd: commands that are complete, as (client, object)."""
        if fd == self._listener.fileno():
            self._accept()
            return []
        client = self._clients.get(fd)
        return self._read(client) if client is not None else []

    def answer(self, client: Client, content: dict[str, Any]) -> None:
        """Send one line to a client; one that does not take it is dropped, one gone is left."""
        if client.end.fileno() < 0:
            return
        try:
            client.end.sendall(json.dumps(content, default=str).encode() + b"\n")
        except OSError:
            self._drop(client)

    def close_idle(self) -> None:
        """Drop clients that have said nothing for a minute."""
        oldest_ns = monotonic_ns() - IDLE_NS
        for client in [one for one in self._clients.values() if one.used_ns < oldest_ns]:
            self._drop(client)

    def close(self, *, remove: bool) -> None:
        """Close everything; `remove` the socket file, too (not in a child)."""
        for client in list(self._clients.values()):
            self._drop(client)
        self._listener.close()
        if remove:
            self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            end, _ = self._listener.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS or not _is_ours(end):
            end.close()
            return
        end.settimeout(0.2)
        self._clients[end.fileno()] = Client(end, monotonic_ns())

    def _read(self, client: Client) -> list[Command]:
        try:
            content = client.end.recv(MAX_LINE)
        except OSError:
            content = b""
        if not content:
            self._drop(client)
            return []
        client.used_ns = monotonic_ns()
        *lines, client.buffer = (client.buffer + content).split(b"\n")
        if len(client.buffer) > MAX_LINE:
            self.answer(client, refusal(f"a command is longer than {MAX_LINE} bytes."))
            self._drop(client)
            return []
        parsed = [self._parse(client, line) for line in lines]
        return [(client, command) for command in parsed if command is not None]

    def _parse(self, client: Client, line: bytes) -> dict[str, Any] | None:
        try:
            command = json.loads(line)
        except (ValueError, RecursionError):
            command = None
        if isinstance(command, dict) and isinstance(command.get("command"), str):
            return command
        self.answer(client, refusal('a command is a JSON object like {"command": "status"}.'))
        return None

    def _drop(self, client: Client) -> None:
        if client.end.fileno() >= 0:
            del self._clients[client.end.fileno()]
            client.end.close()


def refusal(sentence: str, exit_code: int = 1) -> dict[str, Any]:
    """The answer to a command that failed."""
    return {"ok": False, "error": sentence, "exit_code": exit_code}


def _is_ours(end: socket.socket) -> bool:
    """True when the other side runs under our user, or is root."""
    size = struct.calcsize("3i")
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return struct.unpack("3i", raw)[1] in {os.geteuid(), 0}


def _with_short_name(path: Path, use: Any) -> None:
    """Bind or connect through /proc/self/fd: a socket's own name has room for 107 bytes only."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        use(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


def ask(
    data_dir: Path, command: str, timeout_s: float = ANSWER_S + 5.0, **arguments: object
) -> Any:
    """Send a command to the engine of that data directory and return its result.

    Raises ControlError with the engine's sentence, NoEngineError, NoAnswerError.
    """
    end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end.settimeout(timeout_s)
    try:
        _with_short_name(data_dir / SOCKET_NAME, end.connect)
        end.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
        answer = _receive_line(end, timeout_s)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        raise NoEngineError(f"no engine runs on {data_dir}.") from None
    except TimeoutError:
        told = f"the engine on {data_dir} did not answer in {timeout_s:g} s."
        raise NoAnswerError(told) from None
    except OSError as error:
        raise NoAnswerError(f"the engine on {data_dir} cannot be reached: {error}.") from None
    finally:
        end.close()
    if answer.get("lost"):
        raise NoAnswerError(str(answer.get("error")))
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error")), int(answer.get("exit_code", 1)))
    return answer.get("result")


def _receive_line(end: socket.socket, timeout_s: float) -> dict[str, Any]:
    deadline_ns = monotonic_ns() + int(timeout_s * 1e9)
    buffer = b""
    while b"\n" not in buffer:
        left_s = (deadline_ns - monotonic_ns()) / 1e9
        if left_s <= 0 or not readable([end.fileno()], left_s):
            raise TimeoutError
        content = end.recv(1 << 16)
        if not content:
            raise ConnectionResetError("it closed the connection")
        buffer += content
    answer = json.loads(buffer)
    return answer if isinstance(answer, dict) else {}
