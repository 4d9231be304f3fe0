-- +goose Up

-- The tables of events/sqlbus; its doc.go explains them. Instants are Unix microseconds.

CREATE TABLE bus_subscriptions (
    id    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL
);

-- Processes that hold leases. A row whose beat stands still belongs to a dead process.
CREATE TABLE bus_owners (
    id      BIGINT PRIMARY KEY,
    process TEXT   NOT NULL,
    beat    BIGINT NOT NULL
);

-- The next id of a lane or message.
CREATE SEQUENCE bus_ids;

-- What can be leased: one ordered key, or one unordered message.
CREATE TABLE bus_lanes (
    id       BIGINT PRIMARY KEY,
    sub      BIGINT NOT NULL,
    key      TEXT COLLATE "C",  -- NULL for an unordered message
    owner    BIGINT NOT NULL,   -- 0: free
    due      BIGINT NOT NULL,   -- 0: now
    attempts BIGINT NOT NULL    -- failed attempts of the first message
);
CREATE UNIQUE INDEX bus_lanes_key ON bus_lanes (sub, key) WHERE key IS NOT NULL;
CREATE INDEX bus_lanes_free ON bus_lanes (owner, sub, due, id);

CREATE TABLE bus_messages (
    seq        BIGINT PRIMARY KEY,  -- also the lane of an unordered message
    lane       BIGINT,              -- NULL for an unordered message
    size       BIGINT NOT NULL,
    accepted   BIGINT NOT NULL,
    id         TEXT   NOT NULL,
    type       TEXT   NOT NULL,
    source     TEXT   NOT NULL,
    time       BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    attributes TEXT   NOT NULL,
    data       BYTEA
);
CREATE INDEX bus_messages_lane ON bus_messages (lane, seq) WHERE lane IS NOT NULL;

-- Rows live for milliseconds: without frequent vacuuming a claim wades through dead ones.
ALTER TABLE bus_lanes SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE bus_messages SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
