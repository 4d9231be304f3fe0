-- +goose Up
-- cell '': the head of the key. Times are milliseconds since 1970.
-- Rows are rewritten by each charge and their indexed columns are not, so room on the page keeps updates off the indexes.
CREATE TABLE ratelimit_cells (
    key        TEXT COLLATE "C" NOT NULL,
    cell       TEXT COLLATE "C" NOT NULL,
    data       BYTEA  NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (key, cell)
) WITH (fillfactor = 50);

CREATE INDEX ratelimit_cells_expired ON ratelimit_cells (expires_at);

CREATE TABLE ratelimit_adjusted (
    key        TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (key, id)
);

CREATE INDEX ratelimit_adjusted_expired ON ratelimit_adjusted (expires_at);
