"""`tapescan history`: daily bars, volumes by minute and splits."""

from pathlib import Path

import click

from engine.reference.importing import import_history
from engine.reference.levels import Jump, adjusted, jumps
from engine.storage.reference_ports import ReferenceReader, Split
from ipc.policy import EXIT_FAILED, EXIT_OK
from tools.options import config_option
from tools.reference_files import date_text, reading, run_import

_ALWAYS = 99_999_999  # later than every date


@click.group()
def history() -> None:
    """Import and show history: daily bars, volumes of 1-minute bars, splits.

    A stream takes it over when it begins: at the next session, or at a start that does not resume
    the open stream.
    """


@history.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
def import_(file: Path, config_path: str | None) -> int:
    """Take in a CSV or CSV.gz file; its header says what it holds.

    \b
    date,symbol,open,high,low,close,volume   official daily bars, as traded
    ts,symbol,...,volume                     1-minute bars: their volumes
    symbol,date,ratio                        splits: 10, 10:1 or 1/10

    Open, high and low may be missing or blank. Prices before the date of a split are divided by its
    ratio (new shares for one old), volumes multiplied. A ratio of 1 says that there was no split
    and a gap that looks like one is real. Bad rows are told and left out; then the exit code is 1.
    The same file again changes nothing.
    """
    return run_import(config_path, file, import_history)


@history.command("list")
@click.argument("ticker", required=False)
@config_option
def list_(ticker: str | None, config_path: str | None) -> int:
    """Say what history there is, of all symbols or of TICKER."""
    with reading(config_path) as reader:
        found = reader.coverage(ticker)
    if ticker is not None and not found:
        raise click.ClickException(f"there is no history of {ticker}.")
    for one in found:
        symbols = "1 symbol" if one.symbols == 1 else f"{one.symbols:,} symbols"
        dates = f"{date_text(one.first)} to {date_text(one.last)}"
        click.echo(f"{one.kind:<16}{one.rows:>12,}  {symbols:<16}{dates}")
    return EXIT_OK


@history.command()
@config_option
def check(config_path: str | None) -> int:
    """Look for splits that nobody told of: one jump between daily bars a line.

    Each is nearly the ratio of a split: 2 or 3 within 1 %, 4 and more within 5 %. What lies before
    it is not used until a row of `symbol,date,ratio` says what it was: its ratio, or 1 for a real
    move. Exit code 1 when there is one.
    """
    with reading(config_path) as reader:
        found = every_jump(reader)
    for jump in found:
        ratio = f"{jump.ratio:g}" if jump.ratio >= 1 else f"1/{1 / jump.ratio:g}"
        click.echo(f"{jump.ticker}\t{date_text(jump.date)}\t{ratio}")
    return EXIT_FAILED if found else EXIT_OK


def every_jump(reader: ReferenceReader) -> list[Jump]:
    """Jumps between daily bars of every symbol, by ticker and date."""
    splits: dict[str, list[Split]] = {}
    for split in reader.splits():
        splits.setdefault(split.ticker, []).append(split)
    found: list[Jump] = []
    for ticker in sorted(reader.traded(0, _ALWAYS)):
        told = splits.get(ticker, [])
        found += jumps(ticker, adjusted(reader.daily(ticker, _ALWAYS), told, _ALWAYS), told)
    return found
