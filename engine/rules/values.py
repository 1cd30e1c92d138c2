"""What a JSON value is, and how a sentence shows it."""

import datetime
import difflib
import math
import re
from collections.abc import Collection
from typing import cast

from engine.rules.model import short_number

MAX_ID_CHARS = 64
MAX_WHOLE = 2**53
MAX_SHOWN_CHARS = 60

RULE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
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
    return isinstance(value, str) and len(value) <= MAX_ID_CHARS and bool(RULE_ID.fullmatch(value))


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
