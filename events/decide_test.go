package events

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var errTest = errors.New("test failure")

func TestDelay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		attempt int
		random  float64
		want    time.Duration
	}{
		{1, 0, 100 * time.Millisecond},
		{1, 0.5, 75 * time.Millisecond},
		{2, 0, 200 * time.Millisecond},
		{4, 0, 800 * time.Millisecond},
		{10, 0, 51200 * time.Millisecond},
		{11, 0, time.Minute},
		{1 << 30, 0, time.Minute},
		{1 << 30, 0.999, 30030 * time.Millisecond},
		{0, 0, 100 * time.Millisecond},
	} {
		if got := delay(100*time.Millisecond, time.Minute, c.attempt, c.random); got != c.want {
			t.Errorf("attempt %d, random %g: got %s, want %s", c.attempt, c.random, got, c.want)
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	sub := Subscription{Name: "s", Topic: Topic{Name: "t"}, Attempts: 3, MinBackoff: time.Second, MaxBackoff: time.Second}
	letters := sub
	letters.Topic = DeadLetters
	drained, cancel := context.WithCancelCause(context.Background())
	cancel(ErrDraining)
	live := context.Background()

	for _, c := range []struct {
		name    string
		ctx     context.Context
		sub     Subscription
		attempt int
		err     error
		kind    kind
		verdict Verdict
	}{
		{"nil is done", live, sub, 1, nil, handled, Verdict{Done: true}},
		{"nil is done while draining", drained, sub, 3, nil, handled, Verdict{Done: true}},
		{"error is retried", live, sub, 1, errTest, retried, Verdict{Failed: true, After: time.Second}},
		{"last attempt parks", live, sub, 3, errTest, parked, Verdict{Done: true}},
		{"permanent parks", live, sub, 1, fmt.Errorf("x: %w", Permanent(errTest)), parked, Verdict{Done: true}},
		{"permanent parks while draining", drained, sub, 1, Permanent(errTest), parked, Verdict{Done: true}},
		{"permanent beats retry after", live, sub, 1, Permanent(RetryAfter(1, "")), parked, Verdict{Done: true}},
		{"retry after is postponed", live, sub, 1, fmt.Errorf("x: %w", RetryAfter(7, "w")), postponed, Verdict{After: 7}},
		{"retry after never runs out", live, sub, 99, RetryAfter(7, "w"), postponed, Verdict{After: 7}},
		{"negative retry after is now", live, sub, 1, RetryAfter(-7, "w"), postponed, Verdict{}},
		{"drained is released", drained, sub, 1, errTest, released, Verdict{}},
		{"drained is released at the last attempt", drained, sub, 3, errTest, released, Verdict{}},
		{"drained retry after keeps its delay", drained, sub, 1, RetryAfter(7, "w"), postponed, Verdict{After: 7}},
		{"dead letter is not parked", live, letters, 99, errTest, retried, Verdict{Failed: true, After: time.Second}},
		{"permanent dead letter is not parked", live, letters, 1, Permanent(errTest), retried, Verdict{Failed: true, After: time.Second}},
	} {
		got := (&Bus{}).decide(c.ctx, c.sub, Message{Attempt: c.attempt}, c.err)
		if c.kind == retried { // jittered
			if got.verdict.After < c.verdict.After/2 || got.verdict.After > c.verdict.After {
				t.Errorf("%s: after %s, want %s to %s", c.name, got.verdict.After, c.verdict.After/2, c.verdict.After)
			}
			got.verdict.After = c.verdict.After
		}
		want := outcome{c.kind, c.err, c.verdict}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{}), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	each := []error{nil, errTest, nil}
	for _, c := range []struct {
		name string
		err  error
		want []error
	}{
		{"nil", nil, []error{nil, nil, nil}},
		{"one for all", errTest, []error{errTest, errTest, errTest}},
		{"each its own", fmt.Errorf("x: %w", &BatchError{Errs: each}), each},
	} {
		if diff := cmp.Diff(c.want, spread(c.err, 3), cmpopts.EquateErrors()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	for _, wrong := range []*BatchError{{}, {Errs: []error{nil}}, {Errs: []error{nil, Permanent(errTest), nil, nil}}} {
		for i, err := range spread(wrong, 3) {
			if err == nil || IsPermanent(err) {
				t.Errorf("%d entries for 3 messages: message %d got %v, want an error that is retried", len(wrong.Errs), i, err)
			}
		}
	}
}

func TestSubscriptionFaults(t *testing.T) {
	t.Parallel()
	if err := (Subscription{Name: "n", Topic: Topic{Name: "t"}}).WithDefaults().check(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	if got := (Subscription{MinBackoff: 2 * time.Minute}).WithDefaults().MaxBackoff; got != 2*time.Minute {
		t.Errorf("max backoff: got %s, want no less than min backoff", got)
	}
	bad := Subscription{Attempts: -1, Concurrency: -1, MaxBatch: -1, MaxOutstanding: -1, AttemptTimeout: -1, MinBackoff: 2, MaxBackoff: 1}
	var faults interface{ Unwrap() []error }
	if err := bad.WithDefaults().check(); !errors.As(err, &faults) || len(faults.Unwrap()) != 8 {
		t.Errorf("got %v, want eight faults", err)
	}
	for _, s := range Subscriptions() {
		if err := s.WithDefaults().check(); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
	}
}
