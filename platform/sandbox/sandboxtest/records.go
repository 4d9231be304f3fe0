// Package sandboxtest is the contract of the sandbox port as tests: [RunRecords] for a [sandbox.RecordDriver] and
// [RunRuntime] for a [sandbox.RuntimeDriver]. A driver's own conformance test is a page that calls them.
package sandboxtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vibesdk-gcp/platform/sandbox"
)

// RecordFeatures says what a driver's harness can do beyond the contract's minimum.
type RecordFeatures struct {
	// Second returns another driver on the storage of the first one, as another process would have. Nil skips the
	// cases that need it.
	Second func(t *testing.T, first sandbox.RecordDriver) sandbox.RecordDriver
}

// RunRecords runs the contract. newDriver returns a driver on empty storage and cleans up through t.
func RunRecords(t *testing.T, newDriver func(t *testing.T) sandbox.RecordDriver, f RecordFeatures) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, d sandbox.RecordDriver)
	}{
		{"CreateStoresEveryField", createStoresEveryField},
		{"CreateTwiceChangesNothing", createTwiceChangesNothing},
		{"MissingIsNotFound", missingIsNotFound},
		{"SaveReplacesOneVersion", saveReplacesOneVersion},
		{"SaveKeepsLaterActivity", saveKeepsLaterActivity},
		{"EndDropsSpec", endDropsSpec},
		{"ListPages", listPages},
		{"ListByState", listByState},
		{"ListDueIsRecordDue", listDueIsRecordDue},
		{"CountLeavesOutWhatEnded", countLeavesOutWhatEnded},
		{"TouchMovesForward", touchMovesForward},
		{"UpdateFollowsTheRules", updateFollowsTheRules},
		{"UpdateWritesNothingForNothing", updateWritesNothingForNothing},
		{"UpdateEndsWithContext", updateEndsWithContext},
		{"ConcurrentUpdatesLoseNothing", func(t *testing.T, d sandbox.RecordDriver) { concurrentUpdates(t, d, d) }},
		{"ConcurrentMovesOnlyGrow", concurrentMovesOnlyGrow},
		{"ConcurrentCreatesMakeOne", concurrentCreatesMakeOne},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, newDriver(t))
		})
	}
	t.Run("TwoProcesses", func(t *testing.T) {
		t.Parallel()
		if f.Second == nil {
			t.Skip("the harness opens no second driver")
		}
		first := newDriver(t)
		concurrentUpdates(t, first, f.Second(t, first))
	})
}

// epoch is a fixed instant with microseconds, to find lost precision.
var epoch = time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)

// NewRecord returns a requested record with every field set that such a record may have.
func NewRecord(requestID string) sandbox.Record {
	return sandbox.Record{
		ID: sandbox.IDFor(requestID), RequestID: requestID, Fingerprint: "f-" + requestID, ProjectName: "Café ☕",
		State: sandbox.Requested, Fence: 1, Version: 1, Token: sandbox.NewToken(), ControlToken: sandbox.NewControlToken(),
		TTL: 30 * time.Minute, Idle: 10 * time.Minute,
		CreatedAt: epoch, UpdatedAt: epoch, PhaseDeadline: epoch.Add(time.Minute), ExpiresAt: epoch.Add(30 * time.Minute),
	}
}

func newSpec() sandbox.Spec {
	return sandbox.Spec{
		ProjectName: "Café ☕", Install: "true", Build: "printf '%s\n' \"$A\"", StaticDir: "dist",
		Source: sandbox.Source{Files: []sandbox.File{
			{Path: "run.sh", Data: []byte("#!/bin/sh\n"), Executable: true},
			{Path: "a/ü.bin", Data: []byte{0, 1, 0xff, 0xfe, '<', '>'}},
		}},
		Env: map[string]string{"A": "1 2\n\"3\"", "EMPTY": ""},
	}
}

func createStoresEveryField(t *testing.T, d sandbox.RecordDriver) {
	r, spec := NewRecord("every"), newSpec()
	create(t, d, "of no app")
	r.AppName, r.Reason, r.Waiting, r.LogTail, r.Endpoint, r.Restarts = "shop", "because", "for a place", "line\nline", "127.0.0.1:1", 2
	r.ReadyAt, r.ActiveAt, r.EndedAt = epoch.Add(1*time.Microsecond), epoch.Add(2*time.Microsecond), epoch.Add(3*time.Microsecond)
	must(t, d.Create(t.Context(), r, spec))
	equal(t, load(t, d, r.ID), r)
	stored, err := d.Spec(t.Context(), r.ID)
	must(t, err)
	equal(t, stored, spec)
	for app, want := range map[string]int{"shop": 1, "": 2, "other": 0} {
		list, err := d.List(t.Context(), sandbox.Query{AppName: app, States: []sandbox.State{r.State}, Limit: 10})
		must(t, err)
		equal(t, len(list), want)
	}
}

func createTwiceChangesNothing(t *testing.T, d sandbox.RecordDriver) {
	r := create(t, d, "twice")
	other, spec := r, newSpec()
	other.ProjectName, other.Token, spec.Build = "other", "other", "other"
	wantErr(t, d.Create(t.Context(), other, spec), sandbox.ErrExists)
	equal(t, load(t, d, r.ID), r)
	stored, err := d.Spec(t.Context(), r.ID)
	must(t, err)
	equal(t, stored, newSpec())
}

func missingIsNotFound(t *testing.T, d sandbox.RecordDriver) {
	ghost := NewRecord("ghost")
	_, err := d.Load(t.Context(), ghost.ID)
	wantErr(t, err, sandbox.ErrNotFound)
	_, err = d.Spec(t.Context(), ghost.ID)
	wantErr(t, err, sandbox.ErrNotFound)
	wantErr(t, d.Save(t.Context(), ghost), sandbox.ErrNotFound)
	ghost.State, ghost.Reason = sandbox.Failed, "gone"
	wantErr(t, d.Save(t.Context(), ghost), sandbox.ErrNotFound)
	_, err = sandbox.NewRecords(d).Update(t.Context(), ghost.ID, func(*sandbox.Record) error { return nil })
	wantErr(t, err, sandbox.ErrNotFound)
}

func saveReplacesOneVersion(t *testing.T, d sandbox.RecordDriver) {
	r := create(t, d, "save")
	bystander := create(t, d, "bystander")
	building := r
	building.State, building.Reason, building.PhaseDeadline = sandbox.Building, "working", epoch.Add(time.Hour)
	must(t, d.Save(t.Context(), building))
	building.Version = 2
	equal(t, load(t, d, r.ID), building)

	late := r
	late.Reason = "too late"
	wantErr(t, d.Save(t.Context(), late), sandbox.ErrConflict)
	late.State = sandbox.Failed
	wantErr(t, d.Save(t.Context(), late), sandbox.ErrConflict)
	equal(t, load(t, d, r.ID), building)
	if _, err := d.Spec(t.Context(), r.ID); err != nil {
		t.Errorf("a save that lost dropped the spec: %v", err)
	}
	equal(t, load(t, d, bystander.ID), bystander)
}

func saveKeepsLaterActivity(t *testing.T, d sandbox.RecordDriver) {
	r := create(t, d, "active")
	must(t, d.Touch(t.Context(), map[string]time.Time{r.ID: epoch.Add(time.Hour)}))
	r.ActiveAt = epoch.Add(time.Minute)
	must(t, d.Save(t.Context(), r))
	if got := load(t, d, r.ID).ActiveAt; !got.Equal(epoch.Add(time.Hour)) {
		t.Errorf("ActiveAt = %v, a save with an earlier one moved it back", got)
	}
	r.Version, r.ActiveAt = 2, epoch.Add(2*time.Hour)
	must(t, d.Save(t.Context(), r))
	if got := load(t, d, r.ID).ActiveAt; !got.Equal(r.ActiveAt) {
		t.Errorf("ActiveAt = %v, want the saved %v", got, r.ActiveAt)
	}
}

func endDropsSpec(t *testing.T, d sandbox.RecordDriver) {
	for _, end := range []sandbox.State{sandbox.Deleted, sandbox.Failed} {
		r := create(t, d, "end-"+string(end))
		r.State, r.Reason = end, "over"
		must(t, d.Save(t.Context(), r))
		_, err := d.Spec(t.Context(), r.ID)
		wantErr(t, err, sandbox.ErrNotFound)
	}
	born := NewRecord("born-failed")
	born.State, born.Reason = sandbox.Failed, "no source"
	must(t, sandbox.NewRecords(d).Create(t.Context(), born, sandbox.Spec{}))
	_, err := d.Spec(t.Context(), born.ID)
	wantErr(t, err, sandbox.ErrNotFound)
}

func listPages(t *testing.T, d sandbox.RecordDriver) {
	records := sandbox.NewRecords(d)
	var want []string
	for i := range 23 {
		want = append(want, create(t, d, fmt.Sprint("page-", i)).ID)
	}
	slices.Sort(want)
	var got []string
	for q := (sandbox.Query{Limit: 5}); ; q.After = got[len(got)-1] {
		page, err := records.List(t.Context(), q)
		must(t, err)
		for _, r := range page {
			got = append(got, r.ID)
		}
		if len(page) < q.Limit {
			break
		}
	}
	equal(t, got, want)
}

func listByState(t *testing.T, d sandbox.RecordDriver) {
	byState := map[sandbox.State]string{}
	for _, s := range states {
		r := create(t, d, "state-"+string(s))
		r.State, r.Reason = s, "x"
		must(t, d.Save(t.Context(), r))
		byState[s] = r.ID
	}
	for _, asked := range [][]sandbox.State{{sandbox.Ready}, {sandbox.Deleted, sandbox.Failed}, {sandbox.Building, sandbox.Failed, sandbox.Requested}} {
		list, err := sandbox.NewRecords(d).List(t.Context(), sandbox.Query{States: asked})
		must(t, err)
		var want []string
		for _, s := range asked {
			want = append(want, byState[s])
		}
		slices.Sort(want)
		equal(t, ids(list), want)
	}
}

// listDueIsRecordDue holds the driver's query against the pure rule, for every state and for deadlines before, at
// and after the instant asked for.
func listDueIsRecordDue(t *testing.T, d sandbox.RecordDriver) {
	var all []sandbox.Record
	around := []time.Time{epoch.Add(-time.Microsecond), epoch, epoch.Add(time.Microsecond), {}}
	for _, s := range states {
		for e, expires := range around {
			for p, phase := range around {
				for a, idle := range around {
					r := NewRecord(fmt.Sprint("due-", s, e, p, a))
					r.State, r.Reason, r.ExpiresAt, r.PhaseDeadline = s, "x", expires, phase
					r.Idle, r.ActiveAt = time.Minute, idle.Add(-time.Minute)
					if idle.IsZero() {
						r.Idle, r.ActiveAt = 0, epoch.Add(-24*time.Hour)
					}
					must(t, d.Create(t.Context(), r, newSpec()))
					all = append(all, r)
				}
			}
		}
	}
	var want []string
	for _, r := range all {
		if _, due := r.Due(epoch); due {
			want = append(want, r.ID)
		}
	}
	slices.Sort(want)
	if len(want) == 0 || len(want) == len(all) {
		t.Fatalf("%d of %d records are due: the case tells nothing", len(want), len(all))
	}
	list, err := d.List(t.Context(), sandbox.Query{DueBefore: epoch, Limit: 1000})
	must(t, err)
	equal(t, ids(list), want)

	list, err = d.List(t.Context(), sandbox.Query{DueBefore: epoch, States: []sandbox.State{sandbox.Ready}, Limit: 1000})
	must(t, err)
	for _, r := range list {
		if _, due := r.Due(epoch); !due || r.State != sandbox.Ready {
			t.Errorf("%s in state %s is listed", r.ID, r.State)
		}
	}
}

func touchMovesForward(t *testing.T, d sandbox.RecordDriver) {
	r := create(t, d, "touch")
	batch := map[string]time.Time{r.ID: epoch.Add(time.Hour)}
	for i := range 500 {
		batch[sandbox.IDFor(fmt.Sprint("unknown-", i))] = epoch
	}
	must(t, d.Touch(t.Context(), batch))
	must(t, d.Touch(t.Context(), map[string]time.Time{r.ID: epoch}))
	want := r
	want.ActiveAt = epoch.Add(time.Hour)
	equal(t, load(t, d, r.ID), want) // the version too
	must(t, d.Touch(t.Context(), nil))

	records := sandbox.NewRecords(d)
	records.Touch(r.ID, epoch.Add(3*time.Hour))
	records.Touch(r.ID, epoch.Add(2*time.Hour))
	seen, err := records.Load(t.Context(), r.ID)
	must(t, err)
	if !seen.ActiveAt.Equal(epoch.Add(3 * time.Hour)) {
		t.Errorf("buffered activity is not shown: %v", seen.ActiveAt)
	}
	must(t, records.Close(t.Context()))
	if got := load(t, d, r.ID).ActiveAt; !got.Equal(epoch.Add(3 * time.Hour)) {
		t.Errorf("Close stored %v", got)
	}
}

var states = []sandbox.State{
	sandbox.Requested, sandbox.Building, sandbox.Starting, sandbox.Ready, sandbox.Stopping, sandbox.Deleted, sandbox.Failed,
}

func create(t *testing.T, d sandbox.RecordDriver, requestID string) sandbox.Record {
	t.Helper()
	r := NewRecord(requestID)
	must(t, d.Create(t.Context(), r, newSpec()))
	return r
}

func load(t *testing.T, d sandbox.RecordDriver, id string) sandbox.Record {
	t.Helper()
	r, err := d.Load(t.Context(), id)
	must(t, err)
	return r
}

func ids(list []sandbox.Record) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.ID)
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error = %v, want %v", err, want)
	}
}

func equal(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func countLeavesOutWhatEnded(t *testing.T, d sandbox.RecordDriver) {
	counts, err := d.Count(t.Context())
	must(t, err)
	if len(counts) != 0 {
		t.Errorf("an empty store counts %v", counts)
	}
	want := map[sandbox.State]int{}
	for i, s := range states {
		for n := range i + 1 {
			r := create(t, d, fmt.Sprint("count-", s, n))
			r.State, r.Reason = s, "x"
			must(t, d.Save(t.Context(), r))
		}
		if !s.Terminal() {
			want[s] = i + 1
		}
	}
	counts, err = d.Count(t.Context())
	must(t, err)
	equal(t, counts, want)
}
