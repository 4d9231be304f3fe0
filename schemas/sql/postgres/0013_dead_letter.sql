-- +goose Up

-- Dead letters for people: filed by the role deadletters, see events/letter.go. Instants are Unix microseconds.
CREATE TABLE dead_letters (
    seq             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    letter_id       TEXT COLLATE "C" NOT NULL UNIQUE,
    state           TEXT COLLATE "C" NOT NULL,
    topic           TEXT COLLATE "C" NOT NULL,
    subscription    TEXT COLLATE "C" NOT NULL,
    message_id      TEXT COLLATE "C" NOT NULL,
    type            TEXT COLLATE "C" NOT NULL,
    source          TEXT NOT NULL,
    time            BIGINT NOT NULL,
    key             TEXT COLLATE "C" NOT NULL,
    attributes      TEXT NOT NULL,
    data            BYTEA,
    reason          TEXT NOT NULL,
    attempts        BIGINT NOT NULL,
    permanent       BIGINT NOT NULL,
    stack           TEXT NOT NULL,
    parked_at       BIGINT NOT NULL,
    first_parked_at BIGINT NOT NULL,
    replays         BIGINT NOT NULL,
    note            TEXT NOT NULL,
    edited          BIGINT NOT NULL,
    version         BIGINT NOT NULL,
    filed_at        BIGINT NOT NULL,
    changed_at      BIGINT NOT NULL
);
CREATE INDEX dead_letters_order ON dead_letters (first_parked_at, seq);
CREATE INDEX dead_letters_state ON dead_letters (state, first_parked_at, seq);
