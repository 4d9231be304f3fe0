-- +goose Up

-- One row for each sandbox, for ever small. Times are Unix microseconds, 0 is none; ttl and idle are microseconds.
CREATE TABLE sandboxes (
    id             TEXT    NOT NULL PRIMARY KEY,
    request_id     TEXT    NOT NULL,
    fingerprint    TEXT    NOT NULL,
    project_name   TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    fence          INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    token          TEXT    NOT NULL,
    control_token  TEXT    NOT NULL,
    endpoint       TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    log_tail       TEXT    NOT NULL,
    restarts       INTEGER NOT NULL,
    ttl            INTEGER NOT NULL,
    idle           INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    phase_deadline INTEGER NOT NULL,
    ready_at       INTEGER NOT NULL,
    active_at      INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    ended_at       INTEGER NOT NULL
);

-- Sweeps look at what lives; what has ended only grows.
CREATE INDEX sandboxes_live ON sandboxes (id) WHERE state NOT IN ('deleted', 'failed');

-- What was asked for, up to megabytes with inline files: apart from the row that changes often, and dropped with the
-- end of the sandbox.
CREATE TABLE sandbox_specs (
    id   TEXT NOT NULL PRIMARY KEY,
    spec TEXT NOT NULL
);
