"""Templates: rules ready to be taken, with what they mean and how often they fire."""

import functools
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from engine.rules.errors import ChangeError, RuleError
from engine.rules.limits import DEFAULT_LIMITS
from engine.rules.model import Rule
from engine.rules.validate import read_rule
from engine.rules.words import near
from engine.rules.yaml_text import read_yaml

DIRECTORY = Path(__file__).parent / "templates"
RATES = DIRECTORY / "rates.json"
SOURCES = ("bars", "simulator")
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that a template leaves open. unit: as in names of metrics, empty: a plain number;
    whole: nothing between whole numbers."""

    default: float
    min: float
    max: float
    means: str
    unit: str = ""
    whole: bool = False


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """what: when it fires; useful: when that helps; where: a condition with {parameters}; rule:
    other keys of the rule; measured_on: which of SOURCES its rate comes from."""

    id: str
    name: str
    what: str
    useful: str
    tags: tuple[str, ...]
    where: str
    measured_on: str
    params: dict[str, Parameter] = {}
    rule: dict[str, Any] = {}


class Source(msgspec.Struct, frozen=True):
    """Where rates were measured. data: in words; command: what measured them; symbol_days: over how
    many; alerts: by template. part_*: the same of a first part, for who measures again."""

    data: str
    command: str
    symbol_days: float
    alerts: dict[str, int]
    part_alerts: dict[str, int] = {}


class UnknownTemplateError(ChangeError):
    """Raised when a template is asked for that there is not."""


@functools.cache
def templates() -> Mapping[str, Template]:
    """All of them by id, ascending. Raises RuleError: a file is faulty."""
    found = [_read(path) for path in sorted(DIRECTORY.glob("*.yaml"))]
    return {one.id: one for one in sorted(found, key=lambda one: one.id)}


@functools.cache
def rates() -> Mapping[str, Source]:
    """By name of SOURCES; empty when nothing was measured."""
    if not RATES.exists():
        return {}
    return msgspec.json.decode(RATES.read_bytes(), type=dict[str, Source])


def find_template(template_id: str) -> Template:
    """Raises UnknownTemplateError with the nearest id."""
    found = templates().get(template_id)
    if found is None:
        nearest = near(template_id, templates())
        hint = f"; did you mean {nearest}?" if nearest else "."
        raise UnknownTemplateError(f"there is no template '{template_id}'{hint}")
    return found


def rate(template: Template) -> float | None:
    """Alerts a symbol and day with every parameter at its default, None when not measured."""
    source = rates().get(template.measured_on)
    if source is None or template.id not in source.alerts:
        return None
    return source.alerts[template.id] / source.symbol_days


def document(
    template: Template, rule_id: str = "", values: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The document of a rule made from a template. rule_id: by default the template's.

    values: parameters that are not to have their default. Raises ChangeError: there is no such
    parameter, or its value is out of bounds.
    """
    given = dict(values or {})
    for name, value in given.items():
        _check(template, name, value)
    numbers = {name: given.get(name, one.default) for name, one in template.params.items()}
    where = _PLACE.sub(lambda place: _written(numbers[place[1]]), template.where)
    return {
        "id": rule_id or template.id,
        "name": template.name,
        "description": template.what,
        "where": where,
        "tags": list(template.tags),
        "template": template.id,
        **template.rule,
    }


def rule_of(template: Template) -> Rule:
    """The rule of a template as it comes. Raises RuleError."""
    return read_rule(document(template), DEFAULT_LIMITS)


def _check(template: Template, name: str, value: float) -> None:
    one = template.params.get(name)
    if one is None:
        known = ", ".join(template.params) or "none"
        raise ChangeError(
            f"template '{template.id}' has no parameter '{name}'; it has {known}."
        )
    if not (math.isfinite(value) and one.min <= value <= one.max):
        raise ChangeError(
            f"{name} = {value:g} of template '{template.id}' must be {one.min:g} to {one.max:g}."
        )
    if one.whole and value != int(value):
        raise ChangeError(f"{name} = {value:g} of template '{template.id}' must be whole.")


def _written(value: float) -> str:
    """A number as the language of rules reads it: never with an exponent."""
    return f"{value:.10f}".rstrip("0").rstrip(".")


def _read(path: Path) -> Template:
    """One file. Raises RuleError naming it."""
    try:
        found = msgspec.convert(read_yaml(path.read_text(encoding="utf-8")), Template)
    except (msgspec.ValidationError, RuleError) as error:
        raise RuleError((f"template {path.name}: {error}",)) from error
    unknown = set(_PLACE.findall(found.where)) ^ set(found.params)
    if unknown:
        names = ", ".join(sorted(unknown))
        raise RuleError((f"template {path.name}: where and params do not agree on {names}",))
    if found.id != path.stem or found.measured_on not in SOURCES:
        raise RuleError((f"template {path.name}: id or measured_on is not as it must be",))
    return found
