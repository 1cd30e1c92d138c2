"""What the engine needs from a store of rules and their versions, whatever is behind it."""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from engine.errors import EngineError

Action = Literal["create", "update", "delete", "enable", "disable", "rollback", "import"]
# Who writes what rules.path says. Its newest version of a rule is kept whatever else is dropped:
# the next reading of the file is compared with it.
SOURCE_AUTHOR = "file"


class VersionConflictError(EngineError):
    """Raised when a rule is not at the version that a change was made for; nothing was changed.

    expected, found: versions, 0 for no rule of that id.
    """

    def __init__(self, rule_id: str, expected: int, found: int) -> None:
        if not expected:
            reason = f"is there already, at version {found}"
        elif not found:
            reason = f"was expected at version {expected}, but there is none of that id"
        else:
            reason = f"was expected at version {expected}, but is at version {found}"
        super().__init__(f"rule '{rule_id}' {reason}.")
        self.rule_id = rule_id
        self.expected = expected
        self.found = found


class RuleVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a rule; versions of an id are 1, 2, 3, ... and go on after a delete.

    document: its canonical JSON; of a delete the one that was deleted. content_hash: hex, see
    rules.identity. owner: whose rule it is. author, at_ns (ns UTC), note: who made the version,
    when, why.
    """

    rule_id: str
    version: int
    action: Action
    document: bytes
    content_hash: str
    owner: str
    author: str
    at_ns: int
    note: str = ""

    @property
    def deleted(self) -> bool:
        """True when there is no rule at this version."""
        return self.action == "delete"


class Answer(msgspec.Struct, frozen=True):
    """What a request was answered with, kept so that its repeat changes nothing."""

    request_id: str
    text: bytes


class Bounds(msgspec.Struct, frozen=True):
    """How much is kept: versions of a rule, rules that are deleted, answers to requests."""

    versions: int = 200
    deleted: int = 1000
    answers: int = 1000


DEFAULT_BOUNDS = Bounds()


class RuleReader(Protocol):
    """Reads rules. The newest version of a rule is its state."""

    def newest(self) -> list[RuleVersion]:
        """The newest version of every rule, deleted ones, too, in order of id."""

    def get(self, rule_id: str, version: int | None = None) -> RuleVersion | None:
        """A version of a rule, the newest by default; None when it is not there (any more)."""

    def history(
        self, rule_id: str, limit: int, before: int | None = None
    ) -> list[RuleVersion]:
        """The newest versions first, at most limit, below the version `before`."""

    def newest_by(self, author: str) -> list[RuleVersion]:
        """Of every rule the newest version that this author made, in order of id."""

    def answer(self, request_id: str) -> bytes | None:
        """What a request was answered with, None when it is new (or long ago)."""

    def close(self) -> None:
        """Close the store."""


class RuleStore(RuleReader, Protocol):
    """Keeps versions of rules durably. dropped: versions given up over a bound since opening."""

    dropped: int

    def append(self, versions: Sequence[RuleVersion], answer: Answer | None = None) -> None:
        """Store versions, and the answer to the request that made them, in one transaction;
        durable on return.

        Each version must be one above the newest of its rule. What is over a bound is dropped,
        oldest first. Raises VersionConflictError, StoreError; then nothing was stored.
        """
