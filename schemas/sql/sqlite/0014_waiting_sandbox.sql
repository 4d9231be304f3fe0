-- +goose Up

-- What an unfinished sandbox waits for while the runtime takes no work; empty otherwise.
ALTER TABLE sandboxes ADD COLUMN waiting TEXT NOT NULL DEFAULT '';
