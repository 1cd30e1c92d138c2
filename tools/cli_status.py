"""`tapescan status`: what the engine is doing, or how it ended."""

import json
import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from ipc.policy import EXIT_FAILED, EXIT_OK
from tools.options import config_option, entry, load_config

WATCH_S = 0.5
GOOD = {"running", "starting", "stopping"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object (one a line with --watch).")
@click.option("--watch", is_flag=True, help="Again and again, until Ctrl-C.")
@config_option
def status(as_json: bool, watch: bool, config_path: str | None) -> int:
    """Say what the engine is doing, or how it ended; never disturbs it.

    Exit code 0 while it runs, 1 when it is stopped, has failed or has crashed.
    """
    config = load_config(config_path, check_files=False).config
    reader = entry("tools.status_read:StatusReader")(
        Path(config.paths.data_dir), config.engine.name, config.engine.capacity
    )
    render = entry("tools.status_view:render")
    found = reader.read()
    if as_json:
        click.echo(json.dumps(found))
        while watch:
            time.sleep(WATCH_S)
            found = reader.read()
            click.echo(json.dumps(found))
            sys.stdout.flush()
    elif watch:
        console = Console()
        first = render(found, console.width)
        whole = sys.stdout.isatty()
        with Live(first, console=console, auto_refresh=False, screen=whole) as live:
            try:
                while True:
                    time.sleep(WATCH_S)
                    found = reader.read()
                    live.update(render(found, console.width), refresh=True)
            except KeyboardInterrupt:
                pass
    else:
        console = Console()
        console.print(render(found, console.width))
    return EXIT_OK if found["state"] in GOOD else EXIT_FAILED
