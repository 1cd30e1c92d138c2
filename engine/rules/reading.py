"""Reads one JSON object key by key: every fault becomes a sentence that names the key."""

import datetime
import difflib
import math
import re
from collections.abc import Collection
from typing import Any, cast

from engine.rules.model import short_number

MAX_ID_CHARS = 64
MAX_WHOLE = 2**53
MAX_SHOWN_CHARS = 60
ABSENT: Any = object()

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def show(value: object) -> str:
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
    return str(value) if abs(value) <= MAX_WHOLE else "a number beyond 2**53"


def is_number(value: object) -> bool:
    """Whether a JSON value is a number that fits a double."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def is_text(value: object, max_chars: int) -> bool:
    """Whether a JSON value is a string without control characters and lone surrogates."""
    if not isinstance(value, str) or len(value) > max_chars or _CONTROL.search(value):
        return False
    return not any(0xD800 <= ord(character) < 0xE000 for character in value)


def is_id(value: object) -> bool:
    """Whether a JSON value can be the id of a rule."""
    return isinstance(value, str) and len(value) <= MAX_ID_CHARS and bool(_ID.fullmatch(value))


def flattened(value: object) -> object:
    """A string with its tabs and line breaks as blanks; anything else as it is."""
    return value.translate({9: " ", 10: " ", 13: " "}) if isinstance(value, str) else value


def is_time(value: object) -> bool:
    """Whether a JSON value is an RFC 3339 time with a zone."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        return False
    try:
        datetime.datetime.fromisoformat(value.upper())
    except ValueError:
        return False
    return True


def unknown_key(key: object, allowed: Collection[str]) -> str:
    """The sentence for a key that is none of `allowed`, with the nearest."""
    near = difflib.get_close_matches(str(key)[:MAX_SHOWN_CHARS], allowed, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected one of {' '.join(allowed)}"
    return f"unknown key {show(key)}; {hint}"


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
