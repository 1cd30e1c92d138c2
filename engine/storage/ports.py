"""What the engine needs from a store of alerts and of bars, whatever database is behind it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import numpy as np

from engine.domain.records import NS_PER_MINUTE


class StoredAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as it is kept: its canonical JSON verbatim, and what it is looked up by.

    Times are int64 ns UTC. t_ns is T_k of cycle n. The stamps recv_ns (newest tick taken in),
    decided_ns, committed_ns and stored_ns are wall times of this run, None where unknown; they
    are kept beside the JSON and are no part of it.
    """

    alert_id: str
    stream_id: str
    n: int
    t_ns: int
    rule_id: str
    symbol: str
    json: bytes
    recv_ns: int | None = None
    decided_ns: int | None = None
    committed_ns: int | None = None
    stored_ns: int | None = None


class AlertAt(msgspec.Struct, frozen=True):
    """An alert with its position in the store: grows with every new alert, never used twice."""

    position: int
    alert: StoredAlert


class AlertReader(Protocol):
    """Reads alerts. Positions are cursors: opaque, growing, with holes."""

    def latest(
        self,
        limit: int,
        *,
        before: int | None = None,
        after: int | None = None,
        symbol: str | None = None,
        rule_id: str | None = None,
        stream_id: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
        offset: int = 0,
    ) -> list[AlertAt]:
        """The newest alerts first, at most limit, with after < position < before and
        from_ns <= t_ns < to_ns; the first `offset` of them are left out."""

    def after(self, position: int, limit: int) -> list[AlertAt]:
        """The oldest alerts first with a position above the given one (0: from the start)."""

    def get(self, alert_id: str) -> AlertAt | None:
        """The alert with this id, None when there is none."""

    def count(self, stream_id: str | None = None) -> int:
        """Number of alerts of one stream, or of all."""

    def last_n(self, stream_id: str) -> int:
        """The newest cycle of a stream that an alert is of, 0 when there is none."""

    def ids_of(self, stream_id: str, rule_id: str, cycles: range, from_ns: int) -> list[str]:
        """Ids of the alerts of a rule in a stream, of these cycles and with t_ns >= from_ns."""

    def texts(self, stream_id: str) -> Iterator[bytes]:
        """Canonical JSON of every alert of a stream, in order of (n, rule id, symbol)."""


class AlertStore(AlertReader, Protocol):
    """Keeps alerts durably and once each. repeats: alerts ignored since opening."""

    repeats: int

    def append(self, alerts: Sequence[StoredAlert]) -> int:
        """Store alerts in one transaction; durable on return. Returns how many were new.

        An alert_id that is there already is left as it is and counted in repeats.
        Raises StoreError; then none of them was stored.
        """

    def prune(self, before_ns: int, keep: str, limit: int) -> int:
        """Remove in one transaction at most `limit` alerts with stored_ns < before_ns (ns UTC), the
        first stored first, none of stream `keep`; returns how many. One whose stored_ns is unknown
        stays. Positions are not used again. Raises StoreError; then none was removed."""

    def close(self) -> None:
        """Close the store."""


class BarRow(msgspec.Struct, frozen=True, kw_only=True):
    """One final 1-minute bar of a symbol in a stream.

    minute_ns: start of the minute, ns UTC. open, high, low, close are NaN when the minute had
    volume but no price-eligible trade; volume in shares; pv = sum of price * size in USD, NaN
    unknown; flags: FLAG_* of engine.domain.records; trades has no meaning with FLAG_TYPICAL. n: the
    cycle that closed or revised the bar.
    """

    symbol: str
    minute_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    pv: float
    trades: int
    flags: int
    n: int
    stream_id: str

    @classmethod
    def of(cls, symbol: str, bar: np.void, n: int = 0, stream_id: str = "") -> "BarRow":
        """The row of a BAR record; n 0 and stream_id empty: it is not for a store."""
        return cls(
            symbol=symbol,
            minute_ns=int(bar["minute"]) * NS_PER_MINUTE,
            open=float(bar["open"]),
            high=float(bar["high"]),
            low=float(bar["low"]),
            close=float(bar["close"]),
            volume=float(bar["volume"]),
            pv=float(bar["pv"]),
            trades=int(bar["trades"]),
            flags=int(bar["flags"]),
            n=n,
            stream_id=stream_id,
        )


class MinuteVolume(msgspec.Struct, frozen=True):
    """Volume in shares of one symbol in the minute that starts at minute_ns; NaN unknown."""

    symbol: str
    minute_ns: int
    volume: float


class BarReader(Protocol):
    """Reads bars. Without a stream_id each minute shows the bar of the newest stream that has one;
    a stream is as new as the first bar it stored."""

    def range(
        self, symbol: str, from_ns: int, to_ns: int, stream_id: str | None = None
    ) -> list[BarRow]:
        """Bars of one symbol with from_ns <= minute_ns < to_ns, oldest first."""

    def volumes(
        self, from_ns: int, to_ns: int, stream_id: str | None = None
    ) -> Iterator[MinuteVolume]:
        """Volume of every symbol per minute with from_ns <= minute_ns < to_ns, in order of
        (minute_ns, symbol). The reader must not be used otherwise before the end of it."""


class BarStore(BarReader, Protocol):
    """Keeps final bars."""

    def upsert(self, bars: Sequence[BarRow]) -> int:
        """Store bars in one transaction. Returns how many changed the store.

        For the same (symbol, minute, stream) the bar with the larger n stays; an older or equal
        one is ignored. Raises StoreError; then none of them was stored.
        """

    def prune(self, before_ns: int, keep: str, limit: int) -> int:
        """Remove in one transaction at most `limit` bars with minute_ns < before_ns (ns UTC), none
        of stream `keep`, in order of minute, of when the symbol and of when the stream was first
        stored; returns how many. How new a stream is stays as it was. Raises StoreError; then
        none was removed."""

    def close(self) -> None:
        """Close the store."""
