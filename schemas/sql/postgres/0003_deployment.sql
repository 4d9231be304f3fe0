-- +goose Up
-- Names are compared byte by byte, as SQLite and Go do, whatever the database's locale.
CREATE TABLE app_deployments (
    app_name   TEXT COLLATE "C" PRIMARY KEY,
    target     TEXT   NOT NULL,
    endpoint   TEXT   NOT NULL,
    version    BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- fence 0: no route is published, the row only remembers the withdrawal.
CREATE TABLE preview_routes (
    sandbox_id      TEXT COLLATE "C" PRIMARY KEY,
    fence           BIGINT NOT NULL,
    token           TEXT   NOT NULL,
    endpoint        TEXT   NOT NULL,
    published_at    BIGINT NOT NULL,
    withdrawn_fence BIGINT NOT NULL,
    withdrawn_at    BIGINT NOT NULL,
    CHECK (fence = 0 OR fence > withdrawn_fence)
);

CREATE INDEX preview_routes_withdrawn ON preview_routes (withdrawn_at) WHERE fence = 0;
