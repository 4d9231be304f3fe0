package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"gocloud.dev/blob"

	"vibesdk-gcp/events"
	"vibesdk-gcp/internal/obs"
	"vibesdk-gcp/internal/sqldb"
	"vibesdk-gcp/platform/deployment"
	"vibesdk-gcp/platform/ratelimit"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/platform/session"
)

// provider is the ports of one program with their drivers picked.
type provider struct {
	log        *slog.Logger
	telemetry  *obs.Telemetry
	watchdog   *obs.Watchdog
	db         *sqldb.DB
	bus        *events.Bus
	push       http.Handler // of the bus; nil unless it is Pub/Sub
	letters    *events.LetterBox
	records    *sandbox.Records
	routes     *deployment.Table
	sessions   *session.Store     // nil unless a role needs it
	limits     *ratelimit.Limiter // as above
	runtime    *sandbox.Runtime   // as above
	sources    *blob.Bucket       // as above
	sourcesURL string
	second     *second      // nil without one
	timetable  *timetable   // nil unless a role needs it
	history    *obs.History // as above

	closers []closer
}

// closer closes one part, bounded by ctx where that can take long.
type closer struct {
	name  string
	close func(ctx context.Context) error
}

func (p *provider) onClose(name string, f func(ctx context.Context) error) {
	p.closers = append(p.closers, closer{name, f})
}

// close closes the parts, the last opened first, all of them whatever one says.
func (p *provider) close(ctx context.Context) error {
	var failed []error
	for _, part := range slices.Backward(p.closers) {
		if err := part.close(ctx); err != nil {
			p.log.ErrorContext(ctx, "part did not close", "part", part.name, "error", err)
			failed = append(failed, err)
		}
	}
	p.closers = nil
	return errors.Join(failed...)
}
