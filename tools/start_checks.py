"""What would stop a start after a minute of work, refused in its first second instead."""

import errno
import socket

from engine.config.schema import Config
from engine.errors import EngineError
from ipc.policy import EXIT_BAD_CONFIG
from shm.segments import creator_alive, epochs

REFUSED = (errno.EADDRINUSE, errno.EACCES)


class StartError(EngineError):
    """Raised when an engine with these settings cannot start beside what runs here already."""

    exit_code = EXIT_BAD_CONFIG


def refuse_taken_port(config: Config) -> None:
    """Raise StartError when web.port cannot be listened on; what else may be wrong with the
    address is left to the front."""
    host, port = config.web.host, config.web.port
    if port == 0:
        return
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno in REFUSED:
                raise StartError(
                    f"web.host {host}, web.port {port}: cannot listen there ({error.strerror}); "
                    "choose another with --port or TAPESCAN_WEB__PORT."
                ) from error


def refuse_taken_name(name: str, epoch: int) -> None:
    """Raise StartError when engine.name is another living engine's, or another user has left
    segments that would be in the way. To be called after the sweep.

    Two engines of one name would be confused by every tool that looks an engine up by its name.
    """
    for other in epochs(name):
        if creator_alive(name, other):
            why = "an engine of this name runs on this machine"
        elif other == epoch:
            why = f"another user has segments /dev/shm/tapescan-{name}-{other}-*"
        else:
            continue
        raise StartError(
            f'engine.name "{name}" is taken, {why}; choose a new one, '
            f"as in TAPESCAN_ENGINE__NAME={name[:30]}-2."
        )
