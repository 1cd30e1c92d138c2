-- Alerts, once each: alert_id is the only key of deduplication. json is the canonical text, verbatim.
-- AUTOINCREMENT: a position is a cursor of resuming readers and must not be used twice.
CREATE TABLE alert (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id TEXT NOT NULL UNIQUE,
    stream_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    t_ns INTEGER NOT NULL,
    rule_id TEXT NOT NULL,
    symbol TEXT NOT NULL,
    json BLOB NOT NULL,
    recv_ns INTEGER,
    decided_ns INTEGER,
    committed_ns INTEGER,
    stored_ns INTEGER
) STRICT;

CREATE INDEX alert_by_stream ON alert (stream_id, n, rule_id, symbol);
CREATE INDEX alert_by_symbol ON alert (symbol, position);
CREATE INDEX alert_by_rule ON alert (rule_id, position);
