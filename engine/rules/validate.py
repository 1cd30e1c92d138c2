"""Turns rule documents into rules, or says in one sentence per fault what is wrong and where."""

import re
from collections.abc import Callable
from typing import Any, cast

from engine.metrics.registry import UnknownMetric, resolve
from engine.rules.cost import rule_fault
from engine.rules.errors import RuleError
from engine.rules.limits import DEFAULT_LIMITS, MAX_METRIC_CHARS, Limits
from engine.rules.model import (
    DEFAULT_COOLDOWN_SEC,
    EVERYWHERE,
    MAX_COOLDOWN_SEC,
    OPS,
    SEVERITIES,
    TRIGGERS,
    Condition,
    Form,
    Op,
    Rule,
    Severity,
    Trigger,
    Universe,
    short_number,
)
from engine.rules.reading import ABSENT, Reader
from engine.rules.rule_set import set_faults
from engine.rules.tree import Cond
from engine.rules.universe import UniverseReader
from engine.rules.values import (
    MAX_ID_CHARS,
    MAX_WHOLE,
    flattened,
    is_id,
    is_number,
    is_text,
    show,
    unknown_key,
)
from engine.rules.written import read_tree

MAX_NAME_CHARS = 200
MAX_DESCRIPTION_CHARS = 2_000
MAX_TAGS = 16
MAX_DEBOUNCE_MS = 3_600_000
MAX_ALERTS_PER_MIN = 1_000_000

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_SHARED_KEYS = (
    "id", "name", "description", "enabled", "severity", "owner", "tags", "template", "universe",
    "trigger", "cooldown_sec", "once_per_session", "debounce_ms", "rearm", "max_per_min",
    "version", "created_at", "updated_at",
)  # fmt: skip
_NUMERIC_KEYS = ("type", "metric", "operator", "value")
_FORM_KEYS: dict[Form, tuple[str, ...]] = {
    "conditions": ("conditions",), "numeric": _NUMERIC_KEYS, "where": ("where",), "tree": ("tree",),
}  # fmt: skip
_CONDITION_KEYS = ("metric", "op", "value")


def read_rules(
    documents: object, limits: Limits = DEFAULT_LIMITS, *, whole: bool = True
) -> tuple[Rule, ...]:
    """Read an array of rule documents, an object {"rules": [...]} or a single rule, in order.

    whole: they are all there is, so what only a set can have is looked for as well (see rule_set).
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
        rule = _RuleReader(entry, f"rules[{position}]", limits, problems).read()
        if rule is None:
            continue
        if rule.id in first_at:
            problems.append(
                f"rule '{rule.id}': id is used twice, by rules[{first_at[rule.id]}]"
                f" and rules[{position}]"
            )
        first_at.setdefault(rule.id, position)
        rules.append(rule)
    if whole:
        problems = problems or set_faults(rules, limits)
    if problems:
        raise RuleError(tuple(problems))
    return tuple(rules)


def read_rule(document: object, limits: Limits = DEFAULT_LIMITS) -> Rule:
    """Read one rule document. Raises RuleError with every fault found, but for those that only a
    set of rules can have (see rule_set)."""
    problems: list[str] = []
    rule = _RuleReader(document, "rule", limits, problems).read()
    if rule is None:
        raise RuleError(tuple(problems))
    return rule


def _entries(documents: object) -> list[Any]:
    if isinstance(documents, dict) and "rules" in documents:
        unknown = [key for key in documents if key != "rules"]
        if unknown:
            raise RuleError((f"unknown key {show(unknown[0])} beside rules",))
        documents = documents["rules"]
        if not isinstance(documents, list):
            raise RuleError((f"rules is {show(documents)}, expected an array of rules",))
    if isinstance(documents, dict):
        return [documents]
    if not isinstance(documents, list):
        raise RuleError((f"the rules are {show(documents)}, expected an array or an object",))
    return documents


class _RuleReader(Reader):
    """Reads one document; faults go to `problems`."""

    def __init__(self, document: Any, label: str, limits: Limits, problems: list[str]) -> None:
        super().__init__(document, label, problems)
        self.limits = limits

    def read(self) -> Rule | None:
        if not isinstance(self.document, dict):
            self.problems.append(f"{self.label} is {show(self.document)}, expected an object")
            return None
        before = len(self.problems)
        rule_id = self.read_id()
        form = self.form()
        if form is None:
            return None
        self.refuse_unknown_keys(_SHARED_KEYS + _FORM_KEYS[form])
        rearm = self.document.get("rearm", False)
        rule = Rule(
            id=rule_id,
            form=form,
            name=self.text("name", MAX_NAME_CHARS, default=ABSENT),
            conditions=self.numeric() if form == "numeric" else self.conditions(),
            where=self.document["where"] if form == "where" else "",
            tree=self.tree(form),
            description=self.description(),
            enabled=self.flag("enabled", True),
            severity=cast(Severity, self.choice("severity", SEVERITIES)),
            owner=self.text("owner", MAX_ID_CHARS, default=""),
            tags=self.names("tags", _TAG, "1 to 32 letters, digits or . _ -", MAX_TAGS),
            template=self.template(),
            universe=self.universe(),
            trigger=cast(Trigger, self.choice("trigger", TRIGGERS)),
            cooldown_sec=self.cooldown(),
            once_per_session=self.flag("once_per_session", False),
            debounce_ms=self.whole("debounce_ms", 0, 0, MAX_DEBOUNCE_MS),
            rearm=self.rearm(),
            rearm_where=rearm if isinstance(rearm, str) else "",
            rearm_tree=self.where("rearm", self.limits) if isinstance(rearm, str) else None,
            max_per_min=self.whole("max_per_min", 0, 0, MAX_ALERTS_PER_MIN),
            version=self.whole("version", 1, 1, MAX_WHOLE),
            created_at=self.time("created_at"),
            updated_at=self.time("updated_at"),
        )
        if len(self.problems) == before and (fault := rule_fault(rule, self.limits)):
            self.complain(fault)
        return rule if len(self.problems) == before else None

    def read_id(self) -> str:
        value = self.document.get("id", ABSENT)
        if value is ABSENT:
            self.complain("id is missing")
            return ""
        if not is_id(value):
            self.complain(
                f"id is {show(value)}, expected 1 to {MAX_ID_CHARS} letters, digits or . _ -"
                " starting with a letter or digit"
            )
            return ""
        self.label = f"rule '{value}'"
        return str(value)

    def form(self) -> Form | None:
        keys = self.document
        numeric = [key for key in _NUMERIC_KEYS if key in keys]
        forms = [key for key in ("conditions", "where", "tree") if key in keys] + numeric[:1]
        if len(forms) > 1:
            self.complain(f"has both {forms[0]} and {forms[1]}; write it in one form")
            return None
        if not forms:
            self.refuse_unknown_keys((*_SHARED_KEYS, "conditions", "where", "tree"))
            self.complain("conditions (or where, or tree) is missing")
            return None
        return "numeric" if numeric else cast(Form, forms[0])

    def tree(self, form: Form) -> Cond | None:
        """The tree of the forms where and tree."""
        if form == "where":
            return self.where("where", self.limits)
        if form != "tree":
            return None
        try:
            return read_tree(self.document["tree"], "tree", self.limits)
        except RuleError as error:
            for problem in error.problems:
                self.complain(problem)
            return None

    def description(self) -> str:
        value = self.document.get("description", "")
        if is_text(flattened(value), MAX_DESCRIPTION_CHARS):
            return str(value)
        self.refuse("description", value, f"text of at most {MAX_DESCRIPTION_CHARS} characters")
        return ""

    def template(self) -> str:
        value = self.document.get("template", "")
        if value == "" or is_id(value):
            return str(value)
        self.refuse("template", value, "the id of a rule")
        return ""

    def universe(self) -> Universe:
        value = self.document.get("universe", {})
        if isinstance(value, dict):
            reader = UniverseReader(value, self.label, self.problems, "universe.")
            return reader.read(self.limits)
        self.refuse("universe", value, "an object")
        return EVERYWHERE

    def rearm(self) -> bool:
        value = self.document.get("rearm", False)
        if not isinstance(value, bool | str):
            self.refuse("rearm", value, "true, false or the text of a condition")
        return bool(value)

    def cooldown(self) -> float:
        value = self.document.get("cooldown_sec", DEFAULT_COOLDOWN_SEC)
        if not is_number(value) or not 0 <= value <= MAX_COOLDOWN_SEC:
            limit = short_number(MAX_COOLDOWN_SEC)
            self.complain(f"cooldown_sec is {show(value)}, expected a number from 0 to {limit}")
            return DEFAULT_COOLDOWN_SEC
        return float(value) + 0.0

    def numeric(self) -> tuple[Condition, ...]:
        kind = self.document.get("type", "numeric")
        if kind != "numeric":
            self.complain(f"type is {show(kind)}, expected numeric")
            return ()
        condition = self.condition(self.document, "", "operator")
        return () if condition is None else (condition,)

    def conditions(self) -> tuple[Condition, ...]:
        entries = self.document.get("conditions", ABSENT)
        if entries is ABSENT:
            return ()
        limit = self.limits.max_leaves
        if not isinstance(entries, list):
            self.complain(f"conditions is {show(entries)}, expected an array of conditions")
            return ()
        if not 1 <= len(entries) <= limit:
            self.complain(f"conditions has {len(entries)} entries, expected 1 to {limit}")
            return ()
        read: list[Condition] = []
        for index, entry in enumerate(entries):
            where = f"conditions[{index}]"
            if not isinstance(entry, dict):
                self.complain(f"{where} is {show(entry)}, expected an object")
                continue
            for key in entry:
                if key not in _CONDITION_KEYS:
                    self.complain(f"{where}: {unknown_key(key, _CONDITION_KEYS)}")
            condition = self.condition(entry, f"{where}.", "op")
            if condition is not None:
                read.append(condition)
        return tuple(read)

    def condition(self, entry: dict[str, Any], where: str, op_key: str) -> Condition | None:
        before = len(self.problems)
        metric, op, value = (entry.get(key, ABSENT) for key in ("metric", op_key, "value"))
        self.check(f"{where}metric", metric, _metric_fault)
        self.check(f"{where}{op_key}", op, _op_fault)
        self.check(f"{where}value", value, _value_fault)
        if len(self.problems) > before:
            return None
        return Condition(metric=metric, op=cast(Op, op), value=float(value) + 0.0)

    def check(self, key: str, value: object, fault: Callable[[Any], str]) -> None:
        sentence = " is missing" if value is ABSENT else fault(value)
        if sentence:
            self.complain(f"{key}{sentence}")


def _metric_fault(name: object) -> str:
    if not is_text(name, MAX_METRIC_CHARS) or not str(name).strip():
        return f" is {show(name)}, expected the name of a metric"
    try:
        resolve(str(name))
    except UnknownMetric as error:
        return f": {error}"
    return ""


def _op_fault(op: object) -> str:
    if isinstance(op, str) and op in OPS:
        return ""
    return f" is {show(op)}, expected one of {' '.join(OPS)}"


def _value_fault(value: object) -> str:
    return "" if is_number(value) else f" is {show(value)}, expected a finite number"
