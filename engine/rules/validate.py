"""Turns rule documents into rules, or says in one sentence per fault what is wrong and where."""

import dataclasses
import datetime
import difflib
import math
import re
from collections.abc import Callable, Collection
from typing import Any, cast

from engine.domain.sizes import Sizes
from engine.metrics.registry import UnknownMetric, resolve
from engine.rules.errors import RuleError
from engine.rules.model import (
    DEFAULT_COOLDOWN_SEC,
    MAX_COOLDOWN_SEC,
    OPS,
    TRIGGERS,
    Condition,
    Form,
    Op,
    Rule,
    Trigger,
    short_number,
)

MAX_ID_CHARS = 64
MAX_NAME_CHARS = 200
MAX_DESCRIPTION_CHARS = 2_000
MAX_METRIC_CHARS = 64
MAX_VERSION = 2**53
MAX_SHOWN_CHARS = 60

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_SHARED_KEYS = (
    "id", "name", "description", "enabled", "trigger", "cooldown_sec", "version",
    "created_at", "updated_at",
)  # fmt: skip
_NUMERIC_KEYS = ("type", "metric", "operator", "value")
_CONDITION_KEYS = ("metric", "op", "value")
_ABSENT: Any = object()


@dataclasses.dataclass(frozen=True)
class Limits:
    """How many rules a set may hold and how many conditions a rule."""

    max_rules: int = Sizes.max_rules
    max_leaves: int = Sizes.max_leaves


DEFAULT_LIMITS = Limits()


def read_rules(documents: object, limits: Limits = DEFAULT_LIMITS) -> tuple[Rule, ...]:
    """Read an array of rule documents, an object {"rules": [...]} or a single rule, in order.

    Raises RuleError with every fault found.
    """
    entries = _entries(documents)
    if len(entries) > limits.max_rules:
        count = len(entries)
        raise RuleError((f"{count} rules are given, at most {limits.max_rules} are allowed",))
    problems: list[str] = []
    rules: list[Rule] = []
    first_at: dict[str, int] = {}
    for position, entry in enumerate(entries):
        rule = _Reader(entry, f"rules[{position}]", limits, problems).read()
        if rule is None:
            continue
        if rule.id in first_at:
            problems.append(
                f"rule '{rule.id}': id is used twice, by rules[{first_at[rule.id]}]"
                f" and rules[{position}]"
            )
        first_at.setdefault(rule.id, position)
        rules.append(rule)
    if problems:
        raise RuleError(tuple(problems))
    return tuple(rules)


def read_rule(document: object, limits: Limits = DEFAULT_LIMITS) -> Rule:
    """Read one rule document. Raises RuleError with every fault found."""
    problems: list[str] = []
    rule = _Reader(document, "rule", limits, problems).read()
    if rule is None:
        raise RuleError(tuple(problems))
    return rule


def _entries(documents: object) -> list[Any]:
    if isinstance(documents, dict) and "rules" in documents:
        unknown = [key for key in documents if key != "rules"]
        if unknown:
            raise RuleError((f"unknown key {_show(unknown[0])} beside rules",))
        documents = documents["rules"]
        if not isinstance(documents, list):
            raise RuleError((f"rules is {_show(documents)}, expected an array of rules",))
    if isinstance(documents, dict):
        return [documents]
    if not isinstance(documents, list):
        raise RuleError((f"the rules are {_show(documents)}, expected an array or an object",))
    return documents


def _show(value: object) -> str:
    """A value as it stood in the file, short enough for a sentence."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, float):
        return short_number(value) if math.isfinite(value) else "beyond the range of a number"
    if isinstance(value, str) and len(value) > MAX_SHOWN_CHARS:
        return f"{value[:MAX_SHOWN_CHARS]!r}..."
    return repr(value) if isinstance(value, str) else _show_whole(cast(int, value))


def _show_whole(value: int) -> str:
    return str(value) if abs(value) <= MAX_VERSION else "a number beyond 2**53"


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _is_text(value: object, max_chars: int) -> bool:
    if not isinstance(value, str) or len(value) > max_chars or _CONTROL.search(value):
        return False
    return not any(0xD800 <= ord(character) < 0xE000 for character in value)


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        return False
    try:
        datetime.datetime.fromisoformat(value.upper())
    except ValueError:
        return False
    return True


def _unknown_key(key: object, allowed: Collection[str]) -> str:
    near = difflib.get_close_matches(str(key), allowed, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {' '.join(allowed)}"
    return f"unknown key {_show(key)}; {hint}"


class _Reader:
    """Reads one document; faults go to `problems`."""

    def __init__(self, document: Any, label: str, limits: Limits, problems: list[str]) -> None:
        self.document = document
        self.label = label
        self.limits = limits
        self.problems = problems

    def complain(self, sentence: str) -> None:
        self.problems.append(f"{self.label}: {sentence}")

    def read(self) -> Rule | None:
        if not isinstance(self.document, dict):
            self.problems.append(f"{self.label} is {_show(self.document)}, expected an object")
            return None
        before = len(self.problems)
        rule_id = self.read_id()
        form = self.form()
        if form is None:
            return None
        own_keys = _NUMERIC_KEYS if form == "numeric" else ("conditions",)
        self.refuse_unknown_keys(_SHARED_KEYS + own_keys)
        rule = Rule(
            id=rule_id,
            form=form,
            name=self.text("name", MAX_NAME_CHARS, default=_ABSENT),
            conditions=self.numeric() if form == "numeric" else self.conditions(),
            description=self.description(),
            enabled=self.enabled(),
            trigger=cast(Trigger, self.choice("trigger", TRIGGERS, "level")),
            cooldown_sec=self.cooldown(),
            version=self.version(),
            created_at=self.time("created_at"),
            updated_at=self.time("updated_at"),
        )
        return rule if len(self.problems) == before else None

    def read_id(self) -> str:
        value = self.document.get("id", _ABSENT)
        if value is _ABSENT:
            self.complain("id is missing")
            return ""
        if not isinstance(value, str) or len(value) > MAX_ID_CHARS or not _ID.fullmatch(value):
            self.complain(
                f"id is {_show(value)}, expected 1 to {MAX_ID_CHARS} letters, digits or . _ -"
                " starting with a letter or digit"
            )
            return ""
        self.label = f"rule '{value}'"
        return value

    def form(self) -> Form | None:
        keys = self.document
        if "where" in keys:
            self.complain("a condition as text (where) cannot be read; write it as conditions")
            return None
        numeric = [key for key in _NUMERIC_KEYS if key in keys]
        if "conditions" in keys and numeric:
            self.complain(f"has both conditions and {numeric[0]}; write it in one form")
            return None
        if not numeric and "conditions" not in keys:
            self.refuse_unknown_keys((*_SHARED_KEYS, "conditions"))
            self.complain("conditions is missing")
            return None
        return "numeric" if numeric else "conditions"

    def refuse_unknown_keys(self, allowed: tuple[str, ...]) -> None:
        for key in self.document:
            if key not in allowed:
                self.complain(_unknown_key(key, allowed))

    def text(self, key: str, max_chars: int, default: str) -> str:
        value = self.document.get(key, default)
        if value is _ABSENT:
            self.complain(f"{key} is missing")
        elif not _is_text(value, max_chars) or not value.strip():
            self.complain(
                f"{key} is {_show(value)}, expected 1 to {max_chars} printable characters"
            )
        else:
            return str(value)
        return ""

    def description(self) -> str:
        value = self.document.get("description", "")
        flat = value.translate({9: " ", 10: " ", 13: " "}) if isinstance(value, str) else value
        if _is_text(flat, MAX_DESCRIPTION_CHARS):
            return str(value)
        self.complain(
            f"description is {_show(value)}, expected text of at most {MAX_DESCRIPTION_CHARS}"
            " characters"
        )
        return ""

    def enabled(self) -> bool:
        value = self.document.get("enabled", True)
        if not isinstance(value, bool):
            self.complain(f"enabled is {_show(value)}, expected true or false")
            return True
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.document.get(key, default)
        if not isinstance(value, str) or value not in choices:
            self.complain(f"{key} is {_show(value)}, expected one of {' '.join(choices)}")
            return choices[0]
        return value

    def cooldown(self) -> float:
        value = self.document.get("cooldown_sec", DEFAULT_COOLDOWN_SEC)
        if not _is_number(value) or not 0 <= value <= MAX_COOLDOWN_SEC:
            limit = short_number(MAX_COOLDOWN_SEC)
            self.complain(f"cooldown_sec is {_show(value)}, expected a number from 0 to {limit}")
            return DEFAULT_COOLDOWN_SEC
        return float(value) + 0.0

    def version(self) -> int:
        value = self.document.get("version", 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_VERSION:
            self.complain(f"version is {_show(value)}, expected a whole number from 1")
            return 1
        return value

    def time(self, key: str) -> str | None:
        value = self.document.get(key)
        if value is None or _is_time(value):
            return cast("str | None", value)
        self.complain(f"{key} is {_show(value)}, expected a time like 2013-10-08T13:30:00Z")
        return None

    def numeric(self) -> tuple[Condition, ...]:
        kind = self.document.get("type", "numeric")
        if kind != "numeric":
            self.complain(f"type is {_show(kind)}, expected numeric")
            return ()
        condition = self.condition(self.document, "", "operator")
        return () if condition is None else (condition,)

    def conditions(self) -> tuple[Condition, ...]:
        entries = self.document["conditions"]
        limit = self.limits.max_leaves
        if not isinstance(entries, list):
            self.complain(f"conditions is {_show(entries)}, expected an array of conditions")
            return ()
        if not 1 <= len(entries) <= limit:
            self.complain(f"conditions has {len(entries)} entries, expected 1 to {limit}")
            return ()
        read: list[Condition] = []
        for index, entry in enumerate(entries):
            where = f"conditions[{index}]"
            if not isinstance(entry, dict):
                self.complain(f"{where} is {_show(entry)}, expected an object")
                continue
            for key in entry:
                if key not in _CONDITION_KEYS:
                    self.complain(f"{where}: {_unknown_key(key, _CONDITION_KEYS)}")
            condition = self.condition(entry, f"{where}.", "op")
            if condition is not None:
                read.append(condition)
        return tuple(read)

    def condition(self, entry: dict[str, Any], where: str, op_key: str) -> Condition | None:
        before = len(self.problems)
        metric, op, value = (entry.get(key, _ABSENT) for key in ("metric", op_key, "value"))
        self.check(f"{where}metric", metric, _metric_fault)
        self.check(f"{where}{op_key}", op, _op_fault)
        self.check(f"{where}value", value, _value_fault)
        if len(self.problems) > before:
            return None
        return Condition(metric=metric, op=cast(Op, op), value=float(value) + 0.0)

    def check(self, key: str, value: object, fault: Callable[[Any], str]) -> None:
        sentence = " is missing" if value is _ABSENT else fault(value)
        if sentence:
            self.complain(f"{key}{sentence}")


def _metric_fault(name: object) -> str:
    if not _is_text(name, MAX_METRIC_CHARS) or not str(name).strip():
        return f" is {_show(name)}, expected the name of a metric"
    try:
        resolve(str(name))
    except UnknownMetric as error:
        return f": {error}"
    return ""


def _op_fault(op: object) -> str:
    if isinstance(op, str) and op in OPS:
        return ""
    return f" is {_show(op)}, expected one of {' '.join(OPS)}"


def _value_fault(value: object) -> str:
    return "" if _is_number(value) else f" is {_show(value)}, expected a finite number"
