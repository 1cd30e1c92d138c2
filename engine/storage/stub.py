"""In-memory stores that behave like the real ones: for tests and runs that keep nothing."""

import bisect
import operator
from collections.abc import Iterator, Sequence

from engine.storage.ports import AlertAt, BarRow, MinuteVolume, StoredAlert


class MemoryAlertStore:
    """AlertStore in a list; positions are 1, 2, 3, ..."""

    def __init__(self) -> None:
        self.repeats = 0
        self._position = 0
        self._rows: list[AlertAt] = []
        self._by_id: dict[str, AlertAt] = {}

    def append(self, alerts: Sequence[StoredAlert]) -> int:
        """See AlertStore.append."""
        fresh = 0
        for alert in alerts:
            if alert.alert_id in self._by_id:
                self.repeats += 1
                continue
            self._position += 1
            row = AlertAt(self._position, alert)
            self._rows.append(row)
            self._by_id[alert.alert_id] = row
            fresh += 1
        return fresh

    def prune(self, before_ns: int, keep: str, limit: int) -> int:
        """See AlertStore.prune."""
        old = [
            (stored_ns, row.position, row.alert.alert_id)
            for row in self._rows
            if (stored_ns := row.alert.stored_ns) is not None
            and stored_ns < before_ns
            and row.alert.stream_id != keep
        ]
        gone = {alert_id for _, _, alert_id in sorted(old)[: max(limit, 0)]}
        self._rows = [row for row in self._rows if row.alert.alert_id not in gone]
        for alert_id in gone:
            del self._by_id[alert_id]
        return len(gone)

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
        """See AlertReader.latest."""
        found: list[AlertAt] = []
        for row in reversed(self._rows):
            if len(found) >= limit + offset or (after is not None and row.position <= after):
                break
            if before is not None and row.position >= before:
                continue
            wanted = (symbol, rule_id, stream_id)
            has = (row.alert.symbol, row.alert.rule_id, row.alert.stream_id)
            timely = (from_ns or 0) <= row.alert.t_ns and (to_ns is None or row.alert.t_ns < to_ns)
            if timely and all(w in (None, value) for w, value in zip(wanted, has, strict=True)):
                found.append(row)
        return found[offset:]

    def after(self, position: int, limit: int) -> list[AlertAt]:
        """See AlertReader.after."""
        start = bisect.bisect_right(self._rows, position, key=operator.attrgetter("position"))
        return self._rows[start : start + max(limit, 0)]

    def get(self, alert_id: str) -> AlertAt | None:
        """See AlertReader.get."""
        return self._by_id.get(alert_id)

    def count(self, stream_id: str | None = None) -> int:
        """See AlertReader.count."""
        return sum(stream_id in (None, row.alert.stream_id) for row in self._rows)

    def last_n(self, stream_id: str) -> int:
        """See AlertReader.last_n."""
        mine = (row.alert.n for row in self._rows if row.alert.stream_id == stream_id)
        return max(mine, default=0)

    def ids_of(self, stream_id: str, rule_id: str, cycles: range, from_ns: int) -> list[str]:
        """See AlertReader.ids_of."""
        alerts = [row.alert for row in self._rows if row.alert.stream_id == stream_id]
        return [
            alert.alert_id
            for alert in alerts
            if alert.rule_id == rule_id and alert.n in cycles and alert.t_ns >= from_ns
        ]

    def texts(self, stream_id: str) -> Iterator[bytes]:
        """See AlertReader.texts."""
        mine = [row.alert for row in self._rows if row.alert.stream_id == stream_id]
        mine.sort(key=operator.attrgetter("n", "rule_id", "symbol"))
        return iter([alert.json for alert in mine])

    def close(self) -> None:
        """Nothing to close."""


class MemoryBarStore:
    """BarStore in a dict."""

    def __init__(self) -> None:
        self._bars: dict[tuple[int, str, str], BarRow] = {}
        self._streams: dict[str, int] = {}
        self._symbols: dict[str, int] = {}

    def upsert(self, bars: Sequence[BarRow]) -> int:
        """See BarStore.upsert."""
        changed = 0
        for bar in bars:
            self._streams.setdefault(bar.stream_id, len(self._streams))
            self._symbols.setdefault(bar.symbol, len(self._symbols))
            key = (bar.minute_ns, bar.symbol, bar.stream_id)
            old = self._bars.get(key)
            if old is None or bar.n > old.n:
                self._bars[key] = bar
                changed += 1
        return changed

    def prune(self, before_ns: int, keep: str, limit: int) -> int:
        """See BarStore.prune."""
        old = [key for key in self._bars if key[0] < before_ns and key[2] != keep]
        old.sort(key=lambda key: (key[0], self._symbols[key[1]], self._streams[key[2]]))
        for key in old[: max(limit, 0)]:
            del self._bars[key]
        return min(len(old), max(limit, 0))

    def range(
        self, symbol: str, from_ns: int, to_ns: int, stream_id: str | None = None
    ) -> list[BarRow]:
        """See BarReader.range."""
        return [bar for bar in self._newest(from_ns, to_ns, stream_id) if bar.symbol == symbol]

    def volumes(
        self, from_ns: int, to_ns: int, stream_id: str | None = None
    ) -> Iterator[MinuteVolume]:
        """See BarReader.volumes."""
        for bar in self._newest(from_ns, to_ns, stream_id):
            yield MinuteVolume(bar.symbol, bar.minute_ns, bar.volume)

    def close(self) -> None:
        """Nothing to close."""

    def _newest(self, from_ns: int, to_ns: int, stream_id: str | None) -> list[BarRow]:
        """Bars of the span, one per (minute, symbol), in that order."""
        chosen: dict[tuple[int, str], BarRow] = {}
        for (minute_ns, symbol, stream), bar in self._bars.items():
            if not from_ns <= minute_ns < to_ns or stream_id not in (None, stream):
                continue
            other = chosen.get((minute_ns, symbol))
            if other is None or self._streams[other.stream_id] < self._streams[stream]:
                chosen[minute_ns, symbol] = bar
        return [chosen[key] for key in sorted(chosen)]
