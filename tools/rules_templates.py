"""`tapescan rules templates`: rules ready to be taken."""

from typing import Any

import click
import msgspec

from engine.rules.export import Format, document_text
from engine.rules.library import document_of
from engine.rules.limits import limits_of
from engine.rules.template import Template, document, find_template, rate, rates, templates
from engine.rules.validate import read_rule
from tools.options import config_option, load_config
from tools.rules_read import format_option, json_option, say_json, table


@click.group("templates")
def templates_() -> None:
    """Rules ready to be taken: what they mean, and how often they fire.

    `tapescan rules templates new ID --id X | tapescan rules create -` makes one a rule of yours.
    """


def record(one: Template) -> dict[str, Any]:
    """A template as JSON shows it."""
    found: dict[str, Any] = msgspec.to_builtins(one)
    return {**found, "alerts_per_symbol_day": rate(one)}


@templates_.command("list")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only those with all of these.")
@json_option
def list_(tags: tuple[str, ...], as_json: bool) -> None:
    """Print the templates; RATE: alerts a symbol and day as they come."""
    found = [one for one in templates().values() if set(tags) <= set(one.tags)]
    if as_json:
        say_json([record(one) for one in found])
        return
    rows = [(one.id, told_rate(one), " ".join(one.tags), one.name) for one in found]
    table(("ID", "RATE", "TAGS", "NAME"), rows)


@templates_.command()
@click.argument("template_id", metavar="ID")
@json_option
def show(template_id: str, as_json: bool) -> None:
    """Print what a template means, its parameters, and where its rate was measured."""
    one = find_template(template_id)
    if as_json:
        say_json(record(one))
        return
    click.echo(f"{one.name} ({one.id})\n\n{one.what}\n{one.useful}\n\n  {one.where}\n")
    rows = [
        (name, f"{param.default:g}", f"{param.min:g} to {param.max:g}", param.unit, param.means)
        for name, param in one.params.items()
    ]
    if rows:
        table(("PARAMETER", "DEFAULT", "FROM, TO", "UNIT", "MEANING"), rows)
        click.echo()
    source = rates().get(one.measured_on)
    if source is not None:
        click.echo(f"{told_rate(one)} alerts a symbol and day, measured on {source.data}")
        click.echo(f"with {source.command}")


def told_rate(one: Template) -> str:
    """Its rate for people."""
    found = rate(one)
    return "?" if found is None else f"{found:.3g}"


@templates_.command()
@click.argument("template_id", metavar="ID")
@click.option("--id", "rule_id", default="", metavar="X", help="Of the rule; default: ID.")
@click.option(
    "--set", "values", multiple=True, metavar="NAME=VALUE", help="A parameter; repeatable."
)
@format_option
@config_option
def new(
    template_id: str, rule_id: str, values: tuple[str, ...], form: Format, config_path: str | None
) -> None:
    """Print a rule made from a template. Nothing is stored."""
    limits = limits_of(load_config(config_path, check_files=False).config)
    made = document(find_template(template_id), rule_id, dict(map(_value, values)))
    rule = read_rule(made, limits)
    click.echo(document_text(rule.id, document_of(rule), form), nl=False)


def _value(text: str) -> tuple[str, float]:
    name, found, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        sentence = "is not NAME=VALUE" if not found else "has a value that is no number"
        raise click.UsageError(f"--set {text} {sentence}.") from None
