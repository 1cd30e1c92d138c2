"""The commands of `tapescan rules` that change something."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from engine.rules.files import MAX_FILE_BYTES, load_rules, parse_rules
from engine.rules.limits import limits_of
from engine.rules.model import Rule, to_document
from tools.options import config_option, load_config
from tools.rule_changes import submit

file_argument = click.argument("file", type=click.Path(exists=True, allow_dash=True))
json_option = click.option("--json", "as_json", is_flag=True, help="The outcome as JSON.")
note_option = click.option("--note", default="", metavar="TEXT", help="Why, for the history.")
owner_option = click.option("--owner", default="", metavar="NAME", help="Whose rule it becomes.")
expect_option = click.option(
    "--expect", type=click.IntRange(0), metavar="N",
    help="Refuse unless the rule is at version N.",
)
_DONE = {
    "create": "created", "update": "updated", "delete": "deleted", "enable": "enabled",
    "disable": "disabled", "rollback": "rolled back", "import": "imported",
}  # fmt: skip
_SHOWN = 20


def _carry_out(config_path: str | None, as_json: bool, **request: Any) -> None:
    """Submit a change and say what came of it."""
    config = load_config(config_path, check_files=False).config
    result = submit(config, {key: value for key, value in request.items() if value is not None})
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    for one in result["changed"][:_SHOWN]:
        click.echo(f"{_DONE[one['action']]} {one['id']}, version {one['version']}")
    if result["changes"] > _SHOWN:
        click.echo(f"and {result['changes'] - _SHOWN} more")
    if result["unchanged"] and result["changes"]:
        click.echo(f"{result['unchanged']} unchanged")
    elif not result["changes"]:
        click.echo("nothing to change")
    if "version" in result:
        click.echo(f"in force: {result['rules']} rules, version {result['version']} of the set")


def _written(config_path: str | None, file: str) -> list[Any]:
    """The documents in FILE; `-` is standard input, YAML or JSON."""
    limits = limits_of(load_config(config_path, check_files=False).config)
    rules: tuple[Rule, ...]
    if file == "-":
        text = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        name = "standard input" if text.lstrip()[:1] in (b"{", b"[") else "standard input.yaml"
        rules = parse_rules(text, name, limits, whole=False)
    else:
        rules = load_rules(Path(file), limits, whole=False)
    return [to_document(rule) for rule in rules]


@click.command()
@file_argument
@owner_option
@note_option
@json_option
@config_option
def create(file: str, owner: str, note: str, as_json: bool, config_path: str | None) -> None:
    """Add the rule in FILE (JSON or YAML; - reads standard input)."""
    documents = _written(config_path, file)
    _carry_out(
        config_path, as_json, action="create", documents=documents, owner=owner, note=note
    )


@click.command()
@file_argument
@expect_option
@owner_option
@note_option
@json_option
@config_option
def update(
    file: str, expect: int | None, owner: str, note: str, as_json: bool, config_path: str | None
) -> None:
    """Make the rule in FILE the newest version of the rule with its id (- reads standard input)."""
    documents = _written(config_path, file)
    _carry_out(
        config_path, as_json, action="update", documents=documents, expected=expect, owner=owner,
        note=note,
    )


def _one_rule(action: str, doc: str) -> click.Command:
    """A command that does something to a rule by its id."""

    @click.command(action, help=doc)
    @click.argument("rule_id", metavar="ID")
    @expect_option
    @note_option
    @json_option
    @config_option
    def command(
        rule_id: str, expect: int | None, note: str, as_json: bool, config_path: str | None
    ) -> None:
        _carry_out(
            config_path, as_json, action=action, rule_id=rule_id, expected=expect, note=note
        )

    return command


delete = _one_rule("delete", "Delete a rule; its history stays, and rollback brings it back.")
enable = _one_rule("enable", "Let a rule fire again.")
disable = _one_rule("disable", "Keep a rule from firing; it stays in the store.")


@click.command()
@click.argument("rule_id", metavar="ID")
@click.argument("version", type=click.IntRange(1))
@expect_option
@note_option
@json_option
@config_option
def rollback(
    rule_id: str, version: int, expect: int | None, note: str, as_json: bool,
    config_path: str | None,
) -> None:
    """Make a new version of a rule that is written as VERSION was."""
    _carry_out(
        config_path, as_json, action="rollback", rule_id=rule_id, version=version, expected=expect,
        note=note,
    )


@click.command("import")
@click.argument("path", type=click.Path(exists=True))
@owner_option
@note_option
@json_option
@config_option
def import_(path: str, owner: str, note: str, as_json: bool, config_path: str | None) -> None:
    """Add or update every rule in PATH, a file or a directory of files: all of them or none.

    Rules that are not in PATH stay. A fault in one refuses all, with exit code 3.
    """
    documents = _written(config_path, path)
    _carry_out(
        config_path, as_json, action="import", documents=documents, owner=owner, note=note
    )
