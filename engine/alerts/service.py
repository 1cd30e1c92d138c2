"""The alert service: merge, spool, store; every alert exactly once whatever is killed.

An alert leaves the lane only when it is in the spool on disk, and enters the spool only when its
cycle is on the tape. The store ignores an id it already holds, so redoing any step is harmless.
"""

import msgspec

from engine.alerts.kept_back import KeptBack
from engine.alerts.merge import MergedCycle, MergeStage
from engine.domain.records import NS_PER_MINUTE
from engine.domain.stream import StreamInfo
from engine.domain.tables import (
    FLOW_ALERTED_N,
    FLOW_ALERTED_RULES,
    FLOW_DURABLE_N,
    FLOW_STORED,
    FLOW_UNRECORDED,
    EngineTables,
)
from engine.storage.errors import SpoolFullError, StoreError
from engine.storage.ports import AlertStore, StoredAlert
from engine.storage.spool import Spool
from shm import clock
from shm.engine_clock import EngineClock
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE

_MAX_CYCLES = 64
_MAX_STORED = 4096  # alerts of one transaction
_STORE_AGAIN_NS = 1_000_000_000
_RECORDER = "recorder"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StoredAlert).decode


class AlertService:
    """Takes merged cycles as they become durable.

    stored: alerts of this stream in the store. fired, suppressed, capped, limited (by max_per_min):
    counts since this process started. last_n: the last cycle taken from the lanes; last_t_ns: its
    T_k, 0 before the first.
    """

    def __init__(
        self,
        tables: EngineTables,
        stream: StreamInfo,
        spool: Spool,
        store: AlertStore,
        engine_clock: EngineClock,
    ) -> None:
        self._tables = tables
        self._stream = stream
        self._merge = MergeStage(tables, stream.stream_id, self._alerted)
        self._kept_back = KeptBack(tables.kept_back)
        self._spool = spool
        self._store = store
        self._stored_to = spool.base
        # Stamps are engine time, like recv_ns and decided_ns: stepping the wall clock bends none.
        self._clock = engine_clock
        self._store_again_ns = 0
        self.stored = store.count(stream.stream_id)
        self.fired = self.suppressed = self.capped = self.limited = 0
        self.last_n = self._merge.recover()
        self.last_t_ns = 0
        self.latencies_ns: list[int] = []
        self._announce()

    def made_room(self) -> bool:
        """True when a worker may have waited for the room that was given back since the last
        call."""
        crowded, self._merge.crowded = self._merge.crowded, False
        return crowded

    @property
    def idle(self) -> bool:
        """True when no whole cycle waits in the lanes and no alert in the spool."""
        return self.settled and not self._merge.waiting

    @property
    def settled(self) -> bool:
        """True when every alert in the spool is in the store, too."""
        return self._stored_to == self._spool.end

    @property
    def waits_for(self) -> str:
        """The recorder while the oldest cycle in the lanes is not on the tape yet, else empty."""
        try:
            cycle = self._merge.peek()
        except StoreError:
            return ""
        held = cycle is not None and cycle.alerts and not self._may_leave(cycle.n)
        return _RECORDER if held else ""

    def step(self) -> bool:
        """Take what is durable, then bring the spool to the store. True when something moved.

        Raises SpoolFullError and StoreError (not final): nothing is lost, call again. Raises
        SpoolError and StoreError (final): a new service over the same file goes on.
        """
        moved, full = False, None
        try:
            for _ in range(_MAX_CYCLES):
                if not self._take():
                    break
                moved = True
        except SpoolFullError as error:
            full = error  # only the store can make room, so it has its turn first
        moved = self._store_spooled() or moved
        if full is not None and not moved:
            raise full
        return moved

    def _word(self, word: int) -> int:
        return int(read_word(self._tables.flow, word * WORD_STRIDE))

    def _set(self, word: int, value: int) -> None:
        write_word(self._tables.flow, word * WORD_STRIDE, value)

    def _may_leave(self, n: int) -> bool:
        """True when cycle n is on the tape, or never will be: the recorder gave up or was
        overtaken."""
        if self._word(FLOW_DURABLE_N) >= n or self._word(FLOW_UNRECORDED):
            return True
        return self._tables.decisions.dropped(_RECORDER)

    def _take(self) -> bool:
        cycle = self._merge.peek()
        if cycle is None or (cycle.alerts and not self._may_leave(cycle.n)):
            return False
        if cycle.alerts:
            self._spool.append([_encode(alert) for alert in self._records(cycle)])
        if cycle.held or cycle.capped:
            self._kept_back.add(
                cycle.n, self._merge.rules(cycle.rules_version).rule_uid, cycle.held, cycle.capped
            )
        self._merge.release(cycle)
        self.fired += cycle.fired
        self.suppressed += cycle.suppressed
        self.limited += sum(cycle.held.values())
        self.capped += cycle.fired - len(cycle.alerts) - sum(cycle.held.values())
        self.last_n, self.last_t_ns = cycle.n, cycle.t_ns
        decision = self._tables.decisions.copy(cycle.n - 1, cycle.n)
        if decision is not None:
            self._set(FLOW_ALERTED_RULES, int(decision[0]["rules_version"]))
        self._announce()
        return True

    def _alerted(self, rule_id: str, n: int, from_ns: int) -> int:
        """How many alerts a rule had in cycles before n, from a time on that is at most a minute
        ago: in the store, or still in the spool. Raises StoreError."""
        interval_ns = max(1, int(self._tables.session[0]["interval_ns"]))
        cycles = range(n - NS_PER_MINUTE // interval_ns - 1, n)
        stream_id = self._stream.stream_id
        found = set(self._store.ids_of(stream_id, rule_id, cycles, from_ns))
        for _, payload in self._spool.read(self._stored_to):
            alert = _decode(payload)
            if (alert.stream_id, alert.rule_id) == (stream_id, rule_id) and (
                alert.n in cycles and alert.t_ns >= from_ns
            ):
                found.add(alert.alert_id)
        return len(found)

    def _announce(self) -> None:
        """Every alert up to last_n is safe, but only once nothing waits in the spool."""
        if self.settled:
            self._set(FLOW_ALERTED_N, max(self.last_n, self._word(FLOW_ALERTED_N)))

    def _records(self, cycle: MergedCycle) -> list[StoredAlert]:
        decision = self._tables.decisions.copy(cycle.n - 1, cycle.n)
        decided_ns = None if decision is None else int(decision[0]["decided_ns"]) or None
        committed_ns = self._clock.now_ns()
        return [
            StoredAlert(
                alert_id=alert.alert_id,
                stream_id=self._stream.stream_id,
                n=cycle.n,
                t_ns=cycle.t_ns,
                rule_id=alert.rule_id,
                symbol=alert.symbol,
                json=alert.document,
                recv_ns=alert.recv_ns,
                decided_ns=decided_ns,
                committed_ns=committed_ns,
            )
            for alert in cycle.alerts
        ]

    def _store_spooled(self) -> bool:
        """Bring new frames to the store in one transaction, then let the spool forget them."""
        if self.settled or clock.monotonic_ns() < self._store_again_ns:
            return False
        alerts = []
        position = self._stored_to
        stored_ns = self._clock.now_ns()
        for after, payload in self._spool.read(position):
            alerts.append(msgspec.structs.replace(_decode(payload), stored_ns=stored_ns))
            position = after
            if len(alerts) == _MAX_STORED:
                break
        try:
            fresh = self._store.append(alerts)
        except StoreError:
            self._store_again_ns = clock.monotonic_ns() + _STORE_AGAIN_NS
            raise
        self._stored_to = position
        self.stored += fresh
        if fresh == len(alerts):  # else a process before this one has told them
            self._note_latencies(alerts)
        if position == self._spool.end and self._spool.used_bytes > self._spool.max_bytes // 16:
            self._spool.drop(position)
        self._set(FLOW_STORED, self._word(FLOW_STORED) + len(alerts))
        self._announce()
        return True

    def _note_latencies(self, alerts: list[StoredAlert]) -> None:
        """Live: from the arrival of the tick to the spool. Replay: from the decision to the
        spool."""
        for alert in alerts:
            begin = alert.recv_ns if self._stream.live else alert.decided_ns
            if begin and alert.committed_ns:
                self.latencies_ns.append(alert.committed_ns - begin)
