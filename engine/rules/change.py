"""What can be done to the stored rules, and what came of it: the same from CLI, orders and REST."""

from typing import Any, Literal

import msgspec

from engine.rules.errors import ChangeError
from engine.rules.values import MAX_ID_CHARS, MAX_WHOLE, is_id, is_text, show
from engine.storage.rule_ports import SOURCE_AUTHOR

MAX_NOTE_CHARS = 500
MAX_LISTED = 200

Kind = Literal["create", "update", "delete", "enable", "disable", "rollback", "import"]


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change.

    documents: the rule of create and update, the rules of import. rule_id: of the others; of an
    update the id that its document must have. version: the one that rollback goes back to.
    expected: the version that the rule must be at, None: any. author: who asks for it; owner:
    whose rule it becomes, empty: as it is, or as its document says, or the author's. request_id:
    a repeat of one is answered as the first was and changes nothing; empty: never a repeat.
    """

    action: Kind
    author: str
    rule_id: str = ""
    documents: tuple[Any, ...] = ()
    version: int | None = None
    expected: int | None = None
    owner: str = ""
    note: str = ""
    request_id: str = ""


class Changed(msgspec.Struct, frozen=True):
    """A rule that has a new version now."""

    id: str
    version: int
    action: str


class Outcome(msgspec.Struct, frozen=True):
    """What a change came to. unchanged: rules that were as they should become."""

    changed: tuple[Changed, ...] = ()
    unchanged: int = 0


def summary(outcome: Outcome) -> dict[str, Any]:
    """An outcome for an answer: changed, the first MAX_LISTED of them; changes, how many there
    are; unchanged."""
    listed = msgspec.to_builtins(outcome.changed[:MAX_LISTED])
    return {"changed": listed, "changes": len(outcome.changed), "unchanged": outcome.unchanged}


def read_change(arguments: object) -> Change:
    """The change that a request asks for. Raises ChangeError naming what is wrong with it."""
    try:
        change = msgspec.convert(arguments, Change)
    except msgspec.ValidationError as error:
        sentence = str(error).replace("`", "").replace(" - at $.", ": ")
        raise ChangeError(f"This is no change of rules: {sentence}.") from error
    for fault in (_texts_fault(change), _action_fault(change)):
        if fault:
            raise ChangeError(fault)
    return change


def _texts_fault(change: Change) -> str:
    for key in ("author", "owner", "request_id"):
        value = getattr(change, key)
        optional = key != "author" and value == ""
        if not optional and (not is_text(value, MAX_ID_CHARS) or not value.strip()):
            return f"{key} is {show(value)}, expected 1 to {MAX_ID_CHARS} printable characters."
        if key != "request_id" and value == SOURCE_AUTHOR:
            return f"{key} is {show(value)}, a name kept for the rules of rules.path."
    if not is_text(change.note, MAX_NOTE_CHARS):
        return f"note is {show(change.note)}, expected at most {MAX_NOTE_CHARS} characters."
    return ""


def _action_fault(change: Change) -> str:
    action, count = change.action, len(change.documents)
    if action in ("create", "update") and count != 1:
        return f"{action} was given {count} documents, expected one."
    if action in ("delete", "enable", "disable", "rollback"):
        if count:
            return f"{action} takes no documents."
        if not is_id(change.rule_id):
            return f"rule_id is {show(change.rule_id)}, expected the id of a rule."
    if action in ("create", "import") and change.rule_id:
        return f"{action} takes no rule_id."
    if (action == "rollback") != (change.version is not None):
        return "version is for rollback: the version to go back to."
    for key, least in (("version", 1), ("expected", 0)):
        value = getattr(change, key)
        if value is not None and not least <= value <= MAX_WHOLE:
            return f"{key} is {show(value)}, expected a whole number from {least}."
    if change.expected is not None and action == "import":
        return "import takes no expected."
    return ""
