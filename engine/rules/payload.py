"""Requests that are too long for a message between processes: they lie beside it, in a file."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from engine.rules.errors import ChangeError
from engine.rules.files import MAX_FILE_BYTES

MAX_INLINE_BYTES = 40_000
DIRECTORY = "requests"
KEEP_S = 3600.0
_NAME = re.compile(r"[0-9a-f]{32}")


@contextmanager
def handed_over(data_dir: Path, name: str, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What to send for a request: itself, or where it lies until the answer is there.

    name: 32 hex digits that no other request has.
    """
    content = msgspec.json.encode(request)
    if len(content) <= MAX_INLINE_BYTES:
        yield {"request": request}
        return
    place = data_dir / DIRECTORY
    place.mkdir(mode=0o700, exist_ok=True)
    file = place / f"{name}.json"
    try:
        file.write_bytes(content)
        yield {"payload": name}
    finally:
        file.unlink(missing_ok=True)


def whole_request(data_dir: Path, arguments: dict[str, Any]) -> Any:
    """The request that `handed_over` sent. Raises ChangeError."""
    name = arguments.get("payload")
    if name is None:
        return arguments.get("request")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ChangeError("payload is not the name of a request.")
    file = data_dir / DIRECTORY / f"{name}.json"
    try:
        size = file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ChangeError(f"a request has {size} bytes, at most {MAX_FILE_BYTES} are read.")
        return msgspec.json.decode(file.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise ChangeError(f"the request {name} cannot be read: {error}.") from error


def sweep_requests(data_dir: Path, now_s: float) -> None:
    """Remove what senders that were killed have left. now_s: the wall clock."""
    for file in (data_dir / DIRECTORY).glob("*.json"):
        if file.stat().st_mtime < now_s - KEEP_S:
            file.unlink(missing_ok=True)
