"""What rules fired and what kept them from firing, read off the shared tables while they run."""

import dataclasses
from collections.abc import Callable

import numpy as np

from engine.domain.tables import (
    HELD_CAPPED,
    HELD_COOLING,
    HELD_DISARMED,
    HELD_FIRED,
    HELD_ONCE,
    HELD_ROOM,
    KEPT_CAPPED,
    KEPT_LIMITED,
    KEPT_UID,
    EngineTables,
)
from engine.rules.pack import unpack
from shm.blob import Blob
from shm.fences import acquire, read_word
from shm.words import WORD_STRIDE

# Why a rule whose condition was true did not fire, or gave no alert, in order of looking.
REASONS = (
    "once_per_session", "rearm", "cooldown", "no_room", "max_per_min", "max_alerts_per_cycle",
)  # fmt: skip
_FIRED = "fired"
_OF_SCAN = {
    _FIRED: HELD_FIRED,
    "once_per_session": HELD_ONCE, "rearm": HELD_DISARMED, "cooldown": HELD_COOLING,
    "no_room": HELD_ROOM, "max_alerts_per_cycle": HELD_CAPPED,
}  # fmt: skip
_OF_ALERTS = {"max_per_min": KEPT_LIMITED, "max_alerts_per_cycle": KEPT_CAPPED}
_ATTEMPTS = 16


@dataclasses.dataclass(frozen=True)
class RuleCount:
    """One rule in force: how often it fired for a symbol since the stream began or the rule came,
    alerts that were then held back included; held_back: by each of REASONS, how often."""

    rule_id: str
    fired: int
    held_back: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Counts:
    """Counts as of about cycle n, for the R rules of a version, sorted as they are there.

    table: int64[R, 1 + REASONS]: fired, then held back by reason.
    """

    n: int
    version: int
    ids: tuple[str, ...]
    table: np.ndarray

    def rules(self) -> tuple[RuleCount, ...]:
        """Rule by rule."""
        return tuple(
            RuleCount(rule_id, fired, dict(zip(REASONS, held_back, strict=True)))
            for rule_id, (fired, *held_back) in zip(self.ids, self.table.tolist(), strict=True)
        )

    def totals(self) -> tuple[int, dict[str, int]]:
        """Firings and what was held back by reason, of all rules in force."""
        fired, *held_back = self.table.sum(axis=0).tolist()
        return fired, dict(zip(REASONS, held_back, strict=True))


@dataclasses.dataclass(frozen=True)
class _Known:
    """Ids and uids of the rules of a version."""

    version: int
    ids: tuple[str, ...]
    uids: np.ndarray


class CountsReader:
    """Reads the counts of a running engine; only looks.

    heads: CELL_HEAD[4]; held: int64[2, workers, max_rules, HELD_WORDS]; words: of the scan workers;
    kept_back: int64[max_rules, KEPT_WORDS].
    """

    def __init__(
        self, heads: np.ndarray, held: np.ndarray, words: np.ndarray, kept_back: np.ndarray,
        rules: Blob,
    ) -> None:
        self._heads = heads
        self._held = held
        self._words = words
        self._kept_back = kept_back
        self._rules = rules
        self._known = [_Known(0, (), np.empty(0, np.int64))]

    @classmethod
    def of(cls, tables: EngineTables) -> "CountsReader":
        """For a process of the engine."""
        scan = tables.scan
        return cls(
            tables.cell.heads, scan.held, scan.words, tables.kept_back, tables.rules
        )

    @classmethod
    def attached(cls, fetch: Callable[[str], np.ndarray]) -> "CountsReader":
        """For a stranger: fetch(array name) -> array, say by `segments.attach`."""
        return cls(
            fetch("cell_heads"), fetch("held"), fetch("scan_words"), fetch("kept_back"),
            Blob.opened("rules", fetch),
        )  # fmt: skip

    def read(self) -> Counts | None:
        """The counts now; workers may be a cycle apart. None when the engine overtook every attempt
        to copy them. Raises RuleBlobError, BlobError when the rules cannot be read."""
        parts = []
        for worker in range(self._held.shape[1]):
            part = self._worker(worker)
            if part is None:
                return None
            parts.append(part)
        newest = max((known for _, known, _ in parts), key=lambda known: known.version)
        counts = np.zeros((len(newest.ids), 1 + len(REASONS)), np.int64)
        for _, known, held in parts:
            _add(counts, newest.uids, known.uids, held, _OF_SCAN)
        kept = self._kept_back.copy()
        _add(counts, newest.uids, kept[:, KEPT_UID], kept, _OF_ALERTS)
        return Counts(min(n for n, _, _ in parts), newest.version, newest.ids, counts)

    def _worker(self, worker: int) -> tuple[int, _Known, np.ndarray] | None:
        """Cycle, its rules and int64[R, HELD_WORDS] of one worker. While its word says n it writes
        the counts of the other parity alone, and the cell of n stays."""
        for _ in range(_ATTEMPTS):
            n = read_word(self._words, worker * WORD_STRIDE)
            head = self._heads[n % len(self._heads)].copy()
            known = self._version(int(head["rules_version"]))
            if known is None:
                continue
            held = self._held[n & 1, worker, : len(known.ids)].copy()
            acquire()
            if read_word(self._words, worker * WORD_STRIDE) == n:
                return n, known, held
        return None

    def _version(self, version: int) -> _Known | None:
        """None when the version is not in the blob any more."""
        for known in self._known:
            if known.version == version:
                return known
        content = self._rules.read(version)
        if content is None:
            return None
        compiled = unpack(content)
        made = _Known(version, tuple(rule.id for rule in compiled.rules), compiled.rule_uid)
        self._known = [self._known[0], made, *self._known[1:2]]
        return made


def _add(
    counts: np.ndarray, uids: np.ndarray, of: np.ndarray, words: np.ndarray, columns: dict[str, int]
) -> None:
    """Add the words of rules with uids `of` to the counts of rules with `uids`, int64[R, 1 +
    REASONS]; those of other rules count for nothing."""
    _, to, at = np.intersect1d(uids, of, assume_unique=False, return_indices=True)
    for what, word in columns.items():
        counts[to, 0 if what == _FIRED else 1 + REASONS.index(what)] += words[at, word]
