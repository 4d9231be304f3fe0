package janitor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vibesdk-gcp/events"
	"vibesdk-gcp/workers/janitor"
)

// asked is a tick that was sent at a time.
func asked(kind string, at time.Time) events.Message {
	m := tick(kind, false)
	m.Time = at
	return m
}

// filesJanitor counts its sweeps of files.
type filesJanitor struct {
	*janitor.Janitor
	mu     sync.Mutex
	sweeps []time.Duration
	sweep  func() error // nil: at once and well
}

func newFilesJanitor(change ...func(*janitor.Options)) *filesJanitor {
	f := &filesJanitor{}
	o := janitor.Options{SweepFiles: func(_ context.Context, _ time.Time, olderThan time.Duration, _ bool) (int, error) {
		f.mu.Lock()
		f.sweeps = append(f.sweeps, olderThan)
		sweep := f.sweep
		f.mu.Unlock()
		if sweep == nil {
			return 1, nil
		}
		return 0, sweep()
	}}
	for _, c := range change {
		c(&o)
	}
	f.Janitor = janitor.New(o)
	return f
}

func (f *filesJanitor) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sweeps)
}

const files = "EXPIRED_FILES"

// TestLateAndRepeatedTicksAreOneSweep: a backlog after an outage.
func TestLateAndRepeatedTicksAreOneSweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFilesJanitor()
		start := time.Now()
		time.Sleep(100 * time.Minute)
		for i := range 100 { // all of them sent before the first is handled
			if err := f.Handle(t.Context(), asked(files, start.Add(time.Duration(i)*time.Minute))); err != nil {
				t.Fatal(err)
			}
		}
		if f.count() != 1 {
			t.Errorf("a backlog of 100 ticks made %d sweeps", f.count())
		}
		time.Sleep(time.Second)
		sent := time.Now()
		for range 2 { // the service delivers one tick twice
			time.Sleep(time.Second)
			if err := f.Handle(t.Context(), asked(files, sent)); err != nil {
				t.Fatal(err)
			}
		}
		if f.count() != 2 {
			t.Errorf("a new tick, twice, made %d more sweeps, want 1", f.count()-1)
		}
		// One that asks for more is another sweep, and one without a time always is.
		older := asked(files, start)
		older.Data = []byte(`{"kind":"EXPIRED_FILES","olderThanSeconds":604800}`)
		for _, m := range []events.Message{older, tick(files, false), tick(files, true)} {
			if err := f.Handle(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if f.count() != 5 || f.sweeps[2] != 168*time.Hour || f.sweeps[0] != 49*time.Hour {
			t.Errorf("sweeps: %v", f.sweeps)
		}
	})
}

func TestASweepThatFailedServesNoTick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFilesJanitor()
		f.sweep = func() error { return errCursed }
		sent := time.Now()
		time.Sleep(time.Second)
		if err := f.Handle(t.Context(), asked(files, sent)); !errors.Is(err, errCursed) || events.IsPermanent(err) {
			t.Errorf("%v", err)
		}
		f.sweep = nil
		if err := f.Handle(t.Context(), asked(files, sent)); err != nil || f.count() != 2 {
			t.Errorf("the same tick again: %v, %d sweeps", err, f.count())
		}
	})
}

func TestATickWaitsForASweepThatRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFilesJanitor()
		f.sweep = func() error { time.Sleep(time.Minute); return nil }
		done := make(chan error)
		go func() { done <- f.Handle(t.Context(), asked(files, time.Now())) }()
		synctest.Wait()
		time.Sleep(time.Second)
		later := asked(files, time.Now())
		err := f.Handle(t.Context(), later)
		if err == nil || !strings.Contains(err.Error(), "running") || events.IsPermanent(err) || f.count() != 1 {
			t.Errorf("while it runs: %v, %d sweeps", err, f.count())
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		f.sweep = nil
		// It was sent after the sweep began, so the sweep may have missed what it is for.
		if err := f.Handle(t.Context(), later); err != nil || f.count() != 2 {
			t.Errorf("afterwards: %v, %d sweeps", err, f.count())
		}
	})
}

func TestSweepsOfOtherProcessesExclude(t *testing.T) {
	t.Parallel()
	var held, fails bool
	var names []string
	f := newFilesJanitor(func(o *janitor.Options) {
		o.Lock = func(_ context.Context, name string) (func() error, bool, error) {
			names = append(names, name)
			if fails {
				return nil, false, errCursed
			}
			return func() error { names = append(names, "free"); return nil }, !held, nil
		}
	})
	if err := f.Handle(t.Context(), tick(files, false)); err != nil || fmt.Sprint(names) != "[janitor-EXPIRED_FILES-0 free]" {
		t.Errorf("%v, %v", err, names)
	}
	held = true
	if err := f.Handle(t.Context(), tick(files, false)); err == nil || !strings.Contains(err.Error(), "another process") || f.count() != 1 {
		t.Errorf("held elsewhere: %v, %d sweeps", err, f.count())
	}
	held, fails = false, true
	if err := f.Handle(t.Context(), tick(files, false)); !errors.Is(err, errCursed) || f.count() != 1 {
		t.Errorf("without an answer: %v, %d sweeps", err, f.count())
	}
	fails = false
	if err := f.Handle(t.Context(), tick(files, false)); err != nil || f.count() != 2 {
		t.Errorf("afterwards: %v, %d sweeps", err, f.count())
	}
}

// TestAPanicOfASweepLeavesNothingHeld: the bus makes an error of it.
func TestAPanicOfASweepLeavesNothingHeld(t *testing.T) {
	t.Parallel()
	freed := 0
	f := newFilesJanitor(func(o *janitor.Options) {
		o.Lock = func(context.Context, string) (func() error, bool, error) {
			return func() error { freed++; return nil }, true, nil
		}
	})
	f.sweep = func() error { panic("sweep") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_ = f.Handle(t.Context(), asked(files, time.Now()))
	}()
	f.sweep = nil
	if err := f.Handle(t.Context(), asked(files, time.Now().Add(-time.Hour))); err != nil || f.count() != 2 || freed != 2 {
		t.Errorf("afterwards: %v, %d sweeps, %d freed", err, f.count(), freed)
	}
}
