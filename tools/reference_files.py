"""What `symbols` and `history` share: the store, progress of an import, what it told."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from engine.reference.outcome import Outcome
from engine.storage.reference_sqlite import (
    REFERENCE_NAME,
    SqliteReferenceReader,
    SqliteReferenceStore,
)
from ipc.policy import EXIT_FAILED, EXIT_OK
from tools.options import load_config

Import = Callable[[SqliteReferenceStore, Path, Callable[[int, int], None]], Outcome]


def reference_path(config_path: str | None) -> Path:
    """Where the configured reference data lie."""
    config = load_config(config_path, check_files=False).config
    return Path(config.paths.data_dir) / REFERENCE_NAME


@contextmanager
def reading(config_path: str | None) -> Iterator[SqliteReferenceReader]:
    """The store, to look at. Fails when nothing was ever imported."""
    path = reference_path(config_path)
    if not path.exists():
        raise click.ClickException(
            f"{path} does not exist: nothing was imported yet; see tapescan symbols import --help."
        )
    reader = SqliteReferenceReader(path)
    try:
        yield reader
    finally:
        reader.close()


def run_import(config_path: str | None, file: Path, work: Import) -> int:
    """Import a file with a progress bar, tell what was done; the exit code."""
    path = reference_path(config_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    store = SqliteReferenceStore(path)
    try:
        with _progress(file) as move:
            outcome = work(store, file, move)
    finally:
        store.close()
    return _tell(file, outcome)


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task(file.name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(file: Path, outcome: Outcome) -> int:
    for fault in outcome.faults:
        click.echo(f"{file}: {fault}", err=True)
    if outcome.bad > len(outcome.faults):
        click.echo(f"{file}: and {outcome.bad - len(outcome.faults):,} more.", err=True)
    click.echo(
        f"{file.name}: {outcome.kind}, {outcome.rows:,} rows read, {outcome.bad:,} left out, "
        f"{outcome.changed:,} records new or changed."
    )
    return EXIT_FAILED if outcome.bad else EXIT_OK


def date_text(number: int) -> str:
    """20251114 as 2025-11-14."""
    return f"{number // 10_000:04}-{number // 100 % 100:02}-{number % 100:02}"


def number_text(value: float) -> str:
    """A number for a reader, a dash where it is not known."""
    return "-" if math.isnan(value) else f"{value:,.0f}"
