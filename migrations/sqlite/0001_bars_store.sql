-- Final bars, minute first: a minute of 10,000 symbols goes to a few pages at the end, not to one page each.
-- NULL is "unknown"; n is the cycle that closed or revised the bar, the largest one stays.
CREATE TABLE stream (
    stream INTEGER PRIMARY KEY AUTOINCREMENT,
    stream_id TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE symbol (
    symbol INTEGER PRIMARY KEY AUTOINCREMENT,
    ticker TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE bar (
    minute_ns INTEGER NOT NULL,
    symbol INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    n INTEGER NOT NULL,
    open REAL,
    high REAL,
    low REAL,
    close REAL,
    volume REAL,
    pv REAL,
    trades INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    PRIMARY KEY (minute_ns, symbol, stream)
) STRICT, WITHOUT ROWID;
