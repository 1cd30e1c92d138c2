"""`tapescan version`."""

import importlib.metadata
import platform

import click

PACKAGES = ("numpy", "numba", "llvmlite", "msgspec", "aiohttp", "apsw")


@click.command()
def version() -> None:
    """Print the versions of Tapescan, Python and the libraries that matter."""
    click.echo(f"tapescan {importlib.metadata.version('tapescan')}")
    click.echo(f"python {platform.python_version()} {platform.machine()}")
    for package in PACKAGES:
        click.echo(f"{package} {importlib.metadata.version(package)}")
