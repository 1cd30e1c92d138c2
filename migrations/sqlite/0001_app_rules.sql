-- Every version of every rule. rule holds what is newest: a list of rules reads no history.
CREATE TABLE rule_version (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    rule_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    action TEXT NOT NULL,
    document BLOB NOT NULL,
    content_hash TEXT NOT NULL,
    owner TEXT NOT NULL,
    author TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    note TEXT NOT NULL,
    UNIQUE (rule_id, version)
) STRICT;

CREATE INDEX rule_version_by_author ON rule_version (author, rule_id, version);

CREATE TABLE rule (
    rule_id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    version INTEGER NOT NULL,
    deleted INTEGER NOT NULL
) STRICT;

-- What a request was answered with: its repeat gets the same and changes nothing.
CREATE TABLE rule_answer (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    request_id TEXT NOT NULL UNIQUE,
    answer BLOB NOT NULL
) STRICT;
