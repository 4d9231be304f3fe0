-- +goose Up
CREATE TABLE app_deployments (
    app_name   TEXT    NOT NULL PRIMARY KEY,
    target     TEXT    NOT NULL,
    endpoint   TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- fence 0: no route is published, the row only remembers the withdrawal.
CREATE TABLE preview_routes (
    sandbox_id      TEXT    NOT NULL PRIMARY KEY,
    fence           INTEGER NOT NULL,
    token           TEXT    NOT NULL,
    endpoint        TEXT    NOT NULL,
    published_at    INTEGER NOT NULL,
    withdrawn_fence INTEGER NOT NULL,
    withdrawn_at    INTEGER NOT NULL,
    CHECK (fence = 0 OR fence > withdrawn_fence)
) STRICT, WITHOUT ROWID;

CREATE INDEX preview_routes_withdrawn ON preview_routes (withdrawn_at) WHERE fence = 0;
