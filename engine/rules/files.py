"""Reads rule files, JSON or YAML, and directories of them; names the file and line of a fault."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.rules.errors import RuleError
from engine.rules.limits import DEFAULT_LIMITS, Limits
from engine.rules.model import Rule
from engine.rules.rule_set import set_faults
from engine.rules.validate import read_rule, read_rules
from engine.rules.yaml_text import read_yaml

MAX_FILE_BYTES = 16 << 20
_YAML_SUFFIXES = (".yaml", ".yml")
_SUFFIXES = (".json", *_YAML_SUFFIXES)


class _BadConstantError(ValueError):
    """Raised when a JSON text holds NaN or Infinity."""


class _RepeatedKeyError(ValueError):
    """Raised when one JSON object names a key twice."""


def load_rules(
    path: Path | str, limits: Limits = DEFAULT_LIMITS, *, whole: bool = True
) -> tuple[Rule, ...]:
    """Read a rule file (an array, {"rules": [...]} or a single rule; YAML when its name ends in
    .yaml or .yml, else JSON), or a directory with a rule in each of its .json, .yaml, .yml files.

    whole: see read_rules. Raises RuleError naming the file and the line, rule or key at fault.
    """
    place = Path(path)
    if place.is_dir():
        return _load_directory(place, limits, whole)
    with _named(str(path)):
        data = _read(place)
    return parse_rules(data, str(path), limits, whole=whole)


def rule_files(place: Path) -> list[Path]:
    """The rule files of a directory in order of their names; other files are left alone."""
    return sorted(one for one in place.iterdir() if one.suffix in _SUFFIXES and one.name[0] != ".")


def parse_rules(
    data: bytes | str, source: str, limits: Limits = DEFAULT_LIMITS, *, whole: bool = True
) -> tuple[Rule, ...]:
    """Read rules from JSON text, or from YAML when `source`, which names it in messages, ends in
    .yaml or .yml. Raises RuleError."""
    with _named(source):
        return read_rules(_decode(data, source), limits, whole=whole)


def _load_directory(place: Path, limits: Limits, whole: bool) -> tuple[Rule, ...]:
    files = rule_files(place)
    if len(files) > limits.max_rules:
        count = len(files)
        raise RuleError((f"{place}: has {count} rules, at most {limits.max_rules} are allowed",))
    problems: list[str] = []
    found: dict[str, tuple[Path, Rule]] = {}
    for file in files:
        try:
            with _named(str(file)):
                rule = read_rule(_decode(_read(file), file.name), limits)
        except RuleError as error:
            problems += error.problems
            continue
        if rule.id in found:
            first = found[rule.id][0].name
            problems.append(f"{file}: rule '{rule.id}': id is used by {first} as well")
        found.setdefault(rule.id, (file, rule))
    rules = tuple(rule for _, rule in found.values())
    if whole and not problems:
        problems = [f"{place}: {fault}" for fault in set_faults(rules, limits)]
    if problems:
        raise RuleError(tuple(problems))
    return rules


@contextlib.contextmanager
def _named(source: str) -> Iterator[None]:
    """Puts `source` in front of every problem raised inside."""
    try:
        yield
    except RuleError as error:
        named = tuple(f"{source}: {problem}" for problem in error.problems)
        raise RuleError(named) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RuleError((f"cannot be read: {reason}",)) from error


def _decode(data: bytes | str, source: str) -> Any:
    if len(data) > MAX_FILE_BYTES:
        raise RuleError((f"has {len(data)} bytes, at most {MAX_FILE_BYTES} are read",))
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise RuleError((f"is not UTF-8 text (byte {error.start})",)) from error
    if source.endswith(_YAML_SUFFIXES):
        return read_yaml(text)
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        fault = error.msg[:1].lower() + error.msg[1:]
        place = f"line {error.lineno} column {error.colno}"
        raise RuleError((f"{place}: broken JSON, {fault}",)) from error
    except (_BadConstantError, _RepeatedKeyError) as error:
        raise RuleError((str(error),)) from error
    except (RecursionError, ValueError) as error:
        # json refuses numbers of more than 4,300 digits with a bare ValueError.
        fault = "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
        raise RuleError((f"broken JSON, {fault}",)) from error


def _refuse_constant(name: str) -> None:
    raise _BadConstantError(f"{name} is not a JSON number, expected a finite number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise _RepeatedKeyError(f"key {key!r} stands twice in one object")
        document[key] = value
    return document
