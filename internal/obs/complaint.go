package obs

import (
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

// complaintsEvery is how often a complaint is logged at most: a collector that is away is one fault, and an error for each export.
const complaintsEvery = time.Minute

// LogComplaints lets a logger hear of what telemetry could not send or count, at most once a minute. OpenTelemetry has one such place in a
// process, and prints there without it: only programs call this.
func LogComplaints(log *slog.Logger) {
	otel.SetErrorHandler(&complaints{log: log, now: time.Now})
}

// complaints is an [otel.ErrorHandler]. It is safe for concurrent use.
type complaints struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	due  time.Time // nothing is logged before
	left int       // how many were not logged since
}

// Handle implements [otel.ErrorHandler].
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Before(c.due) {
		c.left++
		return
	}
	c.log.Warn("telemetry is incomplete", "error", err, "more_since", c.left)
	c.due, c.left = now.Add(complaintsEvery), 0
}
