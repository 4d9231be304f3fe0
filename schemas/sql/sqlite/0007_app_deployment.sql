-- +goose Up

-- Who may see an app, where else it runs, and which sandbox it is a deployment of.
ALTER TABLE app_deployments ADD COLUMN audience TEXT NOT NULL DEFAULT '';
ALTER TABLE app_deployments ADD COLUMN visibility TEXT NOT NULL DEFAULT 'public';
ALTER TABLE app_deployments ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE app_deployments ADD COLUMN sandbox_id TEXT NOT NULL DEFAULT '';
-- An empty endpoint is no rollout. The weight is a percentage.
ALTER TABLE app_deployments ADD COLUMN rollout_target TEXT NOT NULL DEFAULT '';
ALTER TABLE app_deployments ADD COLUMN rollout_endpoint TEXT NOT NULL DEFAULT '';
ALTER TABLE app_deployments ADD COLUMN rollout_audience TEXT NOT NULL DEFAULT '';
ALTER TABLE app_deployments ADD COLUMN rollout_weight INTEGER NOT NULL DEFAULT 0;

-- The last changes of each app, also of deleted ones. app is the row as it was stored, in JSON, and empty for a deletion.
CREATE TABLE app_deployment_changes (
    app_name   TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    changed_by TEXT    NOT NULL,
    app        TEXT    NOT NULL,
    PRIMARY KEY (app_name, version)
) STRICT, WITHOUT ROWID;
