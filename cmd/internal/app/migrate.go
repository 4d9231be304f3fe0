package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"
)

// MigrateOptions say what [Migrate] copies between two configurations.
type MigrateOptions struct {
	From, To Config
	// Sessions, Limits and Deployments are the parts to be copied; none means all.
	Sessions, Limits, Deployments bool
	// DryRun writes nothing, and counts what would be copied.
	DryRun bool
	// Verify compares both sides when all is copied, or without copying with DryRun.
	Verify bool
	// StateFile remembers how far it came, so that a run that was killed goes on there. Empty remembers nothing. A file of a run that
	// reached its end begins anew.
	StateFile string
	// KeysFile lists what limits are about, one a line: keys, or identifiers such as user:42, which stand for all limits that From is
	// configured with. It is needed where From counts in Durable Objects, which cannot be listed; without it the keys of To are taken.
	KeysFile string
	// Workers is how many items are copied at once. Defaults to 16.
	Workers int
	// Logger hears how far it came. Defaults to slog.Default.
	Logger *slog.Logger
}

// MigrateReport tells what [Migrate] did. A nil part was not asked for.
type MigrateReport struct {
	Sessions    *MigratedPart `json:"sessions,omitempty"`
	Limits      *MigratedPart `json:"limits,omitempty"`
	Deployments *MigratedPart `json:"deployments,omitempty"`
}

// MigratedPart counts the items of one part.
type MigratedPart struct {
	// From and To name the two homes, without secrets.
	From string `json:"from"`
	To   string `json:"to"`
	// Note says what is particular, such as that both homes are the same.
	Note string `json:"note,omitempty"`
	// Copied were missing or older at To; with a dry run they would be copied. Same were there already.
	Copied int64 `json:"copied"`
	Same   int64 `json:"same"`
	// Ahead went on at To and were left alone; Refused are over a limit or break a rule there.
	Ahead   int64 `json:"ahead"`
	Refused int64 `json:"refused"`
	// Compared, Differing and OnlyThere are of the comparison: how many were compared, how many of these are not the same, and how many To
	// has that From has not.
	Compared  int64 `json:"compared"`
	Differing int64 `json:"differing"`
	OnlyThere int64 `json:"onlyThere"`
	// Resumed says that an earlier run's counts are in these.
	Resumed bool `json:"resumed,omitempty"`
	// Findings are the first twenty of those that are Ahead, Refused or Differing. They hold names and versions, and no contents.
	Findings []string `json:"findings,omitempty"`
}

// Clean reports whether every item is at To as it is at From.
func (r MigrateReport) Clean() bool {
	for _, p := range []*MigratedPart{r.Sessions, r.Limits, r.Deployments} {
		if p != nil && p.Ahead+p.Refused+p.Differing > 0 {
			return false
		}
	}
	return true
}

// Migrate copies sessions, counts of limits and deployments from one configuration's homes to another's. It can be run again and again: what
// is there already stays, and what went on there is left alone and reported. An error means that it did not reach its end; with a state
// file the next run goes on where this one ended.
func Migrate(ctx context.Context, o MigrateOptions) (report MigrateReport, err error) {
	if !o.Sessions && !o.Limits && !o.Deployments {
		o.Sessions, o.Limits, o.Deployments = true, true, true
	}
	if o.Workers <= 0 {
		o.Workers = 16
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	m := &migration{o: o, log: o.Logger}
	if m.state, err = openMigrateState(o); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, m.close(context.WithoutCancel(ctx))) }()
	if m.from, err = m.open(ctx, o.From, true); err != nil {
		return report, fmt.Errorf("from: %w", err)
	}
	if m.to, err = m.open(ctx, o.To, false); err != nil {
		return report, fmt.Errorf("to: %w", err)
	}
	for _, part := range []struct {
		name string
		on   bool
		to   **MigratedPart
		run  func(context.Context, *partRun) error
	}{
		{"sessions", o.Sessions, &report.Sessions, m.sessions},
		{"limits", o.Limits, &report.Limits, m.limits},
		{"deployments", o.Deployments, &report.Deployments, m.deployments},
	} {
		if !part.on {
			continue
		}
		run := m.state.part(part.name, homeOf(o.From, part.name), homeOf(o.To, part.name))
		*part.to = &run.MigratedPart
		if run.From == run.To {
			run.Note = "both have the same home: there is nothing to copy"
			continue
		}
		if err := part.run(ctx, run); err != nil {
			return report, fmt.Errorf("%s: %w", part.name, err)
		}
		m.log.InfoContext(ctx, "part is done", "part", part.name, "copied", run.Copied, "same", run.Same, "ahead", run.Ahead,
			"refused", run.Refused, "compared", run.Compared, "differing", run.Differing)
	}
	return report, m.state.finish()
}

// migration is one run.
type migration struct {
	o        MigrateOptions
	log      *slog.Logger
	from, to *side
	state    *migrateState
	closing  []*side
}

func (m *migration) close(ctx context.Context) error {
	var failed []error
	for _, s := range m.closing {
		failed = append(failed, s.close(ctx))
	}
	return errors.Join(failed...)
}

// each runs fn for the items with the workers of the migration, and tries again what fails in passing.
func each[T any](ctx context.Context, m *migration, items []T, fn func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(m.o.Workers)
	for _, item := range items {
		group.Go(func() error {
			pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxElapsedTime(time.Minute))
			return backoff.Retry(func() error { return fn(ctx, item) }, backoff.WithContext(backoff.WithMaxRetries(pause, 6), ctx))
		})
	}
	return group.Wait()
}
