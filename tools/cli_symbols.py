"""`tapescan symbols`: what is known of symbols besides the tape."""

import datetime
import json
import math
from pathlib import Path

import click
import msgspec

from engine.domain.market_hours import date_number
from engine.reference.importing import import_symbols
from engine.storage.reference_ports import Company
from ipc.policy import EXIT_OK
from tools.options import config_option
from tools.reference_files import date_text, number_text, reading, run_import


@click.group()
def symbols() -> None:
    """Import and show reference data: names, exchanges, sectors, shares, floats, lists.

    A stream takes them over when it begins: at the next session, or at a start that does not resume
    the open stream.
    """


@symbols.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--list", "list_name", metavar="NAME", default="",
              help="Let the list of this name hold exactly the symbols of the file.")
@click.option("--as-of", metavar="DATE", type=click.DateTime(["%Y-%m-%d"]),
              help="Date of the file; default: the one in its name.")
@config_option
def import_(
    file: Path, list_name: str, as_of: datetime.datetime | None, config_path: str | None
) -> int:
    """Take in a CSV or CSV.gz file with a header.

    A directory has the columns symbol and exchange (name, sector, industry, country, shares,
    test_issue are read, too), a file of floats symbol and float. Bad rows are told and left out;
    then the exit code is 1. The same file again changes nothing; an older one never replaces what
    a newer one says.
    """
    date = None if as_of is None else date_number(as_of.date())
    return run_import(
        config_path, file,
        lambda store, path, progress: import_symbols(store, path, list_name, date, progress),
    )  # fmt: skip


@symbols.command()
@click.argument("ticker")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def show(ticker: str, as_json: bool, config_path: str | None) -> int:
    """Say all that is known of TICKER."""
    with reading(config_path) as reader:
        found = reader.company(ticker)
        lists = [name for name, members in reader.lists().items() if ticker in members]
        coverage = reader.coverage(ticker)
        splits = [split for split in reader.splits() if split.ticker == ticker]
    if found is None and not coverage:
        raise click.ClickException(f"nothing is known of {ticker}.")
    company = found or Company(ticker=ticker)
    if as_json:
        document = msgspec.to_builtins(company)
        for name in ("shares", "float_shares"):
            document[name] = None if math.isnan(document[name]) else document[name]
        document |= {"lists": lists, "history": msgspec.to_builtins(coverage),
                     "splits": msgspec.to_builtins(splits)}  # fmt: skip
        click.echo(json.dumps(document))
        return EXIT_OK
    facts = [*_facts(company), ("lists", ", ".join(lists))]
    facts += [
        (one.kind, f"{one.rows:,} from {date_text(one.first)} to {date_text(one.last)}")
        for one in coverage
        if one.kind != "splits"
    ]
    facts += [("split", f"{date_text(one.date)}  {one.ratio:g} for 1") for one in splits]
    for name, value in facts:
        if value:
            click.echo(f"{name:<16}{value}")
    return EXIT_OK


def _facts(company: Company) -> list[tuple[str, str]]:
    facts = [
        (name, str(getattr(company, name)))
        for name in ("ticker", "name", "exchange", "sector", "industry", "country")
    ]
    facts.append(("test issue", "yes" if company.test_issue else ""))
    for what, value, as_of, source in (
        ("shares", company.shares, company.shares_as_of, company.shares_source),
        ("float", company.float_shares, company.float_as_of, company.float_source),
    ):
        if not math.isnan(value):
            facts.append((what, f"{number_text(value)}  as of {date_text(as_of)}, {source}"))
    return facts


@symbols.command("list")
@click.option("--list", "list_name", metavar="NAME", default="", help="Members of a list only.")
@click.option("--exchange", metavar="NAME", default="", help="Symbols of an exchange only.")
@click.option("--sector", metavar="NAME", default="", help="Symbols of a sector only.")
@config_option
def list_(list_name: str, exchange: str, sector: str, config_path: str | None) -> int:
    """One symbol a line: ticker, exchange, sector, float, name; tabs between them."""
    with reading(config_path) as reader:
        companies, lists = reader.companies(), reader.lists()
    if list_name and list_name not in lists:
        raise click.ClickException(f"no list is named {list_name}.")
    members = set(lists.get(list_name, ()))
    known = {one.ticker: one for one in companies}
    every = [known.get(ticker) or Company(ticker=ticker) for ticker in sorted({*known, *members})]
    for one in every:
        wanted = not list_name or one.ticker in members
        for asked, has in ((exchange, one.exchange), (sector, one.sector)):
            wanted = wanted and (not asked or asked.casefold() == has.casefold())
        if wanted:
            free = number_text(one.float_shares)
            click.echo("\t".join((one.ticker, one.exchange, one.sector, free, one.name)))
    return EXIT_OK
