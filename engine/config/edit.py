"""Read and change single settings of a file; comments, order and layout stay as they are."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable

from engine.config.errors import ConfigError
from engine.config.load import load, parse, read_text, read_values, unknown_setting
from engine.config.registry import SETTINGS, Value


def get(path: Path | None, name: str, environ: Mapping[str, str] | None = None) -> Value:
    """The value in force of `section.key`; raises ConfigError for an unknown name or a bad file."""
    if name not in SETTINGS:
        raise ConfigError("config get", name, unknown_setting(name))
    return load(path, environ=environ, check_files=False).values[name]


def set_value(path: Path, name: str, text: str) -> tuple[Value, Value]:
    """Set `section.key` in the file to what `text` stands for; returns (before, after).

    The whole file is checked as it would be, then replaced in one step: a refused value or a crash
    leaves it as it was. Raises ConfigError.
    """
    if name not in SETTINGS:
        raise ConfigError("config set", name, unknown_setting(name))
    text_before = read_text(path) if path.exists() else ""
    values_before = read_values(parse(text_before, str(path)), str(path))
    load(
        path if path.exists() else None,
        environ={},
        overrides={name: ("config set", text)},
        check_files=False,
    )
    after = SETTINGS[name].parse(text)
    document = _edited(text_before, name, after, str(path))
    values_after = read_values(parse(document, str(path)), str(path))
    if values_after != values_before | {name: after}:
        raise ConfigError(str(path), name, f"cannot be changed at {name} without harm to the rest.")
    _replace(path, document)
    return values_before.get(name, SETTINGS[name].default), after


def _edited(text: str, name: str, value: Value, source: str) -> str:
    section, _, key = name.partition(".")
    try:
        document = tomlkit.parse(text)
        table: Any = document.get(section)
        if table is None:
            table = tomlkit.table()
            table[key] = _plain(value)
            document[section] = table
        else:
            table[key] = _plain(value)
        if not isinstance(document[section], AbstractTable):
            raise ConfigError(source, name, f"{section} must be a section [{section}].")
        return tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ConfigError(source, name, f"cannot be changed: {error}.") from None


def _plain(value: Value) -> object:
    return list(value) if isinstance(value, tuple) else value


def _replace(path: Path, text: str) -> None:
    """Write a file beside it, then rename: readers see the old or the new one, whole.

    A link stays a link: the file it names is replaced.
    """
    place = path.resolve()
    mode = place.stat().st_mode & 0o777 if place.exists() else 0o644
    try:
        fd, fresh = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        Path(fresh).replace(place)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(fresh).unlink()
        raise ConfigError(str(path), "", f"cannot be written: {error.strerror}.") from None
