package sandboxrunner_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/platform/sandbox"
	"vibesdk-gcp/workers/sandboxrunner"
)

// full is a runtime that takes no work.
type full struct{ sandbox.RuntimeDriver }

func (full) Build(context.Context, sandbox.Task) error {
	return fmt.Errorf("%w: a quota is used up: 1000 services", sandbox.ErrUnavailable)
}

// TestARuntimeThatTakesNoWork is about a quota that is used up: the message waits without counting as failed, until the record's
// deadline says that it takes too long.
func TestARuntimeThatTakesNoWork(t *testing.T) {
	t.Parallel()
	var c clock
	w := newWorld(t, at(c.now))
	o := w.options
	o.Runtime = sandbox.NewRuntime(full{w.Runtime}, sandbox.RuntimeOptions{})
	runner := sandboxrunner.New(o)
	m := app("r1", "true")
	for range 30 { // more often than a message may fail
		err := runner.Handle(t.Context(), m)
		if err == nil || events.IsPermanent(err) || !strings.HasPrefix(err.Error(), "again in ") || !strings.Contains(err.Error(), "1000 services") {
			t.Fatalf("handler returned %v, want to be called again, and why", err)
		}
	}
	if rec := w.load(t, "r1"); rec.State != sandbox.Requested {
		t.Errorf("record is %s", rec.State)
	}
	c.advance(11 * time.Minute)
	if err := runner.Handle(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if rec := w.load(t, "r1"); rec.State != sandbox.Failed || !strings.Contains(rec.Reason, "took no work in time") {
		t.Errorf("record is %s because %q", rec.State, rec.Reason)
	}
}
