"""Secrets are named, never written into the configuration: env:NAME or file:PATH."""

import os
from collections.abc import Mapping
from pathlib import Path

from engine.config.errors import ConfigError

MAX_SECRET_BYTES = 1 << 16


def resolve(
    reference: str, key: str, base: Path, environ: Mapping[str, str] | None = None
) -> str:
    """The secret that `reference` names; a file's last line end does not belong to it.

    key: the setting, for the message, which never repeats the reference's content. base: where a
    relative file starts. Raises ConfigError when there is nothing there, or nothing in it.
    """
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        found = (os.environ if environ is None else environ).get(name, "")
        if not found:
            raise ConfigError(key, key, f"environment variable {name} is not set or empty.")
        return found
    if kind != "file" or not name:
        raise ConfigError(key, key, "must be env:NAME or file:PATH, never the secret itself.")
    path = base / name
    try:
        content = path.read_bytes()[: MAX_SECRET_BYTES + 1]
        secret = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise ConfigError(key, key, f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(key, key, f"{path} is not UTF-8.") from None
    if not secret or len(content) > MAX_SECRET_BYTES:
        raise ConfigError(key, key, f"{path} is empty or longer than {MAX_SECRET_BYTES} bytes.")
    return secret
