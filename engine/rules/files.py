"""Reads rule files: JSON text to rules, with the line and column of broken JSON."""

import json
from pathlib import Path
from typing import Any

from engine.rules.errors import RuleError
from engine.rules.limits import DEFAULT_LIMITS, Limits
from engine.rules.model import Rule
from engine.rules.validate import read_rules

MAX_FILE_BYTES = 16 << 20


class _BadConstantError(ValueError):
    """Raised when a JSON text holds NaN or Infinity."""


class _RepeatedKeyError(ValueError):
    """Raised when one JSON object names a key twice."""


def load_rules(path: Path | str, limits: Limits = DEFAULT_LIMITS) -> tuple[Rule, ...]:
    """Read a rule file: an array, {"rules": [...]} or a single rule.

    Raises RuleError naming the file and the line, rule or key at fault.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise RuleError((f"{path}: cannot be read: {reason}",)) from error
    return parse_rules(data, str(path), limits)


def parse_rules(
    data: bytes | str, source: str, limits: Limits = DEFAULT_LIMITS
) -> tuple[Rule, ...]:
    """Read rules from JSON text. `source` names it in messages. Raises RuleError."""
    try:
        documents = _decode(data)
        return read_rules(documents, limits)
    except RuleError as error:
        named = tuple(f"{source}: {problem}" for problem in error.problems)
        raise RuleError(named) from error


def _decode(data: bytes | str) -> Any:
    if len(data) > MAX_FILE_BYTES:
        raise RuleError((f"has {len(data)} bytes, at most {MAX_FILE_BYTES} are read",))
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise RuleError((f"is not UTF-8 text (byte {error.start})",)) from error
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
