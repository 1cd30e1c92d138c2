"""`tapescan tape`: look at recorded streams."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from engine.replay.open_stream import tape_file
from tools.options import entry


@click.group()
def tape() -> None:
    """Look at recorded streams."""


@tape.command()
@click.argument("file", type=click.Path(exists=True))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def info(file: str, as_json: bool) -> None:
    """Say what a tape holds: its stream, cycles, ticks, rule versions, and how it ends.

    FILE is a tape or the directory of a stream.
    """
    facts: dict[str, Any] = entry("engine.replay.tape:info")(tape_file(Path(file)))
    if as_json:
        click.echo(json.dumps(facts, default=str))
        return
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        click.echo(f"{key.replace('_', ' '):<{width}}  {_show(key, value)}")


def _show(key: str, value: object) -> str:
    if key.endswith("t_ns") and isinstance(value, int) and value:
        moment = datetime.fromtimestamp(value // 1_000_000_000, UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S}.{value // 1_000_000 % 1000:03d} UTC"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
