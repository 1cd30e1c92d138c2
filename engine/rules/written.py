"""Reads conditions as they are written: as text, or as the JSON of a tree."""

import re
from typing import Any, cast

import msgspec

from engine.rules.errors import RuleError
from engine.rules.kinds import check
from engine.rules.limits import DEFAULT_LIMITS, Limits
from engine.rules.parser import parse
from engine.rules.tokens import Tokens
from engine.rules.tree import Cond
from engine.rules.values import show

_RAW_LEVELS = 4  # of objects and arrays in JSON for one level of a tree, at most
_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


def read_text(text: str, limits: Limits = DEFAULT_LIMITS) -> Cond:
    """The tree of a text.

    Raises RuleTextError for the first fault, with its line and column.
    """
    parsed = parse(text, limits)
    faults = check(parsed.tree, limits)
    if faults:
        offset = min(parsed.offsets[id(fault.node)] for fault in faults)
        first = next(fault for fault in faults if parsed.offsets[id(fault.node)] == offset)
        raise Tokens(text).error(offset, first.sentence)
    return parsed.tree


def read_tree(document: Any, path: str, limits: Limits = DEFAULT_LIMITS) -> Cond:
    """The tree in a JSON document. path: what stands before the place of a fault.

    Raises RuleError with every fault.
    """
    if not isinstance(document, dict):
        raise RuleError((f"{path} is {show(document)}, expected an object",))
    if fault := _size_fault(document, limits):
        raise RuleError((f"{path} {fault}",))
    try:
        tree = cast(Cond, msgspec.convert(document, Cond))
    except msgspec.ValidationError as error:
        raise RuleError((_reworded(str(error), path),)) from error
    faults = check(tree, limits)
    if faults:
        raise RuleError(tuple(f"{_joined(path, one.path)}: {one.sentence}" for one in faults))
    return tree


def _size_fault(document: Any, limits: Limits) -> str:
    """Why a document is too large to be looked at, empty for nothing; never recurses."""
    most = limits.max_nodes
    level, depth, seen = [document], 0, 0
    while level:
        depth += 1
        seen += sum(isinstance(one, dict) for one in level)
        if seen > 2 * most:  # windows and steps are objects as well
            return f"has more than {most} parts"
        if depth > _RAW_LEVELS * most:
            return "is nested too deeply"
        level = [
            part
            for one in level
            for part in (one.values() if isinstance(one, dict) else one)
            if isinstance(part, dict | list)
        ]
    return ""


def _reworded(message: str, path: str) -> str:
    """A sentence of ours for what msgspec says: the place first, no backticks."""
    match = _PATH.search(message)
    place = _joined(path, match["path"] if match else "")
    told = _PATH.sub("", message).replace("`", "")
    return f"{place}: {told[:1].lower()}{told[1:]}"


def _joined(path: str, inner: str) -> str:
    if not inner:
        return path
    return f"{path}{inner}" if inner.startswith("[") else f"{path}.{inner}"
