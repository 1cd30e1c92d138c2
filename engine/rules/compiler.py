"""Compiles sets of rules to programs: what a rule needs is kept until the rule changes."""

import dataclasses
import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from engine.domain.sizes import Sizes
from engine.metrics.registry import COLUMNS, UnknownMetric, resolve
from engine.rules.assemble import assemble
from engine.rules.errors import RuleError
from engine.rules.families import Room
from engine.rules.identity import content_hash
from engine.rules.lower import Lowering, Nodes
from engine.rules.lowered import LoweredRule, lower_rule
from engine.rules.model import EVERYWHERE, Rule, Universe
from engine.rules.packed_rules import PackedRules, packed
from engine.rules.program import Program, Space

FLAG_EDGE = 1  # fires only when the root was not true in the cycle before
FLAG_HALT = 2  # names a halt, LULD or resume metric: fires for halted symbols, too

_FIXED = ("symbols", "exclude_symbols", "lists", "exclude_lists", "exchanges", "sectors")
_WASTE = 4  # times the nodes of a set that may be kept before all are lowered anew


@dataclasses.dataclass(frozen=True, eq=False)
class CompiledRules:
    """The enabled rules of a set, by ascending id: the index of a rule is its slot.

    rules: the R rules. hashes: their content hashes, uint8[R, 32]. cooldown_ms int64[R]; rule_uid
    int64[R]: first 8 bytes of SHA-256 of the rule id, never 0, the key of cooldowns; flags
    uint8[R]: FLAG_EDGE, FLAG_HALT; max_per_min int32[R], 0 no limit; universe int32[R]: which of
    `universes` a symbol must be in, -1 any.
    """

    rules: Sequence[Rule]
    hashes: np.ndarray
    cooldown_ms: np.ndarray
    rule_uid: np.ndarray
    flags: np.ndarray
    max_per_min: np.ndarray
    universe: np.ndarray
    universes: tuple[Universe, ...]
    program: Program

    def __len__(self) -> int:
        return len(self.cooldown_ms)

    @property
    def content_key(self) -> np.ndarray:
        """First 8 bytes of the content hashes: int64[R]."""
        key: np.ndarray = np.ascontiguousarray(self.hashes[:, :8]).view(np.int64).reshape(-1)
        return key


@dataclasses.dataclass(frozen=True, eq=False)
class _Kept:
    """A rule and all that depends on nothing else. packed: its bytes in a blob."""

    rule: Rule
    lowered: LoweredRule
    digest: bytes
    uid: int
    flags: int
    packed: bytes


def space_of(sizes: Sizes) -> Space:
    """What a program may take in tables of these sizes."""
    return Space(
        nodes=sizes.max_nodes,
        planes=sizes.op_bit_slots,
        rows=sizes.op_row_slots,
        derived=sizes.max_derived,
        captures=sizes.max_captures,
        families=room_of(sizes),
        first_family=COLUMNS,
        first_derived=COLUMNS + sizes.max_families,
    )


def room_of(sizes: Sizes) -> Room:
    """What families may take in tables of these sizes."""
    return Room(sizes.max_families, sizes.family_rows)


class Compiler:
    """Compiles one set after another; only what changed is lowered again."""

    def __init__(self, sizes: Sizes) -> None:
        self._space = space_of(sizes)
        self._max_rules = sizes.max_rules
        self._kept: dict[str, _Kept] = {}
        self._forget()

    def _forget(self) -> None:
        self._kept.clear()
        self._nodes = Nodes()
        self._lowering = Lowering(self._nodes)

    def compile(self, rules: Iterable[Rule], before: CompiledRules | None = None) -> CompiledRules:
        """Compile the enabled ones of `rules` (valid, ids unique), sorted by id.

        before: the set that was published last; what goes on keeps its place in memory. Raises
        RuleError for an unknown metric, two ids with one uid, or a set that is too large.
        """
        enabled = sorted((rule for rule in rules if rule.enabled), key=lambda rule: rule.id)
        if len(enabled) > self._max_rules:
            raise RuleError(
                (f"{len(enabled)} rules are enabled, at most {self._max_rules} are allowed",)
            )
        kept = [self._keep(rule) for rule in enabled]
        self._kept = {one.rule.id: one for one in kept}
        program = assemble(
            enabled, [one.lowered for one in kept], self._nodes, lambda name: resolve(name).column,
            self._space, None if before is None else before.program,
        )  # fmt: skip
        compiled = _compiled(kept, program)
        if len(self._nodes) > max(1 << 16, _WASTE * len(program.code.nodes)):
            self._forget()
        return compiled

    def _keep(self, rule: Rule) -> _Kept:
        kept = self._kept.get(rule.id)
        if kept is None or (kept.rule is not rule and kept.rule != rule):
            return self._lower(rule)
        return kept

    def _lower(self, rule: Rule) -> _Kept:
        try:
            lowered = lower_rule(rule, self._nodes, self._lowering)
            digest = content_hash(rule)
            halt = any(resolve(name).about_halt for name in rule.metrics)
        except UnknownMetric as error:
            raise RuleError((f"rule '{rule.id}': {error}",)) from error
        limit = self._space.captures
        if len(lowered.captures) > limit:
            raise RuleError(
                (f"rule '{rule.id}': its alerts would carry {len(lowered.captures)} values, at"
                 f" most {limit} fit",)
            )  # fmt: skip
        edge = 0 if rule.trigger == "level" else FLAG_EDGE
        uid = rule_key(rule.id)
        return _Kept(rule, lowered, digest, uid, edge | (FLAG_HALT if halt else 0), packed(rule))


def _compiled(kept: Sequence[_Kept], program: Program) -> CompiledRules:
    rules = PackedRules.of([one.packed for one in kept])
    uids = [one.uid for one in kept]
    if len(set(uids)) < len(uids):
        raise RuleError(("two rule ids have the same 64-bit key; rename one of them",))
    universe, universes = _universes([one.rule.universe for one in kept])
    return CompiledRules(
        rules=rules,
        hashes=np.frombuffer(b"".join(one.digest for one in kept), np.uint8).reshape(-1, 32),
        cooldown_ms=np.array([one.rule.cooldown_ms for one in kept], np.int64),
        rule_uid=np.array(uids, np.int64),
        flags=np.array([one.flags for one in kept], np.uint8),
        max_per_min=np.array([one.rule.max_per_min for one in kept], np.int32),
        universe=universe,
        universes=universes,
        program=program,
    )


def _universes(universes: Sequence[Universe]) -> tuple[np.ndarray, tuple[Universe, ...]]:
    """What of them does not change from cycle to cycle, each once, and which one a rule has."""
    places: dict[Universe, int] = {EVERYWHERE: -1}
    found = []
    for universe in universes:
        fixed = EVERYWHERE
        if universe is not EVERYWHERE:
            fixed = Universe(**{name: getattr(universe, name) for name in _FIXED})
        found.append(places.setdefault(fixed, len(places) - 1))
    return np.array(found, np.int32), tuple(places)[1:]


def rule_key(rule_id: str) -> int:
    """The rule_uid of an id: never 0, which marks a free cooldown entry."""
    digest = hashlib.sha256(rule_id.encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True) or 1


def compile_rules(
    rules: Iterable[Rule], sizes: Sizes | None = None, before: CompiledRules | None = None
) -> CompiledRules:
    """Compile one set, see Compiler.compile."""
    return Compiler(sizes or Sizes(capacity=1)).compile(rules, before)
