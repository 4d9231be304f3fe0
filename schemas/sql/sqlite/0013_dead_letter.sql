-- +goose Up

-- Dead letters for people: filed by the role deadletters, see events/letter.go. Instants are Unix microseconds.
CREATE TABLE dead_letters (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    letter_id       TEXT NOT NULL UNIQUE,
    state           TEXT NOT NULL,
    topic           TEXT NOT NULL,
    subscription    TEXT NOT NULL,
    message_id      TEXT NOT NULL,
    type            TEXT NOT NULL,
    source          TEXT NOT NULL,
    time            INTEGER NOT NULL,
    key             TEXT NOT NULL,
    attributes      TEXT NOT NULL,
    data            BLOB,
    reason          TEXT NOT NULL,
    attempts        INTEGER NOT NULL,
    permanent       INTEGER NOT NULL,
    stack           TEXT NOT NULL,
    parked_at       INTEGER NOT NULL,
    first_parked_at INTEGER NOT NULL,
    replays         INTEGER NOT NULL,
    note            TEXT NOT NULL,
    edited          INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    filed_at        INTEGER NOT NULL,
    changed_at      INTEGER NOT NULL
);
CREATE INDEX dead_letters_order ON dead_letters (first_parked_at, seq);
CREATE INDEX dead_letters_state ON dead_letters (state, first_parked_at, seq);
