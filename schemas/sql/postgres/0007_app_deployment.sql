-- +goose Up

-- Who may see an app, where else it runs, and which sandbox it is a deployment of. An empty rollout_endpoint is no rollout; the weight
-- is a percentage.
ALTER TABLE app_deployments
    ADD COLUMN audience         TEXT   NOT NULL DEFAULT '',
    ADD COLUMN visibility       TEXT   NOT NULL DEFAULT 'public',
    ADD COLUMN owner            TEXT   NOT NULL DEFAULT '',
    ADD COLUMN sandbox_id       TEXT   NOT NULL DEFAULT '',
    ADD COLUMN rollout_target   TEXT   NOT NULL DEFAULT '',
    ADD COLUMN rollout_endpoint TEXT   NOT NULL DEFAULT '',
    ADD COLUMN rollout_audience TEXT   NOT NULL DEFAULT '',
    ADD COLUMN rollout_weight   BIGINT NOT NULL DEFAULT 0;

-- The last changes of each app, also of deleted ones. app is the row as it was stored, in JSON, and empty for a deletion.
CREATE TABLE app_deployment_changes (
    app_name   TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT   NOT NULL,
    app        TEXT   NOT NULL,
    PRIMARY KEY (app_name, version)
);
