-- +goose Up

-- The tables of platform/session/sqlsession; its doc.go explains them. Instants are Unix microseconds, 0 is none. Ids are
-- in byte order, as on SQLite and in Go.
CREATE TABLE sessions (
    id          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    commits     BIGINT  NOT NULL,
    tag         BIGINT  NOT NULL,  -- another one for each commit
    version     BIGINT  NOT NULL,
    initialized BOOLEAN NOT NULL,
    present     BOOLEAN NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    alarm_at    BIGINT  NOT NULL,
    ring        BYTEA   NOT NULL
);
CREATE INDEX sessions_present ON sessions (id) WHERE present;
CREATE INDEX sessions_alarm ON sessions (alarm_at, id) WHERE alarm_at <> 0;
CREATE INDEX sessions_expiry ON sessions (expires_at, id) WHERE expires_at <> 0;

CREATE TABLE session_parts (
    session_id TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    tag        BIGINT NOT NULL,  -- another one for each time that it was written
    data       BYTEA  NOT NULL,
    PRIMARY KEY (session_id, name)
);

-- Every commit rewrites a row or two: with room on the page no index is touched.
ALTER TABLE sessions SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_cost_delay = 0);
ALTER TABLE session_parts SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0.02, toast.autovacuum_vacuum_cost_delay = 0);

-- A ring is made of hashes, which no compression makes smaller.
ALTER TABLE sessions ALTER COLUMN ring SET STORAGE EXTERNAL;

-- lz4 writes 5 MB of JSON three times as fast as the default compression. Servers may be built without it.
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE 'ALTER TABLE session_parts ALTER COLUMN data SET COMPRESSION lz4';
EXCEPTION WHEN feature_not_supported OR syntax_error OR invalid_parameter_value THEN
    NULL;
END
$$;
-- +goose StatementEnd
