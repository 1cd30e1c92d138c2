"""The commands of `tapescan rules` that change nothing."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from engine.config.schema import Config
from engine.families.progress import WARMING
from engine.metrics.registry import UnknownMetric, resolve
from engine.rules.compiler import compile_rules
from engine.rules.counts import RuleCount
from engine.rules.difference import difference
from engine.rules.errors import RuleError
from engine.rules.export import Format, document_text, export_rules, text_of
from engine.rules.files import load_rules
from engine.rules.flip import flip_rule
from engine.rules.library import document_of, find, live, moment, plain
from engine.rules.limits import limits_of
from engine.rules.model import to_document
from engine.rules.validate import read_rule
from engine.storage.rule_ports import RuleVersion
from ipc.policy import EXIT_BAD_CONFIG, EXIT_OK
from tools.families_read import running_families
from tools.options import config_option, load_config
from tools.rule_changes import reading
from tools.rule_counts import held_back, running_counts

json_option = click.option("--json", "as_json", is_flag=True, help="As JSON.")
format_option = click.option(
    "--format", "form", type=click.Choice(("yaml", "json")), default="yaml", show_default=True,
    help="How the rule is written.",
)


def record(
    version: RuleVersion, counts: Mapping[str, RuleCount] | None = None
) -> dict[str, Any]:
    """A version as JSON shows it; counts: of the rules in force, if an engine runs."""
    count = None if counts is None else counts.get(version.rule_id)
    counted = {} if count is None else {"fired": count.fired, "held_back": count.held_back}
    return counted | {
        "id": version.rule_id,
        "version": version.version,
        "action": version.action,
        "at": moment(version.at_ns),
        "author": version.author,
        "owner": version.owner,
        "note": version.note,
        "content_hash": version.content_hash,
        "document": plain(version),
    }


def say_json(value: object) -> None:
    """Print JSON for people."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


@click.command("list")
@click.option("--deleted", is_flag=True, help="Those that were deleted, instead.")
@json_option
@config_option
def list_(deleted: bool, as_json: bool, config_path: str | None) -> None:
    """Print the stored rules.

    While an engine runs also how often each fired for a symbol and what was held back, and why,
    since the stream began or the rule came.
    """
    config = load_config(config_path, check_files=False).config
    with reading(config) as reader:
        found = [one for one in reader.newest() if one.deleted == deleted]
    counts = None if deleted else running_counts(config)
    if as_json:
        say_json([record(one, counts) for one in found])
        return
    rows = []
    for one in found:
        document = plain(one)
        state = "deleted" if deleted else "on" if document["enabled"] else "off"
        name = document["name"]
        row = (one.rule_id, str(one.version), state, one.owner, moment(one.at_ns))
        rows.append((*row, *_counted(one.rule_id, counts), name))
    head = ("ID", "VERSION", "STATE", "OWNER", "CHANGED")
    table((*head, *(() if counts is None else ("FIRED", "HELD BACK")), "NAME"), rows)


def _counted(rule_id: str, counts: Mapping[str, RuleCount] | None) -> tuple[str, ...]:
    """Cells of a table: what a rule fired and what was held back; none when no engine runs."""
    if counts is None:
        return ()
    count = counts.get(rule_id)
    return ("-", "-") if count is None else (str(count.fired), held_back(count.held_back))


@click.command()
@click.argument("rule_id", metavar="ID")
@click.option("--version", type=int, metavar="N", help="That version; default: the newest.")
@format_option
@json_option
@config_option
def show(
    rule_id: str, version: int | None, form: Format, as_json: bool, config_path: str | None
) -> None:
    """Print a rule as its author wrote it; with --json also who made the version, and when.

    While an engine runs YAML ends with a comment, and --json has it too: how often the rule fired
    and what was held back, since the stream began or the rule came.
    """
    config = load_config(config_path, check_files=False).config
    with reading(config) as reader:
        found = find(reader, rule_id, version)
    families = _families(config, found)
    counts = running_counts(config) if version is None else None
    if as_json:
        say_json(record(found, counts) | {"families": families})
        return
    click.echo(text_of(found, form), nl=False)
    if form == "yaml" and counts is not None and rule_id in counts:
        fired, held = _counted(rule_id, counts)
        click.echo(f"# fired: {fired}; held back: {held}")
    if form == "yaml":
        for one in families:
            warming = one["state"] == WARMING
            filled = f", {one['filled'] * 100:.0f} % filled" if warming else ""
            click.echo(f"# {one['name']}: {one['state']}{filled}")


def _families(config: Config, version: RuleVersion) -> list[dict[str, Any]]:
    """The indicators with numbers of their own that a rule names, with what the running engine
    says of them; idle: no rule in force names it."""
    try:
        metrics = [resolve(name) for name in read_rule(plain(version)).metrics]
    except (RuleError, UnknownMetric):
        return []
    now = running_families(config.engine.name, config.engine.capacity)
    states = {state.name: state for state in now}
    found = []
    for name in sorted({metric.name for metric in metrics if metric.family is not None}):
        state = states.get(name)
        filled = None if state is None else round(state.filled, 3)
        found.append({"name": name, "state": state.state if state else "idle", "filled": filled})
    return found


@click.command()
@click.argument("path", type=click.Path(exists=True))
@json_option
@config_option
def validate(path: str, as_json: bool, config_path: str | None) -> int:
    """Check rules in PATH, a file or a directory; print every fault. Nothing is changed.

    Exit code 3 when there is one.
    """
    config = load_config(config_path, check_files=False).config
    problems: tuple[str, ...] = ()
    count = 0
    try:
        rules = load_rules(Path(path), limits_of(config))
        count = len(rules)
        compile_rules(rules)
    except RuleError as error:
        problems = error.problems
    if as_json:
        say_json({"valid": not problems, "rules": count, "problems": problems})
    elif not problems:
        told = "1 rule" if count == 1 else f"{count} rules"
        click.echo(f"{path} is good, {told}.")
    else:
        for problem in problems:
            click.echo(f"tapescan: {' '.join(problem.split())}", err=True)
    return EXIT_BAD_CONFIG if problems else EXIT_OK


@click.command()
@click.argument("rule_id", metavar="ID")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@json_option
@config_option
def history(rule_id: str, limit: int, as_json: bool, config_path: str | None) -> None:
    """Print the versions of a rule, the newest first."""
    config = load_config(config_path, check_files=False).config
    with reading(config) as reader:
        find(reader, rule_id)
        found = reader.history(rule_id, limit)
    if as_json:
        say_json([record(one) for one in found])
        return
    rows = [
        (str(one.version), one.action, moment(one.at_ns), one.author, one.content_hash[:12],
         one.note)
        for one in found
    ]  # fmt: skip
    table(("VERSION", "ACTION", "AT", "AUTHOR", "CONTENT", "NOTE"), rows)


@click.command()
@click.argument("rule_id", metavar="ID")
@click.argument("from_version", metavar="[FROM]", type=int, required=False)
@click.argument("to_version", metavar="[TO]", type=int, required=False)
@json_option
@config_option
def diff(
    rule_id: str, from_version: int | None, to_version: int | None, as_json: bool,
    config_path: str | None,
) -> None:
    """Print what became of a rule from version FROM to version TO.

    Default: from the version before to the newest.
    """
    config = load_config(config_path, check_files=False).config
    with reading(config) as reader:
        after = find(reader, rule_id, to_version)
        if from_version is None:
            older = reader.history(rule_id, 1, after.version)
            before = older[0] if older else after
        else:
            before = find(reader, rule_id, from_version)
    found = difference(before, after)
    if as_json:
        say_json(found)
    elif not found.text:
        told = f"versions {found.from_version} and {found.to_version} of rule '{rule_id}'"
        click.echo(f"{told} are written alike.")
    else:
        click.echo(found.text, nl=False)
        fires = "the same" if found.same_meaning else "other"
        click.echo(f"It fires for {fires} reasons; changed: {_keys(found.changes)}.")


def _keys(changes: Sequence[Any]) -> str:
    return ", ".join(change.key for change in changes)


@click.command("flip")
@click.argument("rule_id", metavar="ID")
@click.option("--version", type=int, metavar="N", help="That version; default: the newest.")
@click.option("--id", "new_id", default="", metavar="NEW", help="Of the new rule.")
@format_option
@config_option
def flip(
    rule_id: str, version: int | None, new_id: str, form: Format, config_path: str | None
) -> None:
    """Print the mirror image of a rule: for falling prices what it is for rising ones.

    Nothing is stored; `tapescan rules flip ID | tapescan rules create -` does that.
    """
    config = load_config(config_path, check_files=False).config
    with reading(config) as reader:
        found = find(reader, rule_id, version)
    limits = limits_of(config)
    mirrored = flip_rule(read_rule(plain(found), limits), new_id)
    checked = read_rule(to_document(mirrored), limits)
    click.echo(document_text(checked.id, document_of(checked), form), nl=False)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False))
@format_option
@click.option("--replace", is_flag=True, help="Rule files that DIRECTORY holds already go.")
@config_option
def export(directory: str, form: Format, replace: bool, config_path: str | None) -> None:
    """Write every stored rule to DIRECTORY, one file each; `import` reads them back the same."""
    config = load_config(config_path, check_files=False).config
    with reading(config) as reader:
        found = live(reader.newest())
    count = export_rules(found.values(), Path(directory), form, replace=replace)
    click.echo(f"{directory}: {count} written.")
