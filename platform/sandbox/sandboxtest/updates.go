package sandboxtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"vibesdk-gcp/platform/sandbox"
)

func updateFollowsTheRules(t *testing.T, d sandbox.RecordDriver) {
	records := sandbox.NewRecords(d)
	clock := epoch.Add(time.Minute + 999) // nanoseconds that no driver keeps
	records.Now = func() time.Time { return clock }
	r := create(t, d, "rules")
	move := func(to sandbox.State) (sandbox.Record, error) {
		return records.Update(t.Context(), r.ID, func(r *sandbox.Record) error {
			r.State, r.Endpoint, r.Reason = to, "127.0.0.1:1", "why\x00\xff"
			return nil
		})
	}
	_, err := move(sandbox.Ready)
	wantErr(t, err, sandbox.ErrTransition)
	equal(t, load(t, d, r.ID), r)
	for _, to := range []sandbox.State{sandbox.Building, sandbox.Starting, sandbox.Ready} {
		got, err := move(to)
		must(t, err)
		equal(t, load(t, d, r.ID), got)
		if !got.UpdatedAt.Equal(epoch.Add(time.Minute)) || got.Reason != "why\uFFFD" {
			t.Errorf("%s: UpdatedAt %v, Reason %q", to, got.UpdatedAt, got.Reason)
		}
	}
	ready := load(t, d, r.ID)
	if ready.ReadyAt.IsZero() || !ready.ActiveAt.Equal(ready.ReadyAt) || !ready.PhaseDeadline.IsZero() || ready.Version != 4 {
		t.Errorf("ready record is not complete: %+v", ready)
	}
	again, err := records.Update(t.Context(), r.ID, func(r *sandbox.Record) error {
		r.State, r.Fence, r.Token, r.ControlToken = sandbox.Requested, 2, sandbox.NewToken(), sandbox.NewControlToken()
		return nil
	})
	must(t, err)
	if again.Endpoint != "" || !again.ReadyAt.IsZero() {
		t.Errorf("the new generation keeps what the old one had: %+v", again)
	}
	_, err = move(sandbox.Stopping)
	must(t, err)
	gone, err := move(sandbox.Deleted)
	must(t, err)
	if gone.EndedAt.IsZero() {
		t.Error("EndedAt is not set")
	}
	_, err = move(sandbox.Requested)
	wantErr(t, err, sandbox.ErrTransition)
}

func updateWritesNothingForNothing(t *testing.T, d sandbox.RecordDriver) {
	records := sandbox.NewRecords(d)
	r := create(t, d, "nothing")
	broken := errors.New("broken")
	for _, c := range []struct {
		fn   func(*sandbox.Record) error
		want error
	}{
		{func(*sandbox.Record) error { return nil }, nil},
		{func(r *sandbox.Record) error { r.UpdatedAt = r.UpdatedAt.Add(time.Hour); return nil }, nil},
		{func(r *sandbox.Record) error { r.State = sandbox.Building; return sandbox.ErrUnchanged }, nil},
		{func(r *sandbox.Record) error { r.State = sandbox.Building; return broken }, broken},
		{func(r *sandbox.Record) error { r.State, r.Reason = sandbox.Failed, ""; return nil }, sandbox.ErrInvalid},
	} {
		got, err := records.Update(t.Context(), r.ID, c.fn)
		if !errors.Is(err, c.want) {
			t.Fatalf("error = %v, want %v", err, c.want)
		}
		if err == nil {
			equal(t, got, r)
		}
		equal(t, load(t, d, r.ID), r)
	}
}

// updateEndsWithContext keeps the record changing under an update, which then has to give up with the context.
func updateEndsWithContext(t *testing.T, d sandbox.RecordDriver) {
	r := create(t, d, "contended")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	runs := 0
	_, err := sandbox.NewRecords(d).Update(ctx, r.ID, func(mine *sandbox.Record) error {
		other := *mine
		other.Restarts++
		must(t, d.Save(t.Context(), other))
		mine.Reason = "mine"
		if runs++; runs == 3 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error = %v after %d runs, want the context's", err, runs)
	}
	if got := load(t, d, r.ID); got.Reason == "mine" || got.Restarts < 3 {
		t.Errorf("record = %+v", got)
	}
}

func concurrentUpdates(t *testing.T, a, b sandbox.RecordDriver) {
	const writers, each = 8, 10
	r := create(t, a, "counter")
	var group sync.WaitGroup
	for w := range writers {
		records := sandbox.NewRecords([]sandbox.RecordDriver{a, b}[w%2])
		group.Go(func() {
			for range each {
				if _, err := records.Update(t.Context(), r.ID, func(r *sandbox.Record) error { r.Restarts++; return nil }); err != nil {
					t.Errorf("update: %v", err)
				}
			}
		})
	}
	group.Wait()
	if got := load(t, b, r.ID); got.Restarts != writers*each || got.Version != writers*each+1 {
		t.Errorf("%d updates gave %d at version %d", writers*each, got.Restarts, got.Version)
	}
}

// concurrentMovesOnlyGrow lets writers try random moves and holds every record that any of them saw stored
// against the order of (fence, state).
func concurrentMovesOnlyGrow(t *testing.T, d sandbox.RecordDriver) {
	r := create(t, d, "moves")
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		saved []sandbox.Record
	)
	for w := range 6 {
		random, records := rand.New(rand.NewPCG(uint64(w), 1)), sandbox.NewRecords(d)
		group.Go(func() {
			for range 60 {
				got, err := records.Update(t.Context(), r.ID, func(r *sandbox.Record) error {
					// Ends are rare, so that there are many generations.
					r.State = states[random.IntN(4)]
					if random.IntN(60) == 0 {
						r.State = states[4+random.IntN(3)]
					}
					if r.State == sandbox.Requested {
						r.Fence, r.Token, r.ControlToken = r.Fence+1, sandbox.NewToken(), sandbox.NewControlToken()
					}
					r.Endpoint, r.Reason = "127.0.0.1:1", fmt.Sprint("writer ", w)
					return nil
				})
				if err != nil && !errors.Is(err, sandbox.ErrTransition) {
					t.Errorf("update: %v", err)
				}
				if err == nil {
					mu.Lock()
					saved = append(saved, got)
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	slices.SortFunc(saved, func(a, b sandbox.Record) int { return int(a.Version - b.Version) })
	at := func(r sandbox.Record) int64 { return r.Fence*10 + int64(slices.Index(states, r.State)) }
	for i := 1; i < len(saved); i++ {
		if at(saved[i]) < at(saved[i-1]) {
			t.Errorf("version %d is %s of fence %d, version %d before it was %s of fence %d", saved[i].Version, saved[i].State, saved[i].Fence,
				saved[i-1].Version, saved[i-1].State, saved[i-1].Fence)
		}
		if saved[i].Version == saved[i-1].Version && saved[i] != saved[i-1] {
			t.Errorf("two writers saved version %d", saved[i].Version)
		}
	}
	if len(saved) < 3 {
		t.Errorf("only %d moves happened: the case tells nothing", len(saved))
	}
}

func concurrentCreatesMakeOne(t *testing.T, d sandbox.RecordDriver) {
	records := sandbox.NewRecords(d)
	var group sync.WaitGroup
	results := make([]error, 20)
	attempts := make([]sandbox.Record, len(results))
	for i := range results {
		attempts[i] = NewRecord("one")
		group.Go(func() { results[i] = records.Create(t.Context(), attempts[i], newSpec()) })
	}
	group.Wait()
	won := -1
	for i, err := range results {
		switch {
		case err == nil && won >= 0:
			t.Fatal("two creates of one id succeeded")
		case err == nil:
			won = i
		default:
			wantErr(t, err, sandbox.ErrExists)
		}
	}
	if won < 0 {
		t.Fatal("no create succeeded")
	}
	equal(t, load(t, d, attempts[won].ID), attempts[won])
}
