"""The alert service: merge, spool, store; every alert exactly once whatever is killed.

An alert leaves the lane only when it is in the spool on disk, and enters the spool only when its
cycle is on the
tape. The store ignores an id it already holds, so redoing any step is harmless.
"""

import msgspec

from engine.alerts.merge import MergedCycle, MergeStage
from engine.domain.stream import StreamInfo
from engine.domain.tables import (
    FLOW_ALERTED_N,
    FLOW_ALERTED_RULES,
    FLOW_DURABLE_N,
    FLOW_STORED,
    EngineTables,
)
from engine.storage.ports import AlertStore, StoredAlert
from engine.storage.spool import Spool
from shm import clock
from shm.fences import read_word, write_word
from shm.words import WORD_STRIDE

_MAX_CYCLES = 64

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StoredAlert).decode


class AlertService:
    """Takes merged cycles as they become durable.

    stored, fired, suppressed, capped: counts since this process started. last_t_ns: T_k of the
    last cycle taken.
    """

    def __init__(
        self, tables: EngineTables, stream: StreamInfo, spool: Spool, store: AlertStore
    ) -> None:
        self._tables = tables
        self._stream = stream
        self._merge = MergeStage(tables, stream.stream_id)
        self._spool = spool
        self._store = store
        self._stored_to = spool.base
        self.stored = self.fired = self.suppressed = self.capped = 0
        self.last_n = 0
        self.last_t_ns = 0
        self.latencies_ns: list[int] = []

    def step(self) -> bool:
        """Take what is durable, then bring the spool to the store. True when something moved."""
        moved = False
        for _ in range(_MAX_CYCLES):
            if not self._take():
                break
            moved = True
        return self._store_spooled() or moved

    def _word(self, word: int) -> int:
        return int(read_word(self._tables.flow, word * WORD_STRIDE))

    def _take(self) -> bool:
        cycle = self._merge.peek()
        if cycle is None or (cycle.alerts and self._word(FLOW_DURABLE_N) < cycle.n):
            return False
        if cycle.alerts:
            self._spool.append([_encode(alert) for alert in self._records(cycle)])
        self._merge.release(cycle)
        self.fired += cycle.fired
        self.suppressed += cycle.suppressed
        self.capped += cycle.fired - len(cycle.alerts)
        self.last_n, self.last_t_ns = cycle.n, cycle.t_ns
        flow = self._tables.flow
        decision = self._tables.decisions.copy(cycle.n - 1, cycle.n)
        if decision is not None:
            write_word(flow, FLOW_ALERTED_RULES * WORD_STRIDE, int(decision[0]["rules_version"]))
        if not cycle.alerts:
            self._announce(cycle.n)
        return True

    def _announce(self, n: int) -> None:
        """Every alert up to cycle n is safe, but only once nothing waits in the spool."""
        if self._stored_to == self._spool.end:
            write_word(self._tables.flow, FLOW_ALERTED_N * WORD_STRIDE, n)

    def _records(self, cycle: MergedCycle) -> list[StoredAlert]:
        decision = self._tables.decisions.copy(cycle.n - 1, cycle.n)
        decided_ns = None if decision is None else int(decision[0]["decided_ns"])
        committed_ns = clock.realtime_ns()
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
        if self._stored_to == self._spool.end:
            return False
        alerts = []
        position = self._stored_to
        stored_ns = clock.realtime_ns()
        for after, payload in self._spool.read(position):
            alert = _decode(payload)
            alerts.append(msgspec.structs.replace(alert, stored_ns=stored_ns))
            position = after
        self.stored += self._store.append(alerts)
        self._note_latencies(alerts)
        self._stored_to = position
        if self._spool.used_bytes > self._spool.max_bytes // 16:
            self._spool.drop(position)
        write_word(
            self._tables.flow, FLOW_STORED * WORD_STRIDE, self._word(FLOW_STORED) + len(alerts)
        )
        self._announce(self.last_n)
        return True

    def _note_latencies(self, alerts: list[StoredAlert]) -> None:
        """Live: from the arrival of the tick to the spool. Replay: from the decision to the
        spool."""
        for alert in alerts:
            begin = alert.recv_ns if self._stream.live else alert.decided_ns
            if begin and alert.committed_ns:
                self.latencies_ns.append(alert.committed_ns - begin)
