"""One scan worker: metrics, rules, firings, commit to the lane, apply. One cycle at a time.

Judging and firing read the state after n - 1 and write only what nobody reads before the worker's
state word says n, or what running the cycle again writes the same; commit is one store of the
lane's tail; apply stamps cooldowns and stores the state word. A successor of a killed worker runs
the same cycle again: what is stamped with this T_k fires again, the lane tells whether end-of-n is
committed. So a kill at any step changes nothing.
"""

from typing import NamedTuple

import numpy as np

from engine.domain.records import LANE_END, R_BAR_INDEX
from engine.domain.session_clock import day_time
from engine.domain.tables import CELL_SLOTS, EngineTables
from engine.families.stage import Families
from engine.metrics.columns import MetricColumns
from engine.metrics.registry import COLUMN, COLUMNS, REACH, resolve
from engine.rules.bits_nb import WORD_BITS
from engine.rules.evaluator import Evaluator, Moment
from engine.rules.families import Placed, chosen
from engine.scan.across import Across, sources
from engine.scan.commit_nb import slots_needed_nb, write_alerts_nb
from engine.scan.cooldown import Cooldowns
from engine.scan.due import Due
from engine.scan.errors import ScanError
from engine.scan.fire_nb import (
    ALERTS,
    COOLED,
    COUNTS,
    FIRED,
    FULL,
    STAMPS,
    TRUE_PAIRS,
    fire_nb,
)
from engine.scan.scope import Scope
from engine.scan.versions import Versions
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE

_SUSPECT = COLUMN["split_suspect"]


class Rules(NamedTuple):
    """What firing reads of the rules, see CompiledRules and Versions."""

    cooldown_ms: np.ndarray
    flags: np.ndarray
    repeats: np.ndarray
    universe: np.ndarray
    same_slot: np.ndarray
    own_slot: np.ndarray


class Scene(NamedTuple):
    """What firing reads of a cycle: truth uint64[>= R, rows / 64] of it and of the one before; of
    the slice, which begins at first_word: see Scope."""

    true: np.ndarray
    true_before: np.ndarray
    known: np.ndarray
    halted: np.ndarray
    known_before: np.ndarray
    members: np.ndarray
    first_word: int


class Work(NamedTuple):
    """Private room of firing, rebuilt in each cycle. rank, by_rank: see Scope; listed int64[2,
    slice / 64]; ranks int64[slice]; marks uint64[slice / 64], zero; alerts, stamps, fired
    uint64[slice / 64], counts: results."""

    rank: np.ndarray
    by_rank: np.ndarray
    listed: np.ndarray
    ranks: np.ndarray
    marks: np.ndarray
    alerts: np.ndarray
    stamps: np.ndarray
    fired: np.ndarray
    counts: np.ndarray


class ScanStage:
    """Runs the cycles of one slice: rows [worker * slice_rows, (worker + 1) * slice_rows).

    state_n: the last cycle applied.
    """

    def __init__(self, tables: EngineTables, worker: int) -> None:
        sizes = tables.sizes
        self.tables = tables
        self.worker = worker
        self.first, self.end = worker * sizes.slice_rows, (worker + 1) * sizes.slice_rows
        self.first_word, self.end_word = self.first // WORD_BITS, self.end // WORD_BITS
        self.lane = tables.lanes[worker]
        self.cooldowns = Cooldowns(tables, worker)
        self.rows = tables.cell.rows.view(np.int64).reshape(CELL_SLOTS, sizes.rows, -1)
        self.session = tables.session.view(np.int64).reshape(-1)
        self.metrics = MetricColumns(tables, worker)
        self.families = Families(tables, worker, COLUMNS)
        self.evaluator = Evaluator(
            tables.scan.op_bits, tables.scan.op_rows, self.first_word, self.end_word
        )
        self.across = Across(sizes.rows, self.first, self.end)
        self.scope = Scope(tables, worker)
        self.due = Due(tables, worker)
        self.work = Work(
            rank=self.scope.rank,
            by_rank=self.scope.by_rank,
            listed=np.zeros((2, sizes.slice_rows // WORD_BITS), np.int64),
            ranks=np.zeros(sizes.slice_rows, np.int64),
            marks=np.zeros(sizes.slice_rows // WORD_BITS, np.uint64),
            alerts=np.zeros(sizes.max_alerts_per_cycle, np.int64),
            stamps=np.zeros(sizes.max_cooling, np.int64),
            fired=np.zeros(sizes.slice_rows // WORD_BITS, np.uint64),
            counts=np.zeros(COUNTS, np.int64),
        )
        self._forget()

    def _forget(self) -> None:
        self.state_n = 0
        self._judged_n = self._fired_n = -1
        self.scope.forget()
        self.families.forget()
        self.versions = Versions(self.tables)
        self._use_rules()

    @property
    def counts(self) -> np.ndarray:
        """Words of fire_nb for the last cycle evaluated: alerts, fired, stamps and so on."""
        return self.work.counts

    @property
    def symbols(self) -> int:
        """Admitted symbols of the slice that the last cycle looked at."""
        if self.due.everyone:
            return self.scope.count
        return int(np.bitwise_count(self.due.due).sum())

    def splits_suspected(self, n: int) -> int:
        """Symbols of the slice whose first price looks like a split, in cycle n, the newest one."""
        column = self.tables.scan.columns[n & 1, _SUSPECT, self.first : self.end]
        return int((column == 1.0).sum())

    @property
    def rules(self) -> int:
        """Rules in force in the last cycle evaluated."""
        return len(self.versions.rules)

    def recover(self) -> None:
        """Take up the state in the tables: a fresh start and the successor of a killed worker."""
        self._forget()
        self.state_n = read_word(self.tables.scan.words, self.worker * WORD_STRIDE)

    def committed_n(self) -> int:
        """The last cycle whose end record is in the lane, state_n if the lane was never used."""
        tail = self.lane.tail()
        last = self.lane.data[(tail - 1) & (self.lane.slots - 1)]
        return int(last[1]) if tail > 0 and int(last[0]) == LANE_END else self.state_n

    def run(self, n: int) -> bool:
        """Run cycle n = state_n + 1, whose cell is published and whose indicators are ready.

        False: the lane has no room; nothing is committed, call again. Raises ScanError when the
        cycle, its cell or its rules are not there.
        """
        if n == self.state_n:
            return True
        if n != self.state_n + 1:
            raise ScanError(f"scan worker {self.worker} is at cycle {self.state_n}, not before {n}")
        if self._judged_n != n:
            self.judge(n)
        return self.finish(n)

    def _head(self, n: int) -> np.void:
        head: np.void = self.tables.cell.heads[n % CELL_SLOTS]
        if int(head["n"]) != n:
            raise ScanError(f"the cell of cycle {n} holds cycle {int(head['n'])}")
        return head

    # -- judge -----------------------------------------------------------------------------------
    def judge(self, n: int) -> None:
        """First half of `run`: rules, scope, metrics and the truth of every rule in cycle n."""
        head, scan = self._head(n), self.tables.scan
        before = self._head(n - 1) if n > 1 else None
        self._take_rules(n, head, before)
        self.scope.take(n, head, before)
        self.due.take(n, head, before, self.scope, self.versions.rules.universes)
        self.metrics.compute(n)
        self.families.step(n)
        columns, t_ns = scan.columns[n & 1], int(head["t_ns"])
        self._fill_across(n, before, columns)
        day = day_time(t_ns, self.tables.session[0])
        before_ns = None if before is None else int(before["t_ns"])
        self.evaluator.run(
            n, Moment(t_ns, before_ns, day.session, day.weekday, day.minute), columns,
            self.scope.known, self.scope.known_before, self._closed(n, head), self.due.closes,
            scan.truth[n & 1],
            self.due.look(
                scan.truth[1 - (n & 1)], self.versions.same_slot, scan.columns[1 - (n & 1)]
            ),
        )  # fmt: skip
        self._judged_n = n

    def _take_rules(self, n: int, head: np.void, before: np.void | None) -> None:
        """Switch to the decided version. Pairs that still cool take their rule's cooldown of now;
        whoever has cooled down has: an answer depends on nothing but live entries."""
        versions = self.versions
        version = int(head["rules_version"])
        changed = versions.take(version, None if before is None else int(before["rules_version"]))
        if changed:
            self.cooldowns.take(versions.rules, int(head["t_ns"]))
            self._use_rules()
        past = None if versions.before is None else versions.before.program
        if versions.switched:
            self.evaluator.forget_new(n, past)
        if versions.switched or changed:
            known = None if past is None else chosen(past.families)
            self.families.take(n, chosen(versions.rules.program.families), known)

    def _use_rules(self) -> None:
        rules = self.versions.rules
        self.evaluator.take(rules.program)
        self.across.take(rules.program)
        self.scope.use(rules.universes)
        self._reach = reach_of(rules.program.families, self.tables.sizes.max_families)

    def _fill_across(self, n: int, before: np.void | None, columns: np.ndarray) -> None:
        """Columns that compare symbols, as of the cycle before."""
        scan, versions = self.tables.scan, self.versions
        if not len(versions.rules.program.code.across):
            return
        seen = np.zeros(scan.truth.shape[2], np.uint64)
        if before is not None:
            seen = self.scope.seen_everywhere(n - 1, before)
            admitted = int(before["symbol_count"].sum())
            self.across.know(admitted, self.tables.reference, self.tables.book.lists)
        past = None if versions.before is None else versions.before.program
        first_derived = columns.shape[0] - self.tables.sizes.max_derived
        ready = sources(
            versions.rules.program, past, versions.same_slot, first_derived, COLUMNS
        )
        other = 1 - (n & 1)
        self.across.run(ready, scan.columns[other], scan.truth[other], seen, columns)

    def _closed(self, n: int, head: np.void) -> np.ndarray:
        """Symbols of the slice whose bars closed since they were looked at last, uint64[slice /
        64]; due.closes says how many had closed before and have now."""
        if not self.due.everyone:
            return self.due.closed()
        if not int(head["event_count"]):
            return np.zeros(self.end_word - self.first_word, np.uint64)
        part = slice(self.first, self.end)
        for at, cycle in enumerate((n - 1, n)):
            self.due.closes[part, at] = self.rows[cycle % CELL_SLOTS, part, R_BAR_INDEX]
        more = self.due.closes[part, 1] > self.due.closes[part, 0]
        return np.packbits(more, bitorder="little").view(np.uint64)

    # -- fire, commit, apply ---------------------------------------------------------------------
    def finish(self, n: int) -> bool:
        """Second half of `run`: firings, commit, apply. False: the lane has no room, call again."""
        if self._fired_n != n:
            self._fire(n)
        if self.committed_n() < n and not self._commit(n):
            return False
        self._apply(n)
        return True

    def _fire(self, n: int) -> None:
        scan, scope, versions = self.tables.scan, self.scope, self.versions
        rules, t_ns, session = versions.rules, int(self._head(n)["t_ns"]), self.tables.session[0]
        known = scope.known & self.due.due
        if not int(session["start_ns"]) <= t_ns <= int(session["end_ns"]):
            known = np.zeros_like(known)
        self.cooldowns.expire(t_ns)
        fire_nb(
            Rules(
                rules.cooldown_ms, rules.flags, rules.program.code.repeats, rules.universe,
                versions.same_slot, versions.own_slot,
            ),
            Scene(
                scan.truth[n & 1], scan.truth[1 - (n & 1)], known, scope.halted,
                scope.known_before, scope.members, self.first_word,
            ),
            self.evaluator.past, self.cooldowns.bits, self.cooldowns.room, self.work,
            scan.held[1 - (n & 1), self.worker], scan.held[n & 1, self.worker],
        )  # fmt: skip
        self._fired_n = n

    def _commit(self, n: int) -> bool:
        """Alerts and end-of-n into the lane, then one store of its tail. False: no room."""
        lane, work, evaluator = self.lane, self.work, self.evaluator
        code, count = self.versions.rules.program.code, int(work.counts[ALERTS])
        if slots_needed_nb(work.alerts, count, code.capture_first) > lane.free():
            return False
        head = self._head(n)
        at = write_alerts_nb(
            lane.data, lane.data.view(np.float64), lane.tail(), work.alerts, count, code,
            evaluator.past, evaluator.cycle, evaluator.room.bits, self._reach,
            self.rows[n % CELL_SLOTS], n, int(head["closed_minute"]), self.session,
            self.versions.version,
        )  # fmt: skip
        lane.data[at & (lane.slots - 1)] = (
            LANE_END, n, count, work.counts[FIRED], head["t_ns"],
            work.counts[COOLED], work.counts[TRUE_PAIRS], work.counts[FULL],
        )  # fmt: skip
        lane.publish(at + 1)
        return True

    def _apply(self, n: int) -> None:
        work, t_ns = self.work, int(self._head(n)["t_ns"])
        self.cooldowns.stamp(work.stamps, int(work.counts[STAMPS]), self.versions.rules, t_ns)
        if work.counts[FIRED]:
            fired = np.unpackbits(work.fired.view(np.uint8), bitorder="little").view(bool)
            self.tables.scan.fired_ns[self.first : self.end][fired] = t_ns
        write_word(self.tables.scan.words, self.worker * WORD_STRIDE, n)
        self.state_n = n


def reach_of(families: Placed, max_families: int) -> np.ndarray:
    """How far back the window of each column reaches, those of families included: int64[columns,
    2], kind and span."""
    reach = np.zeros((len(REACH) + max_families, 2), np.int64)
    reach[: len(REACH)] = REACH
    for name, slot in zip(families.names, families.slot.tolist(), strict=True):
        found = resolve(name).reach
        reach[len(REACH) + slot] = found.kind, found.span
    return reach
