"""In-memory store of rules that behaves like the real one: for tests and runs that keep nothing."""

from collections.abc import Sequence

from engine.storage.rule_ports import (
    DEFAULT_BOUNDS,
    SOURCE_AUTHOR,
    Answer,
    Bounds,
    RuleVersion,
    VersionConflictError,
)


class MemoryRuleStore:
    """RuleStore in dicts."""

    def __init__(self, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self.dropped = 0
        self._bounds = bounds
        self._rules: dict[str, list[RuleVersion]] = {}  # in order of change
        self._answers: dict[str, bytes] = {}

    def newest(self) -> list[RuleVersion]:
        """See RuleReader.newest."""
        return [self._rules[rule_id][-1] for rule_id in sorted(self._rules)]

    def get(self, rule_id: str, version: int | None = None) -> RuleVersion | None:
        """See RuleReader.get."""
        known = self._rules.get(rule_id, [])
        found = [one for one in known if version in (None, one.version)]
        return found[-1] if found else None

    def history(
        self, rule_id: str, limit: int, before: int | None = None
    ) -> list[RuleVersion]:
        """See RuleReader.history."""
        known = self._rules.get(rule_id, [])
        older = [one for one in reversed(known) if before is None or one.version < before]
        return older[: max(limit, 0)]

    def newest_by(self, author: str) -> list[RuleVersion]:
        """See RuleReader.newest_by."""
        mine = [self._newest_of(rule_id, author) for rule_id in sorted(self._rules)]
        return [one for one in mine if one is not None]

    def answer(self, request_id: str) -> bytes | None:
        """See RuleReader.answer."""
        return self._answers.get(request_id)

    def append(self, versions: Sequence[RuleVersion], answer: Answer | None = None) -> None:
        """See RuleStore.append."""
        heads = {rule_id: known[-1].version for rule_id, known in self._rules.items()}
        for one in versions:
            found = heads.get(one.rule_id, 0)
            if one.version != found + 1:
                raise VersionConflictError(one.rule_id, one.version - 1, found)
            heads[one.rule_id] = one.version
        for one in versions:
            self._rules[one.rule_id] = [*self._rules.pop(one.rule_id, []), one]
            self._drop_versions(one.rule_id)
        deleted = [rule_id for rule_id, known in self._rules.items() if known[-1].deleted]
        for rule_id in deleted[: max(0, len(deleted) - self._bounds.deleted)]:
            self.dropped += len(self._rules.pop(rule_id))
        if answer is not None:
            self._answers.setdefault(answer.request_id, answer.text)
            for request_id in list(self._answers)[: -self._bounds.answers]:
                del self._answers[request_id]

    def close(self) -> None:
        """Nothing to close."""

    def _newest_of(self, rule_id: str, author: str) -> RuleVersion | None:
        mine = [one for one in self._rules[rule_id] if one.author == author]
        return mine[-1] if mine else None

    def _drop_versions(self, rule_id: str) -> None:
        known, of_source = self._rules[rule_id], self._newest_of(rule_id, SOURCE_AUTHOR)
        oldest = known[-1].version - self._bounds.versions
        kept = [one for one in known if one.version > oldest or one is of_source]
        self.dropped += len(known) - len(kept)
        self._rules[rule_id] = kept
