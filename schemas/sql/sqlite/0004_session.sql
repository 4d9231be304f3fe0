-- +goose Up

-- The tables of platform/session/sqlsession; its doc.go explains them. Instants are Unix microseconds, 0 is none. What is
-- large comes last in a row, so that reading the rest does not pass through it.
CREATE TABLE sessions (
    id          TEXT    NOT NULL PRIMARY KEY,
    commits     INTEGER NOT NULL,
    tag         INTEGER NOT NULL,  -- another one for each commit
    version     INTEGER NOT NULL,
    initialized INTEGER NOT NULL,
    present     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    alarm_at    INTEGER NOT NULL,
    ring        BLOB    NOT NULL
) STRICT;
CREATE INDEX sessions_present ON sessions (id) WHERE present;
CREATE INDEX sessions_alarm ON sessions (alarm_at, id) WHERE alarm_at <> 0;
CREATE INDEX sessions_expiry ON sessions (expires_at, id) WHERE expires_at <> 0;

CREATE TABLE session_parts (
    session_id TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    tag        INTEGER NOT NULL,  -- another one for each time that it was written
    data       BLOB    NOT NULL,
    PRIMARY KEY (session_id, name)
) STRICT;
