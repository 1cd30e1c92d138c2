"""Compiles rules to the flat arrays that the scan kernels read."""

import dataclasses
import hashlib
from collections.abc import Iterable

import numpy as np

from engine.metrics.entry import Metric
from engine.metrics.registry import UnknownMetric, resolve
from engine.rules.errors import RuleError
from engine.rules.identity import content_hash
from engine.rules.model import OPS, Rule

FLAG_EDGE = 1  # fires only when the root was not true in the cycle before
FLAG_HALT = 2  # names a halt, LULD or resume metric: fires for halted symbols, too

OP_CODES: dict[str, int] = {op: code for code, op in enumerate(OPS)}


@dataclasses.dataclass(frozen=True, eq=False)
class CompiledRules:
    """The enabled rules of a set, by ascending id: the index of a rule is its slot.

    rules: the R rules. hashes: their content hashes, 32 bytes each. Conditions ("leaves") of slot r
    are [rule_first[r], rule_first[r + 1]): rule_first int32[R + 1]; leaf_col int32[L], the metric
    column; leaf_op uint8[L], an index into model.OPS; leaf_const float64[L]. cooldown_ms int64[R].
    rule_uid int64[R]: first 8 bytes of SHA-256 of the rule id, never 0, the key of cooldowns.
    content_key int64[R]: first 8 bytes of the content hash. flags uint8[R]: FLAG_EDGE, FLAG_HALT.
    """

    rules: tuple[Rule, ...]
    hashes: tuple[bytes, ...]
    rule_first: np.ndarray
    leaf_col: np.ndarray
    leaf_op: np.ndarray
    leaf_const: np.ndarray
    cooldown_ms: np.ndarray
    rule_uid: np.ndarray
    content_key: np.ndarray
    flags: np.ndarray

    def __len__(self) -> int:
        return len(self.rules)


def compile_rules(rules: Iterable[Rule]) -> CompiledRules:
    """Compile the enabled ones of `rules` (valid, ids unique), sorted by id.

    Raises RuleError for a metric the catalogue does not know, two ids with one uid, or a rule that
    says more than the kernels know.
    """
    enabled = tuple(sorted((rule for rule in rules if rule.enabled), key=lambda rule: rule.id))
    for rule in enabled:
        _refuse_what_no_kernel_knows(rule)
    leaves = [condition for rule in enabled for condition in rule.conditions]
    metrics = _resolve_all(enabled)
    uids = [_key(hashlib.sha256(rule.id.encode()).digest()) for rule in enabled]
    if len(set(uids)) < len(uids):
        raise RuleError(("two rule ids have the same 64-bit key; rename one of them",))
    hashes = tuple(content_hash(rule) for rule in enabled)
    counts = [0, *(len(rule.conditions) for rule in enabled)]
    return CompiledRules(
        rules=enabled,
        hashes=hashes,
        rule_first=np.cumsum(counts, dtype=np.int32),
        leaf_col=np.array([metrics[leaf.metric].column for leaf in leaves], np.int32),
        leaf_op=np.array([OP_CODES[leaf.op] for leaf in leaves], np.uint8),
        leaf_const=np.array([leaf.value for leaf in leaves], np.float64),
        cooldown_ms=np.array([rule.cooldown_ms for rule in enabled], np.int64),
        rule_uid=np.array(uids, np.int64),
        content_key=np.array([_key(digest) for digest in hashes], np.int64),
        flags=np.array([_flags(rule, metrics) for rule in enabled], np.uint8),
    )


def _key(digest: bytes) -> int:
    """First 8 bytes as a signed number, never 0 (0 marks a free cooldown entry)."""
    return int.from_bytes(digest[:8], "little", signed=True) or 1


def _refuse_what_no_kernel_knows(rule: Rule) -> None:
    plain = Rule(id=rule.id, name=rule.name)
    if rule.tree is not None:
        raise RuleError((f"rule '{rule.id}': this engine runs rules written as conditions only",))
    if rule.trigger == "enter_exit":
        raise RuleError((f"rule '{rule.id}': trigger is enter_exit, this engine runs level, edge",))
    for key in ("universe", "once_per_session", "debounce_ms", "rearm", "max_per_min"):
        if getattr(rule, key) != getattr(plain, key):
            raise RuleError((f"rule '{rule.id}': this engine does not run rules with {key}",))


def _resolve_all(rules: tuple[Rule, ...]) -> dict[str, Metric]:
    metrics: dict[str, Metric] = {}
    for rule in rules:
        for name in rule.metrics:
            try:
                metrics[name] = resolve(name)
            except UnknownMetric as error:
                raise RuleError((f"rule '{rule.id}': {error}",)) from error
    return metrics


def _flags(rule: Rule, metrics: dict[str, Metric]) -> int:
    edge = FLAG_EDGE if rule.trigger == "edge" else 0
    halt = FLAG_HALT if any(metrics[name].about_halt for name in rule.metrics) else 0
    return edge | halt
