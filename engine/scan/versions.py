"""The rule sets of a scan worker: that of this cycle, and what it has of the one before."""

import numpy as np

from engine.domain.tables import EngineTables
from engine.rules.compiler import CompiledRules, compile_rules, room_of
from engine.rules.pack import pack, unpack
from engine.scan.errors import ScanError

NO_RULES = unpack(pack(compile_rules(())))  # read-only arrays, as all that kernels are warm for


class Versions:
    """rules: in force; before: in force in the cycle before, None when there was none.

    same_slot, own_slot: int64[R], where a rule stood in `before`: if its content is the same, if
    its id is; -1: it did not.
    """

    def __init__(self, tables: EngineTables) -> None:
        self._tables = tables
        self._version = self._before_version = -1
        self.rules: CompiledRules = NO_RULES
        self.before: CompiledRules | None = None
        self._map()

    def take(self, version: int, before_version: int | None) -> bool:
        """Run `version` in a cycle after one with `before_version`. True when it is another set of
        rules than that of the cycle taken last. Raises ScanError when it is not there or too
        large."""
        changed = version != self._version
        if not changed and before_version == self._before_version:
            return False
        rules = self._read(version)
        before = None if before_version is None else self._read(before_version)
        self.rules, self.before = rules, before
        self._version = version
        self._before_version = -1 if before_version is None else before_version
        self._map()
        return changed

    @property
    def version(self) -> int:
        """Version in force, -1 before the first cycle."""
        return self._version

    @property
    def switched(self) -> bool:
        """True in a cycle whose rules are not those of the cycle before."""
        return self.before is None or self._version != self._before_version

    def _read(self, version: int) -> CompiledRules:
        if version == 0:
            return NO_RULES
        if version == self._version:
            return self.rules
        if version == self._before_version and self.before is not None:
            return self.before
        content = self._tables.rules.read(version)
        if content is None:
            raise ScanError(f"rules version {version} is not in the rules blob")
        rules, tables, sizes = unpack(content), self._tables.scan, self._tables.sizes
        if len(rules) > sizes.max_rules:
            raise ScanError(
                f"rules version {version} has {len(rules)} rules, at most {sizes.max_rules} fit"
            )
        if not rules.program.fits(
            tables.columns.shape[1], sizes.op_bit_slots, sizes.op_row_slots, room_of(sizes)
        ):
            raise ScanError(f"rules version {version} was compiled for larger tables")
        return rules

    def _map(self) -> None:
        before = NO_RULES if self.before is None else self.before
        rules = self.rules
        order = np.argsort(before.rule_uid)
        own = np.full(len(rules), -1, np.int64)
        same = own.copy()
        if len(before) and len(rules):
            sorted_uid = before.rule_uid[order]
            found = np.minimum(np.searchsorted(sorted_uid, rules.rule_uid), len(before) - 1)
            there = sorted_uid[found] == rules.rule_uid
            own[there] = order[found[there]]
            content = before.content_key[own] == rules.content_key
            same = np.where(there & content, own, -1)
        self.own_slot, self.same_slot = own, same
