"""The words of the language: groups of symbols, weekdays, and what is near a wrong one."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from engine.metrics.registry import resolve

GROUPS = ("all", "sector", "industry", "exchange")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri")
SESSIONS = ("pre", "regular", "after")
MAX_SHOWN_CHARS = 40
LIST = re.compile(r"list:[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def is_flag(metric: str) -> bool:
    """Whether a metric can stand as a condition. Raises UnknownMetric."""
    return resolve(metric).unit == "flag"


def cut(text: str) -> str:
    """A text in quotes, short enough for a sentence, on one line."""
    shown = text[:MAX_SHOWN_CHARS]
    dots = "" if shown == text else "..."
    return f"'{shown}'{dots}" if shown.isprintable() else f"{shown!a}{dots}"


def near(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word that looks most like `word`, empty for none."""
    found = get_close_matches(word[:MAX_SHOWN_CHARS].lower(), list(known), n=1, cutoff=cutoff)
    return found[0] if found else ""


def unknown_word(what: str, word: str, known: tuple[str, ...]) -> str:
    """The sentence for a word that is none of the known ones."""
    nearest = near(word, known)
    hint = f"did you mean {nearest}?" if nearest else f"expected one of {' '.join(known)}"
    return f"unknown {what} {cut(word)}; {hint}"


def group_fault(group: str) -> str:
    """What is wrong with the name of a group of symbols, empty for nothing."""
    if group in GROUPS or LIST.fullmatch(group):
        return ""
    return unknown_word("group", group, (*GROUPS, "list:NAME"))
