"""`tapescan reload`: take the rule file in again, without a restart."""

from pathlib import Path

import click

from ipc.control import ask
from tools.options import config_option, load_config


@click.command()
@config_option
def reload(config_path: str | None) -> None:
    """Make the running engine read its rules again.

    A file with a fault changes nothing: the rules in force stay, the exit code is 3.
    """
    loaded = load_config(config_path, check_files=False)
    result = ask(Path(loaded.config.paths.data_dir), "reload")
    if isinstance(result, dict):
        told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in result.items())
        click.echo(f"reloaded: {told}")
    else:
        click.echo(f"reloaded: {result}")
