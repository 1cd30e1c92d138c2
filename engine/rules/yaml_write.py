"""Writes a document as YAML that `yaml_text` reads back the same: for people and version control.

Texts of several lines become blocks; a string stands bare only where no reader of YAML, old or new,
could take it for anything else.
"""

import json
import re
from typing import Any

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_]*([ ._/()-]+[A-Za-z0-9_()]+)*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"}
_BLOCK_LINE = re.compile(r"[^\s].*[^\s]|[^\s]|")  # or empty
_FLOW_CHARS = 76


def write_yaml(document: dict[str, Any]) -> str:
    """The YAML text of a map of maps, lists and scalars; keys keep their order."""
    return "".join(f"{line}\n" for line in _map(document, ""))


def _map(document: dict[str, Any], indent: str) -> list[str]:
    lines: list[str] = []
    for key, value in document.items():
        lines += _entry(f"{indent}{_string(key)}:", value, indent)
    return lines


def _entry(head: str, value: Any, indent: str) -> list[str]:
    """The lines of a value behind `head`, which is a key or the dash of a list."""
    if isinstance(value, str) and (block := _block(value, indent)):
        return [f"{head} {block[0]}", *block[1:]]
    if isinstance(value, dict) and value:
        return [head, *_map(value, indent + "  ")]
    if isinstance(value, list) and _is_long(head, value):
        return [head, *_list(value, indent + "  ")]
    return [f"{head} {_flow(value)}"]


def _is_long(head: str, values: list[Any]) -> bool:
    """Whether a list is written with a line for each of its values."""
    if any(isinstance(one, dict) for one in values):
        return True
    return len(head) + len(_flow(values)) > _FLOW_CHARS


def _list(values: list[Any], indent: str) -> list[str]:
    lines: list[str] = []
    for value in values:
        if isinstance(value, dict) and value:
            first, *rest = _map(value, indent + "  ")
            lines += [f"{indent}- {first.lstrip()}", *rest]
        else:
            lines.append(f"{indent}- {_flow(value)}")
    return lines


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_string(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    return _string(value) if isinstance(value, str) else json.dumps(value, allow_nan=False)


def _string(text: str) -> str:
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(_escaped(one) for one in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}"


def _block(text: str, indent: str) -> list[str]:
    """A text of several lines as a block, empty where that could change a blank."""
    lines = text.removesuffix("\n").split("\n")
    sound = all(one.isprintable() and _BLOCK_LINE.fullmatch(one) for one in lines)
    if len(lines) < 2 or not sound or not lines[0] or not lines[-1]:
        return []
    mark = "|" if text.endswith("\n") else "|-"
    return [mark, *(f"{indent}  {one}" if one else "" for one in lines)]
