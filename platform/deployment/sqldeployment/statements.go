package sqldeployment

import "vibesdk-gcp/internal/sqldb"

type statements struct {
	lockApp, version, putApp, deleteApp, app, apps string
	addChange, trimChanges, changes, purgeChanges  string
	putPreview, preview, withdraw, purge           string
}

const appColumns = `app_name, target, endpoint, audience, visibility, owner, sandbox_id,
	rollout_target, rollout_endpoint, rollout_audience, rollout_weight, version, updated_at`

func statementsFor(d sqldb.Dialect) statements {
	s := statements{
		// An app that is deleted goes on counting from its history.
		version: d.SQL(`SELECT COALESCE((SELECT version FROM app_deployments WHERE app_name = $1), 0),
			COALESCE((SELECT MAX(version) FROM app_deployment_changes WHERE app_name = $1), 0)`),
		putApp: d.SQL(`
			INSERT INTO app_deployments (` + appColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (app_name) DO UPDATE SET target = excluded.target, endpoint = excluded.endpoint, audience = excluded.audience,
				visibility = excluded.visibility, owner = excluded.owner, sandbox_id = excluded.sandbox_id,
				rollout_target = excluded.rollout_target, rollout_endpoint = excluded.rollout_endpoint,
				rollout_audience = excluded.rollout_audience, rollout_weight = excluded.rollout_weight,
				version = excluded.version, updated_at = excluded.updated_at`),
		deleteApp: d.SQL(`DELETE FROM app_deployments WHERE app_name = $1`),
		app:       d.SQL(`SELECT ` + appColumns + ` FROM app_deployments WHERE app_name = $1`),
		apps:      d.SQL(`SELECT ` + appColumns + ` FROM app_deployments WHERE app_name > $1 ORDER BY app_name LIMIT $2`),

		addChange:   d.SQL(`INSERT INTO app_deployment_changes (app_name, version, changed_at, changed_by, app) VALUES ($1, $2, $3, $4, $5)`),
		trimChanges: d.SQL(`DELETE FROM app_deployment_changes WHERE app_name = $1 AND version <= $2`),
		changes: d.SQL(`SELECT version, changed_at, changed_by, app FROM app_deployment_changes
			WHERE app_name = $1 ORDER BY version DESC LIMIT $2`),
		purgeChanges: d.SQL(`DELETE FROM app_deployment_changes WHERE app_name IN (
				SELECT app_name FROM app_deployment_changes GROUP BY app_name HAVING MAX(changed_at) < $1)
			AND NOT EXISTS (SELECT 1 FROM app_deployments a WHERE a.app_name = app_deployment_changes.app_name)`),

		// A fence of 0 is a row without a route: it only remembers a withdrawal.
		putPreview: d.SQL(`
			INSERT INTO preview_routes AS stored (sandbox_id, fence, token, endpoint, published_at, withdrawn_fence, withdrawn_at)
			VALUES ($1, $2, $3, $4, $5, 0, 0)
			ON CONFLICT (sandbox_id) DO UPDATE SET fence = excluded.fence, token = excluded.token, endpoint = excluded.endpoint,
				published_at = CASE WHEN stored.fence = excluded.fence THEN stored.published_at ELSE excluded.published_at END
			WHERE excluded.fence > stored.withdrawn_fence
				AND (excluded.fence > stored.fence OR (excluded.fence = stored.fence AND excluded.token = stored.token))`),
		preview: d.SQL(`SELECT token, fence, endpoint, published_at FROM preview_routes WHERE sandbox_id = $1 AND fence > 0`),
		withdraw: d.SQL(`
			INSERT INTO preview_routes AS stored (sandbox_id, fence, token, endpoint, published_at, withdrawn_fence, withdrawn_at)
			VALUES ($1, 0, '', '', 0, $2, $3)
			ON CONFLICT (sandbox_id) DO UPDATE SET
				fence = CASE WHEN stored.fence > excluded.withdrawn_fence THEN stored.fence ELSE 0 END,
				token = CASE WHEN stored.fence > excluded.withdrawn_fence THEN stored.token ELSE '' END,
				endpoint = CASE WHEN stored.fence > excluded.withdrawn_fence THEN stored.endpoint ELSE '' END,
				published_at = CASE WHEN stored.fence > excluded.withdrawn_fence THEN stored.published_at ELSE 0 END,
				withdrawn_fence = excluded.withdrawn_fence, withdrawn_at = excluded.withdrawn_at
			WHERE excluded.withdrawn_fence > stored.withdrawn_fence`),
		purge: d.SQL(`DELETE FROM preview_routes WHERE fence = 0 AND withdrawn_at < $1`),
	}
	if d == sqldb.Postgres {
		// Writers of one name take turns, also while there is no row to lock. SQLite has one writer at a time.
		s.lockApp = `SELECT pg_advisory_xact_lock(hashtextextended('app_deployments/' || $1, 0))`
	}
	return s
}
