package sqldeployment

import "vibesdk-gcp/internal/sqldb"

type statements struct {
	putApp, app, apps, deleteApp         string
	putPreview, preview, withdraw, purge string
}

func statementsFor(d sqldb.Dialect) statements {
	return statements{
		putApp: d.SQL(`
			INSERT INTO app_deployments AS stored (app_name, target, endpoint, version, updated_at) VALUES ($1, $2, $3, 1, $4)
			ON CONFLICT (app_name) DO UPDATE SET target = excluded.target, endpoint = excluded.endpoint,
				version = stored.version + 1, updated_at = excluded.updated_at
			RETURNING version`),
		app: d.SQL(`SELECT app_name, target, endpoint, version, updated_at FROM app_deployments WHERE app_name = $1`),
		apps: d.SQL(`SELECT app_name, target, endpoint, version, updated_at FROM app_deployments
			WHERE app_name > $1 ORDER BY app_name LIMIT $2`),
		deleteApp: d.SQL(`DELETE FROM app_deployments WHERE app_name = $1`),

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
}
