package sqldeployment

import (
	"context"
	"strings"

	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
)

// Writes are told on one channel, with the key of what changed.
const (
	channel    = "vibesdk_deployments"
	appKey     = "app/"
	previewKey = "preview/"
)

// tell lets other processes know of a write that went well. What cannot be told is seen when what they remember expires.
func (d *Driver) tell(ctx context.Context, err error, key string) {
	if err == nil {
		_ = d.db.Notify(context.WithoutCancel(ctx), channel, key)
	}
}

// Watch implements [deployment.Driver]. Other processes are heard on Postgres only: on SQLite, where any commit of any kind would mean
// that everything may have changed, what is remembered expires.
func (d *Driver) Watch(heard func(deployment.Hint)) (end func()) {
	return d.db.SubscribeKeys(channel, func(keys []string) {
		if keys == nil && d.db.Dialect == sqldb.Postgres {
			heard(deployment.Hint{})
		}
		for _, key := range keys {
			if name, ok := strings.CutPrefix(key, appKey); ok {
				heard(deployment.Hint{App: name})
			} else if id, ok := strings.CutPrefix(key, previewKey); ok {
				heard(deployment.Hint{Preview: id})
			}
		}
	})
}
