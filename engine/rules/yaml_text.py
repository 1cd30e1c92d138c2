"""Reads a YAML document into what JSON could say: maps, lists, text, numbers, true, false, null.

Built on the parser's events, not on its objects: words are decided by YAML 1.2's rules alone (`no`
and `on` are words, a time stays text), and what can surprise or explode is refused: anchors and
aliases, tags, a second document, keys that stand twice, deep nesting.
"""

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from engine.rules.errors import RuleError
from engine.rules.words import cut

MAX_YAML_BYTES = 128 << 10
MAX_NESTING = 64
MAX_NUMBER_CHARS = 40

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True,
    "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


def read_yaml(text: str) -> Any:
    """The one document in a YAML text. Raises RuleError naming the line and column at fault."""
    if len(text.encode(errors="surrogatepass")) > MAX_YAML_BYTES:
        raise RuleError((f"is longer than {MAX_YAML_BYTES} bytes",))
    try:
        return _build(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = str(error.problem or error.context or "it cannot be read").splitlines()[0]
        raise _error(mark, f"broken YAML, {told}") from error
    except YAMLError as error:
        raise RuleError((f"broken YAML, {str(error).splitlines()[0]}",)) from error
    except (ValueError, OverflowError) as error:  # an escape beyond Unicode
        raise RuleError((f"broken YAML, {str(error).splitlines()[0]}",)) from error


def _build(events: Iterator[Event]) -> Any:
    """The object that the events describe, without recursion."""
    root: list[Any] = []
    stack: list[list[Any]] = [root]  # open lists; a map is a list of its keys and values in turn
    documents = 0
    for event in events:
        if isinstance(event, DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _error(event.start_mark, "a second document begins, expected one")
        if isinstance(event, NodeEvent):
            _refuse_surprises(event, len(stack))
        if isinstance(event, ScalarEvent):
            stack[-1].append((_scalar(event), event))
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            inner: list[Any] = []
            stack[-1].append((inner, event))
            stack.append(inner)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            closed = stack.pop()
            _, start = stack[-1][-1]
            whole = isinstance(event, SequenceEndEvent)
            built = [value for value, _ in closed] if whole else _mapping(closed)
            stack[-1][-1] = (built, start)
    if not root:
        raise RuleError(("holds no YAML document",))
    return root[0][0]


def _refuse_surprises(event: NodeEvent, depth: int) -> None:
    if isinstance(event, AliasEvent) or event.anchor is not None:
        raise _error(event.start_mark, "anchors and aliases are not read")
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise _error(event.start_mark, f"the tag {cut(str(tag))} is not read")
    if depth > MAX_NESTING:
        raise _error(event.start_mark, f"is nested deeper than {MAX_NESTING}")


def _mapping(pairs: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (_, at), (value, _) in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(at, ScalarEvent):
            raise _error(at.start_mark, "a key must be a word")
        if at.value in found:
            raise _error(at.start_mark, f"key {cut(at.value)} stands twice")
        found[at.value] = value
    return found


def _scalar(event: ScalarEvent) -> Any:
    text = event.value
    if not event.implicit[0]:  # in quotes, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if not _FLOAT.fullmatch(text):
        if _NO_NUMBER.fullmatch(text):
            raise _error(event.start_mark, f"{text} is not a finite number")
        return text
    if len(text) > MAX_NUMBER_CHARS:
        raise _error(event.start_mark, f"a number has at most {MAX_NUMBER_CHARS} characters")
    return int(text) if _INTEGER.fullmatch(text) else float(text)


def _error(mark: StringMark | None, sentence: str) -> RuleError:
    if mark is None:
        return RuleError((sentence,))
    return RuleError((f"line {mark.line + 1} column {mark.column + 1}: {sentence}",))
