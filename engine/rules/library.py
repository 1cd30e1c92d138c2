"""The stored rules as a set: every change is checked against all of them, then stored whole."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from engine.domain.sizes import Sizes
from engine.rules.change import Change, Changed, Outcome
from engine.rules.compiler import CompiledRules, Compiler
from engine.rules.errors import ChangeError, RuleError, UnknownRuleError
from engine.rules.identity import content_hash
from engine.rules.limits import Limits
from engine.rules.model import Rule, to_document
from engine.rules.pack import pack
from engine.rules.rule_set import SetChecker
from engine.rules.validate import read_rule, read_rules
from engine.rules.words import near
from engine.storage.rule_ports import (
    SOURCE_AUTHOR,
    Action,
    Answer,
    RuleReader,
    RuleStore,
    RuleVersion,
    VersionConflictError,
)

_SHRINKING = ("delete", "disable")


class Program(NamedTuple):
    """Rules compiled for the engine; content: the bytes for its blob."""

    compiled: CompiledRules
    content: bytes


Ready = Callable[[Program], None]


def document_of(rule: Rule) -> bytes:
    """The canonical JSON of a rule as it is stored: without its version, which the store keeps."""
    document = to_document(rule)
    del document["version"]
    return msgspec.json.encode(document)


def plain(version: RuleVersion) -> dict[str, Any]:
    """The document of a version, as its author wrote it."""
    document: dict[str, Any] = msgspec.json.decode(version.document)
    return document


def moment(at_ns: int) -> str:
    """The wall time of a version as RFC 3339, to the second."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def live(versions: Iterable[RuleVersion]) -> dict[str, RuleVersion]:
    """Those that are not deleted, by id."""
    return {one.rule_id: one for one in versions if not one.deleted}


def find(reader: RuleReader, rule_id: str, version: int | None = None) -> RuleVersion:
    """A version of a rule, by default the newest. Raises UnknownRuleError."""
    found = reader.get(rule_id, version)
    if found is not None:
        return found
    newest = reader.get(rule_id)
    if newest is not None:
        raise UnknownRuleError(
            f"rule '{rule_id}' has no version {version}; its newest is {newest.version}."
        )
    nearest = near(rule_id, [one.rule_id for one in reader.newest()])
    hint = f"; did you mean {nearest}?" if nearest else "."
    raise UnknownRuleError(f"there is no rule '{rule_id}'{hint}")


class Library:
    """Changes the rules of a store. One at a time: it is the store's only writer.

    limits, sizes: bounds of the set and of its compiled form; now_ns: the wall clock. stored:
    versions made since this was opened. before: the set that the engine runs, whose place in memory
    the next one keeps; None where none runs.
    """

    def __init__(
        self, store: RuleStore, limits: Limits, sizes: Sizes, now_ns: Callable[[], int]
    ) -> None:
        self.store = store
        self.stored = 0
        self.before: CompiledRules | None = None
        self._limits = limits
        self._compiler = Compiler(sizes)
        self._checker = SetChecker(limits)
        self._max_bytes = sizes.rules_bytes
        self._now_ns = now_ns
        self._read: dict[tuple[str, int], Rule] = {}  # rules by id and version, of the live ones

    # -- what is there -----------------------------------------------------------------------
    def program(self) -> Program:
        """The enabled rules of the store, compiled. Raises RuleError with every fault."""
        return self._compile(live(self.store.newest()))

    def _compile(self, versions: dict[str, RuleVersion]) -> Program:
        rules: list[Rule] = []
        problems: list[str] = []
        for one in versions.values():
            try:
                rules.append(self._rule(one))
            except RuleError as error:
                if plain(one).get("enabled", True):
                    problems += error.problems
        if len(versions) > self._limits.max_rules:
            most = self._limits.max_rules
            problems.append(f"these would be {len(versions)} rules, at most {most} are allowed")
        problems = problems or self._checker.faults(rules)
        if problems:
            raise RuleError(tuple(problems))
        compiled = self._compiler.compile(rules, self.before)
        content = pack(compiled)
        if len(content) > self._max_bytes:
            sentence = f"the compiled rules have {len(content)} bytes, rules.max_bytes allows"
            raise RuleError((f"{sentence} {self._max_bytes}",))
        return Program(compiled, content)

    def _rule(self, version: RuleVersion) -> Rule:
        key = version.rule_id, version.version
        if key not in self._read:
            rule = read_rule(plain(version), self._limits)
            self._read[key] = msgspec.structs.replace(rule, version=version.version)
        return self._read[key]

    # -- changes -----------------------------------------------------------------------------
    def apply(self, change: Change, ready: Ready | None = None) -> Outcome:
        """Carry out a change: all of it or, on any error, nothing.

        ready: looks at what the rules become before they are stored, and may raise to refuse it.
        Raises RuleError, ChangeError, VersionConflictError, StoreError, and what `ready` raises.
        """
        answer = self.store.answer(change.request_id) if change.request_id else None
        if answer is not None:
            return msgspec.json.decode(answer, type=Outcome)
        if change.action == "import":
            rules = read_rules(list(change.documents), self._limits, whole=False)
            asked = [self._written(rule, change) for rule in rules]
        else:
            asked = [self._one(change)]
        fresh = [one for one in asked if one is not None]
        return self._store(fresh, len(asked) - len(fresh), ready, change)

    def take_in(self, rules: Sequence[Rule], ready: Ready | None = None) -> Outcome:
        """Make the rules of rules.path those of the store: what is new, changed or gone since they
        were last taken in becomes a version. Rules that others made stay, and so does what others
        did to a rule that is still written as it was.

        Raises as apply does, and RuleError when the id of a rule belongs to somebody else.
        """
        heads, before = self._heads(), live(self.store.newest_by(SOURCE_AUTHOR))
        fresh: list[RuleVersion] = []
        problems: list[str] = []
        for rule in rules:
            head, document = heads.get(rule.id), document_of(rule)
            known = before.pop(rule.id, None)
            if known is not None and known.document == document:
                continue
            if head is not None and not head.deleted and head.owner != SOURCE_AUTHOR:
                sentence = f"is in the store already and belongs to {head.owner}; rename one of the"
                problems.append(f"rule '{rule.id}': {sentence} two")
            digest = content_hash(rule).hex()
            fresh.append(self._next(rule.id, head, "import", document, digest))
        if problems:
            raise RuleError(tuple(problems))
        for rule_id in before:
            head = heads[rule_id]
            if not head.deleted and head.owner == SOURCE_AUTHOR:
                gone = self._next(rule_id, head, "delete", head.document, head.content_hash)
                fresh.append(gone)
        return self._store(fresh, len(rules) - sum(not one.deleted for one in fresh), ready)

    def _heads(self) -> dict[str, RuleVersion]:
        return {one.rule_id: one for one in self.store.newest()}

    def _store(
        self, fresh: list[RuleVersion], unchanged: int, ready: Ready | None,
        change: Change | None = None,
    ) -> Outcome:
        heads = self._heads()
        after = live((heads | {one.rule_id: one for one in fresh}).values())
        try:
            program = self._compile(after)
        except RuleError:
            # A set that is faulty already can be made smaller, or nobody could repair it.
            shrinks = change is not None and change.action in _SHRINKING
            if not shrinks or ready is not None or self._is_good(live(heads.values())):
                raise
        else:
            if ready is not None:
                ready(program)
        changed = tuple(Changed(one.rule_id, one.version, one.action) for one in fresh)
        outcome = Outcome(changed, unchanged)
        request_id = change.request_id if change is not None else ""
        answer = Answer(request_id, msgspec.json.encode(outcome)) if request_id else None
        if fresh or answer is not None:
            self.store.append(fresh, answer)
        self.stored += len(fresh)
        kept = {(one.rule_id, one.version) for one in after.values()}
        self._read = {key: rule for key, rule in self._read.items() if key in kept}
        return outcome

    def _is_good(self, versions: dict[str, RuleVersion]) -> bool:
        try:
            self._compile(versions)
        except RuleError:
            return False
        return True

    def _one(self, change: Change) -> RuleVersion | None:
        """The version that a change of one rule makes, None when the rule is so already."""
        if change.action in ("create", "update"):
            rule = read_rule(change.documents[0], self._limits)
            if change.rule_id and change.rule_id != rule.id:
                sentence = f"the document is of rule '{rule.id}', expected '{change.rule_id}'."
                raise ChangeError(sentence)
            return self._written(rule, change)
        if change.action == "rollback":
            return self._rolled_back(change)
        head = find(self.store, change.rule_id)
        self._refuse_deleted(head)
        self._refuse_other_version(change, head)
        encoded = head.document
        if change.action != "delete":
            document, enabled = plain(head), change.action == "enable"
            if document["enabled"] == enabled:
                return None
            encoded = msgspec.json.encode(document | {"enabled": enabled})
        return self._next(
            head.rule_id, head, change.action, encoded, head.content_hash, change
        )

    def _written(self, rule: Rule, change: Change) -> RuleVersion | None:
        head = self.store.get(rule.id)
        there = head is not None and not head.deleted
        if change.action == "create" and there and head is not None:
            raise VersionConflictError(rule.id, 0, head.version)
        if change.action == "update":
            head = find(self.store, rule.id)
            self._refuse_deleted(head)
        self._refuse_other_version(change, head if there else None, rule.id)
        document = document_of(rule)
        if there and head is not None and head.document == document:
            return None
        owner = "" if there else rule.owner
        digest = content_hash(rule).hex()
        return self._next(rule.id, head, change.action, document, digest, change, owner)

    def _rolled_back(self, change: Change) -> RuleVersion | None:
        head = find(self.store, change.rule_id)
        target = find(self.store, change.rule_id, change.version)
        if target.deleted:
            sentence = f"version {target.version} of rule '{head.rule_id}' is its deletion"
            raise ChangeError(f"{sentence}; an earlier one can be gone back to.")
        self._refuse_other_version(change, head)
        if not head.deleted and head.document == target.document:
            return None
        note = change.note or f"back to version {target.version}"
        noted = msgspec.structs.replace(change, note=note)
        return self._next(
            head.rule_id, head, "rollback", target.document, target.content_hash, noted
        )

    @staticmethod
    def _refuse_deleted(head: RuleVersion) -> None:
        if head.deleted:
            sentence = f"rule '{head.rule_id}' was deleted with version {head.version}"
            raise UnknownRuleError(f"{sentence}; rollback to an earlier one brings it back.")

    @staticmethod
    def _refuse_other_version(
        change: Change, head: RuleVersion | None, rule_id: str = ""
    ) -> None:
        found = head.version if head is not None else 0
        if change.expected is not None and change.expected != found:
            raise VersionConflictError(change.rule_id or rule_id, change.expected, found)

    def _next(
        self, rule_id: str, head: RuleVersion | None, action: Action, document: bytes, digest: str,
        change: Change | None = None, owner: str = "",
    ) -> RuleVersion:
        """The version after `head`; without a change it is made by rules.path."""
        author = change.author if change is not None else SOURCE_AUTHOR
        if change is not None:
            was = head.owner if head is not None and not head.deleted else ""
            owner = change.owner or was or owner or author
        return RuleVersion(
            rule_id=rule_id,
            version=head.version + 1 if head is not None else 1,
            action=action,
            document=document,
            content_hash=digest,
            owner=owner or SOURCE_AUTHOR,
            author=author,
            at_ns=self._now_ns(),
            note=change.note if change is not None else "",
        )
