-- +goose Up

-- The app that a sandbox is a lasting deployment of; empty for previews.
ALTER TABLE sandboxes ADD COLUMN app_name TEXT NOT NULL DEFAULT '';
CREATE INDEX sandboxes_app ON sandboxes (app_name, id) WHERE app_name <> '';
