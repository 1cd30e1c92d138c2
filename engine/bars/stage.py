"""The sequencer: decides cycles, executes them into snapshot cells, recovers after a kill."""

import numpy as np

from engine.bars.admission import SymbolMap
from engine.bars.apply_nb import apply_ticks, end_cursor
from engine.bars.closes import note_closes
from engine.bars.decision import (
    END_OF_INPUT,
    check_crc,
    decision_crc,
    find_decision,
    grid_floor,
    next_live,
)
from engine.bars.errors import BarsError
from engine.bars.events_nb import close_minutes, forget_events
from engine.bars.genesis import closed_minute, empty_rows, init_genesis, new_head, roll_session
from engine.bars.history import bar_words, event_words, row_words, write_histories
from engine.bars.layout import (
    ADMIT_PENDING,
    C_ADMIT_RING,
    C_APPROX,
    C_CAPACITY,
    C_CLOSE,
    C_CLOSED,
    C_END,
    C_EVENTS,
    C_FULL,
    C_GAPS,
    C_N,
    C_POOL_FLOOR,
    C_START,
    C_T,
    C_TICKS,
    C_WORDS,
    Work,
)
from engine.bars.overload import EVERY_CYCLE, Stride
from engine.bars.pool_nb import SCRATCH, sanitise_pool
from engine.bars.words import (
    CONTEXT_COUNTERS,
    DECISION,
    DECISION_TAKEN,
    DECISION_WORDS,
    H_APPROX,
    H_GAPS,
    HEAD,
    HEAD_COUNTERS,
    HEAD_TAKEN,
    HEAD_WORDS,
    S_END,
    S_GRACE,
    S_INTERVAL,
    S_ROLL,
    S_START,
    words_of,
)
from engine.domain import records
from engine.domain.tables import EngineTables
from shm.arena import PrivateArena
from shm.ring import Ring

GATE = "bars"

__all__ = ["BarsStage", "empty_rows", "new_head", "roll_session"]


class BarsStage:
    """Bars over one set of tables. n is the newest published cycle, head its CELL_HEAD (a copy).

    A stage starts with `init_genesis` (a new stream) or `recover` (any later process), then goes on
    with: decision = decide_replay() or decide_live(...); if there is one, execute(decision).
    """

    def __init__(self, tables: EngineTables) -> None:
        self.tables = tables
        sizes = tables.sizes
        if sizes.pool_trades & (sizes.pool_trades - 1):
            raise BarsError(f"pool_trades = {sizes.pool_trades} is not a power of two")
        self.n = -1
        self._heads = words_of(tables.cell.heads)
        self._take_head(np.zeros(HEAD_WORDS, np.int64))
        self._cells = [rows.view(np.int64) for rows in tables.cell.rows]
        self._session = words_of(tables.session)[0]
        self.symbols = SymbolMap(tables)
        self._rows = PrivateArena().array("rows", sizes.rows, records.ROW)  # on cache lines
        self._events = [event_words(tables.cell.events[slot]) for slot in range(4)]
        self._rows_words = self._rows.view(np.int64)
        bars_f, bars_i = bar_words(tables.history.bars)
        rows_f, rows_i = row_words(self._rows)
        work = Work(
            rows_f=rows_f,
            rows_i=rows_i,
            pool=tables.history.pool,
            bars_f=bars_f,
            bars_i=bars_i,
            ev_f=self._events[0][0],
            ev_i=self._events[0][1],
            ev_prev=np.zeros(sizes.bar_events, np.int32),
            ev_head=np.zeros(sizes.rows, np.int32),
            c=np.zeros(C_WORDS, np.int64),
            sf=np.zeros((2, SCRATCH)),
            si=np.zeros((2, SCRATCH), np.int64),
        )
        self._works = [work._replace(ev_f=ev_f, ev_i=ev_i) for ev_f, ev_i in self._events]
        self._work = work

    def _take_head(self, head: np.ndarray) -> None:
        """Let a private copy of a head's words be the newest one."""
        self._head = head
        self.head: np.void = head.view(records.CELL_HEAD)[0]

    # -- start -----------------------------------------------------------------------------------
    def init_genesis(self, rows: np.ndarray, head: np.ndarray | np.void) -> None:
        """Publish cell 0 (see `genesis.init_genesis`) and start from it."""
        init_genesis(self.tables, rows, head)
        self._load(0)

    def recover(self) -> None:
        """Go on from shared memory alone: finish a sealed cell, undo what a cycle left half done,
        execute again every decision after the newest published cell."""
        cells = self.tables.cell.cells
        n = cells.published()
        if n < 0:
            raise BarsError("there is no published cycle to go on from: genesis is missing")
        if cells.sealed() == n + 1:
            n += 1
            self._publish(n)
        self._load(n)
        sanitise_pool(self.tables.history.pool, n)
        while (found := find_decision(self.tables.decisions, self.n + 1)) is not None:
            if not self.execute(found[1]):
                return

    def _load(self, n: int) -> None:
        cell = self.tables.cell
        slot = cell.cells.slot(n)
        self.n = n
        self._take_head(self._heads[slot].copy())
        self._rows[:] = cell.rows[slot]
        self._work.ev_head.fill(0)
        self.symbols.rebuild(self.head["symbol_count"])
        if n > 0:
            self._release(n)

    # -- decide ----------------------------------------------------------------------------------
    @property
    def ended(self) -> bool:
        """True when the newest published cycle was the last one of the stream."""
        return bool(int(self._head[HEAD["flags"]]) & records.DECISION_END)

    def gates_ready(self, n: int) -> bool:
        """True when indicators and every scan worker have applied cycle n."""
        return self.tables.applied(n)

    def _may_decide(self) -> bool:
        return not self.ended and self.gates_ready(self.n) and self.tables.decisions.free() > 0

    def decide_replay(
        self, flags: int = 0, decided_ns: int = 0, stride: Stride = EVERY_CYCLE
    ) -> np.void | None:
        """Write the next decision in tape time; None while a watermark or a gate is not there yet.

        Every grid point is decided. At the end of input the cycles go on until no minute is open;
        the one after that ends the stream. A ring that is full of records up to T_k is cut at its
        tail (its feed cannot go on before it is read). flags: DECISION_UNRECORDED or 0.
        """
        pending = self._pending()
        if pending is not None or not self._may_decide():
            return pending
        t_ns = int(self._head[HEAD["t_ns"]]) + self._interval_ns
        marks = [ring.mark() for ring in self.tables.ticks.rings]
        ends = self._end_cursors(t_ns)
        for feed, mark in enumerate(marks):
            if mark < t_ns and not self._is_full(feed, ends[feed]):
                return None
        if min(marks) == END_OF_INPUT and self._all_done():
            flags |= records.DECISION_END
        return self._write(t_ns, ends, marks, flags, 0, decided_ns, stride)

    def decide_live(
        self, now_ns: int, wait_ns: int, flags: int = 0, anchor_ns: int = 0, moved_ns: int = 0,
        stride: Stride = EVERY_CYCLE,
    ) -> np.void | None:
        """Write the next decision at engine time now_ns; None while it is too early or gated.

        T_k is the latest grid point that every watermark has reached or that has been waited for
        longer than wait_ns; then lagging rings are cut at their tail and the record says so. The
        roll is never passed over: the stream ends with its grid point, however late that is.
        flags: DECISION_UNRECORDED or 0. anchor_ns: the clock's; a decision with another one than
        the decision before it is DECISION_REANCHORED. moved_ns: see `next_live`.
        """
        pending = self._pending()
        if pending is not None or not self._may_decide():
            return pending
        marks = [ring.mark() for ring in self.tables.ticks.rings]
        before_ns = int(self._head[HEAD["t_ns"]])
        t_ns = next_live(before_ns, now_ns, wait_ns, self._interval_ns, marks, moved_ns)
        if t_ns is None:
            return None
        if before_ns < (roll_ns := int(self._session[S_ROLL])) < t_ns:
            t_ns = -grid_floor(-roll_ns, self._interval_ns)
        if self.reanchored(anchor_ns):
            flags |= records.DECISION_REANCHORED
        return self._write(t_ns, self._end_cursors(t_ns), marks, flags, anchor_ns, now_ns, stride)

    def reanchored(self, anchor_ns: int) -> bool:
        """True when the engine clock was moved since the newest cycle was decided."""
        found = find_decision(self.tables.decisions, self.n)
        return found is not None and int(found[1]["anchor_ns"]) != anchor_ns

    @property
    def _interval_ns(self) -> int:
        return int(self._session[S_INTERVAL])

    def _pending(self) -> np.void | None:
        found = find_decision(self.tables.decisions, self.n + 1)
        return None if found is None else found[1]

    def _end_cursors(self, t_ns: int) -> list[int]:
        """End cursor of every ring for T_k; marks were read before, so the tails are new enough."""
        ends = []
        for feed, ring in enumerate(self.tables.ticks.rings):
            start = int(self._head[HEAD["tick_end"] + feed])
            newest = int(self._head[HEAD["max_recv_ns"] + feed])
            end = end_cursor(self.tables.ticks.data, feed, start, ring.tail(), newest, t_ns)
            ends.append(int(end))
        return ends

    def _is_full(self, feed: int, end: int) -> bool:
        ring = self.tables.ticks.rings[feed]
        return end == ring.tail() and end - ring.gate(GATE) >= ring.capacity

    def _all_done(self) -> bool:
        """True when every record is applied and no minute is open."""
        for feed, ring in enumerate(self.tables.ticks.rings):
            if ring.tail() != self._head[HEAD["tick_end"] + feed]:
                return False
        return bool((self._rows["minutes"]["minute"] < 0).all())

    def _rolls(self, t_ns: int) -> bool:
        """True if the session has rolled at T_k: the stream ends with this cycle."""
        return 0 < int(self._session[S_ROLL]) <= t_ns

    def _write(
        self, t_ns: int, ends: list[int], marks: list[int], flags: int, anchor_ns: int,
        decided_ns: int, stride: Stride,
    ) -> np.void:
        """Write decision n + 1. A cycle that has other rules looks at every symbol."""
        interval_ns = self._interval_ns
        words = np.zeros(DECISION_WORDS, np.int64)
        words[DECISION["n"]] = self.n + 1
        words[DECISION["k"]] = t_ns // interval_ns
        words[DECISION["t_ns"]] = t_ns
        words[DECISION["tick_end"] : DECISION["tick_end"] + len(ends)] = ends
        words[DECISION["rules_version"]] = self.tables.rules.latest()
        if min(marks) < t_ns:
            flags |= records.DECISION_LAGGING
        if self._rolls(t_ns):
            flags |= records.DECISION_END
        words[DECISION["flags"]] = flags
        before_ns = int(self._head[HEAD["t_ns"]])
        words[DECISION["absent"]] = (t_ns - before_ns) // interval_ns - 1
        words[DECISION["anchor_ns"]] = anchor_ns
        words[DECISION["decided_ns"]] = decided_ns
        if self.n < 1 or words[DECISION["rules_version"]] != self._head[HEAD["rules_version"]]:
            stride = EVERY_CYCLE
        words[DECISION["stride"]], words[DECISION["recent_ns"]] = stride
        decision = words.view(records.DECISION)
        record: np.void = decision[0]
        words[DECISION["crc"]] = decision_crc(record)
        if self.tables.decisions.publish(decision) != 1:
            raise BarsError(f"decision {self.n + 1} found no room in the decision log")
        return record

    # -- execute ---------------------------------------------------------------------------------
    def execute(self, decision: np.void) -> bool:
        """Do cycle n exactly as decided: ticks, minutes, cell, histories, publication, gates.

        False, with nothing done, while the bar ring may have no room for its bars: try again.
        """
        n = int(decision["n"])
        if n != self.n + 1:
            raise BarsError(f"decision {n} does not follow cycle {self.n}")
        check_crc(decision)
        if self.tables.bar_ring.free() < self.tables.sizes.bar_events:
            return False
        cells = self.tables.cell.cells
        slot = cells.slot(n)
        head = self._apply(decision, slot)
        np.copyto(self._cells[slot], self._rows_words)
        self._heads[slot] = head
        cells.seal(n)
        self._publish(n)
        self.n = n
        self._take_head(head)
        self._release(n)
        return True

    def _publish(self, n: int) -> None:
        """From the sealed cell: histories, the bars not in the bar ring yet, publication."""
        tables, cell = self.tables, self.tables.cell
        write_histories(tables, n)
        slot = cell.cells.slot(n)
        count = int(self._heads[slot, HEAD["event_count"]])
        start = int(self._heads[slot, HEAD["bar_tail"]]) - count
        done = tables.bar_ring.tail() - start
        if done < count:
            tables.bar_ring.publish(cell.events[slot][done:count])
        cell.cells.publish(n)

    def _context(self, decision: np.ndarray) -> None:
        c, head = self._work.c, self._head
        c[CONTEXT_COUNTERS] = head[HEAD_COUNTERS]
        pool = len(self.tables.history.pool)
        feeds = self.tables.sizes.feeds
        first, begin = DECISION["tick_end"], HEAD["tick_end"]
        ticks = int((decision[first : first + feeds] - head[begin : begin + feeds]).sum())
        c[C_N] = decision[DECISION["n"]]
        c[C_T] = decision[DECISION["t_ns"]]
        c[C_CLOSED] = head[HEAD["closed_minute"]]
        c[C_START : C_END + 1] = self._session[S_START : S_END + 1]
        c[C_FULL] = self._is_used_up(head[HEAD["symbol_count"] : HEAD["symbol_count"] + 64])
        c[C_POOL_FLOOR] = int(head[HEAD["pool_tail"]]) + min(0, ticks - pool)
        c[C_EVENTS] = 0
        c[C_GAPS] = head[H_GAPS]
        c[C_APPROX] = head[H_APPROX]

    def _is_used_up(self, counts: np.ndarray) -> bool:
        sizes = self.tables.sizes
        return int(counts[: sizes.workers].sum()) >= sizes.capacity

    def _apply(self, record: np.void, slot: int) -> np.ndarray:
        """Apply the ticks and close the minutes of a cycle; the words of its new head."""
        self._work = self._works[slot]
        decision = np.frombuffer(record.tobytes(), np.int64)
        self._context(decision)
        head = self._head.copy()
        self._take_ticks(head, decision)
        c = self._work.c
        t_ns = int(decision[DECISION["t_ns"]])
        starts, ends = self._head[HEAD["tick_end"] :], decision[DECISION["tick_end"] :]
        note_closes(self.tables, self.symbols.idmap, starts, ends, t_ns, int(c[C_CLOSE]))
        closed = closed_minute(t_ns, int(self._session[S_GRACE]))
        if closed > head[HEAD["closed_minute"]]:
            close_minutes(self._work, closed)
            head[HEAD["closed_minute"]] = closed
        forget_events(self._work)
        head[HEAD_TAKEN] = decision[DECISION_TAKEN]
        head[HEAD_COUNTERS] = c[CONTEXT_COUNTERS]
        head[HEAD["bar_tail"]] += c[C_EVENTS]
        head[HEAD["second"]] = t_ns // records.NS_PER_SECOND
        head[HEAD["minute"]] = t_ns // records.NS_PER_MINUTE
        head[H_GAPS] = c[C_GAPS]
        head[H_APPROX] = c[C_APPROX]
        return head

    def _take_ticks(self, head: np.ndarray, decision: np.ndarray) -> None:
        feeds = self.tables.sizes.feeds
        data = self.tables.ticks.data
        first, begin = DECISION["tick_end"], HEAD["tick_end"]
        ends, pos = decision[first : first + feeds].copy(), head[begin : begin + feeds].copy()
        newest = head[HEAD["max_recv_ns"] : HEAD["max_recv_ns"] + feeds]
        counts = head[HEAD["symbol_count"] : HEAD["symbol_count"] + 64]
        idmap, c = self.symbols.idmap, self._work.c
        while apply_ticks(self._work, data, pos, ends, newest, idmap) == ADMIT_PENDING:
            feed = int(c[C_ADMIT_RING])
            tick = data[feed, pos[feed] & (data.shape[1] - 1)]
            admitted = self.symbols.admit(feed, tick, counts)
            c[C_TICKS if admitted else C_CAPACITY] += 1
            c[C_FULL] = self._is_used_up(counts)
            if admitted:
                symbol = int(self.symbols.idmap[feed, int(tick["sym"])])
                self._rows["block_shares"][symbol] = self.symbols.block_shares(symbol)
                self._inherit_gap(feed, symbol)
            newest[feed] = max(int(newest[feed]), int(tick["recv_ns"]))
            pos[feed] += 1

    def _inherit_gap(self, feed: int, symbol: int) -> None:
        """A ticker admitted while its whole feed has a gap is blind from the start."""
        if int(self._work.c[C_GAPS]) >> feed & 1:
            self._rows["blind"][symbol] |= 1 << feed

    def _release(self, n: int) -> None:
        """Cell n is published: rings may drop what came before cell n - 1."""
        before = self._heads[self.tables.cell.cells.slot(n - 1)]
        for feed, ring in enumerate(self.tables.ticks.rings):
            _advance(ring, int(before[HEAD["tick_end"] + feed]))
        found = find_decision(self.tables.decisions, n)
        if found is not None:
            _advance(self.tables.decisions, found[0])


def _advance(ring: Ring, position: int) -> None:
    if position > ring.gate(GATE):
        ring.set_gate(GATE, position)
