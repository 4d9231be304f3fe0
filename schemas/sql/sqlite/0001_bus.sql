-- +goose Up

-- The tables of events/sqlbus; its doc.go explains them. Instants are Unix microseconds.

CREATE TABLE bus_subscriptions (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL
);

-- Processes that hold leases. A row whose beat stands still belongs to a dead process.
CREATE TABLE bus_owners (
    id      INTEGER PRIMARY KEY,
    process TEXT    NOT NULL,
    beat    INTEGER NOT NULL
);

-- The next id of a lane or message.
CREATE TABLE bus_ids (next INTEGER NOT NULL);
INSERT INTO bus_ids (next) VALUES (1);

-- What can be leased: one ordered key, or one unordered message.
CREATE TABLE bus_lanes (
    id       INTEGER PRIMARY KEY,
    sub      INTEGER NOT NULL,
    key      TEXT,              -- NULL for an unordered message
    owner    INTEGER NOT NULL,  -- 0: free
    due      INTEGER NOT NULL,  -- 0: now
    attempts INTEGER NOT NULL   -- failed attempts of the first message
);
CREATE UNIQUE INDEX bus_lanes_key ON bus_lanes (sub, key) WHERE key IS NOT NULL;
CREATE INDEX bus_lanes_free ON bus_lanes (owner, sub, due, id);

CREATE TABLE bus_messages (
    seq        INTEGER PRIMARY KEY,  -- also the lane of an unordered message
    lane       INTEGER,              -- NULL for an unordered message
    size       INTEGER NOT NULL,
    accepted   INTEGER NOT NULL,
    id         TEXT    NOT NULL,
    type       TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    time       INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    attributes TEXT    NOT NULL,
    data       BLOB
);
CREATE INDEX bus_messages_lane ON bus_messages (lane, seq) WHERE lane IS NOT NULL;
