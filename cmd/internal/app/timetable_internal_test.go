package app

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vibesdk-gcp/gateway/console"
	"vibesdk-gcp/internal/schedule"
)

// In a synctest bubble the clock starts at midnight UTC, 2000-01-01.

func TestTimetableKnowsWhatItFiredAndPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		entries, err := schedule.Load([]byte(`schedules:
- {name: minutely, cron: "* * * * *", timeZone: Etc/UTC, topic: t, payload: "{}"}
- {name: broken, cron: "0 * * * *", timeZone: Etc/UTC, topic: t, payload: "{}"}
`))
		if err != nil {
			t.Fatal(err)
		}
		table := newTimetable(entries)
		if err := table.Pause(t.Context(), "minutely"); err == nil {
			t.Error("a process that fires nothing pauses a schedule")
		}
		if got, err := table.List(t.Context()); err != nil || got.Pausable || len(got.Schedules) != 2 || got.Schedules[0].Known {
			t.Errorf("of a process that fires nothing: %+v, %v", got, err)
		}
		start := time.Now()
		var mu sync.Mutex
		fired := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- table.run(ctx, func(_ context.Context, e schedule.Entry) error {
				mu.Lock()
				defer mu.Unlock()
				fired[e.Name]++
				if e.Name == "broken" {
					return errors.New("address=10.0.0.1 refused")
				}
				return nil
			})
		}()
		check := func(minutely, after time.Duration, paused bool) {
			t.Helper()
			synctest.Wait()
			got, err := table.List(ctx)
			list := got.Schedules
			if err != nil || !got.Pausable || len(list) != 2 || !list[0].Known || list[0].Paused != paused || list[0].Last.Sub(start) != minutely || list[0].Next.Sub(start) != after {
				t.Errorf("%+v, %v", list, err)
			}
			if list[1].Failure == "" || list[1].Name != "broken" {
				t.Errorf("of one that fails: %+v", list[1])
			}
		}
		time.Sleep(90 * time.Second)
		check(time.Minute, 2*time.Minute, false)
		if err := table.Pause(ctx, "minutely"); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		check(time.Minute, 4*time.Minute, true)
		if err := errors.Join(table.Resume(ctx, "minutely"), table.Resume(ctx, "minutely")); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		check(4*time.Minute, 5*time.Minute, false)
		if err := table.Pause(ctx, "none"); !errors.Is(err, console.ErrNoSchedule) {
			t.Errorf("a name that is none: %v", err)
		}
		cancel()
		if err := <-done; err != nil || fired["minutely"] != 3 { // at the start, after one minute and after four
			t.Errorf("fired %v, %v", fired, err)
		}
	})
}
