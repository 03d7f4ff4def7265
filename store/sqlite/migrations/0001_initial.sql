-- Times are microseconds since 1970-01-01 UTC, NULL where there is none. Text compares
-- byte by byte, so identifiers are case-sensitive. Small lists are JSON.

CREATE TABLE manufacturers (
    id            TEXT    NOT NULL PRIMARY KEY,
    company_name  TEXT    NOT NULL,
    folded_name   TEXT    NOT NULL, -- company_name in lower case, for searching
    country       TEXT    NOT NULL,
    tier          TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    status_reason TEXT    NOT NULL,
    time_zone     TEXT    NOT NULL,
    anchor_day    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE members (
    manufacturer_id     TEXT    NOT NULL REFERENCES manufacturers (id),
    id                  TEXT    NOT NULL,
    email               TEXT    NOT NULL,
    email_key           TEXT    NOT NULL UNIQUE,
    name                TEXT    NOT NULL,
    role                TEXT    NOT NULL,
    grants              TEXT    NOT NULL, -- JSON list of permissions
    status              TEXT    NOT NULL,
    password_hash       TEXT    NOT NULL,
    password_short      INTEGER NOT NULL,
    password_changed_at INTEGER,
    email_verified_at   INTEGER,
    totp_seed           BLOB,             -- sealed; NULL: no factor
    totp_confirmed_at   INTEGER,
    totp_last_step      INTEGER NOT NULL,
    pending_totp        BLOB,             -- sealed
    recovery_codes      TEXT    NOT NULL, -- JSON list of hashes in base64
    created_at          INTEGER NOT NULL,
    updated_at          INTEGER NOT NULL,
    PRIMARY KEY (manufacturer_id, id)
) STRICT;

CREATE TABLE sessions (
    manufacturer_id    TEXT    NOT NULL,
    id                 TEXT    NOT NULL UNIQUE,
    member_id          TEXT    NOT NULL,
    created_at         INTEGER NOT NULL,
    last_seen_at       INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL,
    auth_time          INTEGER NOT NULL,
    amr                TEXT    NOT NULL, -- JSON list
    ip                 TEXT    NOT NULL,
    user_agent         TEXT    NOT NULL,
    refresh_seed       BLOB    NOT NULL,
    refresh_generation INTEGER NOT NULL,
    rotated_at         INTEGER,
    revoked_at         INTEGER,
    revoke_reason      TEXT    NOT NULL,
    PRIMARY KEY (manufacturer_id, id),
    FOREIGN KEY (manufacturer_id, member_id) REFERENCES members (manufacturer_id, id)
) STRICT;

-- A member's sessions that are not revoked, in order of age.
CREATE INDEX sessions_open ON sessions (manufacturer_id, member_id, created_at, id) WHERE revoked_at IS NULL;
-- What DeleteExpired looks for.
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX sessions_expires ON sessions (expires_at);

CREATE TABLE challenges (
    token_hash      BLOB    NOT NULL PRIMARY KEY,
    purpose         TEXT    NOT NULL,
    manufacturer_id TEXT    NOT NULL,
    member_id       TEXT    NOT NULL,
    ip              TEXT    NOT NULL,
    user_agent      TEXT    NOT NULL,
    device          TEXT    NOT NULL,
    tries_left      INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX challenges_expires ON challenges (expires_at);

CREATE TABLE counters (
    key      TEXT    NOT NULL PRIMARY KEY,
    count    INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    stale_at INTEGER NOT NULL -- last_at and the window; past it the count is of no use
) STRICT, WITHOUT ROWID;

CREATE INDEX counters_stale ON counters (stale_at);

CREATE TABLE audit_heads (
    manufacturer_id TEXT    NOT NULL PRIMARY KEY,
    seq             INTEGER NOT NULL,
    hash            BLOB    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_entries (
    manufacturer_id TEXT    NOT NULL,
    seq             INTEGER NOT NULL,
    id              TEXT    NOT NULL,
    at              INTEGER NOT NULL,
    action          TEXT    NOT NULL,
    outcome         TEXT    NOT NULL,
    actor_kind      TEXT    NOT NULL,
    actor_id        TEXT    NOT NULL,
    target          TEXT    NOT NULL,
    ip              TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    detail          TEXT    NOT NULL,
    hash            BLOB    NOT NULL,
    PRIMARY KEY (manufacturer_id, seq)
) STRICT;

CREATE TABLE wrapped_keys (
    manufacturer_id TEXT    NOT NULL, -- '' for keys of the installation
    purpose         TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    kek_id          TEXT    NOT NULL,
    wrapped         BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (manufacturer_id, purpose, version)
) STRICT;

-- AUTOINCREMENT: a number is never used twice, so a cursor stays what it was.
CREATE TABLE changes (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT    NOT NULL,
    manufacturer_id TEXT    NOT NULL,
    member_id       TEXT    NOT NULL,
    session_id      TEXT    NOT NULL,
    announced_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX changes_announced ON changes (announced_at);

CREATE TABLE usage_counts (
    manufacturer_id TEXT    NOT NULL,
    meter           TEXT    NOT NULL,
    start           INTEGER NOT NULL,
    spent           INTEGER NOT NULL,
    PRIMARY KEY (manufacturer_id, meter, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage_leases (
    manufacturer_id TEXT    NOT NULL,
    meter           TEXT    NOT NULL,
    start           INTEGER NOT NULL,
    node            TEXT    NOT NULL,
    held            INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL, -- after it the block counts as spent
    PRIMARY KEY (manufacturer_id, meter, start, node)
) STRICT, WITHOUT ROWID;

-- Not by period, so that a request repeated over the turn of the month is not spent twice.
CREATE TABLE usage_keys (
    manufacturer_id TEXT    NOT NULL,
    meter           TEXT    NOT NULL,
    key             TEXT    NOT NULL,
    fingerprint     BLOB    NOT NULL,
    used            INTEGER NOT NULL,
    keep_until      INTEGER NOT NULL,
    PRIMARY KEY (manufacturer_id, meter, key)
) STRICT;

CREATE INDEX usage_keys_expires ON usage_keys (keep_until);

CREATE TABLE threats (
    manufacturer_id TEXT    NOT NULL, -- '' when nobody was authenticated
    id              TEXT    NOT NULL UNIQUE,
    member_id       TEXT    NOT NULL,
    session_id      TEXT    NOT NULL,
    ip              TEXT    NOT NULL,
    user_agent      TEXT    NOT NULL,
    request_id      TEXT    NOT NULL,
    detected_at     INTEGER NOT NULL,
    type            TEXT    NOT NULL,
    severity        TEXT    NOT NULL,
    rule            TEXT    NOT NULL,
    description     TEXT    NOT NULL,
    input           TEXT    NOT NULL,
    location        TEXT    NOT NULL,
    evidence        TEXT    NOT NULL,
    score           INTEGER NOT NULL,
    PRIMARY KEY (manufacturer_id, id)
) STRICT;

CREATE INDEX threats_detected ON threats (manufacturer_id, detected_at, severity);

CREATE TABLE vault_records (
    manufacturer_id TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    sealed          BLOB    NOT NULL,
    key_version     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    updated_by      TEXT    NOT NULL,
    PRIMARY KEY (manufacturer_id, name)
) STRICT;
