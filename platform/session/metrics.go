package session

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the instruments of a store. Their labels are closed sets.
//
//	session.commits          {commit}    outcome: stored, conflict, too_large, unknown
//	session.commit.duration  s           the same: one call of the driver
//	session.commit.mutations {mutation}  how many mutations a stored commit decided
//	session.mutations        {mutation}  outcome: the words of Code, and reused; duplicate: true, false
type metrics struct {
	commits   metric.Int64Counter
	duration  metric.Float64Histogram
	batch     metric.Int64Histogram
	mutations metric.Int64Counter

	byOutcome map[string]metric.MeasurementOption
	byCode    map[mutationLabel]metric.MeasurementOption
}

type mutationLabel struct {
	outcome   string
	duplicate bool
}

const (
	commitStored   = "stored"
	commitConflict = "conflict"
	commitTooLarge = "too_large"
	commitUnknown  = "unknown"

	idReused = "reused"
)

func newMetrics(provider metric.MeterProvider, log *slog.Logger) *metrics {
	meter := provider.Meter("vibesdk-gcp/platform/session")
	m := metrics{byOutcome: map[string]metric.MeasurementOption{}, byCode: map[mutationLabel]metric.MeasurementOption{}}
	errs := make([]error, 4)
	m.commits, errs[0] = meter.Int64Counter("session.commits", metric.WithUnit("{commit}"),
		metric.WithDescription("Conditional writes of session records by what became of them."))
	m.duration, errs[1] = meter.Float64Histogram("session.commit.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of one conditional write of a session record."),
		metric.WithExplicitBucketBoundaries(.0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 5, 30))
	m.batch, errs[2] = meter.Int64Histogram("session.commit.mutations", metric.WithUnit("{mutation}"),
		metric.WithDescription("Mutations decided by one commit."),
		metric.WithExplicitBucketBoundaries(1, 2, 5, 10, 20, 50, 100, 200, 500))
	m.mutations, errs[3] = meter.Int64Counter("session.mutations", metric.WithUnit("{mutation}"),
		metric.WithDescription("Mutations by how they ended."))
	if err := errors.Join(errs...); err != nil { // the instruments still work, as no-ops
		log.Error("session: metrics are incomplete", "error", err)
	}
	for _, outcome := range []string{commitStored, commitConflict, commitTooLarge, commitUnknown} {
		m.byOutcome[outcome] = metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", outcome)))
	}
	for code := Applied; code <= RejectedTooLarge; code++ {
		m.label(code.String())
	}
	m.label(idReused)
	return &m
}

func (m *metrics) label(outcome string) {
	for _, duplicate := range []bool{false, true} {
		m.byCode[mutationLabel{outcome, duplicate}] = metric.WithAttributeSet(attribute.NewSet(
			attribute.String("outcome", outcome), attribute.Bool("duplicate", duplicate)))
	}
}

func (m *metrics) commit(ctx context.Context, err error, mutations int, took time.Duration) {
	outcome := commitUnknown
	switch {
	case err == nil:
		outcome = commitStored
		m.batch.Record(ctx, int64(mutations))
	case errors.Is(err, ErrConflict):
		outcome = commitConflict
	case errors.Is(err, ErrTooLarge):
		outcome = commitTooLarge
	}
	m.commits.Add(ctx, 1, m.byOutcome[outcome])
	m.duration.Record(ctx, took.Seconds(), m.byOutcome[outcome])
}

func (m *metrics) outcome(ctx context.Context, o Outcome) {
	label := mutationLabel{o.Code.String(), o.Duplicate}
	if errors.Is(o.Err, ErrIDReused) {
		label.outcome = idReused
	}
	m.mutations.Add(ctx, 1, m.byCode[label])
}
