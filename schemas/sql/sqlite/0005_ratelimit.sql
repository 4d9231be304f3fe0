-- +goose Up
-- cell '': the head of the key. Times are milliseconds since 1970.
CREATE TABLE ratelimit_cells (
    key        TEXT    NOT NULL,
    cell       TEXT    NOT NULL,
    data       BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (key, cell)
) STRICT, WITHOUT ROWID;

CREATE INDEX ratelimit_cells_expired ON ratelimit_cells (expires_at);

CREATE TABLE ratelimit_adjusted (
    key        TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (key, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX ratelimit_adjusted_expired ON ratelimit_adjusted (expires_at);
