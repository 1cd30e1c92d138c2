-- What is known of symbols besides the tape. NULL is "unknown"; dates are yyyymmdd of the exchange.
-- Only `tapescan symbols import` and `tapescan history import` write here.
CREATE TABLE symbol (
    symbol INTEGER PRIMARY KEY,
    ticker TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE listing (
    symbol INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    exchange TEXT NOT NULL,
    sector TEXT NOT NULL,
    industry TEXT NOT NULL,
    country TEXT NOT NULL,
    test_issue INTEGER NOT NULL,
    shares REAL,
    as_of INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT;

CREATE TABLE float_shares (
    symbol INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    sector TEXT NOT NULL,
    industry TEXT NOT NULL,
    shares REAL,
    float_shares REAL,
    as_of INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT;

CREATE TABLE list_member (
    list TEXT NOT NULL,
    symbol INTEGER NOT NULL,
    PRIMARY KEY (list, symbol)
) STRICT, WITHOUT ROWID;

CREATE TABLE daily (
    symbol INTEGER NOT NULL,
    date INTEGER NOT NULL,
    open REAL,
    high REAL,
    low REAL,
    close REAL NOT NULL,
    volume REAL,
    PRIMARY KEY (symbol, date)
) STRICT, WITHOUT ROWID;

-- Volume of each of the 960 minutes from 04:00 to 20:00, float32, compressed.
CREATE TABLE day_volume (
    symbol INTEGER NOT NULL,
    date INTEGER NOT NULL,
    regular_only INTEGER NOT NULL,
    minutes BLOB NOT NULL,
    PRIMARY KEY (symbol, date)
) STRICT, WITHOUT ROWID;

-- New shares for one old; 1: there was none, the gap of that day is one of the market.
CREATE TABLE split (
    symbol INTEGER NOT NULL,
    date INTEGER NOT NULL,
    ratio REAL NOT NULL,
    PRIMARY KEY (symbol, date)
) STRICT, WITHOUT ROWID;
