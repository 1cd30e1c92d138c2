"""Messages between supervisor and roles: JSON datagrams over socket pairs made before the fork."""

import dataclasses
import json
import os
import socket
from collections.abc import Iterable
from typing import Any

MAX_BYTES = 60_000


@dataclasses.dataclass(frozen=True)
class Request:
    """What a role asks of the supervisor.

    kind: stop, restart, log, answer. payload: its data. pid: who sent it.
    """

    role: str
    pid: int
    kind: str
    payload: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Order:
    """What the supervisor asks of a role; answered with `RoleContext.answer`."""

    number: int
    command: str
    arguments: dict[str, Any]


class Upward:
    """One socket pair from all roles to the supervisor; every message is whole or not there."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._read.setblocking(False)
        self._write.settimeout(2.0)

    def fileno(self) -> int:
        """The supervisor's end."""
        return self._read.fileno()

    def send(self, role: str, kind: str, payload: dict[str, Any]) -> None:
        """Ask the supervisor (role's side). ValueError: too long; OSError: it does not listen."""
        message = {"role": role, "pid": os.getpid(), "kind": kind, "payload": payload}
        self._write.send(_encode(message))

    def receive(self) -> list[Request]:
        """What has arrived (supervisor's side); a message that is no request is left out."""
        found = []
        for message in _drain(self._read):
            payload = message.get("payload")
            if isinstance(payload, dict) and isinstance(message.get("pid"), int):
                role, kind = str(message.get("role")), str(message.get("kind"))
                found.append(Request(role, message["pid"], kind, payload))
        return found

    def close(self) -> None:
        """Close both ends."""
        self._read.close()
        self._write.close()


class Inboxes:
    """A socket pair per role that takes orders; an order waits there while its role restarts."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._pairs = {
            key: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for key in keys
        }
        for down, up in self._pairs.values():
            down.setblocking(False)
            up.setblocking(False)

    def send(self, key: str, order: Order) -> None:
        """Queue an order. KeyError: the role takes none; BlockingIOError: too many are waiting."""
        self._pairs[key][1].send(_encode(dataclasses.asdict(order)))

    def fileno(self, key: str) -> int:
        """The role's end, for its event loop."""
        return self._pairs[key][0].fileno()

    def receive(self, key: str) -> list[Order]:
        """Orders that wait for the role; none for a role that takes none."""
        if key not in self._pairs:
            return []
        return [
            Order(int(m["number"]), str(m["command"]), dict(m["arguments"]))
            for m in _drain(self._pairs[key][0])
        ]

    def close(self) -> None:
        """Close all ends."""
        for pair in self._pairs.values():
            for end in pair:
                end.close()


def _encode(message: dict[str, Any]) -> bytes:
    content = json.dumps(message, default=str).encode()
    if len(content) > MAX_BYTES:
        raise ValueError(f"a message of {len(content)} bytes is longer than {MAX_BYTES}")
    return content


def _drain(end: socket.socket) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    while True:
        try:
            content = end.recv(MAX_BYTES + 1)
        except BlockingIOError:
            return messages
        try:
            message = json.loads(content)
        except ValueError:
            continue
        if isinstance(message, dict):
            messages.append(message)
