"""Alert store and bar store in SQLite files, and their read-only views for other processes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.storage.database import Database, nan, null
from engine.storage.ports import AlertAt, BarRow, MinuteVolume, StoredAlert

ALERTS_NAME = "alerts.db"
_ALERT = (
    "alert_id, stream_id, n, t_ns, rule_id, symbol, json, "
    "recv_ns, decided_ns, committed_ns, stored_ns"
)
_ALERT_INSERT = (
    f"INSERT INTO alert ({_ALERT}) VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (alert_id) DO NOTHING"
)
_ALERT_PRUNE = """
DELETE FROM alert WHERE position IN (
    SELECT position FROM alert WHERE stored_ns < ? AND stream_id <> ?
    ORDER BY stored_ns, position LIMIT ?
)
"""
_BAR_FIELDS = "n, open, high, low, close, volume, pv, trades, flags"
_BAR_UPSERT = f"""
INSERT INTO bar (minute_ns, symbol, stream, {_BAR_FIELDS})
VALUES (
    ?, (SELECT symbol FROM symbol WHERE ticker = ?),
    (SELECT stream FROM stream WHERE stream_id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?
)
ON CONFLICT (minute_ns, symbol, stream) DO UPDATE SET
    n = excluded.n, open = excluded.open, high = excluded.high, low = excluded.low,
    close = excluded.close, volume = excluded.volume, pv = excluded.pv,
    trades = excluded.trades, flags = excluded.flags
WHERE excluded.n > bar.n
"""
_BAR_PRUNE = """
DELETE FROM bar WHERE (minute_ns, symbol, stream) IN (
    SELECT minute_ns, symbol, stream FROM bar
    WHERE minute_ns >= ? AND minute_ns < ?
        AND stream IS NOT (SELECT stream FROM stream WHERE stream_id = ?)
    ORDER BY minute_ns, symbol, stream LIMIT ?
)
"""
# Bars lie minute first: walk the minutes that exist and look the symbol up in each.
_BAR_RANGE = """
WITH RECURSIVE minute (at) AS (
    SELECT min(minute_ns) FROM bar WHERE minute_ns >= :from_ns
    UNION ALL
    SELECT (SELECT min(minute_ns) FROM bar WHERE minute_ns > minute.at)
    FROM minute WHERE minute.at < :to_ns
)
SELECT bar.minute_ns, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.pv,
       bar.trades, bar.flags, bar.n, stream.stream_id
FROM minute
JOIN bar ON bar.minute_ns = minute.at
    AND bar.symbol = (SELECT symbol FROM symbol WHERE ticker = :ticker)
    AND bar.stream = {stream}
JOIN stream ON stream.stream = bar.stream
WHERE minute.at < :to_ns
ORDER BY bar.minute_ns
"""
_BAR_VOLUMES = """
SELECT symbol.ticker, bar.minute_ns, bar.volume
FROM bar JOIN symbol ON symbol.symbol = bar.symbol
WHERE bar.minute_ns >= :from_ns AND bar.minute_ns < :to_ns AND bar.stream = {stream}
ORDER BY bar.minute_ns, symbol.ticker
"""
_THIS_STREAM = "(SELECT stream FROM stream WHERE stream_id = :stream_id)"
_NEWEST_STREAM = """(
    SELECT max(newer.stream) FROM bar AS newer
    WHERE newer.minute_ns = bar.minute_ns AND newer.symbol = bar.symbol
)"""


def _alert_at(row: tuple) -> AlertAt:
    """Row (position, the columns of _ALERT) as a value."""
    position, alert_id, stream_id, n, t_ns, rule_id, symbol, json, *stamps = row
    recv_ns, decided_ns, committed_ns, stored_ns = stamps
    alert = StoredAlert(
        alert_id=alert_id,
        stream_id=stream_id,
        n=n,
        t_ns=t_ns,
        rule_id=rule_id,
        symbol=symbol,
        json=json,
        recv_ns=recv_ns,
        decided_ns=decided_ns,
        committed_ns=committed_ns,
        stored_ns=stored_ns,
    )
    return AlertAt(position, alert)


class SqliteAlertReader:
    """AlertReader on a file that another process writes, opened mode=ro."""

    def __init__(self, path: Path) -> None:
        self._database = Database.reader(path, "alerts")

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
        conditions = {
            "position < ?": before,
            "position > ?": after,
            "symbol = ?": symbol,
            "rule_id = ?": rule_id,
            "stream_id = ?": stream_id,
            "t_ns >= ?": from_ns,
            "t_ns < ?": to_ns,
        }
        given = {text: value for text, value in conditions.items() if value is not None}
        where = f"WHERE {' AND '.join(given)} " if given else ""
        sql = f"SELECT position, {_ALERT} FROM alert {where}ORDER BY position DESC LIMIT ? OFFSET ?"
        rows = self._database.rows("read", sql, (*given.values(), max(limit, 0), offset))
        return [_alert_at(row) for row in rows]

    def after(self, position: int, limit: int) -> list[AlertAt]:
        """See AlertReader.after."""
        sql = f"SELECT position, {_ALERT} FROM alert WHERE position > ? ORDER BY position LIMIT ?"
        rows = self._database.rows("read", sql, (position, max(limit, 0)))
        return [_alert_at(row) for row in rows]

    def get(self, alert_id: str) -> AlertAt | None:
        """See AlertReader.get."""
        sql = f"SELECT position, {_ALERT} FROM alert WHERE alert_id = ?"
        rows = self._database.rows("read", sql, (alert_id,))
        return _alert_at(rows[0]) if rows else None

    def count(self, stream_id: str | None = None) -> int:
        """See AlertReader.count."""
        where, values = ("", ()) if stream_id is None else (" WHERE stream_id = ?", (stream_id,))
        return int(self._database.rows("read", f"SELECT count(*) FROM alert{where}", values)[0][0])

    def last_n(self, stream_id: str) -> int:
        """See AlertReader.last_n."""
        sql = "SELECT coalesce(max(n), 0) FROM alert WHERE stream_id = ?"
        return int(self._database.rows("read", sql, (stream_id,))[0][0])

    def ids_of(self, stream_id: str, rule_id: str, cycles: range, from_ns: int) -> list[str]:
        """See AlertReader.ids_of."""
        sql = (
            "SELECT alert_id FROM alert WHERE stream_id = ? AND rule_id = ? AND n >= ? AND n < ?"
            " AND t_ns >= ?"
        )
        values = (stream_id, rule_id, cycles.start, cycles.stop, from_ns)
        return [alert_id for (alert_id,) in self._database.rows("read", sql, values)]

    def texts(self, stream_id: str) -> Iterator[bytes]:
        """See AlertReader.texts."""
        sql = "SELECT json FROM alert WHERE stream_id = ? ORDER BY n, rule_id, symbol, position"
        for (json,) in self._database.stream("read", sql, (stream_id,)):
            yield json

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class SqliteAlertStore(SqliteAlertReader):
    """AlertStore in a file of its own: WAL, synchronous FULL, so durable when append returns.

    vfs: see Database.writer. Raises StoreError, MigrationError.
    """

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self._database = Database.writer(path, "alerts", "FULL", vfs)
        self.repeats = 0

    def append(self, alerts: Sequence[StoredAlert]) -> int:
        """See AlertStore.append."""
        rows = [
            (
                alert.alert_id,
                alert.stream_id,
                alert.n,
                alert.t_ns,
                alert.rule_id,
                alert.symbol,
                alert.json,
                alert.recv_ns,
                alert.decided_ns,
                alert.committed_ns,
                alert.stored_ns,
            )
            for alert in alerts
        ]
        with self._database.transaction("append of alerts"):
            fresh = self._database.run_many(_ALERT_INSERT, rows)
        self.repeats += len(rows) - fresh
        return fresh

    def prune(self, before_ns: int, keep: str, limit: int) -> int:
        """See AlertStore.prune."""
        with self._database.transaction("removal of old alerts"):
            return self._database.run_counted(_ALERT_PRUNE, (before_ns, keep, max(limit, 0)))


class SqliteBarReader:
    """BarReader on a file that another process writes, opened mode=ro."""

    def __init__(self, path: Path) -> None:
        self._database = Database.reader(path, "bars")

    def range(
        self, symbol: str, from_ns: int, to_ns: int, stream_id: str | None = None
    ) -> list[BarRow]:
        """See BarReader.range."""
        values = {"ticker": symbol, **_span(from_ns, to_ns, stream_id)}
        sql = _BAR_RANGE.format(stream=_stream(stream_id))
        return [
            BarRow(
                symbol=symbol,
                minute_ns=minute_ns,
                open=nan(open_),
                high=nan(high),
                low=nan(low),
                close=nan(close),
                volume=nan(volume),
                pv=nan(pv),
                trades=trades,
                flags=flags,
                n=n,
                stream_id=stream,
            )
            for (minute_ns, open_, high, low, close, volume, pv, trades, flags, n, stream)
            in self._database.rows("read", sql, values)
        ]

    def volumes(
        self, from_ns: int, to_ns: int, stream_id: str | None = None
    ) -> Iterator[MinuteVolume]:
        """See BarReader.volumes."""
        sql = _BAR_VOLUMES.format(stream=_stream(stream_id))
        for row in self._database.stream("read", sql, _span(from_ns, to_ns, stream_id)):
            ticker, minute_ns, volume = row
            yield MinuteVolume(ticker, minute_ns, nan(volume))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _stream(stream_id: str | None) -> str:
    """SQL for the stream whose bar is shown."""
    return _NEWEST_STREAM if stream_id is None else _THIS_STREAM


def _span(from_ns: int, to_ns: int, stream_id: str | None) -> dict[str, int | str]:
    """Named values of a query over a span; a stream only where its SQL names one."""
    span: dict[str, int | str] = {"from_ns": from_ns, "to_ns": to_ns}
    return span if stream_id is None else {**span, "stream_id": stream_id}


class SqliteBarStore(SqliteBarReader):
    """BarStore in a file of its own: WAL, synchronous NORMAL, since bars can be made again.

    vfs: see Database.writer. Raises StoreError, MigrationError.
    """

    def __init__(self, path: Path, vfs: str | None = None) -> None:
        self._database = Database.writer(path, "bars", "NORMAL", vfs)
        self._pruned: tuple[str, int] = ("", 0)

    def upsert(self, bars: Sequence[BarRow]) -> int:
        """See BarStore.upsert."""
        rows = [
            (
                int(bar.minute_ns),
                bar.symbol,
                bar.stream_id,
                int(bar.n),
                *(null(x) for x in (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.pv)),
                int(bar.trades),
                int(bar.flags),
            )
            for bar in bars
        ]
        streams = [(name,) for name in dict.fromkeys(bar.stream_id for bar in bars)]
        tickers = [(name,) for name in dict.fromkeys(bar.symbol for bar in bars)]
        with self._database.transaction("upsert of bars"):
            keep = "ON CONFLICT DO NOTHING"
            self._database.run_many(f"INSERT INTO stream (stream_id) VALUES (?) {keep}", streams)
            self._database.run_many(f"INSERT INTO symbol (ticker) VALUES (?) {keep}", tickers)
            changed = self._database.run_many(_BAR_UPSERT, rows)
        keep, pruned_ns = self._pruned
        if any(bar.minute_ns < pruned_ns and bar.stream_id != keep for bar in bars):
            self._pruned = ("", 0)
        return changed

    def prune(self, before_ns: int, keep: str, limit: int) -> int:
        """See BarStore.prune. What was found to be of `keep` alone is not looked through again."""
        kept, pruned_ns = self._pruned
        first_ns = pruned_ns if kept == keep else 0
        values = (first_ns, before_ns, keep, max(limit, 0))
        with self._database.transaction("removal of old bars"):
            removed = self._database.run_counted(_BAR_PRUNE, values)
        if removed < limit:
            self._pruned = (keep, max(first_ns, before_ns))
        return removed
