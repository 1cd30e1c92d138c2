"""Reads one JSON object key by key: every fault becomes a sentence that names the key."""

import re
from typing import Any, cast

from engine.rules.errors import RuleError
from engine.rules.limits import Limits
from engine.rules.tree import Cond
from engine.rules.values import MAX_WHOLE, is_text, is_time, show, unknown_key
from engine.rules.written import read_text

ABSENT: Any = object()


class Reader:
    """Reads the keys of one object; faults go to `problems`, each with `label` and the key.

    path: what stands before a key in a sentence, such as `universe.`.
    """

    def __init__(self, document: Any, label: str, problems: list[str], path: str = "") -> None:
        self.document = document
        self.label = label
        self.problems = problems
        self.path = path

    def complain(self, sentence: str) -> None:
        """Note a fault."""
        self.problems.append(f"{self.label}: {sentence}")

    def refuse(self, key: str, value: object, expected: str) -> None:
        """Note that the value of a key is not what was expected."""
        self.complain(f"{self.path}{key} is {show(value)}, expected {expected}")

    def refuse_unknown_keys(self, allowed: tuple[str, ...]) -> None:
        """Note every key that is none of `allowed`."""
        where = f"{self.path.removesuffix('.')}: " if self.path else ""
        for key in self.document:
            if key not in allowed:
                self.complain(where + unknown_key(key, allowed))

    def text(self, key: str, max_chars: int, default: str) -> str:
        """A string with something in it; ABSENT as default makes it mandatory."""
        value = self.document.get(key, default)
        if value is ABSENT:
            self.complain(f"{self.path}{key} is missing")
        elif value == "" and default == "":
            return ""
        elif not is_text(value, max_chars) or not value.strip():
            self.refuse(key, value, f"1 to {max_chars} printable characters")
        else:
            return str(value)
        return ""

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self.document.get(key, default)
        if isinstance(value, bool):
            return value
        self.refuse(key, value, "true or false")
        return default

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """One of `choices`, the first by default."""
        value = self.document.get(key, choices[0])
        if isinstance(value, str) and value in choices:
            return value
        self.refuse(key, value, f"one of {' '.join(choices)}")
        return choices[0]

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number of [least, most]."""
        value = self.document.get(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        bound = f" to {most}" if most < MAX_WHOLE else ""
        self.refuse(key, value, f"a whole number from {least}{bound}")
        return default

    def time(self, key: str) -> str | None:
        """A time as text, None where it is absent or null."""
        value = self.document.get(key)
        if value is None or is_time(value):
            return cast("str | None", value)
        self.refuse(key, value, "a time like 2013-10-08T13:30:00Z")
        return None

    def names(
        self, key: str, pattern: re.Pattern[str], expected: str, most: int, default: Any = ()
    ) -> tuple[str, ...]:
        """An array of at most `most` different strings, each of which `pattern` matches."""
        entries = self.document.get(key, list(default))
        if not isinstance(entries, list):
            self.refuse(key, entries, f"an array of at most {most}")
            return tuple(default)
        if len(entries) > most:
            self.complain(f"{self.path}{key} has {len(entries)} entries, expected at most {most}")
            return tuple(default)
        before = len(self.problems)
        seen: set[str] = set()
        for index, entry in enumerate(entries):
            if not isinstance(entry, str) or not pattern.fullmatch(entry):
                self.refuse(f"{key}[{index}]", entry, expected)
            elif entry in seen:
                self.complain(f"{self.path}{key} names {show(entry)} twice")
            else:
                seen.add(entry)
        return tuple(entries) if len(self.problems) == before else tuple(default)

    def where(self, key: str, limits: Limits) -> Cond | None:
        """The tree of a condition that is written as text."""
        value = self.document[key]
        if not isinstance(value, str):
            self.refuse(key, value, "the text of a condition")
            return None
        try:
            return read_text(value, limits)
        except RuleError as error:
            self.complain(f"{self.path}{key} {error}")
            return None
