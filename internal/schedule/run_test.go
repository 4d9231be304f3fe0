package schedule_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/internal/schedule"
)

// In a synctest bubble the clock starts at midnight UTC, 2000-01-01.

func load(t *testing.T, cron ...string) []schedule.Entry {
	t.Helper()
	file := "schedules:\n"
	for i, c := range cron {
		file += "- {name: job" + string(rune('0'+i)) + `, cron: "` + c + `", timeZone: Etc/UTC, topic: t, payload: "{}"}` + "\n"
	}
	entries, err := schedule.Load([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// fired runs the entries for the given time and returns when each was fired, since the start.
func fired(t *testing.T, entries []schedule.Entry, length time.Duration, fire func(ctx context.Context, call int) error) map[string][]time.Duration {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var mu sync.Mutex
	times := map[string][]time.Duration{}
	err := schedule.Run(ctx, entries, func(ctx context.Context, e schedule.Entry) error {
		mu.Lock()
		times[e.Name] = append(times[e.Name], time.Since(start))
		call := len(times[e.Name])
		mu.Unlock()
		return fire(ctx, call)
	})
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	return times
}

func nothing(context.Context, int) error { return nil }

func TestRunFiresAtStartAndWhenDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(20 * time.Second) // start in the middle of a minute
		got := fired(t, load(t, "* * * * *", "*/2 * * * *", "0 3 * * *"), 3*time.Minute, nothing)
		want := map[string][]time.Duration{
			"job0": {0, 40 * time.Second, 100 * time.Second, 160 * time.Second},
			"job1": {0, 100 * time.Second},
			"job2": {0},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRunCollapsesTimesThatPassWhileAJobRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := fired(t, load(t, "* * * * *", "* * * * *"), 6*time.Minute+time.Second, func(_ context.Context, call int) error {
			if call == 2 {
				time.Sleep(3*time.Minute + 30*time.Second)
			}
			return nil
		})
		at := []time.Duration{0, time.Minute, 4*time.Minute + 30*time.Second, 5 * time.Minute, 6 * time.Minute}
		if diff := cmp.Diff(map[string][]time.Duration{"job0": at, "job1": at}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRunRetriesAFailedFiring(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := fired(t, load(t, "* * * * *"), 2*time.Minute+time.Second, func(_ context.Context, call int) error {
			if call <= 3 {
				return errors.New("no")
			}
			return nil
		})
		want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 7 * time.Second, time.Minute, 2 * time.Minute}
		if diff := cmp.Diff(want, got["job0"]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRunRetriesNoLongerThanUntilTheNextTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := fired(t, load(t, "* * * * *"), time.Minute+2*time.Second, func(context.Context, int) error { return errors.New("no") })
		s := time.Second
		want := []time.Duration{0, 1 * s, 3 * s, 7 * s, 15 * s, 31 * s, 60 * s, 61 * s}
		if diff := cmp.Diff(want, got["job0"]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRunWaitsForTheCallThatRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := false
		fired(t, load(t, "* * * * *"), time.Second, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			ended = true
			return ctx.Err()
		})
		if !ended {
			t.Error("Run returned before fire did")
		}
	})
}

func TestRunWithAnEndedContextFiresNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := schedule.Run(ctx, load(t, "* * * * *"), func(context.Context, schedule.Entry) error {
		t.Error("fired")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
