"""Options that several commands have, and how a command gets at its configuration."""

import importlib
from collections.abc import Callable
from typing import Any

import click

from engine.config import load as loading

config_option = click.option(
    "--config", "config_path", metavar="FILE", type=click.Path(dir_okay=False),
    help="Configuration; default: $TAPESCAN_CONFIG, else ./scanner.toml, else built-in defaults.",
)


def load_config(
    given: str | None, overrides: dict[str, tuple[str, object]] | None = None, *,
    check_files: bool = True,
) -> loading.Loaded:
    """The configuration that a command works with; raises ConfigError."""
    path = loading.find(given)
    return loading.load(path, overrides=overrides, check_files=check_files)


def entry(name: str) -> Callable[..., Any]:
    """The function "package.module:function", imported now: what is heavy only where it is used."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
