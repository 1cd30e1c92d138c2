-- Who may sign in. credentials grows whenever what was granted before must no longer count.
CREATE TABLE user (
    user_id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'trader', 'admin')),
    password_hash TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    disabled INTEGER NOT NULL,
    must_change INTEGER NOT NULL,
    credentials INTEGER NOT NULL
) STRICT;

-- Sessions of browsers, refresh tokens and API tokens: hashes of secrets, never a secret.
CREATE TABLE user_grant (
    secret_hash TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('session', 'refresh', 'api')),
    user_id TEXT NOT NULL REFERENCES user (user_id) ON DELETE CASCADE,
    credentials INTEGER NOT NULL,
    family TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    expires_ns INTEGER,
    used_ns INTEGER,
    revoked INTEGER NOT NULL
) STRICT;

CREATE INDEX user_grant_by_user ON user_grant (user_id, kind, created_ns);
CREATE INDEX user_grant_by_family ON user_grant (family);

CREATE TABLE login (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ns INTEGER NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    how TEXT NOT NULL,
    result TEXT NOT NULL
) STRICT;

CREATE TABLE user_preferences (
    user_id TEXT PRIMARY KEY REFERENCES user (user_id) ON DELETE CASCADE,
    document BLOB NOT NULL
) STRICT;
