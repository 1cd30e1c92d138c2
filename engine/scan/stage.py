"""One scan worker: metrics, rules, firings, commit to the lane, apply. One cycle at a time.

Judging and firing read the state after n - 1 and write nothing that anybody reads; commit is one
store of the lane's tail; apply stamps cooldowns and stores the worker's state word. A successor of
a killed worker runs the same cycle again: what is stamped with this T_k fires again, the lane tells
whether end-of-n is committed. So a kill at any step changes nothing.
"""

import dataclasses

import numpy as np

from engine.domain.records import LANE_END
from engine.domain.tables import CELL_SLOTS, EngineTables
from engine.metrics.columns import MetricColumns
from engine.metrics.registry import REACH
from engine.rules.compiler import CompiledRules, compile_rules
from engine.rules.evaluate_nb import WORD_BITS, evaluate_nb
from engine.rules.pack import pack, unpack
from engine.rules.plan import plan_leaves
from engine.scan.commit_nb import slots_needed_nb, write_alerts_nb
from engine.scan.cooldown import Cooldowns
from engine.scan.errors import ScanError
from engine.scan.fire_nb import (
    ALERTS,
    COOLED,
    COUNTS,
    FIRED,
    FULL,
    REF_WORDS,
    STAMPS,
    TRUE_PAIRS,
    fire_nb,
    scope_nb,
)
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE

_NO_RULES = unpack(pack(compile_rules(())))  # read-only arrays, as all that kernels are warm for


@dataclasses.dataclass
class _Work:
    """Private room of one worker: everything is rebuilt each cycle, nothing survives a kill."""

    known: np.ndarray
    halted: np.ndarray
    known_before: np.ndarray
    rank: np.ndarray
    by_rank: np.ndarray
    listed: np.ndarray
    ranks: np.ndarray
    marks: np.ndarray
    alerts: np.ndarray
    stamps: np.ndarray
    counts: np.ndarray


def _work(slice_rows: int, places: int, cap: int) -> _Work:
    words = slice_rows // WORD_BITS
    return _Work(
        known=np.zeros(words, np.uint64),
        halted=np.zeros(words, np.uint64),
        known_before=np.zeros(words, np.uint64),
        rank=np.arange(slice_rows, dtype=np.int32),
        by_rank=np.arange(slice_rows, dtype=np.int32),
        listed=np.zeros((2, words), np.int64),
        ranks=np.zeros(slice_rows, np.int64),
        marks=np.zeros(words, np.uint64),
        alerts=np.zeros(cap, np.int64),
        stamps=np.zeros(places, np.int64),
        counts=np.zeros(COUNTS, np.int64),
    )


class ScanStage:
    """Runs the cycles of one slice: rows [worker * slice_rows, (worker + 1) * slice_rows).

    state_n: the last cycle applied. symbols: admitted symbols of the slice.
    """

    def __init__(self, tables: EngineTables, worker: int) -> None:
        sizes = tables.sizes
        self.tables = tables
        self.worker = worker
        self.first = worker * sizes.slice_rows
        self.first_word = self.first // WORD_BITS
        self.end_word = self.first_word + sizes.slice_rows // WORD_BITS
        self.lane = tables.lanes[worker]
        self.cooldowns = Cooldowns(tables, worker)
        self.rows = tables.cell.rows.view(np.int64).reshape(CELL_SLOTS, sizes.rows, -1)
        self.reference = tables.reference.view(np.int64).reshape(-1, REF_WORDS)
        self.session = tables.session.view(np.int64).reshape(-1)
        self.columns_i = tables.scan.columns.view(np.int64)
        self.metrics = MetricColumns(tables, worker)
        self.work = _work(sizes.slice_rows, sizes.max_cooling, sizes.max_alerts_per_cycle)
        self._forget()

    def _forget(self) -> None:
        self.state_n = 0
        self.symbols = 0
        self._judged_n = self._fired_n = -1
        self._known_n = -1
        self._names_version = -1
        self._version = -1
        self._compiled, self._plan = _NO_RULES, plan_leaves(_NO_RULES)
        self._before_version = -1
        self._before_slot = np.empty(0, np.int64)

    @property
    def counts(self) -> np.ndarray:
        """Words of fire_nb for the last cycle evaluated: alerts, fired, stamps and so on."""
        return self.work.counts

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

    def judge(self, n: int) -> None:
        """First half of `run`: rules, scope, metrics and the truth of every rule in cycle n."""
        head, tables = self._head(n), self.tables
        self._take_rules(int(head["rules_version"]), int(head["t_ns"]))
        self._take_names()
        self._take_scope(n, head)
        self.metrics.compute(n)
        parity = n & 1
        evaluate_nb(
            tables.scan.columns[parity], self.first_word, self.end_word,
            *self._plan.arrays, tables.scan.truth[parity],
        )  # fmt: skip
        self._judged_n = n

    def finish(self, n: int) -> bool:
        """Second half of `run`: firings, commit, apply. False: the lane has no room, call again."""
        if self._fired_n != n:
            self._fire(n)
        if self.committed_n() < n and not self._commit(n):
            return False
        self._apply(n)
        return True

    def _fire(self, n: int) -> None:
        tables, work, rules = self.tables, self.work, self._compiled
        t_ns, truth, session = int(self._head(n)["t_ns"]), tables.scan.truth, tables.session[0]
        known = work.known
        if not int(session["start_ns"]) <= t_ns <= int(session["end_ns"]):
            known = np.zeros_like(known)
        self.cooldowns.expire(t_ns)
        fire_nb(
            truth[n & 1], truth[1 - (n & 1)], self._slots_before(n), rules.cooldown_ms, rules.flags,
            known, work.halted, work.known_before, self.cooldowns.bits, self.cooldowns.room,
            self.first_word, work.rank, work.by_rank, work.listed, work.ranks, work.marks,
            work.alerts, work.stamps, work.counts,
        )  # fmt: skip
        self._fired_n = n

    def _read_rules(self, version: int) -> CompiledRules:
        if version == 0:
            return _NO_RULES
        if version == self._version:
            return self._compiled
        content = self.tables.rules.read(version)
        if content is None:
            raise ScanError(f"rules version {version} is not in the rules blob")
        rules = unpack(content)
        if len(rules) > self.tables.sizes.max_rules:
            limit = self.tables.sizes.max_rules
            raise ScanError(f"rules version {version} has {len(rules)} rules, at most {limit} fit")
        return rules

    def _take_rules(self, version: int, t_ns: int) -> None:
        """Switch to the decided version. Pairs that still cool take their rule's cooldown of now;
        whoever has cooled down has: an answer depends on nothing but live entries."""
        if version == self._version:
            return
        rules = self._read_rules(version)
        if self._version >= 0:
            self._map_slots(self._version, self._compiled, rules)
        self.cooldowns.take(rules, t_ns)
        self._version, self._compiled, self._plan = version, rules, plan_leaves(rules)

    def _map_slots(self, version: int, before: CompiledRules, now: CompiledRules) -> None:
        slots = {key: slot for slot, key in enumerate(_identities(before))}
        self._before_slot = np.array([slots.get(key, -1) for key in _identities(now)], np.int64)
        self._before_version = version

    def _slots_before(self, n: int) -> np.ndarray:
        """Slot that each rule had in cycle n - 1, -1 for a rule that is new or changed."""
        if n == 1:
            return np.full(len(self._compiled), -1, np.int64)
        version = int(self._head(n - 1)["rules_version"])
        if version != self._before_version:
            self._map_slots(version, self._read_rules(version), self._compiled)
        return self._before_slot

    def _take_names(self) -> None:
        """Rank of every symbol of the slice by ticker, again when a name changed."""
        version = self.tables.names.version()
        if version == self._names_version:
            return
        raw = self.tables.names.raw[self.first : self.first + len(self.work.rank)]
        self.work.by_rank[:] = np.argsort(raw, kind="stable")
        self.work.rank[self.work.by_rank] = np.arange(len(raw))
        self._names_version = version

    def _take_scope(self, n: int, head: np.void) -> None:
        work = self.work
        if n > 1 and self._known_n != n - 1:
            self._scope(n - 1, self._head(n - 1))
        work.known_before[:] = work.known if n > 1 else 0
        self.symbols = self._scope(n, head)
        self._known_n = n

    def _scope(self, n: int, head: np.void) -> int:
        work = self.work
        count = min(int(head["symbol_count"][self.worker]), len(work.rank))
        rows = self.rows[n % CELL_SLOTS]
        scope_nb(rows, self.reference, self.first, count, work.known, work.halted)
        return count

    def _commit(self, n: int) -> bool:
        """Alerts and end-of-n into the lane, then one store of its tail. False: no room."""
        rules, lane, work = self._compiled, self.lane, self.work
        count = int(work.counts[ALERTS])
        if slots_needed_nb(work.alerts, count, rules.rule_first) > lane.free():
            return False
        head = self._head(n)
        at = write_alerts_nb(
            lane.data, lane.tail(), work.alerts, count, rules.rule_first, rules.leaf_col, REACH,
            self.columns_i[n & 1], self.rows[n % CELL_SLOTS], n, int(head["t_ns"]),
            int(head["closed_minute"]), self.session, self._version,
        )  # fmt: skip
        lane.data[at & (lane.slots - 1)] = (
            LANE_END, n, count, work.counts[FIRED], head["t_ns"],
            work.counts[COOLED], work.counts[TRUE_PAIRS], work.counts[FULL],
        )  # fmt: skip
        lane.publish(at + 1)
        return True

    def _apply(self, n: int) -> None:
        work, t_ns = self.work, int(self._head(n)["t_ns"])
        self.cooldowns.stamp(work.stamps, int(work.counts[STAMPS]), self._compiled, t_ns)
        write_word(self.tables.scan.words, self.worker * WORD_STRIDE, n)
        self.state_n = n


def _identities(rules: CompiledRules) -> list[tuple[int, int]]:
    return list(zip(rules.rule_uid.tolist(), rules.content_key.tolist(), strict=True))
