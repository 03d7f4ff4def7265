-- When a key reached its state; one written before has been in its first state ever since.
ALTER TABLE wrapped_keys ADD COLUMN state_at INTEGER NOT NULL DEFAULT 0;
UPDATE wrapped_keys SET state_at = created_at;

ALTER TABLE threats ADD COLUMN route TEXT NOT NULL DEFAULT '';
ALTER TABLE threats ADD COLUMN blocked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE threats ADD COLUMN match_offset INTEGER NOT NULL DEFAULT 0; -- bytes
ALTER TABLE threats ADD COLUMN match_length INTEGER NOT NULL DEFAULT 0; -- bytes; 0: unknown
-- In lower case, for searching. Of old entries only ASCII letters are.
ALTER TABLE threats ADD COLUMN folded_input TEXT NOT NULL DEFAULT '';
ALTER TABLE threats ADD COLUMN folded_evidence TEXT NOT NULL DEFAULT '';
UPDATE threats SET folded_input = lower(input), folded_evidence = lower(evidence);

-- What DeleteThreats looks for.
CREATE INDEX threats_age ON threats (detected_at);
-- What is asked for when something is looked into, and is rare among the others' entries.
CREATE INDEX threats_request ON threats (request_id, id);
CREATE INDEX threats_ip ON threats (ip, id);

CREATE TABLE rule_sets (
    manufacturer_id TEXT    NOT NULL PRIMARY KEY, -- '' is the installation's
    version         INTEGER NOT NULL,
    modes           TEXT    NOT NULL, -- JSON list
    exclusions      TEXT    NOT NULL, -- JSON list
    known           TEXT    NOT NULL, -- JSON list
    updated_at      INTEGER NOT NULL,
    updated_by      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- The policy in force: one row, or none.
CREATE TABLE policy (
    one        INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version    INTEGER NOT NULL,
    source     BLOB    NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT    NOT NULL
) STRICT;

-- Scores that halve as time goes by.
CREATE TABLE points (
    key      TEXT    NOT NULL PRIMARY KEY,
    points   REAL    NOT NULL, -- at the time at
    at       INTEGER NOT NULL,
    spent_at INTEGER NOT NULL  -- from then on they are as good as none
) STRICT, WITHOUT ROWID;

CREATE INDEX points_spent ON points (spent_at);

CREATE TABLE blocks (
    id              TEXT    NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL,
    subject         TEXT    NOT NULL,
    manufacturer_id TEXT    NOT NULL,
    scenario        TEXT    NOT NULL,
    reason          TEXT    NOT NULL,
    points          REAL    NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    lifted_at       INTEGER,
    lifted_by       TEXT    NOT NULL,
    lift_reason     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX blocks_subject ON blocks (kind, subject, expires_at) WHERE lifted_at IS NULL;
CREATE INDEX blocks_expires ON blocks (expires_at) WHERE lifted_at IS NULL;
CREATE INDEX blocks_lifted ON blocks (lifted_at) WHERE lifted_at IS NOT NULL;

CREATE TABLE security_scores (
    manufacturer_id TEXT    NOT NULL,
    day             INTEGER NOT NULL,
    score           INTEGER NOT NULL,
    PRIMARY KEY (manufacturer_id, day)
) STRICT, WITHOUT ROWID;

-- Nanoseconds: a rounded interval would change the rate.
CREATE TABLE rates (
    key     TEXT    NOT NULL PRIMARY KEY,
    full_at INTEGER NOT NULL -- when the burst is whole again
) STRICT, WITHOUT ROWID;

CREATE INDEX rates_full ON rates (full_at);

CREATE TABLE jobs (
    id              TEXT    NOT NULL PRIMARY KEY,
    kind            TEXT    NOT NULL,
    manufacturer_id TEXT    NOT NULL, -- '' is the installation
    state           TEXT    NOT NULL,
    done            INTEGER NOT NULL,
    total           INTEGER NOT NULL,
    error           TEXT    NOT NULL,
    node            TEXT    NOT NULL,
    lease_until     INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One of a kind at a time.
CREATE UNIQUE INDEX jobs_running ON jobs (kind, manufacturer_id) WHERE state = 'running';
-- In the order in which they are claimed.
CREATE INDEX jobs_waiting ON jobs (state, created_at, id);
CREATE INDEX jobs_finished ON jobs (updated_at) WHERE state <> 'running';
