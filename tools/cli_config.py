"""`tapescan config`: read and change single settings."""

from pathlib import Path

import click

from engine.config import edit
from engine.config.load import DEFAULT_FILE, find, load
from engine.config.registry import SETTINGS, Value
from tools.options import config_option


@click.group()
def config() -> None:
    """Read and change settings; comments and order of the file stay."""


@config.command()
@click.argument("name", required=False)
@config_option
def get(name: str | None, config_path: str | None) -> None:
    """Print the value of NAME (section.key) in force, overrides included; without NAME all."""
    path = find(config_path)
    if name is not None:
        click.echo(show(edit.get(path, name)))
        return
    loaded = load(path, check_files=False)
    for known in SETTINGS:
        source = loaded.sources.get(known, "default")
        click.echo(f"{known} = {show(loaded.values[known], quoted=True)}  # {source}")


@config.command("set")
@click.argument("name")
@click.argument("value")
@config_option
def set_(name: str, value: str, config_path: str | None) -> None:
    """Set NAME (section.key) to VALUE in the file, once the whole file is found good.

    The engine takes it in at its next start.
    """
    path = find(config_path) or Path(DEFAULT_FILE)
    before, after = edit.set_value(path, name, value)
    click.echo(f"{path}: {name} = {show(after, quoted=True)} (was {show(before, quoted=True)})")


def show(value: Value, *, quoted: bool = False) -> str:
    """A value as it stands in TOML, a text alone without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if quoted and isinstance(value, str) else str(value)
