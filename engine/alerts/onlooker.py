"""Looks at one rule for one symbol, in a cycle that stands still or between two of an engine."""

import dataclasses
import time
from typing import NamedTuple

import numpy as np

from engine.alerts.sight import ATTEMPTS, PAUSE_S, BusyError, Sight, UnseenError
from engine.alerts.standing import Met, Scene, Standing, bit
from engine.alerts.why import metrics_of, remembered_of
from engine.domain import records
from engine.domain.session_clock import day_time
from engine.domain.tables import CELL_SLOTS
from engine.metrics.reach_nb import reaches_gap_nb
from engine.metrics.registry import resolve
from engine.rules import opcodes as op
from engine.rules.compiler import FLAG_HALT, CompiledRules, rule_key
from engine.rules.families import column_of
from engine.rules.model import Rule
from engine.rules.published import PublishedRules
from engine.rules.recall import Copy, Places, Recall, copy_places
from engine.rules.words import near

_SEARCH_AGAIN = 64  # attempts after which the table of cooldowns is searched anew
_SYMBOL = (1 << 32) - 1


class Force(NamedTuple):
    """A rule in a version of the rules. slot: its place among them, -1: it is none of them."""

    version: int
    compiled: CompiledRules
    rule: Rule
    slot: int
    places: Places


class Cooled(NamedTuple):
    """Where entries of cooldowns of a pair stand: worker and place."""

    worker: int
    places: np.ndarray


class Onlooker:
    """Looks at one rule for one symbol. stored: the rule as it is kept, for a cycle whose rules do
    not hold it; None: there is none. Raises UnseenError."""

    def __init__(self, sight: Sight, rule_id: str, ticker: str, stored: Rule | None) -> None:
        self.sight = sight
        self.rule_id = rule_id
        self.ticker = ticker
        self.symbol = sight.symbol(ticker)
        self._stored = stored
        self._forces: dict[int, Force] = {}
        self._rules = PublishedRules(sight.rules)
        self._session = sight.session.copy()
        self._columns: dict[int, tuple[tuple[str, ...], np.ndarray]] = {}

    # -- the newest cycle of an engine that runs ---------------------------------------------------
    def look(self) -> Standing:
        """The newest cycle that everybody has applied. Raises UnseenError, BusyError."""
        cells = self.sight.cells
        entries = self.cooling()
        for attempt in range(ATTEMPTS):
            n = cells.published()
            if n < 1:
                raise UnseenError("no cycle has been run yet.")
            if attempt % _SEARCH_AGAIN == _SEARCH_AGAIN - 1:
                entries = self.cooling()
            found = self._once(n, entries)
            if found is not None:
                return found
            time.sleep(PAUSE_S)
        raise BusyError("the engine runs cycles faster than they can be looked at; try again.")

    def _once(self, n: int, entries: Cooled) -> Standing | None:
        """Workers begin n + 1 only after it is published: while n is the newest cell and all have
        applied it, both copies of what they write stand still."""
        sight = self.sight
        version = int(sight.heads[n % CELL_SLOTS]["rules_version"])
        try:
            self.force(version)  # takes long the first time
            if sight.cells.published() != n or not sight.applied(n):
                return None
            standing = self.take(n, entries)
        except BusyError:  # the rules of n or of the cycle before have just gone
            return None
        whole = sight.cells.valid(n) and sight.cells.published() == n
        if not whole or not sight.applied(n):
            return None
        return self._with_new_entry(standing)

    # -- a cycle that stands still -----------------------------------------------------------------
    def take(
        self, n: int, entries: Cooled | None = None,
        also: tuple[tuple[Places, Copy], ...] = (), met: Met | None = None,
    ) -> Standing:
        """Cycle n, the newest one, of tables that nobody writes. also: memories of other programs
        that are asked after that of the engine. Raises UnseenError."""
        sight, symbol = self.sight, self.symbol
        head = sight.heads[n % CELL_SLOTS].copy()
        before = sight.heads[(n - 1) % CELL_SLOTS].copy()
        before_ns = int(before["t_ns"]) if n > 1 else None
        force = self.force(int(head["rules_version"]))
        row = sight.rows[n % CELL_SLOTS][symbol].copy()
        t_ns = int(head["t_ns"])
        names, columns = self._values_of(force)
        values = np.where(columns >= 0, sight.columns[n & 1, columns, symbol], np.nan).tolist()
        scene = self._scene(n, force, head, before, row, entries or self.cooling())
        copy = copy_places(
            force.places, sight.op_bits, sight.op_rows, sight.columns[n & 1], n, symbol
        )
        return Standing(
            rule=force.rule,
            symbol=self.ticker,
            n=n,
            t_ns=t_ns,
            before_ns=before_ns,
            day=day_time(t_ns, self._session[0]),
            values=dict(zip(names, values, strict=True)) if scene.known else {},
            reaching=self._reaching(names, row, head),
            recall=Recall([(force.places, copy), *also], t_ns, known=scene.known),
            scene=scene,
            met=met,
        )

    def _values_of(self, force: Force) -> tuple[tuple[str, ...], np.ndarray]:
        """The metrics that the rule names and their columns, -1: nobody computes it."""
        if force.version not in self._columns:
            names, placed = metrics_of(force.rule), force.compiled.program.families
            columns = np.array([column_of(name, placed) for name in names], np.int64)
            self._columns = {force.version: (names, columns)}
        return self._columns[force.version]

    def _reaching(self, names: tuple[str, ...], row: np.void, head: np.void) -> frozenset[str]:
        gap, bar = int(row["gap"]), int(row["bar_index"])
        if not gap:
            return frozenset()
        session = self._session.view(np.int64).reshape(-1)
        t_ns, closed = int(head["t_ns"]), int(head["closed_minute"])
        return frozenset(
            name
            for name, reach in ((name, resolve(name).reach) for name in names)
            if reaches_gap_nb(reach.kind, reach.span, gap, bar, t_ns, closed, session)
        )

    # -- rules -------------------------------------------------------------------------------------
    def _set(self, version: int) -> CompiledRules:
        found = self._rules.get(version)
        if found is None:
            raise BusyError("the rules are just being exchanged; try again.")
        return found

    def force(self, version: int) -> Force:
        """The rule in a version of the rules. Raises UnseenError, BusyError."""
        if version in self._forces:
            return self._forces[version]
        compiled = self._set(version)
        found = np.flatnonzero(compiled.rule_uid == rule_key(self.rule_id))
        slot = int(found[0]) if len(found) else -1
        rule = compiled.rules[slot] if slot >= 0 else self._stored
        if rule is None:
            known = [one.id for one in compiled.rules]
            nearest = near(self.rule_id, known)
            hint = f"; did you mean {nearest}?" if nearest else "."
            raise UnseenError(
                f"there is no rule '{self.rule_id}' among the {len(known)} in force{hint}"
            )
        places = Places(compiled.program, remembered_of(rule), self.sight.first_derived)
        self._forces = {version: Force(version, compiled, rule, slot, places)}
        return self._forces[version]

    def _slot_before(self, force: Force, version: int) -> int:
        """Slot that the same content had in the version of the cycle before, -1 none."""
        if version == force.version or force.slot < 0:
            return force.slot
        if version == 0:
            return -1
        compiled = self._set(version)
        found = np.flatnonzero(compiled.rule_uid == force.compiled.rule_uid[force.slot])
        if not len(found):
            return -1
        slot = int(found[0])
        same = compiled.content_key[slot] == force.compiled.content_key[force.slot]
        return slot if same else -1

    # -- firing ------------------------------------------------------------------------------------
    def _scene(
        self, n: int, force: Force, head: np.void, before: np.void, row: np.void, entries: Cooled
    ) -> Scene:
        sight, symbol, slot = self.sight, self.symbol, force.slot
        session, t_ns = self._session[0], int(head["t_ns"])
        test = bool(int(sight.reference[symbol]["flags"]) & records.REF_TEST_ISSUE)
        known = self._admitted(head) and not row["blind"] and not test
        known_before = False
        if n > 1:
            row_before = sight.rows[(n - 1) % CELL_SLOTS][symbol]
            known_before = self._admitted(before) and not int(row_before["blind"]) and not test
        slot_before = -1
        if n > 1:
            slot_before = self._slot_before(force, int(before["rules_version"]))
        halt = any(resolve(name).about_halt for name in force.rule.metrics)
        if slot >= 0:
            halt = bool(force.compiled.flags[slot] & FLAG_HALT)

        def plane(which: int, copy: int) -> bool:
            at = int(force.compiled.program.code.repeats[slot, which]) if slot >= 0 else -1
            return at >= 0 and bit(sight.op_bits[copy, at], symbol)

        past, now = 1 - (n & 1), n & 1
        return Scene(
            in_force=slot >= 0,
            known=known,
            blind=bool(row["blind"]),
            test_issue=test,
            halted=bool(row["halted"]) and not halt,
            open=int(session["start_ns"]) <= t_ns <= int(session["end_ns"]),
            known_before=known_before,
            new=slot_before < 0,
            true=slot >= 0 and bit(sight.truth[now, slot], symbol),
            true_before=slot_before >= 0 and bit(sight.truth[past, slot_before], symbol),
            once=plane(op.R_ONCE, past),
            disarmed=plane(op.R_DISARMED, past),
            entered=plane(op.R_ENTERED, past),
            left=plane(op.R_LEFT, now),
            cooled_ns=self._cooled(entries, t_ns),
        )

    def _admitted(self, head: np.void) -> bool:
        worker, place = divmod(self.symbol, self.sight.slice_rows)
        return place < int(head["symbol_count"][worker])

    # -- cooldowns ---------------------------------------------------------------------------------
    def cooling(self) -> Cooled:
        """Entries of the pair as they stand now: the table is large, so it is searched before the
        moment in which everything stands still."""
        worker = self.symbol // self.sight.slice_rows
        table = self.sight.cooldowns[worker]
        mine = table[:, 0] == rule_key(self.rule_id)
        places = np.flatnonzero(mine)
        return Cooled(worker, places[table[places, 1] & _SYMBOL == self.symbol])

    def _cooled(self, entries: Cooled, t_ns: int) -> int:
        """T of the newest firing up to t_ns that these entries tell of, 0 none."""
        table = self.sight.cooldowns[entries.worker][entries.places]
        ours = (table[:, 0] == rule_key(self.rule_id)) & (table[:, 1] & _SYMBOL == self.symbol)
        ours &= table[:, 2] <= t_ns
        return int(table[ours, 2].max(initial=0))

    def _with_new_entry(self, standing: Standing) -> Standing:
        """An entry made after the search and before the moment stands in the table since."""
        cooled_ns = max(standing.scene.cooled_ns, self._cooled(self.cooling(), standing.t_ns))
        scene = dataclasses.replace(standing.scene, cooled_ns=cooled_ns)
        return dataclasses.replace(standing, scene=scene)
